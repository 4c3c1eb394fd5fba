#include <pushforward/h5/reader.hpp>

#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/h5/detail.hpp>
#include <pushforward/h5/storage.hpp>

#include <algorithm>
#include <numeric>
#include <set>

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
    case H5T_REFERENCE: return "reference";
    case H5T_VLEN: return "variable-length";
    case H5T_BITFIELD: return "bit field";
    case H5T_OPAQUE: return "opaque";
    case H5T_ARRAY: return "array";
    default: return "unknown";
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

// Describes a link that leads nowhere: "is a link to 'x', which is not in the file".
std::string describe_broken_link(hid_t group, const std::string& name) {
  H5L_info_t info{};
  if (H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT) < 0) return "is a link that cannot be read";
  if (info.type != H5L_TYPE_SOFT && info.type != H5L_TYPE_EXTERNAL) return "is a link that leads nowhere";
  std::vector<char> target(info.u.val_size + 1, '\0');
  check(H5Lget_val(group, name.c_str(), target.data(), info.u.val_size, H5P_DEFAULT), "reading link '{}'", name);
  if (info.type == H5L_TYPE_SOFT) return fmt::format("is a link to '{}', which is not in the file", target.data());
  const char* file = nullptr;
  const char* path = nullptr;
  check(H5Lunpack_elink_val(target.data(), info.u.val_size, nullptr, &file, &path), "reading link '{}'", name);
  return fmt::format("is a link to {}:{}, which cannot be opened; the other file must be where the link says", file,
                     path);
}

bool leads_somewhere(hid_t group, const std::string& name) {
  return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0 && H5Oexists_by_name(group, name.c_str(), H5P_DEFAULT) > 0;
}

std::string listing(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : join_some(names);
}

bool is_number(H5T_class_t kind) {
  return kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
}

H5I_type_t kind_of(const Handle& handle) {
  return H5Iget_type(handle.id());
}

}  // namespace

double Object::file_bytes() const {
  return detail::file_bytes(handle_.id());
}

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
  const double bytes = static_cast<double>(a.count) * static_cast<double>(H5Tget_size(a.type.id()));
  const double most = detail::file_bytes(id);
  require<IoError>(a.count >= 0 && bytes <= most,
                   "{}: is damaged: attribute '{}' has {} values of {:.0f} bytes in a file of {:.0f} bytes",
                   object.where(), name, a.count, bytes, most);
  return a;
}

