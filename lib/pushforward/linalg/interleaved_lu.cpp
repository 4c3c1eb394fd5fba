#include <pushforward/linalg/interleaved_lu.hpp>

#include <xsimd/xsimd.hpp>

#include <array>
#include <cmath>
#include <limits>

namespace pushforward::linalg {

namespace {

constexpr Index panel = 4;  // columns that are eliminated before the rest of the matrix is brought up to date
constexpr Index right_hand_sides = 4;

/// Matrices of order d, one per lane, column-major.
template <class T>
class Group {
 public:
  using B = xsimd::batch<T>;
  static constexpr Index lanes = static_cast<Index>(B::size);

  Group(T* memory, Index d) : memory_(memory), d_(d) {}

  Index order() const { return d_; }
  T* at(Index r, Index c) const { return memory_ + (c * d_ + r) * lanes; }
  B load(Index r, Index c) const { return B::load_aligned(at(r, c)); }
  void store(Index r, Index c, const B& value) const { value.store_aligned(at(r, c)); }

  /// Matrices [first, first + count) of a stack; identities in the lanes beyond.
  void fill(ConstMatrixView<T> stack, Index first, Index count) const {
    for (Index w = 0; w < lanes; ++w) {
      for (Index c = 0; c < d_; ++c) {
        T* const to = at(0, c) + w;
        if (w < count) {
          const T* const from = stack.column((first + w) * d_ + c);
          for (Index r = 0; r < d_; ++r) to[r * lanes] = from[r];
        } else {
          for (Index r = 0; r < d_; ++r) to[r * lanes] = r == c ? T(1) : T(0);
        }
      }
    }
  }

  void swap_rows(Index lane, Index r, Index s) const {
    for (Index c = 0; c < d_; ++c) std::swap(at(r, c)[lane], at(s, c)[lane]);
  }

 private:
  T* memory_;
  Index d_;
};

template <class T>
using Memory = std::array<T, static_cast<std::size_t>(interleaved_order* interleaved_order* Group<T>::lanes)>;

// Chooses the pivots of column k, exchanges the rows, divides by the pivot. pivots: (lanes) out, from 0.
template <class T>
void eliminate_column(const Group<T>& a, Index k, std::span<T> pivots) {
  using B = typename Group<T>::B;
  const Index d = a.order();
  B best = xsimd::abs(a.load(k, k)), place(static_cast<T>(k));
  for (Index r = k + 1; r < d; ++r) {
    const B size = xsimd::abs(a.load(r, k));
    const auto larger = size > best;
    best = xsimd::select(larger, size, best);
    place = xsimd::select(larger, B(static_cast<T>(r)), place);
  }
  place.store_unaligned(pivots.data());
  if (xsimd::any(place != B(static_cast<T>(k)))) {
    for (Index w = 0; w < Group<T>::lanes; ++w) {
      const auto row = static_cast<Index>(pivots[static_cast<std::size_t>(w)]);
      if (row != k) a.swap_rows(w, k, row);
    }
  }
  const B pivot = a.load(k, k);
  const B factor = B(1) / xsimd::select(pivot == B(0), B(1), pivot);
  for (Index r = k + 1; r < d; ++r) a.store(r, k, factor * a.load(r, k));
}

// a(r…, c…) −= Σₖ l(r…, k) u(k, c…), k in [from, to), for a block of rows and columns that registers hold.
template <Index rows, Index cols, class T>
void subtract_block(const Group<T>& a, Index r, Index c, Index from, Index to) {
  using B = typename Group<T>::B;
  std::array<B, static_cast<std::size_t>(rows * cols)> sum;
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) sum[static_cast<std::size_t>(j * rows + i)] = a.load(r + i, c + j);
  }
  for (Index k = from; k < to; ++k) {
    for (Index j = 0; j < cols; ++j) {
      const B u = a.load(k, c + j);
      for (Index i = 0; i < rows; ++i) {
        auto& s = sum[static_cast<std::size_t>(j * rows + i)];
        s = xsimd::fnma(a.load(r + i, k), u, s);
      }
    }
  }
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) a.store(r + i, c + j, sum[static_cast<std::size_t>(j * rows + i)]);
  }
}

