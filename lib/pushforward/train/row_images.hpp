#pragma once

// The images of rows under the transforms that come before the vector field of a flow. Flow matching leads its paths to
// these images. The transforms stay as they are while the field is fitted: they have no parameters, or they are
// ActNorms that were initialized from the data.

#include <pushforward/flow/flow.hpp>

#include <functional>

namespace pushforward::train {

/// Writes the images of rows: batch (d × n) in, image (d × n) out. An empty function stands for the rows themselves.
template <class T>
using ImageOfRows = std::function<void(const flow::Batch<T>& batch, MatrixView<T> image)>;

template <class T>
class RowImages {
 public:
  /// count: the number of transforms before the field. bytes: of memory, at most. The flow must outlive the object.
  RowImages(const flow::Flow<T>& flow, Index count, Index bytes);

  bool empty() const { return states_.empty(); }
  Index bytes() const { return kept_.peak() + scratch_.peak(); }
  /// Writes the images of rows, of any number. A transform that draws takes the draws of the batch. If a transform does
  /// not admit a row, its image is NaN. Not collective.
  void map(const flow::Batch<T>& batch, MatrixView<T> image);

 private:
  /// Plans all transforms for n samples at a time.
  void plan(Index n, linalg::Workspace& kept, linalg::Workspace& scratch);

  const flow::Flow<T>& flow_;
  Index count_;
  Index capacity_ = 0;
  linalg::Workspace kept_, scratch_;
  std::vector<std::unique_ptr<flow::TransformState<T>>> states_;
  MatrixView<T> from_, to_;  // (d × capacity)
  std::span<double> log_det_;
  std::span<flow::Status> status_;
};

extern template class RowImages<float>;
extern template class RowImages<double>;

}  // namespace pushforward::train
