#include <pushforward/logdet/hessenberg.hpp>
#include <pushforward/logdet/trace.hpp>

#include "jacobians.hpp"
#include "moments.hpp"
#include "trial.hpp"

namespace pushforward::test {

namespace {

using logdet::Draws;
using nn::NetworkOptions;
using nn::Pass;

template <class T>
constexpr double rounding = 256 * static_cast<double>(std::numeric_limits<T>::epsilon());

double quadratic(const Matrix<double>& a, std::span<const double> v) {
  double sum = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      sum += v[i] * a(i, j) * v[j];
    }
  }
  return sum;
}

// Var vᵀAv for signs v: 2‖S‖² without its diagonal, S = (A + Aᵀ)/2.
double variance_with_signs(const Matrix<double>& a) {
  double sum = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) sum += i == j ? 0 : 0.5 * (a(i, j) + a(j, i)) * (a(i, j) + a(j, i));
  }
  return sum;
}

double trace_of(const Matrix<double>& a) {
  double sum = 0;
  for (Index i = 0; i < a.rows(); ++i) sum += a(i, i);
  return sum;
}

// One column n times.
template <class T>
Matrix<T> repeated(const Matrix<T>& column, Index n) {
  return matrix_of<T>(column.rows(), n, [&](Index i, Index) { return column(i, 0); });
}

// The probes that an estimator draws, one for each of n samples.
Matrix<double> probes_of(const Draws& draws, Index d, Index n) {
  Matrix<double> v(d, n);
  logdet::draw_probes<double>(logdet::Probe::rademacher, draws, 1, v);
  return v;
}

// u of each sample of a trial with one probe.
template <class T>
Matrix<double> pairs_of(Trial<T>& trial) {
  return converted<double>(Matrix<T>(trial.passes->tangent_seed(1)));
}

// ‖v − (I + Jᵀ)u‖/‖v‖ of each sample.
template <class T>
std::vector<double> residuals(const TestNetwork<T>& net, Trial<T>& trial, const Matrix<double>& v) {
  const auto u = pairs_of(trial);
  std::vector<double> all;
  for (Index i = 0; i < v.cols(); ++i) {
    const auto jacobian = dense_jacobian<T>(net.network, trial.x.view().columns(i, 1));
    auto rest = product<double>(jacobian, u.view().columns(i, 1), linalg::Op::transpose);
    for (Index r = 0; r < v.rows(); ++r) rest(r, 0) = v(r, i) - u(r, i) - rest(r, 0);
    all.push_back(frobenius<double>(rest) / frobenius<double>(v.view().columns(i, 1)));
  }
  return all;
}

