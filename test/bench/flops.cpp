#include "flops.hpp"

#include "../logdet/method_options.hpp"

#include <pushforward/core/timer.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

using linalg::Op;
using logdet::ExactOptions;
using nn::Pass;

constexpr Index least_lu_size = 16;

std::vector<Index> widths(const nn::NetworkOptions& network) {
  std::vector<Index> all{network.in};
  all.insert(all.end(), network.hidden.begin(), network.hidden.end());
  all.push_back(network.out);
  return all;
}

// W (out × in) on columns, Wᵀ on columns, and the gradient with respect to W.
Product forward(Index out, Index in, Index columns, double count = 1) {
  return {Op::none, Op::none, out, columns, in, count};
}
Product transposed(Index out, Index in, Index columns, double count = 1) {
  return {Op::transpose, Op::none, in, columns, out, count};
}
Product outer(Index out, Index in, Index columns, double count = 1) {
  return {Op::none, Op::transpose, out, in, columns, count};
}

struct Shape {
  Index out, in;
};

// The matrices that tangents pass through hidden layer h, in cyclic order, without the first, which is free.
std::vector<Shape> walk_through_hidden(const nn::NetworkOptions& network, Index h) {
  const auto w = widths(network);
  const Index layers = std::ssize(w) - 1;
  const auto shape = [&](Index l) { return Shape{w[l + 1], w[l]}; };
  std::vector<Shape> all;
  for (Index step = 1; step <= layers; ++step) {
    const Index l = (h + step) % layers;
    if (l == layers - 1 && logdet::joins_ends(network, h)) {
      all.push_back({network.hidden.front(), network.hidden.back()});
      ++step;  // W₁ is in it
    } else {
      all.push_back(shape(l));
    }
  }
  all.erase(all.begin());
  return all;
}

// Counts the products with Jᵀ for the value, of a sample and probe. terms: those of a roulette.
double terms_of(const logdet::Method& method, double terms) {
  if (test::lengths_of(method)) return terms;
  const auto* const krylov = test::krylov_options(method);
  require<BugError>(krylov != nullptr, "products of {} are not counted", to_string(method));
  return static_cast<double>(krylov->terms);
}

void add_probes(Products& all, const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms,
                Pass pass) {
  const auto w = widths(network);
  const bool gradient = pass == Pass::gradient;
  const double products = terms_of(method, terms);
  const Index columns = n * test::probes_of(method).probes;
  for (std::size_t l = 1; l < w.size(); ++l) {
    all.add(transposed(w[l], w[l - 1], columns, products));
    if (gradient && l + 1 < w.size()) all.add(forward(w[l], w[l - 1], columns));  // Jv itself is not wanted
  }
  const auto* const traced = method.get_if<logdet::TraceKrylovOptions>();
  if (traced == nullptr || network.hidden.empty() || network.hidden.size() > 2) return;
  if (network.hidden.size() == 1 && traced->terms < 2) return;  // no tr J²
  const Index last = network.hidden.back(), first = network.hidden.front();
  all.add(forward(last, first, n));
  if (!gradient) return;
  all.add(transposed(last, first, n));
  all.add(outer(last, first, n));
}

// Value, tangents and LU; the reverse of what is not walked with the values.
Products products(const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms, Pass pass,
                  bool with_value) {
  const auto w = widths(network);
  const bool gradient = pass == Pass::gradient;
  Products all;
  if (with_value) all.add(value_products(network, n));
  Index identity = 0, given = 0;  // tangents a sample through all layers but the first, through all
  if (!method.exact()) {
    add_probes(all, method, network, n, terms, pass);
    given = test::probes_of(method).probes;
  } else if (const auto h = exact_through(method.as<ExactOptions>(), network)) {
    const Index order = network.hidden[*h];
    for (const auto& [out, in] : walk_through_hidden(network, *h)) {
      all.add(forward(out, in, n * order));
      if (!gradient) continue;
      all.add(outer(out, in, n * order));
      all.add(transposed(out, in, n * order));
    }
    all.add(lu_product(order, n, pass));
  } else {
    identity = network.in;
    for (std::size_t l = 2; l < w.size(); ++l) all.add(forward(w[l], w[l - 1], n * identity));
    all.add(lu_product(identity, n, pass));
  }
  if (!gradient) return all;
  // Values and tangents side by side.
  for (std::size_t l = 1; l < w.size(); ++l) {
    const Index tangents = given + (l > 1 ? identity : 0);
    all.add(outer(w[l], w[l - 1], n * (1 + tangents)));
    all.add(transposed(w[l], w[l - 1], n * (1 + tangents)));
  }
  return all;
}

}  // namespace

std::string to_string(const Product& p) {
  return fmt::format("{}{} {}×{}×{}", static_cast<char>(p.a), static_cast<char>(p.b), p.m, p.n, p.k);
}

void Products::add(const Product& product) {
  const auto same =
      std::find_if(shapes_.begin(), shapes_.end(), [&](const Product& p) { return p.same_shape(product); });
  if (same == shapes_.end()) {
    shapes_.push_back(product);
  } else {
    same->count += product.count;
  }
}

