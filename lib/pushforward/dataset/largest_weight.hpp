#pragma once

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/core/index.hpp>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// Returns the largest weight of the rows [first, last), 0 without rows. read(first row, weights) gives the weights of
/// consecutive rows. If all weights are divided by the largest, a common factor of them changes no result, and sums of
/// their squares neither overflow nor vanish.
template <class Read>
double largest_weight(Index first, Index last, Read&& read) {
  constexpr Index most = 1 << 16;
  std::vector<double> weights(static_cast<std::size_t>(std::min(most, std::max<Index>(0, last - first))));
  double largest = 0;
  for (; first < last; first += most) {
    const auto part = std::span(weights).first(static_cast<std::size_t>(std::min(most, last - first)));
    read(first, part);
    largest = std::max(largest, *std::ranges::max_element(part));
  }
  return largest;
}

/// The same over the rows that all ranks share out. Throws DataError, the same on all ranks, if there are rows and all
/// weights are 0; `what` names them: "x.h5: all weights of the test rows". Collective.
template <class Read>
double largest_weight(const comm::Communicator& comm, Index rows, std::string_view what, Read&& read) {
  double largest = 0;
  comm::agree(comm, [&] {
    const auto mine = comm::share(rows, comm.rank(), comm.size());
    largest = largest_weight(mine.first, mine.last, read);
  });
  largest = comm.max(largest);
  comm::agree(comm, [&] { require<DataError>(largest > 0 || rows == 0, "{} are 0", what); });
  return largest;
}

}  // namespace pushforward::data
