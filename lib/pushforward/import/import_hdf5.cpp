#include <pushforward/import/import_hdf5.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/foreign_arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace pushforward::data {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

[[noreturn]] void refuse_choice(const std::string& file, const std::vector<h5::Found>& found) {
  std::vector<std::string> arrays, others;
  for (const auto& one : found) {
    if (one.problem.empty()) {
      arrays.push_back(fmt::format("{}:/{}", file, one.path));
    } else {
      others.push_back(fmt::format("/{} {}{}", one.path, one.leads_nowhere ? "" : "is ", one.problem));
    }
  }
  const bool has_links = std::ranges::any_of(found, [](const h5::Found& one) { return one.leads_nowhere; });
  require<DataError>(!arrays.empty(), "{}: {}{}{}", file,
                     has_links ? "no array of numbers can be opened" : "holds no array of numbers",
                     others.empty() ? "" : "; ", join_some(others));
  throw DataError(fmt::format("{}: holds {} arrays; choose one: {}", file, arrays.size(), join_some(arrays)));
}

std::string choose(const h5::Group& root, const std::string& file) {
  const auto found = root.search();
  const auto is_array = [](const h5::Found& one) { return one.problem.empty(); };
  const auto is_near = [&](const h5::Found& one) { return is_array(one) && one.path.find('/') == std::string::npos; };
  const auto near = std::ranges::count_if(found, is_near);
  if (near == 1) return std::ranges::find_if(found, is_near)->path;
  if (near > 1 || std::ranges::count_if(found, is_array) != 1) refuse_choice(file, found);
  return std::ranges::find_if(found, is_array)->path;
}

std::vector<double> numbers(const h5::Dataset& array, std::string_view name) {
  return array.has_numbers(name) ? array.attribute<std::vector<double>>(name) : std::vector<double>();
}

std::optional<double> number(const h5::Dataset& array, std::string_view name) {
  const auto values = numbers(array, name);
  require<DataError>(values.size() <= 1, "{}: attribute '{}' has {} values, not one", array.where(), name,
                     values.size());
  return values.empty() ? std::nullopt : std::optional(values.front());
}

// Applies what netCDF's attributes say about the raw values of an array.
class Conventions {
 public:
  /// is_netcdf: whether a value that is the default of netCDF for what was never written is missing.
  Conventions(const h5::Dataset& array, bool is_netcdf) : array_(array) {
    read_sign();
    if (is_netcdf && !array.has_attribute("_FillValue")) add_default_fill();
    for (const char* name : {"_FillValue", "missing_value"}) {
      for (const double value : numbers(array, name)) missing_.push_back(as_stored(value));
      if (array.has_numbers(name)) missing_names_.emplace_back(name);
    }
    const auto range = numbers(array, "valid_range");
    require<DataError>(range.empty() || range.size() == 2, "{}: attribute 'valid_range' has {} values, not two",
                       array.where(), range.size());
    if (!range.empty()) set_range(range[0], range[1], {"valid_range"});
    if (const auto least = number(array, "valid_min")) set_range(*least, greatest_, {"valid_min"});
    if (const auto most = number(array, "valid_max")) set_range(least_, *most, {"valid_max"});
    factor_ = number(array, "scale_factor");
    offset_ = number(array, "add_offset");
  }

  struct Changes {
    std::string missing;  // "3 values missing by _FillValue"; "" if there are none
    std::string remark;   // "" if nothing was to be done
  };

  Changes apply(std::vector<double>& values) const {
    Index missing = 0, outside = 0;
    for (double& value : values) {
      if (modulus_ > 0 && unsigned_ && value < 0) value += modulus_;
      if (modulus_ > 0 && !unsigned_ && value >= modulus_ / 2) value -= modulus_;
      if (std::ranges::find(missing_, value) != missing_.end()) {
        value = nan;
        ++missing;
      } else if (value < least_ || value > greatest_) {
        value = nan;
        ++outside;
      }
      value = value * factor_.value_or(1) + offset_.value_or(0);
    }
    std::vector<std::string> parts, absent;
    if (modulus_ > 0) parts.push_back(unsigned_ ? "unsigned by _Unsigned" : "signed by _Unsigned");
    if (missing > 0) {
      auto names = missing_names_;
      if (has_default_fill_) names.emplace_back("netCDF's default fill value");
      absent.push_back(fmt::format("{} values missing by {}", missing, join(names)));
    }
    if (missing == 0 && !missing_names_.empty())
      parts.push_back(fmt::format("none missing by {}", join(missing_names_)));
    if (outside > 0) absent.push_back(fmt::format("{} values outside {}", outside, join(range_names_)));
    if (outside == 0 && !range_names_.empty()) parts.push_back(fmt::format("none outside {}", join(range_names_)));
    if (factor_) parts.push_back(fmt::format("multiplied by scale_factor {}", *factor_));
    if (offset_) parts.push_back(fmt::format("add_offset {} added", *offset_));
    return {join(absent), join(parts)};
  }

 private:
  void read_sign() {
    if (!array_.is_integer() || !array_.has_text("_Unsigned")) return;
    const auto text = array_.attribute<std::string>("_Unsigned");
    unsigned_ = text == "true" || text == "True";
    if (unsigned_ != array_.is_signed()) return;
    constexpr int bits = 8;
    modulus_ = std::ldexp(1.0, bits * static_cast<int>(array_.element_bytes()));
  }

