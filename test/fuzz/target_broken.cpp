// The twin of all targets: a reader that does wrong as the first letter says. The driver must notice.

#include "target.hpp"

#include <csignal>
#include <stdexcept>
#include <vector>

namespace pushforward::fuzz {
const Target target{};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  fuzz::accepts([&] {
    const char letter = size > 0 ? static_cast<char>(data[0]) : '\0';
    if (letter == 'e') throw DataError("an exception of ours, which is right");
    if (letter == 'b') throw BugError("a mistake of ours");
    if (letter == 'x') throw std::length_error("an exception of others");
    if (letter == 'm') std::vector<char>(2 * fuzz::target.floor).at(size) = letter;
    if (letter == 's') std::raise(SIGSEGV);
    if (letter == 'd') fuzz::require_undamaged(data, size);
  });
  return 0;
}
