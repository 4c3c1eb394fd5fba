#include <pushforward/data/dataset_writer.hpp>

#include <utility>

namespace pushforward::data {

namespace {

constexpr Index format_version = 1;

std::string weight_name(Split split) {
  return "weight/" + std::string(split_name(split));
}

std::vector<h5::RowArray> arrays(const DatasetLayout& layout) {
  std::vector<h5::RowArray> list;
  for (const Split split : splits) {
    const Index rows = layout.rows[index_of(split)];
    const std::string name(split_name(split));
    if (rows == 0) continue;
    list.push_back({name, layout.element, rows, layout.dimension, {"1", "samples, " + name + " split"}});
    if (!layout.weighted) continue;
    list.push_back({weight_name(split), h5::Element::real64, rows, 0, {"1", "weights of the samples"}});
  }
  return list;
}

}  // namespace

DatasetWriter::DatasetWriter(const comm::Communicator& comm, const std::string& path, const DatasetLayout& layout)
    : file_(comm, path, "pushforward dataset", format_version, arrays(layout), [&](const h5::GroupWriter& root) {
        root.attribute("source", layout.source);
        if (layout.entropy) root.attribute("entropy", *layout.entropy);
        if (!layout.feature_names.empty()) root.write_strings("feature_names", layout.feature_names);
      }) {}

void DatasetWriter::write(Split split, Index first, ConstMatrixView<double> x) {
  file_.write_rows(split_name(split), first, x);
}

void DatasetWriter::write_weights(Split split, Index first, std::span<const double> weights) {
  file_.write_rows(weight_name(split), first,
                   ConstMatrixView<double>(weights.data(), 1, static_cast<Index>(weights.size())));
}

}  // namespace pushforward::data
