#include <pushforward/analysis/log_det_comparison.hpp>
#include <pushforward/core/chunks.hpp>
#include <pushforward/core/timer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pushforward::flow {

/// An estimator at some points of a network, with the memory of both.
template <class T>
class LogDetComparison<T>::Estimation {
 public:
  Estimation(const nn::Network<T>& network, const logdet::Estimator<T>& estimator, Index n, Pass pass)
      : network_(network), estimator_(estimator), y_(network.out(), n), value_(static_cast<std::size_t>(n)) {
    linalg::Workspace kept, scratch;
    plan(kept, scratch, n, pass);
    kept_ = linalg::Workspace(kept.peak());
    scratch_ = linalg::Workspace(scratch.peak());
    plan(kept_, scratch_, n, pass);
    variance_.resize(value_.size());
    sign_.resize(value_.size());
    products_.resize(value_.size());
  }

  /// To be called before estimate(). Points must stay valid.
  ConstMatrixView<T> forward(const Points& points) {
    const auto y = y_.view().columns(0, points.x.cols());
    network_.forward(*passes_, points.x, y, points.context);
    return y;
  }
  void estimate(const logdet::Draws& draws) {
    const auto n = static_cast<std::size_t>(passes_->samples());
    estimator_.estimate(network_, *passes_, *state_, draws,
                        {std::span(value_).first(n), std::span(variance_).first(n), std::span(sign_).first(n),
                         std::span(products_).first(n)});
  }
  /// gradient: the flat buffer, added to.
  void reverse(std::span<T> gradient, MatrixView<T> x_bar) {
    const auto seed = passes_->value_seed();
    for (Index i = 0; i < seed.cols(); ++i) std::fill_n(seed.column(i), seed.rows(), T(0));
    estimator_.add_to_reverse(network_, *passes_, *state_, {}, gradient);
    network_.reverse(*passes_, x_bar, gradient);
  }

  std::span<const double> value() const { return value_; }
  std::span<const linalg::Sign> sign() const { return sign_; }
  std::span<const Index> products() const { return products_; }

 private:
  void plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Pass pass) {
    passes_.emplace(network_, kept, scratch, n, estimator_.tangents(network_), pass);
    state_ = estimator_.plan(network_, kept, scratch, n, pass);
  }

  const nn::Network<T>& network_;
  const logdet::Estimator<T>& estimator_;
  linalg::Workspace kept_, scratch_;
  std::optional<nn::NetworkState<T>> passes_;
  std::unique_ptr<typename logdet::Estimator<T>::State> state_;
  Matrix<T> y_;
  std::vector<double> value_, variance_;
  std::vector<linalg::Sign> sign_;
  std::vector<Index> products_;
};

namespace {

double root_sum_square(double a, double b) {
  return std::hypot(a, b);
}

void add_to(LogDetPart& total, const LogDetPart& part) {
  for (std::size_t i = 0; i < total.exact.size(); ++i) total.exact[i] += part.exact[i];
  for (std::size_t i = 0; i < total.gradient_norm.size(); ++i) {
    total.gradient_norm[i] = root_sum_square(total.gradient_norm[i], part.gradient_norm[i]);
  }
  total.exact_seconds += part.exact_seconds;
  for (std::size_t m = 0; m < total.draws.size(); ++m) {
    auto& to = total.draws[m];
    const auto& from = part.draws[m];
    const auto add = [](auto a, auto b) { return a + b; };
    std::ranges::transform(to.value.span(), from.value.span(), to.value.data(), add);
    std::ranges::transform(to.products.span(), from.products.span(), to.products.data(), add);
    std::ranges::transform(to.gradient_error.span(), from.gradient_error.span(), to.gradient_error.data(),
                           root_sum_square);
    std::ranges::transform(to.seconds, from.seconds, to.seconds.begin(), add);
  }
}

// A sample that failed in any block has no result.
void blank(LogDetPart& part, std::span<const Status> status) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] == Status::ok) continue;
    for (auto* const array : {&part.exact, &part.gradient_norm, &part.spectral_radius, &part.norm}) {
      if (!array->empty()) (*array)[i] = nan;
    }
    const auto row = static_cast<Index>(i);
    for (auto& d : part.draws) {
      for (Index r = 0; r < d.value.cols(); ++r) d.value(row, r) = nan;
      for (Index r = 0; r < d.gradient_error.cols(); ++r) d.gradient_error(row, r) = nan;
    }
  }
}

}  // namespace

