#include <pushforward/dataset/dataset.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/train/fit.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>

namespace pushforward::test {

namespace {

using comm::Communicator;
using data::Split;
using train::End;
using train::Fit;
using train::Options;
using train::TrainingData;

Options small_run(Index batch, bool reproducible = false) {
  Options options;
  options.data = {.toy = "moons", .rows = 500};
  options.model.blocks = 2;
  options.model.hidden = {12, 10};
  options.train.steps = 50;
  options.train.batch = batch;
  options.train.warmup = 5;
  options.train.validate_every = 25;
  options.train.reproducible = reproducible;
  options.output.every = 1;
  return options;
}

struct Course {
  std::vector<double> train_nll, validation_nll, gradient_norm;
  std::vector<double> parameters;
  train::Outcome outcome;
};

/// Trains on `comm`, whatever other ranks do.
template <class T>
Course run(
    const Communicator& comm, const Options& options, const std::function<bool()>& stop = [] { return false; }) {
  TrainingData<T> data(comm, options.data);
  Fit<T> fit(comm, options, data);
  Course course;
  course.outcome = fit.run({.observer =
                                [&](const train::HistoryRow& row) {
                                  course.train_nll.push_back(row.train_loss);
                                  course.gradient_norm.push_back(row.gradient_norm);
                                  if (row.validation) course.validation_nll.push_back(row.validation->mean);
                                },
                            .wish = [&] { return stop() ? train::Wish::stop : train::Wish::none; }});
  for (const T p : fit.flow().parameters()) course.parameters.push_back(static_cast<double>(p));
  data.release();
  return course;
}

Verdict same_course(const Course& a, const Course& b, double tolerance) {
  for (const auto& [x, y] : {std::pair(a.train_nll, b.train_nll), std::pair(a.gradient_norm, b.gradient_norm),
                             std::pair(a.validation_nll, b.validation_nll), std::pair(a.parameters, b.parameters)}) {
    if (auto verdict = close_relative(x, y, tolerance); !verdict) return verdict;
  }
  return true;
}

/// A file of `rows` rows of moons, every third of weight 0, the others of weights 1 and 2; written by rank 0.
std::string weighted_rows(const Communicator& comm, Index rows) {
  const auto path = (scratch_directory() / "weighted.h5").string();
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    const auto source = train::open_rows({.toy = "moons", .rows = rows});
    Matrix<double> x(2, rows);
    source->read(Split::train, 0, x.view());
    std::vector<double> weights;
    for (Index i = 0; i < rows; ++i) weights.push_back(static_cast<double>(i % 3));
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
    file.root().write<double>("train", x.view());
    file.root().write<double>("validation", x.view().columns(0, 20));
    file.root().write("weight/train", weights);
    file.save(path);
  });
  return path;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(trainer)

// 50 steps: a batch that divides, one that does not, one with fewer rows than ranks, one of a single row.
BOOST_FIXTURE_TEST_CASE(every_number_of_ranks_follows_the_same_course, Ranks) {
  for (const Index batch : {48, 37, 5, 1}) {
    const auto options = small_run(batch);
    const auto here = run<double>(comm, options), alone = run<double>(Communicator::self(), options);
    BOOST_TEST(on_all_ranks(comm, Verdict(here.train_nll.size() == 50 && here.validation_nll.size() == 2)));
    BOOST_TEST(on_all_ranks(comm, same_course(here, alone, 1e-9)), "batch " << batch);
  }
}

BOOST_FIXTURE_TEST_CASE(weighted_rows_follow_the_same_course, Ranks) {
  auto options = small_run(37);
  options.data = {.file = weighted_rows(comm, 300)};
  const auto here = run<double>(comm, options), alone = run<double>(Communicator::self(), options);
  BOOST_TEST(on_all_ranks(comm, same_course(here, alone, 1e-9)));
}

// Draws belong to rows, not to ranks.
BOOST_FIXTURE_TEST_CASE(stochastic_log_dets_follow_the_same_course, Ranks) {
  for (const char* const method : {"trace+krylov:2", "roulette:p=0.3,probe=gaussian", "series:4,probes=2"}) {
    auto options = small_run(37);
    options.log_det.train = method;
    const auto here = run<double>(comm, options), alone = run<double>(Communicator::self(), options);
    BOOST_TEST(on_all_ranks(comm, same_course(here, alone, 1e-9)), method);
    options.log_det.train = "exact";
    BOOST_TEST(on_all_ranks(comm, Verdict(!same_course(here, run<double>(comm, options), 1e-9))), method);
  }
}

// The twin: a course that differs in one part of a thousand of the learning rate does not pass for the same.
BOOST_FIXTURE_TEST_CASE(another_course_is_told_apart, Ranks) {
  auto options = small_run(37);
  const auto here = run<double>(comm, options);
  options.train.learning_rate *= 1.001;
  const auto other = run<double>(comm, options);
  BOOST_TEST(on_all_ranks(comm, Verdict(!same_course(here, other, 1e-9))));
}

BOOST_FIXTURE_TEST_CASE(reproducible_runs_have_the_same_bits, Ranks) {
  for (const Index batch : {48, 37, 5}) {
    const auto options = small_run(batch, true);
    const auto here = run<double>(comm, options), alone = run<double>(Communicator::self(), options);
    BOOST_TEST(on_all_ranks(comm, same_course(here, alone, 0)), "batch " << batch);
    const auto single = run<float>(comm, options), single_alone = run<float>(Communicator::self(), options);
    BOOST_TEST(on_all_ranks(comm, same_course(single, single_alone, 0)), "float, batch " << batch);
  }
}

// Rows of weight 0 must not matter, and weight 2 must count twice: the same data with repeated rows has the same NLL.
BOOST_FIXTURE_TEST_CASE(weights_count_like_repetitions, Ranks) {
  const auto weighted = weighted_rows(comm, 30);
  const auto repeated = (scratch_directory() / "repeated.h5").string();
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    const auto source = train::open_rows({.toy = "moons", .rows = 30});
    Matrix<double> x(2, 30), y(2, 30);
    source->read(Split::train, 0, x.view());
    Index count = 0;
    for (Index i = 0; i < 30; ++i) {
      for (Index k = 0; k < i % 3; ++k) std::copy_n(x.view().column(i), 2, y.view().column(count++));
    }
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
    file.root().write<double>("train", y.view());
    file.save(repeated);
  });
  // A step on all rows at once, in whatever order; nothing initialized from unweighted rows.
  auto options = small_run(30);
  options.train.steps = 5;
  options.model.actnorm = false;
  options.data = {.file = weighted};
  const auto a = run<double>(comm, options);
  options.data = {.file = repeated};
  const auto b = run<double>(comm, options);
  BOOST_TEST(on_all_ranks(comm, close_relative(a.train_nll, b.train_nll, 1e-11)));
  BOOST_TEST(on_all_ranks(comm, close_relative(a.gradient_norm, b.gradient_norm, 1e-9)));
}

