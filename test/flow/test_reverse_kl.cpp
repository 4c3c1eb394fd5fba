// The gradient of a flow through its inverse, as that of a reverse KL divergence: over fixed latents zᵢ,
//
//     L = Σᵢ wᵢ (log p(xᵢ) − log π(xᵢ)),   xᵢ = f⁻¹(zᵢ),   log π(x) = Σⱼ cos(xⱼ + j),
//
// a smooth target with the period of an angle. Its differences are taken in double.

#include <pushforward/transforms/autoregressive.hpp>

#include "flow_cases.hpp"

namespace pushforward::test {

namespace {

constexpr Index n = 4;
const flow::InverseOptions precise{.tolerance = 1e-13, .max_iterations = 10000};

double log_target(std::span<const double> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::cos(x[i] + static_cast<double>(i));
  return sum;
}

template <class T>
FlowSubject<T> subject_of(const Case<T>& c, const FlowCase& of) {
  FlowSubject<T> subject(of.architecture);
  subject.set(std::vector<T>(c.parameters.begin(), c.parameters.end()), nn::Normalization::svd);
  if (c.context.size() > 0) subject.condition(c.context);
  return subject;
}

// The gradient of L with respect to parameters and latents.
template <class T>
InverseGradient<T> gradient_of(const Case<T>& c, const FlowCase& of, Index chunk) {
  auto subject = subject_of(c, of);
  const Matrix<T> x = subject.inverse(c.z, precise, n).value;
  const auto x_bar = matrix_of<T>(x.rows(), n, [&](Index i, Index j) {
    return static_cast<double>(c.weight[j]) * std::sin(static_cast<double>(x(i, j)) + static_cast<double>(i));
  });
  subject.set(std::vector<T>(c.parameters.begin(), c.parameters.end()), nn::Normalization::power_iteration);
  return subject.inverse_gradient(x, x_bar, c.weight, chunk);
}

// f(name, verdict) for the gradient with respect to each block of parameters and to the latents.
template <class T, class F>
void for_each_inverse_gradient(Case<T>& c, const InverseGradient<T>& gradient, F&& f) {
  const auto z = kit::in_double(c.z);
  const auto loss = [&](const Matrix<double>& latents) {
    const auto image = c.exact->inverse(latents, precise, n);
    double sum = 0;
    for (Index j = 0; j < n; ++j) {
      const double log_p = c.exact->base_log_prob(latents.view().column_span(j)) - image.log_det[j];
      sum += static_cast<double>(c.weight[j]) * (log_p - log_target(image.value.view().column_span(j)));
    }
    return sum;
  };
  auto scale = taylor_scale<T>(1e-12 * static_cast<double>(1 + z.size()) * (1 + std::abs(loss(z))));
  scale.h *= c.step;
  std::uint64_t line = for_each_block<T>(
      c, gradient.parameters, scale, [&] { return loss(z); }, f);
  const auto moved = [&](std::span<const double> values) {
    return loss(Matrix<double>(ConstMatrixView<double>(values.data(), z.rows(), n)));
  };
  f("z", is_gradient(moved, z.span(), gradient.z.span(), scale, ++line));
}

template <class T>
Verdict is_gradient_of_loss(Case<T>& c, const InverseGradient<T>& gradient) {
  Verdict all(true);
  for_each_inverse_gradient<T>(c, gradient, [&](const std::string& name, const Verdict& verdict) {
    if (!verdict && all) all = kit::failed(name, verdict);
  });
  return all;
}

template <class T>
InverseGradient<T> one_percent_off(InverseGradient<T> gradient) {
  for (T& value : gradient.parameters) value *= T(1.01);
  for (T& value : gradient.z.span()) value *= T(1.01);
  return gradient;
}

FlowCase one_transform(const std::string& name, flow::TransformOptions layer) {
  flow::Architecture a;
  a.data.shape = layer.kind() == "squeeze" ? Shape{2, 2, 2} : Shape::vector(5);
  a.chain.push_back(std::move(layer));
  a.base.kind = "normal";
  return {name, a};
}

// One transform of every kind that can be inverted, with a base density that has parameters.
std::vector<FlowCase> flows_of_one_transform() {
  std::vector<FlowCase> flows;
  for (const auto& kind : flow::TransformKind::registry().names()) {
    if (kind == "dequantize") continue;
    flow::TransformOptions transform(kind);
    OptionSet keys = transform.declare();
    const auto names = keys.keys();
    for (const auto& [key, value] : {std::pair("hidden", "7,6"), {"lipschitz", "0.9"}, {"function", "softplus"}}) {
      if (std::ranges::count(names, key) > 0) keys.set_text(key, value, kind);
    }
    flows.push_back(one_transform(kind, transform));
  }
  for (const auto* form : {"dense", "householder"}) {
    flows.push_back(one_transform(fmt::format("linear, {}", form), flow::LinearOptions{.form = form}));
  }
  flow::AutoregressiveOptions iaf;
  iaf.hidden = {7, 6};
  iaf.inverse = true;
  flows.push_back(one_transform("inverse autoregressive", iaf));
  return flows;
}

// Latents where the inverse of the chain is defined.
template <class T>
void place_latents(const FlowCase& of, Case<T>& c) {
  if (of.name != "elementwise") return;
  for (T& z : c.z.span()) z = static_cast<T>(0.5 + std::abs(static_cast<double>(z)));
}

double norm_of_difference(const InverseGradient<float>& a, const InverseGradient<double>& b, double scale) {
  double square = 0;
  for (std::size_t i = 0; i < b.parameters.size(); ++i) {
    square += std::pow(scale * static_cast<double>(a.parameters[i]) - b.parameters[i], 2);
  }
  for (std::size_t i = 0; i < b.z.span().size(); ++i) {
    square += std::pow(scale * static_cast<double>(a.z.span()[i]) - b.z.span()[i], 2);
  }
  return std::sqrt(square);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reverse_kl)

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_of_every_kind_is_the_derivative, T, Precisions) {
  for (const auto& of : flows_of_one_transform()) {
    BOOST_TEST_CONTEXT(of.name) {
      auto c = make_case<T>(of);
      place_latents(of, c);
      const auto gradient = gradient_of(c, of, 3);
      for_each_inverse_gradient<T>(c, gradient, [&](const std::string& name, const Verdict& verdict) {
        BOOST_TEST_CONTEXT(name) {
          BOOST_TEST(verdict);
        }
      });
      BOOST_TEST(!is_gradient_of_loss(c, one_percent_off(gradient)));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_gradient_of_all_flows_is_the_derivative) {
  for (const auto& of : all_flows()) {
    if (of.architecture.chain.front().kind() == "elementwise") continue;  // a logit: its values are bounded
    BOOST_TEST_CONTEXT(of.name) {
      auto c = make_case<double>(of);
      const auto gradient = gradient_of(c, of, 3);
      BOOST_TEST(is_gradient_of_loss(c, gradient));
      BOOST_TEST(!is_gradient_of_loss(c, one_percent_off(gradient)));
    }
  }
}

// ‖g − g*‖ ≤ 0.005 ‖g*‖, g in float and g* in double.
BOOST_AUTO_TEST_CASE(the_gradient_in_float_is_that_in_double) {
  for (const auto& of : all_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const auto c = make_case<float>(of);
      const auto in_double = make_case<double>(of);
      const auto actual = gradient_of(c, of, n);
      const auto exact = gradient_of(in_double, of, n);
      const double size =
          norm_of_difference({std::vector<float>(exact.parameters.size()), Matrix<float>(c.z.rows(), n)}, exact, 1);
      BOOST_TEST(close_absolute(norm_of_difference(actual, exact, 1), 0, 0.005 * size));
      BOOST_TEST(!close_absolute(norm_of_difference(actual, exact, 1.01), 0, 0.005 * size));
    }
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_do_not_fit_are_refused) {
  const flow::Flow<double> flow(3, {.blocks = 1, .hidden = {4}}, 1);
  const Matrix<double> x(3, 2), wrong(2, 2);
  Matrix<double> z_bar(3, 2);
  std::vector<double> gradient(flow.layout().size()), log_prob(2);
  std::vector<flow::Status> status(2);
  flow::FlowWorkspace<double> workspace(flow, 2, nn::Pass::gradient), evaluation(flow, 2, nn::Pass::evaluate);
  const auto says_so = says({"add_inverse_gradient", "2 × 2"});
  BOOST_CHECK_EXCEPTION(flow.add_inverse_gradient({x}, wrong, gradient, z_bar, log_prob, status, workspace), ShapeError,
                        says_so);
  BOOST_CHECK_EXCEPTION(flow.add_inverse_gradient({x}, x, gradient, z_bar, log_prob, status, evaluation), ShapeError,
                        says({"a workspace that keeps no gradient"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
