#include <pushforward/model/model.hpp>
#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/transforms/actnorm.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <filesystem>

namespace pushforward::test {

namespace {

using data::Split;
using train::ArrayRows;
using train::Fit;
using train::Options;
using train::TrainingData;

Options short_run() {
  Options options;
  options.model.kind = "realnvp";
  options.model.blocks = 2;
  options.model.hidden = {8};
  options.train.steps = 30;
  options.train.batch = 32;
  options.train.warmup = 2;
  options.output.every = 10;
  return options;
}

/// Rows about (3, 5u), given u.
struct Arrays {
  Matrix<double> x, u;
  explicit Arrays(Index n) : x(2, n), u(1, n) {
    random::Stream stream(8, random::Purpose::check);
    for (Index j = 0; j < n; ++j) {
      u(0, j) = stream.normal();
      x(0, j) = 3 + stream.normal();
      x(1, j) = 5 * u(0, j) + 0.1 * stream.normal();
    }
  }
  flow::Batch<double> rows() const { return {.x = x, .context = u}; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(fit)

// From arrays to a model file whose density is the one that was evaluated.
BOOST_FIXTURE_TEST_CASE(arrays_become_a_model, Ranks) {
  const Arrays arrays(600);
  const auto all = arrays.rows();
  TrainingData<double> data(
      comm, ArrayRows({all.part(0, 400), all.part(400, 100), all.part(500, 100)}, {.name = "mine"}), {});
  auto options = short_run();
  options.train.steps = 200;
  Fit<double> fit(comm, options, data);
  const double before = fit.evaluate(Split::test).mean;
  std::vector<Index> steps;
  const auto outcome = fit.run({.observer = [&](const auto& row) { steps.push_back(row.step); }});
  const auto test = fit.evaluate(Split::test);
  BOOST_TEST(on_all_ranks(comm, Verdict(test.mean < before - 0.5)));
  BOOST_TEST(test.rows == 100);
  BOOST_TEST(steps.size() == 20U);
  BOOST_TEST((outcome.end == train::End::steps));
  BOOST_TEST(fit.history().rows().size() == (comm.is_root() ? 20U : 0U));

  const auto path = (scratch_directory() / "model.h5").string();
  fit.save(path);
  comm.barrier();
  comm::agree(comm, [&] {
    const auto model = flow::load_model<double>(path);
    flow::FlowWorkspace<double> workspace(model.flow(), 100, nn::Pass::evaluate);
    std::vector<double> log_prob(100);
    std::vector<flow::Status> status(log_prob.size());
    model.log_prob(all.part(500, 100), log_prob, {}, status, workspace);
    double mean = 0;
    for (const double value : log_prob) mean -= value / 100;
    BOOST_TEST(close_relative(mean, test.mean, 1e-12));
    BOOST_TEST(!close_relative(mean, before, 1e-2));
    const auto& provenance = model.notes().provenance;
    const auto has = [&](const char* name, const std::string& value) {
      return std::ranges::find(provenance, std::pair(std::string(name), value)) != provenance.end();
    };
    BOOST_TEST(has("input", "mine"));
    BOOST_TEST(has("steps", "200"));
    BOOST_TEST(has("ranks", std::to_string(comm.size())));
    BOOST_TEST(!has("steps", "199"));
    BOOST_TEST(h5::open_file(path).group("history").dataset("train_nll").shape()[0] == 20);
  });
  BOOST_CHECK_EXCEPTION(fit.save("/no/such/model.h5"), IoError, says({"/no/such"}));
  data.release();
}

// fit() is a Fit that is run, and takes an architecture of the caller's.
BOOST_FIXTURE_TEST_CASE(one_call_gives_the_same_flow, Ranks) {
  const Arrays arrays(100);
  TrainingData<float> data(comm, ArrayRows({arrays.rows()}), {});
  const auto options = short_run();
  const auto history = (scratch_directory() / fmt::format("{}.csv", comm.size())).string();
  Fit<float> steps(comm, options, data);
  steps.run();
  const auto fitted = train::fit<float>(comm, options, data, {.history = history});
  BOOST_TEST(on_all_ranks(comm, close_relative(fitted.flow.parameters(), std::as_const(steps.flow()).parameters(), 0)));
  BOOST_TEST(fitted.outcome.steps == 30);
  BOOST_TEST(on_all_ranks(comm, Verdict(std::filesystem::exists(history))));
  const flow::Architecture own{.data = data.domain(), .chain = {flow::ActNormOptions()}};
  const auto small = train::fit<float>(comm, options, data, {.architecture = own});
  BOOST_TEST(small.flow.transforms().size() == 1U);
  BOOST_TEST((steps.flow().transforms().size() > 1U));
  const flow::Architecture other{.data = {.shape = Shape::vector(3)}, .chain = {flow::ActNormOptions()}};
  BOOST_CHECK_EXCEPTION(train::fit<float>(comm, options, data, {.architecture = other}), ShapeError,
                        says({"initialize_from_data: (2 × 100) samples"}));
  data.release();
}

struct InBitsOptions {
  static constexpr const char* kind = "in_bits";
  static constexpr const char* help = "maximum likelihood, reported in bits";
  double factor = 1;  ///< of the bits, to see that options arrive

  OptionSet declare() {
    OptionSet set;
    set.add("factor", factor, "factor of the bits");
    return set;
  }
};

/// A likelihood that counts how often it is asked, and reports in bits.
template <class T>
class InBits final : public train::Objective<T> {
 public:
  InBits(const train::ObjectivePlace<T>& place, const InBitsOptions& options)
      : likelihood_(place), factor_(options.factor) {}
  train::LossName loss_name() const override { return {"bits", "bit"}; }
  double reported(double mean_loss) const override { return factor_ * mean_loss / std::log(2.0); }
  void plan(Index n) override { likelihood_.plan(n); }
  void plan_evaluation() override { likelihood_.plan_evaluation(); }
  Index workspace_bytes() const override { return likelihood_.workspace_bytes(); }
  void require_data(const comm::Communicator&, const TrainingData<T>&, const Warn&) override { ++checks; }
  std::span<T> parameters() override { return likelihood_.parameters(); }
  void prepare() override { likelihood_.prepare(); }
  train::LossSum add(const train::StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) override {
    return likelihood_.add(part, batch, gradient);
  }
  void gradient_of_raw_parameters(std::span<T> gradient) const override {
    likelihood_.gradient_of_raw_parameters(gradient);
  }
  void prepare_with(std::span<const T> parameters) override { likelihood_.prepare_with(parameters); }
  flow::Evaluation evaluate(const comm::Communicator& comm, const flow::Batch<T>& rows) override {
    auto result = likelihood_.evaluate(comm, rows);
    result.mean = reported(result.mean);
    return result;
  }
  void bake() override { likelihood_.bake(); }

  inline static int checks = 0;

 private:
  train::Likelihood<T> likelihood_;
  double factor_;
};

BOOST_FIXTURE_TEST_CASE(an_objective_of_ones_own_is_trained, Ranks) {
  const Arrays arrays(100);
  TrainingData<double> data(comm, ArrayRows({arrays.rows(), arrays.rows()}), {.standardize = "none"});
  train::ObjectiveKind::registry().add(train::objective_kind<InBitsOptions, InBits>());
  auto options = short_run();
  const auto nats = train::fit<double>(comm, options, data);
  options.objective = InBitsOptions{.factor = 2};
  InBits<double>::checks = 0;
  const auto bits = train::fit<double>(comm, options, data);
  BOOST_TEST(InBits<double>::checks == 1);
  BOOST_TEST(on_all_ranks(comm, close_relative(bits.flow.parameters(), nats.flow.parameters(), 0)));
  BOOST_TEST(on_all_ranks(comm, close_relative(bits.outcome.best_validation->mean * std::log(2.0) / 2,
                                               nats.outcome.best_validation->mean, 1e-13)));
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
