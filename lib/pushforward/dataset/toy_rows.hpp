#pragma once

#include <pushforward/dataset/row_reader.hpp>
#include <pushforward/toys/toy.hpp>

#include <cstdint>

namespace pushforward::data {

/// The draws of a built-in density as a dataset. The three splits are consecutive rows of one sequence.
class ToyRows final : public RowReader {
 public:
  /// `rows` rows to train on, a fiftieth as many to validate, a tenth to test, at least one each. Throws OptionError
  /// for a density that does not exist.
  ToyRows(const std::string& density, Index rows, std::uint64_t seed);

  void read(Split split, Index first, MatrixView<double> x) const override;
  void read_weights(Split split, Index first, std::span<double> weights) const override;
  void read_context(Split split, Index first, MatrixView<double> context) const override;

 private:
  ToyDensity density_;
  std::uint64_t seed_;
};

}  // namespace pushforward::data
