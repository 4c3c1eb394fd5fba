#include <models/model_file.hpp>

#include <pushforward/core/text.hpp>

namespace pushforward::apps {

void require_order(const std::string& where, std::string_view what, const std::vector<std::string>& names,
                   const std::vector<std::string>& wanted) {
  require<DataError>(names == wanted || !std::ranges::is_permutation(names, wanted),
                     "{}: the {} are in the order {}; the model has the order {}", where, what, join_some(names),
                     join_some(wanted));
}

std::string StatusCount::failures(const comm::Communicator& comm) const {
  auto counts = counts_;
  comm.sum(std::span<double>(counts));
  static constexpr std::array names{"ok", "not finite", "not converged", "with a determinant that is not positive",
                                    "outside the support"};
  std::vector<std::string> words;
  for (std::size_t i = 1; i < counts.size(); ++i) {
    if (counts[i] > 0) words.push_back(fmt::format("{} {}", static_cast<Index>(counts[i]), names[i]));
  }
  return join(words);
}

}  // namespace pushforward::apps
