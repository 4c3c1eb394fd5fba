// The kit of invariants on couplings and autoregressive transforms, and what angles ask beside.

#include "conditional.hpp"
#include "inverses.hpp"

namespace pushforward::test {

namespace {

using flow::InverseAlgorithm;

constexpr double pi = std::numbers::pi;

// The maps without angles.
const std::vector<Conditional>& maps_of_numbers() {
  static const auto all = [] {
    std::vector<Conditional> maps;
    for (const auto* map : {"additive", "affine", "spline"}) {
      for (const Index d : {2, 5, 64}) {
        for (const auto* mask : {"first", "second", "even", "odd"}) {
          maps.push_back(coupling(mask, map, {.shape = Shape::vector(d), .context = maps.size() % 2 == 0 ? 0 : 3}));
        }
      }
      for (const Index d : {1, 2, 5, 64}) {
        for (const bool inverse : {false, true}) {
          maps.push_back(autoregressive(map, {.shape = Shape::vector(d), .context = inverse ? 2 : 0}, inverse));
        }
      }
    }
    // Parameters that only a context can have made depend on the sample.
    maps.push_back(autoregressive("affine", {.shape = Shape::vector(1), .context = 2}, false));
    for (const Shape shape : {Shape{4, 4, 1}, Shape{2, 3, 2}, Shape{4, 4, 3}}) {
      for (const auto* map : {"affine", "spline"}) {
        for (const auto* mask : {"first", "second", "even", "odd", "checkerboard", "checkerboard-odd"}) {
          if (shape.channels == 1 && !std::string_view(mask).starts_with("checker")) continue;
          maps.push_back(coupling(mask, map, {.shape = shape, .context = maps.size() % 2 == 0 ? 0 : 2}));
        }
        maps.push_back(autoregressive(map, {.shape = shape}, false));
        for (const auto* mask : {"first", "odd", "checkerboard", "checkerboard-odd"}) {
          if (shape.channels == 1 && !std::string_view(mask).starts_with("checker")) continue;
          maps.push_back(coupling(mask, map, {.shape = shape, .context = maps.size() % 2 == 0 ? 0 : 2}, {3, 1, 3}));
        }
      }
    }
    return maps;
  }();
  return all;
}

// Some values are angles, or all.
const std::vector<Conditional>& maps_of_angles() {
  static const auto all = [] {
    std::vector<Conditional> maps;
    std::vector<Index> every_third;
    for (Index i = 1; i < 64; i += 3) every_third.push_back(i);
    for (const auto& [d, periodic] : std::vector<std::pair<Index, std::vector<Index>>>{
             {2, {0, 1}}, {2, {1}}, {5, {0, 1, 2, 3, 4}}, {5, {1, 2, 4}}, {1, {0}}, {64, every_third}}) {
      for (const auto* map : {"additive", "spline"}) {
        const Domain domain{.shape = Shape::vector(d), .periodic = periodic, .context = maps.size() % 2 == 0 ? 0 : 3};
        for (const bool inverse : {false, true}) maps.push_back(autoregressive(map, domain, inverse));
        if (d == 1) continue;
        for (const auto* mask : {"first", "second", "even", "odd"}) maps.push_back(coupling(mask, map, domain));
      }
    }
    maps.push_back(coupling("even", "affine", {.shape = Shape::vector(5), .periodic = {0, 4}}));  // angles only stay
    return maps;
  }();
  return all;
}

template <class F>
void for_each_map(const std::vector<Conditional>& maps, F&& f) {
  for (const auto& map : maps) {
    BOOST_TEST_CONTEXT(map.name()) {
      f(map);
    }
  }
}

template <class T>
void gradients_hold(const Conditional& map) {
  auto good = make_case<T>(map), broken = make_case<T>(map, Fault::gradient_off_by_one_percent);
  check_gradients(good, broken);
  auto unweighted = make_case<T>(map, Fault::weights_ignored);
  BOOST_TEST(!gradient_is_the_derivative<T>(unweighted, unweighted.weight));
}

// The inverse of a map as the map under test, by reverse_of_inverse(). factor: of the λ that the map solves for.
template <class T>
Case<T> make_inverse_case(const Conditional& of, double factor = 1) {
  const auto make = [&]<class U>(U) {
    return make_inverse_subject<U>(
        of.domain.size(), [&](nn::ParameterLayout& layout) { return make_transform<U>(of, layout); }, factor);
  };
  Case<T> c([&] { return make(T()); }, [&] { return make(double()); }, 4);
  if (of.domain.context > 0) c.condition(of.domain.context);
  c.step = step_of(of);
  return c;
}

// Largest difference of two sets of samples, angles compared modulo 2π.
template <class T>
double distance(const Domain& domain, const Matrix<T>& a, const Matrix<T>& b) {
  double largest = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      double gap = static_cast<double>(a(i, j)) - static_cast<double>(b(i, j));
      if (std::ranges::count(domain.periodic, i) > 0) gap = std::remainder(gap, 2 * pi);
      largest = std::max(largest, std::abs(gap));
    }
  }
  return largest;
}

