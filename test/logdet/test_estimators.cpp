#include <pushforward/linalg/reference.hpp>
#include <pushforward/logdet/cost.hpp>

#include "jacobians.hpp"
#include "method_options.hpp"
#include "moments.hpp"
#include "rates.hpp"
#include "trial.hpp"

#include <says.hpp>

#include <cmath>

namespace pushforward::test {

namespace {

using logdet::Draws;
using logdet::parse_method;
using nn::NetworkOptions;
using nn::Pass;

// A method and the terms of the power series that its mean has: all of them for 0.
struct Expected {
  std::string method;
  Index terms;
};

const std::vector<Expected> methods_of_known_mean{{"exact", 0},
                                                  {"series:12", 12},
                                                  {"series:12,trace=exact", 12},
                                                  {"series:8,probe=gaussian,probes=2", 8},
                                                  {"roulette:p=0.3", 0},
                                                  {"roulette:p=0.3,exact=4,samples=3,length=sample,probe=gaussian", 0},
                                                  {"poisson:rate=4,exact=3", 0},
                                                  {"neumann:p=0.2,exact=0", 0}};

// Methods whose mean gradient is the exact one at small Jacobians.
const std::vector<std::string> methods_of_known_gradient{"exact",
                                                         "series:20",
                                                         "series:20,trace=exact",
                                                         "roulette:p=0.4",
                                                         "roulette:p=0.4,length=step,samples=2",
                                                         "poisson:rate=3",
                                                         "neumann:p=0.4,exact=0",
                                                         "krylov:5",
                                                         "trace+krylov:5",
                                                         "trace+krylov:5,probes=2",
                                                         "krylov:5,probe=gaussian"};

// log|det(I + J)|, or the first terms of its power series.
double mean_of(const Expected& e, const Matrix<double>& jacobian) {
  const double whole = exact_value(jacobian);
  if (e.terms == 0) return whole;
  const auto rest = log_rest(jacobian, e.terms);
  double trace = 0;
  for (Index i = 0; i < rest.rows(); ++i) trace += rest(i, i);
  return whole - trace;
}

double dot(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  double sum = 0;
  for (Index i = 0; i < a.rows(); ++i) sum += a(i, 0) * b(i, 0);
  return sum;
}

// Takes from w (d × 1) what it has along each of the orthonormal vectors, several times; returns the norm of the rest.
double take_away(const std::vector<Matrix<double>>& basis, Matrix<double>& w) {
  for (int pass = 0; pass < 3; ++pass) {
    for (const auto& q : basis) {
      const double along = dot(q, w);
      for (Index i = 0; i < w.rows(); ++i) w(i, 0) -= along * q(i, 0);
    }
  }
  return frobenius<double>(w);
}

Matrix<double> scaled(Matrix<double> w, double factor) {
  for (double& value : w.span()) value *= factor;
  return w;
}

// The estimate of log det(I + J) by one probe v: ‖v‖² e₁ᵀ log(I + H) e₁. Here H = QᵀJᵀQ, and Q is an orthonormal basis
// of the Krylov space of Jᵀ and v. If the trace is exact, ‖v‖² H₁₁ is left out and tr J is added. The space grows until
// it has `most` dimensions. With a tolerance it stops earlier: as soon as ‖v − (I + Jᵀ)u‖ ≤ tolerance · ‖v‖ for some u
// in it, but not before it has two dimensions. Everything is dense: Gram–Schmidt, H from its definition, and its
// logarithm by its series.
double krylov_value(const Matrix<double>& jacobian, const Matrix<double>& v, Index most, double tolerance, bool trace) {
  const double length = frobenius<double>(v);
  std::vector<Matrix<double>> basis{scaled(v, 1 / length)}, reached;
  const auto times = [&](const Matrix<double>& q) { return product<double>(jacobian, q, linalg::Op::transpose); };
  for (;;) {
    auto next = times(basis.back());
    Matrix<double> image(next);  // (I + Jᵀ)q
    for (Index i = 0; i < image.rows(); ++i) image(i, 0) += basis.back()(i, 0);
    const double new_part = take_away(reached, image);
    if (new_part > 1e-12) reached.push_back(scaled(image, 1 / new_part));
    Matrix<double> rest(v);
    const bool close_enough = basis.size() >= 2 && take_away(reached, rest) <= tolerance * length;
    const double left = take_away(basis, next);
    if (std::ssize(basis) == most || close_enough || left < 1e-12) break;
    basis.push_back(scaled(next, 1 / left));
  }
  const auto h = matrix_of<double>(std::ssize(basis), std::ssize(basis), [&](Index i, Index j) {
    return dot(basis[static_cast<std::size_t>(i)], times(basis[static_cast<std::size_t>(j)]));
  });
  double value = length * length * (log_rest(h, 0)(0, 0) - (trace ? h(0, 0) : 0));
  for (Index i = 0; trace && i < jacobian.rows(); ++i) value += jacobian(i, i);
  return value;
}

Matrix<double> nearly_multiple(Index d, double multiple, double rest) {
  return matrix_of<double>(d, d, [=](Index i, Index j) {
    return (i == j ? multiple : 0) + rest * std::sin(static_cast<double>(1 + i * d + j));
  });
}

// The values of krylov and trace+krylov at linear networks, by the reference above.
std::vector<double> krylov_values(const Matrix<double>& jacobian, const logdet::Method& method, const Draws& draws,
                                  Index n) {
  const auto& options = *krylov_options(method);
  const Index d = jacobian.rows(), m = options.probes;
  Matrix<double> v(d, n * m);
  logdet::draw_probes<double>(logdet::probe_names().value(options.probe), draws, m, v);
  std::vector<double> values(n);
  for (Index c = 0; c < n * m; ++c) {
    values[c / m] += krylov_value(jacobian, Matrix<double>(v.view().columns(c, 1)), std::min(d, options.terms),
                                  options.tol, has_exact_trace(method)) /
                     static_cast<double>(m);
  }
  return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(estimators)

// The mean of a truncated series is that of its terms, of all others the exact value. No bias is allowed for.
BOOST_AUTO_TEST_CASE(means_are_those_of_the_terms) {
  for (const Index d : {1, 2, 5, 16}) {
    for (const auto& c : jacobians(d)) {
      const auto net = linear_network(c.jacobian);
      const Matrix<double> x(d, 3000);
      for (const auto& e : methods_of_known_mean) {
        Trial<double> trial(net, x, e.method, Pass::evaluate);
        trial.estimate({.seed = 11});
        const auto m = moments(trial.value);
        const double expected = mean_of(e, c.jacobian);
        BOOST_TEST(agrees(m, expected, 0), e.method << ", " << c.name << ", d = " << d << ": " << m.mean << " ± "
                                                    << m.error << ", expected " << expected);
        if (e.method == "exact") BOOST_TEST(close_absolute(trial.value[0], expected, 1e-10));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(large_dimensions_too) {
  const Index d = 128;
  const auto c = jacobians(d)[1];
  const auto net = linear_network(c.jacobian);
  for (const auto& e : methods_of_known_mean) {
    if (e.method.ends_with("trace=exact")) continue;  // all powers of a dense J, for each sample
    Trial<double> trial(net, Matrix<double>(d, 300), e.method, Pass::evaluate);
    trial.estimate({.seed = 12});
    const auto m = moments(trial.value);
    const double expected = mean_of(e, c.jacobian);
    BOOST_TEST(agrees(m, expected, 0), e.method << ": " << m.mean << " ± " << m.error << ", expected " << expected);
    // The twin: two nats would have been noticed, a quarter of what a bound on the bias of six terms is.
    BOOST_TEST(!agrees(m, expected + 2, 0), e.method);
  }
}

BOOST_AUTO_TEST_CASE(krylov_values_are_those_of_a_dense_basis) {
  const Index n = 8;
  const Draws draws{.seed = 17};
  for (const Index d : {1, 2, 5, 16, 40}) {
    auto all = jacobians(d);
    all.push_back({"nearly a multiple of I", nearly_multiple(d, 0.6, 1e-5)});
    for (const auto& c : all) {
      const auto net = linear_network(c.jacobian);
      for (const auto& text : {fmt::format("krylov:{}", std::min<Index>(d, 5)), fmt::format("krylov:{}", d),
                               fmt::format("trace+krylov:{}", std::min<Index>(d, 4)),
                               fmt::format("trace+krylov:{},probe=hadamard,probes=3", std::min<Index>(d, 3)),
                               std::string("krylov:tol=0.1,probe=gaussian"), std::string("krylov:tol=0.001"),
                               std::string("trace+krylov:tol=0.02,probes=2")}) {
        Trial<double> trial(net, Matrix<double>(d, n), text, Pass::evaluate);
        trial.estimate(draws);
        const auto expected = krylov_values(c.jacobian, parse_method(text), draws, n);
        BOOST_TEST(close_absolute(trial.value, expected, 1e-9 * static_cast<double>(d)),
                   text << ", " << c.name << ", d = " << d);
      }
    }
  }
  // The twins: a step fewer, the trace left out, another tolerance.
  const auto c = jacobians(16)[1];
  const auto net = linear_network(c.jacobian);
  const auto differ = [&](const char* text, const char* other) {
    Trial<double> trial(net, Matrix<double>(16, n), text, Pass::evaluate);
    trial.estimate(draws);
    return !close_absolute(trial.value, krylov_values(c.jacobian, parse_method(other), draws, n), 1e-4);
  };
  BOOST_TEST(differ("krylov:5", "krylov:4"));
  BOOST_TEST(differ("trace+krylov:4", "krylov:4"));
  BOOST_TEST(differ("krylov:tol=0.1", "krylov:tol=0.02"));
}

// The product of such a matrix with a vector hardly turns it. Nearly all of it is taken away, and the rest has lost
// digits, so that it must be orthogonalized a second time. Where I + J is nearly singular, an error ε in the basis
// becomes about ε/(1 − c)² in the value: 400ε here.
BOOST_AUTO_TEST_CASE(krylov_values_need_a_second_orthogonalization) {
  const Draws draws{.seed = 17};
  for (const Index d : {2, 5, 16}) {
    const auto jacobian = nearly_multiple(d, -0.95, 1e-3);
    const auto net = linear_network<float>(jacobian);
    for (const Index steps : {Index(2), std::min<Index>(d, 4)}) {
      const auto text = fmt::format("krylov:{}", steps);
      Trial<float> trial(net, Matrix<float>(d, 20), text, Pass::evaluate);
      trial.estimate(draws);
      const auto expected = krylov_values(jacobian, parse_method(text), draws, 20);
      BOOST_TEST(close_absolute(trial.value, expected, 4e-6 * static_cast<double>(d)), text << ", d = " << d);
    }
  }
}

// The twin: a mean that is off by more than its error and its bias does not pass.
BOOST_AUTO_TEST_CASE(a_wrong_mean_is_refused) {
  BOOST_TEST(!agrees({.mean = 1.05, .variance = 0, .error = 0.01}, 1, 0));
  BOOST_TEST(!agrees({.mean = std::nan(""), .variance = 0, .error = 0.01}, 1, 0));
  // One term alone is far from the whole.
  const auto c = jacobians(5)[0];
  const auto net = linear_network(c.jacobian);
  Trial<double> trial(net, Matrix<double>(5, 3000), "series:1", Pass::evaluate);
  trial.estimate({.seed = 13});
  BOOST_TEST(!agrees(moments(trial.value), exact_value(c.jacobian), 0));
}

// Var vᵀJv: 2‖S‖² without its diagonal for signs, 2‖S‖² for normals, S = (J + Jᵀ)/2 [Avron & Toledo 2011].
BOOST_AUTO_TEST_CASE(variances_are_those_of_the_formulas) {
  const Index d = 16;
  const auto jacobian = jacobians(d)[1].jacobian;
  double off = 0, all = 0;
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      const double s = 0.5 * (jacobian(i, j) + jacobian(j, i));
      all += 2 * s * s;
      off += i == j ? 0 : 2 * s * s;
    }
  }
  const auto net = linear_network(jacobian);
  const auto measured = [&](const char* method) {
    Trial<double> trial(net, Matrix<double>(d, 20000), method, Pass::evaluate);
    trial.estimate({.seed = 14});
    return moments(trial.value).variance;
  };
  // 20000 draws of a nearly normal variable: the variance is known to 1 %, 4 standard errors.
  BOOST_TEST(close_relative(measured("series:1"), off, 0.06));
  BOOST_TEST(close_relative(measured("series:1,probe=gaussian"), all, 0.06));
  BOOST_TEST(close_relative(measured("series:1,probes=4"), off / 4, 0.06));
  // A set of m orthogonal sign vectors: (d − m)/(d − 1) of that.
  BOOST_TEST(close_relative(measured("series:1,probe=hadamard,probes=4"), off / 4 * 12 / 15, 0.06));
  BOOST_TEST(measured("series:1,probe=hadamard,probes=16") < 1e-20);
}

BOOST_AUTO_TEST_CASE(reported_variances_are_those_of_the_mean_over_probes) {
  const auto net = linear_network(jacobians(16)[1].jacobian);
  Trial<double> trial(net, Matrix<double>(16, 5000), "krylov:4,probes=4", Pass::evaluate);
  trial.estimate({.seed = 15});
  BOOST_TEST(close_relative(moments(trial.variance).mean, moments(trial.value).variance, 0.1));
  Trial<double> single(net, Matrix<double>(16, 2), "krylov:4", Pass::evaluate);
  single.estimate({});
  BOOST_TEST(std::isnan(single.variance[0]));
}

BOOST_AUTO_TEST_CASE(every_kind_is_among_those_whose_gradient_is_known) {
  for (const auto& kind : logdet::MethodKind::registry().all()) {
    const bool is_there = std::ranges::any_of(methods_of_known_gradient, [&](const std::string& text) {
      return text.substr(0, text.find(':')) == kind.name;
    });
    // `auto` becomes one of the others, and hutchinson is for continuous flows.
    BOOST_TEST((is_there || kind.name == "auto" || kind.name == "hutchinson"), kind.name);
  }
}

BOOST_AUTO_TEST_CASE(mean_gradients_are_the_exact_gradient) {
  for (const std::vector<Index>& hidden : {std::vector<Index>{}, {7}, {8, 6}}) {
    const Index d = 5, n = 6;
    TestNetwork<double> net({.in = d, .out = d, .hidden = hidden, .lipschitz = 0.5});
    const auto x = random_matrix<double>(d, n, 21);
    const std::vector<double> weight{1, 0, 2, 0.5, 1, 3};
    const std::vector<double> none{};
    Trial<double> exact(net, x, "exact:through=input", Pass::gradient);
    const auto expected = exact.gradient({}, weight);
    const auto direction = random_vector<double>(std::ssize(expected), 22);
    const auto along = [&](const std::vector<double>& g, std::size_t from, std::size_t to) {
      double sum = 0;
      for (std::size_t i = from; i < to; ++i) sum += g[i] * direction[i];
      return sum;
    };
    auto all = methods_of_known_gradient;
    if (!hidden.empty()) all.emplace_back("exact:through=narrowest");
    for (const auto& method : all) {
      Trial<double> trial(net, x, method, Pass::gradient);
      std::vector<double> parameters, inputs;
      const std::size_t split = net.parameters.size();
      for (std::uint64_t step = 0; step < 1500; ++step) {
        const auto g = trial.gradient({.seed = 16, .step = step}, weight);
        parameters.push_back(along(g, 0, split));
        inputs.push_back(along(g, split, g.size()));
      }
      BOOST_TEST(agrees(moments(parameters), along(expected, 0, split), 1e-6),
                 method << ", weights, " << hidden.size());
      BOOST_TEST(agrees(moments(inputs), along(expected, split, expected.size()), 1e-6),
                 method << ", x, " << hidden.size());
      // The twin: one per cent of the whole gradient more is noticed where there is no noise to hide it.
      if (!trial.estimator->method().stochastic()) {
        BOOST_TEST(!agrees(moments(parameters), 1.01 * along(expected, 0, split), 1e-6));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(draws_belong_to_the_sample_alone) {
  const Index d = 6;
  TestNetwork<double> net({.in = d, .out = d, .hidden = {9, 8}, .lipschitz = 0.8});
  const auto x = random_matrix<double>(d, 7, 23);
  Matrix<double> part(x.view().columns(2, 3));
  const std::vector<Index> numbers{102, 7, 104}, all{100, 101, 102, 7, 104, 105, 106};
  for (const char* const method :
       {"series:5,probes=2", "roulette:p=0.3,samples=2", "poisson:rate=3", "trace+krylov:3,probe=hadamard,probes=2",
        "krylov:4,probe=gaussian", "trace+krylov:tol=0.05,probes=2"}) {
    Trial<double> whole(net, x, method, Pass::evaluate), alone(net, part, method, Pass::evaluate);
    whole.estimate({.seed = 3, .step = 5, .block = 2, .samples = all});
    alone.estimate({.seed = 3, .step = 5, .block = 2, .samples = numbers});
    BOOST_TEST(close_absolute(alone.value, std::span<const double>(whole.value).subspan(2, 3), 1e-12), method);
    alone.estimate({.seed = 3, .step = 5, .block = 3, .samples = numbers});
    BOOST_TEST(!close_absolute(alone.value, std::span<const double>(whole.value).subspan(2, 3), 1e-12), method);
  }
}

BOOST_AUTO_TEST_CASE(the_samples_of_a_batch_may_be_of_several_steps) {
  const Index d = 6, n = 5;
  TestNetwork<double> net({.in = d, .out = d, .hidden = {9, 8}, .lipschitz = 0.8});
  const auto x = random_matrix<double>(d, n, 24);
  const std::vector<Index> steps{4, 0, 4, 9, 1}, numbers{3, 3, 5, 0, 1};
  for (const char* const method : {"series:5,probes=2", "roulette:p=0.3,samples=2", "roulette:p=0.3,length=step",
                                   "poisson:rate=3,length=step", "trace+krylov:3,probe=hadamard"}) {
    Trial<double> together(net, x, method, Pass::evaluate);
    together.estimate({.seed = 3, .steps = steps, .block = 2, .samples = numbers});
    for (Index i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      Trial<double> alone(net, Matrix<double>(x.view().columns(i, 1)), method, Pass::evaluate);
      alone.estimate({.seed = 3, .step = static_cast<std::uint64_t>(steps[at]), .block = 2, .first = numbers[at]});
      BOOST_TEST(close_absolute(together.value[at], alone.value[0], 1e-12), method);
    }
    // The rest of a batch keeps its steps.
    const Draws whole{.seed = 3, .steps = steps, .block = 2, .samples = numbers};
    Trial<double> rest(net, Matrix<double>(x.view().columns(2, 3)), method, Pass::evaluate);
    rest.estimate(whole.from(2));
    BOOST_TEST(close_absolute(rest.value, std::span<const double>(together.value).last(3), 1e-12), method);
  }
}

BOOST_AUTO_TEST_CASE(a_series_of_what_is_no_contraction_has_no_bound) {
  BOOST_TEST(close_relative(logdet::truncation_bound(3, 0.5, 2), 3 * (std::log(2.0) - 0.625), 1e-14));
  for (const double c : {1.0, 1.5, std::nan("")}) {
    BOOST_TEST(logdet::truncation_bound(3, c, 2) == std::numeric_limits<double>::infinity());
  }
}

BOOST_AUTO_TEST_CASE(methods_read_back_as_they_are_written) {
  for (const char* const text :
       {"exact", "series:10", "series:10,trace=exact", "series:3,probe=gaussian,probes=4", "roulette:p=0.5,exact=2",
        "roulette:p=0.25,exact=20,samples=3,length=step,probe=hadamard", "poisson:rate=2,exact=2", "krylov:4",
        "exact:through=narrowest", "exact:through=input", "krylov:4,tol=0.05", "trace+krylov:tol=0.1",
        "trace+krylov:3,probes=8", "auto"}) {
    BOOST_TEST(to_string(parse_method(text)) == text);
  }
  BOOST_TEST(to_string(parse_method("neumann:p=0.1")) == "roulette:p=0.1,exact=2");
  BOOST_TEST(to_string(parse_method("roulette")) == "roulette:exact=2");
  BOOST_TEST(to_string(parse_method("krylov")) == "krylov:tol=0.1");
  BOOST_TEST(to_string(parse_method("trace+krylov:12,tol=0.1")) == "trace+krylov:tol=0.1");
  BOOST_TEST(to_string(parse_method("krylov:probes=2")) == "krylov:tol=0.1,probes=2");
  BOOST_TEST(to_string(parse_method("krylov:terms=4")) == "krylov:4");
  BOOST_TEST(to_string(parse_method("exact:through=cheaper")) == "exact");
}

BOOST_AUTO_TEST_CASE(keys_without_effect_are_not_written) {
  logdet::SeriesOptions options;
  options.probe = "gaussian";
  options.probes = 4;
  BOOST_TEST(to_string(logdet::Method(options)) == "series:10,probe=gaussian,probes=4");
  options.trace = "exact";
  BOOST_TEST(to_string(logdet::Method(options)) == "series:10,trace=exact");
}

BOOST_AUTO_TEST_CASE(what_is_no_method_is_refused_with_its_rule) {
  const auto refused = [](const char* text, std::vector<std::string> parts) {
    parts.push_back(fmt::format("log-det method '{}'", text));
    BOOST_CHECK_EXCEPTION(parse_method(text), OptionError, says(parts));
  };
  BOOST_CHECK_EXCEPTION(parse_method("krilov:3"), OptionError,
                        says({"log-det method 'krilov'", "did you mean 'krylov'"}));
  refused("series:0", {"terms = 0", "between 1 and 1000000"});
  refused("series:x", {"terms = x", "an integer"});
  refused("series:3,trace=exact,probe=gaussian", {"probe does nothing"});
  refused("series:3,terms=4", {"terms is given twice"});
  refused("roulette:p=1", {"more than 0 and less than 1"});
  refused("roulette:p=nan", {"a number"});
  refused("roulette:3", {"KEY=VALUE"});
  refused("poisson:rate=0", {"more than 0 and at most 1000"});
  refused("poisson:rate=1001", {"at most 1000"});
  refused("exact:3", {"exact takes through"});
  refused("exact:through=hidden", {"narrowest"});
  refused("krylov:tol=1", {"less than 1"});
  refused("krylov:3,probs=2", {"did you mean 'probe'"});
  refused("krylov:", {"nothing follows"});
  NetworkOptions three{.in = 3, .out = 3, .hidden = {4, 4, 4}};
  BOOST_CHECK_EXCEPTION(logdet::make_estimator<double>(parse_method("krylov:4"), three), OptionError,
                        says({"dimension 3"}));
  BOOST_CHECK_EXCEPTION(logdet::make_estimator<double>(parse_method("trace+krylov:2"), three), OptionError,
                        says({"at most 2 hidden layers"}));
}

BOOST_AUTO_TEST_CASE(auto_is_exact_for_few_dimensions_and_says_why) {
  const logdet::Rates rates{.gemm = 50, .lu = 5};
  const auto chosen = [&](const NetworkOptions& network, Pass pass, std::string* why = nullptr) {
    return to_string(choose_method(parse_method("auto"), network, rates, pass, why));
  };
  std::string why;
  BOOST_TEST(chosen({.in = 2, .out = 2, .hidden = {48, 48}}, Pass::gradient, &why) == "exact");
  BOOST_TEST(why.find("GFLOP/s") != std::string::npos);
  const NetworkOptions many{.in = 512, .out = 512, .hidden = {512, 512}};
  BOOST_TEST(chosen(many, Pass::gradient) == "trace+krylov:tol=0.1");
  BOOST_TEST(chosen(many, Pass::evaluate) == "trace+krylov:6");
  BOOST_TEST(chosen({.in = 512, .out = 512, .hidden = {512, 512, 512}}, Pass::gradient) == "krylov:tol=0.1");
  // A narrow layer brings exact log-dets within reach again; a slow LU takes them away.
  BOOST_TEST(chosen({.in = 512, .out = 512, .hidden = {512, 8}}, Pass::gradient) == "exact");
  const NetworkOptions some{.in = 12, .out = 12, .hidden = {32, 32}};
  const auto by = [&](double lu) {
    return to_string(choose_method(parse_method("auto"), some, {.gemm = 50, .lu = lu}, Pass::gradient));
  };
  BOOST_TEST(by(5) == "exact");
  BOOST_TEST(by(0.001) == "trace+krylov:tol=0.1");
  const auto measured = logdet::measure_rates<double>(some, 100);
  BOOST_TEST((is_rate(measured.gemm) && is_rate(measured.lu)));
  // The twins: other units, and none.
  for (const double factor : {1e-6, 1e6, std::nan(""), 0.0}) BOOST_TEST(!is_rate(factor * measured.gemm), factor);
}

BOOST_AUTO_TEST_CASE(a_roulette_beyond_its_cliff_is_warned_of) {
  BOOST_TEST(parse_method("roulette:p=0.5").warning(0.99).find("0.707") != std::string::npos);
  BOOST_TEST(parse_method("roulette:p=0.01").warning(0.99).empty());
  BOOST_TEST(parse_method("roulette:p=0.5").warning(0.7).empty());
  // Without a p it is the safe one.
  for (const double c : {0.5, 0.9, 0.98, 0.99, 0.99995}) {
    const NetworkOptions network{.in = 2, .out = 2, .hidden = {4}, .lipschitz = c};
    const auto method = logdet::make_estimator<double>(parse_method("roulette"), network)->method();
    BOOST_TEST(close_relative(method.as<logdet::RouletteOptions>().p, 1 - c, 1e-3));
    BOOST_TEST(method.warning(c).empty());
    BOOST_TEST(to_string(choose_method(parse_method("roulette"), network, {}, Pass::evaluate)) == to_string(method));
  }
  const NetworkOptions free{.in = 2, .out = 2, .hidden = {4}, .lipschitz = 1};
  BOOST_CHECK_EXCEPTION(logdet::make_estimator<double>(parse_method("roulette"), free), OptionError, says({"no p"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
