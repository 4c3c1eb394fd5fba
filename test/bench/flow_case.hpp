#pragma once

// Cases that are passes of a whole flow.

#include "case.hpp"
#include "flops.hpp"
#include "subject.hpp"

namespace pushforward::bench {

/// The work that is timed.
enum class Work {
  train,     ///< a training step
  match,     ///< a training step of flow matching
  gradient,  ///< log-likelihood of a batch and its gradient, weights as they are
  density,   ///< log p of rows
  sample     ///< rows from latents, with log p
};
std::string_view work_name(Work work);

struct FlowCase {
  std::string name{}, summary{};
  Work work = Work::train;
  std::string precision = "float";
  FlowShape shape{};
  Index rows = 512;  ///< of the batch, or to be evaluated or drawn; ranks share them
  std::string method = "exact";
  bool has_baseline = true;  ///< whether PyTorch has a counterpart

  /// Whether a run begins with spectral norms.
  bool normalizes() const { return work == Work::train && shape.is_residual(); }
};

/// As it is run and listed.
Case case_of(const FlowCase& c);

/// The case as it is, or the smallest that takes the same paths.
FlowCase sized_for(const Session& session, const FlowCase& c);

/// run_gradient() runs Work::train and Work::gradient, run_matching() Work::match, and run_evaluation() Work::density
/// and Work::sample. Collective.
template <class T>
Result run_gradient(const FlowCase& c, const Session& session);
template <class T>
Result run_matching(const FlowCase& c, const Session& session);
template <class T>
Result run_evaluation(const FlowCase& c, const Session& session);

/// Writes a case's weights, inputs and results (saved_case.cpp has the schema).
template <class T>
void save_flow_case(const FlowCase& c, const std::string& path);

/// Sets a result's operations and bound, from products that this rank has, `factor` times, at rates that were measured
/// before and after the case was timed. Collective.
template <class T>
class BoundMeasurement {
 public:
  BoundMeasurement(const Session& session, const Products& products, double factor)
      : session_(session), products_(products), rates_(products), factor_(factor) {}
  /// Half of the measurement: to be called before and after.
  void measure();
  void report(Result& result) const;

 private:
  const Session& session_;
  Products products_;
  GemmRates<T> rates_;
  double factor_;
};

extern template class BoundMeasurement<float>;
extern template class BoundMeasurement<double>;
extern template Result run_gradient<float>(const FlowCase&, const Session&);
extern template Result run_gradient<double>(const FlowCase&, const Session&);
extern template Result run_matching<float>(const FlowCase&, const Session&);
extern template Result run_matching<double>(const FlowCase&, const Session&);
extern template Result run_evaluation<float>(const FlowCase&, const Session&);
extern template Result run_evaluation<double>(const FlowCase&, const Session&);
extern template void save_flow_case<float>(const FlowCase&, const std::string&);
extern template void save_flow_case<double>(const FlowCase&, const std::string&);

}  // namespace pushforward::bench