Matrix<double> random_hessenberg(Index rows, Index cols, double norm, std::uint64_t seed) {
  auto h = random_matrix<double>(rows, cols, seed);
  for (Index j = 0; j < cols; ++j) {
    for (Index i = j + 2; i < rows; ++i) h(i, j) = 0;
  }
  const double factor = norm / frobenius<double>(h);
  for (double& value : h.span()) value *= factor;
  return h;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(krylov)

BOOST_AUTO_TEST_CASE(log_forms_are_accurate_at_all_norms) {
  const double tolerance = 1.5e-10;
  const auto value = [](const Matrix<double>& h) {
    std::vector<double> work(logdet::log_form_work(h.rows()), nan_of<double>);
    return logdet::log_form(Padded<double>(h.view()).view(), work);
  };
  for (const double norm : {1e-9, 0.3, 0.61, 0.62, 0.87, 0.88, 0.96}) {
    for (const double sign : {1.0, -1.0}) {
      const auto h = matrix_of<double>(1, 1, [&](Index, Index) { return sign * norm; });
      BOOST_TEST(close_absolute(value(h), std::log1p(sign * norm), tolerance));
      BOOST_TEST(!close_absolute(value(h), std::log1p(sign * norm) + 1e-9, tolerance));
    }
    for (const Index m : {2, 3, 7, 12}) {
      const auto h = random_hessenberg(m, m, norm, 60);
      BOOST_TEST(close_absolute(value(h), log_rest(h, 0)(0, 0), tolerance));
    }
  }
  BOOST_TEST(value(Matrix<double>(0, 0)) == 0);
  BOOST_TEST(value(Matrix<double>(3, 3)) == 0);
  BOOST_TEST(std::isnan(value(matrix_of<double>(2, 2, [](Index, Index) { return nan_of<double>; }))));
}

BOOST_AUTO_TEST_CASE(shifted_systems_are_solved_as_well_as_the_residual_says) {
  for (const Index m : {1, 2, 5, 12}) {
    const auto h = random_hessenberg(m + 1, m, 0.8, 61);
    std::vector<double> y(m), work((m + 1) * (m + 1));
    const double residual = logdet::solve_shifted(Padded<double>(h.view()).view(), 3, y, work);
    const auto rest = [&] {
      Matrix<double> r = product<double>(h, ConstMatrixView<double>(y.data(), m, 1));
      for (Index i = 0; i < m; ++i) r(i, 0) += y[i];
      r(0, 0) -= 3;
      return frobenius<double>(r);
    };
    BOOST_TEST(close_absolute(residual, rest(), 1e-14));
    for (double& element : y) {
      for (const double change : {1e-3, -2e-3}) {
        element += change;
        BOOST_TEST(rest() > residual);
        BOOST_TEST(!close_absolute(residual, rest(), 1e-14));
      }
      element += 1e-3;
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_probe_stops_as_soon_as_its_residual_allows, T, Precisions) {
  const Index d = 16, n = 24;
  const double tolerance = 0.03;
  const TestNetwork<T> net({.in = d, .out = d, .hidden = {20}, .lipschitz = 0.97});
  const auto x = random_matrix<T>(d, n, 62, 3);
  const Draws draws{.seed = 1};
  const auto v = probes_of(draws, d, n);
  Trial<T> adaptive(net, x, "krylov:tol=0.03", Pass::gradient);
  adaptive.estimate(draws);
  const auto found = residuals(net, adaptive, v);
  std::vector<Index> expected(n, 0);
  for (Index k = 2; k <= 12; ++k) {
    Trial<T> fixed(net, x, fmt::format("krylov:{}", k), Pass::gradient);
    fixed.estimate(draws);
    const auto left = residuals(net, fixed, v);
    const auto u = pairs_of(fixed), own = pairs_of(adaptive);
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (expected[i] != 0 || left[i] > tolerance) continue;
      expected[i] = k;
      BOOST_TEST(close_relative(adaptive.value[i], fixed.value[i], rounding<T>));
      const auto column = static_cast<Index>(i);
      BOOST_TEST(close_relative(own.view().columns(column, 1), u.view().columns(column, 1), rounding<T>));
    }
    // The twin: with two steps not all are done.
    if (k == 2) BOOST_TEST(*std::max_element(left.begin(), left.end()) > tolerance);
  }
  BOOST_TEST(adaptive.products == expected, boost::test_tools::per_element());
  for (const double residual : found) BOOST_TEST(residual <= tolerance);
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  BOOST_TEST((*least >= 2 && *least < *most && *most <= 12));
}

BOOST_AUTO_TEST_CASE(batch_mates_change_nothing) {
  const Index d = 16, n = 9;
  const TestNetwork<double> net({.in = d, .out = d, .hidden = {20}, .lipschitz = 0.97});
  auto x = random_matrix<double>(d, n, 62, 3);
  Trial<double> whole(net, x, "trace+krylov:tol=0.02", Pass::gradient);
  whole.estimate({.seed = 2});
  const auto u = pairs_of(whole);
  const auto fewest = std::min_element(whole.products.begin(), whole.products.end()) - whole.products.begin();
  const auto most = std::max_element(whole.products.begin(), whole.products.end()) - whole.products.begin();
  BOOST_TEST(whole.products[fewest] < whole.products[most]);
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    Trial<double> alone(net, Matrix<double>(x.view().columns(i, 1)), "trace+krylov:tol=0.02", Pass::gradient);
    alone.estimate({.seed = 2, .first = i});
    BOOST_TEST(alone.products[0] == whole.products[at]);
    BOOST_TEST(close_relative(alone.value[0], whole.value[at], 1e-12));
    BOOST_TEST(close_relative(pairs_of(alone).view(), u.view().columns(i, 1), 1e-12));
  }
  // The twin: as many steps as the batch takes would have changed the numbers of the first that was done.
  Trial<double> all(net, x, fmt::format("trace+krylov:{}", whole.products[most] - 1), Pass::gradient);
  all.estimate({.seed = 2});
  BOOST_TEST(!close_relative(all.value[fewest], whole.value[fewest], 1e-12));
  BOOST_TEST(!close_relative(pairs_of(all).view().columns(fewest, 1), u.view().columns(fewest, 1), 1e-12));

  // A sample that is broken is so alone.
  x(3, most) = nan_of<double>;
  Trial<double> broken(net, x, "trace+krylov:tol=0.02", Pass::gradient);
  broken.estimate({.seed = 2});
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    BOOST_TEST(int{broken.sign[at]} == (i == most ? 0 : 1));
    if (i != most) BOOST_TEST(close_relative(broken.value[at], whole.value[at], 1e-12));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_complete_basis_is_the_end_and_exact, T, Precisions) {
  const Index n = 5;
  const Draws draws{.seed = 3};
  const auto check = [&](const Matrix<double>& jacobian, const std::string& name, Index least, Index most) {
    const Index d = jacobian.rows();
    const auto net = linear_network<T>(jacobian);
    const auto v = probes_of(draws, d, n);
    Trial<T> trial(net, Matrix<T>(d, n), "krylov:20,tol=1e-30", Pass::gradient);
    trial.estimate(draws);
    const auto log = log_rest(jacobian, 0);
    const auto left = residuals(net, trial, v);
    BOOST_TEST_CONTEXT(name << ", d = " << d) {
      for (std::size_t i = 0; i < left.size(); ++i) {
        BOOST_TEST((trial.products[i] >= least && trial.products[i] <= most), trial.products[i] << " steps");
        BOOST_TEST(close_absolute(trial.value[i], quadratic(log, v.view().column_span(static_cast<Index>(i))),
                                  rounding<T> + 1e-9));
        BOOST_TEST(left[i] < rounding<T>);
        if (d == 1) BOOST_TEST(close_absolute(trial.value[i], exact_value(jacobian), rounding<T> + 1e-9));
      }
    }
  };
  for (const Index d : {1, 2, 3, 8}) {
    for (const auto& c : jacobians(d)) check(c.jacobian, c.name, 1, d);
  }
  // Steps are as many as the degree of the minimal polynomial with respect to the probe.
  for (const Index d : {1, 2, 8}) {
    check(matrix_of<double>(d, d, [](Index i, Index j) { return i == j ? 0.3 : 0.0; }), "multiple of I", 1, 1);
    check(Matrix<double>(d, d), "zero", 1, 1);
  }
  for (const Index d : {2, 8}) {
    check(jacobians(d)[2].jacobian, "two eigenvalues", 2, 2);
    check(jacobians(d)[3].jacobian, "rotation", 2, 2);
  }
  check(jacobians(8)[1].jacobian, "random", 8, 8);
  // The twin: one step fewer is not exact.
  const auto jacobian = jacobians(3)[1].jacobian;
  const auto net = linear_network<T>(jacobian);
  const auto v = probes_of(draws, 3, n);
  Trial<T> fewer(net, Matrix<T>(3, n), "krylov:2", Pass::gradient);
  fewer.estimate(draws);
  BOOST_TEST(
      !close_absolute(fewer.value[0], quadratic(log_rest(jacobian, 0), v.view().column_span(0)), rounding<T> + 1e-9));
  BOOST_TEST(residuals(net, fewer, v)[0] > rounding<T>);
}

BOOST_AUTO_TEST_CASE(only_an_adaptive_number_of_steps_is_limited_silently) {
  const NetworkOptions three{.in = 3, .out = 3, .hidden = {4}};
  const auto make = [&](const char* method) {
    return logdet::make_estimator<double>(logdet::parse_method(method), three);
  };
  BOOST_CHECK_EXCEPTION(make("krylov:4"), OptionError, says({"krylov:4", "4 Arnoldi steps", "dimension 3"}));
  BOOST_CHECK_NO_THROW(make("krylov:4,tol=0.1"));
  BOOST_CHECK_NO_THROW(make("trace+krylov"));
}

BOOST_AUTO_TEST_CASE(products_are_counted) {
  const Index d = 5, n = 4;
  const auto counted = [&](const std::vector<Index>& hidden, const std::string& method) {
    const TestNetwork<double> net({.in = d, .out = d, .hidden = hidden, .lipschitz = 0.9});
    Trial<double> trial(net, random_matrix<double>(d, n, 63), method, Pass::evaluate);
    trial.estimate({.seed = 4});
    return trial.products;
  };
  for (const std::vector<Index>& hidden : {std::vector<Index>{}, {7}, {8, 6}}) {
    for (const Index count : counted(hidden, "krylov:4,probes=3")) BOOST_TEST(count == 12);
    for (const Index count : counted(hidden, "trace+krylov:4,probes=3")) BOOST_TEST(count == 13);
    for (const Index count : counted(hidden, "trace+krylov:1")) BOOST_TEST(count == 2);
    for (const Index count : counted(hidden, "trace+krylov:tol=0.9,probes=3")) BOOST_TEST(count == 7);
    for (const Index count : counted(hidden, "trace+krylov:tol=1e-30,probes=3")) BOOST_TEST(count == 16);
  }
}

// For a sign vector ‖v‖² = d, so that the bound on the bias holds for each value.
BOOST_AUTO_TEST_CASE(no_value_is_farther_off_than_the_bound_on_the_bias) {
  const Index n = 20;
  bool fewer_terms_are_not_enough = false;
  for (const Index d : {2, 5, 8}) {
    const auto v = probes_of({.seed = 5}, d, n);
    for (const auto& c : jacobians(d)) {
      const auto net = linear_network(c.jacobian);
      const auto log = log_rest(c.jacobian, 0);
      std::vector<std::string> methods{"krylov:tol=0.9", "krylov:tol=0.2", "krylov:1,tol=0.1"};
      for (Index k = 1; k <= d; ++k) methods.push_back(fmt::format("krylov:{}", k));
      for (const auto& method : methods) {
        Trial<double> trial(net, Matrix<double>(d, n), method, Pass::evaluate);
        trial.estimate({.seed = 5});
        const double bound = trial.estimator->bias_bound(d, 0.7);
        for (Index i = 0; i < n; ++i) {
          const double off = std::abs(trial.value[i] - quadratic(log, v.view().column_span(i)));
          BOOST_TEST(off <= bound + 1e-9, method << ", " << c.name << ", d = " << d << ": " << off << " > " << bound);
          fewer_terms_are_not_enough |= method == "krylov:1" && off > 2 * logdet::truncation_bound(d, 0.7, 4);
        }
      }
    }
  }
  BOOST_TEST(fewer_terms_are_not_enough);

  const auto bound = [](const char* method, Index d) {
    return logdet::make_estimator<float>(logdet::parse_method(method), {.in = d, .out = d})->bias_bound(d, 0.7);
  };
  BOOST_TEST(bound("krylov:3", 3) == 0);
  BOOST_TEST(bound("krylov:3", 4) == 2 * logdet::truncation_bound(4, 0.7, 3));
  BOOST_TEST(bound("krylov:tol=0.1", 2) == 0);
  BOOST_TEST(bound("krylov:tol=0.1", 3) == 2 * logdet::truncation_bound(3, 0.7, 2));
  BOOST_TEST(bound("krylov:1,tol=0.1", 3) == 2 * logdet::truncation_bound(3, 0.7, 1));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(means_of_networks_are_the_exact_value, T, Precisions) {
  const Index d = 6, n = 3000;
  for (const std::vector<Index>& hidden : {std::vector<Index>{9}, {9, 8}}) {
    const TestNetwork<T> net({.in = d, .out = d, .hidden = hidden, .lipschitz = 0.95});
    const auto point = random_matrix<T>(d, 1, 64);
    const double expected = exact_value(dense_jacobian<T>(net.network, point));
    for (const char* const method : {"krylov:6", "trace+krylov:6", "trace+krylov:tol=1e-6", "trace+krylov:tol=0.1",
                                     "trace+krylov:2", "trace+krylov:1", "trace+krylov:3,probe=gaussian"}) {
      Trial<T> trial(net, repeated(point, n), method, Pass::evaluate);
      trial.estimate({.seed = 6});
      const auto m = moments(trial.value);
      const double bias = trial.estimator->bias_bound(d, net.network.lipschitz());
      BOOST_TEST(agrees(m, expected, bias + rounding<T>), method << ", " << hidden.size() << ": " << m.mean << " ± "
                                                                 << m.error << ", exact " << expected << ", bias "
                                                                 << bias);
      // The twin, where nothing hides it.
      if (bias == 0) BOOST_TEST(!agrees(m, expected + 10 * m.error + 1e-2, rounding<T>), method);
    }
  }
}

BOOST_AUTO_TEST_CASE(variances_are_what_exact_traces_leave) {
  const Index d = 8, n = 20000;
  for (const std::vector<Index>& hidden : {std::vector<Index>{12}, {12, 10}}) {
    const TestNetwork<double> net({.in = d, .out = d, .hidden = hidden, .lipschitz = 0.95});
    const auto point = random_matrix<double>(d, 1, 65);
    const auto jacobian = dense_jacobian<double>(net.network, point);
    const auto measured = [&](const char* method) {
      Trial<double> trial(net, repeated(point, n), method, Pass::evaluate);
      trial.estimate({.seed = 7});
      return moments(trial.value).variance;
    };
    double formula[3];
    for (Index terms = 0; terms <= 2; ++terms) formula[terms] = variance_with_signs(log_rest(jacobian, terms));
    const Index exact = hidden.size() == 1 ? 2 : 1;
    const double all = measured("krylov:8"), rest = measured("trace+krylov:8");
    // 20000 draws of a variable whose kurtosis is below 6: the variance is known to 1.6 %, 5 standard errors.
    BOOST_TEST_CONTEXT(hidden.size() << " hidden layers") {
      BOOST_TEST(close_relative(all, formula[0], 0.08));
      BOOST_TEST(close_relative(rest, formula[exact], 0.08));
      BOOST_TEST(rest < 0.5 * formula[exact - 1]);
      BOOST_TEST(!close_relative(rest, formula[exact - 1], 0.08));
      BOOST_TEST(!close_relative(rest, 1.25 * formula[exact], 0.08));
    }
  }
}

// Exact traces change the values and pairs of a probe. The expected changes come from the dense Jacobian.
BOOST_AUTO_TEST_CASE_TEMPLATE(exact_traces_replace_their_terms, T, Precisions) {
  struct Expected {
    std::vector<Index> hidden;
    Index d;
    std::string steps;
    Index terms;
  };
  const Index n = 4;
  const Draws draws{.seed = 8};
  for (const auto& e : std::vector<Expected>{{{9}, 6, "2", 2},
                                             {{9}, 6, "4", 2},
                                             {{9}, 6, "tol=0.05", 2},
                                             {{4}, 6, "6", 2},  // complete before its last step
                                             {{9}, 6, "1", 1},
                                             {{9}, 1, "1", 1},
                                             {{9}, 1, "tol=0.05", 1},
                                             {{9, 7}, 6, "2", 1},
                                             {{}, 6, "2", 1}}) {
    const TestNetwork<T> net({.in = e.d, .out = e.d, .hidden = e.hidden, .lipschitz = 0.95});
    const auto x = random_matrix<T>(e.d, n, 66);
    const auto v = probes_of(draws, e.d, n);
    Trial<T> plain(net, x, "krylov:" + e.steps, Pass::gradient);
    Trial<T> with_trace(net, x, "trace+krylov:" + e.steps, Pass::gradient);
    plain.estimate(draws);
    with_trace.estimate(draws);
    const auto u = pairs_of(plain), u_trace = pairs_of(with_trace);
    const auto expected = [&](Index i, Index terms) {
      const auto j = dense_jacobian<T>(net.network, x.view().columns(i, 1));
      const auto square = product<double>(j, j);
      const auto mine = v.view().column_span(i);
      const double half = terms == 2 ? 0.5 : 0;
      const auto jtv = product<double>(j, v.view().columns(i, 1), linalg::Op::transpose);
      return std::pair{
          plain.value[i] + trace_of(j) - quadratic(j, mine) - half * (trace_of(square) - quadratic(square, mine)),
          matrix_of<double>(e.d, 1, [&](Index r, Index) { return u(r, i) - v(r, i) + 2 * half * jtv(r, 0); })};
    };
    BOOST_TEST_CONTEXT(e.hidden.size() << " hidden layers, d = " << e.d << ", " << e.steps) {
      for (Index i = 0; i < n; ++i) {
        const double value = with_trace.value[i];
        const auto [right, pair] = expected(i, e.terms);
        const auto [wrong, wrong_pair] = expected(i, 3 - e.terms);
        BOOST_TEST(close_absolute(value, right, rounding<T>));
        BOOST_TEST(close_absolute(u_trace.view().columns(i, 1), pair.view(), rounding<T>));
        BOOST_TEST((e.d == 1 || !close_absolute(value, wrong, rounding<T>)));
        BOOST_TEST(!close_absolute(u_trace.view().columns(i, 1), wrong_pair.view(), rounding<T>));
      }
    }
  }
}

// All columns of a Hadamard matrix as probes, and complete bases: nothing is left to chance.
BOOST_AUTO_TEST_CASE_TEMPLATE(all_of_a_hadamard_matrix_gives_the_exact_gradient, T, Precisions) {
  const Index d = 4, n = 6;
  const std::vector<T> weight{T(1), T(0), T(2), T(0.5), T(1), T(3)};
  for (const std::vector<Index>& hidden : {std::vector<Index>{}, {7}, {3}, {6, 5}, {5, 6}}) {
    const TestNetwork<T> net({.in = d, .out = d, .hidden = hidden, .lipschitz = 0.95});
    const auto x = random_matrix<T>(d, n, 67);
    Trial<T> exact(net, x, "exact", Pass::gradient);
    const auto expected = exact.gradient({}, weight);
    std::vector<std::string> methods{"trace+krylov:4,probe=hadamard,probes=4",
                                     "trace+krylov:tol=1e-30,probe=hadamard,probes=4",
                                     "krylov:4,probe=hadamard,probes=4"};
    for (const auto& method : methods) {
      Trial<T> trial(net, x, method, Pass::gradient);
      const auto gradient = trial.gradient({.seed = 9}, weight);
      BOOST_TEST_CONTEXT(method << ", " << hidden.size() << " hidden layers") {
        BOOST_TEST(close_absolute(trial.value, exact.value, rounding<T> + 1e-9));
        BOOST_TEST(close_relative(gradient, expected, rounding<T>));
        BOOST_TEST(!close_relative(one_percent_off<double>(gradient), expected, rounding<T>));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exact_traces_have_their_gradient, T, Precisions) {
  const Index d = 5, n = 3;
  const std::vector<T> weight{T(1), T(-0.5), T(2)};
  for (const std::vector<Index>& hidden : {std::vector<Index>{}, {7}, {3}, {8, 6}}) {
    const NetworkOptions options{.in = d, .out = d, .hidden = hidden, .lipschitz = 0.95};
    TestNetwork<T> net(options);
    TestNetwork<double> reference(options);
    net.settle();
    const auto x = random_matrix<T>(d, n, 68);
    for (Index terms = 1; terms <= logdet::ExactTrace<T>::most_terms(options); ++terms) {
      linalg::Workspace memory(1 << 16);
      logdet::ExactTrace<T> trace(net.network, memory, n, terms);
      Passes<T> passes(net.network, n, 0, Pass::gradient);
      Matrix<T> y(d, n), x_bar(d, n);
      std::vector<T> gradient(net.parameters.size());
      std::vector<double> value(n);
      net.network.forward(*passes, x, y);
      trace.value(net.network, *passes, value);
      for (Index i = 0; i < n; ++i) std::fill_n(passes->value_seed().column(i), d, T(0));
      trace.add_to_reverse(net.network, *passes, weight, gradient);
      net.network.reverse(*passes, x_bar, gradient);
      net.network.gradient_of_raw_parameters(gradient);

      const auto sum_of = [&](const Matrix<double>& j) {
        return trace_of(j) - (terms == 2 ? 0.5 * trace_of(product<double>(j, j)) : 0);
      };
      const auto objective = [&](std::span<const double> parameters, const Matrix<double>& at) {
        reference.network.prepare(parameters, nn::Normalization::svd);
        double sum = 0;
        for (Index i = 0; i < n; ++i) {
          sum += static_cast<double>(weight[i]) *
                 sum_of(dense_jacobian<double>(reference.network, at.view().columns(i, 1)));
        }
        return sum;
      };
      const std::vector<double> parameters(net.parameters.begin(), net.parameters.end());
      const auto at_x = converted<double>(x);
      const auto of_parameters = [&](std::span<const double> p) { return objective(p, at_x); };
      const auto of_x = [&](std::span<const double> p) {
        return objective(parameters, Matrix<double>(ConstMatrixView<double>(p.data(), d, n)));
      };
      const std::span<const T> claimed(gradient), claimed_x = x_bar.span();
      const auto scale = taylor_scale<T>();
      BOOST_TEST_CONTEXT(hidden.size() << " hidden layers, " << terms << " terms") {
        for (Index i = 0; i < n; ++i) {
          const auto j = dense_jacobian<T>(net.network, x.view().columns(i, 1));
          BOOST_TEST(close_absolute(value[i], sum_of(j), rounding<T>));
        }
        BOOST_TEST(is_gradient(of_parameters, parameters, claimed, scale));
        BOOST_TEST(!is_gradient<T>(of_parameters, parameters, one_percent_off(claimed), scale));
        if (hidden.empty()) continue;  // nothing depends on x
        BOOST_TEST(is_gradient(of_x, at_x.span(), claimed_x, scale));
        BOOST_TEST(!is_gradient<T>(of_x, at_x.span(), one_percent_off(claimed_x), scale));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
