#include <pushforward/logdet/cost.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/residual.hpp>

#include "invariants.hpp"
#include "inverses.hpp"
#include "simple_maps.hpp"

namespace pushforward::test {

namespace {

using flow::InverseAlgorithm;

// The maps under test, beside the simple ones of simple_maps.hpp. Another one is one more entry in make_subject().
enum class Kind {
  actnorm,
  residual,
  shallow_residual,
  narrow_residual,
  conditional_residual,
  convolutional_residual,
  conditional_convolutional_residual,
  periodic_residual,
  continuous,
  limit,
  conditional_continuous,
  gated_continuous,
  gated_limit,
  periodic_continuous,
  periodic_limit,
  sphere,
  discrete_sphere,
  guided_continuous,
  guided_limit,
  guided_sphere,
  flow
};
constexpr std::pair<Kind, const char*> kinds[] = {
    {Kind::actnorm, "ActNorm"},
    {Kind::residual, "residual block"},
    {Kind::shallow_residual, "residual block, one hidden layer, tanh"},
    {Kind::narrow_residual, "residual block, three layers, softplus"},
    {Kind::conditional_residual, "residual block, with a context"},
    {Kind::convolutional_residual, "residual block, convolutional"},
    {Kind::conditional_convolutional_residual, "residual block, convolutional, with a context"},
    {Kind::periodic_residual, "residual block, on angles"},
    {Kind::continuous, "continuous flow, discrete density"},
    {Kind::limit, "continuous flow, continuous density"},
    {Kind::conditional_continuous, "continuous flow, discrete density, with a context"},
    {Kind::gated_continuous, "continuous flow, discrete density, with gates and a context"},
    {Kind::gated_limit, "continuous flow, continuous density, with gates"},
    {Kind::periodic_continuous, "continuous flow, discrete density, on angles"},
    {Kind::periodic_limit, "continuous flow, continuous density, on angles"},
    {Kind::sphere, "continuous flow, continuous density, on a sphere, and beside angles and others"},
    {Kind::discrete_sphere, "continuous flow, discrete density, on a sphere, and beside angles and others"},
    {Kind::guided_continuous, "continuous flow, discrete density, guided"},
    {Kind::guided_limit, "continuous flow, continuous density, guided"},
    {Kind::guided_sphere, "continuous flow, continuous density, guided on a sphere, and beside angles and others"},
    {Kind::flow, "flow"}};

constexpr bool is_convolutional(Kind kind) {
  return kind == Kind::convolutional_residual || kind == Kind::conditional_convolutional_residual;
}
constexpr bool is_guided(Kind kind) {
  return kind == Kind::guided_continuous || kind == Kind::guided_limit || kind == Kind::guided_sphere;
}
constexpr Index context_of(Kind kind) {
  return is_guided(kind) || kind == Kind::conditional_residual || kind == Kind::conditional_convolutional_residual ||
                 kind == Kind::conditional_continuous || kind == Kind::gated_continuous
             ? 3
             : 0;
}
constexpr bool is_limit(Kind kind) {
  return kind == Kind::limit || kind == Kind::gated_limit || kind == Kind::periodic_limit || kind == Kind::sphere ||
         kind == Kind::guided_limit || kind == Kind::guided_sphere;
}
constexpr bool is_continuous(Kind kind) {
  return is_limit(kind) || kind == Kind::continuous || kind == Kind::conditional_continuous ||
         kind == Kind::gated_continuous || kind == Kind::periodic_continuous || kind == Kind::discrete_sphere ||
         kind == Kind::guided_continuous;
}
constexpr bool is_gated(Kind kind) {
  return kind == Kind::gated_continuous || kind == Kind::gated_limit;
}
constexpr bool is_spherical(Kind kind) {
  return kind == Kind::sphere || kind == Kind::discrete_sphere || kind == Kind::guided_sphere;
}
constexpr bool is_periodic(Kind kind) {
  return kind == Kind::periodic_residual || kind == Kind::periodic_continuous || kind == Kind::periodic_limit;
}

// For convolutional kinds, 20 and 64 values make an image of several channels, other numbers a single column of
// pixels. For the other kinds the shape is a vector.
Shape shape_of(Kind kind, Index d) {
  if (!is_convolutional(kind)) return Shape::vector(d);
  return d == 20 || d == 64 ? simple_shape(d) : Shape{d, 1, 1};
}

// A circle of two values. Of five, a sphere of three, with an angle and a value that is none, which have no closed form
// of the trace.
std::vector<Sphere> spheres_of(Kind kind, Index d) {
  if (!is_spherical(kind)) return {};
  return {d == 2 ? Sphere{0, 1} : Sphere{0, 2, 4}};
}

// All of one and two values, every other of more.
std::vector<Index> angles_of(Kind kind, Index d) {
  if (is_spherical(kind) && d == 5) return {1};
  std::vector<Index> angles;
  for (Index i = 0; i < d && is_periodic(kind); i += d > 2 ? 2 : 1) angles.push_back(i);
  return angles;
}

// The options of the network of a residual block.
nn::NetworkOptions network_of(Kind kind, Index d) {
  const auto network = [d](std::vector<Index> hidden, const char* activation) {
    return nn::NetworkOptions{
        .in = d, .out = d, .hidden = std::move(hidden), .activation = activation, .lipschitz = 0.9};
  };
  if (kind == Kind::shallow_residual) return network({2 * d}, "tanh");
  if (kind == Kind::narrow_residual) return network({7, 3, 5}, "softplus");
  auto options = network({12, 9}, "lipswish");
  options.context = context_of(kind);
  options.periodic = angles_of(kind, d);
  if (is_convolutional(kind)) {
    const Shape shape = shape_of(kind, d);
    options.hidden = {2 * shape.channels, 2 * shape.channels};
    options.height = shape.height;
    options.width = shape.width;
    options.kernels = {3, 1, 3};
  }
  return options;
}

// The largest dimension of the tests. Grids with tangents of all dimensions take long.
constexpr Index largest_of(Kind kind) {
  if (is_limit(kind) || is_spherical(kind) || is_guided(kind)) return 5;
  return is_continuous(kind) ? 20 : 64;
}
constexpr Index smallest_of(Kind kind) {
  return is_spherical(kind) ? 2 : 1;
}

// A continuous flow. Training and evaluation of a limit differ by the error of the grid, so its grid is fine.
flow::ContinuousOptions continuous_options(Kind kind) {
  flow::ContinuousOptions options{.hidden = {9, 7}, .activation = "tanh"};
  if (is_gated(kind)) options.time = "gates";
  options.integration.density = is_limit(kind) ? "continuous" : "discrete";
  options.integration.solver = is_limit(kind) ? "dop853" : "rk4";
  options.integration.steps = is_limit(kind) ? 48 : 6;
  options.integration.tolerance = 1e-11;
  return options;
}

template <class T>
std::unique_ptr<flow::Transform<T>> make_transform(Kind kind, Index d, nn::ParameterLayout& layout) {
  if (is_continuous(kind)) {
    const flow::Domain domain{.shape = Shape::vector(d),
                              .periodic = angles_of(kind, d),
                              .spheres = spheres_of(kind, d),
                              .context = context_of(kind),
                              .optional_context = is_guided(kind)};
    auto flow = std::make_unique<flow::Continuous<T>>(layout, "flow", domain, continuous_options(kind), 1, 1);
    if (is_guided(kind)) flow->set_guidance(1.75);
    return flow;
  }
  if (kind == Kind::actnorm) return std::make_unique<flow::ActNorm<T>>(layout, "norm", Shape::vector(d));
  return std::make_unique<flow::ResidualBlock<T>>(layout, "block", shape_of(kind, d), network_of(kind, d), 1, 1);
}
template <class T>
std::unique_ptr<flow::Transform<T>> make_transform(const SimpleMap& map, Index d, nn::ParameterLayout& layout) {
  return make_simple<T>(map, simple_shape(d), layout);
}

template <class T>
std::unique_ptr<Subject<T>> make_subject(Kind kind, Index d) {
  if (kind == Kind::flow) {
    return std::make_unique<FlowSubject<T>>(d, flow::FlowOptions{.blocks = 2, .hidden = {11, 8}, .lipschitz = 0.9});
  }
  return std::make_unique<TransformSubject<T>>(
      d, [&](nn::ParameterLayout& layout) { return make_transform<T>(kind, d, layout); });
}

// Whole flows are no transforms: test/flow checks the gradient of their inverse. Values that are factored out have no
// inverse as a transform.
constexpr bool is_transform(Kind kind) {
  return kind != Kind::flow;
}
constexpr bool is_transform(const SimpleMap&) {
  return true;
}
constexpr bool has_inverse(Kind kind) {
  return is_transform(kind);
}
constexpr bool has_inverse(const SimpleMap& map) {
  return map.kind != "split";
}
// The length of x = H⁻¹(z − b) is the same for all reflections, and so is its normal density.
constexpr bool inverse_depends_on_parameters(Kind) {
  return true;
}
constexpr bool inverse_depends_on_parameters(const SimpleMap& map) {
  return map.detail != "householder";
}

// All maps of these kinds change volumes and admit every value.
constexpr bool keeps_volume(Kind) {
  return false;
}
template <class T>
void place(Kind kind, Case<T>& c) {
  if (context_of(kind) > 0) c.condition(context_of(kind));
  c.angles_of_x = c.angles_of_z = angles_of(kind, c.subject->dimension());
  if (is_continuous(kind)) c.step = 0.3;      // eight steps of a network have more curvature than one
  if (kind == Kind::gated_limit) c.step = 1;  // shifts have little curvature, and limits an error of about 1e-12
  if (!c.angles_of_x.empty()) c.step = 0.03;  // values jump where they are wrapped
}

// kind: Kind or SimpleMap.
template <class T, class K>
Case<T> make_case(const K& kind, Index d, Fault fault = Fault::none) {
  Case<T> c([&] { return std::make_unique<Broken<T>>(make_subject<T>(kind, d), fault); },
            [&] { return make_subject<double>(kind, d); }, 4);
  place(kind, c);
  return c;
}

// The inverse of a map as the map under test. factor: of the λ that the map solves for.
template <class T, class K>
Case<T> make_inverse_case(const K& kind, Index d, double factor = 1) {
  const auto make = [&]<class U>(U) {
    return make_inverse_subject<U>(
        d, [&](nn::ParameterLayout& layout) { return make_transform<U>(kind, d, layout); }, factor);
  };
  Case<T> c([&] { return make(T()); }, [&] { return make(double()); }, 4);
  place(kind, c);
  if (!c.angles_of_x.empty()) c.step = 0.1;  // with shorter steps, rounding in float hides the curvature
  std::swap(c.x, c.z);
  return c;
}

// f(kind, d) for every map in every dimension in which there is one.
template <class F>
void for_each_map(F&& f) {
  for (const auto& [kind, name] : kinds) {
    for (const Index d : {1, 2, 5, 20, 64}) {
      if (d < smallest_of(kind) || d > largest_of(kind)) continue;
      BOOST_TEST_CONTEXT(name << ", d = " << d) {
        f(kind, d);
      }
    }
  }
  for (const SimpleMap& map : all_simple_maps()) {
    for (const Index d : {1, 2, 5, 20, 64}) {
      if (!is_defined(map, d)) continue;
      BOOST_TEST_CONTEXT(map.kind << ' ' << map.detail << ", d = " << d) {
        f(map, d);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(invariants)

BOOST_AUTO_TEST_CASE(the_subjects_are_the_kinds_of_the_registry) {
  const auto maps = all_simple_maps();
  for (const auto& kind : flow::TransformKind::registry().all()) {
    const bool is_simple = std::ranges::count(maps, std::string_view(kind.name), &SimpleMap::kind) > 0;
    const bool is_elsewhere = std::ranges::count(kinds_tested_elsewhere, kind.name) > 0;
    BOOST_TEST(is_simple != is_elsewhere, kind.name);
    BOOST_TEST(!kind.help.empty(), kind.name);
  }
}

// Both ways of an exact log-det are among the maps below.
BOOST_AUTO_TEST_CASE(log_dets_go_through_the_input_and_through_hidden_layers) {
  const auto through = [](Kind kind, Index d) { return logdet::exact_through({}, network_of(kind, d)); };
  for (const Index d : {1, 2, 5, 20, 64}) BOOST_TEST(!through(Kind::shallow_residual, d).has_value());
  for (const auto kind : {Kind::residual, Kind::narrow_residual}) {
    BOOST_TEST(!through(kind, 2).has_value());
    for (const Index d : {20, 64}) BOOST_TEST(through(kind, d).value() == 1);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_holds_both_ways, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::inverse_off);
    BOOST_TEST(bool(changes_volume(good)) != keeps_volume(kind));
    for (const auto method : {InverseAlgorithm::newton, InverseAlgorithm::anderson}) {
      BOOST_TEST(inverse_holds_both_ways(good, method));
      BOOST_TEST(!inverse_holds_both_ways(broken, method));
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_log_det_is_that_of_the_jacobian_and_cancels_the_inverses, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::log_det_off_by_one_hundredth);
    BOOST_TEST(log_dets_cancel(good));
    BOOST_TEST(!log_dets_cancel(broken));
    BOOST_TEST(log_det_is_that_of_the_jacobian(good));
    BOOST_TEST(!log_det_is_that_of_the_jacobian(broken));
    BOOST_TEST(precisions_agree(good));
    BOOST_TEST(!precisions_agree(broken));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_is_the_derivative, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::gradient_off_by_one_percent);
    for (const bool weighted : {false, true}) {
      const std::span<const T> weight = weighted ? std::span<const T>(good.weight) : std::span<const T>();
      const auto each = [&](Case<T>& c, bool expected) {
        for_each_gradient(c, weight, [&](const std::string& name, const Verdict& verdict) {
          BOOST_TEST_CONTEXT(name << (weighted ? ", weighted" : "")) {
            if (expected) {
              BOOST_TEST(verdict);
            } else {
              BOOST_TEST(!verdict);
            }
          }
        });
      };
      each(good, true);
      each(broken, false);
    }
    auto unweighted = make_case<T>(kind, d, Fault::weights_ignored);
    BOOST_TEST(!gradient_is_the_derivative<T>(unweighted, unweighted.weight));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_transposed_solve_undoes_the_jacobian, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    if (!is_transform(kind)) return;
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::solve_off_by_one_percent);
    BOOST_TEST(transposed_solve_undoes_the_jacobian(good));
    BOOST_TEST(!transposed_solve_undoes_the_jacobian(broken));
  });
}

// The gradient through the inverse, by two reverse passes and a transposed solve, as the gradient of the inverse map.
BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_of_the_inverse_is_the_derivative, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    if (!has_inverse(kind) || !inverse_depends_on_parameters(kind) || d > 20) return;
    auto good = make_inverse_case<T>(kind, d), broken = make_inverse_case<T>(kind, d, 1.01);
    check_gradients(good, broken);
    BOOST_TEST(transposed_solve_undoes_the_jacobian(good));
    BOOST_TEST(inverse_holds_both_ways(good, InverseAlgorithm::newton));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(samples_do_not_depend_on_their_batch_mates, T, Precisions) {
  for_each_map([](const auto& kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::depends_on_the_chunk);
    BOOST_TEST(independent_of_chunks(good));
    BOOST_TEST(!independent_of_chunks(broken));
    auto spreading = make_case<T>(kind, d, Fault::spreads_nan);
    BOOST_TEST(bad_rows_stay_alone(good));
    BOOST_TEST(!bad_rows_stay_alone(spreading));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
