#include <pushforward/analysis/log_det_choice.hpp>
#include <pushforward/core/digest.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/core/version.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/model/option_attributes.hpp>
#include <pushforward/train/fit.hpp>

#include <charconv>

namespace pushforward::train {

namespace {

using data::Split;

// The least number of rows from which data-dependent parameters are initialized. Every rank works all of them.
constexpr Index initial_rows = 1024;

// Keys that change nothing about the course of a run, apart from rounding.
const std::vector<std::string>& free_keys() {
  static const std::vector<std::string> keys{
      "data.file",       "data.source",        "train.steps",        "train.patience",        "train.workspace",
      "train.max_time",  "train.hang_timeout", "train.on_nonfinite", "train.nonfinite_limit", "train.back_factor",
      "checkpoint.file", "checkpoint.steps",   "checkpoint.seconds", "checkpoint.restart",    "output.model",
      "output.history",  "output.every"};
  return keys;
}

// The values of a printed configuration by key. Keys of [[model.chain]] get the number of their table.
std::vector<std::pair<std::string, std::string>> values_of(const std::string& toml) {
  std::vector<std::pair<std::string, std::string>> values;
  std::string table;
  Index tables = 0;
  for (const auto line : parts_of(toml, '\n')) {
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("[[")) {
      table = fmt::format("{} {}.", line.substr(2, line.size() - 4), ++tables);
    } else if (line.starts_with('[')) {
      table = fmt::format("{}.", line.substr(1, line.size() - 2));
    } else if (const auto equals = line.find(" = "); equals != std::string_view::npos) {
      values.emplace_back(table + std::string(line.substr(0, equals)), line.substr(equals + 3));
    }
  }
  return values;
}

std::string value_in(const std::vector<std::pair<std::string, std::string>>& values, const std::string& key) {
  const auto found = std::ranges::find(values, key, [](const auto& entry) { return entry.first; });
  return found == values.end() ? std::string("not set") : found->second;
}

// Says which keys differ: "train.batch (was 250, is 100)".
std::vector<std::string> differences(const std::string& stored, const std::string& present) {
  const auto before = values_of(stored), now = values_of(present);
  std::vector<std::string> found;
  const auto compare = [&](const std::string& key) {
    const auto was = value_in(before, key), is = value_in(now, key);
    if (was != is && std::ranges::find(free_keys(), key) == free_keys().end()) {
      found.push_back(fmt::format("{} (was {}, is {})", key, was, is));
    }
  };
  for (const auto& [key, value] : now) compare(key);
  for (const auto& [key, value] : before) {
    if (value_in(now, key) == "not set") compare(key);
  }
  return found;
}

// Returns true if a run came to its end, by its steps or for want of improvement. Throws DataError if its configuration
// does not say when that is.
bool is_finished(const StoredRun& stored) {
  const auto values = values_of(stored.fact("configuration"));
  const auto number = [&](const std::string& key) {
    const std::string text = value_in(values, key);
    Index value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require<DataError>(error == std::errc() && end == text.data() + text.size(),
                       "{}: its configuration has {} = {}, which is no number", stored.path(), key, text);
    return value;
  };
  const Index patience = number("train.patience");
  return stored.counter("step") >= number("train.steps") ||
         (patience > 0 && stored.counter("without_improvement") >= patience);
}

// Returns true if a stored run came to its end with another file of other rows. Then a new run loses nothing of it.
bool is_of_the_past(const StoredRun& stored, const std::string& configuration, const std::string& data) {
  const auto file_in = [](const std::string& toml) { return value_in(values_of(toml), "data.file"); };
  return stored.fact("data") != data && file_in(stored.fact("configuration")) != file_in(configuration) &&
         is_finished(stored);
}

void require_same_run(const StoredRun& stored, const Options& options, const std::string& configuration,
                      const std::string& data, const std::string& source) {
  const auto changed = differences(stored.fact("configuration"), configuration);
  require<DataError>(changed.empty(),
                     "{} is the checkpoint of another run: {}. Use the configuration of that run to continue it, or "
                     "--restart never to start anew",
                     stored.path(), join_some(changed));
  require<DataError>(stored.fact("data") == data,
                     "{} is the checkpoint of a run on other data: {} has been changed since. Use the data of that run "
                     "to continue it, or --restart never to start anew",
                     stored.path(), options.data.file.empty() ? "the dataset" : options.data.file);
  require<DataError>(
      stored.fact("source") == source,
      "{} is the checkpoint of a run with other points at which paths begin: use the data.source of that "
      "run to continue it, or --restart never to start anew",
      stored.path());
}

// A digest of the source of flow matching: of its file, or of the rows themselves if they come from a program; "" if
// there is none.
template <class T>
std::string source_digest_of(const Options& options, const TrainingData<T>& data) {
  if (!options.data.source.empty()) return file_digest(data::parse_location(options.data.source).file);
  if (data.source(Split::train).cols() == 0) return "";
  std::string all;
  for (const auto split : data::splits) {
    const auto rows = data.source(split);
    all += digest(std::as_bytes(std::span(rows.data(), static_cast<std::size_t>(rows.size()))));
  }
  return digest(std::as_bytes(std::span(all)));
}

// A digest of the dataset: of its file, or of the rows themselves if they come from a program.
template <class T>
std::string digest_of(const Options& options, const TrainingData<T>& data) {
  if (!options.data.file.empty()) return file_digest(data::parse_location(options.data.file).file);
  std::string all;
  for (const auto split : data::splits) {
    const auto rows = data.batch(split);
    for (const auto& part : {rows.x, rows.context}) {
      all += digest(std::as_bytes(std::span(part.data(), static_cast<std::size_t>(part.ld() * part.cols()))));
    }
    all += digest(std::as_bytes(rows.weight));
  }
  return digest(std::as_bytes(std::span(all)));
}

}  // namespace

