#include <pushforward/h5/storage.hpp>

#include <pushforward/core/text.hpp>
#include <pushforward/h5/detail.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace pushforward::h5::detail {

namespace {

namespace fs = std::filesystem;

std::string file_of(hid_t object) {
  const auto size = H5Fget_name(object, nullptr, 0);
  check(size, "name of a file");
  std::string name(static_cast<std::size_t>(size) + 1, '\0');
  check(H5Fget_name(object, name.data(), name.size()), "name of a file");
  name.resize(static_cast<std::size_t>(size));
  return name;
}

// Places where HDF5 looks for a file that another file names: by a prefix from the environment, in the other file's
// folder (virtual sources only), and in the working folder.
std::vector<fs::path> places(const std::string& name, const std::string& owner, const char* variable, bool near_owner) {
  constexpr std::string_view origin = "${ORIGIN}";
  const fs::path folder = fs::path(owner).parent_path();
  std::vector<fs::path> found;
  const char* const prefix = std::getenv(variable);
  if (prefix != nullptr && fs::path(name).is_relative()) {
    const std::string text = prefix;
    found.push_back(
        (text.starts_with(origin) ? fs::path(folder.string() + text.substr(origin.size())) : fs::path(text)) / name);
  }
  if (near_owner) found.push_back(fs::path(name).is_absolute() ? folder / fs::path(name).filename() : folder / name);
  found.emplace_back(name);
  return found;
}

bool has_source(const std::vector<fs::path>& files, const std::string& dataset) {
  std::error_code error;
  for (const auto& file : files) {
    if (!fs::exists(file, error)) continue;
    const Handle open(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
    const Handle array(open.id() < 0 ? -1 : H5Dopen2(open.id(), dataset.c_str(), H5P_DEFAULT));
    H5Eclear2(H5E_DEFAULT);
    if (array.id() >= 0) return true;
  }
  return false;
}

template <class F>
std::string virtual_name(hid_t list, std::size_t i, F&& get) {
  const auto size = get(list, i, nullptr, 0);
  check(size, "source of a virtual array");
  std::string name(static_cast<std::size_t>(size) + 1, '\0');
  check(get(list, i, name.data(), name.size()), "source of a virtual array");
  name.resize(static_cast<std::size_t>(size));
  return name;
}

void require_virtual_sources(hid_t dataset, hid_t list, const std::string& where) {
  std::size_t count = 0;
  check(H5Pget_virtual_count(list, &count), "{}: sources", where);
  const std::string owner = file_of(dataset);
  hssize_t mapped = 0;
  bool is_open = false;  // a part grows with its source
  for (std::size_t i = 0; i < count; ++i) {
    const std::string file = virtual_name(list, i, H5Pget_virtual_filename);
    const std::string array = virtual_name(list, i, H5Pget_virtual_dsetname);
    const Handle space = own(H5Pget_virtual_vspace(list, i), "{}: part of a source", where);
    const hssize_t points = H5Sget_select_npoints(space.id());
    const bool is_pattern = file.find('%') != std::string::npos || array.find('%') != std::string::npos;
    is_open = is_open || is_pattern || points < 0 || static_cast<hsize_t>(points) == H5S_UNLIMITED;
    if (is_pattern) continue;
    mapped += points;
    const auto files = file == "." ? std::vector<fs::path>{owner} : places(file, owner, "HDF5_VDS_PREFIX", true);
    require<IoError>(has_source(files, array),
                     "{}: is a virtual array, and its part {}:{} cannot be opened; put that file where this one says",
                     where, file, array);
  }
  const Handle space = own(H5Dget_space(dataset), "{}: shape", where);
  const hssize_t wanted = H5Sget_simple_extent_npoints(space.id());
  H5Eclear2(H5E_DEFAULT);
  require<IoError>(is_open || mapped >= wanted, "{}: is a virtual array, and only {} of its {} elements have a source",
                   where, mapped, wanted);
}

void require_external_files(hid_t dataset, hid_t list, int count, const std::string& where) {
  const std::string owner = file_of(dataset);
  for (int i = 0; i < count; ++i) {
    constexpr std::size_t most = 4096;
    std::array<char, most> name{};
    off_t offset = 0;
    hsize_t size = 0;
    check(H5Pget_external(list, static_cast<unsigned>(i), name.size() - 1, name.data(), &offset, &size),
          "{}: external file", where);
    const auto files = places(name.data(), owner, "HDF5_EXTFILE_PREFIX", false);
    std::error_code error;
    const auto has = fs::file_size(files.front(), error);
    require<IoError>(!error, "{}: has its elements in the file {}, which cannot be read: {}", where, name.data(),
                     error.message());
    const hsize_t wanted = size == H5F_UNLIMITED
                               ? (count == 1 ? H5Dget_storage_size(dataset) + static_cast<hsize_t>(offset) : 0)
                               : size + static_cast<hsize_t>(offset);
    require<IoError>(has >= wanted, "{}: has its elements in the file {}, which is truncated: {} of {} bytes", where,
                     name.data(), has, wanted);
  }
}

// A shape is a claim. It must be borne out by the bytes in the file before memory is taken for it.
void require_plausible_shape(hid_t dataset, hid_t list, const std::string& where) {
  constexpr double small = 1 << 20;
  constexpr double best_ratio = 1032;  // of deflate: 258 bytes for 2 bits
  const Handle space = own(H5Dget_space(dataset), "{}: shape", where),
               type = own(H5Dget_type(dataset), "{}: type", where);
  const auto element = static_cast<double>(H5Tget_size(type.id()));
  const double wanted = element * static_cast<double>(H5Sget_simple_extent_npoints(space.id()));
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  const double file = file_bytes(dataset);
  require<IoError>(stored <= file, "{}: is damaged: it states {} in a file of {}", where, human_bytes(stored),
                   human_bytes(file));
  if (wanted <= small) return;
  double held = stored;
  if (H5Pget_layout(list) == H5D_CHUNKED) {
    hsize_t chunks = 0;
    check(H5Dget_num_chunks(dataset, space.id(), &chunks), "{}: chunks", where);
    held = bytes_of_chunk(dataset) * static_cast<double>(chunks);
    if (has_common_filters(dataset)) held = std::min(held, stored * (H5Pget_nfilters(list) == 0 ? 1 : best_ratio));
  }
  require<IoError>(2 * held >= wanted,
                   "{}: its shape has {} of elements, and the file holds at most {} of them: the others were never "
                   "written, or the file is damaged",
                   where, human_bytes(wanted), human_bytes(held));
}

}  // namespace

double file_bytes(hid_t object) {
  const Handle file = own(H5Iget_file_id(object), "file of an object");
  hsize_t bytes = 0;
  check(H5Fget_filesize(file.id(), &bytes), "size of a file");
  return static_cast<double>(bytes);
}

double bytes_of_chunk(hid_t dataset) {
  const Handle list = own(H5Dget_create_plist(dataset), "storage"), type = own(H5Dget_type(dataset), "type");
  if (H5Pget_layout(list.id()) != H5D_CHUNKED) return 0;
  std::array<hsize_t, H5S_MAX_RANK + 1> extents{};
  const int rank = H5Pget_chunk(list.id(), H5S_MAX_RANK + 1, extents.data());
  check(rank, "chunks");
  auto bytes = static_cast<double>(H5Tget_size(type.id()));
  for (int i = 0; i < rank; ++i) bytes *= static_cast<double>(extents[i]);
  return bytes;
}

bool has_common_filters(hid_t dataset) {
  const Handle list = own(H5Dget_create_plist(dataset), "storage");
  const int count = H5Pget_nfilters(list.id());
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, configuration = 0;
    std::size_t values = 0;
    const auto filter =
        H5Pget_filter2(list.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &configuration);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) return false;
  }
  return true;
}

