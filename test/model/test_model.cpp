#include <pushforward/analysis/verification.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/transforms/dequantize.hpp>

#include <ranks.hpp>

#include "../flow/flows.hpp"
#include "../transforms/subjects.hpp"
#include "models.hpp"

#include <filesystem>

namespace pushforward::test {

namespace {

using data::Standardization;
using flow::Flow;
using flow::FlowWorkspace;
using flow::Model;
using flow::ModelNotes;
using flow::Pass;
using flow::Status;

constexpr Standardization::Kind all_kinds[] = {Standardization::Kind::none, Standardization::Kind::scale,
                                               Standardization::Kind::whiten};

struct Evaluation {
  explicit Evaluation(Index d, Index n) : value(d, n), log_prob(static_cast<std::size_t>(n)), status(log_prob.size()) {}
  Matrix<double> value;
  std::vector<double> log_prob;
  std::vector<Status> status;
};
template <class T>
Evaluation evaluate(const Model<T>& model, const Matrix<double>& x) {
  Evaluation e(model.dimension(), x.cols());
  FlowWorkspace<T> workspace(model.flow(), 64, Pass::evaluate);
  model.log_prob({.x = x}, e.log_prob, e.value, e.status, workspace);
  return e;
}

template <class T>
void save(const std::string& path, const Model<T>& model, const ModelNotes& notes = {}) {
  flow::save_model(path, model.standardization(), model.flow(), notes);
}

std::string scratch_file(const std::string& name) {
  return (scratch_directory() / name).string();
}

// A model of one block on the line, z = y + 0.5 max(y + 10, 0) − 4.75, written by hand as the format's description has
// it. Each member may be spoiled before it is written.
struct HandWritten {
  std::string format = "pushforward-model";
  Index version = 1;
  bool standardization = true, flow = true, provenance = true, base = true;
  std::vector<double> shape{1, 1, 1}, periodic{};
  Index length = 1, context = 0;
  std::string kind = "residual", activation = "relu", base_kind = "standard_normal", standardization_kind = "scale";
  double lipschitz = 0.9;
  bool attribute_missing = false;
  std::vector<double> mean{2}, factor{4};
  std::vector<Index> factor_shape{1};
  std::vector<double> weight{0.5}, bias{-4.75};

  std::string save() const {
    h5::FileImage file(format, version);
    if (standardization) {
      const auto group = file.root().make_group("standardization");
      group.attribute("kind", standardization_kind);
      group.write("mean", mean);
      group.write_array("factor", factor_shape, factor.data());
    }
    if (flow) write_flow(file.root().make_group("flow"));
    if (provenance) file.root().make_group("provenance");
    const auto path = scratch_file("hand.h5");
    file.save(path);
    return path;
  }
  void load() const { flow::load_model<double>(save()); }

