#include <pushforward/logdet/estimator.hpp>
#include <pushforward/logdet/exact.hpp>
#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/series.hpp>
#include <pushforward/logdet/trace.hpp>

#include <cmath>

namespace pushforward::logdet {

namespace {

// The factor by which one probe of trace+krylov raises the variance of a training step over that of the data, measured
// on trained flows of dimension 64: below it a step of exact log-dets is the better use of the time.
constexpr double worth = 24;

// Floating-point operations of one column through the network, once.
double column_flops(const nn::NetworkOptions& network) {
  double flops = 0;
  Index in = network.in;
  for (const Index w : network.hidden) {
    flops += 2.0 * static_cast<double>(in * w);
    in = w;
  }
  return flops + 2.0 * static_cast<double>(in * network.out);
}

}  // namespace

double truncation_bound(Index d, double lipschitz, Index terms) {
  double sum = 0, power = 1;
  for (Index k = 1; k <= terms; ++k) {
    power *= lipschitz;
    sum += power / static_cast<double>(k);
  }
  return static_cast<double>(d) * std::max(0.0, -std::log1p(-lipschitz) - sum);
}

Method choose_method(const Method& method, const nn::NetworkOptions& network, std::string* why) {
  if (method.kind != Kind::automatic) return method;
  const auto d = static_cast<double>(network.in);
  const double column = column_flops(network);
  Method stochastic{.kind = Kind::trace_krylov, .terms = std::min<Index>(3, network.in)};
  const bool has_trace = network.hidden.size() <= static_cast<std::size_t>(ExactTrace<double>::most_hidden);
  if (!has_trace) stochastic = {.kind = Kind::krylov, .terms = std::min<Index>(4, network.in)};
  // Tangents once, their reverse twice; LU and the inverse. Against Arnoldi's products, one tangent, its reverse.
  const double exact = 3 * d * column + 8.0 / 3.0 * d * d * d;
  const double probe = (static_cast<double>(stochastic.terms) + 3) * column;
  const bool choose_exact = exact <= worth * probe;
  const Method chosen = choose_exact ? Method{} : stochastic;
  if (why != nullptr) {
    *why = fmt::format(
        "auto: {} for dimension {}: exact costs {:.3g} MFLOP a sample and block, {} {:.3g} MFLOP and a variance that "
        "is "
        "worth {:.0f} times as much",
        to_string(chosen), network.in, exact * 1e-6, to_string(stochastic), probe * 1e-6, worth);
  }
  return chosen;
}

std::string warning(const Method& method, double lipschitz) {
  if (method.kind != Kind::roulette || method.p <= 1 - lipschitz * lipschitz) return "";
  return fmt::format(
      "the variance of {} is infinite where an eigenvalue of J reaches {:.3g}, and a block may have {:.3g}; p ≤ {:.3g} "
      "is safe",
      to_string(method), std::sqrt(1 - method.p), lipschitz, 1 - lipschitz);
}

template <class T>
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network) {
  const Method m = choose_method(method, network);
  switch (m.kind) {
    case Kind::exact:
    case Kind::automatic: return std::make_unique<ExactEstimator<T>>();
    case Kind::series:
      if (m.exact_trace) return std::make_unique<DenseSeriesEstimator<T>>(m);
      return std::make_unique<SeriesEstimator<T>>(m);
    case Kind::roulette:
    case Kind::poisson: return std::make_unique<SeriesEstimator<T>>(m);
    case Kind::krylov:
    case Kind::trace_krylov: return std::make_unique<KrylovEstimator<T>>(m, network);
  }
  throw BugError("a log-det method without an estimator");
}

template std::unique_ptr<Estimator<float>> make_estimator(const Method&, const nn::NetworkOptions&);
template std::unique_ptr<Estimator<double>> make_estimator(const Method&, const nn::NetworkOptions&);

}  // namespace pushforward::logdet
