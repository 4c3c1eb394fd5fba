#include "case.hpp"

#include <pushforward/core/text.hpp>

#include <algorithm>

namespace pushforward::bench {

std::vector<Case> select_cases(std::vector<Case> cases, const std::vector<std::string>& names) {
  if (names.empty()) return cases;
  const auto stands_for = [](const std::string& name, const Case& c) {
    return c.name == name || c.name.starts_with(name + ".");
  };
  std::vector<std::string> all;
  for (const auto& c : cases) all.push_back(c.name);
  for (const auto& name : names) {
    const bool known = std::any_of(cases.begin(), cases.end(), [&](const Case& c) { return stands_for(name, c); });
    require<OptionError>(known, "case '{}' is unknown{}; see --list", name, suggestion(name, all));
  }
  std::erase_if(cases, [&](const Case& c) {
    return std::none_of(names.begin(), names.end(), [&](const auto& name) { return stands_for(name, c); });
  });
  return cases;
}

}  // namespace pushforward::bench
