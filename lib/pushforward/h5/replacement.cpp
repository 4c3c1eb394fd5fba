#include <pushforward/h5/replacement.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace pushforward::h5 {

namespace {

namespace fs = std::filesystem;

fs::path folder_of(const std::string& path) {
  const auto folder = fs::path(path).parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

// Where the name is a symbolic link, the file that it leads to is replaced, not the link, or comes into being.
std::string resolve(const std::string& path) {
  constexpr int most = 40;  // as the system has it
  fs::path at = path;
  for (int i = 0; i < most; ++i) {
    std::error_code error;
    if (!fs::is_symlink(at, error)) return at;
    const auto target = fs::read_symlink(at, error);
    if (error) return path;
    at = target.is_absolute() ? target : at.parent_path() / target;
  }
  return path;
}

// ".<file>.<host>-", which the temporary names of all processes on this machine begin with.
std::string temporary_prefix(const std::string& path) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format(".{}.{}-", fs::path(path).filename().string(), host.data());
}

constexpr std::string_view temporary_suffix = ".part";

std::string temporary_name(const std::string& path) {
  return folder_of(path) / fmt::format("{}{}{}", temporary_prefix(path), getpid(), temporary_suffix);
}

// Removes temporary files of this machine's processes that were killed.
void remove_leftovers(const std::string& path) {
  const std::string prefix = temporary_prefix(path);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(path), error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix) || !name.ends_with(temporary_suffix)) continue;
    const auto number =
        std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - temporary_suffix.size());
    const auto process = parse_number<Index>(number);
    const bool is_dead = process && kill(static_cast<pid_t>(*process), 0) != 0 && errno == ESRCH;
    if (is_dead) unlink(entry.path().c_str());
  }
}

}  // namespace

void require_writable(const std::string& name) {
  const std::string path = resolve(name);
  require<IoError>(!fs::path(path).filename().empty(), "cannot write '{}': it names no file", path);
  const auto folder = folder_of(path);
  std::error_code error;
  require<IoError>(fs::is_directory(folder, error), "cannot write {}: there is no folder {}", path, folder.string());
  const bool folder_is_writable = access(folder.c_str(), W_OK | X_OK) == 0;
  require<IoError>(folder_is_writable, "cannot write {}: folder {}: {}", path, folder.string(), std::strerror(errno));
  if (!fs::exists(path, error)) return;
  require<IoError>(fs::is_regular_file(path, error), "cannot write {}: there is something of that name, not a file",
                   path);
  const bool is_writable = access(path.c_str(), W_OK) == 0;
  require<IoError>(is_writable, "cannot write {}: {}", path, std::strerror(errno));
}

Replacement::Replacement(const std::string& path) : path_(resolve(path)), temporary_(temporary_name(path_)) {
  require_writable(path_);
  remove_leftovers(path_);
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("creating", errno);
}

Replacement::Replacement(Replacement&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

Replacement::~Replacement() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void Replacement::fail(const char* operation, int error) const {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  std::error_code unknown;
  const auto space = fs::space(folder_of(path_), unknown);
  const std::string hint = full && !unknown
                               ? fmt::format(" ({} free in {})", human_bytes(static_cast<double>(space.available)),
                                             folder_of(path_).string())
                               : "";
  throw IoError(
      fmt::format("{} {}: {}{}; nothing was changed under that name", operation, path_, std::strerror(error), hint));
}

void Replacement::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("writing", errno);
    bytes = bytes.subspan(written);
  }
}

void Replacement::reserve(Index bytes) {
  if (bytes == 0) return;
  int error = EINTR;
  while (error == EINTR) error = posix_fallocate(descriptor_, 0, bytes);
  if (error != 0) fail(fmt::format("reserving {} for", human_bytes(static_cast<double>(bytes))).c_str(), error);
}

void Replacement::flush() {
  if (fsync(descriptor_) != 0) fail("flushing", errno);
}

void Replacement::commit_keeping(const std::string& previous) {
  flush();
  if (rename(path_.c_str(), previous.c_str()) != 0 && errno != ENOENT) fail("keeping the old", errno);
  commit();
}

void Replacement::commit() {
  flush();
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("renaming to", errno);
  close(std::exchange(descriptor_, -1));
  // The new name is durable once its folder is; a file system that cannot sync folders is left as it is.
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

}  // namespace pushforward::h5
