
#include <models/log_det_table.hpp>
#include <pushforward/model/option_attributes.hpp>

#include <cmath>
#include <limits>

namespace pushforward::apps {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// A number in eight columns: "0.0123", "1234.5", "1.2e-09", "–" for what is not known.
std::string short_number(double x) {
  if (std::isnan(x)) return fmt::format("{:>8}", "–");
  const double size = std::abs(x);
  if (x == 0) return fmt::format("{:>8}", "0");
  if (size >= 1e5 || size < 5e-5) return fmt::format("{:>8.1e}", x);
  return fmt::format("{:>8.{}f}", x, size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 3 : 4);
}

// One that is at least 0 in six columns: "22.0", "12345", "1e+06".
std::string shorter_number(double x, int decimals) {
  if (std::isnan(x)) return fmt::format("{:>6}", "–");
  if (x < 999) return fmt::format("{:>6.{}f}", x, decimals);
  return x < 99999 ? fmt::format("{:>6.0f}", x) : fmt::format("{:>6.0e}", x);
}

std::string seconds_number(double x) {
  return std::isfinite(x) ? fmt::format("{:>8.3g}", x) : fmt::format("{:>8}", "–");
}

}  // namespace

LogDetSums::LogDetSums(const std::vector<Index>& repeats) {
  for (const Index r : repeats) {
    MethodSums sums;
    sums.error.resize(r);
    sums.seconds.resize(r);
    methods_.push_back(std::move(sums));
  }
}

void LogDetSums::add(const flow::LogDetPart& part) {
  exact_seconds_ += part.exact_seconds;
  for (std::size_t m = 0; m < methods_.size(); ++m) {
    for (std::size_t r = 0; r < methods_[m].seconds.size(); ++r) methods_[m].seconds[r] += part.draws[m].seconds[r];
  }
  for (std::size_t i = 0; i < part.exact.size(); ++i) {
    const double exact = part.exact[i];
    if (std::isnan(exact)) continue;
    rows_ += 1;
    exact_ += exact;
    exact_square_ += exact * exact;
    if (!part.gradient_norm.empty()) gradient_square_ += part.gradient_norm[i] * part.gradient_norm[i];
    if (!part.spectral_radius.empty()) spectral_radius_ = std::max(spectral_radius_, part.spectral_radius[i]);
    const auto row = static_cast<Index>(i);
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      auto& s = methods_[m];
      const auto& draws = part.draws[m];
      const Index repeats = draws.value.cols();
      double mean = 0, square = 0;
      for (Index r = 0; r < repeats; ++r) {
        const double error = draws.value(row, r) - exact;
        s.error[r] += error;
        s.square += error * error;
        mean += error / static_cast<double>(repeats);
        s.products += static_cast<double>(draws.products(row, r));
      }
      for (Index r = 0; r < repeats; ++r) {
        const double off = draws.value(row, r) - exact - mean;
        square += off * off;
      }
      if (repeats > 1) s.within += square / static_cast<double>(repeats - 1);
      for (Index r = 0; r < draws.gradient_error.cols(); ++r) {
        s.gradient_square += draws.gradient_error(row, r) * draws.gradient_error(row, r);
      }
    }
  }
}

void LogDetSums::sum(const comm::Communicator& comm) {
  for (double* const value : {&rows_, &exact_, &exact_square_, &exact_seconds_, &gradient_square_}) {
    *value = comm.sum(*value);
  }
  spectral_radius_ = comm.max(spectral_radius_);
  for (auto& s : methods_) {
    comm.sum(std::span<double>(s.error));
    comm.sum(std::span<double>(s.seconds));
    for (double* const value : {&s.square, &s.within, &s.products, &s.gradient_square}) *value = comm.sum(*value);
  }
}

double LogDetSums::exact_deviation() const {
  return std::sqrt(std::max(0.0, exact_square_ - exact_ * exact_ / rows_) / std::max(1.0, rows_ - 1));
}

std::optional<double> LogDetSums::spectral_radius() const {
  return spectral_radius_ < 0 ? std::nullopt : std::optional(spectral_radius_);
}

