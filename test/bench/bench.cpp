// bench: times what the library does, each case only after its result has been held against a reference.

#include "report.hpp"
#include "shape_case.hpp"

#include <cli/program.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>
#include <iterator>

namespace {

using namespace pushforward;

std::vector<bench::Case> all_cases() {
  auto all = bench::flow_cases();
  for (auto more : {bench::kernel_cases(), bench::coupling_cases(), bench::system_cases(), bench::overlap_cases()}) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }
  return all;
}

struct Options {
  std::vector<std::string> names;
  std::string shape;
  Index blocks = 10;
  bench::FlowCase step;
  std::vector<std::string> save;
  std::string csv;
  double seconds = 1;
  bool tiny = false;
  bool list = false;
  bool phases = false;
};

// The cases that are asked for.
std::vector<bench::Case> chosen_cases(const Options& options) {
  if (options.shape.empty()) return bench::select_cases(all_cases(), options.names);
  require<OptionError>(options.names.empty(), "--shape: is a case of its own, beside which no other is run");
  auto step = options.step;
  step.shape = bench::parse_shape(options.shape, options.blocks);
  return {bench::shape_case(step)};
}

void list_cases(apps::Console& console, const std::vector<std::string>& names) {
  for (const auto& c : bench::select_cases(all_cases(), names)) {
    console.result("{:<32} {:<8} {}", c.name, c.save ? "PyTorch" : "-", c.summary);
  }
}

void save_case(const bench::Session& session, const std::string& name, const std::string& path) {
  require<OptionError>(session.comm.size() == 1, "--save: works on one rank, not on {}", session.comm.size());
  const auto cases = bench::select_cases(all_cases(), {name});
  require<OptionError>(cases.size() == 1 && cases[0].save, "--save {}: the PyTorch baseline has no such case", name);
  cases[0].save(session, path);
}

void run_cases(apps::Program& program, const bench::Session& session, const Options& options) {
  auto& console = program.console();
  const auto cases = chosen_cases(options);
  console.result("{}", bench::machine_line(session));
  console.result("{}", bench::table_header());
  for (const auto& c : cases) {
    std::vector<std::string> rows;
    for (const auto& result : c.run(session)) {
      console.result("{}", bench::table_row(c, result));
      if (options.phases) {
        for (const auto& row : bench::phase_rows(result)) console.result("{}", row);
      }
      rows.push_back(bench::csv_row(session, c, result, utc_now()));
    }
    comm::agree(session.comm, [&] {
      if (!options.csv.empty() && session.comm.is_root()) bench::append_csv(options.csv, rows);
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Times training steps, densities, samples, kernels, all-reduce and files: best and median of repeats, operations "
      "counted, and the share of the bound that gemm sets at the same shapes in the same run. A result is held against "
      "a reference before it is timed.";
  return apps::run_program(argc, argv, "bench", summary, [](apps::Program& program) {
    Options options;
    auto& cli = program.cli();
    cli.add_option("CASE", options.names, "cases, or what their names begin with; all without any");
    cli.add_option("--shape", options.shape,
                   "instead of cases: a training step of blocks of this shape, as 43-128-128-43");
    cli.add_option("--blocks", options.blocks, "of --shape: blocks")->capture_default_str()->check(CLI::PositiveNumber);
    cli.add_option("--rows", options.step.rows, "of --shape: rows of the batch")->capture_default_str();
    cli.add_option("--method", options.step.method, "of --shape: estimator of log-dets")->capture_default_str();
    cli.add_option("--precision", options.step.precision, "of --shape")
        ->capture_default_str()
        ->check(CLI::IsMember({"float", "double"}));
    cli.add_flag("--list", options.list, "list the cases, and which PyTorch has, and stop");
    cli.add_option("--seconds", options.seconds, "time for the repeats of each case")->check(CLI::NonNegativeNumber);
    cli.add_flag("--tiny", options.tiny, "smallest sizes, two repeats: whether it works, not how fast");
    cli.add_flag("--phases", options.phases, "print where the time of each case goes");
    cli.add_option("--csv", options.csv, "file to which results are appended");
    cli.add_option("--save", options.save, "CASE FILE.h5: write a case for torch_baseline.py and stop")->expected(2);
    if (!program.parse()) return;
    if (options.list) return list_cases(program.console(), options.names);
    const bench::Session session{program.comm(), options.seconds, options.tiny};
    if (options.save.empty()) return run_cases(program, session, options);
    comm::agree(program.comm(), [&] { save_case(session, options.save[0], options.save[1]); });
  });
}
