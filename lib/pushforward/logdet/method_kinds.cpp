#include <pushforward/logdet/cost.hpp>
#include <pushforward/logdet/hutchinson.hpp>
#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/narrow.hpp>
#include <pushforward/logdet/series.hpp>

namespace pushforward::logdet {

namespace {

MethodKind exact_kind() {
  auto kind = method_facts<ExactOptions>();
  kind.maker = []<class T>(const KindOptions& options,
                           const nn::NetworkOptions& network) -> std::unique_ptr<Estimator<T>> {
    const auto h = exact_through(options.as<ExactOptions>(), network);
    if (h) return std::make_unique<NarrowEstimator<T>>(network, *h);
    return std::make_unique<ExactEstimator<T>>();
  };
  return kind;
}

MethodKind series_kind() {
  auto kind = method_facts<SeriesOptions>();
  kind.maker = []<class T>(const KindOptions& options, const nn::NetworkOptions&) -> std::unique_ptr<Estimator<T>> {
    const auto& o = options.as<SeriesOptions>();
    if (o.trace == "exact") return std::make_unique<DenseSeriesEstimator<T>>(o.terms);
    return std::make_unique<SeriesEstimator<T>>(o);
  };
  return kind;
}

MethodKind auto_kind() {
  auto kind = method_facts<AutoOptions>();
  kind.maker = []<class T>(const KindOptions&, const nn::NetworkOptions&) -> std::unique_ptr<Estimator<T>> {
    throw BugError("log-det method auto has not been resolved");
  };
  return kind;
}

MethodKind hutchinson_kind() {
  auto kind = method_facts<HutchinsonOptions>();
  kind.maker = []<class T>(const KindOptions&, const nn::NetworkOptions&) -> std::unique_ptr<Estimator<T>> {
    throw OptionError(
        "it estimates the divergence of a continuous flow; for residual blocks take series:10 or krylov:3");
  };
  return kind;
}

// The roulette by the name of its gradient.
MethodKind neumann_kind() {
  auto kind = method_kind<RouletteOptions, SeriesEstimator>();
  kind.name = "neumann";
  kind.help = "the same as roulette, whose gradient is the Neumann series";
  kind.same_as = RouletteOptions::kind;
  return kind;
}

}  // namespace

Registry<MethodKind>& MethodKind::registry() {
  static Registry<MethodKind> kinds(
      "log-det method",
      {exact_kind(), series_kind(), method_kind<RouletteOptions, SeriesEstimator>(),
       method_kind<PoissonOptions, SeriesEstimator>(), neumann_kind(), method_kind<KrylovOptions, KrylovEstimator>(),
       method_kind<TraceKrylovOptions, KrylovEstimator>(), hutchinson_kind(), auto_kind()});
  return kinds;
}

}  // namespace pushforward::logdet
