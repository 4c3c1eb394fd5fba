#pragma once

// The layout of --help.

#include <CLI/CLI.hpp>

#include <string>

namespace pushforward::apps {

/// Prints options one below the other, with their descriptions in a second column and the default in brackets. No line
/// is longer than 100 columns.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { label("SUBCOMMAND", "COMMAND"); }

 private:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace pushforward::apps
