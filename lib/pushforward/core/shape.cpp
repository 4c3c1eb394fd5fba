#include <pushforward/core/shape.hpp>

#include <fmt/format.h>

namespace pushforward {

std::string to_string(const Shape& shape) {
  return shape.is_image() ? fmt::format("{}×{}×{}", shape.height, shape.width, shape.channels)
                          : fmt::format("{}", shape.channels);
}

}  // namespace pushforward
