#include <pushforward/core/error.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/standardization/standardization.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include <cmath>

namespace pushforward::test {

namespace {

using data::Moments;
using data::Standardization;
using Kind = Standardization::Kind;

std::vector<std::string> names(Index d) {
  std::vector<std::string> list;
  for (Index i = 0; i < d; ++i) list.push_back(fmt::format("c{}", i));
  return list;
}

// Correlated normals, columns of very different sizes: column i has deviation of the order 10^i and mean 10^(i + 3).
Matrix<double> correlated(Index d, Index n) {
  Matrix<double> x(d, n);
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(1, random::Purpose::check, 0, static_cast<std::uint64_t>(j));
    double carried = 0;
    for (Index i = 0; i < d; ++i) {
      carried = 0.6 * carried + stream.normal();
      x(i, j) = std::pow(10.0, static_cast<double>(i)) * (carried + 1000);
    }
  }
  return x;
}

std::vector<double> some_weights(Index n) {
  std::vector<double> weights;
  for (Index j = 0; j < n; ++j) weights.push_back(static_cast<double>(j % 4));
  return weights;
}

Moments moments_of(const Matrix<double>& x, std::span<const double> weights, Index slab,
                   Moments::Second second = Moments::Second::covariances) {
  Moments moments(x.rows(), second);
  for (Index first = 0; first < x.cols(); first += slab) {
    const Index count = std::min(slab, x.cols() - first);
    const auto w = weights.empty() ? weights : weights.subspan(first, count);
    moments.add(x.view().columns(first, count), w);
  }
  return moments;
}

Matrix<double> lower(Matrix<double> a) {
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < j; ++i) a(i, j) = 0;
  }
  return a;
}