template <class T>
Fit<T>::Fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data, FitSetup<T> setup,
            const Warn& warn)
    : comm_(comm), options_(options), data_(data), setup_(std::move(setup)), history_(LossNames()) {
  configuration_ = options_.declare().to_toml();
  std::optional<StoredRun> stored;
  if (!setup_.checkpoint.empty()) {
    comm::agree(comm_, [&] {
      if (!comm_.is_root()) return;
      data_digest_ = digest_of(options_, data_);
      source_digest_ = source_digest_of(options_, data_);
    });
    if (options_.checkpoint.restart != "never") stored = StoredRun::find(comm_, setup_.checkpoint, warn);
    comm::agree(comm_, [&] {
      require<IoError>(stored || options_.checkpoint.restart != "always",
                       "there is no checkpoint {}, and checkpoint.restart = \"always\" wants one", setup_.checkpoint);
    });
    Index is_past = 0;
    comm::agree(comm_, [&] {
      if (!stored || !comm_.is_root()) return;
      const bool may_replace = options_.checkpoint.restart == "auto";
      is_past = may_replace && is_of_the_past(*stored, configuration_, data_digest_) ? 1 : 0;
      if (is_past == 0) require_same_run(*stored, options_, configuration_, data_digest_, source_digest_);
      if (is_past != 0 && warn) {
        warn(fmt::format("{} is the checkpoint of a finished run on another file; this run starts anew and replaces it",
                         stored->path()));
      }
    });
    comm_.broadcast(std::span(&is_past, 1));
    if (is_past != 0) stored.reset();
  }
  if (stored && !stored->fact("log_det_train").empty()) {  // `auto` measures, so it might choose another method now
    options_.log_det.train = stored->fact("log_det_train");
    options_.log_det.evaluate = stored->fact("log_det_evaluate");
  }
  flow::Architecture architecture;
  comm::agree(comm_, [&] {
    architecture = setup_.architecture ? *std::move(setup_.architecture) : options_.architecture(data_.domain());
    domains_of(architecture);  // an error in it is better reported before anything is measured
  });
  log_dets_ = choose_log_dets<T>(comm_, options_, architecture);
  const int ranks = comm::ranks_on_node(comm_);
  comm::agree(comm_, [&] {
    const auto seed = static_cast<std::uint64_t>(options_.train.seed);
    const auto bytes_of_parameter =
        flow::Flow<T>::bytes_of_parameter + Trainer<T>::bytes_of_parameter(comm_.size(), options_.train.reproducible);
    flow_.emplace(std::move(architecture), seed, ranks * bytes_of_parameter);
    flow_->set_log_det(nn::Pass::gradient, log_dets_.train);
    flow_->set_log_det(nn::Pass::evaluate, log_dets_.evaluate);
    // Memory is planned before anything takes time.
    const Index rows = Trainer<T>::largest_part(comm_, options_);
    const Index values = data_.description().dimension + data_.description().context_dimension();
    require_memory(static_cast<double>(ranks) * static_cast<double>(rows) * static_cast<double>(values) * sizeof(T),
                   fmt::format("train.batch = {}: the rows need", options_.train.batch), "choose a smaller batch");
    const auto& objective = std::as_const(options_).objective;
    objective_ = objective.chosen().make(ObjectivePlace<T>{*flow_, options_, data_}, objective.options());
    objective_->plan(rows);
    if (data_.rows(Split::validation) + data_.rows(Split::test) > 0) objective_->plan_evaluation();
    source_.emplace(data_.batch(Split::train), data_.batch(Split::validation), options_.train.batch, seed);
    const Index first = std::min(data_.rows(Split::train), std::max(initial_rows, options_.train.batch));
    flow_->initialize_from_data(source_->first_rows(first), options_.workspace_bytes());
    trainer_.emplace(comm_, options_, *objective_, *source_);
    history_ = History(objective_->loss_names());
  });
  if (!setup_.checkpoint.empty()) {
    const bool estimates = flow::largest_contraction(flow_->architecture()).has_value();
    checkpoints_.emplace(comm_, setup_.checkpoint,
                         CheckpointInterval{options_.checkpoint.steps, options_.checkpoint.seconds},
                         RunFacts{{"configuration", configuration_},
                                  {"data", data_digest_},
                                  {"source", source_digest_},
                                  {"version", std::string(version())},
                                  {"ranks", fmt::format("{}", comm_.size())},
                                  {"log_det_train", estimates ? to_string(log_dets_.train) : ""},
                                  {"log_det_evaluate", estimates ? to_string(log_dets_.evaluate) : ""}});
  }
  if (stored) {
    history_ =
        History(objective_->loss_names(), "", stored->restore(comm_, trainer_->state(), objective_->loss_names()));
    continued_from_ = stored->path();
    steps_before_ = trainer_->steps();
    comm::agree(comm_, [&] {
      require<OptionError>(trainer_->steps() <= options_.train.steps,
                           "{} has {} steps, more than train.steps = {}; it can be extended, not shortened",
                           stored->path(), trainer_->steps(), options_.train.steps);
    });
  }
}

