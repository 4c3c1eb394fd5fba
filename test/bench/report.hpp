#pragma once

// The lines that bench prints, and the CSV files that it writes.

#include "case.hpp"

#include <string>

namespace pushforward::bench {

/// The first line of a CSV file: names of columns.
std::string csv_header();
/// A result as a line of it. date: ISO 8601.
std::string csv_row(const Session& session, const Case& c, const Result& result, const std::string& date);
/// Appends to a file, which begins with the header. Throws IoError, also for a file that begins otherwise.
void append_csv(const std::string& path, const std::vector<std::string>& rows);

/// Lines for people, at most 100 columns.
std::string table_header();
std::string table_row(const Case& c, const Result& result);
/// Where the first rank's time went: the library's phases, a line for each that took any.
std::vector<std::string> phase_rows(const Result& result);
/// Ranks, threads, processor and BLAS core.
std::string machine_line(const Session& session);

}  // namespace pushforward::bench
