#include <pushforward/comm/communicator.hpp>

#include <algorithm>
#include <array>
#include <climits>
#include <vector>

namespace pushforward::comm {

namespace {

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw MpiError(fmt::format("{}: {}", call, text.data()));
}

template <class T>
MPI_Datatype datatype();
template <>
MPI_Datatype datatype<double>() {
  return MPI_DOUBLE;
}
template <>
MPI_Datatype datatype<float>() {
  return MPI_FLOAT;
}
template <>
MPI_Datatype datatype<Index>() {
  return MPI_INT64_T;
}
template <>
MPI_Datatype datatype<std::byte>() {
  return MPI_BYTE;
}

// MPI counts are int: longer arrays go in slices.
constexpr std::size_t slice = std::size_t{1} << 30;

template <class T, class F>
void in_slices(std::span<T> values, F&& call) {
  for (std::size_t at = 0; at < values.size(); at += slice) {
    const auto part = values.subspan(at, std::min(slice, values.size() - at));
    call(part.data(), static_cast<int>(part.size()));
  }
}

template <class T>
void reduce_in_place(MPI_Comm comm, std::span<T> values, MPI_Op op) {
  in_slices(values, [&](T* data, int count) {
    check(MPI_Allreduce(MPI_IN_PLACE, data, count, datatype<T>(), op, comm), "MPI_Allreduce");
  });
}

template <class T>
T reduce_scalar(MPI_Comm comm, T value, MPI_Op op) {
  reduce_in_place(comm, std::span<T>(&value, 1), op);
  return value;
}

template <class T>
void broadcast_from(MPI_Comm comm, std::span<T> values, int root) {
  in_slices(values, [&](T* data, int count) { check(MPI_Bcast(data, count, datatype<T>(), root, comm), "MPI_Bcast"); });
}

template <class T>
void gather_equal(const Communicator& comm, std::span<const T> values, std::span<T> all) {
  require<ShapeError>(all.size() == values.size() * static_cast<std::size_t>(comm.size()) && values.size() <= INT_MAX,
                      "all_gather: {} values from each of {} ranks do not fit an array of {}", values.size(),
                      comm.size(), all.size());
  const int count = static_cast<int>(values.size());
  check(MPI_Allgather(values.data(), count, datatype<T>(), all.data(), count, datatype<T>(), comm.handle()),
        "MPI_Allgather");
}

std::vector<int> offsets(std::span<const int> counts) {
  std::vector<int> at(counts.size(), 0);
  Index sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    at[i] = static_cast<int>(sum);
    sum += counts[i];
    require<ShapeError>(sum <= INT_MAX, "exchange of more than {} elements at once", INT_MAX);
  }
  return at;
}

template <class T>
void exchange(MPI_Comm comm, std::span<const T> send, std::span<const int> send_counts, std::span<T> receive,
              std::span<const int> receive_counts) {
  const auto send_at = offsets(send_counts);
  const auto receive_at = offsets(receive_counts);
  check(MPI_Alltoallv(send.data(), send_counts.data(), send_at.data(), datatype<T>(), receive.data(),
                      receive_counts.data(), receive_at.data(), datatype<T>(), comm),
        "MPI_Alltoallv");
}

template <class T>
void gather_varying(MPI_Comm comm, std::span<const T> values, std::span<T> all, std::span<const int> counts) {
  const auto at = offsets(counts);
  check(MPI_Allgatherv(values.data(), static_cast<int>(values.size()), datatype<T>(), all.data(), counts.data(),
                       at.data(), datatype<T>(), comm),
        "MPI_Allgatherv");
}

}  // namespace

