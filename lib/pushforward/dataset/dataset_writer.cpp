#include <pushforward/dataset/dataset_writer.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/dataset/dataset.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace pushforward::data {

namespace {

std::string weight_name(Split split) {
  return "weight/" + std::string(split_name(split));
}

std::string context_name(Split split) {
  return "context/" + std::string(split_name(split));
}

void check(const DatasetLayout& layout) {
  const Index d = layout.dimension;
  require<ShapeError>(!layout.image_shape || layout.image_shape->size() == d, "dataset: images of {} for {} columns",
                      layout.image_shape ? to_string(*layout.image_shape) : "", d);
  const auto outside = std::ranges::find_if(layout.periodic, [d](Index i) { return i < 0 || i >= d; });
  require<ShapeError>(outside == layout.periodic.end(), "dataset: periodic column {} of {} columns, counted from 0",
                      outside == layout.periodic.end() ? 0 : *outside, d);
  check_spheres(layout.spheres, layout.periodic, d);
}

std::vector<h5::RowArray> arrays(const DatasetLayout& layout) {
  check(layout);
  const auto contexts = static_cast<Index>(layout.context_names.size());
  std::vector<h5::RowArray> list;
  for (const Split split : splits) {
    const Index rows = layout.rows[index_of(split)];
    const std::string name(split_name(split));
    if (rows == 0) continue;
    list.push_back({name, layout.element, rows, layout.dimension, {"1", "samples, " + name + " split"}});
    if (contexts > 0) {
      list.push_back({context_name(split), h5::Element::real64, rows, contexts, {"1", "contexts of the samples"}});
    }
    if (!layout.weighted) continue;
    list.push_back({weight_name(split), h5::Element::real64, rows, 0, {"1", "weights of the samples"}});
  }
  return list;
}

void describe(const h5::GroupWriter& root, const DatasetLayout& layout) {
  root.attribute("source", layout.source);
  if (layout.entropy) root.attribute("entropy", *layout.entropy);
  if (layout.image_shape) {
    const auto& [height, width, channels] = *layout.image_shape;
    root.attribute("image_shape",
                   std::array{static_cast<double>(height), static_cast<double>(width), static_cast<double>(channels)});
  }
  if (!layout.periodic.empty()) {
    std::vector<double> marks(layout.dimension);
    for (const Index i : layout.periodic) marks[i] = 1;
    root.attribute("periodic", marks);
  }
  if (!layout.spheres.empty()) root.attribute("spheres", sphere_marks(layout.spheres, layout.dimension));
  if (!layout.feature_names.empty()) root.write_strings("feature_names", layout.feature_names);
  if (!layout.context_names.empty()) root.write_strings("context_names", layout.context_names);
}

}  // namespace

DatasetWriter::DatasetWriter(const comm::Communicator& comm, const std::string& path, const DatasetLayout& layout,
                             Index slab_elements)
    : file_(
          comm, path, dataset_format, dataset_format_version, arrays(layout),
          [&](const h5::GroupWriter& root) { describe(root, layout); }, h5::ResultFile::Access::automatic,
          slab_elements) {}

void DatasetWriter::write(Split split, Index first, ConstMatrixView<double> x) {
  file_.write_rows(split_name(split), first, x);
}

void DatasetWriter::write_weights(Split split, Index first, std::span<const double> weights) {
  file_.write_rows(weight_name(split), first,
                   ConstMatrixView<double>(weights.data(), 1, static_cast<Index>(weights.size())));
}

void DatasetWriter::write_context(Split split, Index first, ConstMatrixView<double> context) {
  file_.write_rows(context_name(split), first, context);
}

}  // namespace pushforward::data
