#include <cli/requests.hpp>

#include <fmt/format.h>

#include <unistd.h>
#include <csignal>
#include <filesystem>

namespace pushforward::apps {

namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t wants_checkpoint = 0;

void on_stop(int signal) {
  stop_signal = signal;
  std::signal(signal, SIG_DFL);
}

void on_checkpoint(int) {
  wants_checkpoint = 1;
}

constexpr double seconds_between_looks = 1;

const char* name_of(int signal) {
  switch (signal) {
    case SIGTERM: return "SIGTERM";
    case SIGINT: return "SIGINT";
    case SIGUSR2: return "SIGUSR2";
    default: return "a signal";
  }
}

}  // namespace

Requests::Requests(const comm::Communicator& comm, std::string stop_file, double seconds)
    : comm_(comm), stop_file_(std::move(stop_file)), seconds_(seconds) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR2}) std::signal(signal, on_stop);
  // Unlike that of std::signal, this handler stays after the first signal on every system.
  struct sigaction action {};
  action.sa_handler = on_checkpoint;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
}

const std::string& Requests::stop() {
  if (!reason_.empty()) return reason_;
  if (const int signal = stop_signal) {
    reason_ = name_of(signal);
  } else if (comm_.is_root() && timer_.seconds() >= seconds_) {
    reason_ = "the limit of time";
  } else if (comm_.is_root() && !stop_file_.empty() && since_look_.seconds() >= seconds_between_looks) {
    since_look_.restart();
    std::error_code error;
    if (std::filesystem::exists(stop_file_, error)) {
      std::filesystem::remove(stop_file_, error);
      reason_ = fmt::format("the file {}", stop_file_);
    }
  }
  return reason_;
}

bool Requests::checkpoint() {
  const bool wanted = wants_checkpoint != 0;
  wants_checkpoint = 0;
  return wanted;
}

}  // namespace pushforward::apps