 private:
  void write_flow(const h5::GroupWriter& group) const {
    group.attribute("shape", shape);
    group.attribute("periodic", periodic);
    group.attribute("context", context);
    group.attribute("length", length);
    const auto transform = group.make_group("transforms").make_group("000");
    transform.attribute("kind", kind);
    transform.attribute("hidden", std::vector<double>{1});
    transform.attribute("kernels", std::vector<double>());
    transform.attribute("activation", activation);
    if (!attribute_missing) transform.attribute("lipschitz", lipschitz);
    const double one = 1, ten = 10;
    transform.write_array("layer_0/weight", std::array{Index{1}, Index{1}}, &one);
    transform.write_array("layer_0/bias", std::array{Index{1}}, &ten);
    transform.write_array("layer_1/weight", std::array{Index{1}, std::ssize(weight)}, weight.data());
    transform.write("layer_1/bias", bias);
    if (!base) return;
    const auto latents = group.make_group("base");
    latents.attribute("kind", base_kind);
    latents.attribute("components", Index{10});
    latents.attribute("low", -1.0);
    latents.attribute("high", 1.0);
    latents.attribute("degrees_of_freedom", 5.0);
  }
};

HandWritten spoiled(const std::function<void(HandWritten&)>& spoil) {
  HandWritten model;
  spoil(model);
  return model;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(model)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_loaded_model_gives_the_same_bits, T, Precisions) {
  for (const auto kind : all_kinds) {
    const auto model = random_model<T>(kind, 3);
    const auto path = scratch_file("model.h5");
    save(path, model);
    const auto loaded = flow::load_model<T>(path);
    const auto x = random_matrix<double>(3, 9, 93, 2);
    const auto before = evaluate(model, x), after = evaluate(loaded, x);
    BOOST_TEST(before.log_prob == after.log_prob);
    BOOST_TEST(close_absolute(after.value.view(), before.value.view(), 0));
    for (const Status status : after.status) BOOST_TEST((status == Status::ok));
    BOOST_TEST((loaded.standardization().kind() == kind));
    BOOST_TEST(loaded.standardization().mean() == model.standardization().mean());
    BOOST_TEST(close_absolute(loaded.standardization().factor().view(), model.standardization().factor().view(), 0));
    BOOST_TEST(close_absolute(loaded.flow().parameters(), model.flow().parameters(), 0));
  }
}

BOOST_AUTO_TEST_CASE(a_model_loads_in_the_other_precision) {
  const auto x = random_matrix<double>(3, 9, 93);
  const auto exact = random_model<double>(Standardization::Kind::whiten, 3);
  const auto path = scratch_file("model.h5");
  save(path, exact);
  const auto rounded = flow::load_model<float>(path);
  const auto expected = evaluate(exact, x);
  BOOST_TEST(close_absolute(std::span<const double>(evaluate(rounded, x).log_prob), expected.log_prob, 1e-4));
  save(path, rounded);
  const auto widened = flow::load_model<double>(path);
  BOOST_TEST(close_absolute(std::span<const double>(evaluate(widened, x).log_prob), expected.log_prob, 1e-4));
}

BOOST_AUTO_TEST_CASE(a_flow_without_hidden_layers_is_stored_too) {
  const auto path = (scratch_directory() / "linear.h5").string();
  const auto flow = folded_flow<double>(
      3, {.kind = "chain", .chain = {flow::ActNormOptions(), flow::ResidualOptions{.hidden = {}, .lipschitz = 0.9}}});
  const Standardization plain(3);
  flow::save_model(path, plain, flow, {});
  const auto loaded = flow::load_model<double>(path);
  const auto& layer = loaded.flow().architecture().chain[1];
  BOOST_TEST(layer.get_if<flow::ResidualOptions>()->hidden.empty());
  BOOST_TEST(close_absolute(loaded.flow().parameters(), flow.parameters(), 0));
}

BOOST_AUTO_TEST_CASE(notes_go_along) {
  const auto path = scratch_file("model.h5");
  const auto model = random_model<double>(Standardization::Kind::none, 2);
  const Shape image{1, 1, 2};
  save(path, model,
       {.feature_names = {"width", "höhe"},
        .image = image,
        .entropy = 1.5,
        .provenance = {{"seed", "7"}, {"input", "a.h5"}}});
  const auto notes = flow::load_model<double>(path).notes();
  BOOST_TEST(notes.feature_names == (std::vector<std::string>{"width", "höhe"}));
  BOOST_TEST((notes.image.value() == image));
  BOOST_TEST(notes.entropy.value() == 1.5);
  BOOST_TEST((notes.provenance == std::vector<std::pair<std::string, std::string>>{{"input", "a.h5"}, {"seed", "7"}} ||
              notes.provenance == std::vector<std::pair<std::string, std::string>>{{"seed", "7"}, {"input", "a.h5"}}));
  save(path, model);
  const auto none = flow::load_model<double>(path).notes();
  BOOST_TEST(none.feature_names.empty());
  BOOST_TEST(!none.image.has_value());
  BOOST_TEST(!none.entropy.has_value());
}

BOOST_AUTO_TEST_CASE(the_density_is_that_of_the_data_in_its_own_units) {
  const auto model = flow::load_model<double>(HandWritten{}.save());
  // y = (x − 2)/4, and z = 1.5 y + 0.25 where y > −10.
  const auto x = matrix_of<double>(1, 2, [](Index, Index j) { return j == 0 ? 2.0 : -6.0; });
  const auto e = evaluate(model, x);
  BOOST_TEST(close_absolute(e.value(0, 0), 0.25, 1e-15));
  BOOST_TEST(close_absolute(e.value(0, 1), -2.75, 1e-15));
  const double log_det = std::log(1.5) - std::log(4), base = -0.5 * std::log(2 * std::numbers::pi);
  BOOST_TEST(close_absolute(e.log_prob[0], base - 0.5 * 0.25 * 0.25 + log_det, 1e-14));
  BOOST_TEST(close_absolute(e.log_prob[1], base - 0.5 * 2.75 * 2.75 + log_det, 1e-14));

  Matrix<double> back(1, 2);
  std::vector<double> log_p(2);
  std::vector<Status> status(2);
  FlowWorkspace<double> workspace(model.flow(), 1, Pass::evaluate);
  model.inverse(e.value, back, log_p, status, {.tolerance = 1e-13}, workspace);
  BOOST_TEST(close_absolute(back.view(), x.view(), 1e-11));
  BOOST_TEST(close_absolute(std::span<const double>(log_p), e.log_prob, 1e-11));
}

BOOST_AUTO_TEST_CASE(rows_that_are_not_finite_stay_alone_in_a_model) {
  const auto model = random_model<float>(Standardization::Kind::whiten, 3);
  auto x = random_matrix<double>(3, 4, 94);
  const auto clean = evaluate(model, x);
  x(0, 1) = nan_of<double>;
  x(2, 3) = 1e300;  // no float
  const auto e = evaluate(model, x);
  for (const std::size_t i : {0, 2}) BOOST_TEST(e.log_prob[i] == clean.log_prob[i]);
  for (const std::size_t i : {1, 3}) {
    BOOST_TEST((e.status[i] == Status::not_finite));
    BOOST_TEST(std::isnan(e.log_prob[i]));
  }
}

BOOST_AUTO_TEST_CASE(files_that_are_no_model_are_refused_by_name) {
  const auto load = [](auto spoil) { spoiled(spoil).load(); };
  using H = HandWritten;
  HandWritten{}.load();
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.format = "pushforward-dataset"; }), DataError,
                        says({"hand.h5 is not a model file", "'pushforward-model'", "flow_train"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.version = 3; }), DataError,
                        says({"hand.h5 has format version 3; this program reads up to 2"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.standardization = false; }), DataError,
                        says({"hand.h5", "no 'standardization' in it"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.flow = false; }), DataError, says({"hand.h5", "no 'flow' in it"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.provenance = false; }), DataError,
                        says({"hand.h5", "no 'provenance' in it"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.attribute_missing = true; }), DataError,
                        says({"hand.h5:/flow/transforms/000: no attribute 'lipschitz'"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.base = false; }), DataError, says({"hand.h5", "no 'base' in it"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.length = 2; }), DataError, says({"hand.h5", "no '001' in it"}));
}