BOOST_FIXTURE_TEST_CASE(training_improves_the_likelihood, Ranks) {
  auto options = small_run(64);
  options.data.rows = 5000;
  options.train.steps = 300;
  options.train.learning_rate = 0.03;
  const auto course = run<float>(comm, options);
  BOOST_TEST(on_all_ranks(comm, Verdict(course.validation_nll.back() < course.validation_nll.front() - 0.2)));
}

BOOST_FIXTURE_TEST_CASE(the_best_weights_are_kept, Ranks) {
  auto options = small_run(32);
  options.train.schedule = "constant";
  options.train.learning_rate = 0.03;
  options.train.average = 0;
  options.train.validate_every = 1;
  options.train.steps = 80;
  TrainingData<double> data(comm, options.data);
  Fit<double> fit(comm, options, data);
  std::vector<double> validation;
  const auto outcome = fit.run({.observer = [&](const auto& row) { validation.push_back(row.validation->mean); }});
  const auto best = std::min_element(validation.begin(), validation.end());
  BOOST_TEST(on_all_ranks(comm, Verdict(outcome.best_step == best - validation.begin() + 1)));
  BOOST_TEST(on_all_ranks(comm, close_relative(outcome.best_validation->mean, *best, 0)));
  const auto again = fit.evaluate(Split::validation);
  BOOST_TEST(on_all_ranks(comm, close_relative(again.mean, *best, 1e-12)));
  data.release();
}

BOOST_FIXTURE_TEST_CASE(patience_ends_a_run_that_no_longer_improves, Ranks) {
  auto options = small_run(32);
  options.train.learning_rate = 1e-300;  // nothing ever changes
  options.train.average = 0;             // nor does an average round
  options.train.validate_every = 2;
  options.train.patience = 3;
  const auto course = run<double>(comm, options);
  BOOST_TEST(on_all_ranks(comm, Verdict(course.outcome.end == End::patience)));
  // The first validation is the best one; three more bring nothing.
  BOOST_TEST(course.outcome.steps == 8);
  BOOST_TEST(course.outcome.best_step == 2);
}

BOOST_FIXTURE_TEST_CASE(one_rank_may_stop_all, Ranks) {
  int asked = 0;
  const bool asks = comm.rank() == comm.size() - 1;
  const auto course = run<double>(comm, small_run(32), [&] { return ++asked == 7 && asks; });
  BOOST_TEST(on_all_ranks(comm, Verdict(course.outcome.end == End::stop)));
  BOOST_TEST(course.outcome.steps == 7);
}

BOOST_FIXTURE_TEST_CASE(divergence_names_the_step_and_the_cause, Ranks) {
  auto options = small_run(32);
  options.train.learning_rate = 1e200;
  options.train.validate_every = 1;
  const auto course = run<double>(comm, options);
  BOOST_TEST(on_all_ranks(comm, Verdict(course.outcome.end == End::diverged)));
  BOOST_TEST(course.outcome.repeated == 1);  // an SVD did not help
  BOOST_TEST(course.outcome.reason.starts_with("step "));
  BOOST_TEST(course.outcome.reason.find("finite") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_history_that_cannot_be_begun_ends_all_ranks, Ranks) {
  const auto options = small_run(32);
  TrainingData<double> data(comm, options.data);
  Fit<double> fit(comm, options, data, {.architecture = {}, .history = "/dev/full", .checkpoint = {}, .diagnosis = {}});
  BOOST_CHECK_EXCEPTION(fit.run(), IoError, says({"/dev/full", "No space left"}));
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
