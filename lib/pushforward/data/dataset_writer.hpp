#pragma once

// Writing dataset files (dataset.hpp), by all ranks of a communicator, each its own rows.

#include <pushforward/base/index.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/data/split.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

/// What a dataset file will hold, the same on all ranks.
struct DatasetLayout {
  BySplit<Index> rows{};  ///< splits without rows are left out
  Index dimension = 0;
  bool weighted = false;
  h5::Element element = h5::Element::real64;  ///< of the samples; weights are doubles
  std::vector<std::string> feature_names;     ///< (dimension), or empty
  std::optional<double> entropy;              ///< of the density behind the data, nats
  std::string source;                         ///< where the data comes from
};

class DatasetWriter {
 public:
  /// Collective; throws as h5::ResultFile does.
  DatasetWriter(const comm::Communicator& comm, const std::string& path, const DatasetLayout& layout);

  /// x (d × n) as rows [first, first + n) of a split that has rows. Collective; n may be 0.
  void write(Split split, Index first, ConstMatrixView<double> x);
  /// Likewise the rows' weights (n).
  void write_weights(Split split, Index first, std::span<const double> weights);

  /// Takes the final name. Collective.
  void commit() { file_.commit(); }

 private:
  h5::ResultFile file_;
};

}  // namespace pushforward::data
