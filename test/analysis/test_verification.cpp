#include <pushforward/analysis/verification.hpp>

#include <predicates.hpp>

#include "../flow/flows.hpp"
#include "../model/models.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::test {

namespace {

using data::Standardization;
using flow::FlowWorkspace;
using flow::Model;
using flow::Pass;
using flow::RoundTrip;
using flow::Status;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The results of the model's passes for x: log p, and the log-det that is in it.
struct Said {
  std::vector<double> log_prob, log_det;
  Matrix<double> z;
};
Said said(const Model<double>& model, const Matrix<double>& x, ConstMatrixView<double> context = {}) {
  Said s{std::vector<double>(x.cols()), {}, Matrix<double>(x.rows(), x.cols())};
  std::vector<double> base(s.log_prob.size());
  std::vector<Status> status(s.log_prob.size());
  FlowWorkspace<double> workspace(model.flow(), x.cols(), Pass::evaluate);
  model.log_prob({.x = x, .context = context}, s.log_prob, s.z, status, workspace);
  model.flow().base().log_prob(s.z, base);
  for (std::size_t i = 0; i < base.size(); ++i) s.log_det.push_back(s.log_prob[i] - base[i]);
  return s;
}

Model<double> model_of(const FlowCase& c, std::optional<flow::ModelContext> context = {}) {
  flow::Flow<double> flow(c.architecture, 1);
  const auto values = random_vector<double>(flow.layout().size(), 93, 0.4);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.bake_normalization();
  return {Standardization(flow.dimension()), std::move(flow), {}, std::move(context)};
}

Model<double> conditional_model() {
  return model_of(family("realnvp", {.shape = Shape::vector(3), .context = 2}),
                  flow::ModelContext{standardization_of(Standardization::Kind::whiten, 2), {}});
}

Model<double> model_of_angles() {
  flow::FlowOptions splines;
  splines.map.kind = "spline";
  return model_of(family("spline", {.shape = Shape::vector(2), .periodic = {1}}, splines));
}

Matrix<double> column(const Matrix<double>& x, Index j) {
  return Matrix<double>(x.view().columns(j, 1));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(verification)

// A series of one term is a wrong log-det, by a different amount at each sample.
BOOST_AUTO_TEST_CASE(a_wrong_log_det_is_off_by_what_it_is_wrong) {
  auto model = random_model<double>(Standardization::Kind::whiten, 3);
  const auto x = random_matrix<double>(3, 5, 95);
  BOOST_TEST(flow::log_det_error(model, x) < 1e-7);
  const auto right = said(model, x);
  model.set_log_det(logdet::parse_method("series:1,trace=exact"));
  const auto wrong = said(model, x);
  double largest = 0;
  for (Index j = 0; j < x.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const double error = std::abs(wrong.log_det[at] - right.log_det[at]);
    BOOST_TEST(error > 1e-4);
    BOOST_TEST(close_absolute(flow::log_det_error(model, column(x, j)), error, 1e-7));
    largest = std::max(largest, error);
  }
  BOOST_TEST(close_absolute(flow::log_det_error(model, x), largest, 1e-7));
  // The largest error is found wherever it stands.
  Matrix<double> reversed(3, 5);
  for (Index j = 0; j < 5; ++j) std::copy_n(x.view().column(4 - j), 3, reversed.view().column(j));
  BOOST_TEST(close_absolute(flow::log_det_error(model, reversed), largest, 1e-7));
}

BOOST_AUTO_TEST_CASE(a_sample_that_fails_has_no_small_error) {
  const auto model = random_model<double>(Standardization::Kind::none, 2);
  auto x = random_matrix<double>(2, 300, 96);
  const auto trip = flow::round_trip(model, x, {.tolerance = 1e-12});
  BOOST_TEST(trip.largest() < 1e-9);
  for (const double bad : {nan, infinity}) {
    auto broken = x;
    broken(1, 299) = bad;  // in the second chunk
    const auto failed = flow::round_trip(model, broken, {.tolerance = 1e-12});
    BOOST_TEST(failed.data == infinity);
    BOOST_TEST(failed.latent == infinity);
    BOOST_TEST(failed.log_det == infinity);
    BOOST_TEST(flow::log_det_error(model, column(broken, 299)) == infinity);
  }
}

BOOST_AUTO_TEST_CASE(the_largest_error_is_any_of_the_three) {
  BOOST_TEST(RoundTrip{}.largest() == 0);
  const RoundTrip data{.data = 3, .latent = 1, .log_det = 2}, latent{.data = 1, .latent = 3, .log_det = 2},
      log_det{.data = 1, .latent = 2, .log_det = 3};
  for (const auto& trip : {data, latent, log_det}) BOOST_TEST(trip.largest() == 3);
  for (auto RoundTrip::*const error : {&RoundTrip::data, &RoundTrip::latent, &RoundTrip::log_det}) {
    RoundTrip trip = data;
    trip.*error = nan;
    BOOST_TEST(trip.largest() == infinity);
  }
}

// An inverse that stops early is a wrong inverse. Its errors are known from its passes, one after the other.
BOOST_AUTO_TEST_CASE(a_wrong_inverse_is_off_by_what_it_is_wrong) {
  const auto model = random_model<double>(Standardization::Kind::whiten, 3);
  const Index n = 6;
  const auto x = random_matrix<double>(3, n, 97);
  for (const auto algorithm : {flow::InverseAlgorithm::anderson, flow::InverseAlgorithm::newton}) {
    const flow::InverseOptions loose{.algorithm = algorithm, .tolerance = 0.02};
    const auto trip = flow::round_trip(model, x, loose);
    Matrix<double> scaled(3, n), z(3, n), back(3, n), again(3, n);
    std::vector<double> forward(n), inverse(n), last(n);
    std::vector<Status> status(n);
    FlowWorkspace<double> workspace(model.flow(), n, Pass::evaluate);
    model.standardization().forward<double>(x, scaled);
    model.flow().log_prob({.x = scaled}, forward, z, status, workspace);
    model.flow().inverse(z, back, inverse, status, loose, workspace);
    model.flow().log_prob({.x = back}, last, again, status, workspace);
    const auto apart = [](std::span<const double> a, std::span<const double> b) {
      double largest = 0;
      for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
      return largest;
    };
    BOOST_TEST(close_relative(trip.data, apart(scaled.span(), back.span()), 1e-9));
    BOOST_TEST(close_relative(trip.latent, apart(z.span(), again.span()), 1e-9));
    BOOST_TEST(close_relative(trip.log_det, apart(forward, inverse), 1e-9));
    // They are errors that a tolerance of flow_check refuses, and three different numbers.
    for (const double error : {trip.data, trip.latent, trip.log_det}) BOOST_TEST(error > 1e-6);
    BOOST_TEST(!close_relative(trip.data, trip.latent, 1e-3));
    BOOST_TEST(!close_relative(trip.data, trip.log_det, 1e-3));
    BOOST_TEST(!close_relative(trip.latent, trip.log_det, 1e-3));
  }
}

BOOST_AUTO_TEST_CASE(samples_go_with_their_contexts) {
  const auto model = conditional_model();
  const auto x = random_matrix<double>(3, 4, 98), context = random_matrix<double>(2, 4, 99);
  BOOST_TEST(flow::log_det_error(model, x, context) < 1e-7);
  BOOST_TEST(flow::round_trip(model, x, {}, context).largest() < 1e-9);
  const auto s = said(model, x, context);
  for (Index j = 0; j < 4; ++j) {
    const double expected = s.log_det[static_cast<std::size_t>(j)];
    const auto log_det = [&](Index of) {
      return flow::dense_log_det(model, x.view().column_span(j), context.view().column_span(of));
    };
    BOOST_TEST(close_absolute(log_det(j), expected, 1e-7));
    BOOST_TEST(!close_absolute(log_det((j + 1) % 4), expected, 1e-3));  // the twin: another sample's context
  }
}

// An angle is as near to its other end as to itself, in data, in latents, and between the points of a difference.
BOOST_AUTO_TEST_CASE(angles_go_round) {
  constexpr double pi = std::numbers::pi;
  const auto model = model_of_angles();
  const Matrix<double> x =
      matrix_of<double>(2, 3, [](Index i, Index j) { return i == 0 ? 0.3 : pi * static_cast<double>(j - 1); });
  BOOST_TEST(flow::round_trip(model, x, {}).largest() < 1e-9);
  // Samples whose latent angles are π, to the last bit but a few.
  const Matrix<double> z = matrix_of<double>(2, 3, [](Index i, Index j) {
    const auto k = static_cast<double>(j);
    return i == 0 ? 0.5 * k : pi * (1 - 1e-15 * k);
  });
  Matrix<double> at_seam(2, 3);
  std::vector<double> log_prob(3);
  std::vector<Status> status(3);
  FlowWorkspace<double> workspace(model.flow(), 3, Pass::evaluate);
  model.inverse(z, at_seam, log_prob, status, {}, workspace);
  BOOST_TEST(flow::round_trip(model, at_seam, {}).largest() < 1e-9);
  BOOST_TEST(flow::log_det_error(model, at_seam) < 1e-5);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
