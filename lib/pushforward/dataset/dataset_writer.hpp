#pragma once

// Writing dataset files (dataset.hpp), by all ranks of a communicator, each its own rows.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/index.hpp>
#include <pushforward/core/sphere.hpp>
#include <pushforward/dataset/split.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

/// The contents of a dataset file. They must be the same on all ranks.
struct DatasetLayout {
  BySplit<Index> rows{};  ///< splits without rows are left out
  Index dimension = 0;
  bool weighted = false;
  h5::Element element = h5::Element::real64;  ///< of the samples; weights and contexts are doubles
  std::vector<std::string> feature_names{};   ///< (dimension), or empty
  std::optional<double> entropy{};            ///< of the density behind the data, nats
  std::string source{};                       ///< where the data comes from
  std::vector<std::string> context_names{};   ///< (c) of the rows' contexts; empty: there are none
  std::optional<Shape> image_shape{};         ///< of a row; its size is the dimension
  std::vector<Index> periodic{};              ///< columns that are angles in radians, counted from 0
  std::vector<Sphere> spheres{};              ///< columns that are unit vectors, counted from 0
};

class DatasetWriter {
 public:
  /// Collective. Throws as h5::ResultFile does, and ShapeError if the parts of the layout do not fit each other.
  /// slab_elements: as in h5::ResultFile.
  DatasetWriter(const comm::Communicator& comm, const std::string& path, const DatasetLayout& layout,
                Index slab_elements = h5::default_slab_elements);

  /// x (d × n) as rows [first, first + n) of a split that has rows. Collective; n may be 0.
  void write(Split split, Index first, ConstMatrixView<double> x);
  /// Likewise the rows' weights (n).
  void write_weights(Split split, Index first, std::span<const double> weights);
  /// Likewise the rows' contexts (c × n).
  void write_context(Split split, Index first, ConstMatrixView<double> context);

  /// Takes the final name. Collective.
  void commit() { file_.commit(); }

 private:
  h5::ResultFile file_;
};

}  // namespace pushforward::data
