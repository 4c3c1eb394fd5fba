#pragma once

// Compares log-det estimators with the exact log-det on the residual blocks of a flow, at the points where samples pass
// through each block. The comparison has values, products and seconds of single draws, and the error of each draw's
// gradient.

#include <pushforward/flow/flow.hpp>

namespace pushforward::flow {

struct LogDetComparisonOptions {
  std::vector<logdet::Method> methods{};  ///< resolved: none is `auto`
  Index repeats = 20;                     ///< draws of each sample, of methods that draw; ≥ 1
  std::uint64_t seed = 0;
  bool gradient = false;  ///< also gradients
  bool spectrum = false;  ///< also spectral radius and norm of each Jacobian
  Index chunk = 256;      ///< samples that are worked on at a time; ≥ 1. No number depends on it but the seconds.
};

/// The results of one method for n samples, in one block or in the sum over blocks. `repeats` is 1 for a method that is
/// not stochastic.
struct LogDetDraws {
  Matrix<double> value;    ///< (n × repeats) nats; NaN where a status is not ok
  Matrix<Index> products;  ///< (n × repeats) products with J or Jᵀ, see logdet::Estimate
  Matrix<double>
      gradient_error;  ///< (n × repeats) ‖ĝ − g‖ of the gradient by the blocks' effective parameters; or empty
  std::vector<double> seconds;  ///< (repeats) of this process, for all n samples, the forward pass not included
};

/// The results of all methods for n samples, in one block or in the sum over blocks. `exact` is the log-det by LU,
/// nats.
struct LogDetPart {
  std::vector<double> exact;                  ///< (n)
  std::vector<double> gradient_norm;          ///< (n) ‖g‖, or empty
  std::vector<double> spectral_radius, norm;  ///< (n) of J in a block, or empty
  double exact_seconds = 0;                   ///< as LogDetDraws::seconds
  std::vector<LogDetDraws> draws;             ///< of each method
};

template <class T>
class LogDetComparison {
 public:
  /// The flow must outlive the object. Throws OptionError for a method that a block cannot have, and DataError for a
  /// block whose Lipschitz constant is not below 1, or a flow without residual blocks.
  LogDetComparison(const Flow<T>& flow, const LogDetComparisonOptions& options);

  /// Numbers of the flow's transforms that are residual blocks; those of all others have a log-det that is analytic.
  const std::vector<Index>& blocks() const { return blocks_; }
  const LogDetComparisonOptions& options() const { return options_; }
  Index repeats(std::size_t method) const { return options_.methods[method].stochastic() ? options_.repeats : 1; }
  /// Bound on a method's bias by the Lipschitz constant of block number b (of blocks()), nats.
  double bias_bound(std::size_t method, std::size_t b) const;

  /// x: (d × n) in, standardized, and its context (c × n); `first` is the global number of its first sample. status:
  /// (n) out. Returns the sum over blocks, then each block. Draws of a sample depend on seed, its number, block and
  /// repeat alone. Allocates. Not collective.
  std::vector<LogDetPart> run(ConstMatrixView<T> x, Index first, std::span<Status> status,
                              ConstMatrixView<T> context = {}) const;

 private:
  class Estimation;
  // Samples in front of a block, and their context.
  struct Points {
    ConstMatrixView<T> x, context;
    Points columns(Index first, Index count) const {
      return {x.columns(first, count), context.empty() ? context : context.columns(first, count)};
    }
  };

  const nn::Network<T>& network(std::size_t b) const;
  LogDetPart empty_part(Index n, bool of_block) const;
  void compare(std::size_t b, const Points& points, Index first, LogDetPart& part) const;
  void compare_gradients(std::size_t b, const Points& points, Index first, LogDetPart& part) const;
  void measure_spectrum(std::size_t b, const Points& points, std::span<const Status> status, LogDetPart& part) const;

  const Flow<T>& flow_;
  LogDetComparisonOptions options_;
  std::vector<Index> blocks_;
  std::vector<std::vector<std::unique_ptr<logdet::Estimator<T>>>> estimators_;  // of each block: exact, each method
};

extern template class LogDetComparison<float>;
extern template class LogDetComparison<double>;

}  // namespace pushforward::flow
