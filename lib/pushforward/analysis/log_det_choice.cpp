#include <pushforward/analysis/log_det_choice.hpp>

#include <pushforward/logdet/estimator.hpp>

#include <algorithm>
#include <array>

namespace pushforward::flow {

std::optional<nn::NetworkOptions> largest_contraction(const Architecture& architecture) {
  const auto work = [](const nn::NetworkOptions& network) {
    return logdet::exact_flops_through_input(network, nn::Pass::evaluate).gemm;
  };
  const auto networks = lipschitz_networks(architecture);
  const auto largest = std::ranges::max_element(networks, {}, work);
  return largest == networks.end() ? std::nullopt : std::optional(*largest);
}

template <class T>
logdet::Method complete_log_det(const comm::Communicator& comm, const logdet::Method& method,
                                const nn::NetworkOptions& network, nn::Pass pass, Index n, std::string& why) {
  logdet::Rates rates;
  if (method.get_if<logdet::AutoOptions>() != nullptr) {
    if (comm.is_root()) rates = logdet::measure_rates<T>(network, n);
    std::array both{rates.gemm, rates.lu};
    comm.broadcast(std::span<double>(both));
    rates = {both[0], both[1]};
  }
  logdet::Method complete;
  comm::agree(comm, [&] { complete = choose_method(method, network, rates, pass, &why); });
  return complete;
}

template logdet::Method complete_log_det<float>(const comm::Communicator&, const logdet::Method&,
                                                const nn::NetworkOptions&, nn::Pass, Index, std::string&);
template logdet::Method complete_log_det<double>(const comm::Communicator&, const logdet::Method&,
                                                 const nn::NetworkOptions&, nn::Pass, Index, std::string&);

}  // namespace pushforward::flow
