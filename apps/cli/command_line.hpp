#pragma once

// Flags from option sets, on top of CLI11.

#include <pushforward/core/option_set.hpp>

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

namespace pushforward::apps {

/// The keys of an option set as flags of a program or of one of its commands: "--train.batch" for train.batch, and the
/// aliases, grouped by table in the help. Adds --config, --print-config and --dry-run. The values that are given are
/// kept and applied after the configuration file.
class OptionFlags {
 public:
  /// `config_names`: CLI11's names of the configuration file, "--config" or with a positional "CONFIG.toml,--config".
  /// `options` and `app` must outlive the object, which must stay where it is.
  OptionFlags(OptionSet& options, CLI::App& app, const std::string& config_names);
  OptionFlags(const OptionFlags&) = delete;
  OptionFlags& operator=(const OptionFlags&) = delete;

  /// Returns true if the program or command was called.
  bool is_called() const { return app_.parsed(); }
  OptionSet& options() { return options_; }
  const std::string& config_path() const { return config_path_; }
  bool print_config() const { return print_config_; }
  bool dry_run() const { return dry_run_; }
  /// Sets the fields of the flags that were given, in the order of the command line. Throws OptionError.
  void apply();
  /// Returns true for a switch: a flag whose value may be left out, which then means true.
  bool is_switch(const std::string& flag) const;

 private:
  void add_flag(const OptionEntry& entry);

  OptionSet& options_;
  CLI::App& app_;
  std::string config_path_;
  bool print_config_ = false;
  bool dry_run_ = false;
  std::vector<std::pair<std::string, std::string>> given_;  // key and text
};

/// Throws OptionError for arguments that CLI11 would misunderstand: an unknown flag or command (naming the nearest),
/// and a flag in the place where the value of the flag before it is missing. `arguments` do not include the program's
/// name.
void check_arguments(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace pushforward::apps
