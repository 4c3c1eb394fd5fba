// A run that stops and goes on is the run that did not stop.

#include <pushforward/core/state_set.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/likelihood.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <filesystem>
#include <fstream>

namespace pushforward::test {

namespace {

namespace fs = std::filesystem;
using comm::Communicator;
using train::End;
using train::Fit;
using train::Options;
using train::TrainingData;
using train::Wish;

// Residual blocks, so that power iterations are a part of the state, with validation, averages and patience.
Options small_run() {
  Options options;
  options.data.rows = 600;
  options.model.blocks = 2;
  options.model.hidden = {6};
  options.log_det.train = "series:3,trace=exact";
  options.train.steps = 24;
  options.train.batch = 40;
  options.train.warmup = 3;
  options.train.validate_every = 4;
  options.train.reproducible = true;
  options.output.every = 3;
  options.checkpoint.seconds = 0;
  return options;
}

struct Result {
  train::Outcome outcome;
  std::vector<double> parameters;
  std::vector<train::HistoryRow> rows;  // on rank 0
  bool continued = false;
};

/// Runs until step `stop`, or to the end.
template <class T>
Result run(const Communicator& comm, const Options& options, const std::string& checkpoint, Index stop = -1) {
  TrainingData<T> data(comm, options.data);
  Fit<T> fit(comm, options, data, {.architecture = {}, .history = {}, .checkpoint = checkpoint, .diagnosis = {}});
  Result result;
  result.continued = fit.continued_from().has_value();
  Index step = fit.steps_before();
  result.outcome = fit.run({.wish = [&] { return ++step == stop ? Wish::stop : Wish::none; }});
  for (const T p : fit.flow().parameters()) result.parameters.push_back(static_cast<double>(p));
  result.rows = fit.history().rows();
  data.release();
  return result;
}

std::string new_checkpoint(const Communicator& comm) {
  std::string path = scratch_directory() / "run.checkpoint.h5";
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    fs::remove(path);
    fs::remove(train::previous_checkpoint(path));
  });
  return path;
}

void damage(const Communicator& comm, const std::string& path) {
  if (comm.is_root()) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2000);
    file.put('x');
  }
  comm.barrier();
}

