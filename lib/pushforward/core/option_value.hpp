#pragma once

// The values that a configuration key can have, and their texts: as a flag on the command line and as TOML.

#include <pushforward/core/index.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pushforward {

/// A value; its alternative is its type.
using OptionValue =
    std::variant<bool, Index, double, std::string, std::vector<Index>, std::vector<double>, std::vector<std::string>>;

/// Where a value goes: a field of an option struct. Alternatives in the order of OptionValue.
using OptionTarget = std::variant<bool*, Index*, double*, std::string*, std::vector<Index>*, std::vector<double>*,
                                  std::vector<std::string>*>;

/// The value that a target has now.
OptionValue current_value(const OptionTarget& target);

/// The type as messages name it: "an integer", "a list of numbers".
std::string_view type_name(const OptionTarget& target);
std::string_view type_name(const OptionValue& value);

/// True for the types that hold several elements.
bool is_list(const OptionTarget& target);

/// The value that a flag's text means for this target; none where it is no value of the target's type. Lists are
/// separated by commas; truth is true, yes, on or 1, falsehood false, no, off or 0. NaN is no number.
std::optional<OptionValue> parse_value(const OptionTarget& target, std::string_view text);

/// The value as the target's type: an integer is also a number, and an empty list one of any type. None where the
/// types do not fit, and for NaN.
std::optional<OptionValue> convert_value(const OptionTarget& target, const OptionValue& value);

/// As a flag's text, which parse_value() reads back to the same value: 128,128.
std::string flag_text(const OptionValue& value);

/// As TOML, which reads back to the same value; numbers in the fewest digits that do: [128, 128], "text", 1.0, 1e-05.
std::string toml_text(const OptionValue& value);

}  // namespace pushforward
