// flow_train: trains a flow on a dataset or a built-in density.

#include <cli/outputs.hpp>
#include <cli/program.hpp>
#include <cli/progress.hpp>
#include <cli/requests.hpp>
#include <cli/watchdog.hpp>
#include <models/kinds.hpp>
#include <models/report.hpp>
#include <pushforward/core/angle.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/train/fit.hpp>

#include <cmath>
#include <filesystem>

namespace {

using namespace pushforward;
using data::Split;

std::vector<std::string> activations_for_log_dets() {
  std::vector<std::string> names;
  for (const auto& kind : nn::ActivationKind::registry().all()) {
    if (!kind.starves_the_log_det) names.push_back(kind.name);
  }
  return names;
}

// The name of a loss, as people write it.
std::string title(const train::LossName& loss) {
  return loss.name == "nll" ? "NLL" : loss.name;
}

/// Says on the console what a run does.
template <class T>
class Reporter {
 public:
  Reporter(apps::Program& program, const train::Options& options, const train::TrainingData<T>& data,
           train::Fit<T>& fit)
      : console_(program.console()),
        options_(options),
        data_(data),
        fit_(fit),
        progress_(console_, "steps", options.train.steps, fit.steps_before()),
        ranks_(program.comm().size()),
        loss_(title(fit.objective().loss_name())),
        validation_loss_(title(fit.objective().validation_name())) {}

  /// Before the first step.
  void announce() {
    const auto& about = data_.description();
    std::string remarks;
    if (about.image_shape) remarks += fmt::format("; images {}", to_string(*about.image_shape));
    if (!about.periodic.empty()) remarks += fmt::format("; {} angles", about.periodic.size());
    for (const auto& sphere : about.spheres) remarks += fmt::format("; unit vectors of {} columns", sphere.size());
    if (about.context_dimension() > 0) remarks += fmt::format("; a context of {} values", about.context_dimension());
    if (about.weighted) remarks += "; weighted";
    if (const Index points = data_.source(Split::train).cols(); points > 0) {
      remarks += fmt::format("; paths begin at {} points of {}", points, options_.data.source);
    }
    console_.message("data       {}: {} columns; {} rows for training, {} for validation, {} for test{}", about.name,
                     about.dimension, data_.rows(Split::train), data_.rows(Split::validation), data_.rows(Split::test),
                     remarks);
    const auto& architecture = fit_.flow().architecture();
    console_.message("model      {}: {}; {} parameters, {}", options_.model.kind, summary(architecture),
                     fit_.flow().layout().size(), options_.model.precision);
    console_.message("run        {} {}, BLAS {} with {} {} each, workspace {} each", ranks_,
                     ranks_ == 1 ? "rank" : "ranks", linalg::blas_core(), linalg::blas_threads(),
                     linalg::blas_threads() == 1 ? "thread" : "threads",
                     human_bytes(static_cast<double>(fit_.objective().workspace_bytes())));
    if (fit_.continued_from()) {
      console_.message("continued  from step {} of {}", fit_.steps_before(), *fit_.continued_from());
    }
    for (const auto& note : fit_.log_dets().notes) console_.message("log-det    {}", note);
    for (const auto& warning : fit_.log_dets().warnings) console_.message("warning: {}", warning);
    if (data_.largest_angle() > more_than_a_turn) {
      console_.message(
          "warning: angles reach ±{}, more than a turn in radians; flow_data import --degrees takes degrees",
          data_.largest_angle());
    }
    if (const auto bounded = bounded_image(architecture)) {
      console_.message(
          "warning: values of transform {} ({}) are bounded and the base density ({}) is not: part of it has no "
          "preimage, and the flow's density does not integrate to 1",
          *bounded, architecture.chain[*bounded].kind(), architecture.base.kind);
    }
    const auto* const activation = nn::ActivationKind::registry().find(options_.model.activation);
    if (activation != nullptr && activation->starves_the_log_det) {
      console_.message(
          "warning: {} has no second derivative, so the log-det hardly trains its weights; "
          "{} do not have this fault",
          options_.model.activation, join(activations_for_log_dets()));
    }
    if (data_.rows(Split::validation) == 0) {
      console_.message("warning: no validation rows: the last weights are kept, and train.patience has no effect");
    }
  }

