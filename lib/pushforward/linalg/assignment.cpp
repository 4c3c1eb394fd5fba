#include <pushforward/linalg/assignment.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pushforward::linalg {

namespace {

using B = xsimd::batch<double>;
constexpr auto lanes = static_cast<Index>(B::size);
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Index nobody = -1;

// Rows and columns are numbered by doubles inside of registers, which is exact.
struct Entry {
  double value = infinity;
  double place = infinity;

  Index index() const { return static_cast<Index>(place); }
  bool operator<(const Entry& other) const {
    return value < other.value || (value == other.value && place < other.place);
  }
};

B first_places() {
  std::array<double, B::size> places{};
  for (Index w = 0; w < lanes; ++w) places[w] = static_cast<double>(w);
  return B::load_unaligned(places.data());
}

// The smallest entry of registers of values and their places.
Entry smallest_lane(const B& value, const B& place) {
  std::array<double, B::size> values{}, places{};
  value.store_unaligned(values.data());
  place.store_unaligned(places.data());
  Entry best;
  for (Index w = 0; w < lanes; ++w) best = std::min(best, Entry{values[w], places[w]});
  return best;
}

// distance ← min(distance, cost − price − offset), and `from` ← source where that is smaller. Returns the smallest
// distance. All arrays: (n).
Entry relax(const double* cost, const double* price, double offset, Index source, double* distance, double* from,
            Index n) {
  const Index whole = n / lanes * lanes;
  const auto name = static_cast<double>(source);
  const B offsets(offset), names(name);
  B least(infinity), place(infinity), here = first_places();
  for (Index i = 0; i < whole; i += lanes) {
    const B reached = B::load_unaligned(cost + i) - B::load_unaligned(price + i) - offsets;
    const B before = B::load_unaligned(distance + i);
    const auto shorter = reached < before;
    const B after = xsimd::select(shorter, reached, before);
    after.store_unaligned(distance + i);
    xsimd::select(shorter, names, B::load_unaligned(from + i)).store_unaligned(from + i);
    const auto smaller = after < least;
    least = xsimd::select(smaller, after, least);
    place = xsimd::select(smaller, here, place);
    here += B(static_cast<double>(lanes));
  }
  Entry best = smallest_lane(least, place);
  for (Index i = whole; i < n; ++i) {
    const double reached = cost[i] - price[i] - offset;
    if (reached < distance[i]) {
      distance[i] = reached;
      from[i] = name;
    }
    best = std::min(best, Entry{distance[i], static_cast<double>(i)});
  }
  return best;
}

struct TwoSmallest {
  Entry first, second;

  void take(const Entry& entry) {
    if (entry < first) {
      second = first;
      first = entry;
    } else if (entry < second) {
      second = entry;
    }
  }
};

// The two smallest elements of cost − price. Both: (n).
TwoSmallest two_smallest(const double* cost, const double* price, Index n) {
  const Index whole = n / lanes * lanes;
  B first(infinity), first_place(infinity), second(infinity), second_place(infinity), here = first_places();
  for (Index i = 0; i < whole; i += lanes) {
    const B value = B::load_unaligned(cost + i) - B::load_unaligned(price + i);
    const auto is_first = value < first, is_second = value < second;
    second = xsimd::select(is_first, first, xsimd::select(is_second, value, second));
    second_place = xsimd::select(is_first, first_place, xsimd::select(is_second, here, second_place));
    first = xsimd::select(is_first, value, first);
    first_place = xsimd::select(is_first, here, first_place);
    here += B(static_cast<double>(lanes));
  }
  std::array<double, B::size> values{}, places{};
  TwoSmallest two;
  const auto take_lanes = [&](const B& value, const B& place) {
    value.store_unaligned(values.data());
    place.store_unaligned(places.data());
    for (Index w = 0; w < lanes; ++w) two.take({values[w], places[w]});
  };
  take_lanes(first, first_place);
  take_lanes(second, second_place);
  for (Index i = whole; i < n; ++i) two.take({cost[i] - price[i], static_cast<double>(i)});
  return two;
}

struct Range {
  double least = infinity, most = -infinity;
};

// Throws NumericalError if an element is not finite, or if the potentials could overflow.
Range range_of(ConstMatrixView<double> cost) {
  const Index n = cost.rows(), whole = n / lanes * lanes;
  const double largest = std::numeric_limits<double>::max() / (4 * static_cast<double>(std::max<Index>(n, 1)));
  Range range;
  for (Index j = 0; j < n; ++j) {
    const double* const c = cost.column(j);
    B least(infinity), most(-infinity);
    auto usable = B(0.0) <= B(0.0);
    for (Index i = 0; i < whole; i += lanes) {
      const B value = B::load_unaligned(c + i);
      usable = usable && xsimd::abs(value) <= B(largest);
      least = xsimd::min(least, value);
      most = xsimd::max(most, value);
    }
    bool all_usable = xsimd::all(usable);
    for (Index i = whole; i < n; ++i) all_usable = all_usable && std::abs(c[i]) <= largest;
    for (Index i = 0; !all_usable && i < n; ++i) {
      require<NumericalError>(std::isfinite(c[i]), "assign: cost ({}, {}) is {}; costs must be finite", i, j, c[i]);
      require<NumericalError>(
          std::abs(c[i]) <= largest,
          "assign: cost ({}, {}) is {}, and sums of {} such costs overflow; divide all costs by one number", i, j, c[i],
          4 * n);
    }
    std::array<double, B::size> part{};
    least.store_unaligned(part.data());
    if (whole > 0) range.least = std::min(range.least, *std::min_element(part.begin(), part.end()));
    most.store_unaligned(part.data());
    if (whole > 0) range.most = std::max(range.most, *std::max_element(part.begin(), part.end()));
    for (Index i = whole; i < n; ++i) {
      range.least = std::min(range.least, c[i]);
      range.most = std::max(range.most, c[i]);
    }
  }
  return range;
}

// Columns choose rows, since columns are contiguous. A row has a price, its potential u; a column j likes the row
// with the smallest cᵢⱼ − uᵢ best. At all times an assigned column has its row at that smallest value, which is vⱼ.
class Solver {
 public:
  explicit Solver(ConstMatrixView<double> cost)
      : cost_(cost),
        n_(cost.rows()),
        price_(size(), 0.0),
        column_of_(size(), nobody),
        row_of_(size(), nobody),
        open_price_(size()),
        distance_(size()),
        from_(size(), 0.0) {}

