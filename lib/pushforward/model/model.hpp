#pragma once

// A trained model: the data's standardization, the flow after it, and where both come from. Its density is that of the
// data in its own units. The file format is described in data/README.md.

#include <pushforward/flow/flow.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/standardization/standardization.hpp>

#include <functional>

namespace pushforward::flow {

/// The context of a conditional density: c values for each sample.
struct ModelContext {
  data::Standardization standardization;  ///< of dimension c, between what is given and what the flow takes
  std::vector<std::string> names;         ///< (c), or empty
};

/// Facts about a model in addition to its parameters.
struct ModelNotes {
  std::vector<std::string> feature_names;  ///< (d), or empty
  std::optional<Shape> image;              ///< how the values of a sample are arranged, if they are an image
  std::optional<double> entropy;           ///< of the density that the training data was drawn from, nats
  bool maps_source = false;                ///< whether latents are points of a source, so that log p means nothing
  /// Configuration, seed, versions, ranks, input: attributes of `/provenance`.
  std::vector<std::pair<std::string, std::string>> provenance;
  /// Of a model that was read: the SHA-256 digest of its file (h5/sealed.hpp), or "" if the file is of format 1, which
  /// has none. It is not written.
  std::string digest{};
};

template <class T>
class Model {
 public:
  /// The standardization must have the flow's dimension, and the context the dimension of the flow's context. Throws
  /// ShapeError.
  Model(data::Standardization standardization, Flow<T> flow, ModelNotes notes = {},
        std::optional<ModelContext> context = {});

  Index dimension() const { return flow_.dimension(); }
  const data::Standardization& standardization() const { return standardization_; }
  const Flow<T>& flow() const { return flow_; }
  const ModelNotes& notes() const { return notes_; }
  const std::optional<ModelContext>& context() const { return context_; }

  /// Chooses the estimator of log_prob()'s log-dets. Until then it is the exact one. Workspaces that were planned
  /// before are of no use any more. inverse() needs an exact one. Throws OptionError for a method that the blocks'
  /// networks cannot have.
  void set_log_det(const logdet::Method& method);
  const logdet::Method& log_det() const { return log_det_; }
  /// Chooses the estimator of log-dets for passes of training, Pass::gradient. Throws OptionError.
  void set_training_log_det(const logdet::Method& method) { flow_.set_log_det(Pass::gradient, method); }

  /// The options of transforms that integrate a differential equation: see the flow's functions of these names.
  /// Workspaces that were planned before keep their grids.
  void set_integrations(std::span<const IntegrationOptions> options) { flow_.set_integrations(options); }
  void set_sampler(const Sampler& sampler) { flow_.set_sampler(sampler); }
  void set_diffusion(const ode::Diffusion& diffusion) { flow_.set_diffusion(diffusion); }
  void set_guidance(double scale) { flow_.set_guidance(scale); }

  /// batch: (d × n) in, data and contexts in their own units; weights are not used. log_prob: (n) out, nats, in the
  /// data's units. z: (d × n) out, or empty. status: (n) out. If a status is not ok, log_prob is NaN; outside the
  /// support it is −∞. report: out. Allocates. Not collective.
  void log_prob(const Batch<double>& batch, std::span<double> log_prob, MatrixView<double> z, std::span<Status> status,
                FlowWorkspace<T>& workspace, const IntegrationReport& report = {}) const;

  /// x = f⁻¹(z), data units. z: (d × n) in. x: (d × n) out, must not alias z. log_prob: (n) out, of x. status: (n) out.
  /// report: out. draws: of the noise of a diffusion, with which log_prob means nothing.
  void inverse(ConstMatrixView<double> z, MatrixView<double> x, std::span<double> log_prob, std::span<Status> status,
               const InverseOptions& options, FlowWorkspace<T>& workspace, ConstMatrixView<double> context = {},
               const IntegrationReport& report = {}, const logdet::Draws& draws = {}) const;

 private:
  void require_context(const char* name, Index n, ConstMatrixView<double> context) const;

  data::Standardization standardization_;
  Flow<T> flow_;
  ModelNotes notes_;
  std::optional<ModelContext> context_;
  logdet::Method log_det_{};
};

/// Writes a model file, atomically. The flow must hold its effective weights (Flow::bake_normalization). `add` may
/// write further groups. Not collective: one rank calls it. Throws IoError.
template <class T>
void save_model(const std::string& path, const data::Standardization& standardization, const Flow<T>& flow,
                const ModelNotes& notes, const std::optional<ModelContext>& context = {},
                const std::function<void(const h5::GroupWriter&)>& add = {});

/// Reads a model file of any precision; the weights are taken as they are. Not collective: any number of ranks may
/// read. Throws IoError, also for a file that does not agree with its digest, and DataError for a file that is not a
/// model or whose arrays do not fit its architecture.
template <class T>
Model<T> load_model(const std::string& path);

extern template class Model<float>;
extern template class Model<double>;
extern template void save_model(const std::string&, const data::Standardization&, const Flow<float>&, const ModelNotes&,
                                const std::optional<ModelContext>&, const std::function<void(const h5::GroupWriter&)>&);
extern template void save_model(const std::string&, const data::Standardization&, const Flow<double>&,
                                const ModelNotes&, const std::optional<ModelContext>&,
                                const std::function<void(const h5::GroupWriter&)>&);
extern template Model<float> load_model(const std::string&);
extern template Model<double> load_model(const std::string&);

}  // namespace pushforward::flow
