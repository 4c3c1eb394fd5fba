// flow_density: log p of each row of a dataset, and on a grid.

#include <cli/outputs.hpp>
#include <models/context.hpp>
#include <models/integration.hpp>
#include <models/model_file.hpp>
#include <models/report.hpp>
#include <models/table_output.hpp>
#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/analysis/log_det_choice.hpp>
#include <pushforward/analysis/repeated.hpp>
#include <pushforward/analysis/verification.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/largest_weight.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/table/table.hpp>

#include <cmath>
#include <limits>

namespace {

using namespace pushforward;

struct Options {
  std::string output = "density.h5";
  std::string split = "test";
  std::string grid;
  std::string context;
  std::string precision = "double";
  std::string method = "exact";
  double standard_error = flow::RepeatOptions().standard_error;
  Index max_repeats = flow::RepeatOptions().max_repeats;
  Index seed = 0;
  apps::IntegrationFlags integration{};

  flow::RepeatOptions repeats() const { return {.standard_error = standard_error, .max_repeats = max_repeats}; }
};

/// The number of a grid's first point, for its draws. No row of a file has such a number.
constexpr Index first_grid_sample = Index{1} << 62;

/// One axis of a grid: n equally spaced points from `low` to `high`, both included.
struct Axis {
  double low = 0, high = 0;
  Index points = 0;

  double at(Index i) const {
    return points == 1 ? low : low + (high - low) * static_cast<double>(i) / static_cast<double>(points - 1);
  }
  std::vector<double> values() const {
    std::vector<double> x;
    for (Index i = 0; i < points; ++i) x.push_back(at(i));
    return x;
  }
};

/// "x0:x1:n,y0:y1:n".
std::array<Axis, 2> parse_grid(std::string_view text) {
  std::array<Axis, 2> axes;
  const auto of_axes = parts_of(text, ',');
  bool good = of_axes.size() == axes.size();
  for (std::size_t i = 0; good && i < axes.size(); ++i) {
    const auto parts = parts_of(of_axes[i], ':');
    good = parts.size() == 3;
    if (!good) break;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    Axis& a = axes[i];
    a.low = parse_number<double>(parts[0]).value_or(nan);
    a.high = parse_number<double>(parts[1]).value_or(nan);
    a.points = parse_number<Index>(parts[2]).value_or(0);
    good = std::isfinite(a.low) && a.low < a.high && std::isfinite(a.high) && a.points >= 2;
  }
  require<OptionError>(
      good,
      "--grid '{}': must be \"x0:x1:n,y0:y1:n\" with x0 < x1, y0 < y1 and at least 2 points for each axis, "
      "as in \"-4:4:201,-4:4:201\"",
      text);
  return axes;
}

/// Statistics of the repeats, over all rows that are ok.
class RepeatCount {
 public:
  void add(const flow::RepeatedLogProb& rows, const flow::RepeatOptions& options) {
    for (std::size_t i = 0; i < rows.status.size(); ++i) {
      if (rows.status[i] != flow::Status::ok) continue;
      const double error = rows.standard_error[i];
      const auto repeats = static_cast<double>(rows.repeats[i]);
      sums_[count] += 1;
      sums_[errors] += error;
      sums_[all_repeats] += repeats;
      largest_ = std::max(largest_, error);
      fewest_ = std::min(fewest_, repeats);
      most_ = std::max(most_, repeats);
      if (rows.repeats[i] < options.max_repeats || error <= options.standard_error) continue;
      sums_[unreached] += 1;
      largest_unreached_ = std::max(largest_unreached_, error);
    }
  }

  /// Prints them. `unit`: the name of a row, "row" or "point". Collective.
  void print(const comm::Communicator& comm, apps::Console& console, std::string_view unit,
             const logdet::Method& method, const flow::RepeatOptions& options) const {
    auto sums = sums_;
    comm.sum(std::span<double>(sums));
    const double largest = comm.max(largest_), fewest = comm.min(fewest_), most = comm.max(most_);
    const double largest_unreached = comm.max(largest_unreached_);
    if (sums[count] == 0) return;
    console.result(
        "log-dets       by {}: standard error of a {} {:.3g} nats in the mean, at most {:.3g}; {} to {} repeats, "
        "{:.1f} in the mean",
        to_string(method), unit, sums[errors] / sums[count], largest, fewest, most, sums[all_repeats] / sums[count]);
    if (sums[unreached] == 0) return;
    console.message(
        "warning: {} of {} {}s did not reach a standard error of {} nats after {} repeats; the largest is {:.3g}",
        sums[unreached], sums[count], unit, options.standard_error, options.max_repeats, largest_unreached);
  }

