// A program that does nothing but what all programs do, for the tests of apps/common: prints the options it was given,
// fails in a chosen way, or works for a while.

#include <cli/program.hpp>
#include <cli/progress.hpp>
#include <pushforward/core/error.hpp>

#include <map>
#include <thread>

namespace pushforward::test {

namespace {

struct Options {
  std::string file = "built-in";
  std::vector<double> fractions{0.8, 0.1, 0.1};
  std::vector<std::string> columns;
  std::vector<Index> hidden{48, 48};
  Index batch = 250;
  double learning_rate = 6e-3;
  std::string optimizer = "adam";
  bool reproducible = false;
  Index seed = 1;
};

void add_to(OptionSet& set, Options& options) {
  set.add("data.file", options.file, "input file")
      .alias("data.file", "--data")
      .add("data.fractions", options.fractions, "parts of the rows", between(0, 1))
      .add("data.columns", options.columns, "names of columns")
      .add("model.hidden", options.hidden, "widths of the hidden layers", at_least(1, "units"))
      .add("train.batch", options.batch,
           "rows of the global batch, of which each rank works on its share, whatever the number of ranks",
           at_least(1, "rows"))
      .add("train.learning_rate", options.learning_rate, "learning rate", more_than(0))
      .add("train.optimizer", options.optimizer, "optimizer", one_of({"adam", "adamw", "adamax"}))
      .add("train.reproducible", options.reproducible, "bit-identical on any number of ranks")
      .alias("train.reproducible", "--reproducible")
      .add("train.seed", options.seed, "seed of all random numbers", at_least(0))
      .alias("train.seed", "--seed");
}

// Throws what `kind` names.
void fail(const std::string& kind) {
  static const std::map<std::string, ErrorKind> kinds{
      {"option", ErrorKind::option}, {"data", ErrorKind::data},
      {"shape", ErrorKind::shape},   {"numerical", ErrorKind::numerical},
      {"io", ErrorKind::io},         {"mpi", ErrorKind::mpi},
      {"bug", ErrorKind::bug}};
  if (kind == "memory") throw std::bad_alloc();
  if (kind == "foreign") throw std::runtime_error("not one of ours");
  throw_error(kinds.at(kind), fmt::format("failed as asked: {}", kind));
}

void work(apps::Console& console, double seconds) {
  const Timer timer;
  apps::Progress progress(console, "steps", 1000);
  for (Index step = 0; timer.seconds() < seconds; ++step) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (progress.due()) progress.report(step + 1, "loss 3.5");
  }
}

void run(apps::Program& program) {
  Options options;
  OptionSet set;
  add_to(set, options);
  std::string model, everywhere, on_last;
  double seconds = 0;
  Index lines = 0;
  auto& cli = program.cli();
  cli.add_option("MODEL", model, "model file")->required();
  cli.add_option("--fail", everywhere, "kind of error that all ranks agree on");
  cli.add_option("--fail-last", on_last, "kind of error on the last rank alone, while the others wait");
  cli.add_option("--work", seconds, "duration of the work, s");
  cli.add_option("--lines", lines, "number of lines of results");
  program.add_options(set, cli, "CONFIG.toml,--config");
  if (!program.parse()) return;

  if (!everywhere.empty()) comm::agree(program.comm(), [&] { fail(everywhere); });
  if (!on_last.empty()) {
    if (program.comm().rank() == program.comm().size() - 1) fail(on_last);
    program.comm().barrier();
  }
  work(program.console(), seconds);
  for (Index line = 0; line < lines; ++line) program.console().result("line {}", line);
  program.console().message("dry run: {}", program.dry_run());
  program.console().result("model {}, batch {}, hidden {}, reproducible {}", model, options.batch,
                           fmt::join(options.hidden, " "), options.reproducible);
}

}  // namespace

}  // namespace pushforward::test

int main(int argc, char** argv) {
  return pushforward::apps::run_program(argc, argv, "probe", "Tests what all programs share.", pushforward::test::run);
}
