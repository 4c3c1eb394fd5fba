#include <cli/program.hpp>

#include <cli/config_file.hpp>
#include <cli/help.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/core/version.hpp>
#include <pushforward/linalg/threads.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

namespace pushforward::apps {

namespace {

// Errors of the command line arise on all ranks alike.
template <class F>
void same_on_all_ranks(F&& body) {
  try {
    body();
  } catch (Error& error) {
    error.set_agreed();
    throw;
  }
}

// The products of a flow are too small for threads that wait for each other: ranks use the cores better.
void limit_blas_threads() {
  const bool chosen = std::getenv("OPENBLAS_NUM_THREADS") != nullptr || std::getenv("OMP_NUM_THREADS") != nullptr;
  if (!chosen) linalg::set_blas_threads(1);
}

int end_with(const Error& error, const std::string& name, const comm::Communicator& comm, Console& console) {
  const int code = static_cast<int>(exit_code(error.kind()));
  const bool is_bug = error.kind() == ErrorKind::bug;
  const std::string text =
      fmt::format("{}{}", error.what(), is_bug ? " (a fault of the program: please report it)" : "");
  if (error.agreed() || comm.size() == 1) {
    console.message("{}: {}", name, text);
    return code;
  }
  fmt::print(stderr, "{}: rank {} on {}: {}\n", name, comm.rank(), comm::host_name(), text);
  comm.abort(code);
}

}  // namespace

Program::Program(const comm::Communicator& comm, Console& console, const std::string& name, const std::string& summary,
                 std::vector<std::string> arguments)
    : comm_(comm), console_(console), cli_(summary, name), arguments_(std::move(arguments)) {
  cli_.formatter(std::make_shared<HelpFormatter>());
  cli_.set_help_flag("-h,--help", "print this help and stop");
  cli_.set_version_flag("--version", fmt::format("{} {}", name, version()), "print the version and stop");
  cli_.footer(
      "Exit codes: 0 done, 2 usage or configuration, 3 data, 4 numerical failure, 5 input or output,\n"
      "6 internal error, 7 stopped by request with a checkpoint, 8 a rank hangs.");
}

CLI::App& Program::add_command(const std::string& name, const std::string& summary) {
  cli_.require_subcommand(1);
  return *cli_.add_subcommand(name, summary)->group("Commands");
}

void Program::add_options(OptionSet& options, CLI::App& app, const std::string& config_names) {
  flags_.emplace_back(options, app, config_names);
}

bool Program::parse() {
  bool go_on = true;
  same_on_all_ranks([&] { go_on = parse_command_line(); });
  for (auto& flags : flags_) {
    if (!flags.is_called()) continue;
    if (!flags.config_path().empty()) read_config_file(flags);
    same_on_all_ranks([&] {
      flags.apply();
      flags.options().require_effect();
    });
    if (flags.print_config()) {
      console_.print(flags.options().to_toml());
      go_on = false;
    }
  }
  return go_on;
}

bool Program::dry_run() const {
  return std::any_of(flags_.begin(), flags_.end(), [](const auto& flags) { return flags.dry_run(); });
}

bool Program::parse_command_line() {
  auto arguments = explicit_switches();
  check_arguments(cli_, arguments);
  try {
    std::reverse(arguments.begin(), arguments.end());
    cli_.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    console_.print(cli_.help());
    return false;
  } catch (const CLI::CallForVersion& version) {
    console_.result("{}", version.what());
    return false;
  } catch (const CLI::RequiredError& error) {
    // --print-config needs no model and no data.
    const bool prints = std::any_of(flags_.begin(), flags_.end(), [](const auto& f) { return f.print_config(); });
    require<OptionError>(prints, "{}; see --help", error.what());
  } catch (const CLI::ParseError& error) {
    throw OptionError(fmt::format("{}; see --help", error.what()));
  }
  return true;
}

// Returns the arguments with "=true" after each switch without a value. Otherwise CLI11 would take the positional
// argument after a switch for its value.
std::vector<std::string> Program::explicit_switches() const {
  auto arguments = arguments_;
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const bool is_switch =
        std::any_of(flags_.begin(), flags_.end(), [&](const auto& flags) { return flags.is_switch(arguments[i]); });
    bool truth = false;
    const bool has_value = i + 1 < arguments.size() && parse_value(&truth, arguments[i + 1]).has_value();
    if (is_switch && !has_value) arguments[i] += "=true";
  }
  return arguments;
}

void Program::read_config_file(OptionFlags& flags) {
  std::string text;
  comm::agree(comm_, [&] {
    if (comm_.is_root()) text = read_text_file(flags.config_path());
  });
  comm_.broadcast(text);
  same_on_all_ranks([&] { read_config(flags.options(), text, flags.config_path()); });
}

int run_program(int argc, char** argv, const std::string& name, const std::string& summary,
                const std::function<void(Program&)>& body) {
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  const bool replaces_lines = owns_terminal();
  const comm::Environment environment(argc, argv);
  const auto world = comm::Communicator::world();
  Console console(world.is_root(), replaces_lines);
  try {
    limit_blas_threads();
    Program program(world, console, name, summary, {argv + 1, argv + argc});
    body(program);
    comm::agree(world, [&] { console.finish(); });
    return static_cast<int>(program.exit_code());
  } catch (const Error& error) {
    return end_with(error, name, world, console);
  } catch (const std::bad_alloc&) {
    return end_with(NumericalError("out of memory"), name, world, console);
  } catch (const std::exception& error) {
    return end_with(BugError(error.what()), name, world, console);
  }
}

}  // namespace pushforward::apps
