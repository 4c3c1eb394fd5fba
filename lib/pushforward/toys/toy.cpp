#include <pushforward/toys/toy.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/toys/toy_definition.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace pushforward::data {

namespace {

using detail::Curves;
using std::numbers::pi;
using Definition = std::unique_ptr<const detail::ToyDefinition>;

Point on_circle(double radius, double turns) {
  return {radius * std::cos(2 * pi * turns), radius * std::sin(2 * pi * turns)};
}

Definition checkerboard() {
  return std::make_unique<detail::Checkerboard>();
}

Definition circles() {
  return std::make_unique<Curves>(2, 0.24, 0.0, [](int k, double u) { return on_circle(k == 0 ? 3.0 : 1.5, u); });
}

Definition eight_gaussians() {
  constexpr double scale = 1 / 1.414;  // the generator's √2
  return std::make_unique<Curves>(8, 0.5 * scale, 0.0, [](int k, double) { return on_circle(4 * scale, k / 8.0); });
}

Definition swissroll() {
  return std::make_unique<Curves>(1, 0.2, 0.0, [](int, double u) {
    const double t = 1.5 * pi * (1 + 2 * u);
    return Point{t * std::cos(t) / 5, t * std::sin(t) / 5};
  });
}

// The generator's box noise, uniform on [0, ½]², is centered here: ¼ is part of the arm.
Definition two_spirals() {
  return std::make_unique<Curves>(2, 0.1, 1.0 / 12, [](int k, double u) {
    const double t = 3 * pi * std::sqrt(u), sign = k == 0 ? 1 : -1;
    return Point{sign * (0.25 - t * std::cos(t)) / 3, sign * (0.25 + t * std::sin(t)) / 3};
  });
}

Definition rings() {
  return std::make_unique<Curves>(4, 0.08, 0.0, [](int k, double u) { return on_circle(0.75 * (k + 1), u); });
}

Definition moons() {
  return std::make_unique<Curves>(2, 0.2, 0.0, [](int k, double u) {
    const double c = std::cos(pi * u), s = std::sin(pi * u);
    return k == 0 ? Point{2 * c - 1, 2 * s - 0.2} : Point{2 * (1 - c) - 1, 2 * (0.5 - s) - 0.2};
  });
}

Definition pinwheel() {
  return std::make_unique<detail::Pinwheel>();
}

// Entropies: −∫ p ln p by the trapezoidal rule on grids of σ/2, σ/3, σ/4, which agree to 1e-8; the pinwheel's as the
// mean of −ln p over the normals behind a sample, likewise; the checkerboard's is ln 32.
struct Entry {
  std::string name;
  double entropy;
  Definition (*define)();
};
const std::array<Entry, 8> entries{{{"checkerboard", 3.46573590, checkerboard},
                                    {"circles", 3.26813571, circles},
                                    {"8gaussians", 2.83188040, eight_gaussians},
                                    {"swissroll", 2.66964617, swissroll},
                                    {"2spirals", 2.64545028, two_spirals},
                                    {"rings", 2.62318277, rings},
                                    {"moons", 2.39387920, moons},
                                    {"pinwheel", 2.31778810, pinwheel}}};

const Entry& find(std::string_view name) {
  const auto found = std::ranges::find(entries, name, &Entry::name);
  if (found == entries.end()) {
    throw OptionError(fmt::format("no built-in density '{}'{}; there are {}", name,
                                  suggestion(name, ToyDensity::names()), join(ToyDensity::names())));
  }
  return *found;
}

}  // namespace

std::span<const std::string> ToyDensity::names() {
  static const auto list = [] {
    std::vector<std::string> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    return names;
  }();
  return list;
}

ToyDensity::ToyDensity(std::string_view name)
    : name_(name), entropy_(find(name).entropy), definition_(find(name).define()) {}
ToyDensity::ToyDensity(ToyDensity&&) noexcept = default;
ToyDensity::~ToyDensity() = default;

Point ToyDensity::draw(std::uint64_t seed, Index row) const {
  random::Stream stream(seed, random::Purpose::toy_data, 0, static_cast<std::uint64_t>(row));
  return definition_->draw(stream);
}

template <class T>
void ToyDensity::draw(std::uint64_t seed, Index first, MatrixView<T> x) const {
  require<ShapeError>(x.rows() == 2, "{}: samples are columns of 2 numbers, not {}", name_, x.rows());
  for (Index j = 0; j < x.cols(); ++j) {
    const Point point = draw(seed, first + j);
    x(0, j) = static_cast<T>(point[0]);
    x(1, j) = static_cast<T>(point[1]);
  }
}

double ToyDensity::log_density(Point x) const {
  return definition_->log_density(x);
}

template void ToyDensity::draw(std::uint64_t, Index, MatrixView<double>) const;
template void ToyDensity::draw(std::uint64_t, Index, MatrixView<float>) const;

}  // namespace pushforward::data
