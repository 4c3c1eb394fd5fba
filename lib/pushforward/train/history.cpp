#include <pushforward/core/error.hpp>
#include <pushforward/train/history.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

namespace pushforward::train {

History::History(LossName loss, const std::string& path) : loss_(std::move(loss)), path_(path) {
  std::error_code ignored, error;
  if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::rename(path, path + ".old", error);
  require<IoError>(!error, "cannot keep the old {} as {}.old: {}", path, path, error.message());
  file_.reset(std::fopen(path.c_str(), "w"));
  require<IoError>(file_ != nullptr, "cannot write the history {}: {}; choose another with --output.history", path,
                   std::strerror(errno));
  fmt::print(file_.get(), "step,seconds,train_{0},validation_{0},learning_rate,gradient_norm\n", loss_.name);
}

void History::add(const HistoryRow& row) {
  rows_.push_back(row);
  if (file_ == nullptr) return;
  const auto line =
      fmt::format("{},{:.3f},{},{},{},{}\n", row.step, row.seconds, row.train_loss,
                  row.validation ? fmt::format("{}", row.validation->mean) : "", row.learning_rate, row.gradient_norm);
  const bool written =
      std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fflush(file_.get()) == 0;
  require<IoError>(written, "cannot write to the history {}: {}", path_, std::strerror(errno));
}

void History::write(const h5::GroupWriter& root) const {
  const auto group = root.make_group("history");
  const auto column = [&](const std::string& name, const std::string& units, auto&& value) {
    std::vector<double> values;
    for (const auto& row : rows_) values.push_back(value(row));
    group.write(name, values, {.units = units, .long_name = ""});
  };
  std::vector<Index> steps;
  for (const auto& row : rows_) steps.push_back(row.step);
  group.write("step", steps);
  column("seconds", "s", [](const HistoryRow& r) { return r.seconds; });
  column("train_" + loss_.name, loss_.units, [](const HistoryRow& r) { return r.train_loss; });
  column("validation_" + loss_.name, loss_.units, [](const HistoryRow& r) {
    return r.validation ? r.validation->mean : std::numeric_limits<double>::quiet_NaN();
  });
  column("learning_rate", "1", [](const HistoryRow& r) { return r.learning_rate; });
  column("gradient_norm", "1", [](const HistoryRow& r) { return r.gradient_norm; });
}

}  // namespace pushforward::train
