#include <pushforward/h5/writer.hpp>
#include <pushforward/toys/toy.hpp>
#include <pushforward/train/training_data.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>
#include <numbers>
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
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
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

// More than a rank reads alone.
BOOST_FIXTURE_TEST_CASE(ranks_share_out_the_reading, Ranks) {
  constexpr Index n = 50'000;
  TrainingData<double> data(comm, {.toy = "moons", .rows = n});
  Matrix<double> raw(2, n), expected(2, n);
  data::ToyDensity("moons").draw(1, 0, raw.view());
  data.standardization().forward<double>(raw, expected.view());
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.samples(Split::train), expected, 1e-14)));
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

BOOST_FIXTURE_TEST_CASE(contexts_are_standardized_and_shared, Ranks) {
  // Contexts: row number, its parity, and 7; weights favour every third row.
  constexpr Index n = 20;
  const auto path = (scratch_directory() / "rows.h5").string();
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    Matrix<double> x(4, n), c(3, n);
    std::vector<double> weights;
    for (Index j = 0; j < n; ++j) {
      for (Index i = 0; i < 4; ++i) x(i, j) = std::sin(static_cast<double>((i + 1) * j * j));
      c(0, j) = static_cast<double>(j);
      c(1, j) = static_cast<double>(j % 2);
      c(2, j) = 7;
      weights.push_back(static_cast<double>(1 + j % 3));
    }
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
    file.root().write("train", ConstMatrixView<double>(x));
    file.root().write("test", ConstMatrixView<double>(x).columns(0, 2));
    file.root().write("context/train", ConstMatrixView<double>(c));
    file.root().write("context/test", ConstMatrixView<double>(c).columns(0, 2));
    file.root().write("weight/train", weights);
    file.root().attribute("image_shape", std::vector<double>{2, 1, 2});
    file.save(path);
  });
  TrainingData<double> data(comm, {.file = path});
  BOOST_TEST(data.context_dimension() == 3);
  BOOST_TEST((data.image_shape() == Shape{2, 1, 2}));
  const auto c = data.context(Split::train);
  BOOST_TEST_REQUIRE((c.rows() == 3 && c.cols() == n));
  const auto w = data.weights(Split::train);
  for (Index i = 0; i < 3; ++i) {
    double total = 0, mean = 0, square = 0;
    for (Index j = 0; j < n; ++j) {
      total += w[j];
      mean += w[j] * c(i, j);
      square += w[j] * c(i, j) * c(i, j);
    }
    BOOST_TEST(on_all_ranks(comm, close_absolute(mean / total, 0, 1e-14)));
    BOOST_TEST(on_all_ranks(comm, close_absolute(square / total, i == 2 ? 0 : 1, 1e-14)));
  }
  Matrix<double> raw(3, 2);
  data.context_standardization()->inverse(data.context(Split::test), raw.view());
  BOOST_TEST(on_all_ranks(comm, close_absolute(raw.span(), std::vector<double>{0, 0, 7, 1, 1, 7}, 1e-14)));
  BOOST_TEST(data.context_standardization()->factor()(2, 2) == 1);
  BOOST_TEST(data.context(Split::validation).empty());
  data.release();

  TrainingData<float> whitened(comm, {.file = path, .standardize = "whiten"});
  BOOST_TEST((whitened.context_standardization()->kind() == data::Standardization::Kind::scale));
  whitened.release();
  TrainingData<float> plain(comm, {.file = path, .standardize = "none"});
  BOOST_TEST(plain.context(Split::train)(0, 13) == 13);
  plain.release();
  TrainingData<double> without(comm, {.file = write_rows(comm, 5, 2, false)});
  BOOST_TEST(!without.context_standardization().has_value());
  BOOST_TEST(without.context(Split::train).empty());
  without.release();
}

BOOST_FIXTURE_TEST_CASE(angles_are_wrapped_and_keep_their_scale, Ranks) {
  constexpr double pi = std::numbers::pi;
  const auto path = (scratch_directory() / "rows.h5").string();
  const std::vector<double> phi{pi, -pi, 1, 1 + 2 * pi, -1 - 4 * pi};
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    Matrix<double> x(3, 5);
    for (Index j = 0; j < 5; ++j) {
      x(0, j) = 10 + static_cast<double>(j);
      x(1, j) = x(2, j) = phi[j];
    }
    h5::FileImage file(data::dataset_format, data::dataset_format_version);
    file.root().write("train", ConstMatrixView<double>(x));
    file.root().write_strings("feature_names", std::vector<std::string>{"r", "phi", "psi"});
    file.root().attribute("periodic", std::vector<double>{0, 0, 1});
    file.save(path);
  });
  TrainingData<double> data(comm, {.file = path, .periodic = {"phi", "3"}});
  BOOST_TEST(data.periodic() == (std::vector<Index>{1, 2}), boost::test_tools::per_element());
  const auto x = data.samples(Split::train);
  for (const Index i : {1, 2}) {
    BOOST_TEST(data.standardization().mean()[i] == 0);
    BOOST_TEST(data.standardization().factor()(i, i) == 1);
    const std::vector<double> angles{x(i, 0), x(i, 1), x(i, 2), x(i, 3), x(i, 4)};
    // Numbers below 16 are spaced by at most 2⁻⁴⁹.
    BOOST_TEST(on_all_ranks(comm, close_absolute(angles, std::vector<double>{-pi, -pi, 1, 1, -1}, 0x1p-48)));
  }
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.standardization().log_det(), -0.5 * std::log(2.0), 1e-14)));
  data.release();

  TrainingData<float> of_file(comm, {.file = path, .standardize = "none"});
  BOOST_TEST(of_file.periodic() == std::vector<Index>{2}, boost::test_tools::per_element());
  BOOST_TEST(of_file.samples(Split::train)(2, 0) == -std::numbers::pi_v<float>);
  BOOST_TEST(of_file.samples(Split::train)(1, 0) == std::numbers::pi_v<float>);  // no angle
  of_file.release();
  TrainingData<double> array(comm, {.file = path + ":/train", .fractions = "0.8,0.2", .periodic = {"2"}});
  BOOST_TEST(array.periodic() == std::vector<Index>{1}, boost::test_tools::per_element());
  array.release();

  using Data = TrainingData<double>;
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .standardize = "whiten"}), OptionError, says({"whiten", "psi are"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .periodic = {"pi"}}), OptionError,
                        says({"data.periodic: no column 'pi'", "r, phi, psi"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.periodic = {"1"}}), OptionError, says({"data.periodic = 1", "has no angles"}));
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