template <class T>
bool angles_are_in_range(const Domain& domain, const Matrix<T>& a) {
  bool holds = true;
  for (Index j = 0; j < a.cols(); ++j) {
    for (const Index i : domain.periodic) {
      holds = holds && a(i, j) >= -std::numbers::pi_v<T> && a(i, j) < std::numbers::pi_v<T>;
    }
  }
  return holds;
}

// Moving any angle of x by a whole turn changes neither z nor the log-det.
Verdict has_period_two_pi(const Domain& domain, Case<double>& c) {
  const auto image = c.subject->forward(c.x, c.x.cols());
  for (const Index row : domain.periodic) {
    for (const double turn : {2 * pi, -2 * pi}) {
      Matrix<double> x(c.x);
      for (Index j = 0; j < x.cols(); ++j) x(row, j) += turn;
      const auto moved = c.subject->forward(x, x.cols());
      const double gap = distance(domain, moved.value, image.value);
      if (!(gap <= 1e-12)) return kit::failed(fmt::format("z moves by {} with row {}", gap, row), Verdict(false));
      const auto verdict = close_absolute(std::span<const double>(moved.log_det), image.log_det, 1e-12);
      if (!verdict) return verdict;
    }
  }
  return Verdict(true);
}

template <class T>
Verdict circles_close(const Domain& domain, Case<T>& c) {
  const Index n = c.x.cols();
  const auto there = c.subject->forward(c.x, n), back = c.subject->inverse(there.value, {}, n);
  const auto latent = c.subject->inverse(c.x, {}, n), again = c.subject->forward(latent.value, n);
  for (const auto* image : {&there, &back, &latent, &again}) {
    if (!angles_are_in_range(domain, image->value)) return kit::failed("beyond [-pi, pi)", Verdict(false));
  }
  const double first = distance(domain, back.value, c.x), second = distance(domain, again.value, c.x);
  const double tolerance = Closeness<T>::value * kit::size_of(c.x);
  return first <= tolerance && second <= tolerance
             ? Verdict(true)
             : kit::failed(fmt::format("{} and {} off", first, second), Verdict(false));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(invariants_of_conditional_maps)

BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_holds_both_ways, T, Precisions) {
  for_each_map(maps_of_numbers(), [](const Conditional& map) {
    auto good = make_case<T>(map), broken = make_case<T>(map, Fault::inverse_off);
    if (map.map().kind != "additive") BOOST_TEST(changes_volume(good));
    BOOST_TEST(inverse_holds_both_ways(good, InverseAlgorithm::newton));
    BOOST_TEST(!inverse_holds_both_ways(broken, InverseAlgorithm::newton));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_log_det_is_that_of_the_jacobian_and_cancels_the_inverses, T, Precisions) {
  for (const auto* maps : {&maps_of_numbers(), &maps_of_angles()}) {
    for_each_map(*maps, [](const Conditional& map) {
      auto good = make_case<T>(map), broken = make_case<T>(map, Fault::log_det_off_by_one_hundredth);
      BOOST_TEST(log_dets_cancel(good));
      BOOST_TEST(!log_dets_cancel(broken));
      BOOST_TEST(log_det_is_that_of_the_jacobian(good));
      BOOST_TEST(!log_det_is_that_of_the_jacobian(broken));
      BOOST_TEST(precisions_agree(good));
      BOOST_TEST(!precisions_agree(broken));
    });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_is_the_derivative, T, Precisions) {
  for_each_map(maps_of_numbers(), gradients_hold<T>);
  for_each_map(maps_of_angles(), gradients_hold<T>);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_transposed_solve_undoes_the_jacobian, T, Precisions) {
  for (const auto* maps : {&maps_of_numbers(), &maps_of_angles()}) {
    for_each_map(*maps, [](const Conditional& map) {
      auto good = make_case<T>(map), broken = make_case<T>(map, Fault::solve_off_by_one_percent);
      BOOST_TEST(transposed_solve_undoes_the_jacobian(good));
      BOOST_TEST(!transposed_solve_undoes_the_jacobian(broken));
    });
  }
}

BOOST_AUTO_TEST_CASE(the_gradient_of_the_inverse_is_the_derivative) {
  for (const auto* maps : {&maps_of_numbers(), &maps_of_angles()}) {
    for_each_map(*maps, [](const Conditional& map) {
      if (map.domain.size() > 16) return;
      auto good = make_inverse_case<double>(map), broken = make_inverse_case<double>(map, 1.01);
      BOOST_TEST(gradient_is_the_derivative<double>(good, good.weight));
      BOOST_TEST(!gradient_is_the_derivative<double>(broken, broken.weight));
    });
  }
}

BOOST_AUTO_TEST_CASE(the_gradient_of_the_inverse_in_float_is_that_in_double) {
  for (const auto* maps : {&maps_of_numbers(), &maps_of_angles()}) {
    for_each_map(*maps, [](const Conditional& map) {
      auto good = make_inverse_case<float>(map), broken = make_inverse_case<float>(map);
      broken.subject = make_inverse_case<float>(map, 1.01).subject;
      broken.prepare(nn::Normalization::svd);
      if (map.domain.context > 0) broken.condition(map.domain.context);
      BOOST_TEST(gradients_agree(good));
      BOOST_TEST(!gradients_agree(broken));
    });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(samples_do_not_depend_on_their_batch_mates, T, Precisions) {
  for (const auto* maps : {&maps_of_numbers(), &maps_of_angles()}) {
    for_each_map(*maps, [](const Conditional& map) {
      auto good = make_case<T>(map), broken = make_case<T>(map, Fault::depends_on_the_chunk);
      BOOST_TEST(independent_of_chunks(good));
      BOOST_TEST(!independent_of_chunks(broken));
      auto spreading = make_case<T>(map, Fault::spreads_nan);
      BOOST_TEST(bad_rows_stay_alone(good));
      BOOST_TEST(!bad_rows_stay_alone(spreading));
    });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(circles_are_mapped_onto_themselves, T, Precisions) {
  for_each_map(maps_of_angles(), [](const Conditional& map) {
    auto good = make_case<T>(map), broken = make_case<T>(map, Fault::inverse_off);
    for (auto* c : {&good, &broken}) {
      for (T& value : c->x.span()) value *= 3;  // beyond ±π as well
    }
    BOOST_TEST(circles_close(map.domain, good));
    BOOST_TEST(!circles_close(map.domain, broken));
  });
}

BOOST_AUTO_TEST_CASE(densities_have_period_two_pi) {
  for_each_map(maps_of_angles(), [](const Conditional& map) {
    auto good = make_case<double>(map);
    BOOST_TEST(has_period_two_pi(map.domain, good));
    // A value that is no angle has none.
    const Domain other{.shape = map.domain.shape, .periodic = {0}};
    auto plain = make_case<double>(autoregressive("spline", {.shape = map.domain.shape}, false));
    BOOST_TEST(!has_period_two_pi(other, plain));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
