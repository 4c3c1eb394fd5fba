#pragma once

// The matrix products of the best algorithm that we know, by shape, and the GEMM bound: the time that they take at the
// rates that linalg::gemm reaches at these very shapes.
//
// Counted are products and LU alone, as in logdet/cost.hpp. A step of maximum likelihood on a residual block of L
// layers takes
//
//   value     L products on n columns; its reverse two more for each
//   log-det   exact:           the tangents (logdet/cost.hpp) and LU; for a gradient two more products for each of them
//             roulette, krylov as many products with Jᵀ on n columns as terms; for a gradient a tangent, as far as the
//                              last hidden layer, and its reverse
//             trace + krylov   and d₂ᵀMd₁, one product on n columns; its reverse two more
//
// and on a coupling its network's value and reverse alone. A continuous flow takes, in each stage of its grid,
//
//   value     L products on n columns; its reverse two more for each
//   log-det   discrete:    d tangents, those of the first stage from V = I; their reverse; LU for each step
//             continuous:  d₂ᵀMd₁ of two hidden layers, one product on n columns; its reverse two more
//
// without the time, which is the same for all samples, and without a second pass over the stages, which a tape would
// save. An evaluation of a continuous density takes as many stages as a sample has evaluations. A step of flow matching
// is the value and its reverse on n columns, each with a time of its own.

#include "subject.hpp"

#include <pushforward/linalg/blas.hpp>
#include <pushforward/logdet/cost.hpp>
#include <pushforward/ode/vector_field.hpp>

#include <vector>

namespace pushforward::bench {

/// op(a)·op(b), (m × k)·(k × n), `count` times; not whole where it stands for an LU.
struct Product {
  linalg::Op a = linalg::Op::none, b = linalg::Op::none;
  Index m = 0, n = 0, k = 0;
  double count = 1;

  double flops() const { return count * linalg::gemm_flops(m, n, k); }
  bool same_shape(const Product& other) const {
    return a == other.a && b == other.b && m == other.m && n == other.n && k == other.k;
  }
};

/// "NT 128×128×1500".
std::string to_string(const Product& product);

/// Products with the same shape added up, in the order of first appearance.
class Products {
 public:
  void add(const Product& product);
  void add(const Products& others, double factor = 1);
  const std::vector<Product>& shapes() const { return shapes_; }
  double flops() const;

 private:
  std::vector<Product> shapes_;
};

/// LU of n matrices, and their inverses for a gradient: as many operations at the rate of a (d × d)·(d × d) product,
/// d at least 16, since a call for less is all overhead.
Product lu_product(Index order, Index n, nn::Pass pass);
/// g(x) of n samples.
Products value_products(const nn::NetworkOptions& network, Index n);
/// log|det(I + J)| of n samples, without g(x). terms: of a roulette, what was drawn; else those of the method. Throws
/// BugError for what is not counted: series.
Products log_det_products(const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms);
/// g(x) of n samples and its gradient.
Products gradient_products(const nn::NetworkOptions& network, Index n);
/// g(x), log|det(I + J)| and the gradient of both for n samples.
Products gradient_products(const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms);
/// The map of a continuous flow on a grid of rk4, its log-det and, for Pass::gradient, the gradient of both for n
/// samples.
Products grid_products(const FlowShape& shape, Index n, nn::Pass pass);
/// v(x, t) and its divergence for n samples, once. Two hidden layers.
Products evaluation_products(const nn::NetworkOptions& field, Index n);
/// v of n samples with as many times, and the gradient with respect to the parameters.
Products matching_products(const nn::NetworkOptions& field, Index n);

/// Rates of linalg::gemm at the shapes of products, in this process now.
template <class T>
class GemmRates {
 public:
  explicit GemmRates(const Products& products) : products_(products), rates_(products.shapes().size(), 0.0) {}

  /// Times every shape for `seconds`, and at least twice; a rate is the best of all that were measured. Not collective,
  /// but ranks that share a machine should do it at the same time.
  void measure(double seconds);
  /// Operations a second of a shape, in the order of Products::shapes().
  const std::vector<double>& rates() const { return rates_; }
  /// Seconds that all products take at their rates.
  double bound() const;

 private:
  Products products_;
  std::vector<double> rates_;
};

extern template class GemmRates<float>;
extern template class GemmRates<double>;

}  // namespace pushforward::bench
