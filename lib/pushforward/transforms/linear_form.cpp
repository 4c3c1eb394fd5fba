#include <pushforward/core/text.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/transforms/linear_form.hpp>
#include <pushforward/transforms/row_order.hpp>

#include <cmath>
#include <numeric>

namespace pushforward::flow {

namespace {

using linalg::Diagonal;
using linalg::Op;
using linalg::Triangle;

// A (c × c) orthogonal matrix from the uniform distribution, by Gram–Schmidt on normal columns. Each column is treated
// twice, which makes the columns orthogonal up to rounding [Giraud et al. 2005].
Matrix<double> random_orthogonal(Index c, random::Stream stream) {
  Matrix<double> q(c, c);
  for (double& value : q.span()) value = stream.normal();
  std::vector<double> along(c);
  for (Index j = 0; j < c; ++j) {
    const auto column = q.view().column_span(j);
    const ConstMatrixView<double> before = q.view().columns(0, j);
    const auto products = nn::part_of<double>(along, 0, j);
    for (int pass = 0; pass < 2; ++pass) {
      linalg::gemv(Op::transpose, 1.0, before, column, 0.0, products);
      linalg::gemv(Op::none, -1.0, before, products, 1.0, column);
    }
    const double norm = linalg::norm2(column);
    for (double& value : column) value /= norm;
  }
  return q;
}

// a += part · b, where part(i, j) is 0 or 1.
template <class T, class F>
void add_where(F&& part, ConstMatrixView<T> b, MatrixView<T> a) {
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      if (part(i, j)) a(i, j) += b(i, j);
    }
  }
}

template <class T>
class DenseForm final : public LinearForm<T> {
 public:
  DenseForm(nn::ParameterLayout& layout, const std::string& name, Index c, LinearOptions options, random::Stream stream)
      : LinearForm<T>(std::move(options)),
        c_(c),
        offset_(nn::add_matrix(layout, name + "/weight", c, c)),
        stream_(stream),
        weight_(c, c),
        lu_(c, c),
        inverse_transpose_(c, c),
        pivots_(static_cast<std::size_t>(c)) {}

  void initialize(std::span<T> parameters) const override {
    const auto q = random_orthogonal(c_, stream_);
    std::ranges::transform(q.span(), parameters.begin() + offset_, [](double value) { return static_cast<T>(value); });
  }

  void prepare(std::span<const T> parameters) override {
    std::ranges::copy(nn::part_of(parameters, offset_, c_ * c_), weight_.data());
    std::ranges::copy(weight_.span(), lu_.data());
    linalg::lu_log_det(lu_.view(), pivots_, {&log_det_, 1}, {&sign_, 1});
    linalg::lu_inverse_transpose(lu_, pivots_, std::span<const linalg::Sign>(&sign_, 1), inverse_transpose_.view());
  }

  LinearScratch<T> plan(linalg::Workspace&, Index) const override { return {}; }

  void multiply(const LinearScratch<T>&, ConstMatrixView<T> x, MatrixView<T> z) const override {
    linalg::gemm(Op::none, Op::none, T(1), weight_, x, T(0), z);
  }
  void solve(const LinearScratch<T>&, MatrixView<T> x) const override {
    if (regular()) return linalg::lu_solve(lu_, pivots_, x);
    for (Index j = 0; j < x.cols(); ++j) std::ranges::fill(x.column_span(j), std::numeric_limits<T>::quiet_NaN());
  }

  void solve_transposed(const LinearScratch<T>&, ConstMatrixView<T> b, MatrixView<T> lambda) const override {
    linalg::gemm(Op::none, Op::none, T(1), inverse_transpose_, b, T(0), lambda);
  }

  // d log|det W| = tr(W⁻¹ dW).
  void reverse(const LinearScratch<T>&, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, T log_det_bar,
               MatrixView<T> x_bar, std::span<T> gradient) const override {
    linalg::gemm(Op::transpose, Op::none, T(1), weight_, z_bar, T(0), x_bar);
    if (gradient.empty()) return;
    const MatrixView<T> weight_gradient(gradient.data() + offset_, c_, c_);
    linalg::gemm(Op::none, Op::transpose, T(1), z_bar, x, T(1), weight_gradient);
    for (Index j = 0; j < c_; ++j) {
      for (Index i = 0; i < c_; ++i) weight_gradient(i, j) += log_det_bar * inverse_transpose_(i, j);
    }
  }

  double log_det() const override { return log_det_; }
  bool regular() const override { return sign_ != 0; }

 private:
  Index c_, offset_;
  random::Stream stream_;
  Matrix<T> weight_, lu_, inverse_transpose_;
  std::vector<int> pivots_;
  double log_det_ = 0;
  linalg::Sign sign_ = 1;
};