void require_complete_storage(hid_t dataset, const std::string& where) {
  const Handle list = own(H5Dget_create_plist(dataset), "{}: storage", where);
  const int external = H5Pget_external_count(list.id());
  if (external > 0) require_external_files(dataset, list.id(), external, where);
  const bool is_virtual = H5Pget_layout(list.id()) == H5D_VIRTUAL;
  if (is_virtual) require_virtual_sources(dataset, list.id(), where);
  if (external == 0 && !is_virtual) require_plausible_shape(dataset, list.id(), where);
}

std::string missing_filters(hid_t dataset) {
  const Handle list(H5Dget_create_plist(dataset));
  std::vector<std::string> missing;
  const int count = H5Pget_nfilters(list.id());
  for (int i = 0; i < count; ++i) {
    constexpr std::size_t most = 256;
    std::array<char, most> name{};
    unsigned flags = 0, configuration = 0;
    std::size_t values = 0;
    const auto filter = H5Pget_filter2(list.id(), static_cast<unsigned>(i), &flags, &values, nullptr, name.size() - 1,
                                       name.data(), &configuration);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    const std::string_view text(name.data());
    missing.push_back(text.empty() ? fmt::format("number {}", static_cast<int>(filter))
                                   : fmt::format("{} (number {})", text, static_cast<int>(filter)));
  }
  H5Eclear2(H5E_DEFAULT);
  return join(missing);
}

}  // namespace pushforward::h5::detail
