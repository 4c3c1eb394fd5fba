#include <pushforward/logdet/estimator.hpp>

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

template <class T>
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network) {
  Method settled = method.settled(network);
  try {
    auto made = settled.make<T>(network);
    made->method_ = std::move(settled);
    return made;
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("log-det method {}: {}", to_string(method), error.what()));
  }
}

template std::unique_ptr<Estimator<float>> make_estimator(const Method&, const nn::NetworkOptions&);
template std::unique_ptr<Estimator<double>> make_estimator(const Method&, const nn::NetworkOptions&);

}  // namespace pushforward::logdet
