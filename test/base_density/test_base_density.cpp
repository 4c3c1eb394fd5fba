// Base densities against closed forms in long double, quadrature, and their own draws.

#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/base_density/base_mixture.hpp>
#include <pushforward/base_density/base_student_t.hpp>

#include "../nn/taylor.hpp"

#include <numbers>
#include <numeric>

namespace pushforward::test {

namespace {

using flow::BaseOptions;
using Real = long double;

constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();

Real log_normal(Real z, Real mean, Real log_scale) {
  const Real y = (z - mean) / std::exp(log_scale);
  return -y * y / 2 - log_scale - std::log(2 * std::numbers::pi_v<Real>) / 2;
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

// Value i of the parameters base/<name>.
using Lookup = std::function<Real(const std::string& name, Index i)>;

std::vector<Real> mixture_weights(const BaseOptions& o, const Lookup& p) {
  std::vector<Real> weights;
  for (Index k = 0; k < o.as<flow::MixtureOptions>().components; ++k) weights.push_back(std::exp(p("logits", k)));
  const Real sum = std::accumulate(weights.begin(), weights.end(), Real(0));
  for (Real& w : weights) w /= sum;
  return weights;
}

// A kind under test: options, the log-density of values z that are no angles, and, where it is elementary for these
// options, the distribution function of value j of r.
struct BaseSubject {
  std::vector<BaseOptions> options;
  std::function<Real(const BaseOptions&, const Lookup&, const std::vector<Real>& z)> log_density;
  std::function<double(const BaseOptions&, const Lookup&, Index j, Index r, double z)> cdf;
};

// The log-density of a product of r densities.
template <class F>
auto product_of(F f) {
  return [f](const BaseOptions& o, const Lookup& p, const std::vector<Real>& z) {
    Real sum = 0;
    for (std::size_t j = 0; j < z.size(); ++j) sum += f(o, p, static_cast<Index>(j), z[j]);
    return sum;
  };
}

// The kinds whose closed form is known here. Others are tested with their default options, without one; the reader in
// numpy has a formula of every kind.
const std::map<std::string, BaseSubject>& base_subjects() {
  using O = const BaseOptions&;
  using P = const Lookup&;
  static const std::map<std::string, BaseSubject> all{
      {"standard_normal",
       {{flow::StandardNormalOptions()},
        product_of([](O, P, Index, Real z) { return log_normal(z, 0, 0); }),
        [](O, P, Index, Index, double z) { return normal_cdf(z); }}},
      {"normal",
       {{flow::NormalOptions()},
        product_of([](O, P p, Index j, Real z) { return log_normal(z, p("mean", j), p("log_scale", j)); }),
        [](O, P p, Index j, Index, double z) {
          return normal_cdf((z - double(p("mean", j))) / std::exp(double(p("log_scale", j))));
        }}},
      {"mixture",
       {{flow::MixtureOptions{.components = 1}, flow::MixtureOptions{.components = 3}},
        [](O o, P p, const std::vector<Real>& z) {
          Real total = 0;
          const auto weights = mixture_weights(o, p);
          const Index r = std::ssize(z);
          for (Index k = 0; k < std::ssize(weights); ++k) {
            Real log_p = std::log(weights[k]);
            for (Index j = 0; j < r; ++j) log_p += log_normal(z[j], p("mean", j + k * r), p("log_scale", j + k * r));
            total += std::exp(log_p);
          }
          return std::log(total);
        },
        [](O o, P p, Index j, Index r, double z) {
          double sum = 0;
          const auto weights = mixture_weights(o, p);
          for (Index k = 0; k < std::ssize(weights); ++k) {
            const Index at = j + k * r;
            sum += double(weights[k]) * normal_cdf((z - double(p("mean", at))) / std::exp(double(p("log_scale", at))));
          }
          return sum;
        }}},
      {"uniform",
       {{flow::UniformOptions{.low = -1.5, .high = 2}},
        product_of([](O, P, Index, Real) { return -std::log(Real(3.5)); }),
        [](O, P, Index, Index, double z) { return (z + 1.5) / 3.5; }}},
      {"student_t",
       {{flow::StudentTOptions(), flow::StudentTOptions{.degrees_of_freedom = 1.5}},
        product_of([](O, P p, Index j, Real z) {
          const Real nu = std::exp(p("log_degrees_of_freedom", j));
          return std::lgamma((nu + 1) / 2) - std::lgamma(nu / 2) - std::log(nu * std::numbers::pi_v<Real>) / 2 -
                 (nu + 1) / 2 * std::log(1 + z * z / nu);
        }),
        {}}},
      {"logistic",
       {{flow::LogisticOptions()},
        product_of([](O, P, Index, Real z) { return -z - 2 * std::log(1 + std::exp(-z)); }),
        [](O, P, Index, Index, double z) { return 1 / (1 + std::exp(-z)); }}}};
  return all;
}

// The subject of a kind of the registry.
BaseSubject subject_of(const std::string& kind) {
  const auto found = base_subjects().find(kind);
  return found != base_subjects().end() ? found->second : BaseSubject{{BaseOptions(kind)}, {}, {}};
}

std::vector<BaseOptions> all_bases() {
  std::vector<BaseOptions> bases;
  for (const auto& name : flow::BaseKind::registry().names()) {
    const auto options = subject_of(name).options;
    bases.insert(bases.end(), options.begin(), options.end());
  }
  return bases;
}

// All kinds in several dimensions, with and without angles.
struct Setting {
  BaseOptions options;
  Index d;
  std::vector<Index> periodic{};
};
std::vector<Setting> all_settings() {
  std::vector<Setting> settings;
  for (const BaseOptions& options : all_bases()) {
    for (const Index d : {1, 2, 5}) settings.push_back({options, d});
    settings.push_back({options, 2, {1}});
    settings.push_back({options, 5, {3, 0}});
  }
  settings.push_back({{}, 2, {0, 1}});
  return settings;
}

std::string name_of(const Setting& setting) {
  BaseOptions options = setting.options;
  return fmt::format("{}dimension {}, {} angles", options.declare().to_toml(), setting.d, setting.periodic.size());
}

// A base with parameters that are not its initial ones, behind some that are not its own.
template <class T>
struct Built {
  explicit Built(const Setting& s) : setting(s) {
    layout.add("other", 3);
    base = flow::make_base<T>(setting.options, {layout, setting.d, setting.periodic, 7});
    parameters.resize(layout.size());
    base->initialize(parameters);
    const auto noise = random_vector<T>(layout.size(), 1, 0.3);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      // Rounded to float, so that both precisions have the same.
      parameters[i] = static_cast<T>(static_cast<float>(parameters[i] + noise[i]));
    }
    base->prepare(parameters);
  }
  Real parameter(const std::string& name, Index i) const {
    for (const auto& block : layout.blocks()) {
      if (block.name == name) return Real(parameters[block.offset + i]);
    }
    throw std::runtime_error(name);
  }

  Lookup lookup() const {
    return [this](const std::string& name, Index i) { return parameter("base/" + name, i); };
  }

  Setting setting;
  nn::ParameterLayout layout;
  std::unique_ptr<flow::BaseDensity<T>> base;
  std::vector<T> parameters;
};

// Points within the support of all.
template <class T>
Matrix<T> points(Index d, Index n) {
  const auto x = random_matrix<T>(d, n, 2, 2);
  return matrix_of<T>(d, n, [&](Index i, Index j) { return static_cast<float>(1.4 * std::sin(x(i, j))); });
}

template <class T>
std::vector<double> log_prob(const flow::BaseDensity<T>& base, ConstMatrixView<T> z) {
  std::vector<double> log_prob(z.cols());
  base.log_prob(z, log_prob);
  return log_prob;
}

template <class T>
std::vector<Index> rows_of(const Built<T>& b) {
  std::vector<Index> rows;
  const auto& angles = b.base->periodic();
  for (Index row = 0; row < b.base->dimension(); ++row) {
    if (std::find(angles.begin(), angles.end(), row) == angles.end()) rows.push_back(row);
  }
  return rows;
}

template <class T>
Real closed_form(const Built<T>& b, const T* z) {
  std::vector<Real> values;
  for (const Index row : rows_of(b)) values.push_back(Real(z[row]));
  const Real angles = -std::log(2 * std::numbers::pi_v<Real>) * Real(b.base->periodic().size());
  const auto& options = b.setting.options;
  return values.empty() ? angles : angles + base_subjects().at(options.kind).log_density(options, b.lookup(), values);
}

// √n times the largest distance between the empirical distribution of values and a distribution function: above 2.5
// with probability 7.5e-6 [Kolmogorov 1933].
double kolmogorov(std::vector<double> values, const std::function<double(double)>& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double f = cdf(values[i]), rank = static_cast<double>(i);
    largest = std::max({largest, std::abs(f - rank / n), std::abs((rank + 1) / n - f)});
  }
  return std::sqrt(n) * largest;
}

template <class T>
Matrix<double> draws(const flow::BaseDensity<T>& base, Index n, std::uint64_t seed) {
  Matrix<double> z(base.dimension(), n);
  for (Index i = 0; i < n; ++i) {
    random::Stream stream(seed, random::Purpose::base_sample, 0, static_cast<std::uint64_t>(i));
    base.draw(stream, z.view().column_span(i));
  }
  return z;
}

std::vector<double> row_of(const Matrix<double>& z, Index row) {
  std::vector<double> values;
  for (Index i = 0; i < z.cols(); ++i) values.push_back(z(row, i));
  return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(base_densities)

BOOST_AUTO_TEST_CASE(the_registry_says_what_kinds_are) {
  const auto& registry = flow::BaseKind::registry();
  for (const auto& [name, subject] : base_subjects()) BOOST_TEST(registry.find(name) != nullptr, name);
  for (const auto& kind : registry.all()) {
    BOOST_TEST_CONTEXT(kind.name) {
      BOOST_TEST(!kind.help.empty());
      const Built<double> b(Setting{subject_of(kind.name).options[0], 1});
      BOOST_TEST(kind.is_bounded == std::isfinite(b.base->support().first));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(log_densities_are_those_of_the_closed_forms, T, Precisions) {
  for (const auto& setting : all_settings()) {
    if (!subject_of(setting.options.kind).log_density) continue;
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<T> b(setting);
      const auto z = points<T>(setting.d, 11);
      // Into an array that is not zero, from a block of a larger one.
      std::vector<double> log_p(11, 1.0);
      b.base->log_prob(Padded<T>(z.view()).view(), log_p);
      for (Index i = 0; i < 11; ++i) {
        const auto expected = static_cast<double>(closed_form(b, z.view().column(i)));
        const double got = log_p[i] - 1;
        BOOST_TEST(close_absolute(got, expected, gamma<double>(100) * static_cast<double>(setting.d) * 10));
        BOOST_TEST(!close_absolute(1.01 * got, expected, 1e-9));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(densities_integrate_to_one) {
  for (const auto& options : all_bases()) {
    const Setting setting{options, 1};
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<double> b(setting);
      double integral = 0;
      if (options.kind == "uniform") {
        // Cells whose edges are those of the box.
        for (double z = -4.95; z < 5; z += 0.1) {
          integral += 0.1 * std::exp(log_prob<double>(*b.base, ConstMatrixView<double>(&z, 1, 1))[0]);
        }
      } else {
        // The trapezoidal rule after z = sinh t converges exponentially; the heaviest tail falls like e^{−t}.
        for (double t = -35; t < 35; t += 0.01) {
          const double z = std::sinh(t);
          integral += 0.01 * std::cosh(t) * std::exp(log_prob<double>(*b.base, ConstMatrixView<double>(&z, 1, 1))[0]);
        }
      }
      // A density that is not described above may have a kink, where the rule errs by about h²/12.
      BOOST_TEST(close_absolute(integral, 1, subject_of(options.kind).log_density ? 1e-10 : 1e-4));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_gives_the_gradient, T, Precisions) {
  constexpr Index n = 9;
  for (const auto& setting : all_settings()) {
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<T> b(setting);
      Built<double> exact(setting);
      const auto z = points<T>(setting.d, n);
      const auto weight = random_vector<T>(n, 4);
      Padded<T> z_bar(setting.d, n);
      std::vector<T> gradient(b.parameters.size(), T(0));
      b.base->reverse(Padded<T>(z.view()).view(), weight, z_bar, gradient);
      BOOST_TEST(z_bar.padding_untouched());
      for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(gradient[i] == 0);  // not its own

      const auto objective = [&](ConstMatrixView<double> at) {
        const auto log_p = log_prob<double>(*exact.base, at);
        double sum = 0;
        for (std::size_t i = 0; i < log_p.size(); ++i) sum += static_cast<double>(weight[i]) * log_p[i];
        return sum;
      };
      const auto z_exact = points<double>(setting.d, n);
      const auto of_z = [&](std::span<const double> values) { return objective({values.data(), setting.d, n}); };
      const Matrix<T> z_gradient(z_bar.view());
      const auto scale = taylor_scale<T>();
      BOOST_TEST(is_gradient<T>(of_z, z_exact.span(), z_gradient.span(), scale));
      const bool flat = setting.options.kind == "uniform" || rows_of(b).empty();
      if (!flat) BOOST_TEST(!is_gradient<T>(of_z, z_exact.span(), one_percent_off(z_gradient.span()), scale));

      for (const auto& block : b.layout.blocks()) {
        if (block.name == "other") continue;
        BOOST_TEST_CONTEXT(block.name) {
          const auto first = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
          const std::vector<double> at(exact.parameters.begin() + block.offset,
                                       exact.parameters.begin() + block.offset + block.size());
          const auto of_block = [&](std::span<const double> values) {
            auto moved = exact.parameters;
            std::copy(values.begin(), values.end(), moved.begin() + block.offset);
            exact.base->prepare(moved);
            return objective(z_exact);
          };
          const auto part = std::span<const T>(gradient).subspan(first, size);
          BOOST_TEST(is_gradient<T>(of_block, at, part, scale));
          const bool one_weight = block.name == "base/logits" && block.rows == 1;  // which is 1 whatever its logit
          if (!one_weight) BOOST_TEST(!is_gradient<T>(of_block, at, one_percent_off(part), scale));
          exact.base->prepare(exact.parameters);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_are_added_and_no_weights_are_ones, T, Precisions) {
  for (const auto& setting : all_settings()) {
    const Built<T> b(setting);
    const auto z = points<T>(setting.d, 5);
    Matrix<T> with(setting.d, 5), in_place(z);
    std::vector<T> once(b.parameters.size(), T(0)), twice(once);
    b.base->reverse(z, std::vector<T>(5, T(1)), with, once);
    b.base->reverse(in_place, {}, in_place, twice);
    BOOST_TEST(close_absolute(in_place.view(), with.view(), 0));
    BOOST_TEST(twice == once);
    b.base->reverse(z, {}, with, twice);
    for (T& value : once) value *= 2;
    double size = 0;
    for (const T value : once) size = std::max(size, static_cast<double>(std::abs(value)));
    BOOST_TEST(close_absolute(std::span<const T>(twice), std::span<const T>(once), gamma<T>(20) * (10 + size)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(outside_of_the_support_the_density_is_zero, T, Precisions) {
  const Built<T> b(Setting{flow::UniformOptions{.low = 0.1, .high = 0.7}, 2, {1}});
  const auto at = [&](double box, double angle) {
    const auto z = matrix_of<T>(2, 1, [&](Index i, Index) { return i == 0 ? box : angle; });
    return log_prob<T>(*b.base, z.view())[0];
  };
  const double inside = -std::log(0.7 - 0.1) - std::log(2 * pi);
  for (const double box : {0.1, 0.3, 0.7}) {
    for (const double angle : {-pi, 0.0, pi}) BOOST_TEST(close_absolute(at(box, angle), inside, 1e-14));
  }
  for (const double box : {0.0999, 0.7001, 1e30, infinity}) BOOST_TEST(at(box, 0) == -infinity);
  for (const double angle : {-3.1416, 3.1416, 1e30, -infinity}) BOOST_TEST(at(0.3, angle) == -infinity);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nan_stays_in_its_sample_and_far_out_is_no_nan, T, Precisions) {
  for (const auto& setting : all_settings()) {
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<T> b(setting);
      auto z = points<T>(setting.d, 3);
      const auto clean = log_prob<T>(*b.base, z.view());
      for (Index row = 0; row < setting.d; ++row) {
        auto bad = z;
        bad(row, 1) = nan_of<T>;
        const auto got = log_prob<T>(*b.base, bad.view());
        BOOST_TEST(got[0] == clean[0]);
        BOOST_TEST(std::isnan(got[1]));
        BOOST_TEST(got[2] == clean[2]);
        bad(row, 1) = std::numeric_limits<T>::infinity();
        BOOST_TEST(log_prob<T>(*b.base, bad.view())[1] == -infinity);
      }
      for (const Index row : rows_of(b)) z(row, 1) = static_cast<T>(1e6);
      const double far = log_prob<T>(*b.base, z.view())[1];
      BOOST_TEST((setting.options.kind == "uniform" && !rows_of(b).empty() ? far == -infinity : std::isfinite(far)));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_mixture_is_stable_where_components_underflow, T, Precisions) {
  Built<T> b(Setting{flow::MixtureOptions{.components = 3}, 1});
  for (std::size_t k = 0; k < 3; ++k) {
    b.parameters[3 + k] = static_cast<T>(1000 * k);       // logits
    b.parameters[6 + k] = static_cast<T>(100 * (2 - k));  // means: the last, with all weight, at 0
    b.parameters[9 + k] = 0;                              // log scales
  }
  b.base->prepare(b.parameters);
  const auto z = matrix_of<T>(1, 2, [](Index, Index j) { return j == 0 ? 50.0 : -1e4; });
  const auto log_p = log_prob<T>(*b.base, z.view());
  for (std::size_t i = 0; i < 2; ++i) {
    const double value = static_cast<double>(z.span()[i]);
    BOOST_TEST(close_relative(log_p[i], -0.5 * value * value - 0.5 * std::log(2 * pi), 1e-14));
  }
  Matrix<T> z_bar(1, 2);
  std::vector<T> gradient(b.parameters.size());
  b.base->reverse(z, {}, z_bar, gradient);
  for (Index i = 0; i < 2; ++i) BOOST_TEST(z_bar(0, i) == -z(0, i));
}

BOOST_AUTO_TEST_CASE(no_samples_are_fine) {
  const Built<double> b(Setting{{}, 2});
  std::vector<double> nothing;
  Matrix<double> z(2, 0);
  b.base->log_prob(z, nothing);
  b.base->reverse(z, {}, z, {});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(base_draws)

// E q(z)/p₀(z) = 1 for a density q within the support of p₀: joint draws against joint densities.
BOOST_AUTO_TEST_CASE(draws_are_those_of_the_density) {
  constexpr Index n = 20000;
  for (const auto& setting : all_settings()) {
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<double> b(setting);
      const auto z = draws(*b.base, n, 1);
      const auto log_p = log_prob<double>(*b.base, z.view());
      // q uniform on [−1.2, 1.2]ᵈ.
      double sum = 0, square = 0;
      for (Index i = 0; i < n; ++i) {
        const auto column = z.view().column_span(i);
        const bool inside = std::all_of(column.begin(), column.end(), [](double v) { return std::abs(v) <= 1.2; });
        const double log_q = -std::log(2.4) * static_cast<double>(setting.d);
        const double ratio = inside ? std::exp(log_q - log_p[i]) : 0;
        sum += ratio;
        square += ratio * ratio;
      }
      const double mean = sum / n, error = std::sqrt((square / n - mean * mean) / n);
      BOOST_TEST(error < 0.1);  // else it would show nothing
      BOOST_TEST(close_absolute(mean, 1, 4.5 * error));
      BOOST_TEST(!close_absolute(mean * std::exp(0.4), 1, 4.5 * error));
    }
  }
}

BOOST_AUTO_TEST_CASE(each_row_has_its_distribution) {
  constexpr Index n = 20000;
  for (const auto& setting : all_settings()) {
    BOOST_TEST_CONTEXT(name_of(setting)) {
      const Built<double> b(setting);
      const auto& o = setting.options;
      const auto z = draws(*b.base, n, 2);
      const auto rows = rows_of(b);
      const auto distribution = subject_of(o.kind).cdf;
      for (Index j = 0; j < std::ssize(rows) && distribution; ++j) {
        const auto cdf = [&](double v) { return distribution(o, b.lookup(), j, std::ssize(rows), v); };
        const auto values = row_of(z, rows[j]);
        BOOST_TEST(kolmogorov(values, cdf) < 2.5);
        BOOST_TEST(kolmogorov(values, [&](double v) { return cdf(v + 0.1); }) > 2.5);
      }
      for (const Index row : setting.periodic) {
        BOOST_TEST(kolmogorov(row_of(z, row), [](double v) { return (v + pi) / (2 * pi); }) < 2.5);
      }
    }
  }
}

// Student's t with ν = 1, 2, 5, whose distribution functions are elementary.
BOOST_AUTO_TEST_CASE(students_t_has_its_distribution) {
  const std::vector<std::pair<double, std::function<double(double)>>> cases{
      {1, [](double t) { return 0.5 + std::atan(t) / pi; }},
      {2, [](double t) { return 0.5 + t / (2 * std::sqrt(2 + t * t)); }},
      {5, [](double t) {
         const double c = 1 / (1 + t * t / 5), s = t / std::sqrt(5.0);
         return 0.5 + (s * c * (1 + 2 * c / 3) + std::atan(s)) / pi;
       }}};
  for (const auto& [nu, cdf] : cases) {
    nn::ParameterLayout layout;
    const auto base = flow::make_base<double>(flow::StudentTOptions{.degrees_of_freedom = nu}, {layout, 1, {}, 1});
    std::vector<double> parameters(1);
    base->initialize(parameters);
    base->prepare(parameters);
    const auto values = row_of(draws(*base, 20000, 3), 0);
    BOOST_TEST(kolmogorov(values, cdf) < 2.5);
    BOOST_TEST(kolmogorov(values, normal_cdf) > 2.5);
  }
}

BOOST_AUTO_TEST_CASE(a_draw_is_a_function_of_its_stream) {
  for (const auto& setting : all_settings()) {
    const Built<double> b(setting);
    BOOST_TEST(close_absolute(draws(*b.base, 5, 4).view(), draws(*b.base, 5, 4).view(), 0));
    BOOST_TEST(!close_absolute(draws(*b.base, 5, 4).view(), draws(*b.base, 5, 5).view(), 1e-3));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(draws_lie_in_the_support_once_rounded, T, Precisions) {
  // In float, the interval holds few different numbers.
  const Built<T> b(Setting{flow::UniformOptions{.low = 0.1, .high = 0.1000003}, 2, {1}});
  for (const double log_p : log_prob<T>(*b.base,
                                        [&] {
                                          const auto z = draws(*b.base, 1000, 6);
                                          return matrix_of<T>(2, 1000, [&](Index i, Index j) { return z(i, j); });
                                        }()
                                            .view())) {
    BOOST_TEST(std::isfinite(log_p));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(base_parameters)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_mixture_begins_as_its_seed_says, T, Precisions) {
  const auto initial = [](std::uint64_t seed) {
    nn::ParameterLayout layout;
    const auto base = flow::make_base<T>(flow::MixtureOptions{.components = 100}, {layout, 20, {}, seed});
    BOOST_TEST(layout.blocks()[0].name == "base/logits");
    BOOST_TEST(layout.blocks()[1].name == "base/mean");
    BOOST_TEST(layout.blocks()[1].rows == 20);
    BOOST_TEST(layout.blocks()[2].name == "base/log_scale");
    std::vector<T> parameters(layout.size(), nan_of<T>);
    base->initialize(parameters);
    return parameters;
  };
  const auto p = initial(1);
  BOOST_TEST(p == initial(1));
  BOOST_TEST(p != initial(2));
  double mean = 0, square = 0;
  for (std::size_t i = 100; i < 2100; ++i) {
    mean += static_cast<double>(p[i]) / 2000;
    square += static_cast<double>(p[i] * p[i]) / 2000;
  }
  // 4.5 standard errors: √(½/2000), and ½·√(2/2000).
  BOOST_TEST(close_absolute(mean, 0, 4.5 * std::sqrt(0.5 / 2000)));
  BOOST_TEST(close_absolute(square, 0.5, 4.5 * 0.5 * std::sqrt(2.0 / 2000)));
  BOOST_TEST(close_absolute(static_cast<double>(p[2100]), 0.5 * std::log(0.5), 1e-7));
}

BOOST_AUTO_TEST_CASE(ratios_of_gamma_functions) {
  for (const double a : {1e-8, 1e-3, 0.1, 0.5, 1.0, 2.5, 7.0, 19.9, 20.0, 55.5, 300.0}) {
    const auto exact = static_cast<double>(std::lgamma(Real(a) + 0.5L) - std::lgamma(Real(a)));
    const auto ratio = flow::gamma_ratio(a);
    BOOST_TEST(close_absolute(ratio.log_value, exact, 4e-15 + gamma<double>(60) * (1 + std::abs(exact))));
    const double h = 1e-5 * a;
    const double slope = (flow::gamma_ratio(a + h).log_value - flow::gamma_ratio(a - h).log_value) / (2 * h);
    BOOST_TEST(close_relative(ratio.derivative, slope, 1e-7));
  }
  // D(½) = −½ log π, D(1) = log(√π/2), and D′(½) = ψ(1) − ψ(½) = 2 log 2.
  BOOST_TEST(close_absolute(flow::gamma_ratio(0.5).log_value, -0.5 * std::log(pi), 1e-14));
  BOOST_TEST(close_absolute(flow::gamma_ratio(1).log_value, 0.5 * std::log(pi) - std::log(2.0), 1e-14));
  BOOST_TEST(close_absolute(flow::gamma_ratio(0.5).derivative, 2 * std::log(2.0), 1e-14));
  BOOST_TEST(close_relative(flow::gamma_ratio(1e12).log_value, 0.5 * std::log(1e12), 1e-13));
}

BOOST_AUTO_TEST_CASE(options_out_of_range_are_refused) {
  const auto refused = [](const BaseOptions& options, const std::string& message, std::vector<Index> periodic = {},
                          Index d = 3) {
    nn::ParameterLayout layout;
    BOOST_CHECK_EXCEPTION(flow::make_base<float>(options, {layout, d, periodic, 1}), OptionError, says({message}));
  };
  refused(BaseOptions("student"),
          "base density 'student' is unknown (did you mean 'student_t'?); there are standard_normal, normal, mixture, "
          "uniform, student_t, logistic");
  refused(flow::MixtureOptions{.components = 0}, "base density: components = 0 must be from 1 to 1024");
  refused(flow::MixtureOptions{.components = 1025}, "components = 1025");
  refused(flow::UniformOptions{.low = 1, .high = 1}, "base density: low = 1 must be below high = 1, both finite");
  refused(flow::UniformOptions{.low = -infinity}, "low = -inf");
  refused(flow::UniformOptions{.high = nan_of<double>}, "high = nan");
  refused(flow::StudentTOptions{.degrees_of_freedom = 0},
          "base density: degrees_of_freedom = 0 must be positive and finite");
  refused(flow::StudentTOptions{.degrees_of_freedom = infinity}, "degrees_of_freedom = inf");
  refused({}, "base density: periodic row 3 must be from 0 to 2", {1, 3});
  refused({}, "periodic row -1", {-1});
  refused({}, "base density: periodic row 2 is named twice", {2, 0, 2});
  for (const char* kind : {"normal", "mixture", "student_t"}) {
    refused(
        BaseOptions(kind),
        fmt::format("base density '{}' has no rows: all 2 are periodic or of spheres, and uniform with any kind", kind),
        {1, 0}, 2);
  }
}

BOOST_AUTO_TEST_CASE(operands_that_do_not_fit_are_refused) {
  nn::ParameterLayout layout;
  BOOST_CHECK_EXCEPTION(flow::make_base<float>({}, {layout, 0}), ShapeError,
                        says({"base density: dimension 0 must be at least 1"}));
  const auto base = flow::make_base<double>({}, {layout, 2});
  Matrix<double> z(2, 3), wrong(3, 3);
  std::vector<double> three(3), two(2);
  random::Stream stream(1, random::Purpose::check);
  BOOST_CHECK_EXCEPTION(base->log_prob(wrong, three), ShapeError,
                        says({"base density: latents (3 × 3) and 3 log-densities do not fit dimension 2"}));
  BOOST_CHECK_EXCEPTION(base->log_prob(z, two), ShapeError, says({"2 log-densities"}));
  BOOST_CHECK_EXCEPTION(
      base->reverse(z, two, z, {}), ShapeError,
      says({"base density: gradient (2 × 3) and 2 weights do not fit latents (2 × 3) of dimension 2"}));
  BOOST_CHECK_EXCEPTION(base->reverse(z, {}, wrong, {}), ShapeError, says({"gradient (3 × 3)"}));
  BOOST_CHECK_EXCEPTION(base->draw(stream, three), ShapeError,
                        says({"base density: room for 3 values does not fit dimension 2"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
