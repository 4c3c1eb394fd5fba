#include <pushforward/flow/flow.hpp>

#include <boost/test/unit_test.hpp>

namespace pushforward::test {

namespace {

using namespace flow;

// What a chain on this domain is refused with; "" where it is not.
std::string refusal(std::vector<LayerOptions> chain, const Domain& data) {
  try {
    Flow<double>(Architecture{data, std::move(chain), {}}, 1);
  } catch (const Error& error) {
    BOOST_TEST((error.kind() == ErrorKind::option || error.kind() == ErrorKind::shape));
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, std::initializer_list<const char*> parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const char* p) { return text.find(p) != std::string::npos; });
}

std::vector<std::string> kinds_of(const FlowOptions& options, const Domain& data) {
  std::vector<std::string> kinds;
  for (const auto& layer : architecture_of(options, data).chain) kinds.push_back(layer.kind());
  return kinds;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(architecture)

BOOST_AUTO_TEST_CASE(every_kind_has_its_name_and_its_options) {
  BOOST_TEST(LayerOptions::kinds().size() == std::variant_size_v<LayerOptions::Variant>);
  for (const auto& kind : LayerOptions::kinds()) BOOST_TEST(LayerOptions::of_kind(kind).kind() == kind);
  BOOST_TEST(LayerOptions(ActNormOptions{}).kind() == "actnorm");
  BOOST_TEST(LayerOptions(CouplingOptions()).kind() == "coupling");
  BOOST_TEST(LayerOptions(LinearOptions()).kind() == "linear");
  BOOST_TEST(LayerOptions(SplitOptions()).kind() == "split");
  BOOST_CHECK_EXCEPTION(LayerOptions::of_kind("couplin"), OptionError, [](const Error& e) {
    return holds(e.what(), {"'couplin' is unknown (did you mean 'coupling'?)", "actnorm"});
  });
}

BOOST_AUTO_TEST_CASE(domains_follow_the_shapes) {
  Architecture a;
  a.data.shape = {4, 6, 1};
  a.data.context = 2;
  a.chain = {SqueezeOptions{}, SplitOptions(), ActNormOptions{}};
  const auto domains = domains_of(a);
  BOOST_REQUIRE(domains.size() == 4);
  BOOST_TEST((domains[1].shape == Shape{2, 3, 4}));
  BOOST_TEST((domains[2].shape == Shape{2, 3, 2}));
  BOOST_TEST((domains[3].shape == Shape{2, 3, 2}));
  BOOST_TEST(domains[3].context == 2);
  BOOST_TEST(summary(a) == "1 squeeze, 1 split, 1 actnorm, base standard_normal");
}

BOOST_AUTO_TEST_CASE(angles_keep_their_places) {
  const Domain data{.shape = Shape::vector(5), .periodic = {0, 3}};
  const auto domains = domains_of({data, {PermutationOptions{.order = "reverse"}, SplitOptions()}, {}});
  BOOST_TEST((domains[1].periodic == std::vector<Index>{1, 4}));
  BOOST_TEST((domains[2].periodic == std::vector<Index>{1}));  // the first three stay
  BOOST_TEST((periodic_latents(domains) == std::vector<Index>{1, 4}));
}

BOOST_AUTO_TEST_CASE(pieces_that_do_not_fit_are_named) {
  CouplingOptions checkerboard, convolutional;
  checkerboard.mask = "checkerboard";
  convolutional.kernels = {3, 1, 3};
  const Domain image{.shape = {3, 4, 1}}, vector{.shape = Shape::vector(3)}, one{.shape = Shape::vector(1)},
      angles{.shape = Shape::vector(2), .periodic = {1}};
  BOOST_TEST(holds(refusal({ActNormOptions{}, SqueezeOptions{}}, image),
                   {"transform 1 (squeeze) on samples of 3×4×1 values", "even"}));
  BOOST_TEST(holds(refusal({SplitOptions()}, image), {"transform 0 (split)", "3×4×1", "1 of 1 channels"}));
  BOOST_TEST(holds(refusal({ActNormOptions{}, CouplingOptions()}, one), {"transform 1 (coupling)", "1 value"}));
  BOOST_TEST(holds(refusal({checkerboard}, vector), {"transform 0 (coupling)", "3"}));
  BOOST_TEST(holds(refusal({convolutional}, vector), {"transform 0 (coupling)"}));
  BOOST_TEST(holds(refusal({ResidualOptions{.hidden = {4}, .kernels = {3}}}, image), {"transform 0 (residual)"}));
  BOOST_TEST(holds(refusal({ActNormOptions{}}, angles), {"transform 0 (actnorm)", "value 1 is an angle"}));
  BOOST_TEST(holds(refusal({LinearOptions()}, angles), {"transform 0 (linear)", "value 1 is an angle"}));
  BOOST_TEST(holds(refusal({CouplingOptions()}, {.shape = Shape::vector(0)}), {"dimension 0"}));
  BOOST_TEST(refusal({CouplingOptions()}, vector) == "");
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
  // At the second scale there is a single pixel.
  const Architecture pixel =
      architecture_of({.kind = "glow", .blocks = 1, .actnorm = false, .scales = 2}, {.shape = {4, 4, 1}});
  BOOST_TEST(std::get<CouplingOptions>(pixel.chain[2].options()).kernels == std::vector<Index>({3, 1, 3}));
  BOOST_TEST(std::get<CouplingOptions>(pixel.chain[6].options()).kernels.empty());
  BOOST_TEST((domains_of(pixel).back().shape == Shape::vector(8)));
  BOOST_TEST(architecture_of({.kind = "maf"}, image).data.shape.is_image() == false);
  BOOST_CHECK_THROW(architecture_of({.kind = "chain"}, plain), OptionError);
  BOOST_CHECK_THROW(architecture_of({.kind = "nice", .chain = {ActNormOptions{}}}, plain), OptionError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