template <class T>
void Fit<T>::require_data(const Warn& warn) {
  if (checked_) return;
  objective_->require_data(comm_, data_, warn);
  checked_ = true;
}

template <class T>
const Outcome& Fit<T>::run(const Hooks& hooks) {
  require_data();
  comm::agree(comm_, [&] {
    if (!comm_.is_root() || setup_.history.empty()) return;
    history_ = continued_from_ ? History(objective_->loss_names(), setup_.history, history_.rows())
                               : History(objective_->loss_names(), setup_.history);
  });
  outcome_ = trainer_->run(history_, {checkpoints_ ? &*checkpoints_ : nullptr, setup_.diagnosis}, hooks);
  return outcome_;
}

template <class T>
void Fit<T>::save(const std::string& path) {
  const PhaseScope scope(Phase::input_output);
  comm::agree(comm_, [&] {
    if (!comm_.is_root()) return;
    const auto& about = data_.description();
    flow::ModelNotes notes{.feature_names = about.feature_names,
                           .image = about.image_shape,
                           .entropy = about.entropy,
                           .maps_source = !objective_->has_density(),
                           .provenance = {{"configuration", configuration_},
                                          {"version", std::string(version())},
                                          {"seed", fmt::format("{}", options_.train.seed)},
                                          {"ranks", fmt::format("{}", comm_.size())},
                                          {"blas", linalg::blas_core()},
                                          {"log_det_train", to_string(log_dets_.train)},
                                          {"log_det_evaluate", to_string(log_dets_.evaluate)},
                                          {"input", about.name},
                                          {"steps", fmt::format("{}", outcome_.steps)},
                                          {"best_step", fmt::format("{}", outcome_.best_step)}}};
    if (!options_.data.file.empty()) {
      if (data_digest_.empty()) data_digest_ = digest_of(options_, data_);
      notes.provenance.emplace_back("input_sha256", data_digest_);
    }
    if (!options_.data.source.empty()) {
      if (source_digest_.empty()) source_digest_ = source_digest_of(options_, data_);
      notes.provenance.emplace_back("source_sha256", source_digest_);
    }
    std::optional<flow::ModelContext> context;
    if (data_.context_standardization()) {
      context.emplace(flow::ModelContext{*data_.context_standardization(), about.context_names});
    }
    flow::save_model(path, data_.standardization(), *flow_, notes, context, [&](const h5::GroupWriter& root) {
      flow::write_options(root.make_group("objective"), options_.objective.declare());
      history_.write(root);
    });
  });
}

template <class T>
Fitted<T> fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data, FitSetup<T> setup,
              const Hooks& hooks) {
  Fit<T> run(comm, options, data, std::move(setup), hooks.warn);
  run.run(hooks);
  return std::move(run).result();
}

template class Fit<float>;
template class Fit<double>;
template Fitted<float> fit(const comm::Communicator&, const Options&, const TrainingData<float>&, FitSetup<float>,
                           const Hooks&);
template Fitted<double> fit(const comm::Communicator&, const Options&, const TrainingData<double>&, FitSetup<double>,
                            const Hooks&);

}  // namespace pushforward::train
