#pragma once

// The eight two-dimensional densities of the normalizing-flow literature, as its toy generator defines them [Grathwohl
// et al., FFJORD, 2019; Chen et al., Residual Flows, 2019], with the evenly spaced angles of that generator drawn
// uniformly. Each comes with its density and its differential entropy: the mean NLL that no model can go below.

#include <pushforward/core/index.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace pushforward::data {

using Point = std::array<double, 2>;

namespace detail {
class ToyDefinition;
}

class ToyDensity {
 public:
  /// name: one of names(). Throws OptionError with a suggestion for any other name.
  explicit ToyDensity(std::string_view name);
  ToyDensity(ToyDensity&&) noexcept;
  ~ToyDensity();

  static std::span<const std::string> names();

  std::string_view name() const { return name_; }
  /// Differential entropy in nats, to 1e-7.
  double entropy() const { return entropy_; }

  /// Draws sample number `row` of `seed`. It depends on these two numbers alone.
  Point draw(std::uint64_t seed, Index row) const;

  /// Draws samples [first, first + n) into the columns of x (2 × n). T: double, float. Not collective.
  template <class T>
  void draw(std::uint64_t seed, Index first, MatrixView<T> x) const;

  /// Returns log p(x) in nats, to about 1e-8, or −∞ if p underflows. It is for checks, and slow: a quadrature for each
  /// point.
  double log_density(Point x) const;

 private:
  std::string name_;
  double entropy_;
  std::unique_ptr<const detail::ToyDefinition> definition_;
};

}  // namespace pushforward::data
