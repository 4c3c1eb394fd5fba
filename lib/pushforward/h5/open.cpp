// Files and images of files: what they are, and their roots.

#include <pushforward/h5/detail.hpp>
#include <pushforward/h5/look.hpp>
#include <pushforward/h5/reader.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pushforward::h5 {

using detail::check;
using detail::own;

namespace {

constexpr std::size_t first_user_block = 512;

// The places where the signature may stand: 0, 512, 1024, 2048, ….
std::size_t next_place(std::size_t at) {
  return at == 0 ? first_user_block : 2 * at;
}

}  // namespace

bool is_hdf5_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream stream(path, std::ios::binary);
  std::array<char, signature.size()> bytes{};
  for (std::size_t at = 0; stream && at + signature.size() <= size; at = next_place(at)) {
    stream.seekg(static_cast<std::streamoff>(at));
    stream.read(bytes.data(), bytes.size());
    if (stream && std::string_view(bytes.data(), bytes.size()) == signature) return true;
  }
  return false;
}

bool is_hdf5_image(std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at + signature.size() <= bytes.size(); at = next_place(at)) {
    if (std::memcmp(bytes.data() + at, signature.data(), signature.size()) == 0) return true;
  }
  return false;
}

Group detail::root_of(Id file, const std::string& path) {
  if (file < 0) {
    const std::string reason = take_error_stack();
    require<IoError>(reason.find("truncated") == std::string::npos,
                     "{}: is truncated: the file is shorter than it says; copy or make it again ({})", path, reason);
    throw IoError(fmt::format("{}: cannot be opened: {}", path, reason));
  }
  const Handle owner(file);
  return {own(H5Gopen2(file, "/", H5P_DEFAULT), "opening {}", path), path + ":/"};
}

Group open_image(std::span<const std::byte> bytes, const std::string& name) {
  detail::silence_hdf5();
  static std::atomic<int> count = 0;
  constexpr std::size_t growth = 1 << 16;
  const Handle list = own(H5Pcreate(H5P_FILE_ACCESS), "file access list");
  check(H5Pset_fapl_core(list.id(), growth, false), "core driver");
  // HDF5 copies the bytes, although it takes a pointer to what may change.
  void* const image = const_cast<std::byte*>(bytes.data());
  check(H5Pset_file_image(list.id(), image, bytes.size()), "image of {}", name);
  const auto open = [&] { return H5Fopen(fmt::format("read image {}", count++).c_str(), H5F_ACC_RDONLY, list.id()); };
  detail::require_survivable(open, name, static_cast<double>(bytes.size()));
  return detail::root_of(open(), name);
}

Group open_file(const std::string& path) {
  detail::silence_hdf5();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  require<IoError>(status.type() != std::filesystem::file_type::not_found, "{}: no such file", path);
  require<IoError>(!error, "{}: cannot be opened: {}", path, error.message());
  require<IoError>(status.type() != std::filesystem::file_type::directory, "{}: is a folder, not a file", path);
  require<IoError>(status.type() == std::filesystem::file_type::regular,
                   "{}: is a pipe or a device; HDF5 is read in any order, so save the data in a file first", path);
  const auto size = std::filesystem::file_size(path, error);
  require<IoError>(size > 0, "{}: is empty (0 bytes)", path);

  const htri_t is_hdf5 = H5Fis_hdf5(path.c_str());
  check(is_hdf5, "{}: cannot be opened", path);
  require<IoError>(is_hdf5 > 0, "{}: is not an HDF5 file; flow_data import makes one from CSV, NPY and NPZ", path);
  const auto open = [&] { return H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT); };
  detail::require_survivable(open, path, static_cast<double>(size));
  return detail::root_of(open(), path);
}

}  // namespace pushforward::h5
