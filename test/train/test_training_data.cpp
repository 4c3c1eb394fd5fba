#include <pushforward/dataset/dataset.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/toys/toy.hpp>
#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/training_data.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <algorithm>
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
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.batch(Split::test).x, expected, 0)));
  double mean = 0, square = 0;
  for (Index j = 0; j < 1000; ++j) mean += data.batch(Split::train).x(1, j) / 1000;
  for (Index j = 0; j < 1000; ++j) square += std::pow(data.batch(Split::train).x(1, j), 2) / 1000;
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
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.batch(Split::train).x, expected, 1e-14)));
  data.release();
}

// Slabs of any size give the same rows, and on any number of ranks the same bits.
BOOST_FIXTURE_TEST_CASE(slabs_have_boundaries_that_nobody_sees, Ranks) {
  constexpr Index n = 31;
  const auto path = write_rows(comm, n, 2, true);
  const DataOptions options{.file = path, .standardize = "whiten"};
  const auto bits = [](const TrainingData<double>& data) {
    const auto& map = data.standardization();
    std::vector<double> all(map.mean());
    all.insert(all.end(), map.factor().span().begin(), map.factor().span().end());
    const auto rows = data.batch(Split::train);
    for (Index j = 0; j < rows.size(); ++j) {
      const auto x = rows.x.column_span(j);
      all.insert(all.end(), x.begin(), x.end());
      all.push_back(rows.weight[j]);
    }
    return all;
  };
  TrainingData<double> whole(comm, options);
  const auto expected = bits(whole);
  whole.release();
  for (const Index slab : {1, 2, 7, 15, 30, 31}) {
    TrainingData<double> here(comm, options, slab), alone(comm::Communicator::self(), options, slab);
    BOOST_TEST(on_all_ranks(comm, Verdict(bits(here) == bits(alone))), "slab " << slab);
    BOOST_TEST(on_all_ranks(comm, close_absolute(bits(here), expected, 1e-8)), "slab " << slab);
    here.release();
    alone.release();
  }
  // The twin: rows that are one off are told apart.
  auto shifted = expected;
  std::rotate(shifted.begin() + 6, shifted.begin() + 9, shifted.end());
  BOOST_TEST(!close_absolute(shifted, expected, 1e-8));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, options, 0), OptionError, says({"slabs of 0 rows"}));
}

// A reader that counts how often a row is read.
class CountingRows final : public data::RowReader {
 public:
  explicit CountingRows(Index n) : counts(static_cast<std::size_t>(n)) {
    description_ = {.name = "counted", .dimension = 1, .rows = {n, 0, 0}, .feature_names = {"x"}};
  }
  void read(Split, Index first, MatrixView<double> x) const override {
    for (Index j = 0; j < x.cols(); ++j) {
      x(0, j) = static_cast<double>(first + j);
      ++counts[first + j];
    }
  }
  void read_weights(Split, Index, std::span<double>) const override {}
  void read_context(Split, Index, MatrixView<double>) const override {}

  mutable std::vector<double> counts;
};

BOOST_FIXTURE_TEST_CASE(every_row_is_read_once, Ranks) {
  CountingRows reader(50);
  TrainingData<double> data(comm, reader, {}, 3);
  comm.sum(std::span(reader.counts));  // all ranks of the test are on one node
  BOOST_TEST(on_all_ranks(comm, Verdict(std::ranges::all_of(reader.counts, [](double c) { return c == 1; }))));
  data.release();
}

