#pragma once

// The continuous flow z = x(0) of the differential equation dx/dt = v(x, t; u) that starts at x(1) = x
// [Chen et al. 2018]. v is a network (ode/vector_field.hpp), integrated by a Runge–Kutta method (ode/runge_kutta.hpp).
//
// There are two densities, and a model file says which of them the model has:
//
//   discrete     The model is the map that the grid of `steps` steps makes. Its log-det is exact, by d tangents through
//                the stages and an LU for each step. The inverse solves each step by Newton's method, so it is that of
//                the grid. The map is invertible if h·Lip(Φ) < 1; a step whose determinant is not positive gives the
//                sample the status negative_determinant.
//   continuous   The model is the limit of small steps. It is computed to `tolerance` on nested grids (ode/limit.hpp)
//                in both directions, each sample by itself. Training takes the grid of `steps` steps, with the
//                quadrature of the exact divergence as log-det.
//
// The quadrature on a fixed grid is the log-density of no map, and maximum likelihood may exploit the difference. The
// discrete density has no such difference. It costs d tangents and an LU in each step, which is why it is for few
// dimensions.
//
// A third map serves programs that draw samples in few steps: that of an explicit sampler from t = 0 to t = 1
// (integrated.hpp). Its log-det is exact too, and Newton's method takes data back to latents.
//
// A fourth way from latents to data is a sampler by a stochastic differential equation (ode/diffusion.hpp). It has no
// density and no way back.
//
// Values of x that are angles enter v as their cosines and sines, and z is wrapped to [−π, π). On spheres, v is tangent
// and z has the length of x, so densities are per unit of area (ode/spheres.hpp).

#include <pushforward/ode/limit.hpp>
#include <pushforward/transforms/described.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/estimated.hpp>
#include <pushforward/transforms/integrated.hpp>
#include <pushforward/transforms/trained.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct ContinuousOptions {
  static constexpr const char* kind = "continuous";
  static constexpr const char* help =
      "the flow of dx/dt = v(x, t), from t = 1 to t = 0 [Chen et al. 2018; Grathwohl et al. 2019]";
  static constexpr TransformFacts facts{.takes_context = true, .takes_spheres = true};
  std::vector<Index> hidden{64, 64, 64};  ///< widths of the hidden layers of v
  std::string activation = "silu";
  std::string time = "first";  ///< where the time enters v: see ode::FieldOptions
  IntegrationOptions integration{};

  OptionSet declare();
  Domain output(const Domain& at) const { return at; }
};

template <class T>
class Continuous final : public Transform<T>,
                         public Trained<T>,
                         public Estimated<T>,
                         public Integrated<T>,
                         public Described {
 public:
  /// Adds the network's parameters below `<name>/`. seed, key: see nn::Network. Throws OptionError.
  Continuous(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
             const ContinuousOptions& options, std::uint64_t seed, std::uint64_t key);

  /// The options with the density that `auto` stands for.
  const ContinuousOptions& resolved_options() const { return options_; }

  std::string_view kind() const override { return ContinuousOptions::kind; }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override { field_.network().initialize(parameters); }
  void prepare(std::span<const T> parameters, Normalization normalization) override {
    field_.network().prepare(parameters, normalization);
  }
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  /// Discrete: Newton's method for each step, which begins at the step back in time. It stops when its own step is
  /// within options.tolerance of ‖x − x*‖, relative to 1 + ‖x‖. A step that does not reduce the residual is halved. The
  /// tolerance is never asked to be below 64ε. options.algorithm has no effect. Continuous: integrates from t = 0 to
  /// t = 1, to the model's tolerance.
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  /// The Jacobian of the grid, by d reverse passes and an LU for each step. The first call allocates the memory for
  /// that, d² values a sample.
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;
  /// The coefficients of the method with which the model is evaluated: `tableau_a`, rows of its square matrix, and
  /// `tableau_b`, `tableau_c`.
  std::vector<Attribute> describe() const override;

  bool takes(const logdet::Method& method) const override {
    return method.exact() || method.kind() == logdet::HutchinsonOptions::kind;
  }
  /// Takes the exact log-det, or for Pass::gradient and a continuous density the method hutchinson.
  void set_log_det(Pass pass, const logdet::Method& method) override;
  const logdet::Method& log_det(Pass pass) const override { return pass == Pass::gradient ? training_ : exact_; }

  const IntegrationOptions& integration() const override { return options_.integration; }
  void set_integration(const IntegrationOptions& options) override;
  void set_sampler(const Sampler& sampler) override;
  void set_diffusion(const ode::Diffusion& diffusion) override;
  void set_guidance(double scale) override { field_.set_guidance(scale); }
  void forward_without_log_det(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z,
                               std::span<Status> status) const override;
  void add_log_det(const TransformState<T>& state, std::span<double> log_det, std::span<Status> status) const override;
  void add_report(const TransformState<T>& state, const IntegrationReport& report) const override;

  const ode::VectorField<T>& field() const { return field_; }

 private:
  bool is_discrete() const { return options_.integration.density == "discrete"; }
  /// Follows the path of each sample between two times, to the tolerance.
  void follow(TransformState<T>& state, const Batch<T>& batch, double from, double to, MatrixView<T> end,
              std::span<double> log_det, std::span<Status> status) const;
  /// Takes the steps of the state's grid. If log_det is empty, only values are computed.
  void take_steps(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> end, std::span<double> log_det,
                  std::span<Status> status) const;
  /// Finds where the steps of the state's grid begin that end at batch.x.
  void invert_steps(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> start, std::span<double> log_det,
                    std::span<Status> status, const InverseOptions& options) const;
  /// Takes latents to samples of the diffusion.
  void diffuse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<Status> status) const;
  /// Takes angles to [−π, π).
  void wrap(MatrixView<T> x) const;

  Shape shape_;
  ContinuousOptions options_;
  std::optional<Sampler> sampler_;
  std::optional<ode::Diffusion> diffusion_;
  logdet::Method training_, exact_;
  ode::VectorField<T> field_;
};

extern template class Continuous<float>;
extern template class Continuous<double>;

}  // namespace pushforward::flow
