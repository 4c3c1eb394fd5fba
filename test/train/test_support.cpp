// Rows that a model excludes whatever its parameters: refused before the first step, on all ranks alike.

#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/permutation.hpp>

#include <ranks.hpp>
#include <says.hpp>

namespace pushforward::test {

namespace {

using comm::Communicator;
using train::Options;

constexpr Index rows = 40;

// Where a value stands that does not belong to the data.
struct Stray {
  std::string split;
  Index row;
  double value;
};

/// A file of rows (i mod 4, 1 or 2), divided by `divisor`, in three splits; written by rank 0.
std::string file_with(const Communicator& comm, const std::vector<Stray>& strays, double divisor) {
  const auto path = (scratch_directory() / fmt::format("rows-{}.h5", divisor)).string();
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
    for (const std::string split : {"train", "validation", "test"}) {
      Matrix<double> x(2, rows);
      for (Index i = 0; i < rows; ++i) {
        x(0, i) = static_cast<double>(i % 4) / divisor;
        x(1, i) = (i / 4 % 2 == 0 ? 1 : 2) / divisor;
      }
      for (const auto& stray : strays) {
        if (stray.split == split) x(1, stray.row) = stray.value;
      }
      file.root().write<double>(split, x.view());
    }
    file.save(path);
  });
  return path;
}

Options run_on(const std::string& file) {
  Options options;
  options.data.file = file;
  options.data.standardize = "none";
  options.model.kind = "realnvp";
  options.model.blocks = 1;
  options.model.hidden = {4};
  options.train.steps = 2;
  options.train.batch = 10;
  options.output.every = 1;
  return options;
}
Options run_on_integers(const Communicator& comm, const std::vector<Stray>& strays) {
  auto options = run_on(file_with(comm, strays, 1));
  options.model.levels = 4;
  options.model.logit = 0.05;
  return options;
}
Options run_on_fractions(const Communicator& comm, const std::vector<Stray>& strays) {
  auto options = run_on(file_with(comm, strays, 4));
  options.model.logit = 0.05;
  return options;
}

/// Trains; how many steps the observer hears of is in `steps`, the data are released whatever happens.
template <class T>
void train_on(const Communicator& comm, const Options& options, Index& steps) {
  train::TrainingData<T> data(comm, options.data);
  steps = 0;
  try {
    train::Fit<T> fit(comm, options, data);
    fit.run({.observer = [&](const auto&) { ++steps; }});
  } catch (const Error&) {
    data.release();
    throw;
  }
  data.release();
}