void Products::add(const Products& others, double factor) {
  for (Product p : others.shapes_) {
    p.count *= factor;
    add(p);
  }
}

double Products::flops() const {
  double sum = 0;
  for (const auto& p : shapes_) sum += p.flops();
  return sum;
}

Product lu_product(Index order, Index n, Pass pass) {
  const auto d = static_cast<double>(order);
  const double flops = (pass == Pass::gradient ? 8.0 : 2.0) / 3.0 * d * d * d * static_cast<double>(n);
  const Index size = std::max(order, least_lu_size);
  return {Op::none, Op::none, size, size, size, flops / linalg::gemm_flops(size, size, size)};
}

Products value_products(const nn::NetworkOptions& network, Index n) {
  const auto w = widths(network);
  Products all;
  for (std::size_t l = 1; l < w.size(); ++l) all.add(forward(w[l], w[l - 1], n));
  return all;
}

Products gradient_products(const nn::NetworkOptions& network, Index n) {
  const auto w = widths(network);
  Products all = value_products(network, n);
  for (std::size_t l = 1; l < w.size(); ++l) {
    all.add(outer(w[l], w[l - 1], n));
    all.add(transposed(w[l], w[l - 1], n));
  }
  return all;
}

Products log_det_products(const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms) {
  return products(method, network, n, terms, Pass::evaluate, false);
}

Products gradient_products(const logdet::Method& method, const nn::NetworkOptions& network, Index n, double terms) {
  return products(method, network, n, terms, Pass::gradient, true);
}

Products evaluation_products(const nn::NetworkOptions& field, Index n) {
  require<BugError>(field.hidden.size() == 2, "the divergence of {} hidden layers is not counted", field.hidden.size());
  Products all = value_products(field, n);
  all.add(forward(field.hidden[1], field.hidden[0], n));
  return all;
}

Products grid_products(const FlowShape& shape, Index n, Pass pass) {
  constexpr Index stages = 4;
  const auto field = shape.network();
  const auto w = widths(field);
  const bool discrete = shape.integration.is_discrete(shape.dimension), gradient = pass == Pass::gradient;
  Products step;
  for (Index i = 0; i < stages; ++i) {
    step.add(discrete ? value_products(field, n) : evaluation_products(field, n));
    if (gradient && !discrete) {
      step.add(transposed(field.hidden[1], field.hidden[0], n));
      step.add(outer(field.hidden[1], field.hidden[0], n));
    }
    for (std::size_t l = 1; l < w.size(); ++l) {
      const Index tangents = !discrete || (i == 0 && l == 1) ? 0 : shape.dimension;
      if (tangents > 0) step.add(forward(w[l], w[l - 1], n * tangents));
      if (!gradient) continue;
      step.add(outer(w[l], w[l - 1], n * (1 + tangents)));
      step.add(transposed(w[l], w[l - 1], n * (1 + tangents)));
    }
  }
  if (discrete) step.add(lu_product(shape.dimension, n, pass));
  Products all;
  all.add(step, static_cast<double>(shape.integration.steps));
  return all;
}

Products matching_products(const nn::NetworkOptions& field, Index n) {
  auto w = widths(field);
  w[0] += ode::VectorField<double>::time_features;
  Products all;
  for (std::size_t l = 1; l < w.size(); ++l) {
    all.add(forward(w[l], w[l - 1], n));
    all.add(outer(w[l], w[l - 1], n));
    if (l > 1) all.add(transposed(w[l], w[l - 1], n));
  }
  return all;
}

template <class T>
void GemmRates<T>::measure(double seconds) {
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    const auto& p = products_.shapes()[i];
    const bool a_as_is = p.a == Op::none, b_as_is = p.b == Op::none;
    Matrix<T> a(a_as_is ? p.m : p.k, a_as_is ? p.k : p.m), b(b_as_is ? p.k : p.n, b_as_is ? p.n : p.k), c(p.m, p.n);
    a.fill(T(0.5));
    b.fill(T(0.25));
    // A product that sums over columns is a gradient, and those are added to.
    const T beta = b_as_is ? T(0) : T(1);
    const Timer whole;
    double once = 0;
    Index repeats = 0;
    do {
      const Index times = std::clamp<Index>(repeats == 0 ? 1 : static_cast<Index>(std::ceil(2e-4 / once)), 1, 100'000);
      const Timer timer;
      for (Index t = 0; t < times; ++t) linalg::gemm(p.a, p.b, T(1), a, b, beta, c);
      once = std::max(timer.seconds() / static_cast<double>(times), 1e-9);
      rates_[i] = std::max(rates_[i], linalg::gemm_flops(p.m, p.n, p.k) / once);
    } while (++repeats < 2 || whole.seconds() < seconds);
  }
}

template <class T>
double GemmRates<T>::bound() const {
  double seconds = 0;
  for (std::size_t i = 0; i < rates_.size(); ++i) seconds += products_.shapes()[i].flops() / rates_[i];
  return seconds;
}

template class GemmRates<float>;
template class GemmRates<double>;

}  // namespace pushforward::bench
