// As probe.cpp, for a program with commands.

#include <cli/program.hpp>

namespace pushforward::test {

namespace {

void run(apps::Program& program) {
  Index rows = 1000;
  OptionSet make_options;
  make_options.add("rows", rows, "number of rows", at_least(1, "rows")).alias("rows", "-n");
  std::string name;
  auto& make = program.add_command("make", "Draws rows of a density.");
  make.add_option("NAME", name, "density")->required();
  program.add_options(make_options, make);

  std::string file;
  auto& info = program.add_command("info", "Describes a file.");
  info.add_option("FILE", file, "data file")->required();
  if (!program.parse()) return;

  if (make.parsed()) program.console().result("made {} rows of {}", rows, name);
  if (info.parsed()) program.console().result("about {}", file);
}

}  // namespace

}  // namespace pushforward::test

int main(int argc, char** argv) {
  return pushforward::apps::run_program(argc, argv, "probe_commands", "Tests what programs with commands share.",
                                        pushforward::test::run);
}
