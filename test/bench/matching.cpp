#include "matching.hpp"

#include "likelihood.hpp"
#include "plain_integration.hpp"

#include <pushforward/train/array_rows.hpp>

#include <cmath>

namespace pushforward::bench {

namespace {

constexpr Index batches = 4;                      // of rows
constexpr Index very_many_steps = 1'000'000'000;  // no step is one of maximum likelihood

template <class T>
constexpr double loss_tolerance = 1e3 * std::numeric_limits<T>::epsilon();
template <class T>
constexpr double gradient_tolerance = 1e3 * std::numeric_limits<T>::epsilon();
constexpr double difference_tolerance = 1e-8;

train::Options options_of(const FlowCase& c) {
  auto options = step_options(c);
  options.objective = train::FlowMatchingOptions{};
  options.train.steps = very_many_steps;
  return options;
}

template <class T>
train::TrainingData<T> data_of(const comm::Communicator& comm, const Matrix<double>& rows) {
  return {comm, train::ArrayRows({flow::Batch<double>{.x = rows}}), {.standardize = "none"}};
}

// The losses of a flow at the points of the first step, by plain loops.
template <class T>
std::vector<double> plain_losses(const MatchingInputs<T>& inputs, const flow::Flow<double>& flow) {
  const PlainField field(flow, 0, dynamic_cast<const flow::Continuous<double>&>(*flow.transforms()[0]));
  std::vector<double> losses;
  std::vector<double> point(static_cast<std::size_t>(flow.dimension()));
  for (Index j = 0; j < inputs.x().cols(); ++j) {
    const double t = inputs.times()[j];
    const auto x0 = inputs.latents().view().column_span(j);
    const auto x1 = inputs.x().view().column_span(j);
    for (std::size_t i = 0; i < point.size(); ++i) point[i] = (1 - t) * x0[i] + t * static_cast<double>(x1[i]);
    const auto v = field(point, t).y;
    double loss = 0;
    for (std::size_t i = 0; i < point.size(); ++i) loss += std::pow(v[i] - (static_cast<double>(x1[i]) - x0[i]), 2);
    losses.push_back(loss);
  }
  return losses;
}

}  // namespace

template <class T>
MatchingInputs<T>::MatchingInputs(const comm::Communicator& comm, const FlowCase& c, const Matrix<double>& rows,
                                  flow::Flow<T> flow)
    : case_(c),
      options_(options_of(c)),
      data_(data_of<T>(comm, rows)),
      flow_(std::move(flow)),
      objective_({flow_, options_, data_}, options_.objective.template as<train::FlowMatchingOptions>()),
      x_(c.shape.dimension, c.rows),
      latents_(c.shape.dimension, c.rows),
      times_(static_cast<std::size_t>(c.rows)) {
  const auto seed = static_cast<std::uint64_t>(options_.train.seed);
  std::vector<Index> numbers(times_.size());
  random::BatchOrder(seed, rows.cols(), c.rows).rows(0, 0, numbers);
  const train::Latents<T> latents(flow_.base(), {}, seed, random::Purpose::flow_matching);
  const random::Permutation strata(seed, random::Purpose::matching_order, 0, c.rows);
  for (Index j = 0; j < c.rows; ++j) {
    std::copy_n(this->rows().column(numbers[j]), x_.rows(), x_.view().column(j));
    latents.write({0, j}, latents_.view().column_span(j));
    const double u = latents.stream({0, j}, 1).uniform();
    times_[j] = (static_cast<double>(strata(j)) + u) / static_cast<double>(c.rows);
  }
}

template <class T>
MatchingInputs<T>::MatchingInputs(const comm::Communicator& comm, const FlowCase& c)
    : MatchingInputs(comm, c, widened<T>(normal_columns<T>(c.shape.dimension, batches * c.rows)),
                     trained_flow<T>(c.shape)) {}

template <class T>
template <class U>
MatchingInputs<T>::MatchingInputs(const comm::Communicator& comm, const FlowCase& c, const MatchingInputs<U>& others)
    : MatchingInputs(comm, c, widened<U>(others.rows()), flow_with<T, U>(c.shape, others.flow().parameters())) {}

template <class T>
MatchingLoss<T> matching_loss(MatchingInputs<T>& inputs) {
  const Index n = inputs.x().cols();
  auto& objective = inputs.objective();
  objective.plan(n);
  objective.prepare();
  MatchingLoss<T> result{{}, std::vector<T>(inputs.flow().parameters().size())};
  for (Index j = 0; j < n; ++j) {
    const auto sum = objective.add({0, j, n}, {.x = inputs.x().view().columns(j, 1)}, result.gradient);
    require<NumericalError>(sum.failure.empty(), "{}", sum.failure);
    result.loss.push_back(sum.loss);
  }
  return result;
}

template <class T>
void check_matching(MatchingInputs<T>& inputs, const MatchingLoss<T>& result, Checks& checks) {
  const auto& c = inputs.flow_case();
  auto flow = flow_with<double, T>(c.shape, inputs.flow().parameters());
  checks.close("losses by plain loops", std::span<const double>(result.loss),
               std::span<const double>(plain_losses(inputs, flow)), loss_tolerance<T>);

  MatchingInputs<double> wide(comm::Communicator::self(), c, inputs);
  const auto exact = matching_loss(wide);
  const auto along = direction(exact.gradient);
  double expected = 0;
  for (std::size_t i = 0; i < along.size(); ++i) expected += exact.gradient[i] * along[i];
  const auto loss_of = [&](const flow::Flow<double>& nearby) {
    double sum = 0;
    for (const double loss : plain_losses(wide, nearby)) sum += loss;
    return sum;
  };
  checks.close("the gradient by differences", expected, derivative(loss_of, flow, false, along), difference_tolerance);
  const std::vector<T> narrow(exact.gradient.begin(), exact.gradient.end());
  checks.close("the gradient in double", std::span<const T>(result.gradient), std::span<const T>(narrow),
               gradient_tolerance<T>);
  wide.release();
}

template class MatchingInputs<float>;
template class MatchingInputs<double>;
template MatchingLoss<float> matching_loss(MatchingInputs<float>&);
template MatchingLoss<double> matching_loss(MatchingInputs<double>&);
template void check_matching(MatchingInputs<float>&, const MatchingLoss<float>&, Checks&);
template void check_matching(MatchingInputs<double>&, const MatchingLoss<double>&, Checks&);

}  // namespace pushforward::bench
