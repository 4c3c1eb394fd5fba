#pragma once

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward {

/// The names of the values 0, 1, … of an enumeration.
template <class Enum>
class NameTable {
 public:
  /// noun: what a value is, for messages. names: in the order of the values.
  NameTable(std::string noun, std::vector<std::string> names) : noun_(std::move(noun)), names_(std::move(names)) {}

  const std::vector<std::string>& names() const { return names_; }
  const std::string& name(Enum value) const { return names_[static_cast<std::size_t>(value)]; }

  /// Returns the value of that name. Throws OptionError with a suggestion and all names if there is none.
  Enum value(std::string_view name) const {
    const auto found = std::ranges::find(names_, name);
    require<OptionError>(found != names_.end(), "{} '{}' is unknown{}; there are {}", noun_, name,
                         suggestion(name, names_), join(names_));
    return static_cast<Enum>(found - names_.begin());
  }

 private:
  std::string noun_;
  std::vector<std::string> names_;
};

}  // namespace pushforward