  // Makes the prices as high as the column potentials v allow. A row goes to the first column that allows no more,
  // unless this column has a row already.
  void reduce_columns(std::span<const double> v);
  void augment_by_rows(Index budget);
  void augment_by_paths();
  Index free_count() const { return std::count(row_of_.begin(), row_of_.end(), nobody); }
  Assignment result() const;

 private:
  std::size_t size() const { return static_cast<std::size_t>(n_); }
  std::vector<Index> free_columns() const;
  void match(Index row, Index column) {
    column_of_[row] = column;
    row_of_[column] = row;
  }
  void transfer(Index column);
  void augment(Index column, std::vector<Index>& free_rows);

  ConstMatrixView<double> cost_;
  Index n_;
  std::vector<double> price_;
  std::vector<Index> column_of_, row_of_;
  std::vector<double> open_price_;  // −∞ for the rows that a search has reached, the price for others
  std::vector<double> distance_, from_;
  std::vector<Index> reached_;
  std::vector<double> reached_distance_;
};

void Solver::reduce_columns(std::span<const double> v) {
  const std::vector<double> zero(size(), 0.0);
  price_.assign(size(), infinity);
  for (Index j = 0; j < n_; ++j) {
    relax(cost_.column(j), zero.data(), v.empty() ? 0 : v[j], j, price_.data(), from_.data(), n_);
  }
  std::vector<Index> claims(size(), 0);
  for (Index i = 0; i < n_; ++i) {
    const auto j = static_cast<Index>(from_[i]);
    if (claims[j]++ == 0) match(i, j);
  }
  for (Index j = 0; n_ > 1 && j < n_; ++j) {
    if (claims[j] == 1) transfer(j);
  }
}

// Lowers the price of a column's row as far as the column still likes that row best.
void Solver::transfer(Index column) {
  const Index row = row_of_[column];
  const TwoSmallest two = two_smallest(cost_.column(column), price_.data(), n_);
  const Entry& other = two.first.index() == row ? two.second : two.first;
  const double gap = other.value - (cost_(row, column) - price_[row]);
  if (gap > 0) price_[row] -= gap;
}

std::vector<Index> Solver::free_columns() const {
  std::vector<Index> free;
  for (Index j = 0; j < n_; ++j) {
    if (row_of_[j] == nobody) free.push_back(j);
  }
  return free;
}

// Each free column takes the row that it likes best, and lowers its price until the second best is as good.
void Solver::augment_by_rows(Index budget) {
  for (int sweep = 0; sweep < 2; ++sweep) {
    for (Index column : free_columns()) {
      while (column != nobody && budget-- > 0) {
        const TwoSmallest two = two_smallest(cost_.column(column), price_.data(), n_);
        const double gap = two.second.value - two.first.value;
        Index row = two.first.index();
        if (gap > 0) {
          price_[row] -= gap;
        } else if (column_of_[row] != nobody) {
          row = two.second.index();
        }
        const Index displaced = column_of_[row];
        if (displaced != nobody) row_of_[displaced] = nobody;
        match(row, column);
        column = gap > 0 ? displaced : nobody;
      }
    }
  }
}

// Dijkstra's algorithm from a free column to the nearest free row, with lengths cᵢⱼ − uᵢ − vⱼ ≥ 0.
void Solver::augment(Index column, std::vector<Index>& free_rows) {
  open_price_ = price_;
  distance_.assign(size(), infinity);
  reached_.clear();
  reached_distance_.clear();
  Entry nearest = relax(cost_.column(column), open_price_.data(), 0, column, distance_.data(), from_.data(), n_);
  while (column_of_[nearest.index()] != nobody) {
    const Index row = nearest.index();
    reached_.push_back(row);
    reached_distance_.push_back(nearest.value);
    distance_[row] = infinity;
    open_price_[row] = -infinity;
    const Index next = column_of_[row];
    const double offset = cost_(row, next) - price_[row] - nearest.value;
    const double level = nearest.value;
    nearest = relax(cost_.column(next), open_price_.data(), offset, next, distance_.data(), from_.data(), n_);
    if (nearest.value > level) continue;
    // Costs with many ties: a free row ends the search.
    for (const Index free : free_rows) {
      if (distance_[free] == nearest.value) {
        nearest.place = static_cast<double>(free);
        break;
      }
    }
  }
  for (std::size_t k = 0; k < reached_.size(); ++k) price_[reached_[k]] += reached_distance_[k] - nearest.value;
  Index row = nearest.index();
  free_rows.erase(std::lower_bound(free_rows.begin(), free_rows.end(), row));
  for (Index at = nobody; at != column;) {
    at = static_cast<Index>(from_[row]);
    const Index before = row_of_[at];
    match(row, at);
    row = before;
  }
}

void Solver::augment_by_paths() {
  std::vector<Index> free_rows;
  for (Index i = 0; i < n_; ++i) {
    if (column_of_[i] == nobody) free_rows.push_back(i);
  }
  for (const Index j : free_columns()) augment(j, free_rows);
}

Assignment Solver::result() const {
  Assignment result{column_of_, price_, std::vector<double>(size()), 0};
  for (Index i = 0; i < n_; ++i) {
    const Index j = column_of_[i];
    result.column_potential[j] = cost_(i, j) - price_[i];
    result.cost += cost_(i, j);
  }
  return result;
}

// Shifts potentials so that the largest is 0, and raises those below −(range of the costs). Optimal potentials differ
// by no more than the range, and larger differences would only lose digits.
std::vector<double> moderate(std::span<const double> v, const Range& range) {
  for (std::size_t j = 0; j < v.size(); ++j) {
    require<NumericalError>(std::isfinite(v[j]), "assign: column potential {} is {}; potentials must be finite", j,
                            v[j]);
  }
  std::vector<double> moderated(v.begin(), v.end());
  if (v.empty()) return moderated;
  const double most = *std::max_element(v.begin(), v.end());
  for (double& value : moderated) value = std::max(value - most, range.least - range.most);
  return moderated;
}

// A guess of v for costs whose rows and columns are like draws from two distributions: the exact potentials of every
// second row and column. The potentials of all columns follow from those of the rows, vⱼ = minᵢ cᵢⱼ − uᵢ.
std::vector<double> guess_from_half(ConstMatrixView<double> cost) {
  const Index n = cost.rows(), half = n / 2;
  Matrix<double> part(half, half);
  for (Index j = 0; j < half; ++j) {
    for (Index i = 0; i < half; ++i) part(i, j) = cost(2 * i, 2 * j);
  }
  const std::vector<double> u = assign(part).row_potential;
  std::vector<double> v(static_cast<std::size_t>(n), infinity);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < half; ++i) v[j] = std::min(v[j], cost(2 * i, j) - u[i]);
  }
  return v;
}

}  // namespace

Assignment assign(ConstMatrixView<double> cost, std::span<const double> column_potential) {
  const Index n = cost.rows();
  require<ShapeError>(cost.cols() == n, "assign: costs ({} × {}) are not square", n, cost.cols());
  require<ShapeError>(column_potential.empty() || std::ssize(column_potential) == n,
                      "assign: {} column potentials for costs ({} × {})", column_potential.size(), n, n);
  const Range range = range_of(cost);
  Solver solver(cost);
  solver.reduce_columns(moderate(column_potential, range));
  solver.augment_by_rows(4 * n);
  // Prices of clustered points fall in small steps, and the budget ends before they have settled.
  if (n >= 64 && 2 * solver.free_count() > n) {
    solver = Solver(cost);
    solver.reduce_columns(guess_from_half(cost));
    solver.augment_by_rows(4 * n);
  }
  solver.augment_by_paths();
  return solver.result();
}

}  // namespace pushforward::linalg