 private:
  enum Sum : std::size_t { count, errors, all_repeats, unreached };
  std::array<double, 4> sums_{};
  double largest_ = 0, largest_unreached_ = 0, most_ = 0;
  double fewest_ = std::numeric_limits<double>::infinity();
};

/// Opens a model that evaluates with the method of the options. Collective.
template <class T>
flow::Model<T> open_model(apps::Program& program, const Options& options, const std::string& path) {
  const auto& comm = program.comm();
  auto& console = program.console();
  logdet::Method method;
  comm::agree(comm, [&] { method = logdet::parse_method(options.method); });
  auto model = apps::open_model<T>(program, path);
  std::string integration;
  comm::agree(comm, [&] { integration = options.integration.apply(model); });
  if (!integration.empty()) console.result("density        {}", integration);
  const auto& flow = model.flow();
  const auto network = flow::largest_contraction(flow.architecture());
  if (!network) {
    if (!method.exact()) {
      console.message("log-det        analytic: the model has no residual blocks, so --method {} has no effect",
                      options.method);
    }
    return model;
  }
  std::string why;
  method = flow::complete_log_det<T>(comm, method, *network, nn::Pass::evaluate, apps::workspace_samples, why);
  if (!why.empty()) console.message("log-det        {}", why);
  comm::agree(comm, [&] { model.set_log_det(method); });
  const auto warning = method.warning(flow::largest_lipschitz(model.flow()));
  if (!warning.empty()) console.message("warning: {}", warning);
  if (method.shares_draws()) {
    console.message(
        "warning: {}: all rows share draws of a repeat, so the error of the mean is larger than its standard error",
        to_string(method));
  }
  return model;
}

template <class T>
class Density {
 public:
  Density(apps::Program& program, const Options& options, const std::string& model, const std::string& data)
      : program_(program),
        comm_(program.comm()),
        options_(options),
        data_(data),
        repeats_(options.repeats()),
        model_(open_model<T>(program, options, model)),
        workspace_(flow::FlowWorkspace<T>::within(model_.flow(), flow::default_workspace_bytes, apps::workspace_samples,
                                                  nn::Pass::evaluate)),
        columns_(!model_.flow().integrations().empty(), apps::slab_rows) {}