std::vector<LogDetSummary> LogDetSums::summarize(const std::vector<logdet::Method>& methods,
                                                 const std::vector<double>& bounds, double budget) const {
  std::vector<LogDetSummary> all;
  for (std::size_t m = 0; m < methods_.size(); ++m) {
    const auto& s = methods_[m];
    const auto repeats = static_cast<double>(s.error.size());
    const bool draws = methods[m].stochastic();
    LogDetSummary summary{.method = methods[m], .bound = bounds[m]};
    double spread = 0, seconds = 0;
    for (const double e : s.error) summary.bias += e / (rows_ * repeats);
    for (const double e : s.error) spread += (e / rows_ - summary.bias) * (e / rows_ - summary.bias);
    for (const double t : s.seconds) seconds += t;
    summary.bias_error = !draws ? 0 : repeats > 1 ? std::sqrt(spread / (repeats * (repeats - 1))) : nan;
    summary.deviation = !draws ? 0 : repeats > 1 ? std::sqrt(s.within / rows_) : nan;
    const double mean_square = s.square / (rows_ * repeats);
    summary.rmse = std::sqrt(mean_square);
    summary.products = s.products / (rows_ * repeats);
    summary.seconds = 1000 * seconds / (rows_ * repeats);
    // The mean square without the variance is the squared bias, which no repetition reduces.
    const double variance = draws && repeats > 1 ? s.within / rows_ : draws ? mean_square : 0;
    summary.rmse_at_budget = std::sqrt(std::max(0.0, mean_square - variance) + variance * summary.products / budget);
    if (gradient_square_ > 0) summary.gradient = std::sqrt(s.gradient_square / (repeats * gradient_square_));
    all.push_back(summary);
  }
  return all;
}

void LogDetSums::write(const h5::GroupWriter& group, const std::vector<LogDetSummary>& summaries) const {
  group.attribute("rows", rows());
  group.attribute("exact_seconds_per_1000", exact_seconds());
  for (std::size_t m = 0; m < summaries.size(); ++m) {
    const auto& s = summaries[m];
    const auto at = group.group(to_string(s.method));
    at.write("seconds", methods_[m].seconds, {"s", "of all rows, summed over ranks"});
    at.attribute("kind", s.method.kind());
    auto method = s.method;
    const auto keys = method.declare();
    OptionSet used;
    for (const auto& entry : keys.entries()) {
      if (keys.has_effect(entry)) used.add_entry(entry);
    }
    flow::write_options(at, used);
    at.attribute("bias", s.bias);
    at.attribute("bias_error", s.bias_error);
    at.attribute("standard_deviation", s.deviation);
    at.attribute("rmse", s.rmse);
    at.attribute("bias_bound", s.bound);
    at.attribute("products", s.products);
    at.attribute("seconds_per_1000", s.seconds);
    at.attribute("rmse_at_budget", s.rmse_at_budget);
    if (s.gradient) at.attribute("gradient_relative_error", *s.gradient);
  }
}

std::string log_det_table(const std::string& title, const LogDetSums& sums,
                          const std::vector<LogDetSummary>& summaries) {
  const bool gradient = !summaries.empty() && summaries.front().gradient.has_value();
  const std::size_t left = gradient ? 24 : 27;
  std::string text =
      fmt::format("{}: {} rows, exact log-dets deviate by {:.4g} nats\n", title, sums.rows(), sums.exact_deviation());
  if (const auto radius = sums.spectral_radius()) text += fmt::format("spectral radii up to {:.3f}\n", *radius);
  text += fmt::format("{:<{}}{:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8}{}\n", "", left, "bias", "± error", "std",
                      "RMSE", "bound", "prod.", "s/1000", "at cost", gradient ? "  grad." : "");
  text += fmt::format("{:<{}}{:>51} {}\n", "exact", left, "", seconds_number(sums.exact_seconds()));
  for (const auto& s : summaries) {
    const auto name = to_string(s.method);
    text += name.size() < left ? fmt::format("{:<{}}", name, left) : fmt::format("{}\n{:<{}}", name, "", left);
    text += fmt::format("{} {} {} {} {} {} {} {}", short_number(s.bias), short_number(s.bias_error),
                        short_number(s.deviation), short_number(s.rmse), short_number(s.bound),
                        shorter_number(s.products, 1), seconds_number(s.seconds), short_number(s.rmse_at_budget));
    if (s.gradient) text += ' ' + shorter_number(*s.gradient, 2);
    text += '\n';
  }
  return text + '\n';
}

}  // namespace pushforward::apps