BOOST_FIXTURE_TEST_CASE(a_callers_arrays_are_read_like_a_file, Ranks) {
  const auto path = write_rows(comm, 31, 2, true);
  TrainingData<double> of_file(comm, {.file = path});
  Matrix<double> x(2, 31);
  std::vector<double> weights(31);
  const auto rows = train::open_rows({.file = path});
  rows->read(Split::train, 0, x.view());
  rows->read_weights(Split::train, 0, weights);
  const flow::Batch<double> all{.x = x, .weight = weights};
  TrainingData<double> of_arrays(comm, train::ArrayRows({all}), {});
  BOOST_TEST(of_arrays.rows(Split::train) == 31);
  BOOST_TEST(of_arrays.rows(Split::test) == 0);
  BOOST_TEST(of_arrays.description().feature_names[1] == "x2");
  BOOST_TEST(on_all_ranks(comm, close_absolute(of_arrays.batch(Split::train).x, of_file.batch(Split::train).x, 0)));
  const double largest = *std::ranges::max_element(weights);
  for (double& weight : weights) weight /= largest;
  BOOST_TEST(on_all_ranks(comm, close_absolute(of_arrays.batch(Split::train).weight, weights, 0)));
  of_file.release();
  of_arrays.release();
  // Contexts, splits of their own, and what does not fit.
  Matrix<double> u(1, 31);
  for (Index j = 0; j < 31; ++j) u(0, j) = static_cast<double>(j);
  const flow::Batch<double> given{.x = x, .context = u}, two = given.part(29, 2);
  TrainingData<double> conditional(comm, train::ArrayRows({given, two}, {.context_names = {"u"}}), {});
  BOOST_TEST(conditional.rows(Split::validation) == 2);
  BOOST_TEST(conditional.domain().context == 1);
  BOOST_TEST(on_all_ranks(comm, close_absolute(conditional.batch(Split::validation).context.column_span(1),
                                               conditional.batch(Split::train).context.column_span(30), 0)));
  conditional.release();
  using train::ArrayRows;
  BOOST_CHECK_EXCEPTION(ArrayRows({flow::Batch<double>{}}), ShapeError, says({"arrays: no rows to train on"}));
  BOOST_CHECK_EXCEPTION(ArrayRows({given, all}, {.name = "mine"}), ShapeError,
                        says({"mine: validation has rows (2 × 31)", "c = 1"}));
  BOOST_CHECK_EXCEPTION(ArrayRows({all}, {.feature_names = {"a"}}), ShapeError, says({"1 names for 2 columns"}));
  x(1, 4) = std::numeric_limits<double>::infinity();
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, ArrayRows({all}), {}), DataError,
                        says({"arrays: the sample of row 4"}));
  x(1, 4) = 0;
  weights[9] = -1;
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, ArrayRows({all}), {}), DataError,
                        says({"the weight of row 9", "-1"}));
}

BOOST_FIXTURE_TEST_CASE(standardization_happens_in_double, Ranks) {
  const auto path = write_rows(comm, 100, 3, false);
  TrainingData<float> single(comm, {.file = path});
  TrainingData<double> exact(comm, {.file = path});
  Matrix<double> widened(3, 100);
  for (Index i = 0; i < 300; ++i) widened.data()[i] = static_cast<double>(single.batch(Split::train).x.data()[i]);
  // A float has no digits left for a deviation of 1 at 3e6.
  BOOST_TEST(on_all_ranks(comm, close_absolute(widened, exact.batch(Split::train).x, 1e-6)));
  BOOST_TEST(exact.rows(Split::test) == 0);
  single.release();
  exact.release();
}

BOOST_FIXTURE_TEST_CASE(weights_come_along, Ranks) {
  TrainingData<double> data(comm, {.file = write_rows(comm, 31, 2, true), .standardize = "whiten"});
  BOOST_TEST(data.description().weighted);
  const auto w = data.batch(Split::train).weight;
  // They are divided by the largest, which is 2.
  BOOST_TEST(on_all_ranks(comm, close_absolute(std::accumulate(w.begin(), w.end(), 0.0), 15, 0)));
  data.release();
}