  void row(const train::HistoryRow& row) {
    if (row.validation) {
      validation_ = fmt::format(", validation {:.4f}", row.validation->mean);
      if (row.validation_loss) {
        validation_ = fmt::format(", validation {} {:.4f}, {} {:.4f}", loss_, *row.validation_loss, validation_loss_,
                                  row.validation->mean);
      }
      const auto failures = flow::failures(*row.validation);
      if (!failures.empty()) validation_ += fmt::format(" ({})", failures);
      if (!failures.empty() && !warned_) {
        console_.message(
            "warning: validation after step {}: {}. Its {} is the mean over the other rows, and a model that fails on "
            "fewer rows counts as better",
            row.step, failures, validation_loss_);
        warned_ = true;
      }
    }
    if (progress_.due())
      progress_.report(row.step, fmt::format("train {} {:.4f}{}", loss_, row.train_loss, validation_));
  }

  /// After the last step.
  void outcome(const train::Outcome& outcome) {
    const char* const end = outcome.end == train::End::patience ? ", ended because validation no longer improves"
                            : outcome.end == train::End::stop   ? ", stopped by request"
                                                                : "";
    const Index before = fit_.steps_before();
    console_.message("trained    {} steps in {}{}", outcome.steps - before, human_seconds(timer_.seconds()), end);
    if (outcome.skipped > 0) console_.message("           {} of them left out, not finite", outcome.skipped);
    if (outcome.returned > 0) {
      console_.message("           {} returns to a checkpoint after steps that were not finite", outcome.returned);
    }
    if (outcome.repeated > 0) {
      console_.message(
          "           {} of them taken again, with spectral norms by SVD or on finer grids, because a map was not "
          "invertible",
          outcome.repeated);
    }
    if (outcome.best_validation) {
      const auto failures = flow::failures(*outcome.best_validation);
      console_.result("{:<14} {:.4f}{}, after step {}{}", fmt::format("validation {}", validation_loss_),
                      outcome.best_validation->mean, is_likelihood() ? " nats" : "", outcome.best_step,
                      failures.empty() ? "" : fmt::format("; {}", failures));
    }
  }

  void test(const flow::Evaluation& result) {
    if (!is_likelihood()) {
      console_.result("{:<14} {:.4f} ({} rows)", fmt::format("test {}", validation_loss_), result.mean, result.rows);
      return;
    }
    apps::print_nll(console_, "test NLL", result, data_.description().dimension, data_.description().entropy);
    const auto& standardization = data_.standardization();
    if (standardization.kind() == data::Standardization::Kind::none || !std::isfinite(result.mean)) return;
    console_.result("               {:.4f} nats on standardized columns",
                    result.mean - standardization.log_deviations());
  }

 private:
  /// Whether evaluations are mean negative log-likelihoods.
  bool is_likelihood() const { return fit_.objective().validation_name().name == "nll"; }

