#pragma once

// All parameters of a flow lie in one contiguous buffer, and all gradients in another one with the same layout. The
// layout names the parts of these buffers. The names are also the paths of the arrays in a model file.

#include <pushforward/core/error.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <string>
#include <unordered_set>
#include <vector>

namespace pushforward::nn {

/// A named (rows × cols) column-major array within the flat buffers; a vector has one column.
struct ParameterBlock {
  std::string name;
  Index rows;
  Index cols;
  Index offset;
  bool is_vector;  ///< a matrix may have one column, too
  Index size() const { return rows * cols; }
};

class ParameterLayout {
 public:
  /// A layout of any size.
  ParameterLayout() = default;
  /// A layout that has to fit into the memory that is available now. bytes_each: the memory of one parameter, with
  /// everything that is kept for it. most: the largest number of parameters.
  explicit ParameterLayout(double bytes_each, double most = std::numeric_limits<double>::infinity());

  /// Throws OptionError, with the memory that all parameters need, if there is none for `count` more of them, or if
  /// they would be more than the largest number. add() does this. Whoever needs memory for parameters before it adds
  /// them does it first.
  void require_room(const std::string& name, double count) const;

  /// Appends a vector or a matrix and returns its index, for block_view(). Throws BugError if the name is taken.
  Index add(const std::string& name, Index size);
  Index add(const std::string& name, Index rows, Index cols);

  const std::vector<ParameterBlock>& blocks() const { return blocks_; }
  /// Number of elements of a whole buffer.
  Index size() const { return size_; }

 private:
  Index append(ParameterBlock block);

  std::vector<ParameterBlock> blocks_;
  std::unordered_set<std::string> names_;
  Index size_ = 0;
  double bytes_each_ = 0, available_ = 0, most_ = std::numeric_limits<double>::infinity();
};

/// Returns the part of a flat buffer that a block describes. T may be const.
template <class T>
MatrixView<T> block_view(const ParameterLayout& layout, Index block, std::span<T> buffer) {
  const auto& b = layout.blocks()[block];
  return {buffer.data() + b.offset, b.rows, b.cols};
}

/// Adds a vector or a matrix to the layout and returns the offset of its first element in the flat buffer.
inline Index add_vector(ParameterLayout& layout, const std::string& name, Index size) {
  return layout.blocks()[layout.add(name, size)].offset;
}
inline Index add_matrix(ParameterLayout& layout, const std::string& name, Index rows, Index cols) {
  return layout.blocks()[layout.add(name, rows, cols)].offset;
}

/// Returns the `size` elements of a flat buffer that begin at `offset`. T may be const.
template <class T>
std::span<T> part_of(std::span<T> buffer, Index offset, Index size) {
  return buffer.subspan(offset, size);
}

}  // namespace pushforward::nn
