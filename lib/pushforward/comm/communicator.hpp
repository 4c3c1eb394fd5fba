#pragma once

// The message-passing layer: the only module that calls MPI. Everything here is collective over the
// communicator unless it says otherwise: all ranks call it, in the same order. Reductions take place in place.
//
// No destructor communicates. Objects that all ranks must release together have a function release().

#include <mpi.h>

#include <pushforward/core/error.hpp>
#include <pushforward/core/index.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace pushforward::comm {

/// Initializes MPI for the life of the object (thread level FUNNELED), unless the program has done so already. It
/// finalizes MPI only if it has initialized it. Then, too, it makes the calls of MPI return their errors, which become
/// MpiError with the name of the call; otherwise, that is the program's choice. Not collective over any communicator
/// of ours.
class Environment {
 public:
  Environment(int& argc, char**& argv);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  bool finalise_ = false;
};

/// The ranks that work together. A view on the caller's communicator: neither duplicated nor freed.
class Communicator {
 public:
  explicit Communicator(MPI_Comm handle);
  static Communicator world() { return Communicator(MPI_COMM_WORLD); }
  static Communicator self() { return Communicator(MPI_COMM_SELF); }

  MPI_Comm handle() const { return handle_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_root() const { return rank_ == 0; }

  void barrier() const;

  /// values ← Σ over ranks, on all ranks.
  void sum(std::span<double> values) const;
  void sum(std::span<float> values) const;
  double sum(double value) const;
  Index sum(Index value) const;
  double max(double value) const;
  double min(double value) const;
  Index max(Index value) const;
  Index min(Index value) const;

  /// Copies the values of rank 0 to all ranks.
  void broadcast(std::span<double> values) const;
  void broadcast(std::span<float> values) const;
  void broadcast(std::span<Index> values) const;
  void broadcast(std::span<std::byte> values) const;
  void broadcast(std::string& text, int root = 0) const;

  /// all: (size · values.size()), the values of rank r at r · values.size().
  void all_gather(std::span<const double> values, std::span<double> all) const;
  void all_gather(std::span<const float> values, std::span<float> all) const;
  void all_gather(std::span<const Index> values, std::span<Index> all) const;

  /// Exchanges elements between all pairs of ranks. `send` holds send_counts[r] elements for each rank r, and
  /// `receive` gets receive_counts[r] elements from each rank r, both in the order of the ranks.
  void all_to_all(std::span<const double> send, std::span<const int> send_counts, std::span<double> receive,
                  std::span<const int> receive_counts) const;
  void all_to_all(std::span<const float> send, std::span<const int> send_counts, std::span<float> receive,
                  std::span<const int> receive_counts) const;

  /// all ← the values of every rank, in rank order; `counts[r]` of them from rank r.
  void all_gather(std::span<const double> values, std::span<double> all, std::span<const int> counts) const;
  void all_gather(std::span<const float> values, std::span<float> all, std::span<const int> counts) const;

  /// Ends the whole job with this exit code. Not collective; does not return.
  [[noreturn]] void abort(int code) const;

 private:
  MPI_Comm handle_;
  int rank_ = 0;
  int size_ = 1;
};

/// Returns the rows [first, last) of `total` that rank r of `size` has. Shares are contiguous and in the order of
/// the ranks, and their sizes differ by one at most. If there are more ranks than rows, some shares are empty. Not
/// collective.
struct Share {
  Index first = 0;
  Index last = 0;
  Index count() const { return last - first; }
};
Share share(Index total, int rank, int size);

/// Host name of this process. Not collective.
std::string host_name();

namespace detail {

struct LocalError {
  bool failed = false;
  ErrorKind kind = ErrorKind::bug;
  std::string message;
};
LocalError describe_current_exception();
void throw_lowest(const Communicator& comm, const LocalError& local);

}  // namespace detail

/// Runs `body` on every rank. If it throws on some ranks, all ranks throw the error of the lowest of these ranks,
/// marked as agreed. The error names rank and host, unless it is that of rank 0. `body` must not communicate on
/// `comm`.
template <class F>
void agree(const Communicator& comm, F&& body) {
  detail::LocalError local;
  try {
    std::forward<F>(body)();
  } catch (...) {
    local = detail::describe_current_exception();
  }
  detail::throw_lowest(comm, local);
}

/// Returns the number of ranks of `comm` on this rank's node. Collective.
int ranks_on_node(const Communicator& comm);

/// One array per node, shared by its ranks (MPI-3 shared memory): each fills a part, all read the whole. Collective
/// over `comm`: construction, fence() and release(). A SharedArray that is not released by hand lives until MPI is
/// finalised.
template <class T>
class SharedArray {
 public:
  SharedArray(const Communicator& comm, Index size);
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;

  /// Which of `total` parts this rank fills; the ranks of each node have all of them. Not collective.
  Share share(Index total) const { return comm::share(total, node_rank_, node_size_); }
  std::span<T> data() { return {data_, static_cast<std::size_t>(size_)}; }
  std::span<const T> data() const { return {data_, static_cast<std::size_t>(size_)}; }

  /// Makes what each rank wrote visible to all ranks of its node.
  void fence();
  /// Frees the memory.
  void release();

 private:
  MPI_Comm node_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  T* data_ = nullptr;
  Index size_ = 0;
  int node_rank_ = 0;
  int node_size_ = 1;
};

extern template class SharedArray<float>;
extern template class SharedArray<double>;

}  // namespace pushforward::comm
