// flow_density: log p of each row of a dataset, and on a grid.

#include <common/model_file.hpp>
#include <common/outputs.hpp>
#include <common/report.hpp>
#include <pushforward/data/dataset.hpp>
#include <pushforward/data/location.hpp>
#include <pushforward/h5/results.hpp>

#include <charconv>
#include <cmath>

namespace {

using namespace pushforward;

struct Options {
  std::string output = "density.h5";
  std::string split = "test";
  std::string grid;
  std::string precision = "double";
};

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

template <class V>
bool read_number(std::string_view& text, char end, V& value) {
  const auto stop = end == '\0' ? text.size() : text.find(end);
  if (stop == std::string_view::npos) return false;
  const auto [at, error] = std::from_chars(text.data(), text.data() + stop, value);
  if (error != std::errc() || at != text.data() + stop) return false;
  text.remove_prefix(end == '\0' ? stop : stop + 1);
  return true;
}

/// "x0:x1:n,y0:y1:n".
std::array<Axis, 2> parse_grid(std::string_view text) {
  std::array<Axis, 2> axes;
  std::string_view rest = text;
  bool good = true;
  for (std::size_t i = 0; i < 2; ++i) {
    Axis& a = axes[i];
    good = good && read_number(rest, ':', a.low) && read_number(rest, ':', a.high) &&
           read_number(rest, i == 0 ? ',' : '\0', a.points);
    good = good && std::isfinite(a.low) && a.low < a.high && std::isfinite(a.high) && a.points >= 2;
  }
  require<OptionError>(good,
                       "--grid '{}': must be \"x0:x1:n,y0:y1:n\" with x0 < x1, y0 < y1 and at least 2 points an axis, "
                       "as in \"-4:4:201,-4:4:201\"",
                       text);
  return axes;
}

template <class T>
class Density {
 public:
  Density(apps::Program& program, const Options& options, const std::string& model, const std::string& data)
      : program_(program),
        comm_(program.comm()),
        options_(options),
        data_(data),
        model_(apps::open_model<T>(program.comm(), model)),
        workspace_(flow::FlowWorkspace<T>::within(model_.flow(), apps::workspace_bytes, apps::workspace_samples,
                                                  nn::Purpose::evaluate)) {}

  void run() {
    const Index d = model_.dimension();
    comm::agree(comm_, [&] {
      if (options_.grid.empty()) return;
      axes_ = parse_grid(options_.grid);
      require<DataError>(d == 2, "--grid wants a model of dimension 2; this one has {}", d);
    });
    std::optional<data::Rows> rows;
    std::optional<double> entropy;
    std::vector<h5::RowArray> arrays;
    if (!data_.empty()) {
      comm::agree(comm_, [&] {
        rows.emplace(data::open_rows(data_, data::parse_split(options_.split)));
        require<DataError>(rows->dimension() == d, "{} has {} columns; the model has {}", rows->where(),
                           rows->dimension(), d);
        const auto file = h5::open_file(data::parse_location(data_).file);
        if (file.has_attribute("entropy")) entropy = file.attribute<double>("entropy");
      });
      const Index n = rows->count();
      arrays = {
          {"log_prob", h5::Element::real64, n, 0, {.units = "nat", .long_name = "log p of each row"}},
          {"z", h5::Element::real64, n, d, {.units = "1", .long_name = "latent of each row"}},
          {"status", h5::Element::integer64, n, 0, {.units = "", .long_name = "0 ok, 1 not finite, 3 not invertible"}}};
    }
    if (axes_) {
      arrays.push_back({"grid/log_prob",
                        h5::Element::real64,
                        (*axes_)[1].points,
                        (*axes_)[0].points,
                        {.units = "nat", .long_name = "log p at (x, y), (y, x)"}});
    }
    if (program_.dry_run()) {
      program_.console().result("would evaluate {} rows{} into {}", rows ? rows->count() : 0,
                                axes_ ? " and a grid" : "", options_.output);
      return;
    }
    h5::ResultFile file(comm_, options_.output, "pushforward-density", 1, arrays, [&](const h5::GroupWriter& root) {
      if (!axes_) return;
      root.write("grid/x", (*axes_)[0].values());
      root.write("grid/y", (*axes_)[1].values());
    });
    if (axes_) evaluate_grid(file);
    if (rows) evaluate_rows(file, *rows, entropy);
    file.commit();
    program_.console().result("wrote          {}", options_.output);
  }

