#include <models/table_output.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/replacement.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>

namespace pushforward::apps {

namespace {

namespace fs = std::filesystem;

constexpr Index most_rows = 1 << 12;  // in memory at a time

std::string temporary_name(const std::string& path) {
  return (fs::path(path).parent_path() / fmt::format(".{}.result.part", fs::path(path).filename().string())).string();
}

void append(h5::Replacement& file, const std::string& text) {
  file.write(std::as_bytes(std::span(text)));
}

// A field of CSV: in double quotes if it needs them.
std::string quoted(const std::string& name) {
  if (name.find_first_of(",\"\n\r") == std::string::npos) return name;
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

void write_csv(const h5::Group& root, const std::vector<TableColumns>& columns, h5::Replacement& file) {
  struct Part {
    h5::Dataset array;
    Matrix<double> rows;
  };
  std::vector<Part> parts;
  std::string text;
  for (const auto& [array, names] : columns) {
    for (const auto& name : names) {
      if (!text.empty()) text += ',';
      text += quoted(name);
    }
    auto dataset = root.dataset(array);
    const Index most = std::min(most_rows, dataset.shape()[0]);
    parts.push_back({std::move(dataset), Matrix<double>(static_cast<Index>(names.size()), most)});
  }
  text += '\n';
  const Index rows = parts.front().array.shape()[0];
  for (Index first = 0; first < rows; first += most_rows) {
    const Index count = std::min(most_rows, rows - first);
    for (auto& part : parts) part.array.read_rows(first, part.rows.view().columns(0, count));
    for (Index j = 0; j < count; ++j) {
      const char* separator = "";
      for (const auto& part : parts) {
        for (Index i = 0; i < part.rows.rows(); ++i) {
          fmt::format_to(std::back_inserter(text), "{}{}", separator, part.rows(i, j));
          separator = ",";
        }
      }
      text += '\n';
    }
    append(file, text);
    text.clear();
  }
}

void write_npy(const h5::Dataset& array, h5::Replacement& file) {
  constexpr std::size_t alignment = 64, prefix = 10;
  constexpr std::size_t low_byte = 0xff;
  std::string shape;
  for (const Index extent : array.shape()) shape += fmt::format("{}, ", extent);
  std::string header = fmt::format("{{'descr': '{}f8', 'fortran_order': False, 'shape': ({}), }}",
                                   std::endian::native == std::endian::little ? '<' : '>', shape);
  header.append(alignment - 1 - (prefix + header.size()) % alignment, ' ');
  header += '\n';
  std::string text("\x93NUMPY\x01");
  text += '\0';
  text += static_cast<char>(header.size() & low_byte);
  text += static_cast<char>(header.size() >> 8);
  append(file, text + header);
  const Index rows = array.shape()[0], width = array.size() / std::max(rows, Index{1});
  Matrix<double> slab(width, std::min(most_rows, rows));
  for (Index first = 0; first < rows; first += most_rows) {
    const auto part = slab.view().columns(0, std::min(most_rows, rows - first));
    array.read_rows(first, part);
    file.write(std::as_bytes(std::span(part.data(), static_cast<std::size_t>(part.rows() * part.cols()))));
  }
}

}  // namespace

TableOutput::TableOutput(const comm::Communicator& comm, const std::string& path)
    : comm_(comm),
      path_(path),
      is_csv_(path.ends_with(".csv")),
      is_npy_(path.ends_with(".npy")),
      result_file_(is_table() ? temporary_name(path) : path) {}

TableOutput::~TableOutput() {
  if (!is_table() || !comm_.is_root()) return;
  std::error_code ignored;
  fs::remove(result_file_, ignored);
}

void TableOutput::write(const std::vector<TableColumns>& columns, const std::string& main) const {
  if (!is_table()) return;
  comm::agree(comm_, [&] {
    if (!comm_.is_root()) return;
    const auto root = h5::open_file(result_file_);
    h5::Replacement file(path_);
    if (is_csv_) {
      write_csv(root, columns, file);
    } else {
      write_npy(root.dataset(main), file);
    }
    file.commit();
  });
}

void TableOutput::write_grid() const {
  if (!is_table()) return;
  comm::agree(comm_, [&] {
    if (!comm_.is_root()) return;
    const auto grid = h5::open_file(result_file_).group("grid");
    h5::Replacement file(path_);
    const auto array = grid.dataset("log_prob");
    if (is_npy_) {
      write_npy(array, file);
    } else {
      const auto x = grid.dataset("x").read<double>(), y = grid.dataset("y").read<double>();
      append(file, "x,y,log_prob\n");
      Matrix<double> line(static_cast<Index>(x.size()), 1);
      for (std::size_t j = 0; j < y.size(); ++j) {
        array.read_rows(static_cast<Index>(j), line.view());
        std::string text;
        for (std::size_t i = 0; i < x.size(); ++i) {
          fmt::format_to(std::back_inserter(text), "{},{},{}\n", x[i], y[j], line(static_cast<Index>(i), 0));
        }
        append(file, text);
      }
    }
    file.commit();
  });
}

}  // namespace pushforward::apps