// The initial values of a PLU form.
struct PluStart {
  Matrix<double> lu;  // L below the diagonal, U above it, log|s| on it
  std::vector<Index> indices, signs;
};

PluStart random_plu(Index c, random::Stream stream) {
  PluStart start{random_orthogonal(c, stream), {}, std::vector<Index>(c)};
  std::vector<int> pivots(start.signs.size());
  double log_det = 0;
  linalg::Sign sign = 1;
  linalg::lu_log_det(start.lu.view(), pivots, {&log_det, 1}, {&sign, 1});
  // Row i of L U is row order[i] of W, by the exchanges of the factorization. P has the inverse order.
  std::vector<Index> order(start.signs.size());
  std::iota(order.begin(), order.end(), Index{0});
  for (std::size_t i = 0; i < order.size(); ++i) std::swap(order[i], order[pivots[i] - 1]);
  start.indices.resize(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    start.indices[order[i]] = static_cast<Index>(i);
  }
  for (Index i = 0; i < c; ++i) {
    double& diagonal = start.lu(i, i);
    start.signs[i] = diagonal < 0 ? -1 : 1;
    diagonal = std::log(std::abs(diagonal));
  }
  return start;
}

template <class T>
class PluForm final : public LinearForm<T> {
 public:
  PluForm(nn::ParameterLayout& layout, const std::string& name, LinearOptions options, Matrix<double> start)
      : LinearForm<T>(std::move(options)),
        c_(start.rows()),
        offset_(nn::add_matrix(layout, name + "/lu", c_, c_)),
        start_(std::move(start)),
        factors_(c_, c_) {}

  void initialize(std::span<T> parameters) const override {
    std::ranges::transform(start_.span(), parameters.begin() + offset_,
                           [](double value) { return static_cast<T>(value); });
  }

  void prepare(std::span<const T> parameters) override {
    std::ranges::copy(nn::part_of(parameters, offset_, c_ * c_), factors_.data());
    log_det_ = 0;
    for (Index i = 0; i < c_; ++i) {
      log_det_ += static_cast<double>(factors_(i, i));
      factors_(i, i) = static_cast<T>(this->options().signs[i]) * std::exp(factors_(i, i));
    }
  }

  LinearScratch<T> plan(linalg::Workspace& scratch, Index m) const override {
    return {.columns = scratch.matrix<T>(c_, m),
            .square = scratch.matrix<T>(c_, c_),
            .along = {},
            .across = {},
            .direction = {}};
  }

  void multiply(const LinearScratch<T>& scratch, ConstMatrixView<T> x, MatrixView<T> z) const override {
    copy_samples<T>(x, scratch.columns);
    multiply_upper(Op::none, scratch.columns);
    multiply_lower(Op::none, scratch.columns);
    gather_rows<T>(this->options().indices, scratch.columns, z);
  }

  void solve(const LinearScratch<T>& scratch, MatrixView<T> x) const override {
    copy_samples<T>(x, scratch.columns);
    scatter_rows<T>(this->options().indices, scratch.columns, x);
    linalg::solve_triangular(Triangle::lower, Op::none, Diagonal::unit, factors_, x);
    linalg::solve_triangular(Triangle::upper, Op::none, Diagonal::stored, factors_, x);
  }

  // Wᵀ = (U + diag(s))ᵀ Lᵀ Pᵀ.
  void solve_transposed(const LinearScratch<T>& scratch, ConstMatrixView<T> b, MatrixView<T> lambda) const override {
    copy_samples<T>(b, scratch.columns);
    linalg::solve_triangular(Triangle::upper, Op::transpose, Diagonal::stored, factors_, scratch.columns);
    linalg::solve_triangular(Triangle::lower, Op::transpose, Diagonal::unit, factors_, scratch.columns);
    gather_rows<T>(this->options().indices, scratch.columns, lambda);
  }

  // With y = (U + diag(s)) x and q̄ = Pᵀz̄: L̄ is the strictly lower part of q̄yᵀ; ȳ = Lᵀq̄; Ū is the strictly upper part of
  // ȳxᵀ, and s̄ is its diagonal. The derivative of s along log|s| is s.
  void reverse(const LinearScratch<T>& scratch, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, T log_det_bar,
               MatrixView<T> x_bar, std::span<T> gradient) const override {
    scatter_rows<T>(this->options().indices, z_bar, x_bar);
    if (gradient.empty()) {
      multiply_lower(Op::transpose, x_bar);
      return multiply_upper(Op::transpose, x_bar);
    }
    const MatrixView<T> lu_gradient(gradient.data() + offset_, c_, c_);
    copy_samples<T>(x, scratch.columns);
    multiply_upper(Op::none, scratch.columns);
    linalg::gemm(Op::none, Op::transpose, T(1), x_bar, scratch.columns, T(0), scratch.square);
    add_where<T>([](Index i, Index j) { return i > j; }, scratch.square, lu_gradient);
    multiply_lower(Op::transpose, x_bar);
    linalg::gemm(Op::none, Op::transpose, T(1), x_bar, x, T(0), scratch.square);
    add_where<T>([](Index i, Index j) { return i < j; }, scratch.square, lu_gradient);
    for (Index i = 0; i < c_; ++i) lu_gradient(i, i) += factors_(i, i) * scratch.square(i, i) + log_det_bar;
    multiply_upper(Op::transpose, x_bar);
  }

