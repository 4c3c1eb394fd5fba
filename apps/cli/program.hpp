#pragma once

// The frame of all programs: the scope of MPI, the command line and the configuration file, exit codes, and the one
// place where errors end. A program looks like this:
//
//   int main(int argc, char** argv) {
//     return apps::run_program(argc, argv, "flow_train", "Trains a normalizing flow.", [](apps::Program& program) {
//       train::Options train;
//       OptionSet options;
//       options.add("train.batch", train.batch, "rows of the global batch", at_least(1, "rows"));
//       program.add_options(options, program.cli(), "CONFIG.toml,--config");
//       if (!program.parse()) return;
//       ...
//     });
//   }
//
// Positional arguments, and flags that are not configuration keys, are added with CLI11:
// program.cli().add_option("MODEL", …). A program with commands gives each its own set, whose keys without a table are
// plain flags ("rows" → --rows):
//
//   auto& make = program.add_command("make", "Draws rows of a built-in density.");
//   program.add_options(make_options, make);
//   if (!program.parse()) return;
//   if (make.parsed()) …

#include <cli/command_line.hpp>
#include <cli/console.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/option_set.hpp>

#include <CLI/CLI.hpp>

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace pushforward::apps {

class Program {
 public:
  Program(const comm::Communicator& comm, Console& console, const std::string& name, const std::string& summary,
          std::vector<std::string> arguments);

  /// The communicator of all ranks of the job.
  const comm::Communicator& comm() const { return comm_; }
  Console& console() { return console_; }

  /// The command line, for positional arguments and flags of the program's own.
  CLI::App& cli() { return cli_; }
  /// A command, as in `flow_data make`. A program that has commands must be called with one of them.
  CLI::App& add_command(const std::string& name, const std::string& summary);
  /// Makes the keys of `options` flags of the program (`app` = cli()) or of one of its commands, and keys of the
  /// configuration file that `config_names` names. The set must have all its keys by now, and must outlive the
  /// program's parse(). Call it at most once for each app.
  void add_options(OptionSet& options, CLI::App& app, const std::string& config_names = "--config");

  /// Reads the command line and the configuration file: defaults < file < flags. Returns false if the request has been
  /// answered (--help, --version, --print-config) and the program should return. The file is read on rank 0 only.
  /// Throws OptionError or IoError, the same on all ranks. Collective.
  bool parse();

  /// The code with which the program ends unless there is an error.
  void set_exit_code(ExitCode code) { exit_code_ = code; }
  ExitCode exit_code() const { return exit_code_; }

  /// Returns whether --dry-run was given. Call it after parse().
  bool dry_run() const;

 private:
  bool parse_command_line();
  std::vector<std::string> explicit_switches() const;
  void read_config_file(OptionFlags& flags);

  const comm::Communicator& comm_;
  Console& console_;
  CLI::App cli_;
  std::vector<std::string> arguments_;
  std::deque<OptionFlags> flags_;
  ExitCode exit_code_ = ExitCode::done;
};

/// Runs `body` in the scope of MPI, under mpirun or not, and returns the exit code for main, the same on all ranks.
///
/// Every exception ends here. An error that all ranks agree on is printed once, by rank 0. An error of a single rank is
/// printed by that rank, with its number and host, and ends the whole job. Full disks are errors, too,
/// and not signals. If standard output could not be written, a program that succeeded otherwise ends with ExitCode::io.
/// BLAS runs one thread in each rank, unless OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says otherwise.
int run_program(int argc, char** argv, const std::string& name, const std::string& summary,
                const std::function<void(Program&)>& body);

}  // namespace pushforward::apps
