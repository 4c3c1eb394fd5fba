
#include <ranks.hpp>

#include <cmath>
#include <new>
#include <optional>
#include <stdexcept>
#include <vector>

namespace pushforward::test {

namespace {

using comm::Communicator;

// 1 + 2 + … + n.
double triangle(int n) {
  return n * (n + 1) / 2.0;
}

// The error that agree() throws when `body` runs on every rank, or none.
template <class F>
std::optional<Error> agreed_error(const Communicator& comm, F&& body) {
  try {
    comm::agree(comm, body);
  } catch (const Error& error) {
    return error;
  }
  return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(communicator)

BOOST_AUTO_TEST_CASE(shares_are_contiguous_complete_and_even) {
  for (const Index total : {0, 1, 2, 7, 8, 9, 1000}) {
    for (const int size : {1, 2, 3, 8, 13}) {
      Index next = 0, smallest = total, largest = 0;
      for (int rank = 0; rank < size; ++rank) {
        const auto share = comm::share(total, rank, size);
        BOOST_TEST(share.first == next);
        next = share.last;
        smallest = std::min(smallest, share.count());
        largest = std::max(largest, share.count());
      }
      BOOST_TEST(next == total);
      BOOST_TEST(largest - smallest <= 1);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(sums_are_over_all_ranks, Ranks) {
  std::vector<double> values{comm.rank() + 1.0, -1.0};
  comm.sum(values);
  BOOST_TEST(on_all_ranks(comm, close_absolute(values, std::vector{triangle(comm.size()), -1.0 * comm.size()}, 0)));

  std::vector<float> singles{static_cast<float>(comm.rank()) + 1, 0.5F};
  comm.sum(singles);
  BOOST_TEST(on_all_ranks(comm, close_absolute(singles[0], triangle(comm.size()), 0)));

  BOOST_TEST(on_all_ranks(comm, comm.sum(0.25) == 0.25 * comm.size()));
  const Index large = Index{1} << 60;  // not a double's business
  BOOST_TEST(on_all_ranks(comm, comm.sum(comm.is_root() ? large + 1 : Index{0}) == large + 1));
  comm.sum(std::span<double>());
}

BOOST_FIXTURE_TEST_CASE(extremes_are_over_all_ranks, Ranks) {
  const int last = comm.size() - 1;
  BOOST_TEST(on_all_ranks(comm, comm.max(comm.rank() - 0.5) == last - 0.5));
  BOOST_TEST(on_all_ranks(comm, comm.min(0.5 - comm.rank()) == 0.5 - last));
  BOOST_TEST(on_all_ranks(comm, comm.max(Index{comm.rank()}) == last));
  BOOST_TEST(on_all_ranks(comm, comm.min(-Index{comm.rank()}) == -last));
}

BOOST_FIXTURE_TEST_CASE(a_broadcast_hands_out_what_the_root_has, Ranks) {
  std::vector<double> numbers{comm.is_root() ? 2.5 : 0.0};
  comm.broadcast(numbers);
  std::vector<float> singles{comm.is_root() ? 1.5F : 0.0F};
  comm.broadcast(singles);
  std::vector<Index> integers{comm.is_root() ? Index{1} << 40 : 0};
  comm.broadcast(integers);
  BOOST_TEST(on_all_ranks(comm, numbers[0] == 2.5 && singles[0] == 1.5F && integers[0] == Index{1} << 40));
}

BOOST_FIXTURE_TEST_CASE(a_text_of_any_length_comes_from_any_rank, Ranks) {
  for (int root = 0; root < comm.size(); ++root) {
    std::string text = comm.rank() == root ? "from here" : std::string(static_cast<std::size_t>(comm.rank()), 'x');
    comm.broadcast(text, root);
    BOOST_TEST(on_all_ranks(comm, text == "from here"));
  }
  std::string empty = comm.is_root() ? "" : "not empty";
  comm.broadcast(empty);
  BOOST_TEST(on_all_ranks(comm, empty.empty()));
}

BOOST_FIXTURE_TEST_CASE(a_gather_is_in_rank_order, Ranks) {
  const std::vector<double> mine{comm.rank() + 0.0, comm.rank() + 0.5};
  std::vector<double> all(2 * static_cast<std::size_t>(comm.size())), expected;
  for (int rank = 0; rank < comm.size(); ++rank) expected.insert(expected.end(), {rank + 0.0, rank + 0.5});
  comm.all_gather(mine, all);
  BOOST_TEST(on_all_ranks(comm, close_absolute(all, expected, 0)));
}

BOOST_FIXTURE_TEST_CASE(a_gather_of_uneven_parts_is_in_rank_order, Ranks) {
  // Rank r has r values, so the root has none.
  const std::vector<float> mine(comm.rank(), static_cast<float>(comm.rank()));
  std::vector<int> counts;
  std::vector<float> expected;
  for (int rank = 0; rank < comm.size(); ++rank) {
    counts.push_back(rank);
    expected.insert(expected.end(), static_cast<std::size_t>(rank), static_cast<float>(rank));
  }
  std::vector<float> all(expected.size());
  comm.all_gather(mine, all, counts);
  BOOST_TEST(on_all_ranks(comm, close_absolute(all, expected, 0)));
}

BOOST_FIXTURE_TEST_CASE(a_gather_into_an_array_of_another_size_is_refused, Ranks) {
  const std::vector<double> mine(1);
  std::vector<double> all(static_cast<std::size_t>(comm.size()) + 1);
  BOOST_CHECK_THROW(comm.all_gather(mine, all), ShapeError);
}

BOOST_FIXTURE_TEST_CASE(an_exchange_delivers_to_each_rank_what_is_meant_for_it, Ranks) {
  // From rank r to rank s go (r + 2 s) mod 3 values 100 r + s.
  const auto count = [](int from, int to) { return (from + 2 * to) % 3; };
  const auto value = [](int from, int to) { return 100.0 * from + to; };
  std::vector<double> send, expected;
  std::vector<int> send_counts, receive_counts;
  for (int other = 0; other < comm.size(); ++other) {
    send_counts.push_back(count(comm.rank(), other));
    receive_counts.push_back(count(other, comm.rank()));
    send.insert(send.end(), static_cast<std::size_t>(send_counts.back()), value(comm.rank(), other));
    expected.insert(expected.end(), static_cast<std::size_t>(receive_counts.back()), value(other, comm.rank()));
  }
  std::vector<double> receive(expected.size());
  comm.all_to_all(send, send_counts, receive, receive_counts);
  BOOST_TEST(on_all_ranks(comm, close_absolute(receive, expected, 0)));
}

BOOST_FIXTURE_TEST_CASE(a_communicator_of_one_rank_reduces_to_itself, Ranks) {
  const auto self = Communicator::self();
  BOOST_TEST(self.size() == 1);
  BOOST_TEST(on_all_ranks(comm, self.sum(comm.rank() + 0.5) == comm.rank() + 0.5));
}

BOOST_FIXTURE_TEST_CASE(agreement_where_nothing_fails_throws_nothing, Ranks) {
  BOOST_TEST(on_all_ranks(comm, !agreed_error(comm, [] {}).has_value()));
}

BOOST_FIXTURE_TEST_CASE(an_error_of_one_rank_is_thrown_on_all, Ranks) {
  const int last = comm.size() - 1;
  const auto error = agreed_error(comm, [&] {
    if (comm.rank() == last) throw DataError("row 3 is NaN");
  });
  BOOST_TEST_REQUIRE(on_all_ranks(comm, error.has_value()));
  BOOST_TEST(on_all_ranks(comm, error->kind() == ErrorKind::data && error->agreed()));
  const std::string place = last == 0 ? "" : fmt::format(" [rank {}, host {}]", last, comm::host_name());
  BOOST_TEST(on_all_ranks(comm, error->what() == "row 3 is NaN" + place));
}

BOOST_FIXTURE_TEST_CASE(of_several_errors_the_lowest_ranks_is_thrown, Ranks) {
  const auto error = agreed_error(comm, [&] {
    if (comm.is_root()) throw IoError("from the root");
    throw DataError("from another");
  });
  BOOST_TEST_REQUIRE(on_all_ranks(comm, error.has_value()));
  BOOST_TEST(on_all_ranks(comm, error->kind() == ErrorKind::io && error->what() == std::string("from the root")));
}

BOOST_FIXTURE_TEST_CASE(foreign_exceptions_become_errors_of_ours, Ranks) {
  const auto memory = agreed_error(comm, [] { throw std::bad_alloc(); });
  BOOST_TEST(on_all_ranks(comm, memory && memory->kind() == ErrorKind::numerical));
  const auto foreign = agreed_error(comm, [] { throw std::logic_error("foreign"); });
  BOOST_TEST(on_all_ranks(comm, foreign && foreign->kind() == ErrorKind::bug));
}

BOOST_FIXTURE_TEST_CASE(a_shared_array_is_written_in_parts_and_read_by_all, Ranks) {
  comm::SharedArray<double> array(comm, 1000);
  BOOST_TEST(on_all_ranks(comm, array.data().size() == 1000));
  const auto mine = array.share(1000);
  for (auto i = static_cast<std::size_t>(mine.first); i < static_cast<std::size_t>(mine.last); ++i) {
    array.data()[i] = std::sqrt(static_cast<double>(i));
  }
  array.fence();
  double largest = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    largest = std::max(largest, std::abs(array.data()[i] - std::sqrt(static_cast<double>(i))));
  }
  BOOST_TEST(on_all_ranks(comm, close_absolute(largest, 0, 0)));
  BOOST_TEST(comm.sum(mine.count()) == 1000);  // the tests run on one node
  array.release();
  BOOST_TEST(array.data().empty());
}

BOOST_FIXTURE_TEST_CASE(a_shared_array_may_be_empty, Ranks) {
  comm::SharedArray<float> array(comm, 0);
  array.fence();
  BOOST_TEST(on_all_ranks(comm, array.data().empty()));
  array.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
