#include <pushforward/h5/look.hpp>

#include <pushforward/h5/detail.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/storage.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace pushforward::h5::detail {

namespace {

constexpr double most_bytes = 64e6;  // of arrays that are read
constexpr std::size_t most_report = 1024;

// The child cannot do what the reader will do: the list of what is in a group cannot be read, or there is not the
// memory that the file asks for.
struct Broken {
  std::string message;
};

// Calls f. Errors are passed over: they come up again in the parent.
template <class F>
void attempt(F&& f) {
  try {
    f();
  } catch (const std::bad_alloc&) {
    throw Broken{"it asks for more memory than it can fill"};
  } catch (const IoError& error) {
    const bool lacks_memory = std::string_view(error.what()).find("alloc") != std::string_view::npos;
    if (lacks_memory) throw Broken{error.what()};
  } catch (const std::exception&) {
    H5Eclear2(H5E_DEFAULT);
  }
}

void read_attributes(const Object& object) {
  attempt([&] {
    for (const auto& name : object.attribute_names()) {
      attempt([&] {
        if (!object.has_numbers(name)) {
          object.attribute<std::vector<std::string>>(name);
          return;
        }
        object.attribute<std::vector<double>>(name);
        object.attribute<Index>(name);
      });
    }
  });
}

class Visitor {
 public:
  Visitor(hid_t file, const std::string& name) : file_(file), root_(root_of(file, name)) {}

  // Reads all objects, each once, of which the path leads to the first.
  void visit_all() {
    attempt([&] { root_.search(); });
    std::vector<std::string> waiting{""};
    for (std::size_t at = 0; at < waiting.size(); ++at) {
      const std::string path = waiting[at];
      const auto names = [&](const Group& group) {
        try {
          return group.names();
        } catch (const Error& error) {
          throw Broken{error.what()};
        }
      };
      attempt([&] {
        const Handle object = own(H5Oopen(file_, path.empty() ? "/" : path.c_str(), H5P_DEFAULT), "opening");
        H5O_info_t info{};
        check(H5Oget_info2(object.id(), &info, H5O_INFO_BASIC), "identity");
        if (!seen_.emplace(info.fileno, info.addr).second) return;
        if (info.type == H5O_TYPE_DATASET) read(root_.dataset(path), object.id());
        if (info.type != H5O_TYPE_GROUP) return;
        const auto group = root_.group(path);
        read_attributes(group);
        for (const auto& name : names(group)) waiting.push_back(path + "/" + name);
      });
    }
  }

 private:
  void read(const Dataset& dataset, hid_t id) {
    read_attributes(dataset);
    const bool is_number = dataset.is_numeric(), is_record = dataset.is_record();
    if (!is_number && !is_record) {
      attempt([&] { dataset.read_strings(); });
      return;
    }
    if (dataset.size() == 0) return;
    dataset.require_complete();
    const double bytes = sizeof(double) * static_cast<double>(dataset.size());
    const bool is_small = read_ + bytes <= most_bytes;
    read_ += std::min(bytes, most_bytes - read_);
    if (is_record) {
      if (is_small) attempt([&] { dataset.read_records(); });
    } else if (is_small) {
      attempt([&] { dataset.read<double>(); });
      if (dataset.is_integer()) attempt([&] { dataset.read<Index>(); });
    } else if (dataset.shape().size() <= 2 && bytes_of_chunk(id) <= most_bytes) {
      read_slabs(dataset, has_common_filters(id));
    }
  }

  // Rows of an array that is too large to be read as a whole: the first ones, or all.
  static void read_slabs(const Dataset& dataset, bool only_first) {
    constexpr double slab_bytes = 16e6;
    const auto& shape = dataset.shape();
    const Index width = shape.size() == 2 ? shape[1] : 1;
    if (static_cast<double>(width) * sizeof(double) > most_bytes) return;
    const auto rows = std::max(Index{1}, static_cast<Index>(slab_bytes / sizeof(double)) / width);
    const Index end = only_first ? std::min(shape[0], rows) : shape[0];
    Matrix<double> slab(width, std::min(rows, end));
    for (Index first = 0; first < end; first += slab.cols()) {
      dataset.read_rows(first, slab.view().columns(0, std::min(slab.cols(), end - first)));
    }
  }

  hid_t file_;
  Group root_;
  std::set<std::pair<unsigned long, haddr_t>> seen_;
  double read_ = 0;
};

void look(const OpenFile& open, const std::string& name) {
  const hid_t file = open();
  if (file < 0) return;
  H5Iinc_ref(file);
  const Handle owner(file);
  Visitor(file, name).visit_all();
}

// Allows 256 MB more than what this process has, so that a damaged file cannot fill the machine.
void limit_memory() {
  constexpr rlim_t more = 256U << 20U;
  constexpr rlim_t most = rlim_t{1} << 40U;  // sanitizers reserve more than that
  long pages = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  const rlim_t used = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
  rlimit memory{};
  if (used == 0 || used > most || getrlimit(RLIMIT_AS, &memory) != 0) return;
  memory.rlim_cur = std::min(memory.rlim_cur, used + more);
  setrlimit(RLIMIT_AS, &memory);
}

// Of a process that is to end quietly and in time.
void limit_child(double file_bytes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGTERM, SIGINT, SIGPROF}) {
    signal(number, SIG_DFL);
  }
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  constexpr double least_seconds = 2, bytes_per_second = 5e6;
  const auto seconds = static_cast<rlim_t>(least_seconds + file_bytes / bytes_per_second);
  const rlimit time{seconds, seconds};
  setrlimit(RLIMIT_CPU, &time);
  limit_memory();
  const int nothing = ::open("/dev/null", O_WRONLY);
  dup2(nothing, STDOUT_FILENO);
  dup2(nothing, STDERR_FILENO);
}

}  // namespace

void require_survivable(const OpenFile& open, const std::string& name, double file_bytes) {
  if (std::getenv("PUSHFORWARD_TRUST_HDF5") != nullptr) return;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const pid_t child = fork();
  if (child == 0) {
    limit_child(file_bytes);
    std::string report;
    try {
      attempt([&] { look(open, name); });
    } catch (const Broken& broken) {
      report = broken.message.substr(0, most_report - 1);
    }
    report += '\n';
    _exit(write(ends[1], report.data(), report.size()) > 0 ? 0 : 1);
  }
  close(ends[1]);
  // The report says that the child came to its end, whatever the process does about the signals of its children.
  std::array<char, most_report> report{};
  ssize_t count = 0;
  while (child > 0 && (count = read(ends[0], report.data(), report.size())) < 0 && errno == EINTR) {
  }
  close(ends[0]);
  if (child < 0) return;
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  require<IoError>(count <= 1, "{}: is damaged: {}", name,
                   std::string_view(report.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 1) - 1)));
  if (count == 1) return;
  const bool is_slow =
      ended == child && WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
  throw IoError(fmt::format(
      "{}: is damaged: HDF5 {} when it reads this file; copy it again, or take an earlier file. If h5dump can read all "
      "of it, set PUSHFORWARD_TRUST_HDF5=1",
      name, is_slow ? "does not come to an end" : "crashes"));
}

}  // namespace pushforward::h5::detail
