// Model files hold every kind of transform and base density, contexts, and options as attributes.

#include <pushforward/model/model.hpp>
#include <pushforward/model/option_attributes.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/elementwise.hpp>

#include <ranks.hpp>

#include "../flow/flows.hpp"
#include "models.hpp"

namespace pushforward::test {

namespace {

using data::Standardization;
using flow::Flow;
using flow::FlowWorkspace;
using flow::Model;
using flow::Pass;
using flow::Status;

// Every kind of transform by itself on d values, with the default options and with others, and what else a
// seed may settle; at d = 6 also those of images.
std::vector<FlowCase> single_transforms(Index d) {
  using namespace flow;
  std::vector<FlowCase> all;
  const Domain vector{.shape = Shape::vector(d), .periodic = {}}, given{.shape = Shape::vector(d), .context = 2},
      image{.shape = {4, 4, 2}};
  const auto add = [&](const Domain& domain, TransformOptions options) {
    if (domain.shape.is_image() && d != 6) return;
    if (domain.size() == 1 && (options.kind() == "coupling" || options.kind() == "split")) return;
    Architecture a;
    a.data = domain;
    a.chain = chain_of(std::move(options));
    all.push_back({fmt::format("{} {} on {}", all.size(), a.chain[0].kind(), to_string(domain.shape)), a});
  };
  for (const auto& kind : TransformKind::registry().names()) {
    if (kind == "continuous") continue;  // random weights of its default widths make a wild field
    add(kind == "squeeze" ? image : vector, TransformOptions(kind));
  }
  ContinuousOptions continuous{.hidden = {4, 3}};
  continuous.integration.steps = 5;
  add(given, continuous);
  continuous.integration.density = "continuous";
  add(vector, continuous);
  CouplingOptions coupling;
  coupling.hidden = {3};
  coupling.map = AffineMapOptions{.scale_limit = 1.5};
  AutoregressiveOptions autoregressive;
  autoregressive.hidden = {9, 9};
  autoregressive.map = AdditiveMapOptions();
  add(given, ResidualOptions{.hidden = {5, 4}, .activation = "tanh", .lipschitz = 0.8});
  add(image, ResidualOptions{.hidden = {3}, .kernels = {3, 1}, .lipschitz = 0.7});
  coupling.mask = "checkerboard-odd";
  add(image, coupling);
  add(vector, autoregressive);
  coupling.mask = "odd";
  coupling.map = SplineOptions{.bins = 5, .bound = 4, .min_width = 0.02, .min_derivative = 0.01};
  coupling.activation = "softplus";
  add(given, coupling);
  coupling.kernels = {3, 3};
  add(image, coupling);
  autoregressive.map = coupling.map;
  autoregressive.inverse = true;
  add(given, autoregressive);
  std::vector<Index> columns{0};
  if (d > 4) columns.push_back(4);
  add(vector, ElementwiseOptions{.function = "leaky", .columns = columns, .shift = -0.5, .scale = 2, .slope = 0.3});
  add(vector, DequantizeOptions{.levels = 17});
  for (const auto* order : {"random", "reverse"}) add(vector, PermutationOptions{.order = order});
  for (const auto* form : {"dense", "plu", "householder"}) add(image, LinearOptions{.form = form});
  for (const auto* form : {"dense", "plu", "householder"}) add(vector, LinearOptions{.form = form});
  add(vector, FactorOutOptions{.keep = 4});
  return all;
}

std::vector<FlowCase> single_transforms() {
  std::vector<FlowCase> all;
  for (const Index d : {1, 6, 64}) {
    const auto some = single_transforms(d);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::vector<FlowCase> stored_flows() {
  auto flows = single_transforms();
  const auto whole = all_flows(), wide = flows_of_vectors(64);
  flows.insert(flows.end(), whole.begin(), whole.end());
  flows.insert(flows.end(), wide.begin(), wide.end());
  // Couplings have nothing to leave as it is in one value.
  for (const auto* const kind : {"residual", "maf", "iaf", "planar", "radial"}) {
    const bool takes_context = std::string_view(kind) != "planar" && std::string_view(kind) != "radial";
    flows.push_back(family(kind, {.shape = Shape::vector(1), .context = takes_context ? 2 : 0}));
  }
  flows.push_back(family("maf", {.shape = Shape::vector(1), .periodic = {0}}, [] {
    flow::FlowOptions options;
    options.map.kind = "spline";
    return options;
  }()));
  return flows;
}

template <class T>
Flow<T> folded(const FlowCase& of, std::uint64_t seed) {
  Flow<T> flow(of.architecture, seed);
  const auto values = random_vector<T>(flow.layout().size(), 97, 0.3);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.bake_normalization();
  flow.prepare(nn::Normalization::stored);
  return flow;
}

// Integers for flows that begin by dequantizing, else numbers within (0, 1), which all admit.
Matrix<double> samples_of(const FlowCase& of, Index n) {
  const bool integers = of.architecture.chain.front().kind() == "dequantize";
  return matrix_of<double>(of.architecture.data.size(), n, [&](Index i, Index j) {
    return integers ? double((3 * i + j) % 17) : 0.5 + 0.4 * std::sin(double(2 * i + 5 * j));
  });
}

struct Values {
  std::vector<double> log_prob;
  Matrix<double> z;
};

template <class T>
Values values_of(const Flow<T>& flow, const Matrix<double>& x) {
  const auto in = matrix_of<T>(x.rows(), x.cols(), [&](Index i, Index j) { return x(i, j); });
  const auto context = random_matrix<T>(flow.architecture().data.context, x.cols(), 98);
  Values values{std::vector<double>(x.cols()), {}};
  Matrix<T> z(x.rows(), x.cols());
  std::vector<Status> status(values.log_prob.size());
  FlowWorkspace<T> workspace(flow, 3, Pass::evaluate);
  flow.log_prob({.x = in, .context = context}, values.log_prob, z, status, workspace);
  for (const auto s : status) BOOST_TEST((s == Status::ok));
  values.z = matrix_of<double>(x.rows(), x.cols(), [&](Index i, Index j) { return z(i, j); });
  return values;
}

Verdict agree(const Values& a, const Values& b, double tolerance) {
  const auto verdict = close_absolute(std::span<const double>(a.log_prob), b.log_prob, tolerance);
  return verdict ? close_absolute(a.z.view(), b.z.view(), tolerance) : verdict;
}

template <class T>
void save(const std::string& path, const Flow<T>& flow) {
  const Index c = flow.architecture().data.context;
  std::optional<flow::ModelContext> context;
  if (c > 0) context = flow::ModelContext{standardization_of(Standardization::Kind::whiten, c), {}};
  flow::save_model(path, Standardization(flow.dimension()), flow, {}, context);
}

std::string scratch_file(const std::string& name) {
  return (scratch_directory() / name).string();
}

// Options of every type that a model file can hold.
struct SomeOptions {
  bool flag = true;
  Index count = 7;
  double ratio = 0.1;
  std::string word = "first";
  std::vector<Index> sizes{3, 1};
  std::vector<double> levels{0.1, 1e300};

  OptionSet declare() {
    OptionSet set;
    set.add("flag", flag, "a flag")
        .add("count", count, "a number", at_least(1))
        .add("ratio", ratio, "a ratio", strictly_between(0, 1))
        .add("word", word, "a word", one_of({"first", "second"}))
        .add("sizes", sizes, "sizes", between(1, 9))
        .add("levels", levels, "levels");
    return set;
  }
};

// Reads the attributes that `write` writes.
SomeOptions read_back(const std::function<void(const h5::GroupWriter&)>& write) {
  const auto path = scratch_file("options.h5");
  h5::FileImage file("pushforward-model", 1);
  write(file.root().make_group("some"));
  file.save(path);
  SomeOptions options{false, 1, 0.9, "second", {}, {}};
  OptionSet set = options.declare();
  flow::read_options(h5::open_file(path).group("some"), set);
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(model_files)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_transform_and_base_comes_back_with_the_same_bits, T, Precisions) {
  using Other = std::conditional_t<std::is_same_v<T, float>, double, float>;
  const auto path = scratch_file("model.h5");
  for (const auto& of : stored_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const auto flow = folded<T>(of, 1);
      const auto x = samples_of(of, 5);
      const auto expected = values_of(flow, x);
      save(path, flow);
      const auto loaded = flow::load_model<T>(path);
      BOOST_TEST(agree(values_of(loaded.flow(), x), expected, 0));
      BOOST_TEST(summary(loaded.flow().architecture()) == summary(flow.architecture()));
      if (of.architecture.chain.front().kind() == "dequantize") continue;  // draws in its precision
      double size = 1;
      for (const double v : expected.log_prob) size = std::max(size, std::abs(v));
      const auto other = values_of(flow::load_model<Other>(path).flow(), x);
      BOOST_TEST(agree(other, expected, 1e-3 * size));
      BOOST_TEST(!agree(other, {std::vector<double>(5, 0.5), Matrix<double>(x)}, 1e-3 * size));
    }
  }
}

// A twin: what the file does not hold would come from the seed.
BOOST_AUTO_TEST_CASE(orders_and_signs_come_from_the_file_not_from_the_seed) {
  const auto path = scratch_file("model.h5");
  int settled = 0;
  for (const auto& of : single_transforms()) {
    const auto flow = folded<double>(of, 1);
    const auto x = samples_of(of, 5);
    save(path, flow);
    const auto expected = values_of(flow, x);
    BOOST_TEST(agree(values_of(flow::load_model<double>(path).flow(), x), expected, 0));
    if (!agree(values_of(folded<double>(of, 2), x), expected, 1e-6)) ++settled;
  }
  BOOST_TEST(settled >= 3);  // a random permutation and two forms PLU
}

BOOST_AUTO_TEST_CASE(contexts_are_standardized_as_the_file_says) {
  const auto path = scratch_file("model.h5");
  const auto flow = folded<double>(family("glow", {.shape = Shape::vector(3), .context = 2}), 1);
  const flow::ModelContext context{standardization_of(Standardization::Kind::whiten, 2), {"mass", "spin"}};
  flow::save_model(path, Standardization(3), flow, {}, context);
  const auto model = flow::load_model<double>(path);
  BOOST_TEST(model.context().value().names == context.names);
  BOOST_TEST(model.context()->standardization.mean() == context.standardization.mean());
  const auto x = random_matrix<double>(3, 6, 1), u = random_matrix<double>(2, 6, 2);
  Matrix<double> standardized(2, 6), z(3, 6);
  context.standardization.forward<double>(u, standardized);
  std::vector<double> log_prob(6), expected(6), other(6);
  std::vector<Status> status(6);
  FlowWorkspace<double> workspace(model.flow(), 4, Pass::evaluate);
  flow.log_prob({.x = x, .context = standardized}, expected, {}, status, workspace);
  model.log_prob({.x = x, .context = u}, log_prob, z, status, workspace);
  BOOST_TEST(log_prob == expected);
  flow.log_prob({.x = x, .context = u}, other, {}, status, workspace);
  BOOST_TEST(log_prob != other);
  Matrix<double> back(3, 6);
  model.inverse(z, back, other, status, {}, workspace, u);
  BOOST_TEST(close_absolute(back.view(), x.view(), 1e-9));
  BOOST_TEST(close_absolute(std::span<const double>(other), log_prob, 1e-9));
}

BOOST_AUTO_TEST_CASE(contexts_that_do_not_fit_are_refused_with_sizes) {
  const auto of_given = family("maf", {.shape = Shape::vector(2), .context = 3});
  const auto of_plain = family("maf", {.shape = Shape::vector(2)});
  const auto given = folded<double>(of_given, 1), plain = folded<double>(of_plain, 1);
  const Model<double> model(Standardization(2), folded<double>(of_given, 1), {},
                            flow::ModelContext{Standardization(3), {}});
  Matrix<double> x(2, 4), z(2, 4), few(3, 3), thin(2, 4), fits(3, 4);
  std::vector<double> log_prob(4), gradient(given.parameters().size());
  std::vector<Status> status(4);
  FlowWorkspace<double> workspace(given, 4, Pass::evaluate), full(given, 4, Pass::gradient),
      without(plain, 4, Pass::evaluate);
  for (const auto* context : {&few, &thin}) {
    const auto sizes = fmt::format("a context of ({} × {}) for 4 samples", context->rows(), context->cols());
    const auto flow_says = says({sizes, "flow that is conditioned on 3 values"});
    const auto model_says = says({sizes, "model that is conditioned on 3 values"});
    BOOST_CHECK_EXCEPTION(given.log_prob({.x = x, .context = *context}, log_prob, {}, status, workspace), ShapeError,
                          flow_says);
    BOOST_CHECK_EXCEPTION(given.inverse(x, z, log_prob, status, {}, workspace, *context), ShapeError, flow_says);
    BOOST_CHECK_EXCEPTION(given.add_gradient({.x = x, .context = *context}, gradient, log_prob, status, full),
                          ShapeError, flow_says);
    BOOST_CHECK_EXCEPTION(Flow<double>(given.architecture(), 1).initialize_from_data({.x = x, .context = *context}),
                          ShapeError, flow_says);
    BOOST_CHECK_EXCEPTION(model.log_prob({.x = x, .context = *context}, log_prob, {}, status, workspace), ShapeError,
                          model_says);
    BOOST_CHECK_EXCEPTION(model.inverse(x, z, log_prob, status, {}, workspace, *context), ShapeError, model_says);
  }
  BOOST_CHECK_EXCEPTION(given.log_prob({.x = x}, log_prob, {}, status, workspace), ShapeError,
                        says({"a context of (0 × 0) for 4 samples"}));
  BOOST_CHECK_EXCEPTION(plain.log_prob({.x = x, .context = fits}, log_prob, {}, status, without), ShapeError,
                        says({"log_prob: a context of (3 × 4)", "conditioned on 0 values"}));
  BOOST_CHECK_EXCEPTION(Model<double>(Standardization(2), folded<double>(of_given, 1)), ShapeError,
                        says({"model: a context of 0 values for a flow that is conditioned on 3"}));
  const auto with_context = [&] {
    return Model<double>(Standardization(2), folded<double>(of_plain, 1), {},
                         flow::ModelContext{Standardization(1), {}});
  };
  BOOST_CHECK_EXCEPTION(with_context(), ShapeError,
                        says({"model: a context of 1 values for a flow that is conditioned on 0"}));
}

BOOST_AUTO_TEST_CASE(a_flow_has_no_more_parameters_than_its_file_can_hold) {
  const auto of = family("maf", {.shape = Shape::vector(2)}).architecture;
  const auto count = static_cast<double>(Flow<double>(of, 0).layout().size());
  const auto make = [&](double most) { return Flow<double>(of, 0, Flow<double>::bytes_of_parameter, most); };
  BOOST_CHECK_NO_THROW(make(count));
  BOOST_CHECK_EXCEPTION(make(count - 1), OptionError,
                        says({"parameters, up to", fmt::format("where there can be at most {:.0f}", count - 1)}));
}

BOOST_AUTO_TEST_CASE(options_come_back_from_attributes) {
  SomeOptions some;
  const auto back = read_back([&](const h5::GroupWriter& group) { flow::write_options(group, some.declare()); });
  BOOST_TEST(back.flag == some.flag);
  BOOST_TEST(back.count == some.count);
  BOOST_TEST(back.ratio == some.ratio);
  BOOST_TEST(back.word == some.word);
  BOOST_TEST(back.sizes == some.sizes);
  BOOST_TEST(back.levels == some.levels);
  some.sizes.clear();
  const auto empty = read_back([&](const h5::GroupWriter& group) { flow::write_options(group, some.declare()); });
  BOOST_TEST(empty.sizes.empty());
}

BOOST_AUTO_TEST_CASE(attributes_that_are_no_options_are_refused_by_name) {
  SomeOptions some;
  // All but one, which `replace` writes.
  const auto with = [&](const std::string& key, const std::function<void(const h5::GroupWriter&)>& replace) {
    read_back([&](const h5::GroupWriter& group) {
      OptionSet set;
      if (key != "flag") set.add("flag", some.flag, "");
      if (key != "count") set.add("count", some.count, "");
      if (key != "ratio") set.add("ratio", some.ratio, "");
      if (key != "word") set.add("word", some.word, "");
      if (key != "sizes") set.add("sizes", some.sizes, "");
      if (key != "levels") set.add("levels", some.levels, "");
      flow::write_options(group, set);
      replace(group);
    });
  };
  for (const auto* key : {"sizes", "levels"}) BOOST_CHECK_NO_THROW(with(key, [](const auto&) {}));  // empty lists
  for (const auto* key : {"flag", "count", "ratio", "word"}) {
    BOOST_CHECK_EXCEPTION(with(key, [](const auto&) {}), DataError,
                          says({"options.h5:/some: no attribute '" + std::string(key) + "'"}));
  }
  const auto put = [&](const char* key, auto value) {
    with(key, [&](const h5::GroupWriter& group) { group.attribute(key, value); });
  };
  BOOST_CHECK_EXCEPTION(put("count", "seven"), DataError, says({"options.h5:/some: attribute 'count' is"}));
  BOOST_CHECK_EXCEPTION(put("word", 7.0), DataError, says({"options.h5:/some: attribute 'word' is", "not text"}));
  BOOST_CHECK_EXCEPTION(put("ratio", std::vector<double>({0.1, 0.2})), DataError,
                        says({"attribute 'ratio' has 2 values, not one"}));
  BOOST_CHECK_EXCEPTION(put("sizes", "3"), DataError, says({"attribute 'sizes' is"}));
  BOOST_CHECK_EXCEPTION(put("count", Index{0}), OptionError, says({"options.h5:/some", "count = 0", "at least 1"}));
  BOOST_CHECK_EXCEPTION(put("ratio", 1.0), OptionError, says({"options.h5:/some", "ratio = 1", "less than 1"}));
  BOOST_CHECK_EXCEPTION(put("word", "third"), OptionError, says({"options.h5:/some", "third", "second"}));
  BOOST_CHECK_EXCEPTION(put("sizes", std::vector<double>({3, 11})), OptionError, says({"options.h5:/some", "sizes"}));
  BOOST_CHECK_EXCEPTION(put("sizes", std::vector<double>({2.5})), DataError,
                        says({"options.h5:/some: attribute 'sizes' holds 2.5, which is no integer"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
