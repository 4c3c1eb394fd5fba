#include <pushforward/core/error.hpp>
#include <pushforward/random/stream.hpp>

#include <Random123/philox.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pushforward::random {

Stream::Stream(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint64_t sample, std::uint64_t probe)
    : key_{seed, static_cast<std::uint64_t>(purpose)}, counter_{0, probe, sample, step} {}

namespace {

// The next four numbers.
inline std::array<std::uint64_t, 4> next_block(const std::array<std::uint64_t, 2>& key,
                                               std::array<std::uint64_t, 4>& counter) {
  const auto out = r123::Philox4x64()({{counter[0], counter[1], counter[2], counter[3]}}, {{key[0], key[1]}});
  ++counter[0];
  return {out[0], out[1], out[2], out[3]};
}

inline double sign_of(std::uint64_t bits) {
  return (bits >> 63) != 0 ? 1.0 : -1.0;
}

}  // namespace

std::uint64_t Stream::bits() {
  if (used_ == block_.size()) {
    block_ = next_block(key_, counter_);
    used_ = 0;
  }
  return block_[used_++];
}

double Stream::uniform() {
  return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52;
}

double Stream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2 * std::log(uniform()));
  const double angle = 2 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

double Stream::gamma(double shape) {
  require<OptionError>(shape > 0, "Stream::gamma: shape = {} must be positive", shape);
  // A draw of shape + 1 times U^{1/shape} is one of shape.
  const double boost = shape < 1 ? std::pow(uniform(), 1 / shape) : 1;
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = normal(), root = 1 + c * x, v = root * root * root;
    if (root > 0 && std::log(uniform()) < 0.5 * x * x + d * (1 - v + std::log(v))) return boost * d * v;
  }
}

double Stream::rademacher() {
  return sign_of(bits());
}

template <class T>
void Stream::rademacher(std::span<T> signs) {
  std::size_t i = 0;
  while (i < signs.size() && used_ < block_.size()) signs[i++] = static_cast<T>(rademacher());
  for (; i + block_.size() <= signs.size(); i += block_.size()) {
    const auto block = next_block(key_, counter_);
    for (std::size_t j = 0; j < block.size(); ++j) signs[i + j] = static_cast<T>(sign_of(block[j]));
  }
  while (i < signs.size()) signs[i++] = static_cast<T>(rademacher());
}

template void Stream::rademacher(std::span<float>);
template void Stream::rademacher(std::span<double>);

std::uint64_t Stream::below(std::uint64_t n) {
  require<ShapeError>(n >= 1, "Stream::below: n = {} must be at least 1", n);
  const std::uint64_t excess = (0 - n) % n;  // 2^64 mod n values at the low end would be drawn too often
  std::uint64_t b = bits();
  while (b < excess) b = bits();
  return b % n;
}

Permutation::Permutation(std::uint64_t seed, Purpose purpose, std::uint64_t step, Index n) : n_(n), half_bits_(1) {
  require<ShapeError>(n >= 1, "Permutation: n = {} must be at least 1", n);
  while ((Index{1} << (2 * half_bits_)) < n) ++half_bits_;
  Stream stream(seed, purpose, step);
  for (auto& k : keys_) k = stream.bits();
}

inline std::uint64_t Permutation::mixed(std::uint64_t x) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = x >> half_bits_, right = x & mask;
  for (const auto key : keys_) {
    std::uint64_t f = right + key;  // the finaliser of SplitMix64 as round function
    f = (f ^ (f >> 30)) * 0xbf58476d1ce4e5b9U;
    f = (f ^ (f >> 27)) * 0x94d049bb133111ebU;
    f ^= f >> 31;
    const std::uint64_t next = left ^ (f & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

Index Permutation::operator()(Index i) const {
  auto x = static_cast<std::uint64_t>(i);
  do {
    x = mixed(x);
  } while (x >= static_cast<std::uint64_t>(n_));
  return static_cast<Index>(x);
}

// One number is a chain of multiplications, each of which waits for the one before it. Several numbers fill these
// waits.
void Permutation::images(Index first, std::span<Index> images) const {
  constexpr std::size_t most = 256;
  std::array<std::uint64_t, most> x{};
  std::array<std::size_t, most> place{};  // of these numbers in the block
  for (std::size_t begin = 0; begin < images.size(); begin += most) {
    std::size_t count = std::min(most, images.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      x[i] = static_cast<std::uint64_t>(first) + begin + i;
      place[i] = i;
    }
    while (count > 0) {
      for (std::size_t i = 0; i < count; ++i) x[i] = mixed(x[i]);
      // Numbers outside of [0, n) go through the network again.
      std::size_t left = 0;
      for (std::size_t i = 0; i < count; ++i) {
        images[begin + place[i]] = static_cast<Index>(x[i]);
        x[left] = x[i];
        place[left] = place[i];
        if (x[i] >= static_cast<std::uint64_t>(n_)) ++left;
      }
      count = left;
    }
  }
}

BatchOrder::BatchOrder(std::uint64_t seed, Index rows, Index batch) : seed_(seed), rows_(rows), batch_(batch) {
  require<ShapeError>(rows >= 1 && batch >= 1, "BatchOrder: rows = {} and batch = {} must be at least 1", rows, batch);
}

void BatchOrder::rows(Index step, Index first, std::span<Index> rows) const {
  Index at = step * batch_ + first;
  while (!rows.empty()) {
    const Index epoch = at / rows_, in_epoch = at % rows_;
    const Index count = std::min(std::ssize(rows), rows_ - in_epoch);
    const Permutation order(seed_, Purpose::batches, static_cast<std::uint64_t>(epoch), rows_);
    order.images(in_epoch, rows.first(count));
    rows = rows.subspan(count);
    at += count;
  }
}

}  // namespace pushforward::random
