#pragma once

// A registry of configuration keys, each bound to a field of a plain option struct:
//
//   OptionSet options;
//   options.add("train.batch", train.batch, "rows of the global batch", at_least(1, "rows"))
//       .add("train.optimizer", train.optimizer, "optimizer", one_of({"adam", "adamw", "adamax"}))
//       .add("train.seed", train.seed, "seed of all random numbers")
//       .alias("train.seed", "--seed");
//   options.set_text("train.batch", "250", "flag --train.batch");
//
// The defaults are what the fields hold when they are added. The fields must outlive the set.

#include <pushforward/core/option_value.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward {

/// Which values are allowed. Of a list, every element is held against the rule. An empty function allows everything.
/// `text` completes "must be …" and stands in the help.
struct OptionRule {
  std::string text;
  std::function<bool(double)> number;
  std::function<bool(std::string_view)> word;
};

/// value ≥ low. `unit` is shown in parentheses: "at least 1 (rows)".
OptionRule at_least(double low, std::string_view unit = "");
/// value > low.
OptionRule more_than(double low, std::string_view unit = "");
/// low ≤ value ≤ high.
OptionRule between(double low, double high, std::string_view unit = "");
/// low < value < high.
OptionRule strictly_between(double low, double high, std::string_view unit = "");
/// low ≤ value < high.
OptionRule from_to_below(double low, double high, std::string_view unit = "");
/// One of these words.
OptionRule one_of(std::vector<std::string> words);

/// When an option has an effect: if another key, whose value is a word, has an effect itself and has one of these
/// values. An empty key: always.
struct OptionUse {
  std::string key{};
  std::vector<std::string> values{};
};

/// A key with its field. `aliases` are further flags that mean the same, with their dashes: "--seed", "-n".
struct OptionEntry {
  std::string key;
  OptionTarget target;
  std::string help;
  OptionRule rule;
  OptionValue default_value;
  std::vector<std::string> aliases;
  OptionUse use{};
  bool is_set = false;  ///< whether a file or a flag gave the key a value
};

class OptionSet;

/// A list of tables, [[key]] in TOML. Each has the key `kind`, a word that says which other keys it has.
struct OptionTables {
  std::string key;
  std::string help;
  /// Forgets the tables that there are.
  std::function<void()> clear;
  /// Appends one of this kind, with default values; the set is good until the next call. Throws OptionError for an
  /// unknown kind.
  std::function<OptionSet(std::string_view kind)> append;
  /// The kinds and keys of those that there are.
  std::function<std::vector<std::pair<std::string, OptionSet>>()> all;
};

class OptionSet {
 public:
  /// Binds `key` ("table.name", or "name" outside any table) to `target`: bool, Index, double, std::string, or a
  /// std::vector of Index, double or std::string. `help`: one line, with the unit. Throws BugError for a key that is
  /// there already.
  template <class T>
  OptionSet& add(std::string key, T& target, std::string help, OptionRule rule = {}) {
    return add_entry({std::move(key), &target, std::move(help), std::move(rule), target, {}});
  }
  /// An entry as it is. Throws BugError for a key that is there already.
  OptionSet& add_entry(OptionEntry entry);
  /// All keys of another set, as "table.key".
  OptionSet& add_table(std::string_view table, const OptionSet& keys);
  /// All keys of another set, as they are.
  OptionSet& add_all(const OptionSet& keys);
  /// All keys of the options of one kind. They have an effect only if `key`, which was added before, has the value
  /// `kind`, and their help begins with it. Throws OptionError for a key that another kind has.
  OptionSet& add_kind(std::string_view key, std::string_view kind, const OptionSet& keys);
  /// `key` has an effect only if `other` has one of these values. Throws OptionError for an unknown key.
  OptionSet& only_with(std::string_view key, std::string_view other, std::vector<std::string> values);
  /// Another flag for a key that was added. Throws OptionError for an unknown key.
  OptionSet& alias(std::string_view key, std::string flag);

  /// A list of tables, after all keys in what to_toml() gives. A document that has the list replaces the one there was.
  OptionSet& add_tables(OptionTables tables);
  /// The list of tables with this key, or none.
  const OptionTables* tables(std::string_view key) const;

  /// Gives the key's field the value. `source` says where it comes from ("flag --train.batch", "run.toml, line 12")
  /// and begins the message. Throws OptionError, and leaves the field as it was, for an unknown key (naming the
  /// nearest), a value of another type or one against the rule.
  void set(std::string_view key, const OptionValue& value, std::string_view source);
  /// The same from the text of a flag.
  void set_text(std::string_view key, std::string_view text, std::string_view source);

  /// True if the present value of the key that decides it gives this option an effect.
  bool has_effect(const OptionEntry& entry) const;
  /// Throws OptionError for a key that was set and has no effect. A source that is not empty begins the message.
  void require_effect(std::string_view source = "") const;
  /// Forgets that keys of a table ("" for those outside tables) were set to their default values, if all keys of the
  /// table were set: it is a printed configuration, which holds every key, also those without effect.
  void accept_printed(std::string_view table);

  const std::vector<OptionEntry>& entries() const { return entries_; }
  /// The entry of a key. Throws OptionError, which begins with `source`, for an unknown key, naming the nearest.
  const OptionEntry& at(std::string_view key, std::string_view source) const { return entries_[position(key, source)]; }
  std::vector<std::string> keys() const;

  /// All keys with their present values as a TOML document, by tables in the order of their first keys, the help as
  /// comments. Read back, it gives the same values exactly.
  std::string to_toml() const;

 private:
  std::size_t position(std::string_view key, std::string_view source) const;

  std::vector<OptionEntry> entries_;
  std::vector<OptionTables> tables_;
};

/// The table of a key: "train" of "train.batch", "" of "seed".
std::string_view table_of(std::string_view key);

/// The help of a key as one text: "rows of the global batch; at least 1 (rows)".
std::string help_text(const OptionEntry& entry);

}  // namespace pushforward