template <Index cols, class T>
void subtract_columns(const Group<T>& a, Index c, Index from, Index to) {
  Index r = to;
  for (; r + 4 <= a.order(); r += 4) subtract_block<4, cols>(a, r, c, from, to);
  for (; r < a.order(); ++r) subtract_block<1, cols>(a, r, c, from, to);
}

// Right-looking, panel by panel. pivots: (lanes) each of `order` columns.
template <class T>
void factor(const Group<T>& a, std::span<T> pivots) {
  const Index d = a.order();
  for (Index from = 0; from < d; from += panel) {
    const Index to = std::min(from + panel, d);
    for (Index k = from; k < to; ++k) {
      eliminate_column(a, k, pivots.subspan(static_cast<std::size_t>(k * Group<T>::lanes)));
      for (Index c = k + 1; c < to; ++c) {
        for (Index r = k + 1; r < d; ++r) subtract_block<1, 1>(a, r, c, k, k + 1);
      }
    }
    Index c = to;
    for (; c < d; ++c) {
      for (Index k = from + 1; k < to; ++k) subtract_block<1, 1>(a, k, c, from, k);
    }
    for (c = to; c + 2 <= d; c += 2) subtract_columns<2>(a, c, from, to);
    for (; c < d; ++c) subtract_columns<1>(a, c, from, to);
  }
}

// Σ log|uᵣᵣ| with as few logarithms as the range of a double allows.
class LogProduct {
 public:
  void multiply(double factor) {
    product_ *= factor;
    if (!(product_ > 1e-200 && product_ < 1e200)) take_log();
  }
  double log() {
    take_log();
    return sum_;
  }

 private:
  void take_log() {
    sum_ += std::log(product_);
    product_ = 1;
  }
  double product_ = 1, sum_ = 0;
};

// Right-hand sides [c, c + 4) of uᵀ y = 1, then of lᵀ z = y, in place of y: columns of x.
template <class T>
void solve_transposed(const Group<T>& lu, const T* inverse_diagonal, Index c, const Group<T>& x) {
  using B = typename Group<T>::B;
  constexpr auto width = static_cast<std::size_t>(right_hand_sides);
  const Index d = lu.order();
  // The columns beyond the last are computed, in the memory behind it, and of no account.
  for (Index q = 0; q < right_hand_sides; ++q) {
    for (Index r = 0; r < c; ++r) x.store(r, c + q, B(0));
  }
  std::array<B, width> sum;
  for (Index r = c; r < d; ++r) {
    for (std::size_t q = 0; q < width; ++q) sum[q] = B(static_cast<Index>(q) == r - c ? T(1) : T(0));
    for (Index s = c; s < r; ++s) {
      const B u = lu.load(s, r);
      for (std::size_t q = 0; q < width; ++q) sum[q] = xsimd::fnma(u, x.load(s, c + static_cast<Index>(q)), sum[q]);
    }
    const B scale = B::load_aligned(inverse_diagonal + r * Group<T>::lanes);
    for (std::size_t q = 0; q < width; ++q) x.store(r, c + static_cast<Index>(q), scale * sum[q]);
  }
  for (Index r = d - 2; r >= 0; --r) {
    for (std::size_t q = 0; q < width; ++q) sum[q] = x.load(r, c + static_cast<Index>(q));
    for (Index s = r + 1; s < d; ++s) {
      const B l = lu.load(s, r);
      for (std::size_t q = 0; q < width; ++q) sum[q] = xsimd::fnma(l, x.load(s, c + static_cast<Index>(q)), sum[q]);
    }
    for (std::size_t q = 0; q < width; ++q) x.store(r, c + static_cast<Index>(q), sum[q]);
  }
}

}  // namespace

