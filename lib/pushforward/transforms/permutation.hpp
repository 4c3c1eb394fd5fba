#pragma once

// A fixed permutation of the channels, the same at every pixel: z(c) = x(indices[c]). Between couplings it lets each
// channel be changed by others [Dinh et al. 2017]. The log-det is 0.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/row_order.hpp>
#include <pushforward/transforms/transform_facts.hpp>

#include <string>

namespace pushforward::flow {

struct PermutationOptions {
  static constexpr const char* kind = "permutation";
  static constexpr const char* help = "another order of the channels: random, reverse or given";
  static constexpr TransformFacts facts{.is_fixed = true};
  std::string order = "random";  ///< random, reverse or given
  std::vector<Index> indices{};  ///< with "given": the channel that comes to each place, from 0

  OptionSet declare();
  Domain output(const Domain& at) const;
};

template <class T>
class Permutation final : public RowOrder<T> {
 public:
  /// No parameters. seed, key: name the random stream of a random order. Throws OptionError.
  Permutation(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
              const PermutationOptions& options, std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "permutation"; }
  /// The options as resolved: order "given", with the indices. They make the same transform with any seed.
  const PermutationOptions& resolved_options() const { return options_; }

 private:
  Permutation(const Shape& shape, PermutationOptions resolved);

  PermutationOptions options_;
};

extern template class Permutation<float>;
extern template class Permutation<double>;

}  // namespace pushforward::flow
