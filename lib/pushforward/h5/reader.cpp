#include <pushforward/h5/reader.hpp>

#include <pushforward/core/text.hpp>
#include <pushforward/h5/detail.hpp>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <system_error>

namespace pushforward::h5 {

namespace {

using detail::check;
using detail::own;

const char* class_name(H5T_class_t kind) {
  switch (kind) {
    case H5T_INTEGER: return "integer";
    case H5T_FLOAT: return "floating-point";
    case H5T_STRING: return "text";
    case H5T_COMPOUND: return "compound";
    case H5T_ENUM: return "enumeration";
    default: return "another type";
  }
}

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

std::vector<std::string> link_names(hid_t group, const std::string& where) {
  std::vector<std::string> names;
  const H5L_iterate_t collect = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  check(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), "listing {}", where);
  return names;
}

bool leads_somewhere(hid_t group, const std::string& name) {
  return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0 && H5Oexists_by_name(group, name.c_str(), H5P_DEFAULT) > 0;
}

std::string listing(const std::vector<std::string>& names) {
  constexpr std::size_t most = 12;
  if (names.empty()) return "nothing";
  const auto shown = std::span(names).first(std::min(most, names.size()));
  return join(shown) + (names.size() > most ? fmt::format(" and {} more", names.size() - most) : "");
}

H5I_type_t kind_of(const Handle& handle) {
  return H5Iget_type(handle.id());
}

}  // namespace

bool Object::has_attribute(std::string_view name) const {
  return H5Aexists(handle_.id(), std::string(name).c_str()) > 0;
}

