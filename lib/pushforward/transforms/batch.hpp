#pragma once

// A batch is what a flow works on: samples together with everything that belongs to them.

#include <pushforward/linalg/matrix.hpp>
#include <pushforward/logdet/draws.hpp>

namespace pushforward::flow {

/// Samples with their contexts, weights and random numbers. A batch consists of views, so copying it is cheap. The
/// memory behind the views must outlive every use of the batch.
template <class T>
struct Batch {
  ConstMatrixView<T> x;          ///< (d × n) one sample per column
  ConstMatrixView<T> context{};  ///< (c × n) the values that each sample is conditioned on; empty if there are none
  std::span<const T> weight{};   ///< (n) weights ≥ 0; empty if all weights are 1
  logdet::Draws draws{};         ///< the row number of each sample, and the random numbers that passes may draw for it

  Index size() const { return x.cols(); }

  /// Returns samples [first, first + count) with their contexts, weights and draws.
  Batch part(Index first, Index count) const {
    return {x.columns(first, count), context.empty() ? context : context.columns(first, count),
            weight.empty() ? weight : weight.subspan(first, count), draws.from(first)};
  }
};

}  // namespace pushforward::flow
