#pragma once

// First-order optimizers as loops over one flat span, and what goes with them: schedules of the learning rate, clipping
// of the gradient norm, averaging of weights.

#include <pushforward/core/index.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::optim {

/// adam, adamax [Kingma & Ba 2015]; adamw [Loshchilov & Hutter 2019].
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

  /// One step of size `rate` along the gradient of what is minimized. Sizes as constructed. No allocation.
  void step(double rate, std::span<const T> gradient, std::span<T> parameters);

 private:
  OptimizerOptions options_;
  std::vector<T> first_, second_;  // moments
  Index steps_ = 0;
};

/// ‖gradient‖₂, and gradient ← gradient · min(1, limit/‖gradient‖); a limit of 0 does not clip. Returns the norm before
/// clipping.
template <class T>
double clip_norm(std::span<T> gradient, double limit);

/// average ← decay · average + (1 − decay) · values.
template <class T>
void update_average(double decay, std::span<const T> values, std::span<T> average);

extern template class Optimizer<float>;
extern template class Optimizer<double>;
extern template double clip_norm(std::span<float>, double);
extern template double clip_norm(std::span<double>, double);
extern template void update_average(double, std::span<const float>, std::span<float>);
extern template void update_average(double, std::span<const double>, std::span<double>);

/// How the learning rate goes over the steps.
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

/// The rate of `step` in [0, steps): rate · (step + 1)/warmup in the warm-up; then rate, or rate · ½(1 + cos πt) with t
/// from 0 towards 1 at the end of the run, or rate · factor^⌊(step − warmup)/every⌋.
double learning_rate(const ScheduleOptions& options, Index step);

}  // namespace pushforward::optim
