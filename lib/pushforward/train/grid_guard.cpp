#include <pushforward/train/grid_guard.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace pushforward::train {

template <class T>
GridGuard<T>::GridGuard(flow::Flow<T>& flow) : flow_(flow) {
  for (const auto& integration : flow.integrations()) steps_.push_back(integration.steps);
}

template <class T>
void GridGuard<T>::add_state(StateSet& state) {
  for (std::size_t k = 0; k < steps_.size(); ++k) state.add(fmt::format("grids/{:03d}/steps", k), steps_[k]);
}

template <class T>
bool GridGuard<T>::apply() {
  auto integrations = flow_.integrations();
  bool differs = false;
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    differs = differs || integrations[k].steps != steps_[k];
    integrations[k].steps = steps_[k];
  }
  if (differs) flow_.set_integrations(integrations);
  return differs;
}

template <class T>
bool GridGuard<T>::refine(std::string_view why) {
  const auto integrations = flow_.integrations();
  std::vector<std::string> texts;
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    const Index finer = 2 * steps_[k];
    if (finer > integrations[k].max_steps) continue;
    texts.push_back(fmt::format("{} instead of {}", finer, steps_[k]));
    steps_[k] = finer;
  }
  if (texts.empty()) return false;
  changes_ +=
      fmt::format("{}{}; the grid has {} steps from now on", changes_.empty() ? "" : "; ", why, fmt::join(texts, ", "));
  return apply();
}

template <class T>
void GridGuard<T>::warn(std::string_view why) {
  if (std::exchange(has_warned_, true)) return;
  changes_ += fmt::format("{}{}; model.max_steps allows no finer grid, so the training loss is no NLL from now on",
                          changes_.empty() ? "" : "; ", why);
}

template <class T>
bool GridGuard<T>::has_limit() const {
  return std::ranges::any_of(flow_.integrations(),
                             [&](const auto& integration) { return !integration.is_discrete(flow_.dimension()); });
}

template <class T>
flow::FlowWorkspace<T> GridGuard<T>::exact_workspace(Index n, Index bytes) const {
  std::vector<std::pair<flow::Estimated<T>*, logdet::Method>> estimates;
  for (const auto& transform : flow_.transforms()) {
    auto* const estimated = dynamic_cast<flow::Estimated<T>*>(transform.get());
    if (estimated == nullptr) continue;
    const auto& method = estimated->log_det(nn::Pass::gradient);
    if (method.kind() == logdet::HutchinsonOptions::kind) estimates.emplace_back(estimated, method);
  }
  for (const auto& [estimated, method] : estimates) estimated->set_log_det(nn::Pass::gradient, {});
  const auto integrations = flow_.integrations();
  auto plain = integrations;
  for (auto& integration : plain) integration.penalty = {};
  flow_.set_integrations(plain);
  auto workspace = flow::FlowWorkspace<T>::within(flow_, bytes, n, nn::Pass::gradient);
  flow_.set_integrations(integrations);
  for (const auto& [estimated, method] : estimates) estimated->set_log_det(nn::Pass::gradient, method);
  return workspace;
}

template <class T>
double GridGuard<T>::difference(const flow::Batch<T>& batch, flow::FlowWorkspace<T>& limit, Index bytes) const {
  auto grid = exact_workspace(batch.size(), bytes);
  const auto n = static_cast<std::size_t>(batch.size());
  std::array<double, rows> coarse{}, fine{};
  std::array<flow::Status, rows> coarse_status{}, fine_status{};
  flow_.log_prob(batch, std::span(coarse).first(n), {}, std::span(coarse_status).first(n), grid);
  flow_.log_prob(batch, std::span(fine).first(n), {}, std::span(fine_status).first(n), limit);
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (coarse_status[i] != flow::Status::ok || fine_status[i] != flow::Status::ok) continue;
    sum += std::abs(coarse[i] - fine[i]);
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

template class GridGuard<float>;
template class GridGuard<double>;

}  // namespace pushforward::train
