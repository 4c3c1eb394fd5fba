#pragma once

#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::test {

/// For BOOST_CHECK_EXCEPTION: holds when the message has all these parts.
inline auto says(std::vector<std::string> parts) {
  return [parts = std::move(parts)](const std::exception& error) {
    for (const auto& part : parts) {
      if (std::string_view(error.what()).find(part) != std::string_view::npos) continue;
      BOOST_TEST_MESSAGE("\"" << error.what() << "\" does not say \"" << part << "\"");
      return false;
    }
    return true;
  };
}

}  // namespace pushforward::test
