#include <pushforward/core/interval.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/flow/architecture.hpp>
#include <pushforward/maps/scalar_function.hpp>

#include <algorithm>

namespace pushforward::flow {

namespace {

// Default options of the kind with this number.
template <std::size_t I = 0>
LayerOptions defaults(std::size_t kind) {
  if constexpr (I + 1 < std::variant_size_v<LayerOptions::Variant>) {
    if (kind != I) return defaults<I + 1>(kind);
  }
  return std::variant_alternative_t<I, LayerOptions::Variant>();
}

void require_no_angles(const Domain& at) {
  require<OptionError>(at.periodic.empty(),
                       "value {} is an angle, which only couplings, autoregressive flows, residual blocks, "
                       "permutations and splits can take",
                       at.periodic.empty() ? 0 : at.periodic.front());
}

void require_pixels(const std::vector<Index>& kernels, const Domain& at) {
  if (kernels.empty()) return;
  require<OptionError>(at.shape.is_image(),
                       "{} kernels for vectors of {} values: a convolutional network needs images; leave kernels out",
                       kernels.size(), at.size());
  require<OptionError>(at.periodic.empty(),
                       "{} kernels for images of which {} values are angles: a convolutional network sees none; leave "
                       "kernels out",
                       kernels.size(), at.periodic.size());
}

// The domain behind a transform with these options.
template <class Options>
Domain behind(const Options&, Domain at) {
  require_no_angles(at);
  return at;
}
Domain behind(const ResidualOptions& options, Domain at) {
  require_pixels(options.kernels, at);
  return at;
}
Domain behind(const CouplingOptions& options, Domain at) {
  require_pixels(options.kernels, at);
  return at;
}
Domain behind(const AutoregressiveOptions&, Domain at) {
  return at;
}

Domain behind(const ElementwiseOptions& options, Domain at) {
  for (const Index column : options.columns) {
    const bool is_angle = std::find(at.periodic.begin(), at.periodic.end(), column) != at.periodic.end();
    require<OptionError>(!is_angle, "value {} is an angle, which takes no elementwise function", column);
  }
  if (options.columns.empty()) require_no_angles(at);
  return at;
}

Domain behind(const PermutationOptions& options, Domain at) {
  const Index d = at.size();
  if (at.periodic.empty() || std::ssize(at.periodic) == d) return at;
  const auto from = [&](Index row) { return options.order == "reverse" ? d - 1 - row : options.indices[row]; };
  require<OptionError>(options.order == "reverse" || std::ssize(options.indices) == d,
                       "of values of which some are angles, the order is reverse or given");
  std::vector<Index> periodic;
  for (Index row = 0; row < d; ++row) {
    if (std::binary_search(at.periodic.begin(), at.periodic.end(), from(row))) periodic.push_back(row);
  }
  at.periodic = std::move(periodic);
  return at;
}

Domain behind(const SqueezeOptions&, Domain at) {
  require_no_angles(at);
  require<ShapeError>(at.shape.height % 2 == 0 && at.shape.width % 2 == 0,
                      "only images of even height and width can be squeezed");
  at.shape = {at.shape.height / 2, at.shape.width / 2, 4 * at.shape.channels};
  return at;
}

Domain behind(const FactorOutOptions& options, Domain at) {
  const Index channels = at.shape.channels, kept = options.keep > 0 ? options.keep : (channels + 1) / 2;
  require<ShapeError>(kept < channels, "{} of {} channels cannot stay while others go", kept, channels);
  require<OptionError>(at.periodic.empty() || !at.shape.is_image(), "an image with angles cannot be split");
  at.shape.channels = kept;
  std::erase_if(at.periodic, [&](Index row) { return row >= kept; });
  return at;
}

}  // namespace

const std::vector<std::string>& LayerOptions::kinds() {
  static const std::vector<std::string> kinds{"actnorm",    "residual", "coupling",    "autoregressive", "elementwise",
                                              "dequantize", "scaling",  "permutation", "linear",         "planar",
                                              "radial",     "squeeze",  "split"};
  static_assert(std::variant_size_v<Variant> == 13);
  return kinds;
}

LayerOptions LayerOptions::of_kind(std::string_view kind) {
  const auto found = std::find(kinds().begin(), kinds().end(), kind);
  require<OptionError>(found != kinds().end(), "kind = '{}' is unknown{}; there are {}", kind,
                       suggestion(kind, kinds()), join(kinds()));
  return defaults(static_cast<std::size_t>(found - kinds().begin()));
}

bool LayerOptions::is_fixed() const {
  const auto& k = kind();
  return k == "elementwise" || k == "dequantize" || k == "permutation" || k == "squeeze" || k == "split";
}

bool LayerOptions::takes_context() const {
  return kind() == "residual" || kind() == "coupling" || kind() == "autoregressive";
}

OptionSet LayerOptions::declare() {
  return std::visit([](auto& options) { return options.declare(); }, options_);
}

std::string place_in_chain(std::size_t k, const LayerOptions& layer, const Domain& at) {
  return fmt::format("transform {} ({}) on samples of {} values", k, layer.kind(), to_string(at.shape));
}

std::string summary(const Architecture& architecture) {
  std::vector<std::pair<std::string, Index>> counts;
  for (const auto& layer : architecture.chain) {
    const auto found = std::ranges::find(counts, layer.kind(), &std::pair<std::string, Index>::first);
    if (found == counts.end()) {
      counts.emplace_back(layer.kind(), 1);
    } else {
      ++found->second;
    }
  }
  std::string text;
  for (const auto& [kind, count] : counts) text += fmt::format("{} {}, ", count, kind);
  return text + "base " + architecture.base.kind;
}

std::vector<Domain> domains_of(const Architecture& architecture) {
  require<ShapeError>(architecture.data.size() >= 1, "flow: dimension {} must be at least 1", architecture.data.size());
  std::vector<Domain> domains{architecture.data};
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const auto& layer = architecture.chain[k];
    const Domain at = domains.back();
    try {
      const auto trained = std::find_if(architecture.chain.begin(), architecture.chain.begin() + std::ptrdiff_t(k),
                                        [](const auto& before) { return !before.is_fixed(); });
      require<OptionError>(layer.kind() != "dequantize" || trained == architecture.chain.begin() + std::ptrdiff_t(k),
                           "it takes integers, and behind transform {} ({}), which is trained, there are none: put it "
                           "first",
                           trained - architecture.chain.begin(),
                           trained == architecture.chain.end() ? "" : trained->kind());
      domains.push_back(std::visit([&](const auto& options) { return behind(options, at); }, layer.options()));
    } catch (const Error& error) {
      throw_error(error.kind(), fmt::format("{}: {}", place_in_chain(k, layer, at), error.what()));
    }
  }
  return domains;
}