 private:
  void evaluate_rows(h5::ResultFile& file, const data::Rows& rows, std::optional<double> entropy) {
    const Index d = model_.dimension();
    const Index most = std::min(apps::slab_rows, rows.count());
    Matrix<double> x(d, most), z(d, most), log_prob(1, most), weight(1, most);
    Matrix<Index> status_numbers(1, most);
    std::vector<flow::Status> status(static_cast<std::size_t>(most));
    train::NllSums sums;
    apps::StatusCount statuses;
    apps::in_shared_slabs(comm_, rows.count(), [&](Index first, Index count) {
      const auto n = static_cast<std::size_t>(count);
      comm::agree(comm_, [&] {
        rows.read_unchecked(first, x.view().columns(0, count));
        rows.read_weights(first, weight.span().first(n));
      });
      model_.log_prob(x.view().columns(0, count), log_prob.span().first(n), z.view().columns(0, count),
                      std::span(status).first(n), workspace_);
      for (std::size_t i = 0; i < n; ++i) {
        sums.add(log_prob.span()[i], status[i], weight.span()[i]);
        statuses.add(status[i]);
        status_numbers.span()[i] = static_cast<Index>(status[i]);
      }
      file.write_rows<double>("log_prob", first, log_prob.view().columns(0, count));
      file.write_rows<double>("z", first, z.view().columns(0, count));
      file.write_rows<Index>("status", first, status_numbers.view().columns(0, count));
    });
    comm_.sum(std::span<double>(sums.values));
    const auto result = sums.result();
    file.amend([&](const h5::GroupWriter& root) {
      root.attribute("mean_nll", result.nll);
      root.attribute("standard_error", result.standard_error);
    });
    apps::print_nll(program_.console(), "mean NLL", result, d, entropy);
    const auto failures = statuses.failures(comm_);
    if (!failures.empty()) {
      program_.console().message("warning: of {} rows: {}; their log_prob is NaN, and they do not count in the mean",
                                 rows.count(), failures);
    }
  }

  void evaluate_grid(h5::ResultFile& file) {
    const auto [x_axis, y_axis] = *axes_;
    const Index nx = x_axis.points;
    Matrix<double> x(2, nx);
    std::vector<flow::Status> status(static_cast<std::size_t>(nx));
    const auto mine = comm::share(y_axis.points, comm_.rank(), comm_.size());
    Matrix<double> log_prob(nx, mine.count());
    double mass = 0;
    for (Index row = mine.first; row < mine.last; ++row) {
      for (Index i = 0; i < nx; ++i) {
        x(0, i) = x_axis.at(i);
        x(1, i) = y_axis.at(row);
      }
      const auto line = log_prob.view().column_span(row - mine.first);
      model_.log_prob(x, line, {}, status, workspace_);
      for (const double value : line) mass += std::exp(value);
    }
    file.write_rows<double>("grid/log_prob", mine.first, log_prob.view());
    mass = comm_.sum(mass) * (x_axis.at(1) - x_axis.at(0)) * (y_axis.at(1) - y_axis.at(0));
    program_.console().result("grid           {} × {} points, sum of p dx dy = {:.6f}", nx, y_axis.points, mass);
  }

  apps::Program& program_;
  const comm::Communicator& comm_;
  const Options& options_;
  const std::string& data_;
  std::optional<std::array<Axis, 2>> axes_;
  flow::Model<T> model_;
  flow::FlowWorkspace<T> workspace_;
};

template <class T>
void run(apps::Program& program, const Options& options, const std::string& model, const std::string& data) {
  Density<T>(program, options, model, data).run();
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Evaluates log p of each row of a dataset, or of a grid of points, under a trained model: exact, in nats, in "
      "the data's units. Writes /log_prob, /z, /status, and /grid.";
  return apps::run_program(argc, argv, "flow_density", summary, [](apps::Program& program) {
    Options options;
    std::string model, data;
    OptionSet keys;
    keys.add("output", options.output, "result file").alias("output", "-o");
    keys.add("split", options.split, "which rows of a dataset file", one_of({"train", "validation", "test"}));
    keys.add("grid", options.grid, "points \"x0:x1:n,y0:y1:n\" for a model of dimension 2");
    keys.add("precision", options.precision, "arithmetic", one_of({"float", "double"}));
    program.cli().add_option("MODEL", model, "model file of flow_train")->required();
    program.cli().add_option("DATA", data, "dataset FILE.h5, or any numeric array FILE.h5:/PATH");
    program.add_options(keys, program.cli());
    if (!program.parse()) return;
    comm::agree(program.comm(), [&] {
      require<OptionError>(!data.empty() || !options.grid.empty(), "nothing to evaluate: give DATA, --grid or both");
      if (program.comm().is_root()) {
        apps::check_outputs({{"--output", options.output}}, {{"MODEL", model}, {"DATA", data}});
      }
    });
    (options.precision == "float" ? run<float> : run<double>)(program, options, model, data);
  });
}
