#pragma once

// The rows a run trains on, standardized, in the precision of the flow: one copy per node, shared by its ranks.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/shape.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/standardization/standardization.hpp>
#include <pushforward/train/options.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pushforward::train {

/// Where rows come from, in the data's units. All functions may be called on any rank alone.
struct RowSource {
  std::string name;  ///< as users know it
  Index dimension = 0;
  data::BySplit<Index> rows{};
  bool weighted = false;
  std::vector<std::string> feature_names;
  std::vector<std::string> context_names;                                    ///< (c) empty: the density has no context
  std::optional<Shape> image_shape;                                          ///< of a row
  std::vector<Index> periodic;                                               ///< columns that are angles, ascending
  std::optional<double> entropy;                                             ///< nats
  std::function<void(data::Split, Index first, MatrixView<double> x)> read;  ///< rows into columns
  std::function<void(data::Split, Index first, std::span<double> weights)> read_weights;
  std::function<void(data::Split, Index first, MatrixView<double> context)> read_context;  ///< likewise (c × n)

  Index context_dimension() const { return static_cast<Index>(context_names.size()); }
};

/// The file that the options name, or the built-in density. Throws IoError, DataError, OptionError. Not collective.
RowSource open_rows(const DataOptions& options);

template <class T>
class TrainingData {
 public:
  /// Fits the standardizations on rank 0; the ranks of each node share out the reading of its rows. Collective; throws
  /// the same error on all ranks.
  TrainingData(const comm::Communicator& comm, const DataOptions& options);
  /// Frees the shared memory. Collective.
  void release();

  const RowSource& source() const { return source_; }
  Index dimension() const { return source_.dimension; }
  Index rows(data::Split split) const { return source_.rows[data::index_of(split)]; }
  bool weighted() const { return source_.weighted; }
  Index context_dimension() const { return source_.context_dimension(); }
  /// How the values of a row are arranged, where they are images.
  const std::optional<Shape>& image_shape() const { return source_.image_shape; }
  /// The columns that are angles in radians, counted from 0, ascending.
  const std::vector<Index>& periodic() const { return source_.periodic; }
  /// The largest magnitude of an angle among the rows that this rank has read, before it is taken to [−π, π).
  double largest_angle() const { return largest_angle_; }
  const data::Standardization& standardization() const { return standardization_; }
  /// Of the contexts, on c columns; none without contexts.
  const std::optional<data::Standardization>& context_standardization() const { return context_standardization_; }

  /// All rows of a split as columns (d × N), standardized; angles are as they are, in [−π, π), π as T has it.
  ConstMatrixView<T> samples(data::Split split) const;
  /// The rows' contexts (c × N), standardized; empty when there are none.
  ConstMatrixView<T> context(data::Split split) const;
  /// Their weights (N); empty when the data has none.
  std::span<const T> weights(data::Split split) const;

 private:
  void fit(const comm::Communicator& comm, const std::string& kind);
  /// Into the arrays of this rank's node.
  void read_rows(data::Split split, comm::Share slabs);

  RowSource source_;
  data::Standardization standardization_;
  double largest_angle_ = 0;
  std::optional<data::Standardization> context_standardization_;
  data::BySplit<std::unique_ptr<comm::SharedArray<T>>> samples_, weights_, contexts_;
};

extern template class TrainingData<float>;
extern template class TrainingData<double>;

}  // namespace pushforward::train
