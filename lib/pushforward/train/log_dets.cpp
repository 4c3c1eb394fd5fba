#include <pushforward/analysis/log_det_choice.hpp>
#include <pushforward/train/log_dets.hpp>
#include <pushforward/transforms/continuous.hpp>

namespace pushforward::train {

template <class T>
LogDets choose_log_dets(const comm::Communicator& comm, const Options& options,
                        const flow::Architecture& architecture) {
  LogDets chosen;
  const auto network = flow::largest_contraction(architecture);
  std::vector<flow::IntegrationOptions> integrations;
  for (const auto& transform : architecture.chain) {
    const auto* const continuous = transform.get_if<flow::ContinuousOptions>();
    if (continuous != nullptr) integrations.push_back(continuous->integration);
  }
  const bool estimates = options.log_det.train.starts_with(logdet::HutchinsonOptions::kind);
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
    require<OptionError>(!estimates || (!network && !integrations.empty()),
                         "log_det.train = \"{}\" is for continuous flows without residual blocks; this flow is {}",
                         options.log_det.train, summary(architecture));
    if (!estimates) require_use("train", options.log_det.train, unset.train);
    require_use("evaluate", options.log_det.evaluate, unset.evaluate);
  });
  for (const auto& integration : integrations) {
    chosen.notes.push_back(
        integration.log_det_of(architecture.data.size(), estimates ? to_string(chosen.train) : "divergence"));
  }
  if (!network && chosen.notes.empty()) chosen.notes.push_back("analytic");
  if (!network) {
    if (!estimates) chosen.train = {};
    chosen.evaluate = {};
    return chosen;
  }
  const Index share = comm::share(options.train.batch, 0, comm.size()).count();
  const auto complete = [&](logdet::Method& method, nn::Pass pass, std::string_view use) {
    std::string why;
    method = flow::complete_log_det<T>(comm, method, *network, pass, share, why);
    chosen.notes.push_back(fmt::format("{}: {}", use, why.empty() ? to_string(method) : why));
    const auto warning = method.warning(network->lipschitz);
    if (!warning.empty()) chosen.warnings.push_back(warning);
  };
  complete(chosen.train, nn::Pass::gradient, "training");
  complete(chosen.evaluate, nn::Pass::evaluate, "evaluation");
  return chosen;
}

template LogDets choose_log_dets<float>(const comm::Communicator&, const Options&, const flow::Architecture&);
template LogDets choose_log_dets<double>(const comm::Communicator&, const Options&, const flow::Architecture&);

}  // namespace pushforward::train
