#pragma once

// The probes of a grid: those of each stage of each step, for a batch of samples (logdet/hutchinson.hpp).

#include <pushforward/linalg/workspace.hpp>
#include <pushforward/logdet/hutchinson.hpp>

#include <optional>

namespace pushforward::ode {

template <class T>
class Probes {
 public:
  /// Memory for up to n samples of width d on a grid of `steps` steps of `stages` stages. The probes live in `kept`.
  Probes(const logdet::HutchinsonOptions& options, Index d, Index steps, Index stages, linalg::Workspace& kept,
         linalg::Workspace& scratch, Index n);

  /// Unit vectors times √d, d for each stage, with which the mean of pᵀJp is tr J.
  Probes(Index d, linalg::Workspace& kept, Index n);

  /// The number of probes of a stage, K.
  Index count() const { return count_; }
  /// Draws all probes of n samples, or writes those that are no draws.
  void draw(const logdet::Draws& draws, Index n);
  /// The probes of a stage (d × n·K), those of a sample in adjacent columns.
  ConstMatrixView<T> of(Index step, Index stage) const;

 private:
  std::optional<logdet::Probe> law_;  // none for unit vectors
  Index count_, stages_;
  std::string per_;
  MatrixView<T> drawn_;              // all probes of each sample in adjacent columns (d × n·K·sets)
  std::vector<MatrixView<T>> sets_;  // each (d × n·K)
  Index n_ = 0;                      // of the last draw()
};

extern template class Probes<float>;
extern template class Probes<double>;

}  // namespace pushforward::ode
