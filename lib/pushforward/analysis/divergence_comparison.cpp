#include <pushforward/analysis/divergence_comparison.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/random/stream.hpp>

#include <cmath>
#include <limits>

namespace pushforward::flow {

namespace {

constexpr Index chunk = 256;

}  // namespace

template <class T>
DivergenceComparison<T>::DivergenceComparison(Model<T>& model, const DivergenceComparisonOptions& options)
    : model_(model), options_(options), own_(model.flow().integrations()), names_{"discrete", "trace"} {
  require<DataError>(!own_.empty(), "no transform of this model integrates an equation: {}",
                     summary(model.flow().architecture()));
  require<OptionError>(options.repeats >= 1, "comparison of divergences: {} repeats, must be at least 1",
                       options.repeats);
  for (const auto& method : options.methods) names_.push_back(to_string(method));
}

template <class T>
void DivergenceComparison<T>::choose(std::size_t candidate) {
  auto integrations = own_;
  for (auto& o : integrations) o.density = candidate == 0 ? "discrete" : "continuous";
  model_.set_integrations(integrations);
  model_.set_training_log_det(candidate < exact ? logdet::Method() : options_.methods[candidate - exact]);
}

template <class T>
DivergencePart DivergenceComparison<T>::run(ConstMatrixView<double> x, ConstMatrixView<double> context, Index first) {
  const Index d = model_.dimension(), n = x.cols();
  const auto size = static_cast<std::size_t>(n);
  DivergencePart part{
      std::vector<Status>(size), std::vector<Status>(size), std::vector<double>(size), std::vector<double>(size), {}};
  if (n == 0) {
    for (std::size_t k = 0; k < names_.size(); ++k) {
      part.draws.push_back({Matrix<double>(0, repeats(k)), Matrix<double>(0, repeats(k)), 0});
    }
    return part;
  }
  Matrix<double> z(d, n), drawn(d, n);
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(options_.seed, random::Purpose::base_sample, 0, static_cast<std::uint64_t>(first + j));
    model_.flow().base().draw(stream, z.view().column_span(j));
  }
  {
    auto workspace = FlowWorkspace<T>::within(model_.flow(), options_.bytes, std::min(chunk, n), Pass::evaluate);
    model_.log_prob({.x = x, .context = context}, part.log_prob, {}, part.status, workspace);
    model_.inverse(z, drawn, part.draw_log_prob, part.draw_status, {}, workspace, context);
  }
  std::vector<Status> status(size);
  for (std::size_t k = 0; k < names_.size(); ++k) {
    choose(k);
    auto workspace = FlowWorkspace<T>::within(model_.flow(), options_.bytes, std::min(chunk, n), Pass::gradient);
    auto& draws =
        part.draws.emplace_back(DivergenceDraws{Matrix<double>(n, repeats(k)), Matrix<double>(n, repeats(k)), 0});
    for (Index r = 0; r < repeats(k); ++r) {
      const logdet::Draws numbers{.seed = options_.seed, .step = static_cast<std::uint64_t>(r), .first = first};
      const Timer timer;
      model_.log_prob({.x = x, .context = context, .draws = numbers}, draws.at_data.view().column_span(r), {}, status,
                      workspace);
      if (r == 0) draws.seconds = timer.seconds();
      model_.log_prob({.x = drawn, .context = context, .draws = numbers}, draws.at_draws.view().column_span(r), {},
                      status, workspace);
    }
  }
  model_.set_integrations(own_);
  model_.set_training_log_det({});
  return part;
}

// A row without a log p, by the model or by a candidate, is left out of that candidate.
void DivergenceSums::add(const DivergencePart& part) {
  for (std::size_t k = 0; k < sums_.size(); ++k) {
    auto& s = sums_[k];
    const auto& candidate = part.draws[k];
    const Index repeats = candidate.at_data.cols();
    const auto many = static_cast<double>(repeats);
    s[seconds] += candidate.seconds;
    for (Index i = 0; i < candidate.at_data.rows(); ++i) {
      double mean = 0, square = 0, weight_mean = 0;
      for (Index r = 0; r < repeats; ++r) mean += candidate.at_data(i, r) / many;
      for (Index r = 0; r < repeats; ++r) square += std::pow(candidate.at_data(i, r) - mean, 2);
      if (part.status[i] == Status::ok && std::isfinite(mean)) {
        s[rows] += 1;
        s[error] += mean - part.log_prob[i];
        if (repeats > 1) s[within] += square / (many - 1);
        if (repeats > 1) s[repeated_rows] += 1;
      }
      for (Index r = 0; r < repeats; ++r) {
        weight_mean += std::exp(part.draw_log_prob[i] - candidate.at_draws(i, r)) / many;
      }
      if (part.draw_status[i] != Status::ok || !std::isfinite(weight_mean)) continue;
      s[draws] += 1;
      s[excess] += weight_mean - 1;
      s[excess_square] += (weight_mean - 1) * (weight_mean - 1);
    }
  }
}

void DivergenceSums::sum(const comm::Communicator& comm) {
  for (auto& s : sums_) comm.sum(std::span<double>(s));
}

std::vector<DivergenceSummary> DivergenceSums::summarize() const {
  std::vector<DivergenceSummary> all;
  for (const auto& s : sums_) {
    const double mean_excess = s[excess] / s[draws];
    const double variance = s[excess_square] / s[draws] - mean_excess * mean_excess;
    all.push_back({.bias = s[error] / s[rows],
                   .deviation = s[repeated_rows] > 0 ? std::sqrt(s[within] / s[repeated_rows])
                                                     : std::numeric_limits<double>::quiet_NaN(),
                   .weight = 1 + mean_excess,
                   .weight_error = std::sqrt(std::max(0.0, variance) / s[draws]),
                   .seconds = 1000 * s[seconds] / s[rows]});
  }
  return all;
}

template class DivergenceComparison<float>;
template class DivergenceComparison<double>;

}  // namespace pushforward::flow