  void run() {
    const Index d = model_.dimension();
    comm::agree(comm_, [&] {
      if (options_.grid.empty()) return;
      axes_ = parse_grid(options_.grid);
      require<DataError>(d == 2, "--grid needs a model of dimension 2; this one has dimension {}", d);
    });
    std::optional<data::Rows> rows;
    std::optional<apps::ContextSource> context;
    std::optional<double> entropy;
    std::vector<h5::RowArray> arrays;
    if (!data_.empty()) {
      comm::agree(comm_, [&] {
        rows.emplace(data::open_rows(data_, data::parse_split(options_.split)));
        apps::require_columns(*rows, model_);
        const auto file = h5::open_file(data::parse_location(data_).file);
        if (file.has_attribute("entropy")) entropy = file.attribute<double>("entropy");
        context.emplace(options_.context, model_.context(), &*rows, rows->count(), options_.integration.uses_context());
      });
      const Index n = rows->count();
      arrays = {
          {"log_prob",
           h5::Element::real64,
           n,
           0,
           {.units = "nat", .long_name = apps::log_prob_name("row", model_.flow().architecture().data)}},
          {"z", h5::Element::real64, n, d, {.units = "1", .long_name = "latent of each row"}},
          {"status",
           h5::Element::integer64,
           n,
           0,
           {.units = "", .long_name = "0 ok, 1 not finite, 2 not converged, 3 not invertible, 4 outside the support"}}};
      columns_.add_arrays(arrays, n);
      if (stochastic()) {
        arrays.push_back({"log_prob_std_error",
                          h5::Element::real64,
                          n,
                          0,
                          {.units = "nat", .long_name = "standard error of log_prob from the log-dets' draws"}});
        arrays.push_back({"repeats",
                          h5::Element::integer64,
                          n,
                          0,
                          {.units = "", .long_name = "evaluations that log_prob is the mean of"}});
      }
    }
    if (axes_) {
      comm::agree(comm_, [&] {
        grid_context_.emplace(options_.context, model_.context(), nullptr, 1, options_.integration.uses_context());
        require<OptionError>(grid_context_->rows() <= 1, "--grid takes one context for all its points; {} has {} rows",
                             options_.context, grid_context_->rows());
      });
      arrays.push_back({"grid/log_prob",
                        h5::Element::real64,
                        (*axes_)[1].points,
                        (*axes_)[0].points,
                        {.units = "nat", .long_name = "log p at (x, y), (y, x)"}});
      if (stochastic()) {
        arrays.push_back({"grid/log_prob_std_error",
                          h5::Element::real64,
                          (*axes_)[1].points,
                          (*axes_)[0].points,
                          {.units = "nat", .long_name = "standard error of grid/log_prob from the log-dets' draws"}});
      }
    }
    if (program_.dry_run()) {
      program_.console().result("would evaluate {} rows{} into {}", rows ? rows->count() : 0,
                                axes_ ? " and a grid" : "", options_.output);
      return;
    }
    const double bias_bound = flow::log_det_bias_bound(model_);
    const apps::TableOutput output(comm_, options_.output);
    h5::ResultFile file(comm_, output.result_file(), "pushforward-density", 2, arrays,
                        [&](const h5::GroupWriter& root) {
                          root.attribute("log_det", to_string(model_.log_det()));
                          root.attribute("bias_bound", bias_bound);
                          if (options_.integration.guidance != 1) {
                            root.attribute("guidance", options_.integration.guidance);
                          }
                          if (stochastic() || flow::levels_of(model_.flow().architecture()) > 0)
                            root.attribute("seed", options_.seed);
                          if (stochastic()) {
                            root.attribute("target_standard_error", options_.standard_error);
                            root.attribute("max_repeats", options_.max_repeats);
                          }
                          if (!axes_) return;
                          root.write("grid/x", (*axes_)[0].values());
                          root.write("grid/y", (*axes_)[1].values());
                        });
    if (axes_) evaluate_grid(file);
    double mean = 0;
    if (rows) mean = evaluate_rows(file, *rows, *context, entropy);
    if (bias_bound > 0) {
      program_.console().result("bias           at most {:.3g} nats for each row, by the blocks' Lipschitz constants",
                                bias_bound);
    }
    file.commit();
    write_table(output);
    program_.console().result("wrote          {}", options_.output);
    require<NumericalError>(!std::isnan(mean), "no row has a log-density; /status of {} says why", options_.output);
  }

 private:
  bool stochastic() const { return model_.log_det().stochastic(); }
  /// Returns the draws of consecutive rows, the first of which has the number `first`.
  logdet::Draws draws(Index first) const { return {.seed = static_cast<std::uint64_t>(options_.seed), .first = first}; }

  void write_table(const apps::TableOutput& output) const {
    if (axes_) return output.write_grid();
    std::vector<apps::TableColumns> columns{{"log_prob", {"log_prob"}}, {"status", {"status"}}};
    if (columns_.present()) {
      columns.push_back({"log_prob_error", {"log_prob_error"}});
      columns.push_back({"evaluations", {"evaluations"}});
    }
    if (stochastic()) {
      columns.push_back({"log_prob_std_error", {"log_prob_std_error"}});
      columns.push_back({"repeats", {"repeats"}});
    }
    columns.push_back({"z", data::default_names(model_.dimension(), 'z')});
    output.write(columns, "log_prob");
  }

