#pragma once

// First-order optimizers, which are loops over one flat span. In addition, schedules of the learning rate, clipping
// of the gradient's norm, and averages of weights.

#include <pushforward/core/index.hpp>
#include <pushforward/core/state_set.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::optim {

/// The optimizers: adam and adamax [Kingma & Ba 2015], adamw [Loshchilov & Hutter 2019].
enum class Algorithm { adam, adamw, adamax };
const std::vector<std::string>& algorithm_names();
/// Throws OptionError with a suggestion.
Algorithm algorithm_of(std::string_view name);

struct OptimizerOptions {
  Algorithm algorithm = Algorithm::adam;
  double beta1 = 0.9;       ///< decay of the mean of gradients, in [0, 1)
  double beta2 = 0.99;      ///< decay of the mean of squared gradients (of the largest one in adamax), in [0, 1)
  double epsilon = 1e-8;    ///< > 0
  double weight_decay = 0;  ///< ≥ 0, per unit learning rate: added to the gradient, or in adamw taken from the weights
};

template <class T>
class Optimizer {
 public:
  Optimizer(Index parameters, const OptimizerOptions& options);

  /// Takes one step of size `rate` against the gradient of the loss. Sizes as constructed. No allocation.
  void step(double rate, std::span<const T> gradient, std::span<T> parameters);

  /// The moments and the number of steps.
  void add_state(StateSet& state);

 private:
  OptimizerOptions options_;
  std::vector<T> first_, second_;  // moments
  Index steps_ = 0;
};

/// Clips a gradient: gradient ← gradient · min(1, limit/‖gradient‖₂). A limit of 0 does not clip. Returns
/// ‖gradient‖₂ before clipping.
template <class T>
double clip_norm(std::span<T> gradient, double limit);

/// Updates a moving average: average ← decay · average + (1 − decay) · values.
template <class T>
void update_average(double decay, std::span<const T> values, std::span<T> average);

extern template class Optimizer<float>;
extern template class Optimizer<double>;
extern template double clip_norm(std::span<float>, double);
extern template double clip_norm(std::span<double>, double);
extern template void update_average(double, std::span<const float>, std::span<float>);
extern template void update_average(double, std::span<const double>, std::span<double>);

/// The course of the learning rate over the steps.
enum class Schedule { constant, cosine, step };
const std::vector<std::string>& schedule_names();
/// Throws OptionError with a suggestion.
Schedule schedule_of(std::string_view name);

struct ScheduleOptions {
  Schedule schedule = Schedule::cosine;
  double rate = 1e-3;        ///< the highest, > 0
  Index steps = 1;           ///< of the whole run
  Index warmup = 0;          ///< steps over which the rate rises linearly to the highest, before the schedule begins
  Index step_every = 0;      ///< of Schedule::step: steps between reductions; 0 for a third of those after the warm-up
  double step_factor = 0.1;  ///< of Schedule::step: each reduction's factor
};

/// Returns the learning rate of `step`, 0 ≤ step < steps. In the warm-up it is rate · (step + 1)/warmup, and after
/// that
///   constant   rate
///   cosine     rate · ½(1 + cos πt), t from 0 towards 1 at the end of the run
///   step       rate · factor^⌊(step − warmup)/every⌋
double learning_rate(const ScheduleOptions& options, Index step);

}  // namespace pushforward::optim
