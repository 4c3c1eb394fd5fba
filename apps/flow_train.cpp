// flow_train: trains a flow on a dataset or a built-in density.

#include <cli/outputs.hpp>
#include <cli/program.hpp>
#include <cli/progress.hpp>
#include <models/kinds.hpp>
#include <models/report.hpp>
#include <pushforward/core/angle.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/core/version.hpp>
#include <pushforward/dataset/digest.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/train/trainer.hpp>

#include <cmath>
#include <csignal>
#include <optional>

namespace {

using namespace pushforward;
using data::Split;

volatile std::sig_atomic_t stop_signal = 0;

void on_stop_signal(int signal) {
  stop_signal = signal;
}

std::vector<std::string> activations_for_log_dets() {
  std::vector<std::string> names;
  for (const auto& kind : nn::ActivationKind::registry().all()) {
    if (!kind.starves_the_log_det) names.push_back(kind.name);
  }
  return names;
}

/// One run: from the options to the model file.
template <class T>
class Run {
 public:
  Run(apps::Program& program, const train::Options& options, const OptionSet& keys)
      : program_(program), console_(program.console()), comm_(program.comm()), options_(options), keys_(keys) {}

  void go() {
    const double gemm_rate = linalg::measure_gemm_rate<T>();
    const Timer total;
    profile().clear();
    comm::agree(comm_, [&] { options_.require_consistent(); });
    train::TrainingData<T> data(comm_, options_.data);
    std::optional<train::Trainer<T>> made;
    flow::Architecture architecture;
    comm::agree(comm_, [&] {
      const flow::Domain domain{.shape = data.image_shape().value_or(Shape::vector(data.dimension())),
                                .periodic = data.periodic(),
                                .context = data.context_dimension()};
      require_effect(keys_, options_.model, domain);
      architecture = options_.architecture(domain);
      domains_of(architecture);  // what does not fit is better said before anything is measured
    });
    const auto log_dets = train::choose_log_dets<T>(comm_, options_, architecture);
    comm::agree(comm_, [&] { made.emplace(comm_, options_, architecture, log_dets, data); });
    auto& trainer = *made;
    announce(data, log_dets, trainer);
    trainer.require_support();
    if (program_.dry_run()) return data.release();

    train::History history;
    comm::agree(comm_, [&] {
      if (comm_.is_root()) history = train::History(options_.history_path());
    });
    apps::Progress progress(console_, "steps", options_.train.steps);
    const Timer timer;
    const auto outcome = trainer.run(
        history, [&](const train::HistoryRow& row) { report(progress, row); }, [] { return stop_signal != 0; });
    tell(outcome, timer.seconds());
    if (outcome.end != train::End::diverged || outcome.best_step > 0) {
      save(data, log_dets, trainer, history, outcome);
      if (outcome.end != train::End::stop && data.rows(Split::test) > 0) test(data, trainer);
    }
    const double seconds = total.seconds();
    // Whatever else the machine did at the start, or does now.
    apps::print_profile(console_, profile(), seconds, std::max(gemm_rate, linalg::measure_gemm_rate<T>()));
    data.release();
    if (outcome.end == train::End::diverged) {
      throw_error(ErrorKind::numerical, fmt::format("training failed: {}", outcome.reason), true);
    }
  }

 private:
  void announce(const train::TrainingData<T>& data, const train::LogDets& log_dets, train::Trainer<T>& trainer) {
    const auto& source = data.source();
    std::string remarks;
    if (data.image_shape()) remarks += fmt::format("; images {}", to_string(*data.image_shape()));
    if (!data.periodic().empty()) remarks += fmt::format("; {} angles", data.periodic().size());
    if (data.context_dimension() > 0) remarks += fmt::format("; a context of {} values", data.context_dimension());
    if (data.weighted()) remarks += "; weighted";
    console_.message("data       {}: {} columns; {} rows for training, {} for validation, {} for test{}", source.name,
                     data.dimension(), data.rows(Split::train), data.rows(Split::validation), data.rows(Split::test),
                     remarks);
    console_.message("model      {}: {}; {} parameters, {}", options_.model.kind,
                     summary(trainer.flow().architecture()), trainer.flow().layout().size(), options_.model.precision);
    console_.message("run        {} {}, BLAS {} with {} {} each, workspace {} each", comm_.size(),
                     comm_.size() == 1 ? "rank" : "ranks", linalg::blas_core(), linalg::blas_threads(),
                     linalg::blas_threads() == 1 ? "thread" : "threads",
                     human_bytes(static_cast<double>(trainer.workspace_bytes())));
    for (const auto& note : log_dets.notes) console_.message("log-det    {}", note);
    for (const auto& warning : log_dets.warnings) console_.message("warning: {}", warning);
    if (data.largest_angle() > more_than_a_turn) {
      console_.message(
          "warning: angles reach ±{}, more than a turn in radians; flow_data import --degrees takes degrees",
          data.largest_angle());
    }
    const auto& architecture = trainer.flow().architecture();
    if (const auto bounded = bounded_image(architecture)) {
      console_.message(
          "warning: values of transform {} ({}) are bounded and the base density ({}) is not: part of it has no "
          "preimage, and the flow's density does not integrate to 1",
          *bounded, architecture.chain[*bounded].kind(), architecture.base.kind);
    }
    if (nn::ActivationKind::registry().at(options_.model.activation).starves_the_log_det) {
      console_.message(
          "warning: {} has no second derivative, so the log-det hardly trains its weights; "
          "{} do not have this fault",
          options_.model.activation, join(activations_for_log_dets()));
    }
    if (data.rows(Split::validation) == 0) {
      console_.message("warning: no validation rows: the last weights are kept, and train.patience has no effect");
    }
  }

