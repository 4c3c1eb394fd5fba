#include <pushforward/h5/writer.hpp>

#include <hdf5_hl.h>

#include <pushforward/core/text.hpp>
#include <pushforward/core/version.hpp>
#include <pushforward/h5/detail.hpp>
#include <pushforward/h5/replacement.hpp>
#include <pushforward/h5/sealed.hpp>

#include <algorithm>
#include <atomic>

namespace pushforward::h5 {

namespace {

using detail::check;
using detail::own;

// Objects that keep the order of their attributes and links have headers of HDF5 1.8: with checksums, and with space
// for attributes beyond 64 KB. The whole file cannot be of that version, because H5Fget_file_image of HDF5 1.10 then
// spoils the checksum of the superblock.
void keep_order(const Handle& creation, bool is_group) {
  constexpr unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
  check(H5Pset_attr_creation_order(creation.id(), order), "order of attributes");
  if (is_group) check(H5Pset_link_creation_order(creation.id(), order), "order of links");
}

// HDF5 knows files in memory by their names, which must differ. Closing one closes all that is open in it.
Handle create_in_memory(std::size_t user_block) {
  detail::silence_hdf5();
  static std::atomic<int> count = 0;
  constexpr std::size_t growth = 1 << 16;
  const Handle list = own(H5Pcreate(H5P_FILE_ACCESS), "file access list");
  check(H5Pset_fclose_degree(list.id(), H5F_CLOSE_STRONG), "close degree");
  check(H5Pset_fapl_core(list.id(), growth, false), "core driver");
  const Handle creation = own(H5Pcreate(H5P_FILE_CREATE), "file creation list");
  check(H5Pset_userblock(creation.id(), user_block), "user block");
  keep_order(creation, true);
  return own(H5Fcreate(fmt::format("image {}", count++).c_str(), H5F_ACC_TRUNC, creation.id(), list.id()),
             "building a file in memory");
}

void write_attribute(Id object, const std::string& where, const std::string& name, Id type,
                     std::span<const Index> shape, const void* value) {
  const Handle space = detail::data_space(shape);
  const Handle attribute = own(H5Acreate2(object, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                               "{}: creating attribute '{}'", where, name);
  check(H5Awrite(attribute.id(), type, value), "{}: writing attribute '{}'", where, name);
}

void write_text(Id object, const std::string& where, const std::string& name, std::string_view value) {
  std::string text(value);
  if (text.empty()) text.push_back('\0');  // HDF5 has no text without bytes
  write_attribute(object, where, name, detail::string_type(text.size()).id(), {}, text.data());
}

}  // namespace

GroupWriter GroupWriter::group(std::string_view name) const {
  return {own(H5Gopen2(group_.id(), std::string(name).c_str(), H5P_DEFAULT), "{}/{}: opening group", where_, name),
          fmt::format("{}/{}", where_, name)};
}

GroupWriter GroupWriter::make_group(std::string_view name) const {
  const std::string text(name);
  const Handle creation = own(H5Pcreate(H5P_GROUP_CREATE), "group creation list");
  keep_order(creation, true);
  return {own(H5Gcreate2(group_.id(), text.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), "{}: creating group '{}'",
              where_, name),
          fmt::format("{}/{}", where_, name)};
}

void GroupWriter::put_text(std::string_view name, std::string_view value) const {
  write_text(group_.id(), where_, std::string(name), value);
}

void GroupWriter::put_integer(std::string_view name, Index value) const {
  write_attribute(group_.id(), where_, std::string(name), H5T_NATIVE_INT64, {}, &value);
}

void GroupWriter::put_reals(std::string_view name, std::span<const Index> shape, std::span<const double> values) const {
  if (!shape.empty() && values.empty()) return;
  write_attribute(group_.id(), where_, std::string(name), H5T_NATIVE_DOUBLE, shape, values.data());
}

Handle GroupWriter::create(std::string_view name, Id type, std::span<const Index> shape, const Meaning& meaning) const {
  const std::string text(name);
  const Handle list = own(H5Pcreate(H5P_DATASET_CREATE), "dataset creation list");
  check(H5Pset_alloc_time(list.id(), H5D_ALLOC_TIME_LATE), "allocation time");
  check(H5Pset_fill_time(list.id(), H5D_FILL_TIME_NEVER), "fill time");
  keep_order(list, false);
  const Handle links = own(H5Pcreate(H5P_LINK_CREATE), "link creation list");
  check(H5Pset_create_intermediate_group(links.id(), 1), "intermediate groups");
  Handle dataset = own(
      H5Dcreate2(group_.id(), text.c_str(), type, detail::data_space(shape).id(), links.id(), list.id(), H5P_DEFAULT),
      "{}: creating dataset '{}' ({})", where_, name, fmt::join(shape, ", "));
  const std::string where = fmt::format("{}/{}", where_, name);
  if (!meaning.units.empty()) write_text(dataset.id(), where, "units", meaning.units);
  if (!meaning.long_name.empty()) write_text(dataset.id(), where, "long_name", meaning.long_name);
  return dataset;
}

template <class T>
void GroupWriter::declare(std::string_view name, std::span<const Index> shape, const Meaning& meaning) const {
  create(name, detail::native_type<T>(), shape, meaning);
}

template <class T>
void GroupWriter::write_array(std::string_view name, std::span<const Index> shape, const T* values,
                              const Meaning& meaning) const {
  const Handle dataset = create(name, detail::native_type<T>(), shape, meaning);
  if (std::ranges::find(shape, Index{0}) != shape.end()) return;
  check(H5Dwrite(dataset.id(), detail::native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
        "{}: writing dataset '{}'", where_, name);
}

template <class T>
void GroupWriter::write(std::string_view name, MatrixView<const T> values, const Meaning& meaning) const {
  const Handle dataset = create(name, detail::native_type<T>(), std::array{values.cols(), values.rows()}, meaning);
  if (values.empty()) return;
  const Handle memory = detail::column_space(values.rows(), values.cols(), values.ld());
  check(H5Dwrite(dataset.id(), detail::native_type<T>(), memory.id(), H5S_ALL, H5P_DEFAULT, values.data()),
        "{}: writing dataset '{}'", where_, name);
}

void GroupWriter::write_strings(std::string_view name, std::span<const std::string> values) const {
  std::size_t width = 1;
  for (const auto& v : values) width = std::max(width, v.size());
  std::string bytes;
  for (const auto& v : values) bytes.append(v).append(width - v.size(), '\0');
  const std::array shape{static_cast<Index>(values.size()), static_cast<Index>(width)};
  const Handle dataset = create(name, H5T_NATIVE_UINT8, shape, {});
  write_text(dataset.id(), fmt::format("{}/{}", where_, name), detail::encoding_attribute, detail::utf8);
  if (values.empty()) return;
  check(H5Dwrite(dataset.id(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()),
        "{}: writing dataset '{}'", where_, name);
}

void GroupWriter::set_scale(std::string_view dataset, Index axis, std::string_view scale) const {
  const auto open = [&](const std::string& name) {
    return own(H5Dopen2(group_.id(), name.c_str(), H5P_DEFAULT), "{}: opening dataset '{}'", where_, name);
  };
  const Handle array = open(std::string(dataset));
  const Handle coordinate = open(std::string(scale));
  if (H5DSis_scale(coordinate.id()) <= 0) {
    check(H5DSset_scale(coordinate.id(), std::string(scale).c_str()), "{}: making '{}' a dimension scale", where_,
          scale);
  }
  check(H5DSattach_scale(array.id(), coordinate.id(), static_cast<unsigned>(axis)),
        "{}: attaching scale '{}' to axis {} of '{}'", where_, scale, axis, dataset);
}

FileImage::FileImage(std::string_view format, Index format_version, Seal seal)
    : is_sealed_(seal == Seal::yes),
      file_(create_in_memory(is_sealed_ ? seal_bytes : 0)),
      root_(own(H5Gopen2(file_.id(), "/", H5P_DEFAULT), "root of a file in memory"), "") {
  root_.attribute("format", format);
  root_.attribute("format_version", format_version);
  root_.attribute("creator", fmt::format("pushforward {}", version()));
  root_.attribute("created", utc_now());
}

std::vector<std::byte> FileImage::finish() {
  check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "completing a file in memory");
  const auto size = H5Fget_file_image(file_.id(), nullptr, 0);
  check(size, "size of a file in memory");
  // HDF5 leaves out the user block.
  const std::size_t front = is_sealed_ ? seal_bytes : 0;
  std::vector<std::byte> bytes(front + size);
  check(H5Fget_file_image(file_.id(), bytes.data() + front, size), "reading a file in memory");
  file_.close();
  if (is_sealed_) seal(bytes);
  return bytes;
}

void FileImage::save(const std::string& path) {
  Replacement file(path);
  file.write(finish());
  file.commit();
}

template void GroupWriter::declare<double>(std::string_view, std::span<const Index>, const Meaning&) const;
template void GroupWriter::declare<float>(std::string_view, std::span<const Index>, const Meaning&) const;
template void GroupWriter::declare<Index>(std::string_view, std::span<const Index>, const Meaning&) const;
template void GroupWriter::write_array(std::string_view, std::span<const Index>, const double*, const Meaning&) const;
template void GroupWriter::write_array(std::string_view, std::span<const Index>, const float*, const Meaning&) const;
template void GroupWriter::write_array(std::string_view, std::span<const Index>, const Index*, const Meaning&) const;
template void GroupWriter::write(std::string_view, MatrixView<const double>, const Meaning&) const;
template void GroupWriter::write(std::string_view, MatrixView<const float>, const Meaning&) const;
template void GroupWriter::write(std::string_view, MatrixView<const Index>, const Meaning&) const;

}  // namespace pushforward::h5