  double log_det() const override { return log_det_; }
  bool regular() const override { return std::isfinite(log_det_); }

 private:
  void multiply_lower(Op op, MatrixView<T> b) const {
    linalg::multiply_triangular(Triangle::lower, op, Diagonal::unit, factors_, b);
  }
  void multiply_upper(Op op, MatrixView<T> b) const {
    linalg::multiply_triangular(Triangle::upper, op, Diagonal::stored, factors_, b);
  }

  Index c_, offset_;
  Matrix<double> start_;
  Matrix<T> factors_;  // L below the diagonal, U above it, s on it
  double log_det_ = 0;
};

template <class T>
class HouseholderForm final : public LinearForm<T> {
 public:
  HouseholderForm(nn::ParameterLayout& layout, const std::string& name, Index c, LinearOptions options,
                  random::Stream stream)
      : LinearForm<T>(std::move(options)),
        offset_(nn::add_matrix(layout, name + "/vectors", c, this->options().reflections)),
        stream_(stream),
        unit_(c, this->options().reflections),
        norms_(static_cast<std::size_t>(this->options().reflections)) {}

  void initialize(std::span<T> parameters) const override {
    auto stream = stream_;
    for (T& value : nn::part_of(parameters, offset_, unit_.size())) value = static_cast<T>(stream.normal());
  }

  void prepare(std::span<const T> parameters) override {
    std::ranges::copy(nn::part_of(parameters, offset_, unit_.size()), unit_.data());
    for (Index k = 0; k < unit_.cols(); ++k) {
      const auto v = unit_.view().column_span(k);
      const T norm = linalg::norm2(v);
      for (T& value : v) value /= norm;
      norms_[k] = norm;
    }
  }

  LinearScratch<T> plan(linalg::Workspace& scratch, Index m) const override {
    return {.columns = scratch.matrix<T>(unit_.rows(), m),
            .square = {},
            .along = scratch.take<T>(m),
            .across = scratch.take<T>(m),
            .direction = scratch.take<T>(unit_.rows())};
  }

  void multiply(const LinearScratch<T>& scratch, ConstMatrixView<T> x, MatrixView<T> z) const override {
    copy_samples<T>(x, z);
    for (Index k = 0; k < unit_.cols(); ++k) reflect(k, z, scratch.along);
  }
  void solve(const LinearScratch<T>& scratch, MatrixView<T> x) const override {
    for (Index k = unit_.cols() - 1; k >= 0; --k) reflect(k, x, scratch.along);
  }

  // W is orthogonal, so λ = W b.
  void solve_transposed(const LinearScratch<T>& scratch, ConstMatrixView<T> b, MatrixView<T> lambda) const override {
    multiply(scratch, b, lambda);
  }

  // Goes backwards through the reflections. The input of a reflection is its output, reflected. With w = v/‖v‖ and
  // y = x − 2w(wᵀx): w̄ = −2 Σ (ȳ(wᵀx) + x(wᵀȳ)), and v̄ = (w̄ − w(wᵀw̄))/‖v‖.
  void reverse(const LinearScratch<T>& scratch, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, T, MatrixView<T> x_bar,
               std::span<T> gradient) const override {
    copy_samples<T>(z_bar, x_bar);
    if (gradient.empty()) return solve(scratch, x_bar);
    const auto along = scratch.along, across = scratch.across, w_bar = scratch.direction;
    const auto y = scratch.columns;
    multiply(scratch, x, y);
    for (Index k = unit_.cols() - 1; k >= 0; --k) {
      const auto w = unit_.view().column_span(k);
      linalg::gemv(Op::transpose, T(1), x_bar, w, T(0), across);
      reflect(k, y, along);  // along = wᵀy = −wᵀx
      linalg::gemv(Op::none, T(2), x_bar, along, T(0), w_bar);
      linalg::gemv(Op::none, T(-2), y, across, T(1), w_bar);
      linalg::ger(T(-2), w, across, x_bar);
      const T radial = linalg::dot(w, w_bar), norm = norms_[k];
      T* const v_bar = gradient.data() + offset_ + k * unit_.rows();
      for (std::size_t i = 0; i < w.size(); ++i) v_bar[i] += (w_bar[i] - w[i] * radial) / norm;
    }
  }