BOOST_FIXTURE_TEST_CASE(contexts_are_standardized_and_shared, Ranks) {
  // Contexts: row number, its parity, and 7; weights favor every third row.
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
  BOOST_TEST(data.description().context_dimension() == 3);
  BOOST_TEST((data.description().image_shape == Shape{2, 1, 2}));
  const auto c = data.batch(Split::train).context;
  BOOST_TEST_REQUIRE((c.rows() == 3 && c.cols() == n));
  const auto w = data.batch(Split::train).weight;
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
  data.context_standardization()->inverse(data.batch(Split::test).context, raw.view());
  BOOST_TEST(on_all_ranks(comm, close_absolute(raw.span(), std::vector<double>{0, 0, 7, 1, 1, 7}, 1e-14)));
  BOOST_TEST(data.context_standardization()->scale(2) == 1);
  BOOST_TEST(data.batch(Split::validation).context.empty());
  data.release();

  TrainingData<float> whitened(comm, {.file = path, .standardize = "whiten"});
  BOOST_TEST((whitened.context_standardization()->kind() == data::Standardization::Kind::scale));
  whitened.release();
  TrainingData<float> plain(comm, {.file = path, .standardize = "none"});
  BOOST_TEST(plain.batch(Split::train).context(0, 13) == 13);
  plain.release();
  TrainingData<double> without(comm, {.file = write_rows(comm, 5, 2, false)});
  BOOST_TEST(!without.context_standardization().has_value());
  BOOST_TEST(without.batch(Split::train).context.empty());
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
  BOOST_TEST(data.description().periodic == (std::vector<Index>{1, 2}), boost::test_tools::per_element());
  const auto x = data.batch(Split::train).x;
  for (const Index i : {1, 2}) {
    BOOST_TEST(data.standardization().mean()[i] == 0);
    BOOST_TEST(data.standardization().scale(i) == 1);
    const std::vector<double> angles{x(i, 0), x(i, 1), x(i, 2), x(i, 3), x(i, 4)};
    // Numbers below 16 are spaced by at most 2⁻⁴⁹.
    BOOST_TEST(on_all_ranks(comm, close_absolute(angles, std::vector<double>{-pi, -pi, 1, 1, -1}, 0x1p-48)));
  }
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.standardization().log_det(), -0.5 * std::log(2.0), 1e-14)));
  data.release();

  TrainingData<float> of_file(comm, {.file = path, .standardize = "none"});
  BOOST_TEST(of_file.description().periodic == std::vector<Index>{2}, boost::test_tools::per_element());
  BOOST_TEST(of_file.batch(Split::train).x(2, 0) == -std::numbers::pi_v<float>);
  BOOST_TEST(of_file.batch(Split::train).x(1, 0) == std::numbers::pi_v<float>);  // no angle
  of_file.release();
  TrainingData<double> array(comm, {.file = path + ":/train", .fractions = "0.8,0.2", .periodic = {"2"}});
  BOOST_TEST(array.description().periodic == std::vector<Index>{1}, boost::test_tools::per_element());
  array.release();

  using Data = TrainingData<double>;
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .standardize = "whiten"}), OptionError, says({"whiten", "psi are"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .spheres = {"r+psi"}}), OptionError,
                        says({"data.spheres: column 2 is of a sphere and an angle"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .spheres = {"r"}}), OptionError,
                        says({"data.spheres: a sphere of 1 columns"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .spheres = {"r+phi"}}), DataError,
                        says({"row 0 (counted from 0) of train: r, phi should be a unit vector", "--sphere"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.spheres = {"1+2"}}), OptionError,
                        says({"data.spheres = 1+2", "has no unit vectors"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.file = path, .periodic = {"pi"}}), OptionError,
                        says({"data.periodic: no column 'pi'", "r, phi, psi"}));
  BOOST_CHECK_EXCEPTION(Data(comm, {.periodic = {"1"}}), OptionError, says({"data.periodic = 1", "has no angles"}));
}

