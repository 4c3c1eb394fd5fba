#include <pushforward/core/text.hpp>
#include <pushforward/standardization/standardization.hpp>
#include <pushforward/toys/toy.hpp>
#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/options.hpp>

#include <filesystem>
#include <limits>

namespace pushforward::train {

namespace {

OptionTables chain_tables(std::vector<flow::TransformOptions>& chain) {
  return {.key = "model.chain",
          .help = "transforms of model.kind = 'chain', from data to latents",
          .clear = [&chain] { chain.clear(); },
          .append = [&chain](std::string_view kind) { return chain.emplace_back(kind).declare(); },
          .all =
              [&chain] {
                std::vector<std::pair<std::string, OptionSet>> all;
                for (auto& transform : chain) all.emplace_back(transform.kind(), transform.declare());
                return all;
              }};
}

}  // namespace

void Options::require_consistent() const {
  max_seconds();
  require<OptionError>(
      (model.levels == 0 && model.logit == 0) || data.standardize == "none" || data.standardize == "auto",
      "model.levels = {} and model.logit = {} want data as it is: data.standardize = \"none\"", model.levels,
      model.logit);
  require<OptionError>(data.source.empty() || objective.chosen().takes_source,
                       "data.source = \"{}\" has no effect with objective.kind = \"{}\"; it is for \"flow_matching\"",
                       data.source, objective.kind);
}

DataOptions Options::data_of_model() const {
  DataOptions chosen = data;
  if (data.standardize != "auto" && data.standardize != "none") return chosen;
  const bool is_raw = model.levels > 0 || model.logit > 0 || model.base.chosen().is_bounded ||
                      std::ranges::any_of(model.chain, [](const flow::TransformOptions& transform) {
                        return transform.facts().wants_integers || transform.facts().has_units ||
                               transform.bounds() != flow::Bounds::keeps;
                      });
  if (data.standardize == "auto") chosen.standardize = is_raw ? "none" : "scale";
  if (data.standardize == "none" && !is_raw) chosen.standardize = "unit";
  return chosen;
}

flow::Architecture Options::architecture(const flow::Domain& domain) const {
  require_consistent();
  auto at = domain;
  at.optional_context =
      objective.kind == FlowMatchingOptions::kind && objective.as<FlowMatchingOptions>().unconditional > 0;
  return flow::architecture_of(model, at);
}

OptionSet Options::declare() {
  const auto toys = data::ToyDensity::names();
  OptionSet set;
  set.add("data.file", data.file, "dataset FILE.h5, or any numeric array FILE.h5:/PATH; empty: the built-in density")
      .add("data.toy", data.toy, "built-in density", one_of({toys.begin(), toys.end()}))
      .add("data.rows", data.rows,
           "training rows of the built-in density; validation has a fiftieth and test a tenth of this number",
           at_least(10, "rows"))
      .add("data.fractions", data.fractions, "fractions of the rows of FILE.h5:/PATH for training, validation and test")
      .add("data.seed", data.seed, "seed of the built-in density's rows and of the division by fractions", at_least(0))
      .add(
          "data.standardize", data.standardize,
          "scale: columns get mean 0 and deviation 1; whiten: with the Cholesky factor of the covariance; unit: all "
          "columns are divided by one number, their deviation; none: values as they are for a flow that wants them so, "
          "because it dequantizes, has bounds or has elementwise functions, else unit; auto: none for such a "
          "flow, else scale",
          one_of({"auto", "none", "unit", "scale", "whiten"}))
      .add("data.periodic", data.periodic,
           "columns that are angles in radians, by name, number from 1, range 2-5 or *; those that the file names are "
           "angles, too")
      .add("data.source", data.source,
           "dataset FILE.h5 or array FILE.h5:/PATH of the points at which the paths of flow matching begin; empty: the "
           "base density")
      .add("data.spheres", data.spheres,
           "columns that are unit vectors, x+y+z or 1-3 for each vector; those that the file names are unit vectors, "
           "too")
      .add_table("model", model.declare())
      .add("model.precision", model.precision, "precision of the network in training", one_of({"float", "double"}))
      .add_table("base", model.base.declare("kind", "density of the latents that are no angles and no unit vectors"))
      .add("log_det.train", log_det.train,
           "log-dets in training: exact, auto, or an estimator as trace+krylov:4; flow_train --kinds lists all")
      .add("log_det.evaluate", log_det.evaluate, "log-dets in validation and test, as in log_det.train")
      .add_table("objective", objective.declare("kind", "what training makes small"))
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
      .add("train.kinetic_energy", train.penalty.kinetic_energy,
           "weight of a penalty on the kinetic energy of paths, the integral of |v|^2 dt on standardized columns; for "
           "likelihood steps of continuous flows",
           at_least(0))
      .add("train.jacobian_norm", train.penalty.jacobian_norm,
           "weight of a penalty on the squared norms of Jacobians, the integral of |dv/dx|^2 dt; likewise", at_least(0))
      .add("train.validate_every", train.validate_every, "steps between validations; 0: a twentieth of the run",
           at_least(0, "steps"))
      .add("train.patience", train.patience,
           "number of validations without improvement after which the run ends; 0: never", at_least(0))
      .add("train.seed", train.seed, "seed of initial weights and batches", at_least(0))
      .add("train.reproducible", train.reproducible, "get the same bits on any number of ranks")
      .add("train.on_nonfinite", train.on_nonfinite,
           "what follows a loss or gradient that is not finite. stop: the run ends; skip: the step is left out; back: "
           "the "
           "run goes back to its last checkpoint with a smaller learning rate",
           one_of({"stop", "skip", "back"}))
      .add("train.nonfinite_limit", train.nonfinite_limit,
           "steps that are left out, or returns to a checkpoint, before the run ends", at_least(1))
      .add("train.back_factor", train.back_factor, "factor of the learning rate at each return to a checkpoint",
           strictly_between(0, 1))
      .add("train.max_time", train.max_time,
           "time as H:M:S, after which the run stops with a checkpoint and code 7; empty: no limit")
      .add("train.hang_timeout", train.hang_timeout,
           "seconds without progress after which every rank says where it stands, and the job ends with code 8; 0: "
           "never",
           at_least(0, "s"))
      .add("train.workspace", train.workspace, "memory of each rank for the passes of a step or of an evaluation",
           more_than(0, "MB"))
      .add("checkpoint.file", checkpoint.file,
           "file from which the same command goes on; empty: the model file's name with .checkpoint.h5")
      .add("checkpoint.steps", checkpoint.steps, "steps between checkpoints; 0: not by steps", at_least(0, "steps"))
      .add("checkpoint.seconds", checkpoint.seconds, "seconds between checkpoints; 0: not by time", at_least(0, "s"))
      .add("checkpoint.restart", checkpoint.restart,
           "auto: go on from the checkpoint if there is one; always: an error if there is none; never: start anew",
           one_of({"auto", "always", "never"}))
      .add("output.model", output.model, "model file")
      .add("output.history", output.history, "training history (CSV); empty: the model file's name with .csv")
      .add("output.every", output.every, "steps between rows of the history", at_least(1, "steps"));
  set.add_tables(chain_tables(model.chain));
  set.alias("data.file", "--data").alias("output.model", "--output").alias("output.model", "-o");
  set.alias("checkpoint.restart", "--restart").alias("train.max_time", "--max-time");
  set.alias("train.hang_timeout", "--hang-timeout");
  set.only_with("train.nonfinite_limit", "train.on_nonfinite", {"skip", "back"});
  set.only_with("train.back_factor", "train.on_nonfinite", {"back"});
  set.alias("train.seed", "--seed").alias("train.reproducible", "--reproducible");
  return set;
}

std::string Options::history_path() const {
  return output.history.empty() ? std::filesystem::path(output.model).replace_extension(".csv").string()
                                : output.history;
}

std::string Options::checkpoint_path() const {
  return checkpoint.file.empty() ? std::filesystem::path(output.model).replace_extension(".checkpoint.h5").string()
                                 : checkpoint.file;
}

double Options::max_seconds() const {
  if (train.max_time.empty()) return std::numeric_limits<double>::infinity();
  constexpr double base = 60;
  const auto parts = parts_of(train.max_time, ':');
  double seconds = 0;
  bool is_good = parts.size() == 3;
  for (const auto part : parts) {
    const auto number = parse_number<Index>(part);
    is_good = is_good && number && *number >= 0;
    seconds = base * seconds + static_cast<double>(number.value_or(0));
  }
  require<OptionError>(is_good && seconds > 0, "train.max_time = \"{}\": must be hours:minutes:seconds, as 11:30:00",
                       train.max_time);
  return seconds;
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
