#include <pushforward/table/table.hpp>

#include <fmt/format.h>

namespace pushforward::data {

std::vector<std::string> default_names(Index d, char letter) {
  std::vector<std::string> names;
  for (Index i = 1; i <= d; ++i) names.push_back(fmt::format("{}{}", letter, i));
  return names;
}

}  // namespace pushforward::data
