#include <pushforward/core/error.hpp>
#include <pushforward/train/history.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

namespace pushforward::train {

History::History(const std::string& path) : path_(path) {
  std::error_code ignored, error;
  if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::rename(path, path + ".old", error);
  require<IoError>(!error, "cannot keep the old {} as {}.old: {}", path, path, error.message());
  file_.reset(std::fopen(path.c_str(), "w"));
  require<IoError>(file_ != nullptr, "cannot write the history {}: {}; choose another with --output.history", path,
                   std::strerror(errno));
  fmt::print(file_.get(), "step,seconds,train_nll,validation_nll,learning_rate,gradient_norm\n");
}

void History::add(const HistoryRow& row) {
  rows_.push_back(row);
  if (file_ == nullptr) return;
  const auto line =
      fmt::format("{},{:.3f},{},{},{},{}\n", row.step, row.seconds, row.train_nll,
                  row.validation ? fmt::format("{}", row.validation->nll) : "", row.learning_rate, row.gradient_norm);
  const bool written =
      std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fflush(file_.get()) == 0;
  require<IoError>(written, "cannot write to the history {}: {}", path_, std::strerror(errno));
}

void History::write(const h5::GroupWriter& root) const {
  const auto group = root.make_group("history");
  const auto column = [&](const char* name, const char* units, auto&& value) {
    std::vector<double> values;
    for (const auto& row : rows_) values.push_back(value(row));
    group.write(name, values, {.units = units, .long_name = ""});
  };
  std::vector<Index> steps;
  for (const auto& row : rows_) steps.push_back(row.step);
  group.write("step", steps);
  column("seconds", "s", [](const HistoryRow& r) { return r.seconds; });
  column("train_nll", "nat", [](const HistoryRow& r) { return r.train_nll; });
  column("validation_nll", "nat", [](const HistoryRow& r) {
    return r.validation ? r.validation->nll : std::numeric_limits<double>::quiet_NaN();
  });
  column("learning_rate", "1", [](const HistoryRow& r) { return r.learning_rate; });
  column("gradient_norm", "1", [](const HistoryRow& r) { return r.gradient_norm; });
}

}  // namespace pushforward::train
