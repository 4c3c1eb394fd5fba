#include <pushforward/core/timer.hpp>
#include <pushforward/train/gradient_sum.hpp>

#include <algorithm>

namespace pushforward::train {

template <class T>
GradientSum<T>::GradientSum(const comm::Communicator& comm, Index parameters, bool reproducible)
    : comm_(comm),
      length_(parameters),
      parts_(parts(comm.size(), reproducible)),
      local_(comm::share(parts_, comm.rank(), comm.size())),
      reproducible_(reproducible),
      buffers_(static_cast<std::size_t>(length_ * local_.count())),
      totals_(static_cast<std::size_t>(local_.count())),
      table_(StepTotals::size * static_cast<std::size_t>(reproducible ? parts_ : 1)) {
  if (!reproducible) return;
  // Rank r adds up the slice share(length, r, size) of all parts.
  const auto size = static_cast<std::size_t>(comm.size());
  send_counts_.resize(size);
  receive_counts_.resize(size);
  slice_counts_.resize(size);
  const Index mine = comm::share(length_, comm.rank(), comm.size()).count();
  for (int r = 0; r < comm.size(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    const Index slice = comm::share(length_, r, comm.size()).count();
    slice_counts_[at] = static_cast<int>(slice);
    send_counts_[at] = static_cast<int>(slice * local_.count());
    receive_counts_[at] = static_cast<int>(mine * comm::share(parts_, r, comm.size()).count());
  }
  send_.resize(buffers_.size());
  slices_.resize(mine * parts_);
  result_.resize(length_);
}

template <class T>
double GradientSum<T>::bytes_of_parameter(int ranks, bool reproducible) {
  if (!reproducible) return sizeof(T);
  const auto local = static_cast<double>(comm::share(reproducible_parts, 0, ranks).count());
  return sizeof(T) * (2 * local + reproducible_parts / static_cast<double>(ranks) + 1);
}

template <class T>
std::span<T> GradientSum<T>::gradient(Index i) {
  return std::span(buffers_).subspan(i * length_, length_);
}

template <class T>
StepSum<T> GradientSum<T>::reduce() {
  const PhaseScope scope(Phase::all_reduce);
  // In the ordered sum every part has a place of its own, which is zero on all ranks but one.
  std::fill(table_.begin(), table_.end(), 0.0);
  for (Index p = 0; p < local_.count(); ++p) {
    const Index place = reproducible_ ? local_.first + p : 0;
    const auto values = totals_[p].values();
    std::copy(values.begin(), values.end(), table_.begin() + place * static_cast<Index>(StepTotals::size));
  }
  comm_.sum(std::span(table_));
  for (std::size_t i = StepTotals::size; i < table_.size(); ++i) table_[i % StepTotals::size] += table_[i];
  const auto totals = StepTotals::from(table_);
  if (!reproducible_) {
    comm_.sum(std::span(buffers_));
    return {buffers_, totals};
  }
  std::size_t at = 0;
  for (int r = 0; r < comm_.size(); ++r) {
    const auto slice = comm::share(length_, r, comm_.size());
    for (Index p = 0; p < local_.count(); ++p) {
      std::copy_n(buffers_.data() + p * length_ + slice.first, slice.count(), send_.data() + at);
      at += static_cast<std::size_t>(slice.count());
    }
  }
  comm_.all_to_all(std::span<const T>(send_), send_counts_, std::span<T>(slices_), receive_counts_);
  // Ranks hold contiguous parts in rank order, so the slices that came in are in the order of the parts.
  const auto mine = slices_.size() / static_cast<std::size_t>(parts_);
  for (std::size_t p = 1; p < static_cast<std::size_t>(parts_); ++p) {
    for (std::size_t i = 0; i < mine; ++i) slices_[i] += slices_[p * mine + i];
  }
  comm_.all_gather(std::span<const T>(slices_).first(mine), std::span<T>(result_), slice_counts_);
  return {result_, totals};
}

template class GradientSum<float>;
template class GradientSum<double>;

}  // namespace pushforward::train
