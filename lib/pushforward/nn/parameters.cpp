#include <pushforward/core/memory.hpp>
#include <pushforward/nn/parameters.hpp>

#include <utility>

namespace pushforward::nn {

ParameterLayout::ParameterLayout(double bytes_each, double most)
    : bytes_each_(bytes_each), available_(available_memory()), most_(most) {}

void ParameterLayout::require_room(const std::string& name, double count) const {
  const double all = static_cast<double>(size_) + count;
  require<OptionError>(all <= most_, "{:.3g} parameters, up to '{}', where there can be at most {:.0f}", all, name,
                       most_);
  if (fits_in_memory(all * bytes_each_, available_)) return;
  require_memory(all * bytes_each_, available_,
                 fmt::format("{:.3g} parameters of {:.0f} bytes each, up to '{}', need", all, bytes_each_, name),
                 "choose fewer or narrower hidden layers, fewer transforms or fewer columns");
}

Index ParameterLayout::add(const std::string& name, Index size) {
  return append({.name = name, .rows = size, .cols = 1, .offset = size_, .is_vector = true});
}

Index ParameterLayout::add(const std::string& name, Index rows, Index cols) {
  return append({.name = name, .rows = rows, .cols = cols, .offset = size_, .is_vector = false});
}

Index ParameterLayout::append(ParameterBlock block) {
  require_room(block.name, static_cast<double>(block.rows) * static_cast<double>(block.cols));
  require<BugError>(names_.insert(block.name).second, "parameter '{}' is declared twice", block.name);
  size_ += block.size();
  blocks_.push_back(std::move(block));
  return std::ssize(blocks_) - 1;
}

}  // namespace pushforward::nn