BOOST_AUTO_TEST_CASE(models_whose_parts_do_not_fit_are_refused_by_name) {
  const auto load = [](auto spoil) { spoiled(spoil).load(); };
  using H = HandWritten;
  BOOST_CHECK_EXCEPTION(load([](H& m) {
                          m.bias = {1, 2};
                        }),
                        DataError,
                        says({"hand.h5:/flow/transforms/000/layer_1/bias has shape (2) where", "wants (1)"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) {
                          m.factor = {4, 5}, m.factor_shape = {2};
                        }),
                        DataError, says({"hand.h5", "factor has shape (2) for 1 columns and kind scale"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.standardization_kind = "whiten"; }), DataError,
                        says({"hand.h5", "factor has shape (1) for 1 columns and kind whiten"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.factor = {0}; }), DataError, says({"hand.h5", "column 0", "scale 0"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.standardization_kind = "scaled"; }), DataError,
                        says({"hand.h5", "standardization 'scaled' is unknown (did you mean 'scale'?)"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.kind = "residul"; }), DataError,
                        says({"hand.h5", "'residul' is unknown (did you mean 'residual'?)"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.kind = "coupling"; }), DataError,
                        says({"hand.h5:/flow/transforms/000: no attribute 'mask'"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.activation = "swish"; }), DataError,
                        says({"hand.h5:/flow/transforms/000", "activation = \"swish\": must be one of", "lipswish"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.lipschitz = 1; }), DataError,
                        says({"hand.h5:/flow/transforms/000", "lipschitz = 1", "more than 0 and less than 1"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.base_kind = "norml"; }), DataError,
                        says({"hand.h5:/flow/base", "kind = \"norml\"", "normal"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) {
                          m.shape = {1, 1, 0};
                        }),
                        DataError, says({"hand.h5:/flow", "shape", "height, width and channels"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.shape = {1, 1}; }), DataError, says({"hand.h5:/flow", "shape"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.periodic = {1}; }), DataError, says({"hand.h5", "1"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.length = -1; }), DataError, says({"hand.h5", "length"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.context = 2; }), DataError,
                        says({"hand.h5:/flow/transforms/000/layer_0: no 'context' in it"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) { m.weight = {nan_of<double>}; }), DataError, says({"hand.h5", "NaN"}));
  BOOST_CHECK_EXCEPTION(load([](H& m) {
                          m.mean = {2, 2}, m.factor = {1, 1}, m.factor_shape = {2};
                        }),
                        DataError, says({"hand.h5", "2 columns before a flow of dimension 1"}));
  BOOST_CHECK_EXCEPTION(flow::load_model<double>(scratch_file("absent.h5")), IoError,
                        says({"absent.h5: no such file"}));
}

