#include <pushforward/nn/parameters.hpp>

#include <utility>

namespace pushforward::nn {

Index ParameterLayout::add(const std::string& name, Index size) {
  return append({.name = name, .rows = size, .cols = 1, .offset = size_, .is_vector = true});
}

Index ParameterLayout::add(const std::string& name, Index rows, Index cols) {
  return append({.name = name, .rows = rows, .cols = cols, .offset = size_, .is_vector = false});
}

Index ParameterLayout::append(ParameterBlock block) {
  require<BugError>(names_.insert(block.name).second, "parameter '{}' is declared twice", block.name);
  size_ += block.size();
  blocks_.push_back(std::move(block));
  return std::ssize(blocks_) - 1;
}

}  // namespace pushforward::nn
