#include <pushforward/nn/parameters.hpp>

namespace pushforward::nn {

Index ParameterLayout::add(const std::string& name, Index rows, Index cols) {
  for (const auto& b : blocks_) require<BugError>(b.name != name, "parameter '{}' is declared twice", name);
  blocks_.push_back({name, rows, cols, size_});
  size_ += rows * cols;
  return std::ssize(blocks_) - 1;
}

}  // namespace pushforward::nn
