#include <predicates.hpp>
#include <pushforward/random/stream.hpp>

#include <Random123/philox.h>

#include <cmath>
#include <vector>

namespace pushforward::test {

namespace {

using random::Purpose;
using random::Stream;

constexpr Index draws = 100000;

// The bound for |x| of a mean of n draws with standard deviation sigma: 4.5 standard errors, met but for 7 seeds in a
// million.
double bound(double sigma, Index n) {
  return 4.5 * sigma / std::sqrt(static_cast<double>(n));
}

template <class F>
double mean_of(Index n, F&& draw) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += draw();
  return sum / static_cast<double>(n);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stream)

BOOST_AUTO_TEST_CASE(philox_gives_the_known_answers) {
  // Random123 1.14, tests/kat_vectors, philox4x64 with 10 rounds.
  const std::uint64_t ones = ~std::uint64_t{0};
  struct Known {
    r123::Philox4x64::ctr_type counter;
    r123::Philox4x64::key_type key;
    r123::Philox4x64::ctr_type answer;
  };
  const std::vector<Known> vectors{
      {{{0, 0, 0, 0}}, {{0, 0}}, {{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}}},
      {{{ones, ones, ones, ones}},
       {{ones, ones}},
       {{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}}},
      {{{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}},
       {{0x452821e638d01377, 0xbe5466cf34e90c6c}},
       {{0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}}}};
  for (const auto& known : vectors) BOOST_TEST((r123::Philox4x64{}(known.counter, known.key) == known.answer));
}

BOOST_AUTO_TEST_CASE(a_stream_is_philox_with_its_arguments_as_key_and_counter) {
  Stream zero(0, Purpose{0});
  for (const std::uint64_t answer :
       {0x16554d9eca36314cU, 0xdb20fe9d672d0fdcU, 0xd7e772cee186176bU, 0x7e68b68aec7ba23bU}) {
    BOOST_TEST(zero.bits() == answer);
  }
  Stream stream(42, Purpose::parameters, 3, 7, 5);
  for (const std::uint64_t block : {0U, 1U, 2U}) {
    const auto answer = r123::Philox4x64{}({{block, 5, 7, 3}}, {{42, 1}});
    for (unsigned i = 0; i < 4; ++i) BOOST_TEST(stream.bits() == answer[i]);
  }
}

BOOST_AUTO_TEST_CASE(the_numbers_of_a_purpose_never_change) {
  BOOST_TEST(static_cast<int>(Purpose::parameters) == 1);
  BOOST_TEST(static_cast<int>(Purpose::batches) == 2);
  BOOST_TEST(static_cast<int>(Purpose::toy_data) == 3);
  BOOST_TEST(static_cast<int>(Purpose::split) == 4);
  BOOST_TEST(static_cast<int>(Purpose::dequantize) == 5);
  BOOST_TEST(static_cast<int>(Purpose::base_sample) == 6);
  BOOST_TEST(static_cast<int>(Purpose::power_start) == 7);
  BOOST_TEST(static_cast<int>(Purpose::check) == 8);
}

BOOST_AUTO_TEST_CASE(uniforms_have_the_moments_and_stay_inside) {
  Stream stream(1, Purpose::check);
  double low = 1, high = 0, square = 0;
  const double mean = mean_of(draws, [&] {
    const double u = stream.uniform();
    low = std::min(low, u);
    high = std::max(high, u);
    square += u * u;
    return u;
  });
  BOOST_TEST(low > 0);
  BOOST_TEST(high < 1);
  BOOST_TEST(close_absolute(mean, 0.5, bound(std::sqrt(1.0 / 12), draws)));
  BOOST_TEST(close_absolute(square / draws, 1.0 / 3, bound(std::sqrt(4.0 / 45), draws)));
}

BOOST_AUTO_TEST_CASE(normals_have_the_moments) {
  Stream stream(2, Purpose::check);
  std::vector<double> moments(4, 0.0);
  for (Index i = 0; i < draws; ++i) {
    const double x = stream.normal();
    for (std::size_t k = 0; k < 4; ++k) moments[k] += std::pow(x, static_cast<double>(k + 1)) / draws;
  }
  BOOST_TEST(close_absolute(moments[0], 0.0, bound(1, draws)));
  BOOST_TEST(close_absolute(moments[1], 1.0, bound(std::sqrt(2.0), draws)));
  BOOST_TEST(close_absolute(moments[2], 0.0, bound(std::sqrt(15.0), draws)));
  BOOST_TEST(close_absolute(moments[3], 3.0, bound(std::sqrt(96.0), draws)));
}

BOOST_AUTO_TEST_CASE(the_two_normals_of_a_pair_are_uncorrelated) {
  Stream stream(3, Purpose::check);
  const double product = mean_of(draws, [&] {
    const double first = stream.normal();
    return first * stream.normal();
  });
  BOOST_TEST(close_absolute(product, 0.0, bound(1, draws)));
}

BOOST_AUTO_TEST_CASE(signs_are_balanced) {
  Stream stream(4, Purpose::check);
  double square = 0;
  const double mean = mean_of(draws, [&] {
    const double sign = stream.rademacher();
    square += sign * sign;
    return sign;
  });
  BOOST_TEST(square == draws);
  BOOST_TEST(close_absolute(mean, 0.0, bound(1, draws)));
}

BOOST_AUTO_TEST_CASE(gammas_have_the_moments_of_their_shape) {
  for (const double shape : {0.3, 1.0, 2.5, 40.0}) {
    Stream stream(10, Purpose::check);
    double square = 0;
    const double mean = mean_of(draws, [&] {
      const double x = stream.gamma(shape);
      square += (x - shape) * (x - shape) / static_cast<double>(draws);
      return x;
    });
    // Variance a, fourth central moment 3a² + 6a.
    BOOST_TEST(close_absolute(mean, shape, bound(std::sqrt(shape), draws)));
    BOOST_TEST(close_absolute(square, shape, bound(std::sqrt(2 * shape * shape + 6 * shape), draws)));
    BOOST_TEST(!close_absolute(1.05 * mean, shape, bound(std::sqrt(shape), draws)));
  }
  Stream stream(10, Purpose::check);
  BOOST_CHECK_EXCEPTION(stream.gamma(0), OptionError, [](const OptionError& error) {
    return std::string(error.what()) == "Stream::gamma: shape = 0 must be positive";
  });
}

BOOST_AUTO_TEST_CASE(integers_below_n_are_equally_frequent) {
  Stream stream(5, Purpose::check);
  std::vector<double> counts(6, 0.0);
  for (Index i = 0; i < draws; ++i) ++counts.at(stream.below(6));
  double chi_square = 0;
  const double expected = draws / 6.0;
  for (const double count : counts) chi_square += (count - expected) * (count - expected) / expected;
  BOOST_TEST(chi_square < 30);  // exceeded with probability 1.5e-5 for 5 degrees of freedom
}

BOOST_AUTO_TEST_CASE(integers_below_a_large_n_are_unbiased) {
  // Taking 64 bits modulo 3·2^62 would put the mean at 5/12 of n.
  const std::uint64_t n = std::uint64_t{3} << 62;
  Stream stream(6, Purpose::check);
  const double mean = mean_of(draws, [&] { return static_cast<double>(stream.below(n)) / static_cast<double>(n); });
  BOOST_TEST(close_absolute(mean, 0.5, bound(std::sqrt(1.0 / 12), draws)));
}

BOOST_AUTO_TEST_CASE(below_one_is_zero_and_below_zero_is_refused) {
  Stream stream(7, Purpose::check);
  BOOST_TEST(stream.below(1) == 0U);
  BOOST_CHECK_EXCEPTION(stream.below(0), ShapeError, [](const ShapeError& error) {
    return std::string(error.what()) == "Stream::below: n = 0 must be at least 1";
  });
}

BOOST_AUTO_TEST_CASE(streams_that_differ_in_one_argument_are_uncorrelated) {
  const std::vector<Stream> others{Stream(9, Purpose::check, 1, 1, 1), Stream(8, Purpose::split, 1, 1, 1),
                                   Stream(8, Purpose::check, 2, 1, 1), Stream(8, Purpose::check, 1, 2, 1),
                                   Stream(8, Purpose::check, 1, 1, 2)};
  for (Stream other : others) {
    Stream stream(8, Purpose::check, 1, 1, 1);
    const double product = mean_of(draws, [&] { return stream.normal() * other.normal(); });
    BOOST_TEST(close_absolute(product, 0.0, bound(1, draws)));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
