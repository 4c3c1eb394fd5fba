#include <pushforward/linalg/interleaved_lu.hpp>

#include <xsimd/xsimd.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

namespace pushforward::linalg {

namespace {

constexpr Index panel = 8;       // columns that are eliminated before the rest of the matrix is brought up to date
constexpr Index block_rows = 4;  // of what registers hold at a time
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

  /// Matrices [first, first + count) of a stack; identities in the lanes beyond. A column at a time, so that it stays
  /// in the first cache until all its lanes are there.
  void fill(ConstMatrixView<T> stack, Index first, Index count) const {
    for (Index c = 0; c < d_; ++c) {
      for (Index w = 0; w < lanes; ++w) {
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
      const auto row = static_cast<Index>(pivots[w]);
      if (row != k) a.swap_rows(w, k, row);
    }
  }
  const B pivot = a.load(k, k);
  const B factor = B(1) / xsimd::select(pivot == B(0), B(1), pivot);
  for (Index r = k + 1; r < d; ++r) a.store(r, k, factor * a.load(r, k));
}

// Half of the registers hold sums, where there are 32 of them.
template <class T>
constexpr Index block_cols = sizeof(T) * static_cast<std::size_t>(Group<T>::lanes) >= 64 ? 4 : 2;

// A (rows × cols) block of sums in registers.
template <Index rows, Index cols, class T>
class Block {
 public:
  using B = typename Group<T>::B;

  B& operator()(Index i, Index j) { return sums_[j * rows + i]; }
  void load(const Group<T>& a, Index r, Index c) {
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i) (*this)(i, j) = a.load(r + i, c + j);
    }
  }
  void store(const Group<T>& a, Index r, Index c) {
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i) a.store(r + i, c + j, (*this)(i, j));
    }
  }
  /// Subtracts Σₖ left(i, k)·right(k, j), k in [from, to).
  template <class Left, class Right>
  void subtract(Index from, Index to, Left&& left, Right&& right) {
    for (Index k = from; k < to; ++k) {
      std::array<B, static_cast<std::size_t>(rows)> l;
      for (Index i = 0; i < rows; ++i) l[i] = left(i, k);
      for (Index j = 0; j < cols; ++j) {
        const B u = right(k, j);
        for (Index i = 0; i < rows; ++i) (*this)(i, j) = xsimd::fnma(l[i], u, (*this)(i, j));
      }
    }
  }

 private:
  std::array<B, static_cast<std::size_t>(rows* cols)> sums_;
};

// a(r…, c…) −= Σₖ l(r…, k) u(k, c…), k in [from, to).
template <Index rows, Index cols, class T>
void subtract_block(const Group<T>& a, Index r, Index c, Index from, Index to) {
  Block<rows, cols, T> block;
  block.load(a, r, c);
  block.subtract(
      from, to, [&](Index i, Index k) { return a.load(r + i, k); }, [&](Index k, Index j) { return a.load(k, c + j); });
  block.store(a, r, c);
}

// The same for all rows from `first` on.
template <Index cols, class T>
void subtract_columns(const Group<T>& a, Index first, Index c, Index from, Index to) {
  Index r = first;
  for (; r + block_rows <= a.order(); r += block_rows) subtract_block<block_rows, cols>(a, r, c, from, to);
  for (; r < a.order(); ++r) subtract_block<1, cols>(a, r, c, from, to);
}

