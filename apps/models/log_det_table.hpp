#pragma once

// Summaries of log-det estimators, for a table and for a result file.

#include <pushforward/analysis/log_det_comparison.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/h5/writer.hpp>

namespace pushforward::apps {

/// One method compared with the exact log-det, over the rows whose status is ok: for a row and a single draw, nats.
struct LogDetSummary {
  logdet::Method method;
  double bias = 0, bias_error = 0;  ///< mean error, and its standard error from the repeats; NaN with one repeat
  double deviation = 0;  ///< of draws about the mean of their row; NaN with one repeat of a method that draws
  double rmse = 0;
  double bound = 0;           ///< on the bias
  double products = 0;        ///< in the mean
  double seconds = 0;         ///< per 1000 rows
  double rmse_at_budget = 0;  ///< of the mean of as many draws as the budget of products buys, down to a part of one
  std::optional<double> gradient{};  ///< √(Σ‖ĝ − g‖² / Σ‖g‖²) over rows and repeats
};

/// Sums over rows, from which summaries follow. They are added up over ranks.
class LogDetSums {
 public:
  /// repeats: the number of repeats of each method.
  explicit LogDetSums(const std::vector<Index>& repeats);

  /// Adds rows. Rows whose exact value is NaN are left out.
  void add(const flow::LogDetPart& part);
  /// Adds the sums of all ranks. Collective.
  void sum(const comm::Communicator& comm);

  Index rows() const { return static_cast<Index>(rows_); }
  /// The seconds that exact log-dets take for 1000 rows, and the standard deviation of their values, nats.
  double exact_seconds() const { return 1000 * exact_seconds_ / rows_; }
  double exact_deviation() const;
  /// The largest spectral radius, if there are any.
  std::optional<double> spectral_radius() const;

  /// budget: products for each row.
  std::vector<LogDetSummary> summarize(const std::vector<logdet::Method>& methods, const std::vector<double>& bounds,
                                       double budget) const;
  /// Writes attributes and seconds. group: the log-dets of a part, with a group for each method.
  void write(const h5::GroupWriter& group, const std::vector<LogDetSummary>& summaries) const;

 private:
  struct MethodSums {
    std::vector<double> error;    // (repeats) Σ over rows of value − exact
    std::vector<double> seconds;  // (repeats)
    double square = 0;            // Σ over rows and repeats of its square
    double within = 0;            // Σ over rows of the variance over repeats
    double products = 0;
    double gradient_square = 0;
  };

  std::vector<MethodSums> methods_;
  double rows_ = 0, exact_ = 0, exact_square_ = 0, exact_seconds_ = 0, gradient_square_ = 0, spectral_radius_ = -1;
};

/// Makes a table that is at most 100 columns wide.
std::string log_det_table(const std::string& title, const LogDetSums& sums,
                          const std::vector<LogDetSummary>& summaries);

}  // namespace pushforward::apps