// Unit vectors are not scaled, and a row is off the sphere by less than the tolerance or refused by its number.
BOOST_FIXTURE_TEST_CASE(unit_vectors_stay_as_they_are, Ranks) {
  Matrix<double> x(4, 40);
  for (Index j = 0; j < 40; ++j) {
    const double angle = 0.3 * static_cast<double>(j);
    x(0, j) = std::cos(angle);
    x(2, j) = std::sin(angle);
    x(1, j) = x(3, j) = static_cast<double>(j % 7);
  }
  const auto rows = [&](const Matrix<double>& all) {
    return train::ArrayRows({flow::Batch<double>{.x = all}, {.x = all}}, {.spheres = {{0, 2}}});
  };
  for (const auto* const kind : {"auto", "unit", "none"}) {
    TrainingData<double> data(comm, rows(x), {.standardize = kind});
    const auto stored = data.batch(Split::train).x;
    for (Index j = 0; j < 40; ++j) {
      BOOST_TEST(stored(0, j) == x(0, j));
      BOOST_TEST(stored(2, j) == x(2, j));
    }
    BOOST_TEST((stored(1, 1) == x(1, 1)) == (std::string_view(kind) == "none"));
    BOOST_TEST((data.domain().spheres == std::vector<Sphere>{{0, 2}}));
    data.release();
  }
  auto off = x;
  off(0, 5) *= 1 + 1e-6;
  TrainingData<float>(comm, rows(off), {}).release();
  off(0, 31) += 0.01;
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, rows(off), {}, 8), DataError,
                        says({"arrays: row 31 (counted from 0)", "x1, x3 should be a unit vector, and its length is"}));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, rows(x), {.standardize = "whiten"}), OptionError,
                        says({"x1, x3 are angles or unit vectors"}));
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_trained_on_is_refused_on_all_ranks, Ranks) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = write_rows(comm, 10, 2, false, nan);
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.file = bad}), DataError, says({bad, "row 5"}));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.file = "/no/such.h5"}), IoError, says({"/no/such.h5"}));
  BOOST_CHECK_EXCEPTION(TrainingData<double>(comm, {.fractions = "0.8,0.8,0.1"}), OptionError, says({"0.8,0.8,0.1"}));
}

// The points of a source are as they are, but for angles; and in slabs and on ranks as the rows.
BOOST_FIXTURE_TEST_CASE(a_source_is_not_standardized, Ranks) {
  const auto matrix = [](Index n, double scale) {
    Matrix<double> x(2, n);
    for (Index j = 0; j < n; ++j) {
      x(0, j) = scale * std::sin(static_cast<double>(j));
      x(1, j) = std::cos(static_cast<double>(3 * j)) + 4;
    }
    return x;
  };
  using Rows = flow::Batch<double>;
  const auto arrays = [](const Rows& train, const Rows& validation = {}) {
    return train::ArrayRows({train, validation, Rows{}});
  };
  const auto rows = matrix(40, 7), points = matrix(23, 100), few = matrix(5, 1);
  TrainingData<double> data(comm, arrays({.x = rows}), {.periodic = {"2"}}, 7);
  BOOST_TEST(data.source(Split::train).cols() == 0);
  data.read_source(comm, arrays({.x = points}, {.x = few}));
  BOOST_TEST(data.source(Split::validation).cols() == 5);
  BOOST_TEST(data.source(Split::test).cols() == 0);
  auto expected = points;
  for (Index j = 0; j < 23; ++j) expected(1, j) -= expected(1, j) >= std::numbers::pi ? 2 * std::numbers::pi : 0;
  BOOST_TEST(on_all_ranks(comm, close_absolute(data.source(Split::train), expected, 1e-14)));
  BOOST_TEST(on_all_ranks(comm, !close_absolute(data.source(Split::train), points, 1)));
  const Matrix<double> three(3, 4);
  const std::vector<double> weight(23, 1.0);
  BOOST_CHECK_EXCEPTION(data.read_source(comm, arrays({.x = three})), DataError,
                        says({"the source has 3 columns, and the rows of arrays have 2"}));
  BOOST_CHECK_EXCEPTION(data.read_source(comm, arrays({.x = points, .weight = weight})), DataError,
                        says({"the source has weights"}));
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
