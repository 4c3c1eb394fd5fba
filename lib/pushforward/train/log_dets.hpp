#pragma once

// The log-det methods of a training run, with `auto` replaced by a method.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/logdet/method.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::train {

struct LogDets {
  logdet::Method train{}, evaluate{};
  /// For people: the methods, why `auto` chose what it did, warnings.
  std::vector<std::string> notes{}, warnings{};
};

/// Chooses the methods of a run by the residual block whose log-det is the most work. Without residual blocks both are
/// exact, which is to say analytic. If `auto` is asked for, rank 0 measures rates of arithmetic in T and all ranks
/// choose by them. Throws OptionError. Collective.
template <class T>
LogDets choose_log_dets(const comm::Communicator& comm, const Options& options, const flow::Architecture& architecture);

extern template LogDets choose_log_dets<float>(const comm::Communicator&, const Options&, const flow::Architecture&);
extern template LogDets choose_log_dets<double>(const comm::Communicator&, const Options&, const flow::Architecture&);

}  // namespace pushforward::train
