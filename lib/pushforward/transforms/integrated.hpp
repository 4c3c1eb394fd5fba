#pragma once

// The interface of transforms that integrate a differential equation from t = 1 (data) to t = 0 (latents).

#include <pushforward/core/option_set.hpp>
#include <pushforward/ode/diffusion.hpp>
#include <pushforward/ode/penalty.hpp>
#include <pushforward/transforms/transform.hpp>

#include <optional>

namespace pushforward::flow {

/// The options of an integration, which families have too.
struct IntegrationOptions {
  /// The largest dimension in which density = auto is discrete.
  static constexpr Index largest_discrete = 16;

  std::string solver = "rk4";    ///< of the grid, a name of ode::Tableau::registry()
  Index steps = 8;               ///< of the grid; training doubles them where the grid is too coarse
  std::string density = "auto";  ///< discrete, continuous, or auto: discrete up to largest_discrete dimensions
  double tolerance = 1e-6;       ///< continuous: of a log-density in evaluation, nats
  Index max_steps = 256;         ///< of the finest grid, in training and in evaluation
  ode::Penalty penalty{};        ///< subtracted from the log-dets of Pass::gradient; no part of the model

  /// Declares all but the penalty.
  OptionSet declare();
  /// Whether the density is discrete for samples of d values.
  bool is_discrete(Index d) const { return density == "discrete" || (density == "auto" && d <= largest_discrete); }
  /// Says, for people, how log-dets for samples of d values are made. divergence: what training takes for it.
  std::string log_det_of(Index d, std::string_view divergence = "divergence") const;
};

/// A sampler with a fixed number of explicit steps of equal length from t = 0 to t = 1.
struct Sampler {
  std::string solver;  ///< a name of ode::Tableau::registry()
  Index steps;         ///< ≥ 1
};

/// The report of an integration on n samples. Both spans: (n), or empty.
struct IntegrationReport {
  std::span<double> error;       ///< of the log-det, nats: an estimate; 0 if it is that of a grid, which is exact
  std::span<Index> evaluations;  ///< of the differential equation

  /// The part for the samples [first, first + count).
  IntegrationReport part(Index first, Index count) const {
    const auto of = [&](auto values) { return values.empty() ? values : values.subspan(first, count); };
    return {of(error), of(evaluations)};
  }
};

template <class T>
class Integrated {
 public:
  virtual ~Integrated() = default;

  virtual const IntegrationOptions& integration() const = 0;
  /// Replaces the options. States keep the grid for which they were planned.
  virtual void set_integration(const IntegrationOptions& options) = 0;
  /// States that are planned from now on for Pass::evaluate or Pass::map_only belong to the map that a sampler makes
  /// from latents to data: inverse() takes its steps, forward() inverts them by Newton's method, and log-dets are those
  /// of that very map. Throws OptionError for an unknown solver.
  virtual void set_sampler(const Sampler& sampler) = 0;
  /// States that are planned from now on for Pass::evaluate belong to a sampler by a stochastic differential equation,
  /// whose noise follows from the draws of the batch. inverse() takes its steps and adds nothing to log_det, because
  /// its samples have no tractable density. forward() throws OptionError.
  virtual void set_diffusion(const ode::Diffusion& diffusion) = 0;
  /// Makes the vector field the guided one with this strength (ode/guidance.hpp). The choice holds for states that are
  /// planned from now on. Throws OptionError if the field cannot be guided.
  virtual void set_guidance(double scale) = 0;
  /// As forward() on a state for Pass::gradient, but without log-dets. reverse() computes the stages of each step
  /// again, and finds the log-dets for little more; add_log_det() then has them.
  virtual void forward_without_log_det(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z,
                                       std::span<Status> status) const = 0;
  /// Adds to log_det what the last reverse() on a state found, log|det ∂z/∂x|. log_det: (n), nats. status: (n), set for
  /// samples whose status is ok if the log-det shows that something went wrong.
  virtual void add_log_det(const TransformState<T>& state, std::span<double> log_det,
                           std::span<Status> status) const = 0;
  /// Adds what the last forward() or inverse() on a state for Pass::evaluate says about its samples.
  virtual void add_report(const TransformState<T>& state, const IntegrationReport& report) const = 0;
};

}  // namespace pushforward::flow
