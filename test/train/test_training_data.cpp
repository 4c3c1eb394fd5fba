#include <pushforward/data/toy.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/train/training_data.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>
#include <numeric>

namespace pushforward::test {

namespace {

using data::Split;
using train::DataOptions;
using train::TrainingData;

// A dataset file of n rows and d columns with large means; written by rank 0.
std::string write_rows(const comm::Communicator& comm, Index n, Index d, bool weighted, double poison = 0) {
  const auto path = (scratch_directory() / "rows.h5").string();
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    Matrix<double> x(d, n);
    std::vector<double> weights;
    for (Index j = 0; j < n; ++j) {
      for (Index i = 0; i < d; ++i)
        x(i, j) = 1e6 * static_cast<double>(i + 1) + std::sin(static_cast<double>(3 * j + i));
      weights.push_back(static_cast<double>(j % 3));
    }
    if (poison != 0) x(0, n / 2) = poison;
    h5::FileImage file("pushforward-dataset", 1);
    file.root().write<double>("train", x.view());
    if (weighted) file.root().write("weight/train", weights);
    file.save(path);
  });
  return path;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(training_data)

BOOST_FIXTURE_TEST_CASE(built_in_rows_are_consecutive_and_standardized, Ranks) {
  const DataOptions options{.toy = "moons", .rows = 1000};
  TrainingData<double> data(comm, options);
  BOOST_TEST(data.rows(Split::train) == 1000);
  BOOST_TEST(data.rows(Split::validation) == 20);
  BOOST_TEST(data.rows(Split::test) == 100);
  const data::ToyDensity moons("moons");
  Matrix<double> raw(2, 100), expected(2, 100);
  moons.draw(1, 1020, raw.view());
  data.standardization().forward<double>(raw, expected.view());
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.samples(Split::test), expected, 0)));
  double mean = 0, square = 0;
  for (Index j = 0; j < 1000; ++j) mean += data.samples(Split::train)(1, j) / 1000;
  for (Index j = 0; j < 1000; ++j) square += std::pow(data.samples(Split::train)(1, j), 2) / 1000;
  BOOST_TEST(on_all_ranks(comm, close_absolute(mean, 0, 1e-12)));
  BOOST_TEST(on_all_ranks(comm, close_absolute(square, 1, 1e-12)));
  data.release();
}

BOOST_FIXTURE_TEST_CASE(standardization_happens_in_double, Ranks) {
  const auto path = write_rows(comm, 100, 3, false);
  TrainingData<float> single(comm, {.file = path});
  TrainingData<double> exact(comm, {.file = path});
  Matrix<double> widened(3, 100);
  for (Index i = 0; i < 300; ++i) widened.data()[i] = static_cast<double>(single.samples(Split::train).data()[i]);
  // A float has no digits left for a deviation of 1 at 3e6.
  BOOST_TEST(on_all_ranks(comm, close_absolute(widened, exact.samples(Split::train), 1e-6)));
  BOOST_TEST(exact.rows(Split::test) == 0);
  single.release();
  exact.release();
}

BOOST_FIXTURE_TEST_CASE(weights_come_along, Ranks) {
  TrainingData<double> data(comm, {.file = write_rows(comm, 31, 2, true), .standardize = "whiten"});
  BOOST_TEST(data.weighted());
  const auto w = data.weights(Split::train);
  BOOST_TEST(on_all_ranks(comm, close_absolute(std::accumulate(w.begin(), w.end(), 0.0), 30, 0)));
  data.release();
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_trained_on_is_refused_on_all_ranks, Ranks) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = write_rows(comm, 10, 2, false, nan);
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.file = bad}), DataError, says({bad, "row 5"}));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.file = "/no/such.h5"}), IoError, says({"/no/such.h5"}));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.fractions = "0.8,0.8,0.1"}), OptionError, says({"0.8,0.8,0.1"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