  /// Returns the mean NLL.
  double evaluate_rows(h5::ResultFile& file, const data::Rows& rows, const apps::ContextSource& context,
                       std::optional<double> entropy) {
    const Index d = model_.dimension();
    const Index most = std::min(apps::slab_rows, rows.count());
    Matrix<double> x(d, most), z(d, most), log_prob(1, most), standard_error(1, most), weight(1, most);
    Matrix<double> given(context.dimension(), most);
    Matrix<Index> status_numbers(1, most), repeats(1, most);
    std::vector<flow::Status> status(most);
    const double largest =
        data::largest_weight(comm_, rows.count(), data_ + ": all weights of the rows",
                             [&](Index first, std::span<double> weights) { rows.read_weights(first, weights); });
    std::vector<flow::LossSums> sums(static_cast<std::size_t>(comm_.size()));
    RepeatCount repeat_count;
    apps::in_shared_slabs(comm_, rows.count(), [&](Index first, Index count) {
      const auto n = static_cast<std::size_t>(count);
      comm::agree(comm_, [&] {
        rows.read_unchecked(first, x.view().columns(0, count));
        rows.read_weights(first, weight.span().first(n));
        context.read(first, given.view().columns(0, count));
      });
      const flow::RepeatedLogProb result{log_prob.span().first(n), standard_error.span().first(n),
                                         repeats.span().first(n), std::span(status).first(n), columns_.report(count)};
      repeated_log_prob<T>(
          model_, {.x = x.view().columns(0, count), .context = given.view().columns(0, count), .draws = draws(first)},
          z.view().columns(0, count), repeats_, result, workspace_);
      repeat_count.add(result, repeats_);
      for (std::size_t i = 0; i < n; ++i) {
        sums[comm_.rank()].add(-log_prob.span()[i], status[i], weight.span()[i] / largest);
        status_numbers.span()[i] = static_cast<Index>(status[i]);
      }
      file.write_rows<double>("log_prob", first, log_prob.view().columns(0, count));
      file.write_rows<double>("z", first, z.view().columns(0, count));
      file.write_rows<Index>("status", first, status_numbers.view().columns(0, count));
      columns_.write(file, first, std::span(status).first(n));
      if (!stochastic()) return;
      file.write_rows<double>("log_prob_std_error", first, standard_error.view().columns(0, count));
      file.write_rows<Index>("repeats", first, repeats.view().columns(0, count));
    });
    const auto result = merged(comm_, sums).result();
    file.amend([&](const h5::GroupWriter& root) {
      root.attribute("mean_nll", result.mean);
      root.attribute("standard_error", result.standard_error);
    });
    apps::print_nll(program_.console(), "mean NLL", result, d, entropy);
    columns_.print(comm_, program_.console());
    if (stochastic()) repeat_count.print(comm_, program_.console(), "row", model_.log_det(), repeats_);
    if (result.failed > 0) {
      program_.console().message(
          "warning: rows that are not in the mean have a log_prob of NaN, or of −inf outside the support; /status "
          "says why");
    }
    return result.mean;
  }

  void evaluate_grid(h5::ResultFile& file) {
    const auto [x_axis, y_axis] = *axes_;
    const Index nx = x_axis.points;
    Matrix<double> x(2, nx), given(grid_context_->dimension(), nx);
    comm::agree(comm_, [&] {
      for (Index i = 0; i < nx; ++i) grid_context_->read(0, given.view().columns(i, 1));
    });
    std::vector<flow::Status> status(nx);
    std::vector<Index> repeats(status.size());
    const auto mine = comm::share(y_axis.points, comm_.rank(), comm_.size());
    Matrix<double> log_prob(nx, mine.count()), standard_error(nx, mine.count());
    RepeatCount repeat_count;
    double mass = 0;
    for (Index row = mine.first; row < mine.last; ++row) {
      for (Index i = 0; i < nx; ++i) {
        x(0, i) = x_axis.at(i);
        x(1, i) = y_axis.at(row);
      }
      const auto line = log_prob.view().column_span(row - mine.first);
      const flow::RepeatedLogProb result{
          line, standard_error.view().column_span(row - mine.first), repeats, status, {}};
      repeated_log_prob<T>(model_, {.x = x, .context = given, .draws = draws(first_grid_sample + row * nx)}, {},
                           repeats_, result, workspace_);
      repeat_count.add(result, repeats_);
      for (const double value : line) mass += std::exp(value);
    }
    file.write_rows<double>("grid/log_prob", mine.first, log_prob.view());
    if (stochastic()) file.write_rows<double>("grid/log_prob_std_error", mine.first, standard_error.view());
    mass = comm_.sum(mass) * (x_axis.at(1) - x_axis.at(0)) * (y_axis.at(1) - y_axis.at(0));
    program_.console().result("grid           {} × {} points, sum of p dx dy = {:.6f}", nx, y_axis.points, mass);
    if (stochastic()) repeat_count.print(comm_, program_.console(), "point", model_.log_det(), repeats_);
  }

