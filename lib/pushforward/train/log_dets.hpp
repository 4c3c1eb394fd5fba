#pragma once

// The estimators of log-dets that a run uses, once `auto` has been resolved.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/logdet/cost.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::train {

struct LogDets {
  logdet::Method train, evaluate;
  /// For people: the methods, why `auto` chose what it did, warnings.
  std::vector<std::string> notes{}, warnings{};
};

/// Of a run on data of dimension d. Where `auto` is asked for, rank 0 measures rates of arithmetic in T and all ranks
/// choose by them. Throws OptionError. Collective.
template <class T>
LogDets choose_log_dets(const comm::Communicator& comm, const Options& options, Index d);

extern template LogDets choose_log_dets<float>(const comm::Communicator&, const Options&, Index);
extern template LogDets choose_log_dets<double>(const comm::Communicator&, const Options&, Index);

}  // namespace pushforward::train