template <class T>
void interleaved_factor(MatrixView<T> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign) {
  constexpr Index lanes = Group<T>::lanes;
  const Index d = a.rows(), n = std::ssize(log_abs_det);
  alignas(64) Memory<T> memory;
  std::array<T, static_cast<std::size_t>(interleaved_order * lanes)> rows;
  const Group<T> group(memory.data(), d);
  for (Index first = 0; first < n; first += lanes) {
    const Index count = std::min(lanes, n - first);
    group.fill(a, first, count);
    factor<T>(group, rows);
    for (Index w = 0; w < count; ++w) {
      LogProduct product;
      bool negative = false, singular = false;
      for (Index c = 0; c < d; ++c) {
        T* const to = a.column((first + w) * d + c);
        const T* const from = group.at(0, c) + w;
        for (Index r = 0; r < d; ++r) to[r] = from[r * lanes];
        const auto row = static_cast<Index>(rows[static_cast<std::size_t>(c * lanes + w)]);
        pivots[static_cast<std::size_t>((first + w) * d + c)] = static_cast<int>(row) + 1;
        const double u = static_cast<double>(to[c]);
        product.multiply(std::abs(u));
        negative ^= (u < 0) ^ (row != c);
        singular = singular || u == 0;
      }
      const auto at = static_cast<std::size_t>(first + w);
      log_abs_det[at] = product.log();
      sign[at] = singular || !std::isfinite(log_abs_det[at]) ? Sign(0) : negative ? Sign(-1) : Sign(1);
    }
  }
}

template <class T>
void interleaved_inverse_transpose(ConstMatrixView<T> lu, std::span<const int> pivots, std::span<const Sign> sign,
                                   MatrixView<T> inverse_transpose) {
  using B = typename Group<T>::B;
  constexpr Index lanes = Group<T>::lanes;
  const Index d = lu.rows(), n = std::ssize(sign);
  alignas(64) Memory<T> factors;
  alignas(64)
      std::array<T, static_cast<std::size_t>((interleaved_order + right_hand_sides) * interleaved_order * lanes)>
          solutions;
  alignas(64) std::array<T, static_cast<std::size_t>(interleaved_order * lanes)> inverse_diagonal;
  const Group<T> group(factors.data(), d), x(solutions.data(), d);
  std::array<Index, static_cast<std::size_t>(interleaved_order)> rows;
  for (Index first = 0; first < n; first += lanes) {
    const Index count = std::min(lanes, n - first);
    group.fill(lu, first, count);
    for (Index r = 0; r < d; ++r) (B(1) / group.load(r, r)).store_aligned(inverse_diagonal.data() + r * lanes);
    for (Index c = 0; c < d; c += right_hand_sides) solve_transposed<T>(group, inverse_diagonal.data(), c, x);
    for (Index w = 0; w < count; ++w) {
      const bool singular = sign[static_cast<std::size_t>(first + w)] == 0;
      const int* const pivot = pivots.data() + (first + w) * d;
      // Row r of the result is row rows[r] of L⁻ᵀU⁻ᵀ: the exchanges, undone from the last to the first.
      for (Index r = 0; r < d; ++r) rows[static_cast<std::size_t>(r)] = r;
      for (Index r = d - 1; r >= 0; --r) {
        std::swap(rows[static_cast<std::size_t>(r)], rows[static_cast<std::size_t>(pivot[r] - 1)]);
      }
      for (Index c = 0; c < d; ++c) {
        T* const to = inverse_transpose.column((first + w) * d + c);
        const T* const from = x.at(0, c) + w;
        for (Index r = 0; r < d; ++r) {
          to[r] = singular ? std::numeric_limits<T>::quiet_NaN() : from[rows[static_cast<std::size_t>(r)] * lanes];
        }
      }
    }
  }
}

template void interleaved_factor(MatrixView<float>, std::span<int>, std::span<double>, std::span<Sign>);
template void interleaved_factor(MatrixView<double>, std::span<int>, std::span<double>, std::span<Sign>);
template void interleaved_inverse_transpose(ConstMatrixView<float>, std::span<const int>, std::span<const Sign>,
                                            MatrixView<float>);
template void interleaved_inverse_transpose(ConstMatrixView<double>, std::span<const int>, std::span<const Sign>,
                                            MatrixView<double>);

}  // namespace pushforward::linalg
