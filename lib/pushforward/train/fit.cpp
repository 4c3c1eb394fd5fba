#include <pushforward/core/memory.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/core/version.hpp>
#include <pushforward/dataset/digest.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/train/fit.hpp>

namespace pushforward::train {

namespace {

using data::Split;

// The least number of rows from which data-dependent parameters are initialized. Every rank works all of them.
constexpr Index initial_rows = 1024;

}  // namespace

template <class T>
Fit<T>::Fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data, FitSetup<T> setup)
    : comm_(comm), options_(options), data_(data), history_path_(std::move(setup.history)), history_(LossName()) {
  flow::Architecture architecture;
  comm::agree(comm_, [&] {
    architecture = setup.architecture ? *std::move(setup.architecture) : options_.architecture(data_.domain());
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
    history_ = History(objective_->loss_name());
  });
}

template <class T>
void Fit<T>::require_data(const Warn& warn) {
  if (checked_) return;
  objective_->require_data(comm_, data_, warn);
  checked_ = true;
}

template <class T>
const Outcome& Fit<T>::run(const Observer& observer, const StopRequest& stop_requested) {
  require_data();
  comm::agree(comm_, [&] {
    if (comm_.is_root() && !history_path_.empty()) history_ = History(objective_->loss_name(), history_path_);
  });
  outcome_ = trainer_->run(history_, observer, stop_requested);
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
                           .provenance = {{"configuration", options_.declare().to_toml()},
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
      const auto file = data::parse_location(options_.data.file).file;
      notes.provenance.emplace_back("input_sha256", data::file_digest(file));
    }
    std::optional<flow::ModelContext> context;
    if (data_.context_standardization()) {
      context.emplace(flow::ModelContext{*data_.context_standardization(), about.context_names});
    }
    flow::save_model(path, data_.standardization(), *flow_, notes, context,
                     [&](const h5::GroupWriter& root) { history_.write(root); });
  });
}

template <class T>
Fitted<T> fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data, FitSetup<T> setup,
              const Observer& observer, const StopRequest& stop_requested) {
  Fit<T> run(comm, options, data, std::move(setup));
  run.run(observer, stop_requested);
  return std::move(run).result();
}

template class Fit<float>;
template class Fit<double>;
template Fitted<float> fit(const comm::Communicator&, const Options&, const TrainingData<float>&, FitSetup<float>,
                           const Observer&, const StopRequest&);
template Fitted<double> fit(const comm::Communicator&, const Options&, const TrainingData<double>&, FitSetup<double>,
                            const Observer&, const StopRequest&);

}  // namespace pushforward::train
