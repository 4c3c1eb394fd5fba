#include <pushforward/core/error.hpp>
#include <pushforward/train/history.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

namespace pushforward::train {

namespace {

[[noreturn]] void fail(const std::string& path) {
  throw IoError(
      fmt::format("cannot write the history {}: {}; choose another with --output.history", path, std::strerror(errno)));
}

}  // namespace

History::History(LossNames loss, const std::string& path) : loss_(std::move(loss)), path_(path) {
  std::error_code ignored, error;
  if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::rename(path, path + ".old", error);
  require<IoError>(!error, "cannot keep the old {} as {}.old: {}", path, path, error.message());
  begin();
}

History::History(LossNames loss, const std::string& path, std::vector<HistoryRow> rows)
    : loss_(std::move(loss)), path_(path), rows_(std::move(rows)) {
  if (!path_.empty()) begin();
}

void History::begin() {
  file_.reset(std::fopen(path_.c_str(), "w"));
  if (file_ == nullptr) fail(path_);
  put(fmt::format("step,seconds,train_{},validation_{},{}learning_rate,gradient_norm\n", loss_.train.name,
                  loss_.validation.name, loss_.validates_loss ? fmt::format("validation_{},", loss_.train.name) : ""));
  for (const auto& row : rows_) append(row);
}

void History::append(const HistoryRow& row) {
  const auto loss = row.validation_loss ? fmt::format("{}", *row.validation_loss) : "";
  put(fmt::format("{},{:.3f},{},{},{}{},{}\n", row.step, row.seconds, row.train_loss,
                  row.validation ? fmt::format("{}", row.validation->mean) : "", loss_.validates_loss ? loss + "," : "",
                  row.learning_rate, row.gradient_norm));
}

void History::put(const std::string& line) {
  const bool written =
      std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fflush(file_.get()) == 0;
  if (!written) fail(path_);
}

void History::cut(Index step) {
  const auto removed = std::erase_if(rows_, [&](const HistoryRow& row) { return row.step > step; });
  if (removed == 0 || path_.empty()) return;
  try {
    begin();
  } catch (const IoError& error) {
    problem_ = error.what();
    file_.reset();
  }
}

void History::add(const HistoryRow& row) {
  rows_.push_back(row);
  if (path_.empty()) return;
  try {
    if (file_ == nullptr) {
      begin();
    } else {
      append(row);
    }
    problem_.clear();
  } catch (const IoError& error) {
    problem_ = error.what();
    file_.reset();
  }
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
  column("train_" + loss_.train.name, loss_.train.units, [](const HistoryRow& r) { return r.train_loss; });
  column("validation_" + loss_.validation.name, loss_.validation.units, [](const HistoryRow& r) {
    return r.validation ? r.validation->mean : std::numeric_limits<double>::quiet_NaN();
  });
  if (loss_.validates_loss) {
    column("validation_" + loss_.train.name, loss_.train.units,
           [](const HistoryRow& r) { return r.validation_loss.value_or(std::numeric_limits<double>::quiet_NaN()); });
  }
  column("learning_rate", "1", [](const HistoryRow& r) { return r.learning_rate; });
  column("gradient_norm", "1", [](const HistoryRow& r) { return r.gradient_norm; });
}

std::vector<HistoryRow> History::read(const h5::Group& root, const LossNames& loss) {
  const auto group = root.group("history");
  const auto steps = group.dataset("step").read<Index>();
  const auto column = [&](const std::string& name) {
    auto values = group.dataset(name).read<double>();
    require<DataError>(values.size() == steps.size(), "{}: '{}' has {} rows, and 'step' has {}", group.where(), name,
                       values.size(), steps.size());
    return values;
  };
  const auto seconds = column("seconds"), train = column("train_" + loss.train.name),
             validation = column("validation_" + loss.validation.name), rate = column("learning_rate"),
             norm = column("gradient_norm");
  const auto validated = loss.validates_loss ? column("validation_" + loss.train.name) : std::vector<double>();
  std::vector<HistoryRow> rows(steps.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {steps[i], seconds[i], train[i], {}, {}, rate[i], norm[i]};
    if (!validated.empty() && !std::isnan(validated[i])) rows[i].validation_loss = validated[i];
    if (!std::isnan(validation[i])) rows[i].validation = flow::Evaluation{.mean = validation[i]};
  }
  return rows;
}

}  // namespace pushforward::train