  apps::Console& console_;
  const train::Options& options_;
  const train::TrainingData<T>& data_;
  train::Fit<T>& fit_;
  apps::Progress progress_;
  int ranks_;
  Timer timer_;
  std::string loss_, validation_loss_;  // the names of the losses of add() and evaluate()
  std::string validation_;
  bool warned_ = false;
};

template <class T>
void run(apps::Program& program, train::Options& options, const OptionSet& keys) {
  const auto& comm = program.comm();
  const double gemm_rate = linalg::measure_gemm_rate<T>();
  const Timer total;
  profile().clear();
  comm::agree(comm, [&] { options.require_consistent(); });
  apps::Watchdog watchdog(comm, "flow_train", options.train.hang_timeout);
  const auto asked = options.data.standardize;
  comm::agree(comm, [&] { options.data = options.data_of_model(); });
  train::TrainingData<T> data(comm, options.data);
  comm::agree(comm, [&] { require_effect(keys, options.model, data.domain()); });
  const auto warn = [&](const std::string& text) { program.console().message("warning: {}", text); };
  const std::filesystem::path model(options.output.model);
  train::Fit<T> fit(comm, options, data,
                    {.architecture = {},
                     .history = options.history_path(),
                     .checkpoint = options.checkpoint_path(),
                     .diagnosis = std::filesystem::path(model).replace_extension(".diagnosis.toml").string()},
                    warn);
  Reporter<T> reporter(program, options, data, fit);
  reporter.announce();
  if (asked == "auto" && options.data.standardize == "none") {
    program.console().message(
        "data       as it is, since the flow dequantizes or has bounds (data.standardize = none)");
  }
  if (asked == "none" && options.data.standardize == "unit") {
    program.console().message("data       divided by {:.4g}, the deviation of its columns (data.standardize = unit)",
                              data.standardization().scale(0));
  }
  fit.require_data(warn);
  if (program.dry_run()) return data.release();
  watchdog.alive(fit.steps_before());

  apps::Requests requests(comm, (model.parent_path() / "STOP").string(), options.max_seconds());
  Index steps = fit.steps_before();
  const auto outcome = fit.run({.observer = [&](const auto& row) { reporter.row(row); },
                                .wish =
                                    [&] {
                                      watchdog.alive(steps++);
                                      if (!requests.stop().empty()) return train::Wish::stop;
                                      return requests.checkpoint() ? train::Wish::checkpoint : train::Wish::none;
                                    },
                                .warn = warn});
  reporter.outcome(outcome);
  double test = 0;
  if (outcome.end != train::End::diverged || outcome.best_step > 0) {
    fit.save(options.output.model);
    program.console().result("model          {}, history {}", options.output.model, options.history_path());
    if (outcome.end != train::End::stop && data.rows(Split::test) > 0) {
      const auto result = fit.evaluate(Split::test);
      reporter.test(result);
      test = result.mean;
    }
  }
  const double seconds = total.seconds();
  // The rate is the better one of the start and of now, in case the machine did other work at one of these times.
  apps::print_profile(program.console(), profile(), seconds, std::max(gemm_rate, linalg::measure_gemm_rate<T>()));
  data.release();
  comm::agree(comm, [&] { require<IoError>(fit.history().problem().empty(), "{}", fit.history().problem()); });
  if (outcome.end == train::End::stop) {
    program.console().message("stopped    by request; the same command goes on from {}", options.checkpoint_path());
    program.set_exit_code(ExitCode::stopped);
  }
  require<NumericalError>(std::isfinite(test), "the test {0} is {1}, though the validation {0} was finite",
                          title(fit.objective().validation_name()), test);
  if (outcome.end == train::End::diverged) {
    throw_error(ErrorKind::numerical, fmt::format("training failed: {}", outcome.reason), true);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Trains a normalizing flow by maximum likelihood, on all ranks of mpirun. "
      "Without arguments, it trains a residual flow on the built-in checkerboard.";
  return apps::run_program(argc, argv, "flow_train", summary, [](apps::Program& program) {
    train::Options options;
    OptionSet keys = options.declare();
    program.add_options(keys, program.cli(), "CONFIG.toml,--config");
    bool kinds = false;
    program.cli().add_flag("--kinds", kinds, "print all kinds that can be chosen by name, with their keys, and stop");
    if (!program.parse()) return;
    if (kinds) return program.console().print(apps::kinds_text());
    comm::agree(program.comm(), [&] {
      if (!program.comm().is_root()) return;
      apps::check_outputs({{"output.model", options.output.model},
                           {"output.history", options.history_path()},
                           {"checkpoint.file", options.checkpoint_path()}},
                          {{"data.file", options.data.file}, {"data.source", options.data.source}});
      apps::require_result_name({"output.model", options.output.model});
    });
    (options.model.precision == "float" ? run<float> : run<double>)(program, options, keys);
  });
}