  void report(apps::Progress& progress, const train::HistoryRow& row) {
    if (row.validation) {
      validation_ = fmt::format(", validation {:.4f}", row.validation->nll);
      const auto failures = train::failures(*row.validation);
      if (!failures.empty()) validation_ += fmt::format(" ({})", failures);
      if (!failures.empty() && !warned_) {
        console_.message(
            "warning: validation after step {}: {}: its NLL is the mean of the others, and of two models the one that "
            "fails on fewer rows is kept",
            row.step, failures);
        warned_ = true;
      }
    }
    if (progress.due()) progress.report(row.step, fmt::format("train NLL {:.4f}{}", row.train_nll, validation_));
  }

  void tell(const train::Outcome& outcome, double seconds) {
    const char* const end = outcome.end == train::End::patience ? ", ended since validation no longer improves"
                            : outcome.end == train::End::stop   ? ", ended by a signal"
                                                                : "";
    console_.message("trained    {} steps in {}{}", outcome.steps, human_seconds(seconds), end);
    if (outcome.repeated > 0) {
      console_.message("           {} of them taken again with spectral norms by SVD, since a block was no contraction",
                       outcome.repeated);
    }
    if (outcome.best_validation) {
      const auto failures = train::failures(*outcome.best_validation);
      console_.result("validation NLL {:.4f} nats, after step {}{}", outcome.best_validation->nll, outcome.best_step,
                      failures.empty() ? "" : fmt::format("; {}", failures));
    }
  }

  void save(const train::TrainingData<T>& data, const train::LogDets& log_dets, train::Trainer<T>& trainer,
            const train::History& history, const train::Outcome& outcome) {
    const PhaseScope scope(Phase::input_output);
    flow::ModelNotes notes{.feature_names = data.source().feature_names,
                           .image = data.image_shape(),
                           .entropy = data.source().entropy,
                           .provenance = {{"configuration", keys_.to_toml()},
                                          {"version", std::string(version())},
                                          {"seed", fmt::format("{}", options_.train.seed)},
                                          {"ranks", fmt::format("{}", comm_.size())},
                                          {"blas", linalg::blas_core()},
                                          {"log_det_train", to_string(log_dets.train)},
                                          {"log_det_evaluate", to_string(log_dets.evaluate)},
                                          {"input", data.source().name},
                                          {"steps", fmt::format("{}", outcome.steps)},
                                          {"best_step", fmt::format("{}", outcome.best_step)}}};
    comm::agree(comm_, [&] {
      if (!comm_.is_root()) return;
      if (!options_.data.file.empty()) {
        notes.provenance.emplace_back("input_sha256", data::file_digest(data::parse_location(options_.data.file).file));
      }
      std::optional<flow::ModelContext> context;
      if (data.context_standardization()) {
        context.emplace(flow::ModelContext{*data.context_standardization(), data.source().context_names});
      }
      flow::save_model(options_.output.model, data.standardization(), trainer.flow(), notes, context,
                       [&](const h5::GroupWriter& root) { history.write(root); });
    });
    console_.result("model          {}, history {}", options_.output.model, options_.history_path());
  }

  void test(const train::TrainingData<T>& data, train::Trainer<T>& trainer) {
    const auto result = trainer.evaluate(Split::test, trainer.flow());
    apps::print_nll(console_, "test NLL", result, data.dimension(), data.source().entropy);
    if (data.standardization().kind() == data::Standardization::Kind::none || !std::isfinite(result.nll)) return;
    // ln of the columns' standard deviations, √ of the diagonal of L Lᵀ.
    double log_deviations = 0;
    const auto& factor = data.standardization().factor();
    for (Index i = 0; i < factor.rows(); ++i) {
      double variance = 0;
      for (Index k = 0; k < factor.cols(); ++k) variance += factor(i, k) * factor(i, k);
      log_deviations += 0.5 * std::log(variance);
    }
    console_.result("               {:.4f} nats on standardized columns", result.nll - log_deviations);
  }

  apps::Program& program_;
  apps::Console& console_;
  const comm::Communicator& comm_;
  const train::Options& options_;
  const OptionSet& keys_;
  std::string validation_;
  bool warned_ = false;
};

template <class T>
void run(apps::Program& program, const train::Options& options, const OptionSet& keys) {
  Run<T>(program, options, keys).go();
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Trains a normalizing flow by maximum likelihood, on all ranks of mpirun. "
      "Without arguments: a residual flow on the built-in checkerboard.";
  return apps::run_program(argc, argv, "flow_train", summary, [](apps::Program& program) {
    train::Options options;
    OptionSet keys = options.declare();
    program.add_options(keys, program.cli(), "CONFIG.toml,--config");
    bool kinds = false;
    program.cli().add_flag("--kinds", kinds, "print the kinds of transforms, densities and activations and stop");
    if (!program.parse()) return;
    if (kinds) return program.console().print(apps::kinds_text());
    comm::agree(program.comm(), [&] {
      if (!program.comm().is_root()) return;
      apps::check_outputs({{"output.model", options.output.model}, {"output.history", options.history_path()}},
                          {{"data.file", options.data.file}});
    });
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, on_stop_signal);
    (options.model.precision == "float" ? run<float> : run<double>)(program, options, keys);
  });
}
