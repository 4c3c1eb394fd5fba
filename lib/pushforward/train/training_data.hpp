#pragma once

// The rows a run trains on, standardized, in the precision of the flow: one copy per node, shared by its ranks.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/data/dataset.hpp>
#include <pushforward/data/standardization.hpp>
#include <pushforward/train/options.hpp>

#include <functional>

namespace pushforward::train {

/// Where rows come from, in the data's units. All functions may be called on any rank alone.
struct RowSource {
  std::string name;  ///< as users know it
  Index dimension = 0;
  data::BySplit<Index> rows{};
  bool weighted = false;
  std::vector<std::string> feature_names;
  std::optional<double> entropy;                                             ///< nats
  std::function<void(data::Split, Index first, MatrixView<double> x)> read;  ///< rows into columns
  std::function<void(data::Split, Index first, std::span<double> weights)> read_weights;
};

/// The file that the options name, or the built-in density. Throws IoError, DataError. Not collective.
RowSource open_rows(const DataOptions& options);

template <class T>
class TrainingData {
 public:
  /// Fits the standardization on rank 0; the first rank of each node reads the rows. Collective; throws the same error
  /// on all ranks.
  TrainingData(const comm::Communicator& comm, const DataOptions& options);
  /// Frees the shared memory. Collective.
  void release();

  const RowSource& source() const { return source_; }
  Index dimension() const { return source_.dimension; }
  Index rows(data::Split split) const { return source_.rows[data::index_of(split)]; }
  bool weighted() const { return source_.weighted; }
  const data::Standardization& standardization() const { return standardization_; }

  /// All rows of a split as columns (d × N), standardized.
  ConstMatrixView<T> samples(data::Split split) const;
  /// Their weights (N); empty when the data has none.
  std::span<const T> weights(data::Split split) const;

 private:
  RowSource source_;
  data::Standardization standardization_;
  data::BySplit<std::unique_ptr<comm::SharedArray<T>>> samples_, weights_;
};

extern template class TrainingData<float>;
extern template class TrainingData<double>;

}  // namespace pushforward::train
