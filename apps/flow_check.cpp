// flow_check: describes a model file and checks that it keeps its promises.

#include <models/context.hpp>
#include <models/model_file.hpp>
#include <pushforward/analysis/integration_check.hpp>
#include <pushforward/analysis/verification.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/random/stream.hpp>

#include <cmath>

namespace {

using namespace pushforward;

struct Options {
  std::string split = "test";
  std::string context;
  Index rows = 1000;
  Index jacobians = 8;
  Index seed = 0;
  double tolerance = 1e-6;
};

class Check {
 public:
  Check(apps::Console& console, const Options& options, const std::string& path, flow::Model<double> model)
      : console_(console), options_(options), path_(path), model_(std::move(model)) {}

  void run(const std::string& data) {
    summarize();
    certify();
    const Index levels = flow::levels_of(model_.flow().architecture());
    if (levels > 0) {
      console_.result(
          "the model dequantizes {} levels, which is no bijection: the checks are about the flow after the "
          "dequantization",
          levels);
    }
    const auto [x, context] = points(data, levels > 0);
    check_integration(x, context);
    check_round_trip(x, context);
    check_log_det(x, context);
    require<NumericalError>(failures_.empty(), "{} fails: {}", path_, join(failures_, "; "));
    console_.result("all checks hold");
  }

 private:
  flow::FlowWorkspace<double> workspace_for(Index samples) const {
    return flow::FlowWorkspace<double>::within(model_.flow(), flow::default_workspace_bytes,
                                               std::min(apps::workspace_samples, samples), nn::Pass::evaluate);
  }

  void verdict(bool good, const std::string& what) {
    if (!good) failures_.push_back(what);
  }

  void summarize() {
    const auto& flow = model_.flow();
    const auto& a = flow.architecture();
    console_.result("{}: flow on samples of {} values: {}; {} parameters", path_, to_string(a.data.shape), summary(a),
                    flow.layout().size());
    std::vector<std::string> numbers;
    for (const Index i : a.data.periodic) numbers.push_back(fmt::format("{}", i));
    if (!numbers.empty()) console_.result("angles: values {}", join_some(numbers));
    for (const Sphere& sphere : a.data.spheres) console_.result("unit vector: values {}", fmt::join(sphere, ", "));
    if (const auto& context = model_.context()) {
      console_.result("conditioned on {} values: {}", a.data.context, join_some(context->names));
    }
    console_.result("standardization {}, log-det {:.6f} nats", data::kind_name(model_.standardization().kind()),
                    model_.standardization().log_det());
    if (model_.notes().entropy)
      console_.result("entropy of the training data's density {:.6f} nats", *model_.notes().entropy);
    if (!model_.notes().digest.empty()) console_.result("file intact, SHA-256 {}", model_.notes().digest);
    for (const auto& [name, text] : model_.notes().provenance) {
      if (name != "configuration") console_.result("{:<15} {}", name, text);
    }
  }

  // Prints the norms of the stored weights, by SVD. If a block is not a contraction, it has no inverse to check.
  void certify() {
    if (lipschitz_networks(model_.flow().architecture()).empty()) return;
    console_.result("Lipschitz certificate (SVD), block by block: norms of the layers, their product");
    double largest = 0;
    bool contractions = true;
    for (std::size_t k = 0; k < model_.flow().transforms().size(); ++k) {
      const auto* const network = lipschitz_network(*model_.flow().transforms()[k]);
      if (network == nullptr) continue;
      std::vector<std::string> norms;
      for (const auto& layer : network->layers()) norms.push_back(fmt::format("{:.6f}", layer->norm()));
      console_.result("  {:03d}  {}  {:.6f}", k, join(norms, " "), network->lipschitz());
      largest = std::max(largest, network->lipschitz());
      contractions = contractions && network->lipschitz() < 1;
    }
    console_.result("largest block constant {:.9f}: {}", largest,
                    contractions ? "every block is a contraction" : "NOT a contraction");
    require<NumericalError>(
        contractions, "{} fails: a block's Lipschitz constant is {:.9g}: it need not have an inverse", path_, largest);
  }

  /// Returns rows of the data, or samples of the model if there is no data: (d × n), data units; and their context (c ×
  /// n). If the model dequantizes, the model is replaced by the flow after the dequantization, and the rows are
  /// dequantized.
  std::pair<Matrix<double>, Matrix<double>> points(const std::string& data, bool dequantizes) {
    const Index d = model_.dimension();
    auto behind = dequantizes ? std::optional(flow::behind_dequantization(model_)) : std::nullopt;
    if (!data.empty()) {
      const auto rows = data::open_rows(data, data::parse_split(options_.split));
      apps::require_columns(rows, model_);
      const Index n = std::min(options_.rows, rows.count());
      const apps::ContextSource context(options_.context, model_.context(), &rows, n);
      Matrix<double> x(d, n), given(context.dimension(), n);
      rows.read(0, x.view());
      context.read(0, given.view());
      if (behind) {
        x = flow::dequantized(model_, x);
        model_ = std::move(*behind);
      }
      return {std::move(x), std::move(given)};
    }
    if (behind) model_ = std::move(*behind);
    const apps::ContextSource context(options_.context, model_.context(), nullptr, options_.rows);
    Matrix<double> x(d, options_.rows), z(d, options_.rows), given(context.dimension(), options_.rows);
    context.read(0, given.view());
    for (Index j = 0; j < z.cols(); ++j) {
      random::Stream stream(static_cast<std::uint64_t>(options_.seed), random::Purpose::check, 0,
                            static_cast<std::uint64_t>(j));
      model_.flow().base().draw(stream, z.view().column_span(j));
    }
    auto workspace = workspace_for(z.cols());
    std::vector<double> log_prob(z.cols());
    std::vector<flow::Status> status(log_prob.size());
    model_.inverse(z, x, log_prob, status, {}, workspace, given);
    Index kept = 0;
    for (Index j = 0; j < x.cols(); ++j) {
      if (status[j] != flow::Status::ok) continue;
      std::copy_n(x.view().column(j), d, x.view().column(kept));
      std::copy_n(given.view().column(j), given.rows(), given.view().column(kept));
      ++kept;
    }
    const auto lost = fmt::format("{} of {} draws of the base density have no sample", x.cols() - kept, x.cols());
    if (kept < x.cols()) console_.result("{}", lost);
    verdict(kept == x.cols(), lost);
    require<NumericalError>(kept > 0, "{} fails: {}", path_, lost);
    return {Matrix<double>(x.view().columns(0, kept)), Matrix<double>(given.view().columns(0, kept))};
  }

