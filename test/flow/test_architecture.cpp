#include <pushforward/flow/flow.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/squeeze.hpp>

#include <boost/test/unit_test.hpp>

#include "flows.hpp"

namespace pushforward::test {

namespace {

using namespace flow;

// The message with which a chain on this domain is refused, or "" if it is accepted.
std::string refusal(std::vector<TransformOptions> chain, const Domain& data) {
  try {
    Flow<double>(Architecture{data, std::move(chain), {}}, 1);
  } catch (const Error& error) {
    BOOST_TEST((error.kind() == ErrorKind::option || error.kind() == ErrorKind::shape));
    return error.what();
  }
  return "";
}

CouplingOptions coupling(const std::string& mask = "even", std::vector<Index> kernels = {}) {
  CouplingOptions options;
  options.mask = mask;
  options.kernels = std::move(kernels);
  return options;
}

bool holds(const std::string& text, std::initializer_list<const char*> parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const char* p) { return text.find(p) != std::string::npos; });
}

std::vector<std::string> kinds_of(const FlowOptions& options, const Domain& data) {
  std::vector<std::string> kinds;
  for (const auto& transform : architecture_of(options, data).chain) kinds.push_back(transform.kind());
  return kinds;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(architecture)

BOOST_AUTO_TEST_CASE(every_kind_has_its_name_and_its_options) {
  for (const auto& kind : TransformKind::registry().all()) {
    BOOST_TEST(TransformOptions(kind.name).kind() == kind.name);
    BOOST_TEST(!kind.help.empty());
  }
  BOOST_TEST(TransformOptions(ActNormOptions()).kind() == "actnorm");
  BOOST_TEST(TransformOptions(coupling()).kind() == "coupling");
  BOOST_TEST(TransformOptions(LinearOptions()).kind() == "linear");
  BOOST_TEST(TransformOptions(FactorOutOptions()).kind() == "split");
  BOOST_CHECK_EXCEPTION(TransformOptions("couplin"), OptionError, [](const Error& e) {
    return holds(e.what(), {"'couplin' is unknown (did you mean 'coupling'?)", "actnorm"});
  });
}

BOOST_AUTO_TEST_CASE(domains_follow_the_shapes) {
  Architecture a;
  a.data = {.shape = {4, 6, 1}, .periodic = {}, .context = 2};
  a.chain = chain_of(SqueezeOptions(), FactorOutOptions(), ActNormOptions());
  const auto domains = domains_of(a);
  BOOST_REQUIRE(domains.size() == 4);
  BOOST_TEST((domains[1].shape == Shape{2, 3, 4}));
  BOOST_TEST((domains[2].shape == Shape{2, 3, 2}));
  BOOST_TEST((domains[3].shape == Shape{2, 3, 2}));
  BOOST_TEST(domains[3].context == 2);
  BOOST_TEST(summary(a) == "1 squeeze, 1 split, 1 actnorm, base standard_normal");
}

BOOST_AUTO_TEST_CASE(kinds_know_which_transforms_have_no_parameters) {
  const Domain image{.shape = {4, 4, 2}};
  for (const auto& kind : TransformKind::registry().names()) {
    TransformOptions options(kind);
    nn::ParameterLayout layout;
    const auto transform = options.make<double>({layout, "t", image, 1, 1});
    BOOST_TEST_CONTEXT(kind) {
      BOOST_TEST(transform->kind() == kind);
      BOOST_TEST(options.facts().is_fixed == !is_trained(*transform));
      BOOST_TEST(options.facts().is_fixed == (layout.size() == 0));
      BOOST_TEST((transform->output_shape() == options.output(image).shape));
    }
  }
}

BOOST_AUTO_TEST_CASE(convolutions_need_images_without_angles) {
  const Domain vector{.shape = Shape::vector(5)}, angles{.shape = {4, 4, 1}, .periodic = {0, 5}};
  const auto refused = [](const auto& options, const Domain& data, const char* message) {
    BOOST_TEST(holds(refusal(chain_of(options), data), {"transform 0 (", message}));
  };
  const CouplingOptions coupling{.mask = "checkerboard", .kernels = {3, 1, 3}};
  const ResidualOptions residual{.kernels = {3, 1, 3}};
  const char* const on_vectors = "3 kernels for vectors of 5 values: a convolutional network needs images";
  refused(coupling, vector, on_vectors);
  refused(residual, vector, on_vectors);
  const char* const on_angles = "3 kernels for images of which 2 values are angles";
  refused(coupling, angles, on_angles);
  refused(residual, angles, on_angles);
  BOOST_CHECK_NO_THROW(domains_of({{.shape = {4, 4, 1}}, chain_of(coupling, residual), {}}));
}

BOOST_AUTO_TEST_CASE(images_that_bounds_keep_from_the_base_are_found) {
  const auto of = [](const char* function) { return ElementwiseOptions{.function = function}; };
  const auto found = [](std::vector<TransformOptions> chain, const char* base = "standard_normal") {
    return bounded_image({{.shape = Shape::vector(2)}, std::move(chain), BaseOptions(base)});
  };
  for (const auto* function : {"sigmoid", "tanh", "exp", "softplus"}) {
    BOOST_TEST((found(chain_of(ActNormOptions(), of(function), ActNormOptions())) == 1U), function);
    BOOST_TEST(!found(chain_of(of(function)), "uniform"), function);
  }
  for (const auto* function : {"affine", "leaky", "cube", "cube_root", "logit", "atanh", "log", "inverse_softplus"}) {
    BOOST_TEST(!found(chain_of(of(function), ActNormOptions())), function);
  }
  BOOST_TEST(!found(chain_of(of("sigmoid"), of("logit"))));
  BOOST_TEST((found(chain_of(of("logit"), of("sigmoid"))) == 1U));
  BOOST_TEST(!found({}));
}

BOOST_AUTO_TEST_CASE(angles_keep_their_places) {
  const Domain data{.shape = Shape::vector(5), .periodic = {0, 3}};
  const auto domains = domains_of({data, chain_of(PermutationOptions{.order = "reverse"}, FactorOutOptions()), {}});
  BOOST_TEST((domains[1].periodic == std::vector<Index>{1, 4}));
  BOOST_TEST((domains[2].periodic == std::vector<Index>{1}));  // the first three stay
  BOOST_TEST((periodic_latents(domains) == std::vector<Index>{1, 4}));
}

BOOST_AUTO_TEST_CASE(unit_vectors_are_for_continuous_flows) {
  const Domain data{.shape = Shape::vector(4), .spheres = {{0, 2, 3}}};
  for (const auto& kind : TransformKind::registry().all()) {
    if (kind.name == "continuous") continue;
    const std::vector<TransformOptions> chain{TransformOptions(kind.name)};
    BOOST_TEST(holds(refusal(chain, data), {"transform 0 (", "values 0, 2, 3 are a unit vector", "continuous"}),
               kind.name);
  }
  const ContinuousOptions continuous;
  BOOST_TEST((domains_of({data, chain_of(continuous, continuous), {}}).back().spheres == data.spheres));
}

BOOST_AUTO_TEST_CASE(pieces_that_do_not_fit_are_named) {
  const Domain image{.shape = {3, 4, 1}}, vector{.shape = Shape::vector(3)}, one{.shape = Shape::vector(1)},
      angles{.shape = Shape::vector(2), .periodic = {1}};
  BOOST_TEST(holds(refusal(chain_of(ActNormOptions(), SqueezeOptions()), image),
                   {"transform 1 (squeeze) on samples of 3×4×1 values", "even"}));
  BOOST_TEST(holds(refusal(chain_of(FactorOutOptions()), image), {"transform 0 (split)", "3×4×1", "1 of 1 channels"}));
  BOOST_TEST(holds(refusal(chain_of(ActNormOptions(), coupling()), one), {"transform 1 (coupling)", "1 value"}));
  BOOST_TEST(holds(refusal(chain_of(coupling("checkerboard")), vector), {"transform 0 (coupling)", "3"}));
  BOOST_TEST(holds(refusal(chain_of(coupling("even", {3, 1, 3})), vector), {"transform 0 (coupling)"}));
  BOOST_TEST(
      holds(refusal(chain_of(ResidualOptions{.hidden = {4}, .kernels = {3}}), image), {"transform 0 (residual)"}));
  BOOST_TEST(holds(refusal(chain_of(ActNormOptions()), angles), {"transform 0 (actnorm)", "value 1 is an angle"}));
  BOOST_TEST(holds(refusal(chain_of(LinearOptions()), angles), {"transform 0 (linear)", "value 1 is an angle"}));
  BOOST_TEST(holds(refusal(chain_of(coupling()), {.shape = Shape::vector(0)}), {"dimension 0"}));
  BOOST_TEST(refusal(chain_of(coupling()), vector) == "");
}

BOOST_AUTO_TEST_CASE(families_are_chains) {
  using Words = std::vector<std::string>;
  const Domain plain{.shape = Shape::vector(3)}, torus{.shape = Shape::vector(2), .periodic = {0, 1}},
      image{.shape = {8, 8, 1}};
  BOOST_TEST(kinds_of({.kind = "nice", .blocks = 2}, plain) == Words({"coupling", "coupling", "scaling"}));
  BOOST_TEST(kinds_of({.kind = "residual", .blocks = 1, .actnorm = false}, plain) == Words({"residual"}));
  BOOST_TEST(kinds_of({.kind = "glow", .blocks = 1}, plain) == Words({"actnorm", "linear", "coupling", "actnorm"}));
  BOOST_TEST(kinds_of({.kind = "spline", .blocks = 2}, torus) == Words({"coupling", "coupling"}));
  BOOST_TEST(kinds_of({.kind = "maf", .blocks = 2, .actnorm = false}, plain) ==
             Words({"autoregressive", "permutation", "autoregressive"}));
  BOOST_TEST(
      kinds_of({.kind = "glow", .blocks = 1, .actnorm = false, .scales = 2, .levels = 17, .logit = 0.05}, image) ==
      Words({"dequantize", "elementwise", "squeeze", "linear", "coupling", "split", "squeeze", "linear", "coupling"}));
  BOOST_TEST(architecture_of({.kind = "maf"}, image).data.shape.is_image() == false);
  FlowOptions chain, nice;
  chain.kind = "chain";
  nice.kind = "nice";
  nice.chain = chain_of(ActNormOptions());
  BOOST_CHECK_THROW(architecture_of(chain, plain), OptionError);
  BOOST_CHECK_THROW(architecture_of(nice, plain), OptionError);
}

// Squeezed to one pixel, an image is a vector, whose networks are dense.
BOOST_AUTO_TEST_CASE(images_of_one_pixel_have_dense_networks) {
  for (const auto* kind : {"residual", "realnvp", "glow", "spline"}) {
    FlowOptions small{.kind = kind, .blocks = 1, .hidden = {3}};
    small.scales = kind == std::string("residual") || kind == std::string("realnvp") ? 3 : 2;
    const auto architecture = architecture_of(small, {.shape = {4, 4, 1}});
    const auto domains = domains_of(architecture);
    for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
      const auto* const options = architecture.chain[k].get_if<CouplingOptions>();
      const auto* const residual = architecture.chain[k].get_if<ResidualOptions>();
      if (options != nullptr) BOOST_TEST(options->kernels.empty() != domains[k].shape.is_image());
      if (residual != nullptr) BOOST_TEST(residual->kernels.empty() != domains[k].shape.is_image());
    }
    BOOST_TEST((domains.back().shape.pixels() == 1));
    Flow<double>(architecture, 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
