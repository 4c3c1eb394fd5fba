#include <pushforward/core/version.hpp>

namespace pushforward {

std::string_view version() {
  return PUSHFORWARD_VERSION;
}

}  // namespace pushforward