  bool regular() const override {
    return std::ranges::all_of(norms_, [](T norm) { return norm > 0 && std::isfinite(norm); });
  }

 private:
  // x ← x − 2w(wᵀx), and along = wᵀx of the x before.
  void reflect(Index k, MatrixView<T> x, std::span<T> along) const {
    const auto w = unit_.view().column_span(k);
    linalg::gemv(Op::transpose, T(1), x, w, T(0), along);
    linalg::ger(T(-2), w, along, x);
  }

  Index offset_;
  random::Stream stream_;
  Matrix<T> unit_;  // v/‖v‖
  std::vector<T> norms_;
};

const std::vector<std::string>& forms() {
  static const std::vector<std::string> all{"dense", "plu", "householder"};
  return all;
}

void check(const std::string& name, Index c, const LinearOptions& o) {
  require<OptionError>(std::ranges::count(forms(), o.form) == 1, "linear {}: form = '{}' is unknown{}; there are {}",
                       name, o.form, suggestion(o.form, forms()), join(forms()));
  require<OptionError>(o.reflections == 0 || (o.form == "householder" && o.reflections > 0),
                       "linear {}: reflections = {} with form = '{}': must be at least 1, and belong to householder",
                       name, o.reflections, o.form);
  if (o.form != "plu") {
    require<OptionError>(o.indices.empty() && o.signs.empty(),
                         "linear {}: {} indices and {} signs with form = '{}': they belong to plu", name,
                         o.indices.size(), o.signs.size(), o.form);
    return;
  }
  if (!o.indices.empty()) require_permutation(fmt::format("linear {}: indices", name), o.indices, c);
  const bool valid = o.signs.empty() || (!o.indices.empty() && std::ssize(o.signs) == c &&
                                         std::ranges::all_of(o.signs, [](Index s) { return s == 1 || s == -1; }));
  require<OptionError>(valid, "linear {}: {} signs for {} channels: must be −1 or 1, one a channel, beside indices",
                       name, o.signs.size(), c);
}

}  // namespace

OptionSet LinearOptions::declare() {
  OptionSet set;
  set.add("form", form, "form of the matrix", one_of(forms()))
      .add("bias", bias, "add a bias")
      .add("reflections", reflections, "householder: number of reflections; 0: as many as channels", at_least(0))
      .add("indices", indices, "plu: permutation P, from 0; empty: random", at_least(0))
      .add("signs", signs, "plu: signs of the diagonal, -1 or 1, if indices are given; empty: 1", between(-1, 1))
      .only_with("reflections", "form", {"householder"})
      .only_with("indices", "form", {"plu"})
      .only_with("signs", "form", {"plu"});
  return set;
}

template <class T>
std::unique_ptr<LinearForm<T>> make_linear_form(nn::ParameterLayout& layout, const std::string& name, Index channels,
                                                const LinearOptions& options, std::uint64_t seed, std::uint64_t key) {
  check(name, channels, options);
  if (options.form != "householder") {
    layout.require_room(name, static_cast<double>(channels) * static_cast<double>(channels));
  }
  LinearOptions resolved = options;
  const random::Stream stream(seed, random::Purpose::parameters, 0, key);
  if (options.form == "dense") return std::make_unique<DenseForm<T>>(layout, name, channels, resolved, stream);
  if (options.form == "householder") {
    if (resolved.reflections == 0) resolved.reflections = channels;
    return std::make_unique<HouseholderForm<T>>(layout, name, channels, resolved, stream);
  }
  if (!options.indices.empty()) {
    if (options.signs.empty()) resolved.signs.assign(options.indices.size(), 1);
    return std::make_unique<PluForm<T>>(layout, name, resolved, Matrix<double>(channels, channels));
  }
  PluStart start = random_plu(channels, stream);
  resolved.indices = std::move(start.indices);
  resolved.signs = std::move(start.signs);
  return std::make_unique<PluForm<T>>(layout, name, resolved, std::move(start.lu));
}

template std::unique_ptr<LinearForm<float>> make_linear_form(nn::ParameterLayout&, const std::string&, Index,
                                                             const LinearOptions&, std::uint64_t, std::uint64_t);
template std::unique_ptr<LinearForm<double>> make_linear_form(nn::ParameterLayout&, const std::string&, Index,
                                                              const LinearOptions&, std::uint64_t, std::uint64_t);

}  // namespace pushforward::flow
