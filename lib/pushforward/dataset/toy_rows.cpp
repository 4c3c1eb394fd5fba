#include <pushforward/dataset/toy_rows.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace pushforward::data {

ToyRows::ToyRows(const std::string& density, Index rows, std::uint64_t seed) : density_(density), seed_(seed) {
  description_.name = fmt::format("built-in {}", density);
  description_.dimension = 2;
  description_.rows = {rows, std::max<Index>(1, rows / 50), std::max<Index>(1, rows / 10)};
  description_.feature_names = {"x1", "x2"};
  description_.entropy = density_.entropy();
}

void ToyRows::read(Split split, Index first, MatrixView<double> x) const {
  const auto& counts = description_.rows;
  const Index start = split == Split::train ? 0 : split == Split::validation ? counts[0] : counts[0] + counts[1];
  density_.draw(seed_, start + first, x);
}

void ToyRows::read_weights(Split, Index, std::span<double> weights) const {
  std::ranges::fill(weights, 1.0);
}

void ToyRows::read_context(Split, Index, MatrixView<double>) const {}

}  // namespace pushforward::data
