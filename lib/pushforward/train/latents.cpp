#include <pushforward/train/latents.hpp>

namespace pushforward::train {

template <class T>
void Latents<T>::write(LatentPlace at, std::span<double> z) const {
  auto draws = stream(at, 0);
  if (source_.cols() == 0) return base_.draw(draws, z);
  const auto row = static_cast<Index>(draws.below(static_cast<std::uint64_t>(source_.cols())));
  std::ranges::copy(source_.column_span(row), z.begin());
}

template class Latents<float>;
template class Latents<double>;

}  // namespace pushforward::train
