#pragma once

#include <pushforward/dataset/row_reader.hpp>
#include <pushforward/transforms/batch.hpp>

namespace pushforward::train {

/// A caller's arrays as a dataset. The arrays are not copied; they must outlive the object and be the same on all
/// ranks.
class ArrayRows final : public data::RowReader {
 public:
  /// rows: the samples (d × n) of each split, with their contexts and weights; a split without samples is empty. There
  /// must be rows to train on. `about` may give name, feature_names, context_names, image_shape, periodic and entropy;
  /// the rest follows from the arrays. Throws ShapeError if splits or names do not fit together.
  explicit ArrayRows(const data::BySplit<flow::Batch<double>>& rows, data::Description about = {});

  void read(data::Split split, Index first, MatrixView<double> x) const override;
  void read_weights(data::Split split, Index first, std::span<double> weights) const override;
  void read_context(data::Split split, Index first, MatrixView<double> context) const override;

 private:
  data::BySplit<flow::Batch<double>> arrays_;
};

}  // namespace pushforward::train
