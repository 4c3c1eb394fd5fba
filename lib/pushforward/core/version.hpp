#pragma once

#include <string_view>

namespace pushforward {

/// "0.1.0".
std::string_view version();

}  // namespace pushforward
