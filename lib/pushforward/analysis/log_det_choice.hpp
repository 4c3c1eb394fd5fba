#pragma once

// Completes a log-det method for a flow: decides what the method leaves open.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/architecture.hpp>
#include <pushforward/logdet/cost.hpp>

#include <optional>
#include <string>

namespace pushforward::flow {

/// Returns the network whose exact log-det takes the most operations; none for flows without residual blocks.
std::optional<nn::NetworkOptions> largest_contraction(const Architecture& architecture);

/// Decides what `method` leaves open for this network: `auto` by rates in T that rank 0 measures at n samples, a
/// roulette's p by the Lipschitz constant. `why` (out): a line for people, or "". Collective.
template <class T>
logdet::Method complete_log_det(const comm::Communicator& comm, const logdet::Method& method,
                                const nn::NetworkOptions& network, nn::Pass pass, Index n, std::string& why);

extern template logdet::Method complete_log_det<float>(const comm::Communicator&, const logdet::Method&,
                                                       const nn::NetworkOptions&, nn::Pass, Index, std::string&);
extern template logdet::Method complete_log_det<double>(const comm::Communicator&, const logdet::Method&,
                                                        const nn::NetworkOptions&, nn::Pass, Index, std::string&);

}  // namespace pushforward::flow
