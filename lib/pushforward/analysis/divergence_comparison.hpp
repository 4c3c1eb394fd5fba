#pragma once

// Compares what one may take for the log-det of a continuous flow along the grid with which it is trained: the exact
// log-det of the grid's map, the exact divergence, and estimates of the divergence. Each is held against the model's
// own log p, at rows of data and at draws from the model.
//
// At the draws, exp(log q − log p) is averaged, with q the density with which they were drawn and p the one under
// examination. These are the importance weights of a sampler whose density one takes for p, up to the target. If p is
// q, the mean is 1. Noise alone makes it larger, since exp is convex.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/model/model.hpp>

#include <array>

namespace pushforward::flow {

struct DivergenceComparisonOptions {
  std::vector<logdet::Method> methods{};  ///< kinds that continuous flows take, in addition to the two exact ones
  Index repeats = 20;                     ///< draws of each row; ≥ 1
  std::uint64_t seed = 0;
  Index bytes = default_workspace_bytes;  ///< of the passes
};

/// The values of one candidate. A row of at_data belongs to a row of data, and a row of at_draws belongs to a draw.
struct DivergenceDraws {
  Matrix<double> at_data, at_draws;  ///< (n × repeats) log p, nats; 1 repeat of what does not draw
  double seconds = 0;                ///< of this process, for one repeat of all rows of data
};

struct DivergencePart {
  std::vector<Status> status, draw_status;      ///< (n) of the model's own density
  std::vector<double> log_prob, draw_log_prob;  ///< (n) by the model, nats
  std::vector<DivergenceDraws> draws;           ///< of each candidate
};

/// Sums over rows, from which the table follows.
struct DivergenceSummary {
  double bias = 0;          ///< mean of log p − that of the model, nats
  double deviation = 0;     ///< of repeats about the mean of their row, nats; NaN with one repeat
  double weight = 0;        ///< mean of exp(log q − log p) over draws
  double weight_error = 0;  ///< its standard error over the draws
  double seconds = 0;       ///< for 1000 rows
};

template <class T>
class DivergenceComparison {
 public:
  /// The model must outlive the object, and all its log-dets must come from transforms that integrate or be analytic.
  /// Throws DataError if none integrates.
  DivergenceComparison(Model<T>& model, const DivergenceComparisonOptions& options);

  /// The names of the candidates: "discrete", "trace", then the methods.
  const std::vector<std::string>& names() const { return names_; }
  Index repeats(std::size_t candidate) const { return candidate < exact ? 1 : options_.repeats; }

  /// x: (d × n) in, data units, and its context (c × n). first: the global number of the first row; draws depend on
  /// the seed, on this number and on the repeat. Leaves the model as it was. Allocates. Not collective.
  DivergencePart run(ConstMatrixView<double> x, ConstMatrixView<double> context, Index first);

 private:
  static constexpr std::size_t exact = 2;  // candidates that do not draw

  /// Makes the model one whose gradient workspaces have the candidate's log p.
  void choose(std::size_t candidate);

  Model<T>& model_;
  DivergenceComparisonOptions options_;
  std::vector<IntegrationOptions> own_;
  std::vector<std::string> names_;
};

/// Sums of many rows, which ranks add up.
class DivergenceSums {
 public:
  explicit DivergenceSums(std::size_t candidates) : sums_(candidates) {}

  void add(const DivergencePart& part);
  /// Adds the sums of all ranks. Collective.
  void sum(const comm::Communicator& comm);
  std::vector<DivergenceSummary> summarize() const;

 private:
  /// excess: of the weights above 1, whose squares do not cancel if the weights are nearly 1.
  enum Sum : std::size_t { rows, error, within, repeated_rows, draws, excess, excess_square, seconds, count };
  std::vector<std::array<double, count>> sums_;
};

extern template class DivergenceComparison<float>;
extern template class DivergenceComparison<double>;

}  // namespace pushforward::flow