template <class T>
void check_continuation(const Communicator& comm, const Options& options) {
  const auto whole = run<T>(comm, options, "");
  for (const Index stop : {1, 5, 12, 23}) {
    const auto path = new_checkpoint(comm);
    const auto first = run<T>(comm, options, path, stop);
    BOOST_TEST((first.outcome.end == End::stop));
    BOOST_TEST(first.outcome.steps == stop);
    BOOST_TEST(!first.continued);
    const auto rest = run<T>(comm, options, path);
    BOOST_TEST(rest.continued);
    BOOST_TEST(rest.outcome.steps == options.train.steps);
    BOOST_TEST(rest.outcome.best_step == whole.outcome.best_step);
    BOOST_TEST(rest.outcome.best_validation->mean == whole.outcome.best_validation->mean);
    BOOST_TEST((rest.parameters == whole.parameters));
    BOOST_TEST(rest.rows.size() == whole.rows.size());
    for (std::size_t i = 0; i < std::min(rest.rows.size(), whole.rows.size()); ++i) {
      BOOST_TEST(rest.rows[i].step == whole.rows[i].step);
      BOOST_TEST(rest.rows[i].train_loss == whole.rows[i].train_loss);
      BOOST_TEST(rest.rows[i].validation.has_value() == whole.rows[i].validation.has_value());
      BOOST_TEST((i == 0 || rest.rows[i].seconds >= rest.rows[i - 1].seconds));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_FIXTURE_TEST_CASE(a_continued_run_has_the_bits_of_the_whole_run, Ranks) {
  for (const auto& optimizer : optim::algorithm_names()) {
    auto options = small_run();
    options.train.optimizer = optimizer;
    options.train.weight_decay = 0.01;
    check_continuation<double>(comm, options);
  }
  check_continuation<float>(comm, small_run());
  auto images = small_run();
  images.model.kind = "glow";
  images.log_det.train = "auto";
  check_continuation<double>(comm, images);
}

// The twin: if one value of the state is that of a fresh run after half of the steps, the run ends elsewhere.
BOOST_FIXTURE_TEST_CASE(every_value_of_the_state_matters, Ranks) {
  auto options = small_run();
  options.train.validate_every = options.train.steps;
  TrainingData<double> data(comm, options.data);
  const auto end_without = [&](const std::string& lacking) {
    train::RowBatches<double> source(data.batch(data::Split::train), data.batch(data::Split::validation),
                                     options.train.batch, 1);
    flow::Flow<double> flow(options.architecture(data.domain()), 1);
    flow.set_log_det(nn::Pass::gradient, logdet::parse_method(options.log_det.train));
    train::Likelihood<double> objective(flow);
    train::Trainer<double> trainer(comm, options, objective, source);
    const auto state = trainer.state();
    const StateCopy fresh(state);
    const auto forget = [&] {
      const StateCopy kept(state);
      fresh.restore(state);
      std::vector<std::byte> bytes;
      for (const auto& entry : state.entries()) {
        if (entry.name == lacking) bytes.assign(bytes_of(entry).begin(), bytes_of(entry).end());
      }
      kept.restore(state);
      for (const auto& entry : state.entries()) {
        if (entry.name == lacking) std::copy(bytes.begin(), bytes.end(), bytes_of(entry).begin());
      }
    };
    train::History history(objective.loss_names());
    Index step = 0;
    trainer.run(history, {}, {.wish = [&] {
                  if (step++ == 12) forget();
                  return Wish::none;
                }});
    return std::vector<double>(flow.parameters().begin(), flow.parameters().end());
  };
  const auto right = end_without("");
  BOOST_TEST((end_without("") == right));
  for (const auto* name : {"average", "optimizer/first_moment", "optimizer/second_moment", "optimizer/steps", "step",
                           "parameters", "transforms/001/layer_0/left"}) {
    BOOST_TEST((end_without(name) != right), name);
  }
  data.release();
}

BOOST_FIXTURE_TEST_CASE(a_run_goes_on_with_another_number_of_ranks, Ranks) {
  const auto options = small_run();
  const auto whole = run<double>(comm, options, "");
  const auto path = new_checkpoint(comm);
  // Rank 0 alone begins; all ranks go on.
  if (comm.is_root()) run<double>(Communicator(MPI_COMM_SELF), options, path, 10);
  comm.barrier();
  const auto rest = run<double>(comm, options, path);
  BOOST_TEST(rest.continued);
  BOOST_TEST((rest.parameters == whole.parameters));
}

BOOST_FIXTURE_TEST_CASE(a_finished_run_is_extended, Ranks) {
  auto options = small_run();
  options.train.schedule = "constant";
  const auto path = new_checkpoint(comm);
  run<double>(comm, options, path);
  const auto again = run<double>(comm, options, path);
  BOOST_TEST(again.continued);
  BOOST_TEST(again.outcome.steps == 24);
  options.train.steps = 36;
  const auto extended = run<double>(comm, options, path);
  const auto whole = run<double>(comm, options, "");
  BOOST_TEST(extended.outcome.steps == 36);
  BOOST_TEST((extended.parameters == whole.parameters));
  options.train.steps = 30;
  BOOST_CHECK_EXCEPTION(run<double>(comm, options, path), OptionError, says({"has 36 steps", "train.steps = 30"}));
}

BOOST_FIXTURE_TEST_CASE(another_configuration_or_dataset_is_refused, Ranks) {
  const auto options = small_run();
  const auto path = new_checkpoint(comm);
  run<double>(comm, options, path, 5);
  const auto refused = [&](auto change, std::vector<std::string> words) {
    auto other = options;
    change(other);
    BOOST_CHECK_EXCEPTION(run<double>(comm, other, path), DataError, says(std::move(words)));
  };
  refused([](Options& o) { o.train.batch = 41; }, {"another run: train.batch (was 40, is 41)", "--restart never"});
  refused([](Options& o) { o.train.learning_rate = 0.5; }, {"train.learning_rate (was 0.01, is 0.5)"});
  refused([](Options& o) { o.model.hidden = {7, 7}; }, {"model.hidden (was [6], is [7, 7])"});
  refused([](Options& o) { o.log_det.train = "exact"; },
          {"log_det.train (was \"series:3,trace=exact\", is \"exact\")"});
  refused([](Options& o) { o.data.toy = "moons"; }, {"data.toy (was \"checkerboard\", is \"moons\")"});
  auto free = options;
  free.output.every = 7;
  free.train.workspace = 10;
  free.checkpoint.steps = 4;
  BOOST_TEST(run<double>(comm, free, path).continued);
  auto anew = options;
  anew.train.batch = 41;
  anew.checkpoint.restart = "never";
  BOOST_TEST(!run<double>(comm, anew, path, 3).continued);
  auto always = options;
  always.checkpoint.restart = "always";
  BOOST_CHECK_EXCEPTION(run<double>(comm, always, (scratch_directory() / "absent.h5").string()), IoError,
                        says({"there is no checkpoint", "absent.h5"}));
}

BOOST_FIXTURE_TEST_CASE(the_previous_checkpoint_takes_the_place_of_a_damaged_one, Ranks) {
  auto options = small_run();
  options.checkpoint.steps = 5;
  const auto whole = run<double>(comm, options, "");
  const auto path = new_checkpoint(comm);
  run<double>(comm, options, path, 12);
  damage(comm, path);
  const auto rest = run<double>(comm, options, path);
  BOOST_TEST(rest.continued);
  BOOST_TEST((rest.parameters == whole.parameters));
  damage(comm, path);
  damage(comm, train::previous_checkpoint(path));
  BOOST_CHECK_EXCEPTION(run<double>(comm, options, path), IoError,
                        says({"no checkpoint can be used", "run.checkpoint.h5: is damaged", "--restart never"}));
}

BOOST_FIXTURE_TEST_CASE(replicas_that_differ_are_an_error, Ranks) {
  auto options = small_run();
  options.checkpoint.steps = 4;
  TrainingData<double> data(comm, options.data);
  Fit<double> fit(comm, options, data,
                  {.architecture = {}, .history = {}, .checkpoint = new_checkpoint(comm), .diagnosis = {}});
  Index step = 0;
  const int last = comm.size() - 1;
  const auto spoil = [&] {
    if (++step == 3 && comm.rank() == last && last > 0) fit.flow().parameters()[0] += 1e-15;
    return Wish::none;
  };
  if (last > 0) {
    BOOST_CHECK_EXCEPTION(fit.run({.wish = spoil}), NumericalError, says({"is not that of rank 0"}));
  } else {
    BOOST_TEST((fit.run({.wish = spoil}).end == End::steps));
  }
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
