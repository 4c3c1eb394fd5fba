#pragma once

// One block of memory, planned once and handed out in pieces, so that a training step allocates nothing.
//
// The same code that carves the pieces also measures them: run it on a default-constructed Workspace, which only
// counts, read peak(), and run it again on a Workspace of that size.

#include <pushforward/linalg/matrix.hpp>

#include <algorithm>

namespace pushforward::linalg {

class Workspace {
 public:
  /// Counts only: take() returns null pointers.
  Workspace() = default;
  /// Owns `bytes` of memory, not initialized.
  explicit Workspace(Index bytes) : memory_(allocate_aligned<std::byte>(bytes)), bytes_(bytes) {}

  /// n elements, aligned to a cache line. Throws BugError when the plan that sized the workspace was too small.
  template <class T>
  std::span<T> take(Index n) {
    constexpr Index line = 64;
    const Index begin = used_;
    used_ += (n * static_cast<Index>(sizeof(T)) + line - 1) / line * line;
    peak_ = std::max(peak_, used_);
    if (memory_ == nullptr) return {static_cast<T*>(nullptr), static_cast<std::size_t>(0)};
    require<BugError>(used_ <= bytes_, "workspace of {} bytes is too small: {} are asked for", bytes_, used_);
    return {reinterpret_cast<T*>(memory_.get() + begin), static_cast<std::size_t>(n)};
  }
  template <class T>
  MatrixView<T> matrix(Index rows, Index cols) {
    return {take<T>(rows * cols).data(), rows, cols};
  }

  /// Bytes in use; release(mark) gives back all that was taken since mark = used().
  Index used() const { return used_; }
  void release(Index mark) { used_ = mark; }
  /// The largest number of bytes that were ever in use.
  Index peak() const { return peak_; }

 private:
  std::unique_ptr<std::byte[], FreeMemory> memory_;
  Index bytes_ = 0;
  Index used_ = 0;
  Index peak_ = 0;
};

/// Returns the largest n in [1, most] for which fits(n) holds, or 1 if there is none. If n fits, every smaller number
/// must fit as well. Cost: a bisection.
template <class F>
Index largest_that_fits(Index most, F&& fits) {
  Index known = 1, beyond = std::max<Index>(most, 1) + 1;
  while (beyond - known > 1) {
    const Index middle = known + (beyond - known) / 2;
    (fits(middle) ? known : beyond) = middle;
  }
  return known;
}

}  // namespace pushforward::linalg
