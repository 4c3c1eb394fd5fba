#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/continuous.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

using comm::Communicator;
using flow::Batch;
using train::Likelihood;
using train::Options;

/// ½‖x − m‖², least at the weighted mean of the samples. Gradients are those with respect to 2m.
template <class T>
class SquaredDistance final : public train::Objective<T> {
 public:
  explicit SquaredDistance(Index d) : mean_(static_cast<std::size_t>(d)) {}

  train::LossName loss_name() const override { return {"distance", "1"}; }
  double reported(double mean_loss) const override { return mean_loss + 100; }
  void plan(Index n) override { planned = n; }
  void plan_evaluation() override { evaluates = true; }
  Index workspace_bytes() const override { return 0; }
  void require_data(const Communicator&, const train::TrainingData<T>&, const Warn&) override { checked = true; }
  std::span<T> parameters() override { return mean_; }
  void prepare() override {
    used_ = mean_;
    mended_ = false;
    ++steps_;
  }
  bool prepare_again(Index, bool) override { return mended_ = mends; }
  train::LossSum add(const train::StepPart&, const Batch<T>& batch, std::span<T> gradient) override {
    train::LossSum sum;
    for (Index j = 0; j < batch.size(); ++j) {
      const T w = batch.weight.empty() ? T(1) : batch.weight[j];
      sum.weight += static_cast<double>(w);
      sum.loss += static_cast<double>(w) * loss(batch, j);
      for (std::size_t i = 0; i < mean_.size(); ++i) gradient[i] -= w * (batch.x.column(j)[i] - used_[i]) / 2;
    }
    if (steps_ == fails_at && !mended_ && batch.size() > 0) sum.failure = "it hurts; take something";
    return sum;
  }
  void gradient_of_raw_parameters(std::span<T> gradient) const override {
    for (T& g : gradient) g *= 2;
  }
  void prepare_with(std::span<const T> parameters) override { used_.assign(parameters.begin(), parameters.end()); }
  flow::Evaluation evaluate(const Communicator& comm, const Batch<T>& rows) override {
    auto result = flow::evaluate_blocks(comm, rows.size(), 3, [&](Index first, Index count, flow::LossSums& sums) {
      for (Index j = first; j < first + count; ++j) sums.add(loss(rows, j), flow::Status::ok, 1);
    });
    result.mean = reported(result.mean);
    return result;
  }
  bool better(const flow::Evaluation& a, const flow::Evaluation& b) const override {
    return prefers_large ? a.mean > b.mean : a.mean < b.mean;
  }
  void bake() override { baked = true; }

  Index planned = 0, fails_at = -1;
  bool evaluates = false, checked = false, baked = false, mends = true, prefers_large = false;

 private:
  double loss(const Batch<T>& batch, Index j) const {
    double sum = 0;
    for (std::size_t i = 0; i < used_.size(); ++i) {
      const double off = static_cast<double>(batch.x.column(j)[i] - used_[i]);
      sum += off * off / 2;
    }
    return sum;
  }

  std::vector<T> mean_, used_;
  Index steps_ = 0;
  bool mended_ = false;
};

/// Samples that are drawn for the step: a function of step and place alone.
class Drawn final : public train::BatchSource<double> {
 public:
  Batch<double> next(Index step, comm::Share share) override {
    x_ = Matrix<double>(2, share.count());
    for (Index j = 0; j < share.count(); ++j) {
      random::Stream stream(3, random::Purpose::check, static_cast<std::uint64_t>(step),
                            static_cast<std::uint64_t>(share.first + j));
      for (Index i = 0; i < 2; ++i) x_(i, j) = static_cast<double>(i) + stream.normal();
    }
    return {.x = x_};
  }
  Batch<double> validation() const override { return {}; }

 private:
  Matrix<double> x_;
};

Matrix<double> some_rows(Index d, Index n) {
  Matrix<double> x(d, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) x(i, j) = static_cast<double>(i) + std::sin(static_cast<double>(3 * j + i));
  }
  return x;
}

Options short_run(Index steps) {
  Options options;
  options.train.steps = steps;
  options.train.batch = 10;
  options.train.learning_rate = 0.1;
  options.train.warmup = 0;
  options.train.average = 0;
  options.train.validate_every = 1;
  options.output.every = 1;
  return options;
}

