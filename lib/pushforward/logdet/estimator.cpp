#include <pushforward/logdet/cost.hpp>
#include <pushforward/logdet/estimator.hpp>
#include <pushforward/logdet/exact.hpp>
#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/narrow.hpp>
#include <pushforward/logdet/series.hpp>
#include <pushforward/logdet/trace.hpp>

#include <cmath>
#include <limits>

namespace pushforward::logdet {

double truncation_bound(Index d, double lipschitz, Index terms) {
  if (!(lipschitz < 1)) return std::numeric_limits<double>::infinity();
  double sum = 0, power = 1;
  for (Index k = 1; k <= terms; ++k) {
    power *= lipschitz;
    sum += power / static_cast<double>(k);
  }
  return static_cast<double>(d) * std::max(0.0, -std::log1p(-lipschitz) - sum);
}

std::string warning(const Method& method, double lipschitz) {
  if (method.kind != Kind::roulette || method.p <= 1 - lipschitz * lipschitz) return "";
  return fmt::format(
      "the variance of {} is infinite where an eigenvalue of J reaches {:.3g}, and a block may have {:.3g}; p ≤ {:.3g} "
      "is safe",
      to_string(method), std::sqrt(1 - method.p), lipschitz, 1 - lipschitz);
}

Method with_safe_roulette(const Method& method, const nn::NetworkOptions& network) {
  Method settled = method;
  if (method.kind != Kind::roulette || method.p > 0) return settled;
  require<OptionError>(network.lipschitz < 1, "log-det method {}: no p is safe for a Lipschitz constant of {}",
                       to_string(method), network.lipschitz);
  const double room = 1 - network.lipschitz, scale = std::pow(10.0, 3 - std::floor(std::log10(room)));
  settled.p = std::floor(scale * room * (1 + 1e-9)) / scale;
  return settled;
}

template <class T>
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network) {
  const Method m = with_safe_roulette(method, network);
  require<OptionError>(
      m.kind != Kind::trace_krylov || network.is_plain(),
      "log-det method {}: exact traces are those of dense networks without angles; use krylov or exact", to_string(m));
  switch (m.kind) {
    case Kind::automatic: throw BugError("log-det method auto has not been resolved");
    case Kind::exact:
      if (const auto h = exact_through(m, network)) return std::make_unique<NarrowEstimator<T>>(m, network, *h);
      return std::make_unique<ExactEstimator<T>>(m);
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
