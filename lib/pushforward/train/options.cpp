#include <pushforward/standardization/standardization.hpp>
#include <pushforward/toys/toy.hpp>
#include <pushforward/train/options.hpp>

#include <filesystem>

namespace pushforward::train {

namespace {

OptionTables chain_tables(std::vector<flow::LayerOptions>& chain) {
  return {
      .key = "model.chain",
      .help = "transforms of model.kind = 'chain', from data to latents",
      .clear = [&chain] { chain.clear(); },
      .append =
          [&chain](std::string_view kind) { return chain.emplace_back(flow::LayerOptions::of_kind(kind)).declare(); },
      .all =
          [&chain] {
            std::vector<std::pair<std::string, OptionSet>> all;
            for (auto& layer : chain) all.emplace_back(layer.kind(), layer.declare());
            return all;
          }};
}

// Throws OptionError for options that are not as they are by default and that the kind has no use for.
void require_used(const ModelOptions& model, bool image) {
  const auto is = [&](std::initializer_list<std::string_view> kinds) {
    return std::ranges::find(kinds, model.kind) != kinds.end();
  };
  const auto require_use = [&](bool used, std::string_view key, const auto& value, const auto& unset) {
    require<OptionError>(
        used || value == unset, "model.{} does nothing for model.kind = '{}'{} on {}; leave it out", key, model.kind,
        is({"maf", "iaf"}) ? fmt::format(" with model.map = '{}'", model.map.kind) : "", image ? "images" : "vectors");
  };
  const ModelOptions unset;
  const bool chain = is({"chain"});
  const bool networks = !chain && !is({"planar", "radial"});
  const bool autoregressive = is({"maf", "iaf"});
  const bool scaled = autoregressive ? model.map.kind == "affine" : is({"realnvp", "glow"});
  const bool splines = autoregressive ? model.map.kind == "spline" : is({"spline"});
  const bool convolutional = image && is({"residual", "realnvp", "glow", "spline"});
  require_use(!chain, "blocks", model.blocks, unset.blocks);
  require_use(networks, "hidden", model.hidden, unset.hidden);
  require_use(networks, "activation", model.activation, unset.activation);
  require_use(is({"residual"}), "lipschitz", model.lipschitz, unset.lipschitz);
  require_use(!chain && !is({"nice"}), "actnorm", model.actnorm, unset.actnorm);
  require_use(autoregressive, "map", model.map.kind, unset.map.kind);
  require_use(scaled, "scale_limit", model.map.scale_limit, unset.map.scale_limit);
  require_use(splines, "bins", model.map.bins, unset.map.bins);
  require_use(splines, "bound", model.map.bound, unset.map.bound);
  require_use(convolutional, "scales", model.scales, unset.scales);
  require_use(convolutional, "kernels", model.kernels, unset.kernels);
  require_use(!chain, "levels", model.levels, unset.levels);
  require_use(!chain, "logit", model.logit, unset.logit);
  const auto require_base = [&](std::string_view kind, std::string_view key, auto value, auto unset_value) {
    require<OptionError>(model.base.kind == kind || value == unset_value,
                         "base.{} does nothing for base.kind = '{}'; leave it out", key, model.base.kind);
  };
  require_base("mixture", "components", model.base.components, unset.base.components);
  require_base("uniform", "low", model.base.low, unset.base.low);
  require_base("uniform", "high", model.base.high, unset.base.high);
  require_base("student_t", "degrees_of_freedom", model.base.degrees_of_freedom, unset.base.degrees_of_freedom);
}

}  // namespace

flow::FlowOptions ModelOptions::flow_options(bool image) const {
  require_used(*this, image);
  auto options = flow::default_options(kind, image);
  if (blocks > 0) options.blocks = blocks;
  if (!hidden.empty()) options.hidden = hidden;
  if (scales > 0) options.scales = scales;
  options.kernels = kernels;
  options.activation = nn::activation_of(activation);
  options.lipschitz = lipschitz;
  options.actnorm = actnorm;
  options.map = map;
  options.levels = levels;
  options.logit = logit;
  options.base = base;
  options.chain = chain;
  return options;
}

void Options::require_consistent() const {
  require<OptionError>((model.levels == 0 && model.logit == 0) || data.standardize == "none",
                       "model.levels = {} and model.logit = {} want data as it is: data.standardize = \"none\"",
                       model.levels, model.logit);
}

flow::Architecture Options::architecture(const flow::Domain& domain) const {
  require_consistent();
  return flow::architecture_of(model.flow_options(domain.shape.is_image()), domain);
}

OptionSet Options::declare() {
  const auto toys = data::ToyDensity::names();
  OptionSet set;
  set.add("data.file", data.file, "dataset FILE.h5, or any numeric array FILE.h5:/PATH; empty: the built-in density")
      .add("data.toy", data.toy, "built-in density", one_of({toys.begin(), toys.end()}))
      .add("data.rows", data.rows,
           "training rows of the built-in density; validation has a fiftieth and test a tenth of this number",
           at_least(10, "rows"))
      .add("data.fractions", data.fractions, "shares of FILE.h5:/PATH for training, validation and test")
      .add("data.seed", data.seed, "seed of the built-in density's rows and of the division by fractions", at_least(0))
      .add("data.standardize", data.standardize,
           "none; scale: columns to mean 0 and deviation 1; whiten: by the covariance's Cholesky factor",
           one_of({"none", "scale", "whiten"}))
      .add("data.periodic", data.periodic,
           "columns that are angles in radians, by name, number from 1, range 2-5 or *, beside those the file says")
      .add("model.kind", model.kind, "family of flows; chain: the transforms of the tables [[model.chain]]",
           one_of(flow::flow_kinds()))
      .add("model.blocks", model.blocks,
           "blocks, of images at each scale; 0: residual 20, planar and radial 32, spline, maf and iaf 6, others 8; of "
           "images 4",
           between(0, 10'000))
      .add("model.hidden", model.hidden,
           "widths of a block's hidden layers, of images channels; empty: residual 48,48, others 128,128; of images "
           "64,64",
           between(1, 65'536))
      .add("model.kernels", model.kernels,
           "of images: odd sizes of the kernels, one more than hidden layers; empty: 3, 1 …, 3", between(1, 1023))
      .add("model.activation", model.activation, "activation of the hidden layers", one_of(nn::activation_names()))
      .add("model.lipschitz", model.lipschitz, "bound on the Lipschitz constant of each residual block",
           strictly_between(0, 1))
      .add("model.actnorm", model.actnorm, "an ActNorm before each block and at the end")
      .add("model.map", model.map.kind, "map of maf and iaf", one_of({"additive", "affine", "spline"}))
      .add("model.scale_limit", model.map.scale_limit, "affine maps: bound on |log scale|", between(1e-3, 40))
      .add("model.bins", model.map.bins, "splines: bins", between(2, 64))
      .add("model.bound", model.map.bound, "splines: the identity outside ±bound", more_than(0))
      .add("model.scales", model.scales, "of images: scales, each half as wide and high as the one before; 0: 2",
           between(0, 16))
      .add("model.levels", model.levels,
           "integer data 0 … levels − 1 is dequantized by uniform noise and divided by levels; 0: it is not",
           between(0, 1 << 16))
      .add("model.logit", model.logit, "margin a of logit(a + (1 − 2a) x), before all else, of data on [0, 1]; 0: none",
           from_to_below(0, 0.5))
      .add("model.precision", model.precision, "arithmetic of the network while training", one_of({"float", "double"}))
      .add_table("base", model.base.declare())
      .add("log_det.train", log_det.train,
           "log-dets of training steps: exact, series:N, roulette[:p=P], poisson:rate=R, neumann[:p=P], krylov:M, "
           "trace+krylov:M, auto; flow_logdet --help has the whole grammar")
      .add("log_det.evaluate", log_det.evaluate, "log-dets of validation and test, as in log_det.train")
      .add("train.steps", train.steps, "optimizer steps", at_least(1))
      .add("train.batch", train.batch, "rows of the global batch, shared by all ranks", at_least(1, "rows"))
      .add("train.optimizer", train.optimizer, "optimizer", one_of(optim::algorithm_names()))
      .add("train.learning_rate", train.learning_rate, "highest learning rate", more_than(0))
      .add("train.schedule", train.schedule, "learning rate after the warm-up", one_of(optim::schedule_names()))
      .add("train.warmup", train.warmup, "steps in which the learning rate rises", at_least(0, "steps"))
      .add("train.step_every", train.step_every, "steps between reductions of schedule 'step'; 0: a third of the run",
           at_least(0, "steps"))
      .add("train.step_factor", train.step_factor, "factor of each reduction of schedule 'step'", between(0, 1))
      .add("train.beta1", train.beta1, "decay of the mean of gradients", from_to_below(0, 1))
      .add("train.beta2", train.beta2, "decay of the mean of squared gradients", from_to_below(0, 1))
      .add("train.weight_decay", train.weight_decay, "weight decay, which is multiplied by the learning rate",
           at_least(0))
      .add("train.average", train.average,
           "decay of the moving average of weights, which is evaluated and saved; 0: no average", from_to_below(0, 1))
      .add("train.clip", train.clip, "largest gradient norm; 0: no clipping", at_least(0))
      .add("train.validate_every", train.validate_every, "steps between validations; 0: a twentieth of the run",
           at_least(0, "steps"))
      .add("train.patience", train.patience,
           "number of validations without improvement after which the run ends; 0: never", at_least(0))
      .add("train.seed", train.seed, "seed of initial weights and batches", at_least(0))
      .add("train.reproducible", train.reproducible, "get the same bits on any number of ranks")
      .add("train.workspace", train.workspace, "memory of each rank for the passes of a step or of an evaluation",
           more_than(0, "MB"))
      .add("output.model", output.model, "model file")
      .add("output.history", output.history, "training history (CSV); empty: the model file's name with .csv")
      .add("output.every", output.every, "steps between rows of the history", at_least(1, "steps"));
  set.add_tables(chain_tables(model.chain));
  set.alias("data.file", "--data").alias("output.model", "--output").alias("output.model", "-o");
  set.alias("train.seed", "--seed").alias("train.reproducible", "--reproducible");
  return set;
}

std::string Options::history_path() const {
  return output.history.empty() ? std::filesystem::path(output.model).replace_extension(".csv").string()
                                : output.history;
}

Index Options::validation_interval() const {
  return train.validate_every > 0 ? train.validate_every : std::max<Index>(1, train.steps / 20);
}

Index Options::workspace_bytes() const {
  constexpr double megabyte = 1e6;
  return static_cast<Index>(train.workspace * megabyte);
}

optim::OptimizerOptions Options::optimizer_options() const {
  return {.algorithm = optim::algorithm_of(train.optimizer),
          .beta1 = train.beta1,
          .beta2 = train.beta2,
          .weight_decay = train.weight_decay};
}

optim::ScheduleOptions Options::schedule_options() const {
  return {.schedule = optim::schedule_of(train.schedule),
          .rate = train.learning_rate,
          .steps = train.steps,
          .warmup = std::min(train.warmup, train.steps),
          .step_every = train.step_every,
          .step_factor = train.step_factor};
}

}  // namespace pushforward::train
