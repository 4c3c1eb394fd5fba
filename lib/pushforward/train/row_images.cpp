#include <pushforward/linalg/samples.hpp>
#include <pushforward/train/row_images.hpp>

#include <limits>

namespace pushforward::train {

namespace {

constexpr Index largest_chunk = 256;  // samples

}  // namespace

template <class T>
RowImages<T>::RowImages(const flow::Flow<T>& flow, Index count, Index bytes) : flow_(flow), count_(count) {
  if (count == 0) return;
  const auto measure = [&](Index n) {
    linalg::Workspace kept, scratch;
    plan(n, kept, scratch);
    return std::pair(kept.peak(), scratch.peak());
  };
  capacity_ = linalg::largest_that_fits(largest_chunk, [&](Index n) {
    const auto [kept, scratch] = measure(n);
    return kept + scratch <= bytes;
  });
  const auto [kept, scratch] = measure(capacity_);
  kept_ = linalg::Workspace(kept);
  scratch_ = linalg::Workspace(scratch);
  plan(capacity_, kept_, scratch_);
}

template <class T>
void RowImages<T>::plan(Index n, linalg::Workspace& kept, linalg::Workspace& scratch) {
  states_.clear();
  for (Index k = 0; k < count_; ++k) {
    states_.push_back(flow_.transforms()[k]->plan(kept, scratch, n, nn::Pass::map_only));
  }
  from_ = kept.template matrix<T>(flow_.dimension(), n);
  to_ = kept.template matrix<T>(flow_.dimension(), n);
  log_det_ = kept.template take<double>(n);
  status_ = kept.template take<flow::Status>(n);
}

template <class T>
void RowImages<T>::map(const flow::Batch<T>& batch, MatrixView<T> image) {
  for (Index first = 0; first < batch.size(); first += capacity_) {
    const Index n = std::min(capacity_, batch.size() - first);
    auto chunk = batch.part(first, n);
    const auto log_det = log_det_.first(n);
    const auto status = status_.first(n);
    std::ranges::fill(status, flow::Status::ok);
    for (Index k = 0; k < count_; ++k) {
      const auto to = k + 1 == count_ ? image.columns(first, n) : to_.columns(0, n);
      chunk.draws.block = static_cast<std::uint64_t>(k);
      flow_.transforms()[k]->forward(*states_[k], chunk, to, log_det, status);
      std::swap(from_, to_);
      chunk.x = from_.columns(0, n);
    }
    for (Index j = 0; j < n; ++j) {
      if (status[j] == flow::Status::ok) continue;
      std::ranges::fill(image.columns(first, n).column_span(j), std::numeric_limits<T>::quiet_NaN());
    }
  }
}

template class RowImages<float>;
template class RowImages<double>;

}  // namespace pushforward::train