std::optional<std::size_t> bounded_image(const Architecture& architecture) {
  if (architecture.base.chosen().is_bounded) return {};
  std::optional<std::size_t> bounded;
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const auto* const options = std::get_if<ElementwiseOptions>(&architecture.chain[k].options());
    if (options == nullptr) continue;
    const ScalarFunction function(function_of(options->function), options->slope, options->margin);
    if (is_bounded(function.inverse().domain())) {
      bounded = k;
    } else if (is_bounded(function.domain())) {
      bounded.reset();
    }
  }
  return bounded;
}

std::vector<Index> periodic_latents(const std::vector<Domain>& domains) {
  // What a split of a vector lets go keeps its place.
  std::vector<Index> rows = domains.back().periodic;
  for (std::size_t k = 0; k + 1 < domains.size(); ++k) {
    for (const Index row : domains[k].periodic) {
      if (row >= domains[k + 1].size()) rows.push_back(row);
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

nn::NetworkOptions residual_network(const ResidualOptions& options, const Domain& at) {
  nn::NetworkOptions network{.in = at.size(),
                             .out = at.size(),
                             .hidden = options.hidden,
                             .activation = options.activation,
                             .lipschitz = options.lipschitz};
  network.context = at.context;
  network.periodic = at.periodic;
  if (options.kernels.empty()) return network;
  network.kernels = options.kernels;
  network.height = at.shape.height;
  network.width = at.shape.width;
  return network;
}

std::vector<nn::NetworkOptions> residual_networks(const Architecture& architecture) {
  const auto domains = domains_of(architecture);
  std::vector<nn::NetworkOptions> networks;
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const auto* const residual = std::get_if<ResidualOptions>(&architecture.chain[k].options());
    if (residual != nullptr) networks.push_back(residual_network(*residual, domains[k]));
  }
  return networks;
}

}  // namespace pushforward::flow
