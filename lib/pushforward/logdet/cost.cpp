#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/logdet/cost.hpp>
#include <pushforward/logdet/trace.hpp>
#include <pushforward/nn/conv.hpp>

#include <algorithm>

namespace pushforward::logdet {

namespace {

// How many times the stochastic default may take before exact is too dear. Training: its probe does no harm that could
// be measured, but where blocks come near their Lipschitz bound what few Arnoldi steps leave out does
// (examples/log_determinants.md). Evaluation: a standard error takes several repeats.
double worth(nn::Pass pass) {
  return pass == nn::Pass::gradient ? 4 : 8;
}

// Products of a gradient: value, and twice as much in reverse.
double passes(nn::Pass pass) {
  return pass == nn::Pass::gradient ? 3 : 1;
}

// LU, and where there is a gradient the inverse.
double lu_flops(Index order, nn::Pass pass) {
  const auto k = static_cast<double>(order);
  return (pass == nn::Pass::gradient ? 8.0 / 3.0 : 2.0 / 3.0) * k * k * k;
}

// Best of a few runs, seconds.
template <class F>
double best_time(F&& f) {
  double best = std::numeric_limits<double>::infinity(), total = 0;
  for (int repeat = 0; repeat < 20 && total < 0.015; ++repeat) {
    const Timer timer;
    f();
    best = std::min(best, timer.seconds());
    total += timer.seconds();
  }
  return best;
}

// The layer with most operations.
Index largest_layer(const nn::NetworkOptions& network) {
  Index largest = 0;
  for (Index l = 1; l < network.depth(); ++l) {
    if (network.layer_flops(l) > network.layer_flops(largest)) largest = l;
  }
  return largest;
}

// Seconds of the product of the largest layer, and its operations. A larger product takes long to measure and runs at
// the same rate.
template <class T>
std::pair<double, double> time_product(const nn::NetworkOptions& network, Index columns) {
  constexpr Index largest_width = 4096, largest_size = Index{1} << 30;
  const auto widths = network.widths();
  const Index l = largest_layer(network);
  const Index in = std::min(widths[l], largest_width), out = std::min(widths[l + 1], largest_width);
  columns = std::min(columns, std::max<Index>(1, largest_size / (in * out)));
  Matrix<T> a(out, in), b(in, columns), c(out, columns);
  a.fill(T(0.5));
  b.fill(T(0.25));
  const double seconds = best_time([&] { linalg::gemm(linalg::Op::none, linalg::Op::none, T(1), a, b, T(0), c); });
  return {seconds, linalg::gemm_flops(out, columns, in)};
}

// The same of a convolution, patches and all: that with most operations.
template <class T>
std::pair<double, double> time_convolution(const nn::NetworkOptions& network, Index columns) {
  nn::ParameterLayout layout;
  nn::ConvLayer<T> layer(layout, "timed", network.conv_size(largest_layer(network)), std::numeric_limits<T>::infinity(),
                         {0, random::Purpose::power_start});
  layer.prepare(std::vector<T>(layout.size(), T(0.5)), nn::Normalization::power_iteration);
  Matrix<T> x(layer.in(), columns), y(layer.out(), columns);
  x.fill(T(0.25));
  std::vector<T> scratch(layer.scratch());
  const double seconds = best_time([&] { layer.apply(x, y, scratch); });
  return {seconds, layer.flops(columns)};
}

}  // namespace

double product_flops(const nn::NetworkOptions& network) {
  double flops = 0;
  for (Index l = 0; l < network.depth(); ++l) flops += network.layer_flops(l);
  return flops;
}

Flops exact_flops_through_input(const nn::NetworkOptions& network, nn::Pass pass) {
  return {passes(pass) * static_cast<double>(network.in) * (product_flops(network) - network.layer_flops(0)),
          lu_flops(network.in, pass)};
}

bool joins_ends(const nn::NetworkOptions& network, Index h) {
  if (h + 1 == std::ssize(network.hidden)) return true;
  const double first = static_cast<double>(network.hidden.front()), last = static_cast<double>(network.hidden.back());
  return first * last <= static_cast<double>(network.in) * (first + last);
}

Flops exact_flops_through_hidden(const nn::NetworkOptions& network, Index h, nn::Pass pass) {
  const auto w = network.widths();
  const Index order = network.hidden[h];
  double flops = product_flops(network);
  if (joins_ends(network, h)) {
    flops += linalg::gemm_flops(network.hidden.front(), 1, network.hidden.back()) - linalg::gemm_flops(w[1], 1, w[0]) -
             linalg::gemm_flops(network.out, 1, network.hidden.back());
  }
  // The first matrix of the walk costs nothing: that after hidden layer h.
  const bool last = h + 1 == std::ssize(network.hidden);
  const Index next = last ? network.hidden.front() : w[static_cast<std::size_t>(h) + 2];
  flops -= linalg::gemm_flops(next, 1, order);
  return {passes(pass) * static_cast<double>(order) * flops, lu_flops(order, pass)};
}

std::optional<Index> narrowest_hidden(const nn::NetworkOptions& network) {
  const auto& hidden = network.hidden;
  if (hidden.empty()) return {};
  return std::min_element(hidden.begin(), hidden.end()) - hidden.begin();
}

std::optional<Index> exact_through(const ExactOptions& options, const nn::NetworkOptions& network) {
  if (options.through == "input") return {};
  if (!network.is_plain()) {
    require<OptionError>(options.through != "narrowest",
                         "the hidden layers of dense networks only, without angles, can be gone through; use exact");
    return {};
  }
  const auto h = narrowest_hidden(network);
  require<OptionError>(h || options.through != "narrowest", "the network has no hidden layer to go through");
  if (options.through == "narrowest") return h;
  if (!h) return {};
  const auto sum = [](const Flops& f) { return f.gemm + f.lu; };
  const auto gradient = nn::Pass::gradient;
  return sum(exact_flops_through_hidden(network, *h, gradient)) < sum(exact_flops_through_input(network, gradient))
             ? h
             : std::nullopt;
}

Flops krylov_flops(const KrylovOptions& options, bool has_trace, const nn::NetworkOptions& network, nn::Pass pass) {
  // Arnoldi's products; for a gradient a tangent, as far as the last hidden layer, and its reverse.
  double flops = static_cast<double>(options.terms) * product_flops(network);
  if (pass == nn::Pass::gradient) flops += 3 * product_flops(network) - network.layer_flops(network.depth() - 1);
  double trace = 0;
  // M of tr J with two hidden layers, K ∘ Kᵀ of tr J² with one, on a vector.
  if (has_trace && (network.hidden.size() == 2 || (network.hidden.size() == 1 && options.terms >= 2))) {
    trace = passes(pass) * linalg::gemm_flops(network.hidden.back(), 1, network.hidden.front());
  }
  // The basis and what is computed from it runs no faster than small LUs do.
  const auto d = static_cast<double>(network.in), m = static_cast<double>(options.terms);
  const auto probes = static_cast<double>(options.probes);
  return {probes * flops + trace, probes * (2 * d * m * (m + 1) + 4 * m * m * m)};
}

Method choose_method(const Method& method, const nn::NetworkOptions& network, const Rates& rates, nn::Pass pass,
                     std::string* why) {
  if (method.get_if<AutoOptions>() == nullptr) return method.settled(network);
  const bool has_trace =
      network.is_plain() && network.hidden.size() <= static_cast<std::size_t>(ExactTrace<double>::most_hidden);
  const bool gradient = pass == nn::Pass::gradient;
  KrylovOptions arnoldi;
  if (gradient) {
    arnoldi.tol = 0.1;
  } else {
    arnoldi.terms = std::min<Index>(6, network.in);
  }
  const Method stochastic = has_trace ? Method(TraceKrylovOptions{arnoldi}) : Method(arnoldi);
  const auto h = exact_through({}, network);
  const Flops flops = h ? exact_flops_through_hidden(network, *h, pass) : exact_flops_through_input(network, pass);
  const double common = passes(pass) * product_flops(network);  // g and its reverse
  const double exact = 1e-3 * ((common + flops.gemm) / rates.gemm + flops.lu / rates.lu);
  if (gradient) arnoldi.terms = std::min<Index>(4, network.in);  // what a probe takes as a rule
  const Flops by_probe = krylov_flops(arnoldi, has_trace, network, pass);
  const double probe = 1e-3 * ((common + by_probe.gemm) / rates.gemm + by_probe.lu / rates.lu);
  const Method chosen = exact <= worth(pass) * probe ? Method() : stochastic;
  if (why != nullptr) {
    *why = fmt::format(
        "auto: {}, since a sample and block takes {:.3g} µs with exact{} and {:.3g} µs with {} (GEMM at {:.3g}, LU at "
        "{:.3g} GFLOP/s), and exact is worth up to {:.0f} times the time",
        to_string(chosen), exact, h ? fmt::format(" through the layer of {}", network.hidden[std::size_t(*h)]) : "",
        probe, to_string(stochastic), rates.gemm, rates.lu, worth(pass));
  }
  return chosen;
}

template <class T>
Rates measure_rates(const nn::NetworkOptions& network, Index n) {
  // An LU of a larger matrix takes long to measure and runs at the same rate.
  constexpr Index largest_order = 512;
  const Index d = std::min(network.in, largest_order),
              columns = std::clamp<Index>(n * d, 1, network.is_convolutional() ? 64 : 4096);
  const auto [seconds, flops] =
      network.is_convolutional() ? time_convolution<T>(network, columns) : time_product<T>(network, columns);

  const Index count = std::clamp<Index>(4096 / (d * d), 1, 256);
  Matrix<T> lu(d, d * count), inverse(d, d * count);
  std::vector<int> pivots(d * count);
  std::vector<double> log_det(count);
  std::vector<linalg::Sign> sign(count);
  const double factor = best_time([&] {
    for (Index j = 0; j < d * count; ++j) {
      for (Index i = 0; i < d; ++i) lu(i, j) = T(i == j % d ? 2 : 0.5) / T(1 + i);
    }
    linalg::lu_log_det(lu, pivots, log_det, sign);
    linalg::lu_inverse_transpose(lu, pivots, sign, inverse);
  });
  return {1e-9 * flops / seconds, 1e-9 * static_cast<double>(count) * lu_flops(d, nn::Pass::gradient) / factor};
}

template Rates measure_rates<float>(const nn::NetworkOptions&, Index);
template Rates measure_rates<double>(const nn::NetworkOptions&, Index);

}  // namespace pushforward::logdet
