#include <models/report.hpp>

#include <cmath>
#include <numbers>

namespace pushforward::apps {

void print_nll(Console& console, std::string_view label, const flow::Evaluation& nll, Index d,
               std::optional<double> entropy) {
  const auto failures = flow::failures(nll);
  if (nll.failed == nll.rows && nll.rows > 0) {
    console.result("{:<14} {} nats: {}", label, nll.mean, failures);
    return;
  }
  const auto rows = failures.empty() ? fmt::format("{} rows", nll.rows)
                                     : fmt::format("the mean of {} rows; {}", nll.rows - nll.failed, failures);
  const auto error = std::isnan(nll.standard_error) ? "" : fmt::format(" ± {:.4f}", nll.standard_error);
  std::string line = fmt::format("{:<14} {:.4f}{} nats ({}), {:.4f} bits/dim", label, nll.mean, error, rows,
                                 nll.mean / (static_cast<double>(d) * std::numbers::ln2));
  if (entropy) line += fmt::format(", {:+.4f} from the entropy {:.4f}", nll.mean - *entropy, *entropy);
  console.result("{}", line);
}

std::string log_prob_name(std::string_view of, const flow::Domain& data) {
  std::string area;
  for (const Sphere& sphere : data.spheres) {
    area +=
        sphere.size() == 3 ? ", per steradian" : fmt::format(", per unit of area of the sphere in {}", sphere.size());
  }
  return fmt::format("log p of each {}{}", of, area);
}

void print_profile(Console& console, const Profile& profile, double seconds, double gemm_rate) {
  console.message("{:<14} {:>9} {:>7} {:>9}   {}", "time of rank 0", "s", "%", "GFLOP/s",
                  fmt::format("% of gemm at {:.1f}", gemm_rate));
  double accounted = 0;
  const auto line = [&](std::string_view name, double s, double flops) {
    std::string text = fmt::format("{:<14} {:>9.2f} {:>7.1f}", name, s, 100 * s / seconds);
    if (flops > 0) text += fmt::format(" {:>9.1f}   {:.0f}", 1e-9 * flops / s, 1e-7 * flops / s / gemm_rate);
    console.message("{}", text);
  };
  for (int p = 0; p < static_cast<int>(Phase::count); ++p) {
    const auto phase = static_cast<Phase>(p);
    const auto& entry = profile[phase];
    accounted += entry.seconds;
    line(phase_name(phase), entry.seconds, entry.flops);
  }
  line("other", seconds - accounted, 0);
}

}  // namespace pushforward::apps