template <class T>
std::vector<T> read_numbers(const Object& object, hid_t id, const std::string& name) {
  const auto a = open_attribute(object, id, name);
  const bool fits = is_number(a.kind) && (a.kind != H5T_FLOAT || std::is_same_v<T, double>);
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

bool Object::has_numbers(std::string_view name) const {
  if (!has_attribute(name)) return false;
  const auto a = open_attribute(*this, handle_.id(), std::string(name));
  return is_number(a.kind) && a.count > 0;
}

Dataset::Dataset(Handle handle, std::string where) : Object(std::move(handle), std::move(where)) {
  shape_ = detail::extents(own(H5Dget_space(handle_.id()), "{}: shape", where_).id());
  constexpr double most = 1e18;  // so that products of extents are numbers
  double size = 1;
  for (const Index extent : shape_) size *= extent < 0 ? 2 * most : std::max(1.0, static_cast<double>(extent));
  require<IoError>(size <= most, "{}: is damaged: its shape is ({})", where_, fmt::join(shape_, ", "));
}

Index Dataset::size() const {
  return std::accumulate(shape_.begin(), shape_.end(), Index{1}, std::multiplies<>());
}

namespace {

// The type in memory of a record in the file, and what is in it. The type holds nothing but doubles.
struct RecordType {
  Handle type;
  std::vector<std::string> names, skipped;
};

constexpr Index most_list = 1 << 16;

// Numbers of a member: a double, or a list of them. An invalid handle for any other type.
Handle numbers_type(hid_t type, std::vector<Index>& shape) {
  if (is_number(H5Tget_class(type))) return own(H5Tcopy(H5T_NATIVE_DOUBLE), "type of a number");
  if (H5Tget_class(type) != H5T_ARRAY) return {};
  const Handle base = own(H5Tget_super(type), "type of a list");
  if (!is_number(H5Tget_class(base.id()))) return {};
  std::vector<hsize_t> extents(H5Tget_array_ndims(type));
  check(H5Tget_array_dims2(type, extents.data()), "extents of a list");
  shape.assign(extents.begin(), extents.end());
  if (std::accumulate(extents.begin(), extents.end(), 1.0, std::multiplies<>()) > most_list) return {};
  return own(H5Tarray_create2(H5T_NATIVE_DOUBLE, static_cast<unsigned>(extents.size()), extents.data()),
             "type of a list");
}

RecordType record_type(hid_t type, const std::string& prefix) {
  RecordType record;
  std::vector<std::pair<std::string, Handle>> members;
  const int count = H5Tget_nmembers(type);
  for (unsigned i = 0; static_cast<int>(i) < count; ++i) {
    char* const text = H5Tget_member_name(type, i);
    const std::string name = text == nullptr ? "" : text;
    H5free_memory(text);
    const Handle member = own(H5Tget_member_type(type, i), "type of '{}'", name);
    if (H5Tget_class(member.id()) == H5T_COMPOUND) {
      auto inner = record_type(member.id(), prefix + name + ".");
      record.names.insert(record.names.end(), inner.names.begin(), inner.names.end());
      record.skipped.insert(record.skipped.end(), inner.skipped.begin(), inner.skipped.end());
      if (!inner.names.empty()) members.emplace_back(name, std::move(inner.type));
      continue;
    }
    std::vector<Index> shape;
    Handle numbers = numbers_type(member.id(), shape);
    if (numbers.id() < 0 || std::ssize(record.names) > most_list) {
      record.skipped.push_back(prefix + name);
      continue;
    }
    std::vector<std::string> names{prefix + name};
    for (const Index extent : shape) {
      std::vector<std::string> wider;
      for (const auto& one : names) {
        for (Index k = 0; k < extent; ++k) wider.push_back(fmt::format("{}[{}]", one, k));
      }
      names = std::move(wider);
    }
    record.names.insert(record.names.end(), names.begin(), names.end());
    members.emplace_back(name, std::move(numbers));
  }
  if (record.names.empty()) return record;
  record.type = own(H5Tcreate(H5T_COMPOUND, record.names.size() * sizeof(double)), "type of a record");
  std::size_t offset = 0;
  for (const auto& [name, member] : members) {
    check(H5Tinsert(record.type.id(), name.c_str(), offset, member.id()), "type of a record, '{}'", name);
    offset += H5Tget_size(member.id());
  }
  return record;
}

Handle type_of(hid_t dataset, const std::string& where) {
  return own(H5Dget_type(dataset), "{}: type", where);
}

}  // namespace

bool Dataset::is_integer() const {
  return H5Tget_class(type_of(handle_.id(), where_).id()) == H5T_INTEGER;
}

bool Dataset::is_signed() const {
  const Handle type = type_of(handle_.id(), where_);
  return H5Tget_class(type.id()) == H5T_INTEGER && H5Tget_sign(type.id()) == H5T_SGN_2;
}

Index Dataset::element_bytes() const {
  return static_cast<Index>(H5Tget_size(type_of(handle_.id(), where_).id()));
}

std::string Dataset::type_name() const {
  return is_encoded_text() ? class_name(H5T_STRING) : class_name(H5Tget_class(type_of(handle_.id(), where_).id()));
}

bool Dataset::is_numeric() const {
  return is_number(H5Tget_class(type_of(handle_.id(), where_).id())) && !is_encoded_text();
}

bool Dataset::is_encoded_text() const {
  return shape_.size() == 2 && is_integer() && element_bytes() == 1 && has_text(detail::encoding_attribute) &&
         attribute<std::string>(detail::encoding_attribute) == detail::utf8;
}

bool Dataset::is_record() const {
  const Handle type = type_of(handle_.id(), where_);
  return H5Tget_class(type.id()) == H5T_COMPOUND && !record_type(type.id(), "").names.empty();
}

void Dataset::require_numeric(bool integer) const {
  require<DataError>(is_numeric() && (!integer || is_integer()), "{}: holds {} elements, not {}", where_, type_name(),
                     integer ? "integers" : "numbers");
}

void Dataset::require_complete() const {
  if (is_complete_) return;
  detail::require_complete_storage(handle_.id(), where_);
  const double bytes = sizeof(double) * static_cast<double>(size());
  if (!fits_in_memory(bytes)) {
    throw DataError(fmt::format("{}: its {} elements need {} of memory, and {} are available", where_, size(),
                                human_bytes(bytes), human_bytes(available_memory())));
  }
  is_complete_ = true;
}

// Says which filter is missing, if one is: HDF5's own reason has no remedy.
void Dataset::fail_reading(const std::string& what) const {
  const std::string reason = detail::take_error_stack();
  const std::string filters = detail::missing_filters(handle_.id());
  require<IoError>(filters.empty(),
                   "{}: is packed with a filter that is not installed here: {}. Set HDF5_PLUGIN_PATH to a folder that "
                   "has it, or unpack the file with h5repack -f NONE where it is installed",
                   where_, filters);
  throw IoError(fmt::format("{}: {}", what, reason));
}

template <class T>
std::vector<T> Dataset::read() const {
  require_numeric(std::is_same_v<T, Index>);
  if (size() == 0) return {};
  require_complete();
  std::vector<T> values(size());
  const herr_t result = H5Dread(handle_.id(), detail::native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  if (result < 0) fail_reading("reading " + where_);
  return values;
}

Records Dataset::read_records() const {
  const Handle type = type_of(handle_.id(), where_);
  require<DataError>(H5Tget_class(type.id()) == H5T_COMPOUND, "{}: holds {} elements, not records", where_,
                     class_name(H5Tget_class(type.id())));
  auto record = record_type(type.id(), "");
  require<DataError>(!record.names.empty(), "{}: holds records without any number; members: {}", where_,
                     listing(record.skipped));
  require<DataError>(shape_.size() == 1, "{}: holds records ({}) in shape ({}); a list of records is wanted", where_,
                     listing(record.names), fmt::join(shape_, ", "));
  Records records{std::move(record.names), std::move(record.skipped), {}};
  if (size() == 0) return records;
  require_complete();
  records.values.resize(static_cast<std::size_t>(size()) * records.names.size());
  const herr_t result = H5Dread(handle_.id(), record.type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, records.values.data());
  if (result < 0) fail_reading("reading " + where_);
  return records;
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
  require_complete();
  const herr_t result =
      H5Dread(handle_.id(), detail::native_type<T>(), memory_space.id(), file_space.id(), H5P_DEFAULT, values.data());
  if (result < 0) fail_reading(fmt::format("reading rows [{}, {}) of {}", first, first + values.cols(), where_));
}

std::vector<std::string> Dataset::read_strings() const {
  const Handle type = type_of(handle_.id(), where_);
  const Handle space = own(H5Dget_space(handle_.id()), "{}: shape", where_);
  const bool is_text = H5Tget_class(type.id()) == H5T_STRING;
  const bool is_bytes = is_encoded_text() || (is_text && shape_.size() == 2 && H5Tget_size(type.id()) == 1);
  require<DataError>((is_text && shape_.size() <= 1) || is_bytes, "{}: is not a list of strings", where_);
  require_complete();
  const auto read = [&](hid_t memory_type, void* buffer) {
    check(H5Dread(handle_.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer), "reading {}", where_);
  };
  if (!is_bytes) return detail::read_strings(type.id(), space.id(), read);
  std::string bytes(static_cast<std::size_t>(size()), '\0');
  if (!bytes.empty()) read(type.id(), bytes.data());
  std::vector<std::string> texts(shape_[0]);
  for (Index i = 0; i < shape_[0]; ++i) texts[i] = bytes.substr(i * shape_[1], shape_[1]).c_str();
  return texts;
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
      if (std::ranges::find(names, part) != names.end()) {
        throw DataError(
            fmt::format("{}{}{}: {}", name, name.ends_with('/') ? "" : "/", part, describe_broken_link(at.id(), part)));
      }
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
  require<DataError>(kind_of(found) == H5I_DATASET, "{}: is a type that has a name, not a dataset", child_name(path));
  return {std::move(found), child_name(path)};
}

namespace {

using ObjectId = std::pair<unsigned long, haddr_t>;

ObjectId identity(const Handle& handle) {
  H5O_info_t info{};
  check(H5Oget_info2(handle.id(), &info, H5O_INFO_BASIC), "identity of an object");
  return {info.fileno, info.addr};
}

std::string problem_of(const Dataset& dataset) {
  if (dataset.shape().empty() || dataset.size() == 0) return "an array without rows";
  if (dataset.has_text("MATLAB_class") && dataset.attribute<std::string>("MATLAB_class") == "char") return "text";
  if (dataset.is_numeric() || dataset.is_record()) return "";
  return fmt::format("an array of {} elements", dataset.type_name());
}

}  // namespace

std::vector<Found> Group::search() const {
  std::vector<Found> found;
  std::set<ObjectId> seen;
  std::vector<std::string> waiting{""};  // groups, by path
  for (std::size_t at = 0; at < waiting.size(); ++at) {
    const std::string path = waiting[at];
    const Handle here = open(path);
    if (!seen.insert(identity(here)).second) continue;
    for (const auto& name : link_names(here.id(), where_)) {
      if (name.starts_with('#')) continue;
      std::string whole = path.empty() ? name : path + "/" + name;
      if (!leads_somewhere(here.id(), name)) {
        found.push_back({std::move(whole), describe_broken_link(here.id(), name), true});
        continue;
      }
      const Handle child = open(whole);
      if (kind_of(child) == H5I_GROUP) waiting.push_back(whole);
      if (kind_of(child) != H5I_DATASET || !seen.insert(identity(child)).second) continue;
      found.push_back({whole, problem_of(dataset(whole))});
    }
  }
  return found;
}

template std::vector<double> Dataset::read() const;
template std::vector<float> Dataset::read() const;
template std::vector<Index> Dataset::read() const;
template void Dataset::read_rows(Index, MatrixView<double>) const;
template void Dataset::read_rows(Index, MatrixView<float>) const;
template void Dataset::read_rows(Index, MatrixView<Index>) const;

}  // namespace pushforward::h5
