#pragma once

// How programs evaluate models that integrate a differential equation, and what they write about it.

#include <cli/console.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/model/model.hpp>

namespace pushforward::apps {

/// The flags of a program that say how a model integrates. Values that are not set are the model's own.
struct IntegrationFlags {
  Index steps = 0;
  std::string solver = "model";
  double tolerance = 0;
  double guidance = 1;

  /// Adds --steps and --solver.
  void add_sampler(OptionSet& keys);
  /// Adds the tolerance of continuous densities under this name.
  void add_tolerance(OptionSet& keys, const std::string& name);
  /// Adds --guidance.
  void add_guidance(OptionSet& keys);

  /// Whether the contexts of samples have an effect.
  bool uses_context() const { return guidance != 0; }
  /// Throws OptionError for a --context without effect.
  void require_effect_of_context(const std::string& context) const;
  /// Guides the vector fields of the model. Returns a text about it for people, "" without guidance. Throws OptionError
  /// if the model cannot be guided.
  template <class T>
  std::string guide(flow::Model<T>& model) const;

  /// Makes the model integrate as the flags say, with guidance. Returns a text about it for people, "" if no flag is
  /// set. Throws OptionError for a flag that has no effect on the model.
  template <class T>
  std::string apply(flow::Model<T>& model) const;

 private:
  template <class T>
  std::string choose_steps(flow::Model<T>& model) const;
};

/// The columns /log_prob_error and /evaluations of result files. Models that integrate nothing have none.
class IntegrationColumns {
 public:
  /// most: the largest number of rows at a time.
  IntegrationColumns(bool present, Index most);

  bool present() const { return present_; }
  /// Appends the arrays of n rows.
  void add_arrays(std::vector<h5::RowArray>& arrays, Index n) const;
  /// Where a pass of `count` rows writes.
  flow::IntegrationReport report(Index count);
  /// Writes rows [first, first + status.size()), of which the last pass has reported. Rows that are not ok get NaN as
  /// error. Collective.
  void write(h5::ResultFile& file, Index first, std::span<const flow::Status> status);
  /// Prints the statistics of all rows that were written. Collective.
  void print(const comm::Communicator& comm, Console& console) const;

 private:
  bool present_;
  Matrix<double> error_;       // (1 × most)
  Matrix<Index> evaluations_;  // (1 × most)
  double count_ = 0, folded_ = 0, errors_ = 0, all_evaluations_ = 0;
  double largest_error_ = 0, most_evaluations_ = 0;
};

extern template std::string IntegrationFlags::guide(flow::Model<float>&) const;
extern template std::string IntegrationFlags::guide(flow::Model<double>&) const;
extern template std::string IntegrationFlags::apply(flow::Model<float>&) const;
extern template std::string IntegrationFlags::apply(flow::Model<double>&) const;

}  // namespace pushforward::apps