template <class T>
LogDetComparison<T>::LogDetComparison(const Flow<T>& flow, const LogDetComparisonOptions& options)
    : flow_(flow), options_(options) {
  require<OptionError>(options.repeats >= 1, "comparison of log-dets: {} repeats, must be at least 1", options.repeats);
  require<OptionError>(options.chunk >= 1, "comparison of log-dets: chunks of {} samples, must be of at least 1",
                       options.chunk);
  const auto& transforms = flow.transforms();
  for (std::size_t k = 0; k < transforms.size(); ++k) {
    const auto* const network = lipschitz_network(*transforms[k]);
    if (network == nullptr) continue;
    require<DataError>(network->lipschitz() < 1,
                       "transform {} ({}) is no contraction: its Lipschitz constant is {:.6g}; series and probes mean "
                       "nothing there",
                       k, transforms[k]->kind(), network->lipschitz());
    blocks_.push_back(static_cast<Index>(k));
    auto& estimators = estimators_.emplace_back();
    estimators.push_back(logdet::make_estimator<T>({}, network->options()));
    for (const auto& method : options.methods) {
      estimators.push_back(logdet::make_estimator<T>(method, network->options()));
    }
  }
  require<DataError>(!blocks_.empty(), "the model has no residual block: all its log-dets are analytic");
}

template <class T>
const nn::Network<T>& LogDetComparison<T>::network(std::size_t b) const {
  return *lipschitz_network(*flow_.transforms()[blocks_[b]]);
}

template <class T>
double LogDetComparison<T>::bias_bound(std::size_t method, std::size_t b) const {
  return estimators_[b][1 + method]->bias_bound(network(b).in(), network(b).lipschitz());
}

template <class T>
LogDetPart LogDetComparison<T>::empty_part(Index n, bool of_block) const {
  const auto size = static_cast<std::size_t>(n);
  LogDetPart part;
  part.exact.resize(size);
  if (options_.gradient) part.gradient_norm.resize(size);
  if (options_.spectrum && of_block) {
    part.spectral_radius.resize(size);
    part.norm.resize(size);
  }
  for (std::size_t m = 0; m < options_.methods.size(); ++m) {
    const Index r = repeats(m);
    part.draws.push_back({Matrix<double>(n, r), Matrix<Index>(n, r), Matrix<double>(n, options_.gradient ? r : 0),
                          std::vector<double>(r)});
  }
  return part;
}