  // As the netCDF library fills arrays of this type. Bytes are excepted, since all of their values are data.
  void add_default_fill() {
    constexpr double real = 9.9692099683868690e+36;
    constexpr int bits = 8;
    const auto bytes = static_cast<int>(array_.element_bytes());
    if (bytes == 1) return;
    if (!array_.is_integer()) {
      missing_.push_back(as_stored(real));
    } else if (array_.is_signed()) {
      missing_.push_back(as_stored((bytes == sizeof(std::int64_t) ? 2 : 1) - std::ldexp(1.0, bits * bytes - 1)));
    } else {
      missing_.push_back(as_stored(std::ldexp(1.0, bits * bytes) - (bytes == sizeof(std::int64_t) ? 2 : 1)));
    }
    has_default_fill_ = true;
  }

  // The value as the array's elements have it: in single precision, and with the sign of _Unsigned.
  double as_stored(double value) const {
    if (!array_.is_integer() && array_.element_bytes() == sizeof(float)) return static_cast<float>(value);
    if (modulus_ > 0 && unsigned_ && value < 0) return value + modulus_;
    if (modulus_ > 0 && !unsigned_ && value >= modulus_ / 2) return value - modulus_;
    return value;
  }

  void set_range(double least, double greatest, std::vector<std::string> names) {
    least_ = as_stored(least);
    greatest_ = as_stored(greatest);
    range_names_.insert(range_names_.end(), names.begin(), names.end());
  }

  const h5::Dataset& array_;
  std::vector<double> missing_;
  std::vector<std::string> missing_names_, range_names_;
  double least_ = -std::numeric_limits<double>::infinity(), greatest_ = std::numeric_limits<double>::infinity();
  std::optional<double> factor_, offset_;
  bool unsigned_ = false, has_default_fill_ = false;
  double modulus_ = 0;  // 2^bits if the values change their sign, else 0
};

// Whether the netCDF library has written the file, or the array has scales of dimensions as netCDF-4 has them.
bool is_netcdf(const h5::Group& root, const h5::Dataset& array) {
  return root.has_attribute("_NCProperties") || array.has_attribute("DIMENSION_LIST") ||
         array.has_attribute("_Netcdf4Dimid");
}

void transpose_values(Table& table, Index rows, Index columns) {
  std::vector<double> turned(table.values.size());
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) turned[j * rows + i] = table.values[i * columns + j];
  }
  table.values = std::move(turned);
}

Table read_records(const h5::Dataset& dataset) {
  auto records = dataset.read_records();
  Table table;
  table.source = dataset.where();
  table.names = std::move(records.names);
  table.named = true;
  table.values = std::move(records.values);
  table.text.resize(table.names.size());
  table.remark = "records";
  if (!records.skipped.empty()) {
    table.remark += fmt::format(" without the members that hold no numbers: {}", join_some(records.skipped));
  }
  return table;
}

}  // namespace

Table read_hdf5(const h5::Group& root, const std::string& file, const std::string& path, Transpose transpose) {
  const auto chosen = path.empty() ? choose(root, file) : path;
  const auto dataset = root.dataset(chosen);
  const auto& shape = dataset.shape();
  const auto writer = writer_of_reversed_axes(root, chosen);
  require<DataError>(!dataset.has_attribute("MATLAB_empty"), "{}: is an empty array of MATLAB", dataset.where());
  require<DataError>(writer != "MATLAB" || dataset.attribute<std::string>("MATLAB_class") != "char",
                     "{}: holds text of MATLAB, not numbers", dataset.where());
  require<DataError>(!shape.empty() && dataset.size() > 0, "{}: has shape ({}): no rows, or rows of no numbers",
                     dataset.where(), fmt::join(shape, ", "));
  if (dataset.is_record()) return read_records(dataset);
  const bool turn = transpose == Transpose::yes || (transpose == Transpose::automatic && !writer.empty());
  require<DataError>(!turn || shape.size() <= 2, "{}: has shape ({}); only an array of two axes can be transposed",
                     dataset.where(), fmt::join(shape, ", "));
  Table table;
  table.source = dataset.where();
  table.values = dataset.read<double>();
  const Conventions conventions(dataset, is_netcdf(root, dataset));
  const auto changes = conventions.apply(table.values);
  if (!changes.missing.empty()) table.source += fmt::format(" ({})", changes.missing);
  Index rows = shape[0], columns = dataset.size() / shape[0];
  if (turn && shape.size() == 2) {
    transpose_values(table, rows, columns);
    std::swap(rows, columns);
  }
  table.names = default_names(columns);
  if (root.has_dataset("feature_names")) {
    auto names = root.dataset("feature_names").read_strings();
    table.named = names.size() == table.names.size();
    if (table.named) table.names = std::move(names);
  }
  table.text.resize(table.names.size());
  table.remark = fmt::format("array ({})", fmt::join(shape, ", "));
  if (turn && shape.size() == 2) {
    table.remark += ", transposed";
    if (transpose != Transpose::yes) {
      table.remark += fmt::format(" because {} wrote it; --transpose no reads it as it is in the file", writer);
    }
  }
  if (!changes.remark.empty()) table.remark += "; " + changes.remark;
  return table;
}

}  // namespace pushforward::data
