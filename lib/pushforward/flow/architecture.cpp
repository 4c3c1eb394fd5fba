#include <pushforward/flow/architecture.hpp>

#include <algorithm>

namespace pushforward::flow {

std::string place_in_chain(std::size_t k, const TransformOptions& transform, const Domain& at) {
  return fmt::format("transform {} ({}) on samples of {} values", k, transform.kind(), to_string(at.shape));
}

std::string summary(const Architecture& architecture) {
  std::vector<std::pair<std::string, Index>> counts;
  for (const auto& transform : architecture.chain) {
    const auto found = std::ranges::find(counts, transform.kind(), &std::pair<std::string, Index>::first);
    if (found == counts.end()) {
      counts.emplace_back(transform.kind(), 1);
    } else {
      ++found->second;
    }
  }
  std::string text;
  for (const auto& [kind, count] : counts) text += fmt::format("{} {}, ", count, kind);
  return text + "base " + architecture.base.kind;
}

Domain domain_after(std::size_t k, const TransformOptions& transform, const Domain& at) {
  try {
    return transform.output(at);
  } catch (const Error& error) {
    throw_error(error.kind(), fmt::format("{}: {}", place_in_chain(k, transform, at), error.what()));
  }
}

std::vector<Domain> domains_of(const Architecture& architecture) {
  require<ShapeError>(architecture.data.size() >= 1, "flow: dimension {} must be at least 1", architecture.data.size());
  std::vector<Domain> domains{architecture.data};
  std::optional<std::size_t> trained;  // the first transform with parameters
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const auto& transform = architecture.chain[k];
    require<OptionError>(!transform.facts().wants_integers || !trained,
                         "{}: it takes integers, and after transform {} ({}), which is trained, there are none: put it "
                         "first",
                         place_in_chain(k, transform, domains.back()), trained.value_or(0),
                         architecture.chain[trained.value_or(0)].kind());
    if (!trained && !transform.facts().is_fixed) trained = k;
    domains.push_back(domain_after(k, transform, domains.back()));
  }
  return domains;
}

std::optional<std::size_t> bounded_image(const Architecture& architecture) {
  if (architecture.base.chosen().is_bounded) return {};
  std::optional<std::size_t> bounded;
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const Bounds bounds = architecture.chain[k].bounds();
    if (bounds == Bounds::makes) bounded = k;
    if (bounds == Bounds::removes) bounded.reset();
  }
  return bounded;
}

std::vector<std::uint64_t> weight_keys(const std::vector<TransformOptions>& chain) {
  const auto is_residual = [](const TransformOptions& t) { return t.kind() == "residual"; };
  const bool residual_flow =
      std::ranges::all_of(chain, [&](const TransformOptions& t) { return is_residual(t) || t.kind() == "actnorm"; });
  std::vector<std::uint64_t> keys;
  std::uint64_t next = 0;
  for (const auto& transform : chain) {
    keys.push_back(next);
    if (!residual_flow || is_residual(transform)) ++next;
  }
  return keys;
}

std::vector<Index> periodic_latents(const std::vector<Domain>& domains) {
  // Values of a vector that are factored out keep their rows.
  std::vector<Index> rows = domains.back().periodic;
  for (std::size_t k = 0; k + 1 < domains.size(); ++k) {
    for (const Index row : domains[k].periodic) {
      if (row >= domains[k + 1].size()) rows.push_back(row);
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<nn::NetworkOptions> lipschitz_networks(const Architecture& architecture) {
  const auto domains = domains_of(architecture);
  std::vector<nn::NetworkOptions> networks;
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    if (const auto network = architecture.chain[k].lipschitz_network(domains[k])) networks.push_back(*network);
  }
  return networks;
}

}  // namespace pushforward::flow