template <class T>
std::vector<LogDetPart> LogDetComparison<T>::run(ConstMatrixView<T> x, Index first, std::span<Status> status,
                                                 ConstMatrixView<T> context) const {
  const Index d = flow_.dimension(), n = x.cols();
  require<ShapeError>(x.rows() == d && std::ssize(status) == n,
                      "comparison of log-dets: ({} × {}) samples and {} statuses do not fit a flow of dimension {}",
                      x.rows(), n, status.size(), d);
  require<ShapeError>(context.rows() == flow_.architecture().data.context && (context.empty() || context.cols() == n),
                      "comparison of log-dets: a context of ({} × {}) for {} samples of a flow that is conditioned on "
                      "{} values",
                      context.rows(), context.cols(), n, flow_.architecture().data.context);
  Matrix<T> at(x);
  for (Index i = 0; i < n; ++i) {
    const bool finite = std::ranges::all_of(x.column_span(i), [](T value) { return std::isfinite(value); });
    status[i] = finite ? Status::ok : Status::not_finite;
    if (!finite) std::fill_n(at.view().column(i), d, T(0));  // computed like the others, and set to NaN at the end
  }
  std::vector<LogDetPart> parts{empty_part(n, false)};
  if (n == 0) {
    for (std::size_t b = 0; b < blocks_.size(); ++b) parts.push_back(empty_part(0, true));
    return parts;
  }
  std::vector<double> analytic(n);
  const auto& transforms = flow_.transforms();
  for (std::size_t k = 0; k < transforms.size(); ++k) {
    const std::size_t b = parts.size() - 1;
    if (b < blocks_.size() && blocks_[b] == static_cast<Index>(k)) {
      auto& part = parts.emplace_back(empty_part(n, true));
      const Points all{at, context};
      Matrix<T> next(at);
      Estimation exact(network(b), *estimators_[b][0], std::min(options_.chunk, n), Pass::evaluate);
      in_chunks(n, options_.chunk, [&](Index from, Index count) {
        const auto y = exact.forward(all.columns(from, count));
        if (from == 0) exact.estimate({});  // touches the memory, so that page faults are not timed
        const Timer timer;
        exact.estimate({});
        part.exact_seconds += timer.seconds();
        for (Index i = 0; i < count; ++i) {
          const auto row = static_cast<std::size_t>(from + i), mine = static_cast<std::size_t>(i);
          part.exact[row] = exact.value()[mine];
          if (status[row] == Status::ok && !(exact.sign()[mine] > 0)) {
            status[row] = std::isnan(exact.value()[mine]) ? Status::not_finite : Status::negative_determinant;
          }
          for (Index r = 0; r < y.rows(); ++r) next(r, from + i) += y(r, i);
        }
      });
      compare(b, all, first, part);
      if (options_.gradient) compare_gradients(b, all, first, part);
      if (options_.spectrum) measure_spectrum(b, all, status, part);
      at = std::move(next);
    } else {
      linalg::Workspace kept, scratch;
      transforms[k]->plan(kept, scratch, n, Pass::evaluate);
      linalg::Workspace kept_memory(kept.peak()), scratch_memory(scratch.peak());
      const auto state = transforms[k]->plan(kept_memory, scratch_memory, n, Pass::evaluate);
      const logdet::Draws draws{.seed = options_.seed, .block = static_cast<std::uint64_t>(k), .first = first};
      Matrix<T> next(at.rows(), n);
      transforms[k]->forward(*state, {.x = at, .context = context, .draws = draws}, next.view(), analytic, status);
      at = Matrix<T>(std::as_const(next).view().block(0, 0, transforms[k]->output_shape().size(), n));
    }
  }
  for (std::size_t b = 0; b < blocks_.size(); ++b) add_to(parts[0], parts[1 + b]);
  for (auto& part : parts) blank(part, status);
  return parts;
}

template <class T>
void LogDetComparison<T>::compare(std::size_t b, const Points& points, Index first, LogDetPart& part) const {
  for (std::size_t m = 0; m < options_.methods.size(); ++m) {
    auto& draws = part.draws[m];
    Estimation pass(network(b), *estimators_[b][1 + m], std::min(options_.chunk, points.x.cols()), Pass::evaluate);
    in_chunks(points.x.cols(), options_.chunk, [&](Index from, Index count) {
      pass.forward(points.columns(from, count));
      if (from == 0) pass.estimate({});
      for (Index r = 0; r < repeats(m); ++r) {
        const Timer timer;
        pass.estimate({.seed = options_.seed,
                       .step = static_cast<std::uint64_t>(r),
                       .block = static_cast<std::uint64_t>(blocks_[b]),
                       .first = first + from});
        draws.seconds[r] += timer.seconds();
        std::copy_n(pass.value().data(), count, draws.value.view().column(r) + from);
        std::copy_n(pass.products().data(), count, draws.products.view().column(r) + from);
      }
    });
  }
}