BOOST_AUTO_TEST_CASE(samples_that_do_not_fit_are_refused) {
  const auto model = random_model<double>(Standardization::Kind::none, 2);
  BOOST_CHECK_EXCEPTION(evaluate(model, Matrix<double>(3, 4)), ShapeError,
                        says({"log_prob: samples of 3 columns for a model of dimension 2"}));
  BOOST_CHECK_EXCEPTION(Model<double>(Standardization(3), Flow<double>(2, {.blocks = 1, .hidden = {}}, 1)), ShapeError,
                        says({"model: a standardization of 3 columns before a flow of dimension 2"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(verification)

BOOST_AUTO_TEST_CASE(first_principles_agree_with_the_density) {
  for (const Index d : {1, 2, 5, 20, 64}) {
    const auto model = random_model<double>(Standardization::Kind::whiten, d);
    const auto x = random_matrix<double>(d, 2, 95);
    const auto e = evaluate(model, x);
    for (Index j = 0; j < 2; ++j) {
      const double log_det = flow::dense_log_det(model, x.view().column_span(j));
      const double base = normal_log_density<double>(e.value.view().column_span(j));
      BOOST_TEST(close_absolute(e.log_prob[std::size_t(j)], base + log_det, 1e-8 * static_cast<double>(d)));
      BOOST_TEST(std::abs(log_det) > 0.1);
    }
    const auto trip = flow::round_trip(model, x, {.tolerance = 1e-12});
    BOOST_TEST(trip.data < 1e-9);
    BOOST_TEST(trip.latent < 1e-9);
    BOOST_TEST(trip.log_det < 1e-8);
  }
}

BOOST_AUTO_TEST_CASE(behind_a_dequantization_stands_the_rest_of_the_flow) {
  constexpr Index d = 3, levels = 8;
  const auto chain = chain_of(flow::PermutationOptions{.order = "reverse"}, flow::DequantizeOptions{.levels = levels},
                              flow::ActNormOptions());
  Flow<double> flow(flow::Architecture{{.shape = Shape::vector(d)}, chain, {}}, 1);
  const auto parameters = random_vector<double>(flow.layout().size(), 92, 0.4);
  std::copy(parameters.begin(), parameters.end(), flow.parameters().begin());
  flow.bake_normalization();
  const Model<double> model(Standardization(d), std::move(flow));
  BOOST_TEST(flow::levels_of(model.flow().architecture()) == levels);
  BOOST_TEST(flow::levels_of(random_model<double>(Standardization::Kind::none, 2).flow().architecture()) == 0);

  const auto x = matrix_of<double>(d, 4, [](Index i, Index j) { return static_cast<double>((3 * i + j) % levels); });
  const auto there = flow::dequantized(model, x);
  const auto expected = matrix_of<double>(d, 4, [&](Index i, Index j) { return (x(d - 1 - i, j) + 0.5) / levels; });
  BOOST_TEST(close_absolute(there.view(), expected.view(), 0));

  const auto rest = flow::behind_dequantization(model);
  BOOST_TEST(rest.flow().transforms().size() == 1U);
  BOOST_TEST(close_absolute(rest.flow().parameters(), model.flow().parameters(), 0));

  Flow<double> split(flow::Architecture{{.shape = Shape::vector(d)},
                                        chain_of(flow::FactorOutOptions(), flow::DequantizeOptions{.levels = levels}),
                                        {}},
                     1);
  const Model<double> behind_split(Standardization(d), std::move(split));
  BOOST_CHECK_EXCEPTION(flow::behind_dequantization(behind_split), OptionError,
                        says({"transform 1 (dequantize)", "1 of 3 values", "no flow of its own"}));
}

BOOST_AUTO_TEST_CASE(a_failed_round_trip_is_infinite) {
  const auto model = random_model<double>(Standardization::Kind::none, 2);
  auto x = random_matrix<double>(2, 3, 96);
  const flow::InverseOptions impatient{
      .algorithm = flow::InverseAlgorithm::anderson, .tolerance = 1e-12, .max_iterations = 1};
  BOOST_TEST(flow::round_trip(model, x, impatient).data == std::numeric_limits<double>::infinity());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