std::vector<std::string> Object::attribute_names() const {
  std::vector<std::string> names;
  const H5A_operator2_t collect = [](hid_t, const char* name, const H5A_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  check(H5Aiterate2(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), "listing the attributes of {}",
        where_);
  return names;
}

namespace {

struct OpenAttribute {
  Handle attribute, type, space;
  H5T_class_t kind;
  Index count;
};

OpenAttribute open_attribute(const Object& object, hid_t id, const std::string& name) {
  require<DataError>(object.has_attribute(name), "{}: no attribute '{}'", object.where(), name);
  OpenAttribute a;
  a.attribute = own(H5Aopen(id, name.c_str(), H5P_DEFAULT), "{}: attribute '{}'", object.where(), name);
  a.type = own(H5Aget_type(a.attribute.id()), "{}: type of attribute '{}'", object.where(), name);
  a.space = own(H5Aget_space(a.attribute.id()), "{}: shape of attribute '{}'", object.where(), name);
  a.kind = H5Tget_class(a.type.id());
  a.count = static_cast<Index>(H5Sget_simple_extent_npoints(a.space.id()));
  return a;
}

template <class T>
std::vector<T> read_numbers(const Object& object, hid_t id, const std::string& name) {
  const auto a = open_attribute(object, id, name);
  const bool fits = a.kind == H5T_INTEGER || a.kind == H5T_ENUM || (a.kind == H5T_FLOAT && std::is_same_v<T, double>);
  require<DataError>(fits, "{}: attribute '{}' is {}, not {}", object.where(), name, class_name(a.kind),
                     std::is_same_v<T, double> ? "a number" : "an integer");
  std::vector<T> values(a.count);
  if (!values.empty()) {
    check(H5Aread(a.attribute.id(), detail::native_type<T>(), values.data()), "{}: reading attribute '{}'",
          object.where(), name);
  }
  return values;
}

std::vector<std::string> read_texts(const Object& object, hid_t id, const std::string& name) {
  const auto a = open_attribute(object, id, name);
  require<DataError>(a.kind == H5T_STRING, "{}: attribute '{}' is {}, not text", object.where(), name,
                     class_name(a.kind));
  return detail::read_strings(a.type.id(), a.space.id(), [&](hid_t type, void* buffer) {
    check(H5Aread(a.attribute.id(), type, buffer), "{}: reading attribute '{}'", object.where(), name);
  });
}

template <class V>
auto single(const Object& object, const std::string& name, std::vector<V> values) {
  require<DataError>(values.size() == 1, "{}: attribute '{}' has {} values, not one", object.where(), name,
                     values.size());
  return values.front();
}

}  // namespace

template <>
std::vector<double> Object::attribute(std::string_view name) const {
  return read_numbers<double>(*this, handle_.id(), std::string(name));
}
template <>
std::vector<std::string> Object::attribute(std::string_view name) const {
  return read_texts(*this, handle_.id(), std::string(name));
}
template <>
std::string Object::attribute(std::string_view name) const {
  return single(*this, std::string(name), attribute<std::vector<std::string>>(name));
}
template <>
double Object::attribute(std::string_view name) const {
  return single(*this, std::string(name), attribute<std::vector<double>>(name));
}
template <>
Index Object::attribute(std::string_view name) const {
  return single(*this, std::string(name), read_numbers<Index>(*this, handle_.id(), std::string(name)));
}
template <>
bool Object::attribute(std::string_view name) const {
  return attribute<Index>(name) != 0;
}

bool Object::has_text(std::string_view name) const {
  if (!has_attribute(name)) return false;
  const auto a = open_attribute(*this, handle_.id(), std::string(name));
  return a.kind == H5T_STRING && a.count == 1;
}

Dataset::Dataset(Handle handle, std::string where) : Object(std::move(handle), std::move(where)) {
  shape_ = detail::extents(own(H5Dget_space(handle_.id()), "{}: shape", where_).id());
}

Index Dataset::size() const {
  return std::accumulate(shape_.begin(), shape_.end(), Index{1}, std::multiplies<>());
}

bool Dataset::is_integer() const {
  return H5Tget_class(own(H5Dget_type(handle_.id()), "{}: type", where_).id()) == H5T_INTEGER;
}

bool Dataset::is_numeric() const {
  const auto kind = H5Tget_class(own(H5Dget_type(handle_.id()), "{}: type", where_).id());
  return kind == H5T_INTEGER || kind == H5T_FLOAT;
}

void Dataset::require_numeric(bool integer) const {
  const auto kind = H5Tget_class(own(H5Dget_type(handle_.id()), "{}: type", where_).id());
  require<DataError>(kind == H5T_INTEGER || (kind == H5T_FLOAT && !integer), "{}: holds {} elements, not {}", where_,
                     class_name(kind), integer ? "integers" : "numbers");
}

template <class T>
std::vector<T> Dataset::read() const {
  require_numeric(std::is_same_v<T, Index>);
  std::vector<T> values(size());
  if (values.empty()) return values;
  check(H5Dread(handle_.id(), detail::native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "reading {}",
        where_);
  return values;
}

template <class T>
void Dataset::read_rows(Index first, MatrixView<T> values) const {
  require<DataError>(shape_.size() == 1 || shape_.size() == 2,
                     "{}: has shape ({}); one row per sample is wanted: (N, d) or (N)", where_,
                     fmt::join(shape_, ", "));
  const Index width = shape_.size() == 2 ? shape_[1] : 1;
  require<ShapeError>(values.rows() == width, "{}: rows of {} numbers do not fit columns of {}", where_, width,
                      values.rows());
  require<ShapeError>(first >= 0 && first + values.cols() <= shape_[0], "{}: rows [{}, {}) of {}", where_, first,
                      first + values.cols(), shape_[0]);
  require_numeric(std::is_same_v<T, Index>);
  if (values.empty()) return;
  const Handle file_space = own(H5Dget_space(handle_.id()), "{}: shape", where_);
  detail::select_range(file_space.id(), 0, first, values.cols());
  const Handle memory_space = detail::column_space(values.rows(), values.cols(), values.ld());
  check(H5Dread(handle_.id(), detail::native_type<T>(), memory_space.id(), file_space.id(), H5P_DEFAULT, values.data()),
        "reading rows [{}, {}) of {}", first, first + values.cols(), where_);
}

std::vector<std::string> Dataset::read_strings() const {
  const Handle type = own(H5Dget_type(handle_.id()), "{}: type", where_);
  const Handle space = own(H5Dget_space(handle_.id()), "{}: shape", where_);
  require<DataError>(H5Tget_class(type.id()) == H5T_STRING && shape_.size() <= 1, "{}: is not a list of strings",
                     where_);
  return detail::read_strings(type.id(), space.id(), [&](hid_t memory_type, void* buffer) {
    check(H5Dread(handle_.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer), "reading {}", where_);
  });
}

std::string Group::child_name(std::string_view path) const {
  std::string name = where_;
  for (const auto& part : components(path)) name += (name.ends_with('/') ? "" : "/") + part;
  return name;
}

std::vector<std::string> Group::names() const {
  return link_names(handle_.id(), where_);
}

bool Group::has(std::string_view path) const {
  std::string at;
  for (const auto& part : components(path)) {
    at += at.empty() ? part : "/" + part;
    if (!leads_somewhere(handle_.id(), at)) return false;
  }
  return true;
}

bool Group::has_dataset(std::string_view path) const {
  return has(path) && kind_of(open(path)) == H5I_DATASET;
}

Handle Group::open(std::string_view path) const {
  Handle at = own(H5Oopen(handle_.id(), ".", H5P_DEFAULT), "opening {}", where_);
  std::string name = where_;
  for (const auto& part : components(path)) {
    require<DataError>(kind_of(at) == H5I_GROUP, "{}: is a dataset, so there is no '{}' in it", name, part);
    if (!leads_somewhere(at.id(), part)) {
      const auto names = link_names(at.id(), name);
      throw DataError(
          fmt::format("{}: no '{}' in it{}; there is {}", name, part, suggestion(part, names), listing(names)));
    }
    name += (name.ends_with('/') ? "" : "/") + part;
    at = own(H5Oopen(at.id(), part.c_str(), H5P_DEFAULT), "opening {}", name);
  }
  return at;
}

Group Group::group(std::string_view path) const {
  Handle found = open(path);
  require<DataError>(kind_of(found) == H5I_GROUP, "{}: is not a group", child_name(path));
  return {std::move(found), child_name(path)};
}

Dataset Group::dataset(std::string_view path) const {
  Handle found = open(path);
  if (kind_of(found) == H5I_GROUP) {
    const auto names = link_names(found.id(), child_name(path));
    throw DataError(fmt::format("{}: is a group, not a dataset; in it there is {}", child_name(path), listing(names)));
  }
  require<DataError>(kind_of(found) == H5I_DATASET, "{}: is not a dataset", child_name(path));
  return {std::move(found), child_name(path)};
}

Group open_file(const std::string& path) {
  detail::silence_hdf5();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  require<IoError>(status.type() != std::filesystem::file_type::not_found, "{}: no such file", path);
  require<IoError>(!error, "{}: cannot be opened: {}", path, error.message());
  require<IoError>(status.type() != std::filesystem::file_type::directory, "{}: is a folder, not a file", path);
  require<IoError>(std::filesystem::file_size(path, error) > 0, "{}: is empty (0 bytes)", path);

  const htri_t is_hdf5 = H5Fis_hdf5(path.c_str());
  check(is_hdf5, "{}: cannot be opened", path);
  require<IoError>(is_hdf5 > 0, "{}: is not an HDF5 file; flow_data import makes one from CSV, NPY and NPZ", path);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) {
    const std::string reason = detail::take_error_stack();
    require<IoError>(reason.find("truncated") == std::string::npos,
                     "{}: is truncated: the file is shorter than it says; copy or make it again ({})", path, reason);
    throw IoError(fmt::format("{}: cannot be opened: {}", path, reason));
  }
  const Handle owner(file);
  return {own(H5Gopen2(file, "/", H5P_DEFAULT), "opening {}", path), path + ":/"};
}

template std::vector<double> Dataset::read() const;
template std::vector<float> Dataset::read() const;
template std::vector<Index> Dataset::read() const;
template void Dataset::read_rows(Index, MatrixView<double>) const;
template void Dataset::read_rows(Index, MatrixView<float>) const;
template void Dataset::read_rows(Index, MatrixView<Index>) const;

}  // namespace pushforward::h5