// Panel by panel: within one, a column is brought up to date before its pivot is chosen; all columns beyond, after the
// last. pivots: (lanes) each of `order` columns.
template <class T>
void factor(const Group<T>& a, std::span<T> pivots) {
  const Index d = a.order();
  // Rows [from, to) of column c: what they are of U.
  const auto solve_rows = [&](Index from, Index to, Index c) {
    for (Index r = from + 1; r < to; ++r) subtract_block<1, 1>(a, r, c, from, r);
  };
  for (Index from = 0; from < d; from += panel) {
    const Index to = std::min(from + panel, d);
    for (Index k = from; k < to; ++k) {
      solve_rows(from, k, k);
      subtract_columns<1>(a, k, k, from, k);
      eliminate_column(a, k, pivots.subspan(k * Group<T>::lanes));
    }
    for (Index c = to; c < d; ++c) solve_rows(from, to, c);
    Index c = to;
    for (; c + block_cols<T> <= d; c += block_cols<T>) subtract_columns<block_cols<T>>(a, to, c, from, to);
    for (; c < d; ++c) subtract_columns<1>(a, to, c, from, to);
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

// Rows [r, r + rows) of y, where uᵀ y = 1, from those before, which are zero above row c: columns [c, c + 4) of x.
template <Index rows, class T>
void solve_upper_rows(const Group<T>& lu, const T* inverse_diagonal, Index r, Index c, const Group<T>& x) {
  using B = typename Group<T>::B;
  Block<rows, right_hand_sides, T> y;
  for (Index j = 0; j < right_hand_sides; ++j) {
    for (Index i = 0; i < rows; ++i) y(i, j) = B(r + i == c + j ? T(1) : T(0));
  }
  y.subtract(
      c, r, [&](Index i, Index k) { return lu.load(k, r + i); }, [&](Index k, Index j) { return x.load(k, c + j); });
  for (Index i = 0; i < rows; ++i) {
    const B scale = B::load_aligned(inverse_diagonal + (r + i) * Group<T>::lanes);
    for (Index j = 0; j < right_hand_sides; ++j) y(i, j) *= scale;
    for (Index below = i + 1; below < rows; ++below) {
      const B u = lu.load(r + i, r + below);
      for (Index j = 0; j < right_hand_sides; ++j) y(below, j) = xsimd::fnma(u, y(i, j), y(below, j));
    }
  }
  y.store(x, r, c);
}

// Rows [r, r + rows) of z, where lᵀ z = y, in place of y, from those behind.
template <Index rows, class T>
void solve_lower_rows(const Group<T>& lu, Index r, Index c, const Group<T>& x) {
  using B = typename Group<T>::B;
  Block<rows, right_hand_sides, T> z;
  z.load(x, r, c);
  z.subtract(
      r + rows, lu.order(), [&](Index i, Index k) { return lu.load(k, r + i); },
      [&](Index k, Index j) { return x.load(k, c + j); });
  for (Index i = rows - 1; i > 0; --i) {
    for (Index above = 0; above < i; ++above) {
      const B l = lu.load(r + i, r + above);
      for (Index j = 0; j < right_hand_sides; ++j) z(above, j) = xsimd::fnma(l, z(i, j), z(above, j));
    }
  }
  z.store(x, r, c);
}

// f(r, rows) for a block of rows that begins with row r, `rows` a constant.
template <class F>
void with_rows(Index r, Index d, F&& f) {
  switch (std::min(block_rows, d - r)) {
    case 1: return f(std::integral_constant<Index, 1>());
    case 2: return f(std::integral_constant<Index, 2>());
    case 3: return f(std::integral_constant<Index, 3>());
    default: return f(std::integral_constant<Index, block_rows>());
  }
}

// Right-hand sides [c, c + 4) of uᵀ y = 1, then of lᵀ z = y, in place of y: columns of x.
template <class T>
void solve_transposed(const Group<T>& lu, const T* inverse_diagonal, Index c, const Group<T>& x) {
  using B = typename Group<T>::B;
  const Index d = lu.order();
  // The columns beyond the last are computed, in the memory behind it, and of no account.
  for (Index q = 0; q < right_hand_sides; ++q) {
    for (Index r = 0; r < c; ++r) x.store(r, c + q, B(0));
  }
  for (Index r = c; r < d; r += block_rows) {
    with_rows(r, d, [&](auto rows) { solve_upper_rows<rows()>(lu, inverse_diagonal, r, c, x); });
  }
  for (Index r = (d - 1) / block_rows * block_rows; r >= 0; r -= block_rows) {
    with_rows(r, d, [&](auto rows) { solve_lower_rows<rows()>(lu, r, c, x); });
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
    for (Index c = 0; c < d; ++c) {
      for (Index w = 0; w < count; ++w) {
        T* const to = a.column((first + w) * d + c);
        const T* const from = group.at(0, c) + w;
        for (Index r = 0; r < d; ++r) to[r] = from[r * lanes];
        const auto row = static_cast<Index>(rows[c * lanes + w]);
        pivots[(first + w) * d + c] = static_cast<int>(row) + 1;
      }
    }
    for (Index w = 0; w < count; ++w) {
      LogProduct product;
      bool negative = false, singular = false;
      for (Index c = 0; c < d; ++c) {
        const double u = static_cast<double>(group.at(c, c)[w]);
        product.multiply(std::abs(u));
        negative ^= (u < 0) ^ (static_cast<Index>(rows[c * lanes + w]) != c);
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
  std::array<Index, static_cast<std::size_t>(interleaved_order * lanes)> rows;  // of all matrices, one after the other
  for (Index first = 0; first < n; first += lanes) {
    const Index count = std::min(lanes, n - first);
    group.fill(lu, first, count);
    for (Index r = 0; r < d; ++r) (B(1) / group.load(r, r)).store_aligned(inverse_diagonal.data() + r * lanes);
    for (Index c = 0; c < d; c += right_hand_sides) solve_transposed<T>(group, inverse_diagonal.data(), c, x);
    // Row r of the result is row rows[r] of L⁻ᵀU⁻ᵀ: the exchanges, undone from the last to the first.
    for (Index w = 0; w < count; ++w) {
      Index* const mine = rows.data() + w * d;
      const int* const pivot = pivots.data() + (first + w) * d;
      for (Index r = 0; r < d; ++r) mine[r] = r;
      for (Index r = d - 1; r >= 0; --r) std::swap(mine[r], mine[pivot[r] - 1]);
    }
    for (Index c = 0; c < d; ++c) {
      for (Index w = 0; w < count; ++w) {
        const bool singular = sign[first + w] == 0;
        const Index* const mine = rows.data() + w * d;
        T* const to = inverse_transpose.column((first + w) * d + c);
        const T* const from = x.at(0, c) + w;
        for (Index r = 0; r < d; ++r) {
          to[r] = singular ? std::numeric_limits<T>::quiet_NaN() : from[mine[r] * lanes];
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
