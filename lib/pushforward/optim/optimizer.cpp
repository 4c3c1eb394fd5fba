#include <pushforward/core/error.hpp>
#include <pushforward/core/name_table.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pushforward::optim {

namespace {

const NameTable<Algorithm>& algorithms() {
  static const NameTable<Algorithm> table("optimizer", {"adam", "adamw", "adamax"});
  return table;
}

const NameTable<Schedule>& schedules() {
  static const NameTable<Schedule> table("schedule", {"constant", "cosine", "step"});
  return table;
}

}  // namespace

const std::vector<std::string>& algorithm_names() {
  return algorithms().names();
}

Algorithm algorithm_of(std::string_view name) {
  return algorithms().value(name);
}

const std::vector<std::string>& schedule_names() {
  return schedules().names();
}

Schedule schedule_of(std::string_view name) {
  return schedules().value(name);
}

template <class T>
Optimizer<T>::Optimizer(Index parameters, const OptimizerOptions& options)
    : options_(options), first_(static_cast<std::size_t>(parameters)), second_(first_.size()) {
  require<OptionError>(
      options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1 && options.epsilon > 0 &&
          options.weight_decay >= 0,
      "optimizer: beta1 = {} and beta2 = {} must be in [0, 1), epsilon = {} positive, weight_decay = {} "
      "not negative",
      options.beta1, options.beta2, options.epsilon, options.weight_decay);
}

template <class T>
void Optimizer<T>::step(double rate, std::span<const T> gradient, std::span<T> parameters) {
  require<ShapeError>(gradient.size() == first_.size() && parameters.size() == first_.size(),
                      "optimizer: gradient ({}) and parameters ({}) do not fit {} moments", gradient.size(),
                      parameters.size(), first_.size());
  ++steps_;
  const auto power = static_cast<double>(steps_);
  const T b1 = static_cast<T>(options_.beta1), b2 = static_cast<T>(options_.beta2);
  const T epsilon = static_cast<T>(options_.epsilon);
  const bool decoupled = options_.algorithm == Algorithm::adamw;
  const T coupled_decay = decoupled ? T(0) : static_cast<T>(options_.weight_decay);
  const T shrink = decoupled ? static_cast<T>(1 - rate * options_.weight_decay) : T(1);
  const T scale = static_cast<T>(rate / (1 - std::pow(options_.beta1, power)));
  const T second_correction = static_cast<T>(1 / (1 - std::pow(options_.beta2, power)));

  T* __restrict const m = first_.data();
  T* __restrict const v = second_.data();
  T* __restrict const p = parameters.data();
  const T* __restrict const g = gradient.data();
  const std::size_t n = first_.size();
  if (options_.algorithm == Algorithm::adamax) {
    for (std::size_t i = 0; i < n; ++i) {
      const T slope = g[i] + coupled_decay * p[i];
      m[i] = b1 * m[i] + (1 - b1) * slope;
      v[i] = std::max(b2 * v[i], std::abs(slope));
      p[i] -= scale * m[i] / (v[i] + epsilon);
    }
  } else {
    for (std::size_t i = 0; i < n; ++i) {
      const T slope = g[i] + coupled_decay * p[i];
      m[i] = b1 * m[i] + (1 - b1) * slope;
      v[i] = b2 * v[i] + (1 - b2) * slope * slope;
      p[i] = shrink * p[i] - scale * m[i] / (std::sqrt(v[i] * second_correction) + epsilon);
    }
  }
}

template <class T>
void Optimizer<T>::add_state(StateSet& state) {
  state.add("optimizer/first_moment", first_);
  state.add("optimizer/second_moment", second_);
  state.add("optimizer/steps", steps_);
}

template <class T>
double clip_norm(std::span<T> gradient, double limit) {
  const double norm = std::sqrt(linalg::dot_in_double(gradient.data(), gradient.data(), std::ssize(gradient)));
  if (limit > 0 && norm > limit) {
    const T factor = static_cast<T>(limit / norm);
    for (T& g : gradient) g *= factor;
  }
  return norm;
}

template <class T>
void update_average(double decay, std::span<const T> values, std::span<T> average) {
  require<ShapeError>(values.size() == average.size(), "update_average: {} values for an average of {}", values.size(),
                      average.size());
  const T keep = static_cast<T>(decay), take = static_cast<T>(1 - decay);
  for (std::size_t i = 0; i < values.size(); ++i) average[i] = keep * average[i] + take * values[i];
}

template class Optimizer<float>;
template class Optimizer<double>;
template double clip_norm(std::span<float>, double);
template double clip_norm(std::span<double>, double);
template void update_average(double, std::span<const float>, std::span<float>);
template void update_average(double, std::span<const double>, std::span<double>);

double learning_rate(const ScheduleOptions& o, Index step) {
  if (step < o.warmup) return o.rate * static_cast<double>(step + 1) / static_cast<double>(o.warmup);
  const Index after = step - o.warmup, length = std::max<Index>(1, o.steps - o.warmup);
  switch (o.schedule) {
    case Schedule::constant: break;
    case Schedule::cosine: {
      const double t = std::min(1.0, static_cast<double>(after) / static_cast<double>(length));
      return 0.5 * o.rate * (1 + std::cos(std::numbers::pi * t));
    }
    case Schedule::step: {
      const Index every = o.step_every > 0 ? o.step_every : std::max<Index>(1, (length + 2) / 3);
      const Index reductions = after / every;
      return o.rate * std::pow(o.step_factor, static_cast<double>(reductions));
    }
  }
  return o.rate;
}

}  // namespace pushforward::optim
