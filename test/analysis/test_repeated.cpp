#include <pushforward/analysis/repeated.hpp>
#include <pushforward/transforms/residual.hpp>

#include <says.hpp>

#include "../model/models.hpp"

#include <cmath>
#include <numeric>

namespace pushforward::test {

namespace {

using data::Standardization;
using flow::FlowWorkspace;
using flow::Model;
using flow::Pass;
using flow::RepeatOptions;
using flow::Status;

template <class T>
Model<T> model_with(const std::string& method, Index d = 12) {
  Model<T> model(standardization_of(Standardization::Kind::whiten, d),
                 folded_flow<T>(d, {.blocks = 3, .hidden = {16, 14}, .lipschitz = 0.9}));
  model.set_log_det(logdet::parse_method(method));
  return model;
}

struct Rows {
  Rows(Index d, std::size_t n) : z(d, static_cast<Index>(n)), log_prob(n), error(n), repeats(n), status(n) {}
  Matrix<double> z;
  std::vector<double> log_prob, error;
  std::vector<Index> repeats;
  std::vector<Status> status;
};

std::vector<Index> numbered(Index n, Index first = 0) {
  std::vector<Index> numbers(n);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

template <class T>
Rows repeated(const Model<T>& model, ConstMatrixView<double> x, std::span<const Index> numbers,
              const RepeatOptions& options = {}, std::uint64_t seed = 0, Index capacity = 64,
              ConstMatrixView<double> context = {}) {
  Rows rows(x.rows(), static_cast<std::size_t>(x.cols()));
  FlowWorkspace<T> workspace(model.flow(), capacity, Pass::evaluate);
  repeated_log_prob<T>(model, {.x = x, .context = context, .draws = {.seed = seed, .samples = numbers}}, rows.z,
                       options, {rows.log_prob, rows.error, rows.repeats, rows.status}, workspace);
  return rows;
}

template <class T>
Rows repeated(const Model<T>& model, const Matrix<double>& x, const RepeatOptions& options = {},
              std::uint64_t seed = 0) {
  return repeated(model, x.view(), numbered(x.cols()), options, seed);
}

struct Range {
  double low, high;
};
/// P(|t| ≤ 2) of Student's distribution with 7 degrees of freedom: rows that have eight repeats whatever they say.
constexpr Range within_of_eight{0.9144, 0.9144};
/// The same by simulation of normal values, for the rule: least where it begins to ask for more (σ = 4 S), and that of
/// the normal distribution where it asks for many.
constexpr Range within_of_rule{0.905, 0.9545};

/// The estimates are the expected values up to their standard errors: their mean within 4 of its own and a bias, and
/// the fraction within 2 in the range, up to 4 standard deviations of a binomial fraction.
Verdict is_calibrated(const Rows& rows, std::span<const double> expected, Range within, double bias = 0) {
  const auto n = static_cast<double>(expected.size());
  double off = 0, variance = 0, inside = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = rows.log_prob[i] - expected[i];
    off += error / n;
    variance += rows.error[i] * rows.error[i] / (n * n);
    inside += std::abs(error) <= 2 * rows.error[i] ? 1 / n : 0;
  }
  const auto chance = [n](double p) { return 4 * std::sqrt(p * (1 - p) / n); };
  const double low = within.low - chance(within.low), high = within.high + chance(within.high);
  Verdict verdict(std::abs(off) <= 4 * std::sqrt(variance) + bias && inside >= low && inside <= high);
  verdict.message() << "mean off by " << off << " ± " << std::sqrt(variance) << "; " << inside << " of " << n
                    << " within 2 standard errors, expected from " << low << " to " << high;
  return verdict;
}

// A residual flow on 5 values, two of them angles, that is conditioned on 3.
Model<double> conditional_model(const std::string& method) {
  flow::Architecture a;
  a.data = {.shape = Shape::vector(5), .periodic = {0, 3}, .context = 3};
  for (int b = 0; b < 2; ++b) a.chain.emplace_back(flow::ResidualOptions{.hidden = {9, 8}, .lipschitz = 0.9});
  flow::Flow<double> flow(a, 1);
  const auto values = random_vector<double>(flow.layout().size(), 92, 0.8);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.bake_normalization();
  Model<double> model(Standardization(5), std::move(flow), {},
                      flow::ModelContext{standardization_of(Standardization::Kind::whiten, 3), {}});
  model.set_log_det(logdet::parse_method(method));
  return model;
}

// One repeat of one row, by itself.
template <class T>
double one_repeat(const Model<T>& model, const Matrix<double>& x, Index row, Index number, std::uint64_t seed,
                  Index repeat) {
  FlowWorkspace<T> workspace(model.flow(), 1, Pass::evaluate);
  std::vector<double> log_prob(1);
  std::vector<Status> status(1);
  const logdet::Draws draws{.seed = seed, .step = static_cast<std::uint64_t>(repeat), .first = number};
  model.log_prob({.x = x.view().columns(row, 1), .draws = draws}, log_prob, {}, status, workspace);
  return log_prob[0];
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
double variance_of(std::span<const double> values) {
  double square = 0;
  for (const double v : values) square += (v - mean_of(values)) * (v - mean_of(values));
  return square / static_cast<double>(values.size() - 1);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(repeated_evaluation)

BOOST_AUTO_TEST_CASE(the_number_of_repeats_is_steins) {
  const RepeatOptions options{.standard_error = 0.1, .max_repeats = 50};
  const auto n = [&](double variance) { return flow::stein_repeats(variance, options); };
  BOOST_TEST(n(0) == 8);
  BOOST_TEST(n(0.0799) == 8);
  BOOST_TEST(n(0.0801) == 9);
  BOOST_TEST(n(0.2549) == 26);
  BOOST_TEST(n(0.4899) == 49);
  BOOST_TEST(n(0.4901) == 50);
  BOOST_TEST(n(0.6) == 50);
  BOOST_TEST(n(1e300) == 50);
  BOOST_TEST(n(std::numeric_limits<double>::infinity()) == 50);
  BOOST_TEST(n(nan_of<double>) == 50);
  BOOST_TEST(flow::stein_repeats(1, {.standard_error = 1e-200, .max_repeats = 8}) == 8);
}

BOOST_AUTO_TEST_CASE(means_are_the_exact_log_prob_up_to_their_standard_errors) {
  const auto x = random_matrix<double>(12, 400, 201, 2);
  const auto exact = repeated(model_with<double>("exact"), x);
  // With the skewness of a row's values, in the mean over rows, as measured from 400 of each.
  for (const auto& [method, skewness] : {std::pair<const char*, double>{"krylov:12", -0.05},
                                         {"trace+krylov:12", -0.56},
                                         {"series:30,probe=gaussian", -0.05},
                                         {"roulette:p=0.2", -0.05}}) {
    const auto model = model_with<double>(method);
    const auto eight = repeated(model, x, {.standard_error = 100}, 5);
    for (const Index n : eight.repeats) BOOST_TEST(n == 8);
    BOOST_TEST(is_calibrated(eight, exact.log_prob, within_of_eight), method);
    // A seventh of what a single repeat has.
    const double s = mean_of(eight.error) * std::sqrt(8) / 7;
    const auto many = repeated(model, x, {.standard_error = s}, 6);
    BOOST_TEST(*std::max_element(many.repeats.begin(), many.repeats.end()) > 60, method);
    const double bias = 0.2 * std::abs(skewness) * s;
    BOOST_TEST(is_calibrated(many, exact.log_prob, within_of_rule, bias), method);
    BOOST_TEST(close_relative(mean_of(many.error), s, 0.2), method);
    BOOST_TEST(close_absolute(many.z.view(), exact.z.view(), 1e-12));

    // The twins: a mean that is off by half of a row's standard error, standard errors of half their size.
    auto wrong = many;
    for (double& value : wrong.log_prob) value += s / 2;
    BOOST_TEST(!is_calibrated(wrong, exact.log_prob, within_of_rule, bias), method);
    wrong = eight;
    for (double& error : wrong.error) error /= 2;
    BOOST_TEST(!is_calibrated(wrong, exact.log_prob, within_of_eight), method);
  }
}

BOOST_AUTO_TEST_CASE(repeats_are_those_of_the_rule_and_draw_by_their_number) {
  const auto model = model_with<double>("krylov:4");
  const auto x = random_matrix<double>(12, 6, 202, 2);
  const std::vector<Index> numbers{0, 3, Index{1} << 62, 17, 1, 40000};
  const RepeatOptions options{.standard_error = 0.15, .max_repeats = 40};
  const auto rows = repeated(model, x.view(), numbers, options, 9);
  for (Index row = 0; row < 6; ++row) {
    const auto i = static_cast<std::size_t>(row);
    std::vector<double> values;
    for (Index k = 0; k < 40; ++k) values.push_back(one_repeat(model, x, row, numbers[i], 9, k));
    const Index n = flow::stein_repeats(variance_of(std::span(values).first(8)), options);
    BOOST_TEST(rows.repeats[i] == n);
    values.resize(n);
    BOOST_TEST(close_relative(rows.log_prob[i], mean_of(values), 1e-12));
    BOOST_TEST(close_relative(rows.error[i], std::sqrt(variance_of(values) / static_cast<double>(n)), 1e-10));
  }
  BOOST_TEST(*std::max_element(rows.repeats.begin(), rows.repeats.end()) > 8);
  BOOST_TEST(*std::min_element(rows.repeats.begin(), rows.repeats.end()) < 40);
}

BOOST_AUTO_TEST_CASE(a_row_does_not_depend_on_slab_order_or_batch) {
  const Index n = 100;
  const auto x = random_matrix<double>(12, n, 203, 2);
  for (const auto& [method, s] : {std::pair<const char*, double>{"krylov:4", 0.1},
                                  {"trace+krylov:2,probe=hadamard,probes=2", 0.002},
                                  {"roulette:p=0.2,samples=2", 0.1},
                                  {"roulette:p=0.2,length=step", 0.1},
                                  {"poisson:rate=4", 0.1}}) {
    const RepeatOptions options{.standard_error = s};
    const auto model = model_with<double>(method);
    const auto whole = repeated(model, x, options, 2);
    BOOST_TEST(*std::max_element(whole.repeats.begin(), whole.repeats.end()) > 8, method);
    for (const auto& [slab, capacity] : {std::pair<Index, Index>{7, 5}, {1, 1}, {33, 256}}) {
      for (Index first = 0; first < n; first += slab) {
        const Index count = std::min(slab, n - first);
        const auto part = repeated(model, x.view().columns(first, count), numbered(count, first), options, 2, capacity);
        const auto of = [&](const auto& all) { return std::span(all).subspan(first, count); };
        BOOST_TEST(close_relative(part.log_prob, of(whole.log_prob), 1e-12), method);
        BOOST_TEST(close_relative(part.error, of(whole.error), 1e-9), method);
        BOOST_TEST(std::equal(part.repeats.begin(), part.repeats.end(), of(whole.repeats).begin()), method);
      }
    }
    const auto back = matrix_of<double>(12, n, [&](Index i, Index j) { return x(i, n - 1 - j); });
    auto numbers = numbered(n);
    std::reverse(numbers.begin(), numbers.end());
    auto reversed = repeated(model, back.view(), numbers, options, 2);
    std::reverse(reversed.log_prob.begin(), reversed.log_prob.end());
    std::reverse(reversed.repeats.begin(), reversed.repeats.end());
    BOOST_TEST(close_relative(reversed.log_prob, whole.log_prob, 1e-12), method);
    BOOST_TEST(reversed.repeats == whole.repeats, method);

    // The twins: other numbers, another seed.
    const auto renumbered = repeated(model, x.view(), numbered(n, 1), options, 2);
    BOOST_TEST(!close_relative(renumbered.log_prob, whole.log_prob, 1e-6), method);
    const auto reseeded = repeated(model, x, {.standard_error = s}, 3);
    BOOST_TEST(!close_relative(reseeded.log_prob, whole.log_prob, 1e-6), method);
  }
}

BOOST_AUTO_TEST_CASE(single_precision_is_calibrated_too) {
  const auto x = random_matrix<double>(12, 500, 204, 2);
  const auto exact = repeated(model_with<float>("exact"), x);
  const auto rows = repeated(model_with<float>("krylov:8"), x, {.standard_error = 100});
  BOOST_TEST(is_calibrated(rows, exact.log_prob, within_of_eight));
}

BOOST_AUTO_TEST_CASE(what_is_not_stochastic_takes_one_pass) {
  auto x = random_matrix<double>(12, 30, 205);
  x(3, 4) = nan_of<double>;
  for (const char* const method : {"exact", "series:20,trace=exact"}) {
    const auto model = model_with<double>(method);
    const auto rows = repeated(model, x, {.standard_error = 1e-9});
    std::vector<double> log_prob(30);
    std::vector<Status> status(30);
    FlowWorkspace<double> workspace(model.flow(), 64, Pass::evaluate);
    model.log_prob({.x = x}, log_prob, {}, status, workspace);
    for (std::size_t i = 0; i < 30; ++i) {
      BOOST_TEST(rows.repeats[i] == 1);
      BOOST_TEST((rows.status[i] == status[i]));
      if (i == 4) {
        BOOST_TEST((std::isnan(rows.log_prob[i]) && std::isnan(rows.error[i])));
      } else {
        BOOST_TEST(rows.log_prob[i] == log_prob[i]);
        BOOST_TEST(rows.error[i] == 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(rows_that_are_not_finite_take_no_further_repeats) {
  const auto model = model_with<double>("krylov:4");
  auto x = random_matrix<double>(12, 20, 206, 2);
  const RepeatOptions options{.standard_error = 0.2};
  const auto clean = repeated(model, x, options);
  x(0, 0) = nan_of<double>;
  x(5, 13) = -std::numeric_limits<double>::infinity();
  const auto rows = repeated(model, x, options);
  for (std::size_t i = 0; i < 20; ++i) {
    const bool bad = i == 0 || i == 13;
    BOOST_TEST((rows.status[i] == (bad ? Status::not_finite : Status::ok)));
    BOOST_TEST(rows.repeats[i] == (bad ? 1 : clean.repeats[i]));
    BOOST_TEST(std::isnan(rows.log_prob[i]) == bad);
    BOOST_TEST(std::isnan(rows.error[i]) == bad);
    if (!bad) BOOST_TEST(close_relative(rows.log_prob[i], clean.log_prob[i], 1e-12));
  }
  const Matrix<double> none(12, 0);
  BOOST_TEST(repeated(model, none, options).log_prob.empty());
  auto all = x.view().columns(13, 1);
  BOOST_TEST((repeated(model, all, numbered(1), options).status[0] == Status::not_finite));
}

// Powers of J beyond the tenth are not finite, and a Poisson length of 8 in the mean now and then wants them.
BOOST_AUTO_TEST_CASE(a_repeat_that_fails_is_the_last) {
  flow::Flow<double> flow({{.shape = Shape::vector(2)}, {flow::ResidualOptions{.hidden = {}, .lipschitz = 0.9}}, {}},
                          1);
  const auto weight = flow.parameters();
  weight[0] = weight[3] = 1e30;
  weight[1] = weight[2] = 0;
  flow.prepare(nn::Normalization::stored);
  Model<double> model(Standardization(2), std::move(flow));
  model.set_log_det(logdet::parse_method("poisson:rate=8,exact=0"));
  const Index n = 60;
  const auto x = random_matrix<double>(2, n, 207);
  const RepeatOptions options{.max_repeats = 12};
  const auto rows = repeated(model, x, options, 1);
  std::array<int, 13> ended{};
  for (Index row = 0; row < n; ++row) {
    const auto i = static_cast<std::size_t>(row);
    Index first_bad = 0;
    while (first_bad < 12 && std::isfinite(one_repeat(model, x, row, row, 1, first_bad))) ++first_bad;
    const bool bad = first_bad < 12;
    BOOST_TEST((rows.status[i] != Status::ok) == bad);
    BOOST_TEST(rows.repeats[i] == (bad ? first_bad + 1 : 12));
    BOOST_TEST(std::isnan(rows.log_prob[i]) == bad);
    BOOST_TEST(std::isnan(rows.error[i]) == bad);
    ended[first_bad] += 1;
  }
  BOOST_TEST((ended[0] > 0 && ended[3] > 0 && ended[8] + ended[9] + ended[10] > 0 && ended[12] > 0));
  for (const Index capacity : {1, 7, 100}) {
    const auto other = repeated(model, x.view(), numbered(n), options, 1, capacity);
    BOOST_TEST(other.repeats == rows.repeats);
    BOOST_TEST((other.status == rows.status));
  }
}

BOOST_AUTO_TEST_CASE(a_long_batch_draws_like_its_parts) {
  const Index d = 2, n = 4100;
  const auto model = model_with<double>("krylov:1", d);
  const auto x = random_matrix<double>(d, n, 208);
  std::vector<double> whole(n), end(10);
  std::vector<Status> status(whole.size()), end_status(10);
  FlowWorkspace<double> workspace(model.flow(), 64, Pass::evaluate);
  model.log_prob({.x = x, .draws = {.seed = 4, .first = 1000}}, whole, {}, status, workspace);
  model.log_prob({.x = x.view().columns(n - 10, 10), .draws = {.seed = 4, .first = 1000 + n - 10}}, end, {}, end_status,
                 workspace);
  BOOST_TEST(close_absolute(end, std::span<const double>(whole).last(10), 1e-12));
}

BOOST_AUTO_TEST_CASE(bounds_on_the_bias_are_the_blocks_sum) {
  const auto bound = [](const char* method) { return flow::log_det_bias_bound(model_with<double>(method)); };
  BOOST_TEST(bound("exact") == 0);
  BOOST_TEST(bound("roulette:p=0.3") == 0);
  BOOST_TEST(bound("krylov:12") == 0);
  const auto model = model_with<double>("series:5");
  double sum = 0, largest = 0;
  int blocks = 0;
  for (const auto& transform : model.flow().transforms()) {
    if (lipschitz_network(*transform) == nullptr) continue;
    const double c = lipschitz_network(*transform)->lipschitz();
    sum += logdet::truncation_bound(12, c, 5);
    largest = std::max(largest, c);
    ++blocks;
  }
  BOOST_TEST(blocks == 3);
  BOOST_TEST(close_relative(bound("series:5"), sum, 1e-14));
  BOOST_TEST(close_relative(bound("series:5,trace=exact"), sum, 1e-14));
  BOOST_TEST(close_relative(bound("trace+krylov:5"), 2 * sum, 1e-14));
  BOOST_TEST(flow::largest_lipschitz(model.flow()) == largest);
  BOOST_TEST((largest > 0.1 && largest < 0.9 * (1 + 1e-9)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_asked_for_is_refused) {
  const auto model = model_with<double>("krylov:4");
  const auto x = random_matrix<double>(12, 3, 209);
  for (const double s : {0.0, -1.0, nan_of<double>}) {
    BOOST_CHECK_EXCEPTION(repeated(model, x, {.standard_error = s}), OptionError,
                          says({fmt::format("standard error {} must be more than 0 nats", s)}));
  }
  BOOST_CHECK_EXCEPTION(repeated(model, x, {.max_repeats = 7}), OptionError,
                        says({"7 repeats at most: must be at least 8"}));
  BOOST_CHECK_EXCEPTION(repeated(model, x.view(), numbered(2)), ShapeError,
                        says({"2 row numbers", "3 log-densities", "for 3 rows"}));
  BOOST_CHECK_EXCEPTION(model_with<double>("krylov:13"), OptionError, says({"13 Arnoldi steps for dimension 12"}));
  // Estimates are of no use for an inverse, whose log-det must be exact.
  Matrix<double> z(12, 3);
  std::vector<double> log_prob(3);
  std::vector<Status> status(3);
  FlowWorkspace<double> workspace(model.flow(), 3, Pass::evaluate);
  BOOST_CHECK_EXCEPTION(model.inverse(x, z, log_prob, status, {}, workspace), OptionError,
                        says({"krylov:4", "evaluation must be exact"}));
}

BOOST_AUTO_TEST_CASE(repeats_of_a_row_go_with_its_context) {
  constexpr Index n = 200;
  const auto x = random_matrix<double>(5, n, 1), u = random_matrix<double>(3, n, 2),
             other = random_matrix<double>(3, n, 3);
  const auto exact = repeated(conditional_model("exact"), x.view(), numbered(n), {}, 0, 64, u.view());
  const auto wrong = repeated(conditional_model("exact"), x.view(), numbered(n), {}, 0, 64, other.view());
  const auto model = conditional_model("roulette:p=0.3,exact=8,probe=gaussian");
  const RepeatOptions options{.standard_error = 0.02, .max_repeats = 400};
  const auto rows = repeated(model, x.view(), numbered(n), options, 0, 64, u.view());
  BOOST_TEST(is_calibrated(rows, exact.log_prob, {0.89, 0.97}));
  BOOST_TEST(!is_calibrated(rows, wrong.log_prob, {0.89, 0.97}));
  BOOST_TEST(*std::max_element(rows.repeats.begin(), rows.repeats.end()) > flow::first_repeats);
  for (const Index capacity : {1, 7}) {
    const auto again = repeated(model, x.view(), numbered(n), options, 0, capacity, u.view());
    BOOST_TEST(close_relative(again.log_prob, rows.log_prob, 1e-12));
    BOOST_TEST(again.repeats == rows.repeats);
  }
  BOOST_CHECK_EXCEPTION(repeated(model, x.view(), numbered(n), options), ShapeError,
                        says({"a context of (0 × 0) for 200 samples", "conditioned on 3 values"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
