
#include "evaluation.hpp"

#include "reference.hpp"

#include <models/model_file.hpp>

#include <algorithm>

namespace pushforward::bench {

namespace {

constexpr Index few = 3;  // samples that go through plain loops

// Rounding, measured, with room; an inverse stops at 64 roundings of the residual.
template <class T>
double tolerance_of(const FlowCase& c) {
  constexpr double epsilon = std::numeric_limits<T>::epsilon();
  const bool has_limit = c.shape.is_continuous() && !c.shape.integration.is_discrete(c.shape.dimension);
  return std::max(c.work == Work::sample ? std::max(1e-8, 2e3 * epsilon) : 200 * epsilon,
                  has_limit ? c.shape.integration.tolerance : 0);
}

}  // namespace

template <class T>
Evaluation<T>::Evaluation(const FlowCase& c)
    : work_(c.work),
      tolerance_(tolerance_of<T>(c)),
      method_(logdet::parse_method(c.method)),
      flow_(trained_flow<T>(c.shape)) {
  flow_.bake_normalization();
  flow_.prepare(nn::Normalization::stored);
  flow_.set_log_det(nn::Pass::evaluate, method_);
}

template <class T>
flow::FlowWorkspace<T> Evaluation<T>::workspace(Index n) const {
  return flow::FlowWorkspace<T>::within(flow_, flow::default_workspace_bytes,
                                        std::clamp<Index>(n, 1, apps::workspace_samples), nn::Pass::evaluate);
}

template <class T>
void Evaluation<T>::evaluate(ConstMatrixView<T> in, Evaluated<T>& out, flow::FlowWorkspace<T>& workspace) const {
  const flow::IntegrationReport report{out.error, out.evaluations};
  if (work_ == Work::sample) {
    flow_.inverse(in, out.image, out.log_prob, out.status, inverse_, workspace, {}, report);
  } else {
    flow_.log_prob({.x = in}, out.log_prob, out.image, out.status, workspace, report);
  }
}

template <class T>
void Evaluation<T>::check(Checks& checks, ConstMatrixView<T> in, const Evaluated<T>& out) const {
  const auto failed = std::count_if(out.status.begin(), out.status.end(), [](auto s) { return s != flow::Status::ok; });
  require<NumericalError>(failed == 0, "{} of {} samples are not ok", failed, out.status.size());
  const Index n = std::min(few, in.cols());
  if (n == 0) return;
  const auto image = out.image.view().columns(0, n);
  const bool samples = work_ == Work::sample;
  const auto x = widened(samples ? image : in.columns(0, n));
  const auto latents = widened(samples ? in.columns(0, n) : image);
  const PlainFlow plain(flow_, nn::Pass::evaluate);
  for (Index j = 0; j < n; ++j) {
    checks.close("a latent by plain loops", latents.view().column_span(j),
                 std::span<const double>(plain.image(x.view().column_span(j)).z), tolerance_);
  }
  const PlainLikelihood likelihood(plain, x, method_, {});
  checks.close("log p by plain loops", std::span(out.log_prob).first(n), std::span(likelihood.log_prob()), tolerance_);
}

template class Evaluation<float>;
template class Evaluation<double>;

}  // namespace pushforward::bench
