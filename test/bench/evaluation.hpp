#pragma once

// Densities of rows and samples from latents: their inputs, and their check by an independent route.

#include "flow_case.hpp"

#include <algorithm>
#include <numeric>

namespace pushforward::bench {

/// The results for rows or latents: (d × n) latents or rows, log p, statuses; of continuous flows, evaluations.
template <class T>
struct Evaluated {
  Evaluated(Index d, Index n)
      : image(d, n),
        log_prob(static_cast<std::size_t>(n)),
        status(log_prob.size()),
        error(log_prob.size()),
        evaluations(log_prob.size()) {}
  /// Evaluations of the vector field for a sample, in the mean.
  double mean_evaluations() const {
    return static_cast<double>(std::accumulate(evaluations.begin(), evaluations.end(), Index{0})) /
           static_cast<double>(std::max<std::size_t>(1, evaluations.size()));
  }
  Matrix<T> image;
  std::vector<double> log_prob;
  std::vector<flow::Status> status;
  std::vector<double> error;
  std::vector<Index> evaluations;
};

/// A case of Work::density or sample: its flow, with effective weights, and how it is evaluated.
template <class T>
class Evaluation {
 public:
  explicit Evaluation(const FlowCase& c);

  const flow::Flow<T>& flow() const { return flow_; }
  const logdet::Method& method() const { return method_; }
  const flow::InverseOptions& inverse() const { return inverse_; }
  /// Takes this method for the inverse from now on.
  void set_inverse(flow::InverseAlgorithm method) { inverse_.algorithm = method; }

  /// Memory for n samples, as the programs plan it.
  flow::FlowWorkspace<T> workspace(Index n) const;
  /// in: (d × n), rows or latents. Throws nothing where a sample fails: its status tells.
  void evaluate(ConstMatrixView<T> in, Evaluated<T>& out, flow::FlowWorkspace<T>& workspace) const;
  /// Holds the first samples against plain loops in double: log p and latents of rows, or the latents to which samples
  /// go back and their log p. Throws NumericalError; also where any sample's status is not ok.
  void check(Checks& checks, ConstMatrixView<T> in, const Evaluated<T>& out) const;

 private:
  Work work_;
  double tolerance_;
  logdet::Method method_;
  flow::InverseOptions inverse_;
  flow::Flow<T> flow_;
};

extern template class Evaluation<float>;
extern template class Evaluation<double>;

}  // namespace pushforward::bench
