#include <pushforward/core/digest.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/core/version.hpp>
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
  comm::agree(comm_, [&] {
    const auto seed = static_cast<std::uint64_t>(options_.train.seed);
    flow_.emplace(std::move(architecture), seed);
    flow_->set_log_det(nn::Pass::gradient, log_dets_.train);
    flow_->set_log_det(nn::Pass::evaluate, log_dets_.evaluate);
    source_.emplace(data_.batch(Split::train), data_.batch(Split::validation), options_.train.batch, seed);
    const Index first = std::min(data_.rows(Split::train), std::max(initial_rows, options_.train.batch));
    flow_->initialize_from_data(source_->first_rows(first), options_.workspace_bytes());
    const auto& objective = std::as_const(options_).objective;
    objective_ = objective.chosen().make(ObjectivePlace<T>{*flow_, options_, data_}, objective.options());
    trainer_.emplace(comm_, options_, *objective_, *source_);
    if (data_.rows(Split::test) > 0) objective_->plan_evaluation();
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
      notes.provenance.emplace_back("input_sha256", file_digest(file));
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
