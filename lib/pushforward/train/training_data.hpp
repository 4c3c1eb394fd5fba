#pragma once

// The rows that a run trains on, standardized, in the precision of the flow: one copy per node, shared by its ranks.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/dataset/row_reader.hpp>
#include <pushforward/standardization/standardization.hpp>
#include <pushforward/train/options.hpp>
#include <pushforward/transforms/batch.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace pushforward::train {

/// Opens the file that the options name, or the built-in density. Throws IoError, DataError, OptionError. Not
/// collective.
std::unique_ptr<data::RowReader> open_rows(const DataOptions& options);

/// The number of rows that are read, standardized and narrowed at a time. Their moments are taken together.
inline constexpr Index training_slab = 16384;

template <class T>
class TrainingData {
 public:
  /// Reads all rows of `reader`, which is of no use afterwards. The ranks of each node share out the reading, and each
  /// row is read once per node. The moments of the training rows are taken slab by slab and merged in the order of the
  /// slabs, so that they have the same bits on any number of ranks. Takes `standardize`, `periodic` and `spheres`
  /// from the options. Throws DataError for a row whose unit vectors are none, to unit_tolerance. `slab`: rows of a
  /// slab, at least 1. Collective; throws the same error on all ranks.
  TrainingData(const comm::Communicator& comm, const data::RowReader& reader, const DataOptions& options,
               Index slab = training_slab);
  /// Reads the rows of open_rows(options), and the source that the options name.
  TrainingData(const comm::Communicator& comm, const DataOptions& options, Index slab = training_slab);
  /// Reads the source of flow matching: points at which paths to the rows begin. They are latents as they are, so they
  /// are not standardized; angles are wrapped. A split of the source may be empty, except the training rows.
  /// Collective; throws the same error on all ranks: DataError if the source has other columns than the rows, or
  /// weights.
  void read_source(const comm::Communicator& comm, const data::RowReader& reader);
  /// Frees the shared memory. Collective.
  void release();

  /// The reader's description; `periodic` and `spheres` have those of the options, too.
  const data::Description& description() const { return description_; }
  Index rows(data::Split split) const { return description_.rows[data::index_of(split)]; }
  /// The domain of a flow for these rows.
  flow::Domain domain() const;
  /// The largest magnitude of an angle among the rows that this rank has read, before it is wrapped to [−π, π).
  double largest_angle() const { return largest_angle_; }
  const data::Standardization& standardization() const { return standardization_; }
  /// The standardization of the contexts, on c columns, if there are contexts.
  const std::optional<data::Standardization>& context_standardization() const { return context_standardization_; }

  /// All rows of a split, standardized, with their contexts and weights. Weights are divided by the largest of the
  /// split. Angles are not scaled, only wrapped to [−π, π), π as T has it. Unit vectors are not scaled.
  flow::Batch<T> batch(data::Split split) const;
  /// All rows of a split of the source, (d × m); without columns if there is no source, or no such split.
  ConstMatrixView<T> source(data::Split split) const;

 private:
  /// Rows of a slab in their own units, as they have been read.
  struct Slab {
    Matrix<double> x, context;    // (d × n), (c × n)
    std::vector<double> weights;  // (n), or empty
  };

  /// Throws OptionError if the rows, or the moments of the columns, need more memory than a node has, and DataError for
  /// whitening with too few rows. ranks: those of this rank's node.
  void require_room(data::Standardization::Kind kind, int ranks) const;
  Slab read(const data::RowReader& reader, data::Split split, Index number) const;
  /// Finds the largest weight of each split. Throws DataError if all weights of a split are 0. Collective.
  void measure_weights(const comm::Communicator& comm, const data::RowReader& reader);
  /// Throws DataError for a row whose unit vectors have another length than 1. name: of the dataset. x: (d × n) in,
  /// rows of a split from `first` on.
  void require_unit_vectors(const std::string& name, data::Split split, Index first, ConstMatrixView<double> x) const;
  /// Standardizes a slab into the arrays of this rank's node.
  void store(data::Split split, Index number, const Slab& slab);
  /// Reads the training rows, takes their moments and stores the rows standardized. The rank keeps its rows as doubles
  /// until the moments of all ranks are known. Collective.
  void standardize(const comm::Communicator& comm, const data::RowReader& reader, data::Standardization::Kind kind);
  /// Fits the standardizations. slabs: the training rows that this rank has read, from slab number `first` on.
  /// Collective.
  void fit(const comm::Communicator& comm, data::Standardization::Kind kind, const std::vector<Slab>& slabs,
           Index first);
  Index slabs_of(data::Split split) const;

  data::Description description_;
  Index slab_;
  data::BySplit<double> largest_weight_{1, 1, 1};
  data::Standardization standardization_;
  double largest_angle_ = 0;
  std::optional<data::Standardization> context_standardization_;
  data::BySplit<std::unique_ptr<comm::SharedArray<T>>> samples_, weights_, contexts_;
  data::BySplit<std::unique_ptr<comm::SharedArray<T>>> sources_;  // null without a source
};

extern template class TrainingData<float>;
extern template class TrainingData<double>;

}  // namespace pushforward::train
