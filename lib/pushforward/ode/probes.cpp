#include <pushforward/ode/probes.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::ode {

template <class T>
Probes<T>::Probes(const logdet::HutchinsonOptions& options, Index d, Index steps, Index stages, linalg::Workspace& kept,
                  linalg::Workspace& scratch, Index n)
    : law_(logdet::probe_names().value(options.probe)), count_(options.probes), stages_(stages), per_(options.per) {
  const Index sets = per_ == "solve" ? 1 : per_ == "step" ? steps : steps * stages;
  for (Index s = 0; s < sets; ++s) sets_.push_back(kept.matrix<T>(d, n * count_));
  drawn_ = scratch.matrix<T>(d, n * count_ * sets);
}

template <class T>
Probes<T>::Probes(Index d, linalg::Workspace& kept, Index n) : count_(d), stages_(1), per_("solve") {
  sets_.push_back(kept.matrix<T>(d, n * d));
}

template <class T>
void Probes<T>::draw(const logdet::Draws& draws, Index n) {
  const Index sets = std::ssize(sets_), d = sets_.front().rows();
  n_ = n;
  if (!law_) {
    const auto units = sets_.front().columns(0, n * d);
    std::fill_n(units.data(), units.size(), T(0));
    for (Index j = 0; j < units.cols(); ++j) units(j % d, j) = static_cast<T>(std::sqrt(static_cast<double>(d)));
    return;
  }
  draw_probes<T>(*law_, draws, count_ * sets, drawn_.columns(0, n * count_ * sets));
  for (Index j = 0; j < n; ++j) {
    for (Index s = 0; s < sets; ++s) {
      std::copy_n(drawn_.column((j * sets + s) * count_), d * count_, sets_[s].column(j * count_));
    }
  }
}

template <class T>
ConstMatrixView<T> Probes<T>::of(Index step, Index stage) const {
  const Index set = per_ == "solve" ? 0 : per_ == "step" ? step : step * stages_ + stage;
  return sets_[set].columns(0, n_ * count_);
}

template class Probes<float>;
template class Probes<double>;

}  // namespace pushforward::ode
