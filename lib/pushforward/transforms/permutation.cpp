#include <pushforward/core/text.hpp>
#include <pushforward/transforms/permutation.hpp>

#include <algorithm>
#include <numeric>

namespace pushforward::flow {

namespace {

const std::vector<std::string>& orders() {
  static const std::vector<std::string> all{"random", "reverse", "given"};
  return all;
}

// Fisher and Yates's shuffle of 0 … n − 1.
std::vector<Index> shuffled(Index n, random::Stream stream) {
  std::vector<Index> order(n);
  std::iota(order.begin(), order.end(), Index{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

PermutationOptions resolve(const std::string& name, Index channels, PermutationOptions options, std::uint64_t seed,
                           std::uint64_t key) {
  require<OptionError>(std::ranges::count(orders(), options.order) == 1,
                       "permutation {}: order = '{}' is unknown{}; there are {}", name, options.order,
                       suggestion(options.order, orders()), join(orders()));
  if (options.order == "given") {
    require_permutation(fmt::format("permutation {}: indices", name), options.indices, channels);
    return options;
  }
  require<OptionError>(options.indices.empty(), "permutation {}: {} indices with order = '{}': they belong to 'given'",
                       name, options.indices.size(), options.order);
  options.indices = shuffled(channels, {seed, random::Purpose::parameters, 0, key});
  if (options.order == "reverse") {
    std::iota(options.indices.begin(), options.indices.end(), Index{0});
    std::reverse(options.indices.begin(), options.indices.end());
  }
  options.order = "given";
  return options;
}

// The order of all rows, from the order of the channels.
std::vector<Index> at_every_pixel(const Shape& shape, std::span<const Index> channels) {
  std::vector<Index> rows;
  for (Index p = 0; p < shape.pixels(); ++p) {
    for (const Index c : channels) rows.push_back(p * shape.channels + c);
  }
  return rows;
}

}  // namespace

Domain PermutationOptions::output(const Domain& at) const {
  const Index d = at.size();
  if (at.periodic.empty() || std::ssize(at.periodic) == d) return at;
  const auto from = [&](Index row) { return order == "reverse" ? d - 1 - row : indices[row]; };
  require<OptionError>(order == "reverse" || std::ssize(indices) == d,
                       "of values of which some are angles, the order is reverse or given");
  Domain after = at;
  after.periodic.clear();
  for (Index row = 0; row < d; ++row) {
    if (std::binary_search(at.periodic.begin(), at.periodic.end(), from(row))) after.periodic.push_back(row);
  }
  return after;
}

OptionSet PermutationOptions::declare() {
  OptionSet set;
  set.add("order", order, "order of the channels", one_of(orders()))
      .add("indices", indices, "order = \"given\": the channel that comes to each place, from 0", at_least(0))
      .only_with("indices", "order", {"given"});
  return set;
}

template <class T>
Permutation<T>::Permutation(nn::ParameterLayout&, const std::string& name, const Shape& shape,
                            const PermutationOptions& options, std::uint64_t seed, std::uint64_t key)
    : Permutation(shape, resolve(name, shape.channels, options, seed, key)) {}

template <class T>
Permutation<T>::Permutation(const Shape& shape, PermutationOptions resolved)
    : RowOrder<T>(shape, at_every_pixel(shape, resolved.indices)), options_(std::move(resolved)) {}

template class Permutation<float>;
template class Permutation<double>;

}  // namespace pushforward::flow