// Standardized data has mean 0 and deviation 1 in each column, and for `whiten` no correlations.
Verdict is_standard(const Matrix<double>& z, std::span<const double> weights, Kind kind, double tolerance) {
  const auto moments = moments_of(z, weights, z.cols());
  if (const auto verdict = close_absolute(moments.mean(), std::vector<double>(moments.mean().size()), tolerance);
      !verdict) {
    return verdict;
  }
  auto covariance = lower(moments.covariance());
  Matrix<double> identity(z.rows(), z.rows());
  for (Index i = 0; i < z.rows(); ++i) identity(i, i) = 1;
  if (kind == Kind::scale) {
    for (Index j = 0; j < z.rows(); ++j) {
      for (Index i = j + 1; i < z.rows(); ++i) covariance(i, j) = 0;
    }
  }
  return close_absolute(covariance.view(), identity.view(), tolerance);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(standardization)

BOOST_AUTO_TEST_CASE(moments_do_not_depend_on_slabs) {
  const auto x = correlated(4, 101);
  for (const auto& weights : {std::vector<double>(), some_weights(101)}) {
    const auto whole = moments_of(x, weights, 101);
    for (const Index slab : {1, 2, 50, 100}) {
      const auto parts = moments_of(x, weights, slab);
      BOOST_TEST(close_relative(parts.mean(), whole.mean(), 1e-14));
      const auto columns = moments_of(x, weights, slab, Moments::Second::variances);
      BOOST_TEST(close_relative(columns.variances(), whole.variances(), 1e-12));
      BOOST_TEST(close_relative(lower(parts.covariance()).view(), lower(whole.covariance()).view(), 1e-12));
      BOOST_TEST(parts.total_weight() == whole.total_weight());
    }
  }
}

// Slabs whose moments are packed, sent and merged in order give the bits of slabs that are added one by one.
BOOST_AUTO_TEST_CASE(moments_of_slabs_merge_to_the_same_bits) {
  constexpr Index d = 3, n = 100, slab = 17;
  const auto x = correlated(d, n);
  std::vector<double> weights(n);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<double>(i / 17 % 3);  // some slabs of none
  const auto bits = [](const Moments& moments) {
    std::vector<double> packed(Moments::packed_size(d, Moments::Second::covariances));
    moments.pack(packed);
    return packed;
  };
  Moments merged(d), reversed(d);
  std::vector<std::vector<double>> sent;
  for (Index first = 0; first < n; first += slab) {
    const Index count = std::min(slab, n - first);
    Moments part(d);
    part.add(x.view().columns(first, count), std::span(weights).subspan(first, count));
    sent.push_back(bits(part));
  }
  for (const auto& packed : sent) merged.merge(Moments(d, Moments::Second::covariances, packed));
  std::reverse(sent.begin(), sent.end());
  for (const auto& packed : sent) reversed.merge(Moments(d, Moments::Second::covariances, packed));
  const auto whole = bits(moments_of(x, weights, slab));
  BOOST_TEST(bits(merged) == whole, boost::test_tools::per_element());
  // The twin: another order has other bits, but the same moments.
  BOOST_TEST(bits(reversed) != whole);
  BOOST_TEST(close_relative(bits(reversed), whole, 1e-11));
  BOOST_CHECK_EXCEPTION(Moments(d, Moments::Second::covariances, std::vector<double>(4)), ShapeError,
                        says({"moments of 3 columns from 4 numbers"}));
  BOOST_CHECK_EXCEPTION(merged.merge(Moments(2)), ShapeError, says({"moments of 2 columns, where d = 3"}));
}

BOOST_AUTO_TEST_CASE(moments_keep_a_small_spread_beside_a_large_mean) {
  Matrix<double> x(1, 1000);
  for (Index j = 0; j < 1000; ++j) x(0, j) = 1e9 + (j % 2 == 0 ? 1 : -1);
  const auto moments = moments_of(x, {}, 7);
  BOOST_TEST(close_relative(moments.mean()[0], 1e9, 1e-15));
  BOOST_TEST(close_relative(moments.covariance()(0, 0), 1, 1e-7));  // means are exact to 1e-7 here
}

BOOST_AUTO_TEST_CASE(a_weight_is_a_number_of_copies) {
  const auto x = correlated(3, 40);
  const auto weights = some_weights(40);
  Matrix<double> copies(3, 60);
  Index at = 0;
  for (Index j = 0; j < 40; ++j) {
    for (int k = 0; k < static_cast<int>(weights[j]); ++k, ++at) {
      std::copy_n(x.view().column(j), 3, copies.view().column(at));
    }
  }
  BOOST_TEST(at == 60);
  const auto weighted = moments_of(x, weights, 40), copied = moments_of(copies, {}, 60);
  BOOST_TEST(close_relative(weighted.mean(), copied.mean(), 1e-14));
  BOOST_TEST(close_relative(lower(weighted.covariance()).view(), lower(copied.covariance()).view(), 1e-12));
  BOOST_TEST(!close_relative(weighted.mean(), moments_of(x, {}, 40).mean(), 1e-6));
}

BOOST_AUTO_TEST_CASE(data_becomes_standard_and_comes_back) {
  for (const Kind kind : {Kind::scale, Kind::whiten}) {
    for (const auto& weights : {std::vector<double>(), some_weights(200)}) {
      for (const Index d : {1, 2, 5}) {
        const auto x = correlated(d, 200);
        const Standardization map(kind, moments_of(x, weights, 64), names(d));
        Matrix<double> z(d, 200), back(d, 200);
        map.forward(x.view(), z.view());
        BOOST_TEST(is_standard(z, weights, kind, 1e-10));
        BOOST_TEST(!is_standard(x, weights, kind, 1e-10));
        map.inverse(ConstMatrixView<double>(z), back.view());
        BOOST_TEST(close_relative(back.view(), x.view(), 1e-14));
        Matrix<float> single(d, 200);
        map.forward(x.view(), single.view());
        BOOST_TEST(single(0, 3) == static_cast<float>(z(0, 3)));
        map.inverse(ConstMatrixView<float>(single), back.view());
        BOOST_TEST(close_relative(back.view(), x.view(), 1e-6));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(whitening_and_scaling_differ) {
  const auto x = correlated(3, 200);
  Matrix<double> z(3, 200);
  Standardization(Kind::scale, moments_of(x, {}, 200), names(3)).forward(x.view(), z.view());
  BOOST_TEST(!is_standard(z, {}, Kind::whiten, 1e-10));
}

BOOST_AUTO_TEST_CASE(log_det_is_that_of_the_jacobian) {
  for (const Kind kind : {Kind::none, Kind::scale, Kind::whiten}) {
    constexpr Index d = 4;
    const auto x = correlated(d, 100);
    const Standardization map(kind, moments_of(x, {}, 100), names(d));
    // The map is affine: differences to the image of the origin are the columns of the Jacobian.
    Matrix<double> points(d, d + 1), images(d, d + 1), jacobian(d, d);
    for (Index i = 0; i < d; ++i) points(i, i) = std::pow(10.0, static_cast<double>(i + 3));
    map.forward(points.view(), images.view());
    for (Index j = 0; j < d; ++j) {
      for (Index i = 0; i < d; ++i) jacobian(i, j) = (images(i, j) - images(i, d)) / points(j, j);
    }
    std::vector<int> pivots(d);
    std::vector<double> log_det(1);
    std::vector<linalg::Sign> sign(1);
    linalg::lu_log_det(jacobian.view(), pivots, log_det, sign);
    BOOST_TEST(close_absolute(map.log_det(), log_det[0], 1e-9));
    BOOST_TEST(!close_absolute(map.log_det() + 0.01, log_det[0], 1e-9));
    BOOST_TEST(static_cast<int>(sign[0]) == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_stored_map_is_the_same_map) {
  const auto x = correlated(3, 50);
  for (const Kind kind : {Kind::none, Kind::unit, Kind::scale, Kind::whiten}) {
    const Standardization map(kind, moments_of(x, {}, 50), names(3));
    BOOST_TEST(map.factor().size() == (kind == Kind::whiten ? 9 : 3));
    const Standardization stored(map.kind(), map.mean(), map.factor());
    Matrix<double> z(3, 50), again(3, 50);
    map.forward(x.view(), z.view());
    stored.forward(x.view(), again.view());
    BOOST_TEST(close_absolute(again.view(), z.view(), 0));
    BOOST_TEST(stored.log_det() == map.log_det());
  }
}

BOOST_AUTO_TEST_CASE(none_is_the_identity) {
  const auto x = correlated(3, 5);
  const Standardization map(Index{3});
  Matrix<double> z(3, 5);
  map.forward(x.view(), z.view());
  BOOST_TEST(close_absolute(z.view(), x.view(), 0));
  BOOST_TEST(map.log_det() == 0);
}

BOOST_AUTO_TEST_CASE(columns_without_a_density_are_named) {
  auto x = correlated(4, 50);
  for (Index j = 0; j < 50; ++j) x(3, j) = x(0, j) - 2 * x(1, j);
  const auto dependent = moments_of(x, {}, 50);
  BOOST_CHECK_EXCEPTION(Standardization(Kind::whiten, dependent, names(4)), DataError,
                        says({"column c3 is a linear combination"}));
  BOOST_CHECK_NO_THROW(Standardization(Kind::scale, dependent, names(4)));
  for (Index j = 0; j < 50; ++j) x(0, j) = x(2, j) = 0.1;
  for (const Kind kind : {Kind::scale, Kind::whiten}) {
    BOOST_CHECK_EXCEPTION(Standardization(kind, moments_of(x, {}, 7), names(4)), DataError,
                          says({"constant", "c0, c2", "--drop-constant"}));
  }
  BOOST_CHECK_NO_THROW(Standardization(Kind::none, moments_of(x, {}, 7), names(4)));
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  const Standardization map(Index{3});
  Matrix<double> x(2, 5), z(3, 5);
  BOOST_CHECK_EXCEPTION(map.forward(x.view(), z.view()), ShapeError, says({"x (2 × 5)", "d = 3"}));
  BOOST_CHECK_EXCEPTION(map.inverse(ConstMatrixView<double>(z), x.view()), ShapeError, says({"x (2 × 5)", "d = 3"}));
  BOOST_CHECK_EXCEPTION(Standardization(Kind::scale, {0, 0}, Matrix<double>(2, 1)), DataError, says({"scale 0"}));
  BOOST_CHECK_EXCEPTION(Standardization(Kind::scale, {0, 0}, Matrix<double>(3, 1)), DataError, says({"(3 × 1)"}));
  BOOST_CHECK_EXCEPTION(Standardization(Kind::scale, {0, 0}, Matrix<double>(2, 2)), DataError, says({"(2 × 2)"}));
  BOOST_CHECK_EXCEPTION(Standardization(Kind::whiten, {0, 0}, Matrix<double>(2, 1)), DataError, says({"(2 × 1)"}));
  BOOST_CHECK_EXCEPTION(Standardization(Kind::scale, Moments(2), names(2)), DataError, says({"no rows"}));
  BOOST_CHECK_EXCEPTION(data::parse_kind("whitten"), OptionError,
                        says({"did you mean 'whiten'?", "none, unit, scale"}));
  for (const Kind kind : {Kind::none, Kind::scale, Kind::whiten}) {
    BOOST_TEST((data::parse_kind(data::kind_name(kind)) == kind));
  }
  const std::vector<double> one(1);
  BOOST_CHECK_EXCEPTION(Moments(2).add(x.view(), one), ShapeError, says({"(2 × 5)", "1 weights"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