Environment::Environment(int& argc, char**& argv) {
  int initialized = 0;
  check(MPI_Initialized(&initialized), "MPI_Initialized");
  if (initialized) return;
  int provided = 0;
  check(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  finalise_ = true;
  for (MPI_Comm comm : {MPI_COMM_WORLD, MPI_COMM_SELF}) {
    check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
}

Environment::~Environment() {
  if (finalise_) MPI_Finalize();
}

Communicator::Communicator(MPI_Comm handle) : handle_(handle) {
  check(MPI_Comm_rank(handle, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(handle, &size_), "MPI_Comm_size");
}

void Communicator::barrier() const {
  check(MPI_Barrier(handle_), "MPI_Barrier");
}

void Communicator::sum(std::span<double> values) const {
  reduce_in_place(handle_, values, MPI_SUM);
}
void Communicator::sum(std::span<float> values) const {
  reduce_in_place(handle_, values, MPI_SUM);
}
double Communicator::sum(double value) const {
  return reduce_scalar(handle_, value, MPI_SUM);
}
Index Communicator::sum(Index value) const {
  return reduce_scalar(handle_, value, MPI_SUM);
}
double Communicator::max(double value) const {
  return reduce_scalar(handle_, value, MPI_MAX);
}
double Communicator::min(double value) const {
  return reduce_scalar(handle_, value, MPI_MIN);
}
Index Communicator::max(Index value) const {
  return reduce_scalar(handle_, value, MPI_MAX);
}
Index Communicator::min(Index value) const {
  return reduce_scalar(handle_, value, MPI_MIN);
}

void Communicator::broadcast(std::span<double> values) const {
  broadcast_from(handle_, values, 0);
}
void Communicator::broadcast(std::span<float> values) const {
  broadcast_from(handle_, values, 0);
}
void Communicator::broadcast(std::span<Index> values) const {
  broadcast_from(handle_, values, 0);
}
void Communicator::broadcast(std::span<std::byte> values) const {
  broadcast_from(handle_, values, 0);
}

void Communicator::broadcast(std::string& text, int root) const {
  Index length = static_cast<Index>(text.size());
  broadcast_from(handle_, std::span<Index>(&length, 1), root);
  text.resize(length);
  broadcast_from(handle_, std::span<std::byte>(std::as_writable_bytes(std::span<char>(text.data(), text.size()))),
                 root);
}

void Communicator::all_gather(std::span<const double> values, std::span<double> all) const {
  gather_equal(*this, values, all);
}
void Communicator::all_gather(std::span<const float> values, std::span<float> all) const {
  gather_equal(*this, values, all);
}
void Communicator::all_gather(std::span<const Index> values, std::span<Index> all) const {
  gather_equal(*this, values, all);
}

void Communicator::all_to_all(std::span<const double> send, std::span<const int> send_counts, std::span<double> receive,
                              std::span<const int> receive_counts) const {
  exchange(handle_, send, send_counts, receive, receive_counts);
}
void Communicator::all_to_all(std::span<const float> send, std::span<const int> send_counts, std::span<float> receive,
                              std::span<const int> receive_counts) const {
  exchange(handle_, send, send_counts, receive, receive_counts);
}

void Communicator::all_gather(std::span<const double> values, std::span<double> all,
                              std::span<const int> counts) const {
  gather_varying(handle_, values, all, counts);
}
void Communicator::all_gather(std::span<const float> values, std::span<float> all, std::span<const int> counts) const {
  gather_varying(handle_, values, all, counts);
}

void Communicator::abort(int code) const {
  MPI_Abort(handle_, code);
  std::abort();
}

Share share(Index total, int rank, int size) {
  const Index r = rank, p = size;
  const Index base = total / p, extra = total % p;
  const Index first = r * base + std::min(r, extra);
  return {first, first + base + (r < extra ? 1 : 0)};
}

std::string host_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  MPI_Get_processor_name(name.data(), &length);
  return {name.data(), static_cast<std::size_t>(length)};
}

namespace detail {

LocalError describe_current_exception() {
  try {
    throw;
  } catch (const Error& e) {
    return {true, e.kind(), e.what()};
  } catch (const std::bad_alloc&) {
    return {true, ErrorKind::numerical, "out of memory"};
  } catch (const std::exception& e) {
    return {true, ErrorKind::bug, e.what()};
  }
}

void throw_lowest(const Communicator& comm, const LocalError& local) {
  const Index mine = local.failed ? comm.rank() : comm.size();
  const auto lowest = static_cast<int>(comm.min(mine));
  if (lowest == comm.size()) return;

  std::string message = local.message;
  if (lowest == comm.rank() && lowest != 0) message += fmt::format(" [rank {}, host {}]", lowest, host_name());
  std::string kind = fmt::format("{}", static_cast<int>(local.kind));
  comm.broadcast(message, lowest);
  comm.broadcast(kind, lowest);
  throw_error(static_cast<ErrorKind>(std::stoi(kind)), message, true);
}

}  // namespace detail

int ranks_on_node(const Communicator& comm) {
  MPI_Comm node = MPI_COMM_NULL;
  int size = 1;
  check(MPI_Comm_split_type(comm.handle(), MPI_COMM_TYPE_SHARED, comm.rank(), MPI_INFO_NULL, &node),
        "MPI_Comm_split_type");
  check(MPI_Comm_size(node, &size), "MPI_Comm_size");
  check(MPI_Comm_free(&node), "MPI_Comm_free");
  return size;
}

template <class T>
SharedArray<T>::SharedArray(const Communicator& comm, Index size) : size_(size) {
  check(MPI_Comm_split_type(comm.handle(), MPI_COMM_TYPE_SHARED, comm.rank(), MPI_INFO_NULL, &node_),
        "MPI_Comm_split_type");
  check(MPI_Comm_rank(node_, &node_rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(node_, &node_size_), "MPI_Comm_size");
  const auto bytes = static_cast<MPI_Aint>(static_cast<std::size_t>(size) * sizeof(T));
  check(MPI_Win_allocate_shared(node_rank_ == 0 ? bytes : 0, sizeof(T), MPI_INFO_NULL, node_, &data_, &window_),
        "MPI_Win_allocate_shared");
  check(MPI_Win_set_errhandler(window_, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler");
  MPI_Aint owned = 0;
  int unit = 0;
  check(MPI_Win_shared_query(window_, 0, &owned, &unit, &data_), "MPI_Win_shared_query");
}

template <class T>
void SharedArray<T>::fence() {
  check(MPI_Win_fence(0, window_), "MPI_Win_fence");
}

template <class T>
void SharedArray<T>::release() {
  if (window_ != MPI_WIN_NULL) check(MPI_Win_free(&window_), "MPI_Win_free");
  if (node_ != MPI_COMM_NULL) check(MPI_Comm_free(&node_), "MPI_Comm_free");
  data_ = nullptr;
  size_ = 0;
}

template class SharedArray<float>;
template class SharedArray<double>;

}  // namespace pushforward::comm