  apps::Program& program_;
  const comm::Communicator& comm_;
  const Options& options_;
  const std::string& data_;
  std::optional<std::array<Axis, 2>> axes_;
  std::optional<apps::ContextSource> grid_context_;
  flow::RepeatOptions repeats_;
  flow::Model<T> model_;
  flow::FlowWorkspace<T> workspace_;
  apps::IntegrationColumns columns_;
};

template <class T>
void run(apps::Program& program, const Options& options, const std::string& model, const std::string& data) {
  Density<T>(program, options, model, data).run();
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Evaluates log p of each row of a dataset, or of the points of a grid, under a trained model, in nats and in the "
      "data's units. Log-dets are exact, or stochastic and repeated for each row until its standard error is small "
      "enough. Writes /log_prob, /z, /status and /grid; with a stochastic log-det also /log_prob_std_error and "
      "/repeats; for continuous flows also /log_prob_error and /evaluations.";
  return apps::run_program(argc, argv, "flow_density", summary, [](apps::Program& program) {
    Options options;
    std::string model, data;
    OptionSet keys;
    keys.add("output", options.output, "result file; .csv has the rows or the grid, .npy has their log p")
        .alias("output", "-o");
    keys.add("split", options.split, "rows of a dataset file to use", one_of({"train", "validation", "test"}));
    keys.add("context", options.context, apps::context_help);
    keys.add("grid", options.grid, "points \"x0:x1:n,y0:y1:n\" for a model of dimension 2");
    keys.add("precision", options.precision, "precision of the arithmetic", one_of({"float", "double"}));
    keys.add("method", options.method,
             "log-dets: exact, auto, or an estimator as trace+krylov:4; flow_logdet --help lists all");
    keys.add("standard_error", options.standard_error,
             "stochastic log-dets: intended standard error of each row's log p", more_than(0, "nats"))
        .alias("standard_error", "--standard-error");
    keys.add("max_repeats", options.max_repeats, "stochastic log-dets: largest number of evaluations of a row",
             at_least(flow::first_repeats))
        .alias("max_repeats", "--max-repeats");
    options.integration.add_sampler(keys);
    options.integration.add_tolerance(keys, "tolerance");
    options.integration.add_guidance(keys);
    keys.add("seed", options.seed, "seed of the draws of stochastic log-dets and of dequantization", at_least(0));
    program.cli().add_option("MODEL", model, "model file of flow_train")->required();
    program.cli().add_option("DATA", data, "dataset FILE.h5, or any numeric array FILE.h5:/PATH");
    program.add_options(keys, program.cli());
    if (!program.parse()) return;
    comm::agree(program.comm(), [&] {
      require<OptionError>(!data.empty() || !options.grid.empty(), "nothing to evaluate: give DATA, --grid or both");
      options.integration.require_effect_of_context(options.context);
      apps::require_result_name({"--output", options.output}, true);
      const bool is_table = options.output.ends_with(".csv") || options.output.ends_with(".npy");
      require<OptionError>(!is_table || data.empty() || options.grid.empty(),
                           "--output {}: a table holds the rows of DATA or the points of --grid, not both; choose a "
                           "name that ends with .h5",
                           options.output);
      if (program.comm().is_root()) {
        apps::check_outputs({{"--output", options.output}}, {{"MODEL", model}, {"DATA", data}});
      }
    });
    (options.precision == "float" ? run<float> : run<double>)(program, options, model, data);
  });
}