  /// Says how a flow without residual blocks is inverted.
  const char* inverse_name() const {
    const auto integrations = model_.flow().integrations();
    if (integrations.empty()) return "closed forms";
    return integrations.front().is_discrete(model_.dimension()) ? "newton" : "integration";
  }

  // Compares the grid of a continuous flow with a finer one and with the limit of small steps.
  void check_integration(ConstMatrixView<double> x, ConstMatrixView<double> context) {
    const auto integrations = model_.flow().integrations();
    if (integrations.empty()) return;
    for (const auto& options : integrations) {
      console_.result("log-det        {}", options.log_det_of(model_.dimension()));
    }
    const auto check = flow::check_integration(model_, x, context);
    console_.result(
        "twice as many steps change log p by {:.1e} nats in the mean, at most {:.1e} ({} rows; {} with a determinant ≤ "
        "0, {} without a log p)",
        check.mean_change, check.largest_change, check.rows, check.folded, check.failed);
    console_.result("NLL of these rows {:.4f} nats along the grid, {:.4f} in the limit of small steps", check.grid_nll,
                    check.limit_nll);
    console_.result("certificate h·Lip of a step, by SVD: {:.3g}, {}", check.contraction,
                    check.contraction < 1 ? "below 1: every step is invertible"
                                          : "not below 1: it certifies nothing, the determinants above do");
    verdict(check.folded == 0, fmt::format("a determinant is ≤ 0 at {} of {} rows", check.folded, check.rows));
  }

  void check_round_trip(ConstMatrixView<double> x, ConstMatrixView<double> context) {
    std::vector<std::pair<flow::InverseAlgorithm, const char*>> methods{{flow::InverseAlgorithm::newton, "newton"},
                                                                        {flow::InverseAlgorithm::anderson, "anderson"}};
    if (lipschitz_networks(model_.flow().architecture()).empty()) methods = {{{}, inverse_name()}};
    for (const auto& [method, name] : methods) {
      const auto trip = flow::round_trip(model_, x, {.algorithm = method, .max_iterations = 100'000}, context);
      console_.result(
          "round trip of {} rows by {}: data {:.2e} (standardized units), latent {:.2e}, log-det {:.2e} nats", x.cols(),
          name, trip.data, trip.latent, trip.log_det);
      verdict(trip.largest() <= options_.tolerance,
              fmt::format("the round trip by {} is off by {:.2e}", name, trip.largest()));
    }
  }

  void check_log_det(ConstMatrixView<double> x, ConstMatrixView<double> context) {
    const Index n = std::min(options_.jacobians, x.cols());
    const double error =
        flow::log_det_error(model_, x.columns(0, n), context.empty() ? context : context.columns(0, n));
    console_.result("log-det against LU of the whole flow's Jacobian by differences, {} rows: {:.2e} nats", n, error);
    verdict(error <= 1e-5 * static_cast<double>(x.rows()), fmt::format("the log-det is off by {:.2e} nats", error));
  }

  apps::Console& console_;
  const Options& options_;
  const std::string& path_;
  flow::Model<double> model_;
  std::vector<std::string> failures_;
};

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Examines a model. Computes the Lipschitz certificate of each layer and block, runs the round trip both ways, "
      "and "
      "compares the log-det with a dense LU of the whole flow's Jacobian. Ends with code 4 if a check fails.";
  return apps::run_program(argc, argv, "flow_check", summary, [](apps::Program& program) {
    Options options;
    std::string model, data;
    OptionSet keys;
    keys.add("split", options.split, "rows of a dataset file to use", one_of({"train", "validation", "test"}));
    keys.add("context", options.context, apps::context_help);
    keys.add("rows", options.rows, "rows of DATA, or samples of the model, for the round trip", at_least(1));
    keys.add("jacobians", options.jacobians, "rows at which the whole Jacobian is computed by differences",
             at_least(1));
    keys.add("seed", options.seed, "seed of the samples if DATA is not given", at_least(0));
    keys.add("tolerance", options.tolerance, "largest error of the round trip that passes", more_than(0));
    program.cli().add_option("MODEL", model, "model file of flow_train")->required();
    program.cli().add_option("DATA", data,
                             "dataset FILE.h5, or any numeric array FILE.h5:/PATH; if not given, samples of the model");
    program.add_options(keys, program.cli());
    if (!program.parse()) return;
    auto opened = apps::open_model<double>(program, model);
    // Every rank does the same; one of them prints.
    comm::agree(program.comm(), [&] { Check(program.console(), options, model, std::move(opened)).run(data); });
  });
}