template <class T>
void LogDetComparison<T>::compare_gradients(std::size_t b, const Points& points, Index first, LogDetPart& part) const {
  const auto& layout = flow_.layout();
  // The parameters of the block are contiguous in the flat buffer.
  const auto path = fmt::format("transforms/{:03d}/", blocks_[b]);
  Index begin = layout.size(), end = 0;
  for (const auto& block : layout.blocks()) {
    if (!block.name.starts_with(path)) continue;
    begin = std::min(begin, block.offset);
    end = std::max(end, block.offset + block.size());
  }
  const auto mine = [&](std::vector<T>& flat) { return std::span<T>(flat).subspan(begin, end - begin); };
  std::vector<T> exact(layout.size()), estimate(exact.size());
  Matrix<T> x_bar(points.x.rows(), 1);
  Estimation reference(network(b), *estimators_[b][0], 1, Pass::gradient);
  std::vector<std::unique_ptr<Estimation>> passes;
  for (std::size_t m = 0; m < options_.methods.size(); ++m) {
    passes.push_back(std::make_unique<Estimation>(network(b), *estimators_[b][1 + m], 1, Pass::gradient));
  }
  const auto gradient_of = [&](Estimation& pass, Index i, Index repeat, std::vector<T>& flat) {
    std::ranges::fill(mine(flat), T(0));
    pass.forward(points.columns(i, 1));
    pass.estimate({.seed = options_.seed,
                   .step = static_cast<std::uint64_t>(repeat),
                   .block = static_cast<std::uint64_t>(blocks_[b]),
                   .first = first + i});
    pass.reverse(flat, x_bar);
  };
  for (Index i = 0; i < points.x.cols(); ++i) {
    gradient_of(reference, i, 0, exact);
    const std::span<const T> g = mine(exact);
    double square = 0;
    for (const T value : g) square += static_cast<double>(value) * static_cast<double>(value);
    part.gradient_norm[i] = std::sqrt(square);
    for (std::size_t m = 0; m < passes.size(); ++m) {
      for (Index r = 0; r < repeats(m); ++r) {
        gradient_of(*passes[m], i, r, estimate);
        const std::span<const T> other = mine(estimate);
        double error = 0;
        for (std::size_t p = 0; p < g.size(); ++p) {
          const double difference = static_cast<double>(other[p]) - static_cast<double>(g[p]);
          error += difference * difference;
        }
        part.draws[m].gradient_error(i, r) = std::sqrt(error);
      }
    }
  }
}

template <class T>
void LogDetComparison<T>::measure_spectrum(std::size_t b, const Points& points, std::span<const Status> status,
                                           LogDetPart& part) const {
  const Index d = points.x.rows();
  linalg::Workspace kept, scratch;
  const Index most = std::min(options_.chunk, points.x.cols());
  nn::NetworkState<T>(network(b), kept, scratch, most, d, Pass::evaluate);
  linalg::Workspace kept_memory(kept.peak()), scratch_memory(scratch.peak());
  nn::NetworkState<T> passes(network(b), kept_memory, scratch_memory, most, d, Pass::evaluate);
  Matrix<T> y(d, most), jacobians(d, d * most);
  in_chunks(points.x.cols(), options_.chunk, [&](Index from, Index count) {
    const auto [x, context] = points.columns(from, count);
    network(b).forward(passes, x, y.view().columns(0, count), context);
    network(b).tangent(passes, nn::Directions<T>::identity(d), jacobians.view().columns(0, d * count));
    for (Index i = 0; i < count; ++i) {
      const auto j = jacobians.view().columns(i * d, d);
      const auto row = static_cast<std::size_t>(from + i);
      if (status[row] != Status::ok) continue;  // there may be no eigenvalues
      part.spectral_radius[row] = static_cast<double>(linalg::spectral_radius(ConstMatrixView<T>(j)));
      part.norm[row] = static_cast<double>(linalg::singular_values(ConstMatrixView<T>(j)).front());
    }
  });
}

template class LogDetComparison<float>;
template class LogDetComparison<double>;

}  // namespace pushforward::flow
