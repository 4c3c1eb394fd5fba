#pragma once

// The estimators of log-dets that a run uses, once `auto` has been resolved.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/logdet/cost.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::train {

struct LogDets {
  logdet::Method train{}, evaluate{};
  /// For people: the methods, why `auto` chose what it did, warnings.
  std::vector<std::string> notes{}, warnings{};
};

/// The method with what it leaves open decided for these networks: `auto` by rates in T that rank 0 measures at n
/// samples, a roulette's p by their constant. `why` (out): a line for people, or "". Collective.
template <class T>
logdet::Method settle_log_det(const comm::Communicator& comm, const logdet::Method& method,
                              const nn::NetworkOptions& network, nn::Pass pass, Index n, std::string& why);

/// The network whose exact log-det takes the most operations; none for flows without residual blocks.
std::optional<nn::NetworkOptions> largest_contraction(const flow::Architecture& architecture);

/// Of a run, by the residual block whose log-det is the most work; without residual blocks both are exact, which is to
/// say analytic. Where `auto` is asked for, rank 0 measures rates of arithmetic in T and all ranks
/// choose by them. Throws OptionError. Collective.
template <class T>
LogDets choose_log_dets(const comm::Communicator& comm, const Options& options, const flow::Architecture& architecture);

extern template logdet::Method settle_log_det<float>(const comm::Communicator&, const logdet::Method&,
                                                     const nn::NetworkOptions&, nn::Pass, Index, std::string&);
extern template logdet::Method settle_log_det<double>(const comm::Communicator&, const logdet::Method&,
                                                      const nn::NetworkOptions&, nn::Pass, Index, std::string&);
extern template LogDets choose_log_dets<float>(const comm::Communicator&, const Options&, const flow::Architecture&);
extern template LogDets choose_log_dets<double>(const comm::Communicator&, const Options&, const flow::Architecture&);

}  // namespace pushforward::train
