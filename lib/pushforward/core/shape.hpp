#pragma once

#include <pushforward/core/index.hpp>

#include <string>

namespace pushforward {

/// The arrangement of a sample's values: height × width pixels with `channels` values each. In memory the channel
/// varies fastest, then the column, then the row, as in an (N, height, width, channels) array in C order. A vector of d
/// values is one pixel with d channels.
struct Shape {
  Index height = 1;
  Index width = 1;
  Index channels = 1;

  static constexpr Shape vector(Index d) { return {1, 1, d}; }

  constexpr Index pixels() const { return height * width; }
  constexpr Index size() const { return pixels() * channels; }
  constexpr bool is_image() const { return pixels() > 1; }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

/// "64" for a vector, "8×8×1" for an image.
std::string to_string(const Shape& shape);

}  // namespace pushforward
