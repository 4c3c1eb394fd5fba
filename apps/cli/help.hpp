#pragma once

// The look of --help.

#include <CLI/CLI.hpp>

#include <string>

namespace pushforward::apps {

/// Options one below the other, their descriptions in a second column with the default in brackets, no line beyond
/// 100 columns.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { label("SUBCOMMAND", "COMMAND"); }

 private:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace pushforward::apps