/// All ranks are refused with this message, before the first step.
template <class T>
void is_refused(const Communicator& comm, const Options& options, const std::vector<std::string>& parts) {
  Index steps = -1;
  bool refused = false;
  try {
    train_on<T>(comm, options, steps);
  } catch (const DataError& error) {
    refused = says(parts)(error);
  }
  BOOST_TEST(on_all_ranks(comm, Verdict(refused && steps == 0)), parts.front());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(support)

BOOST_FIXTURE_TEST_CASE(rows_that_no_parameter_can_admit_are_named_before_the_first_step, Ranks) {
  is_refused<float>(comm, run_on_integers(comm, {{"train", 23, 9}}),
                    {"transform 0 (dequantize), train row 23: a value is outside the support: value 1 is 9, and only "
                     "integers from 0 to 3 are admitted; the row is (3, 9)"});
  is_refused<double>(comm, run_on_integers(comm, {{"train", 23, 1.5}}),
                     {"transform 0 (dequantize), train row 23", "(3, 1.5)"});
  is_refused<double>(comm, run_on_integers(comm, {{"validation", 39, -1}}),
                     {"transform 0 (dequantize), validation row 39", "(3, -1)"});
  is_refused<double>(comm, run_on_integers(comm, {{"test", 0, 4}}), {"transform 0 (dequantize), test row 0", "(0, 4)"});
  is_refused<double>(comm, run_on_fractions(comm, {{"train", 6, 1.25}}),
                     {"transform 0 (elementwise), train row 6: a value is outside the support", "(0.5, 1.25)"});
  is_refused<float>(comm, run_on_fractions(comm, {{"validation", 1, -0.5}}),
                    {"transform 0 (elementwise), validation row 1", "(0.25, -0.5)"});
}

// With initial parameters, a row is outside the base's support or the domain of a transform that follows trained ones.
BOOST_FIXTURE_TEST_CASE(training_rows_outside_of_later_bounds_are_named_before_the_first_step, Ranks) {
  auto box = run_on(file_with(comm, {{"train", 23, 9}}, 1));
  box.model.base = flow::UniformOptions{.low = -2, .high = 2};
  is_refused<float>(comm, box,
                    {"the base density (uniform), train row 23: a value is outside the support: value 1 is ",
                     "outside [-2, 2]; the row is (3, 9)"});
  auto chain = run_on(file_with(comm, {{"train", 5, -2}}, 1));
  flow::ElementwiseOptions log;
  log.function = "log";
  log.shift = -3;
  chain.model.kind = "chain";
  chain.model.blocks = 0;
  chain.model.hidden = {};
  chain.model.chain = {flow::ActNormOptions(), log};
  is_refused<double>(comm, chain,
                     {"transform 1 (elementwise), train row 5: a value is outside the support: value 1 is -",
                      "only values in (-3, inf) are admitted; the row is (1, -2)"});
}

// Training may still move validation and test rows inside, so they are not refused but counted.
BOOST_FIXTURE_TEST_CASE(validation_rows_outside_of_later_bounds_leave_the_others_their_say, Ranks) {
  auto options = run_on(file_with(comm, {{"validation", 7, 99}, {"test", 3, 99}, {"test", 4, -99}}, 1));
  options.model.base = flow::UniformOptions{.low = -4, .high = 4};
  train::TrainingData<double> data(comm, options.data);
  train::Fit<double> fit(comm, options, data);
  const auto outcome = fit.run();
  const auto test = fit.evaluate(data::Split::test);
  data.release();
  BOOST_TEST(outcome.best_step > 0);
  BOOST_TEST(outcome.best_validation.value().outside == 1);
  BOOST_TEST(outcome.best_validation.value().failed == 1);
  BOOST_TEST(on_all_ranks(comm, Verdict(std::isfinite(outcome.best_validation.value().mean))));
  BOOST_TEST(failures(test) == "2 of 40 rows outside the support");
}

// A step that comes across such a row has no use for a smaller learning rate.
BOOST_FIXTURE_TEST_CASE(rows_that_training_moves_outside_are_no_divergence, Ranks) {
  auto options = run_on(file_with(comm, {}, 1));
  options.model.base = flow::UniformOptions{.low = -1.8, .high = 1.8};
  options.train.steps = 200;
  options.train.learning_rate = 0.1;
  options.train.warmup = 0;
  train::TrainingData<double> data(comm, options.data);
  train::Fit<double> fit(comm, options, data);
  const auto outcome = fit.run();
  data.release();
  BOOST_TEST((outcome.end == train::End::diverged));
  BOOST_TEST(outcome.reason.find("the base density (uniform), training row") != std::string::npos, outcome.reason);
  BOOST_TEST(outcome.reason.find("choose transforms and a base density without bounds") != std::string::npos);
  BOOST_TEST(outcome.reason.find("learning_rate") == std::string::npos, outcome.reason);
}

BOOST_FIXTURE_TEST_CASE(a_workspace_without_room_for_a_sample_is_refused_with_its_remedy, Ranks) {
  auto options = run_on(file_with(comm, {}, 1));
  options.model.kind = "residual";
  options.log_det.train = "exact";
  options.train.workspace = 1e-3;
  Index steps = -1;
  BOOST_CHECK_EXCEPTION(train_on<double>(comm, options, steps), OptionError,
                        says({"training: a sample takes ",
                              "most of it transform 1 (residual) with log-dets of 2 "
                              "values by exact; train.workspace is 1 kB: make it larger, or estimate log-dets, "
                              "as by log_det.train = \"krylov:8\""}));
}

// If several rows are outside, the first is named, whichever rank comes across it.
BOOST_FIXTURE_TEST_CASE(the_first_of_several_rows_is_named, Ranks) {
  is_refused<double>(comm, run_on_integers(comm, {{"train", 35, 9}, {"train", 4, 7}}), {"train row 4", "(0, 7)"});
  is_refused<double>(comm, run_on_integers(comm, {{"train", 3, 9}, {"train", 20, 7}}), {"train row 3", "(3, 9)"});
  is_refused<double>(comm, run_on_integers(comm, {{"validation", 0, 9}, {"train", 39, 7}}), {"train row 39"});
}

// The twin: what the support admits is trained on.
BOOST_FIXTURE_TEST_CASE(rows_that_are_admitted_are_trained_on, Ranks) {
  for (const auto& options : {run_on_integers(comm, {}), run_on_fractions(comm, {})}) {
    Index steps = -1;
    train_on<double>(comm, options, steps);
    BOOST_TEST(on_all_ranks(comm, Verdict(steps == 2)));
  }
}

// Behind parameters nothing is excluded for good.
BOOST_AUTO_TEST_CASE(only_what_comes_before_parameters_excludes) {
  using namespace flow;
  Architecture a;
  a.data.shape = Shape::vector(2);
  ElementwiseOptions log;
  log.function = "log";
  a.chain.emplace_back(PermutationOptions{.order = "reverse"});
  a.chain.emplace_back(log);
  Matrix<double> x(2, 3);
  x.fill(1);
  const auto excluded = [&](Reach reach = Reach::fixed) {
    const Flow<double> flow(a, 1);
    FlowWorkspace<double> workspace(flow, 4, Pass::evaluate);
    return flow.excluded({.x = x}, reach, workspace);
  };
  BOOST_TEST(!excluded().has_value());
  x(1, 2) = -1;
  const auto found = excluded();
  BOOST_TEST(found.value().transform == 1);
  BOOST_TEST(found.value().sample == 2);
  BOOST_TEST((found.value().status == Status::outside_support));
  BOOST_TEST(found.value().reason == "value 0 is -1, and only values in (0, inf) are admitted");
  a.chain.insert(a.chain.begin(), ActNormOptions());
  BOOST_TEST(!excluded().has_value());
  BOOST_TEST(excluded(Reach::whole).value().transform == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
