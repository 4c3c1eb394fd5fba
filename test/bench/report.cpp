#include "report.hpp"

#include <pushforward/core/text.hpp>
#include <pushforward/linalg/threads.hpp>

#include <fstream>

namespace pushforward::bench {

namespace {

constexpr double megabyte = 1e6, giga = 1e9, milli = 1e3;

// A number, or nothing where there is none.
std::string optional_number(double value, std::string_view format) {
  return value > 0 ? fmt::format(fmt::runtime(format), value) : "";
}

double share(const Result& r) {
  return r.bound > 0 ? 100 * r.bound / r.timing.best : 0;
}

}  // namespace

std::string csv_header() {
  return "date,cpu,blas_core,ranks,threads,case,label,precision,rows,ms,median_ms,repeats,gflop,bound_ms,"
         "share_percent,gbyte,workspace_mb,peak_mb,error,tolerance,gradient_error";
}

std::string csv_row(const Session& session, const Case& c, const Result& r, const std::string& date) {
  return fmt::format("{},\"{}\",{},{},{},{},\"{}\",{},{},{:.6g},{:.6g},{},{},{},{},{},{},{},{:.3g},{:.3g},{}", date,
                     processor_name(), linalg::blas_core(), session.comm.size(), linalg::blas_threads(), c.name,
                     r.label, r.precision, r.rows, milli * r.timing.best, milli * r.timing.median, r.timing.repeats,
                     optional_number(r.flops / giga, "{:.6g}"), optional_number(milli * r.bound, "{:.6g}"),
                     optional_number(share(r), "{:.4g}"), optional_number(r.bytes / giga, "{:.6g}"),
                     optional_number(r.workspace / megabyte, "{:.6g}"),
                     optional_number(r.peak_memory / megabyte, "{:.6g}"), r.check.error, r.check.tolerance,
                     r.gradient_error ? fmt::format("{:.4g}", *r.gradient_error) : "");
}

void append_csv(const std::string& path, const std::vector<std::string>& rows) {
  std::string first;
  std::getline(std::ifstream(path), first);
  require<IoError>(first.empty() || first == csv_header(), "{}: begins with other columns; give another file", path);
  std::ofstream file(path, std::ios::app);
  if (first.empty()) file << csv_header() << '\n';
  for (const auto& row : rows) file << row << '\n';
  require<IoError>(file.flush().good(), "{}: cannot be written", path);
}

std::string machine_line(const Session& session) {
  return fmt::format("{}, BLAS {}, {} rank{} of {} thread{}", processor_name(), linalg::blas_core(),
                     session.comm.size(), session.comm.size() == 1 ? "" : "s", linalg::blas_threads(),
                     linalg::blas_threads() == 1 ? "" : "s");
}

std::string table_header() {
  return fmt::format("{:<40} {:>9} {:>9} {:>8} {:>7} {:>6} {:>6} {:>8}", "case", "ms", "median", "GFLOP", "GFLOP/s",
                     "share", "GB/s", "error");
}

std::string table_row(const Case& c, const Result& r) {
  const auto name = r.label.empty() ? c.name : c.name + " " + r.label;
  return fmt::format("{:<40} {:>9.4g} {:>9.4g} {:>8} {:>7} {:>6} {:>6} {:>8.1e}", name, milli * r.timing.best,
                     milli * r.timing.median, optional_number(r.flops / giga, "{:.3g}"),
                     optional_number(r.flops / giga / r.timing.best, "{:.3g}"), optional_number(share(r), "{:.0f} %"),
                     optional_number(r.bytes / giga / r.timing.best, "{:.2f}"), r.check.error);
}

std::vector<std::string> phase_rows(const Result& r) {
  std::vector<std::string> rows;
  double rest = r.timing.total;
  const auto row = [&](std::string_view name, double seconds, double flops) {
    rows.push_back(fmt::format("    {:<36} {:>9.4g} {:>7.1f} % {:>16}", name,
                               milli * seconds * r.timing.best / r.timing.total, 100 * seconds / r.timing.total,
                               seconds > 0 ? optional_number(flops / giga / seconds, "{:.3g}") : ""));
  };
  for (int phase = 0; phase < static_cast<int>(Phase::count); ++phase) {
    const auto& entry = r.timing.profile[static_cast<Phase>(phase)];
    rest -= entry.seconds;
    if (entry.seconds > 0) row(phase_name(static_cast<Phase>(phase)), entry.seconds, entry.flops);
  }
  row("other", rest, 0);
  return rows;
}

}  // namespace pushforward::bench
