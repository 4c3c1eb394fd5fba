#pragma once

// Everything that can be chosen about a training run, with its default. The keys of flow_train are these fields.

#include <pushforward/core/option_set.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/optim/optimizer.hpp>
#include <pushforward/train/objective_kind.hpp>

#include <cstdint>

namespace pushforward::train {

struct DataOptions {
  std::string file{};                     ///< FILE or FILE:/PATH; empty for the built-in density
  std::string toy = "checkerboard";       ///< built-in density
  Index rows = 1'000'000;                 ///< training rows of the built-in density
  std::string fractions = "0.8,0.1,0.1";  ///< of FILE:/PATH: training, validation and test
  Index seed = 1;                         ///< of the built-in density's rows, and of the division by fractions
  std::string standardize = "auto";       ///< auto, none, unit, scale, whiten; see Options::data_of_model()
  std::string source{};                   ///< FILE or FILE:/PATH of points where paths of flow matching begin
  std::vector<std::string> periodic{};    ///< columns that are angles in radians, in addition to the file's
  std::vector<std::string> spheres{};     ///< "COLUMNS+COLUMNS…", a unit vector each, in addition to the file's
};

/// The keys of `model`, `base` and [[model.chain]].
struct ModelOptions : flow::FlowOptions {
  std::string precision = "float";  ///< of the arithmetic while training
};

struct LogDetOptions {
  std::string train = "auto";      ///< estimator of log-dets in training steps (logdet/method.hpp)
  std::string evaluate = "exact";  ///< estimator of log-dets in validation and test
};

struct TrainOptions {
  Index steps = 6000;
  Index batch = 250;  ///< rows of the global batch, however many ranks share it
  std::string optimizer = "adam";
  double learning_rate = 1e-2;
  std::string schedule = "cosine";
  Index warmup = 400;    ///< steps
  Index step_every = 0;  ///< steps between reductions of the step schedule
  double step_factor = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;
  double average = 0.998;             ///< decay of the average of weights; 0: none
  double clip = 0;                    ///< gradient norm; 0: none
  ode::Penalty penalty{};             ///< of continuous flows, in likelihood steps
  Index validate_every = 0;           ///< steps; 0: a twentieth of the run
  Index patience = 0;                 ///< validations without improvement before the run ends; 0: never
  Index seed = 1;                     ///< of initial weights and batches
  bool reproducible = false;          ///< the same bits on any number of ranks
  std::string on_nonfinite = "stop";  ///< what follows a loss or a gradient that is not finite: stop, skip, back
  Index nonfinite_limit = 10;         ///< steps that may be skipped, or returns to a checkpoint, before the run ends
  double back_factor = 0.5;           ///< of the learning rate, at each return to a checkpoint
  std::string max_time{};             ///< H:M:S after which the run stops with a checkpoint; empty: never
  double hang_timeout = 0;            ///< seconds without a step after which each rank says where it stands; 0: never
  double workspace = 1e-6 * flow::default_workspace_bytes;  ///< MB a rank. The passes of a step, of an evaluation
                                                            ///< and of initialization must each do with it.
};

struct OutputOptions {
  std::string model = "flow.h5";
  std::string history{};  ///< empty: the model's name with .csv
  Index every = 100;      ///< steps between rows of the history
};

struct CheckpointOptions {
  std::string file{};            ///< empty: the model's name with .checkpoint.h5
  Index steps = 0;               ///< steps between checkpoints; 0: not by steps
  double seconds = 600;          ///< seconds between checkpoints; 0: not by time
  std::string restart = "auto";  ///< never, auto, always
};

struct Options {
  DataOptions data;
  ModelOptions model;
  LogDetOptions log_det;
  Choice<ObjectiveKind> objective;
  TrainOptions train;
  CheckpointOptions checkpoint;
  OutputOptions output;

  /// Throws OptionError for options that do not go together, whatever the data.
  void require_consistent() const;
  /// The data options with the standardization of this model. A flow that wants values as they are, because it
  /// dequantizes, has bounds or has options in the units of the data, gets none for auto. Any other flow gets scale for
  /// auto, and unit for none. With unit and scale, the unit of the data does not change the result.
  DataOptions data_of_model() const;
  /// The flow for data of this domain. Throws OptionError, also for what require_consistent() refuses.
  flow::Architecture architecture(const flow::Domain& domain) const;

  /// All keys with help and rules. The set refers to this object.
  OptionSet declare();

  std::string history_path() const;
  std::string checkpoint_path() const;
  /// train.max_time in seconds; infinite if there is none. Throws OptionError.
  double max_seconds() const;
  Index validation_interval() const;
  Index workspace_bytes() const;
  optim::OptimizerOptions optimizer_options() const;
  optim::ScheduleOptions schedule_options() const;
};

}  // namespace pushforward::train