struct Run {
  train::Outcome outcome;
  std::vector<train::HistoryRow> rows;
};

template <class T>
Run run(const Communicator& comm, const Options& options, train::Objective<T>& objective,
        train::BatchSource<T>& source) {
  train::Trainer<T> trainer(comm, options, objective, source);
  train::History history(objective.loss_names());
  Run result;
  result.outcome = trainer.run(history, {}, {.observer = [&](const auto& row) { result.rows.push_back(row); }});
  return result;
}

/// A flow that works every sample on its own, so that its log-densities do not depend on batch mates.
template <class T>
flow::Flow<T> diagonal_flow(Index d) {
  flow::Flow<T> flow({.data = {.shape = Shape::vector(d)}, .chain = {flow::ActNormOptions()}}, 1);
  for (std::size_t i = 0; i < flow.parameters().size(); ++i) flow.parameters()[i] = T(0.1) * static_cast<T>(i + 1);
  flow.prepare(nn::Normalization::svd);
  return flow;
}

// A continuous flow whose field is not 0.
flow::Flow<double> continuous_flow(Index d) {
  flow::Flow<double> flow({.data = {.shape = Shape::vector(d)}, .chain = {flow::ContinuousOptions{.hidden = {5}}}}, 1);
  for (std::size_t i = 0; i < flow.parameters().size(); ++i) {
    flow.parameters()[i] = 0.3 * std::sin(static_cast<double>(3 * i + 1));
  }
  flow.prepare(nn::Normalization::svd);
  return flow;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(objective)

// The trainer makes any loss small: here the parameters become the weighted mean of the rows.
BOOST_FIXTURE_TEST_CASE(any_loss_is_trained, Ranks) {
  const auto x = some_rows(3, 40);
  std::vector<double> weight, expected(3);
  double total = 0;
  for (Index j = 0; j < 40; ++j) {
    weight.push_back(static_cast<double>(j % 3));
    total += weight.back();
    for (Index i = 0; i < 3; ++i) expected[i] += weight.back() * x(i, j);
  }
  for (double& value : expected) value /= total;
  const Batch<double> rows{.x = x, .weight = weight};
  train::RowBatches<double> source(rows, {.x = x}, 40, 1);
  SquaredDistance<double> objective(3);
  auto options = short_run(600);
  options.train.batch = 40;
  const auto result = run<double>(comm, options, objective, source);
  BOOST_TEST((result.outcome.end == train::End::steps));
  BOOST_TEST(on_all_ranks(comm, close_absolute(objective.parameters(), expected, 0.05)));
  BOOST_TEST(objective.planned == (40 + comm.size() - 1) / comm.size());
  BOOST_TEST(objective.evaluates);
  BOOST_TEST(objective.baked);
  BOOST_TEST(result.rows.front().train_loss > 100);
  BOOST_TEST(result.rows.back().train_loss < result.rows.front().train_loss);
  // The gradient of the first step at m = 0 is minus the mean.
  double norm = 0;
  for (const double value : expected) norm += value * value;
  BOOST_TEST(on_all_ranks(comm, close_relative(result.rows.front().gradient_norm, std::sqrt(norm), 1e-12)));
}

BOOST_FIXTURE_TEST_CASE(samples_may_be_drawn, Ranks) {
  const auto options = short_run(20);
  const auto course = [&](const Communicator& on) {
    Drawn source;
    SquaredDistance<double> objective(2);
    std::vector<double> all;
    for (const auto& row : run<double>(on, options, objective, source).rows) all.push_back(row.train_loss);
    all.insert(all.end(), objective.parameters().begin(), objective.parameters().end());
    BOOST_TEST(!objective.evaluates);
    return all;
  };
  const auto here = course(comm);
  BOOST_TEST(here.size() == 22U);
  BOOST_TEST(on_all_ranks(comm, close_relative(here, course(Communicator::self()), 1e-12)));
}

BOOST_FIXTURE_TEST_CASE(the_objective_says_what_to_try_again, Ranks) {
  const auto x = some_rows(2, 10);
  train::RowBatches<double> source({.x = x}, {}, 10, 1);
  SquaredDistance<double> mends(2), does_not(2), whole(2);
  mends.fails_at = does_not.fails_at = 3;
  does_not.mends = false;
  const auto good = run<double>(comm, short_run(5), mends, source);
  BOOST_TEST(good.outcome.repeated == 1);
  BOOST_TEST(good.outcome.steps == 5);
  const auto bad = run<double>(comm, short_run(5), does_not, source);
  BOOST_TEST((bad.outcome.end == train::End::diverged));
  BOOST_TEST(bad.outcome.reason.find("step 3: it hurts; take something") != std::string::npos, bad.outcome.reason);
  BOOST_TEST(bad.outcome.repeated == 0);
  BOOST_TEST(run<double>(comm, short_run(5), whole, source).outcome.repeated == 0);
}

BOOST_FIXTURE_TEST_CASE(the_objective_says_which_evaluation_is_better, Ranks) {
  const auto x = some_rows(2, 30);
  train::RowBatches<double> source({.x = x}, {.x = x}, 10, 1);
  SquaredDistance<double> small(2), large(2);
  large.prefers_large = true;
  BOOST_TEST(run<double>(comm, short_run(5), small, source).outcome.best_step == 5);
  BOOST_TEST(run<double>(comm, short_run(5), large, source).outcome.best_step == 1);
}

// The mean loss of a float run is that of doubles: a float holds neither Σ w·loss nor Σ w of these rows.
BOOST_FIXTURE_TEST_CASE(the_mean_loss_of_a_float_run_is_a_double, Ranks) {
  constexpr Index d = 3, n = 37;
  const auto wide = some_rows(d, n);
  Matrix<float> x(d, n);
  std::vector<float> weight;
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(wide.data()[i]);
  for (Index j = 0; j < n; ++j) weight.push_back(static_cast<float>(j % 2 == 0 ? 4096.5 : 0x1p-11));
  auto flow = diagonal_flow<float>(d);
  double loss = 0, total = 0;
  float float_loss = 0, float_total = 0;
  {
    std::vector<double> log_prob(n);
    std::vector<flow::Status> status(log_prob.size());
    flow::FlowWorkspace<float> workspace(flow, n, nn::Pass::evaluate);
    flow.log_prob({.x = x}, log_prob, {}, status, workspace);
    for (std::size_t j = 0; j < log_prob.size(); ++j) {
      loss -= static_cast<double>(weight[j]) * log_prob[j];
      total += static_cast<double>(weight[j]);
      float_loss -= weight[j] * static_cast<float>(log_prob[j]);
      float_total += weight[j];
    }
  }
  for (const bool reproducible : {false, true}) {
    auto trained = diagonal_flow<float>(d);
    auto options = short_run(1);
    options.train.batch = n;
    options.train.reproducible = reproducible;
    const Batch<float> rows{.x = x, .weight = weight};
    train::RowBatches<float> source(rows, {}, n, 1);
    Likelihood<float> likelihood(trained, {.log_det = 0.25});
    const double reported = run<float>(comm, options, likelihood, source).rows.front().train_loss;
    BOOST_TEST(on_all_ranks(comm, close_relative(reported + 0.25, loss / total, 1e-13)));
  }
  // The twin: sums in float give another mean.
  BOOST_TEST(!close_relative(static_cast<double>(float_loss / float_total), loss / total, 1e-9));
}

BOOST_AUTO_TEST_CASE(every_kind_adds_its_loss_and_gradient) {
  constexpr Index d = 2, n = 9;
  const auto x = some_rows(d, n);
  std::vector<double> weight;
  for (Index j = 0; j < n; ++j) weight.push_back(0.5 + static_cast<double>(j));
  const Batch<double> batch{.x = x, .weight = weight};
  const auto self = Communicator::self();
  train::TrainingData<double> data(self, train::ArrayRows({batch, batch}), {.standardize = "none"});
  for (const auto& kind : train::ObjectiveKind::registry().all()) {
    auto flow = kind.name == "flow_matching" ? continuous_flow(d) : diagonal_flow<double>(d);
    const auto options = short_run(1);
    const auto objective = kind.make(train::ObjectivePlace<double>{flow, options, data}, kind.options());
    objective->plan(n);
    const train::StepPart part{.step = 0, .first = 0, .batch = n};
    objective->begin_step(self, part.step);
    const auto loss = [&] {
      std::vector<double> unused(flow.parameters().size());
      objective->prepare();
      return objective->add(part, batch, unused).loss;
    };
    std::vector<double> gradient(flow.parameters().size(), 7.0);
    objective->prepare();
    const auto sum = objective->add(part, batch, gradient);
    objective->gradient_of_raw_parameters(gradient);
    BOOST_TEST(close_relative(sum.weight, 4.5 * 9, 1e-15));
    BOOST_TEST(close_relative(sum.loss, loss(), 1e-15));
    BOOST_TEST(sum.failure.empty());
    // Central differences; the 7 was there before.
    std::vector<double> expected;
    for (double& parameter : flow.parameters()) {
      const double here = parameter, step = 1e-5;
      double values[2];
      for (const int side : {0, 1}) {
        parameter = here + (side == 0 ? -step : step);
        values[side] = loss();
      }
      parameter = here;
      expected.push_back(7 + (values[1] - values[0]) / (2 * step));
    }
    BOOST_TEST(close_relative(gradient, expected, 1e-7), kind.name);
    auto wrong = gradient;
    wrong[0] = 7 - (wrong[0] - 7);
    BOOST_TEST(!close_relative(wrong, expected, 1e-7), kind.name);
  }
  data.release();
}

BOOST_AUTO_TEST_CASE(the_likelihood_evaluates_what_it_adds) {
  constexpr Index n = 9;
  auto flow = diagonal_flow<double>(2);
  const auto x = some_rows(2, n);
  std::vector<double> gradient(flow.parameters().size());
  Likelihood<double> likelihood(flow, {.log_det = 0.25});
  likelihood.plan(n);
  likelihood.prepare();
  const auto sum = likelihood.add({}, {.x = x}, gradient);
  const double mean = likelihood.evaluate(Communicator::self(), {.x = x}).mean;
  BOOST_TEST(close_relative(likelihood.reported(sum.loss / sum.weight), mean, 1e-13));
  BOOST_TEST(close_relative(mean, sum.loss / n - 0.25, 1e-13));
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_names_transform_row_and_remedy) {
  auto flow = diagonal_flow<float>(2);
  Matrix<float> x(2, 3);
  x(1, 2) = std::numeric_limits<float>::infinity();
  Likelihood<float> likelihood(flow);
  likelihood.plan(3);
  likelihood.prepare();
  std::vector<float> gradient(flow.parameters().size());
  const std::vector<Index> rows{40, 50, 60};
  const auto sum = likelihood.add({}, {.x = x, .draws = {.samples = rows}}, gradient);
  BOOST_TEST(sum.failure ==
             "transform 0 (actnorm), training row 60: values are not finite; try a smaller train.learning_rate, or "
             "train.clip = 1");
  BOOST_TEST(!std::isfinite(sum.loss));
  BOOST_CHECK_EXCEPTION(likelihood.add({}, {.x = Matrix<float>(2, 4)}, gradient), ShapeError,
                        says({"4 samples, but 3 were planned"}));
}

// An evaluation leaves a training step as it is: the power iterations keep their vectors, and parameters their values.
BOOST_AUTO_TEST_CASE(an_evaluation_leaves_no_trace) {
  const auto x = some_rows(4, 30);
  const auto course = [&](bool evaluates) {
    flow::Flow<double> flow(4, {.blocks = 2, .hidden = {9}, .lipschitz = 0.6}, 5);
    for (double& p : flow.parameters()) p *= 3;
    Likelihood<double> likelihood(flow);
    likelihood.plan(30);
    std::vector<double> gradient(flow.parameters().size());
    std::vector<double> elsewhere(flow.parameters().begin(), flow.parameters().end());
    for (double& p : elsewhere) p = std::cos(100 * p);
    for (int step = 0; step < 3; ++step) {
      likelihood.prepare();
      std::ranges::fill(gradient, 0.0);
      likelihood.add({}, {.x = x}, gradient);
      likelihood.gradient_of_raw_parameters(gradient);
      for (std::size_t i = 0; i < gradient.size(); ++i) flow.parameters()[i] -= 1e-3 * gradient[i];
      if (!evaluates) continue;
      likelihood.prepare_with(elsewhere);
      likelihood.evaluate(Communicator::self(), {.x = x});
    }
    return gradient;
  };
  BOOST_TEST(course(true) == course(false), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
