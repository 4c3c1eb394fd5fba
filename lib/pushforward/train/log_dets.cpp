#include <pushforward/logdet/estimator.hpp>
#include <pushforward/train/log_dets.hpp>

namespace pushforward::train {

template <class T>
logdet::Method settle_log_det(const comm::Communicator& comm, const logdet::Method& method,
                              const nn::NetworkOptions& network, nn::Pass pass, Index n, std::string& why) {
  logdet::Rates rates;
  if (method.kind == logdet::Kind::automatic) {
    if (comm.is_root()) rates = logdet::measure_rates<T>(network, n);
    std::array both{rates.gemm, rates.lu};
    comm.broadcast(std::span<double>(both));
    rates = {both[0], both[1]};
  }
  logdet::Method settled;
  comm::agree(comm, [&] { settled = choose_method(method, network, rates, pass, &why); });
  return settled;
}

std::optional<nn::NetworkOptions> largest_contraction(const flow::Architecture& architecture) {
  const auto work = [](const nn::NetworkOptions& network) {
    return logdet::exact_flops_through_input(network, nn::Pass::evaluate).gemm;
  };
  const auto networks = lipschitz_networks(architecture);
  const auto largest = std::ranges::max_element(networks, {}, work);
  return largest == networks.end() ? std::nullopt : std::optional(*largest);
}

template <class T>
LogDets choose_log_dets(const comm::Communicator& comm, const Options& options,
                        const flow::Architecture& architecture) {
  LogDets chosen;
  const auto network = largest_contraction(architecture);
  comm::agree(comm, [&] {
    chosen.train = logdet::parse_method(options.log_det.train);
    chosen.evaluate = logdet::parse_method(options.log_det.evaluate);
    const LogDetOptions unset;
    const auto require_use = [&](std::string_view key, const std::string& value, const std::string& unset_value) {
      require<OptionError>(network || value == unset_value,
                           "log_det.{} = \"{}\" does nothing for a flow without residual blocks, whose log-dets are "
                           "analytic; leave it out",
                           key, value);
    };
    require_use("train", options.log_det.train, unset.train);
    require_use("evaluate", options.log_det.evaluate, unset.evaluate);
  });
  if (!network) return {.notes = {"analytic"}};
  const Index share = comm::share(options.train.batch, 0, comm.size()).count();
  const auto settle = [&](logdet::Method& method, nn::Pass pass, std::string_view use) {
    std::string why;
    method = settle_log_det<T>(comm, method, *network, pass, share, why);
    chosen.notes.push_back(fmt::format("{}: {}", use, why.empty() ? to_string(method) : why));
    const auto warning = logdet::warning(method, network->lipschitz);
    if (!warning.empty()) chosen.warnings.push_back(warning);
  };
  settle(chosen.train, nn::Pass::gradient, "training");
  settle(chosen.evaluate, nn::Pass::evaluate, "evaluation");
  return chosen;
}

template logdet::Method settle_log_det<float>(const comm::Communicator&, const logdet::Method&,
                                              const nn::NetworkOptions&, nn::Pass, Index, std::string&);
template logdet::Method settle_log_det<double>(const comm::Communicator&, const logdet::Method&,
                                               const nn::NetworkOptions&, nn::Pass, Index, std::string&);
template LogDets choose_log_dets<float>(const comm::Communicator&, const Options&, const flow::Architecture&);
template LogDets choose_log_dets<double>(const comm::Communicator&, const Options&, const flow::Architecture&);

}  // namespace pushforward::train
