// HDF5 files of anybody: imported, and opened as datasets, of which rows are read.

#include "target.hpp"

#include <pushforward/dataset/dataset.hpp>
#include <pushforward/import/read_table.hpp>

#include <vector>

namespace pushforward::fuzz {

// HDF5 has tables of a megabyte of its own, as the cache of chunks.
const Target target{.floor = 4U << 20U};

namespace {

void read_rows(const data::RowReader& reader) {
  const auto& about = reader.description();
  for (const auto split : data::splits) {
    constexpr Index most = 1000;
    const Index count = std::min(about.rows[data::index_of(split)], most);
    Matrix<double> x(about.dimension, count), context(about.context_dimension(), count);
    std::vector<double> weights(static_cast<std::size_t>(count));
    reader.read(split, 0, x.view());
    reader.read_weights(split, 0, weights);
    if (about.context_dimension() > 0) reader.read_context(split, 0, context.view());
  }
}

}  // namespace

}  // namespace pushforward::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const auto path = fuzz::file_of(data, size);
  fuzz::accepts([&] { data::read_table(path); });
  fuzz::accepts([&] { fuzz::read_rows(data::Dataset(path, {})); });
  return 0;
}
