#include <pushforward/core/error.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/results.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <boost/mpl/list.hpp>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace pushforward::test {

namespace {

namespace fs = std::filesystem;
using Access = h5::ResultFile::Access;

constexpr auto everywhere = {Access::automatic, Access::through_root};

double element(Index row, Index column) {
  return static_cast<double>(10 * row + column) + 0.25;
}

// Rows [first, first + n) of an array of width 3, with a padded leading dimension.
Matrix<double> some_rows(Index first, Index n) {
  Matrix<double> x(5, n);
  x.fill(std::numeric_limits<double>::quiet_NaN());
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < 3; ++i) x(i, j) = element(first + j, i);
  }
  return x;
}

std::vector<h5::RowArray> layout(Index rows) {
  return {{"z", h5::Element::real64, rows, 3, {"1", "latent"}},
          {"deep/log_prob", h5::Element::real32, rows, 0, {"nat", "log-density"}},
          {"status", h5::Element::integer64, rows, 0, {}}};
}

void write_all(const comm::Communicator& comm, const std::string& path, Index rows, const comm::Share& mine,
               Access access, Index slab_elements = h5::default_slab_elements) {
  h5::ResultFile file(
      comm, path, "test", 1, layout(rows), [](const h5::GroupWriter& root) { root.attribute("model", "m.h5"); }, access,
      slab_elements);
  const auto z = some_rows(mine.first, mine.count());
  file.write_rows("z", mine.first, z.view().block(0, 0, 3, mine.count()));
  file.write_rows("deep/log_prob", mine.first, z.view().block(1, 0, 1, mine.count()));
  std::vector<Index> status;
  for (Index row = mine.first; row < mine.last; ++row) status.push_back(-row);
  file.write_rows("status", mine.first, MatrixView<const Index>(status.data(), 1, mine.count()));
  file.amend([](const h5::GroupWriter& root) { root.attribute("mean", 1.5); });
  file.commit();
}

Verdict holds_all(const std::string& path, Index rows) {
  const auto root = h5::open_file(path);
  std::vector<double> z, log_prob, status;
  for (Index row = 0; row < rows; ++row) {
    for (Index i = 0; i < 3; ++i) z.push_back(element(row, i));
    log_prob.push_back(element(row, 1));
    status.push_back(static_cast<double>(-row));
  }
  if (root.attribute<double>("mean") != 1.5 || root.attribute<std::string>("model") != "m.h5") return Verdict(false);
  if (const auto verdict = close_absolute(root.dataset("z").read<double>(), z, 0); !verdict) return verdict;
  if (const auto verdict = close_absolute(root.dataset("deep/log_prob").read<double>(), log_prob, 0); !verdict) {
    return verdict;
  }
  return close_absolute(root.dataset("status").read<double>(), status, 0);
}

// Draw r of a row, exact in all element types.
double draw(Index row, Index r) {
  return static_cast<double>(1000 * r + row) - 300;
}

constexpr Index repeats = 4;

std::vector<h5::RowArray> draws_layout(Index rows) {
  return {{"draws/value", h5::Element::real64, rows, 0, {"nat", "one draw of each row"}, repeats},
          {"draws/single", h5::Element::real32, rows, 0, {}, repeats},
          {"draws/terms", h5::Element::integer64, rows, 0, {}, repeats},
          {"one", h5::Element::real64, rows, 0, {}, 1}};
}

// Draws of rows [first, first + n) within storage that is NaN, or the least integer, everywhere else.
template <class T>
Matrix<T> padded_draws(Index first, Index n) {
  Matrix<T> values(n + 3, repeats + 1);
  values.fill(std::is_integral_v<T> ? std::numeric_limits<T>::min() : std::numeric_limits<T>::quiet_NaN());
  for (Index r = 0; r < repeats; ++r) {
    for (Index i = 0; i < n; ++i) values(2 + i, r) = static_cast<T>(draw(first + i, r));
  }
  return values;
}

// `In`: the type of the values in memory, whatever that of the array.
template <class In>
void write_draws(const comm::Communicator& comm, const std::string& path, Index rows, const comm::Share& mine,
                 Access access, Index slab_elements = h5::default_slab_elements) {
  h5::ResultFile file(comm, path, "test", 1, draws_layout(rows), {}, access, slab_elements);
  const Matrix<In> values = padded_draws<In>(mine.first, mine.count());
  const auto write = [&](const std::string& name, Index count) {
    file.write_rows<In>(name, mine.first, values.view().block(2, 0, mine.count(), count));
  };
  write("draws/value", repeats);
  write("draws/single", repeats);
  write("draws/terms", repeats);
  write("one", 1);
  file.commit();
}

template <class T>
Verdict holds_draws(const h5::Group& root, const std::string& name, Index rows, Index count) {
  const auto dataset = root.dataset(name);
  if (dataset.shape() != std::vector{count, rows} || dataset.is_integer() != std::is_integral_v<T>) {
    return Verdict(false);
  }
  std::vector<double> expected;
  for (Index r = 0; r < count; ++r) {
    for (Index row = 0; row < rows; ++row) expected.push_back(draw(row, r));
  }
  const auto values = dataset.read<T>();
  return close_absolute(std::vector<double>(values.begin(), values.end()), expected, 0);
}

Verdict holds_all_draws(const std::string& path, Index rows) {
  const auto root = h5::open_file(path);
  if (root.dataset("draws/value").attribute<std::string>("units") != "nat") return Verdict(false);
  for (const auto& verdict :
       {holds_draws<double>(root, "draws/value", rows, repeats),
        holds_draws<float>(root, "draws/single", rows, repeats), holds_draws<Index>(root, "draws/terms", rows, repeats),
        holds_draws<double>(root, "one", rows, 1)}) {
    if (!verdict) return verdict;
  }
  return Verdict(true);
}

Index files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(results)

BOOST_FIXTURE_TEST_CASE(each_rank_writes_its_rows, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  for (const Access access : everywhere) {
    for (const Index rows : {0, 1, 2, 7, 1001}) {
      write_all(comm, path, rows, comm::share(rows, comm.rank(), comm.size()), access);
      BOOST_TEST(on_all_ranks(comm, holds_all(path, rows)));
    }
  }
  BOOST_TEST(files_in(scratch_directory()) == 1);
}

BOOST_FIXTURE_TEST_CASE(shares_may_be_of_any_size, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  constexpr Index rows = 11;
  const bool is_last = comm.rank() == comm.size() - 1;
  const comm::Share mine = is_last ? comm::Share{0, rows} : comm::Share{};  // all on the last rank
  for (const Access access : everywhere) {
    write_all(comm, path, rows, mine, access);
    BOOST_TEST(on_all_ranks(comm, holds_all(path, rows)));
  }
}

// Each rank has several slabs, and the last one seven rows more than its share, thus more slabs than the others.
BOOST_FIXTURE_TEST_CASE(slabs_make_a_whole, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  for (const Access access : everywhere) {
    for (const Index rows : {7, 31}) {
      const Index even = rows - 7;
      auto mine = comm::share(even, comm.rank(), comm.size());
      if (comm.rank() == comm.size() - 1) mine.last = rows;
      // Row by row; two rows of three or four numbers; more, which all share if rows go through rank 0.
      for (const Index slab_elements : {1, 8, 100}) {
        write_all(comm, path, rows, mine, access, slab_elements);
        BOOST_TEST(on_all_ranks(comm, holds_all(path, rows)));
        write_draws<double>(comm, path, rows, mine, access, slab_elements);
        BOOST_TEST(on_all_ranks(comm, holds_all_draws(path, rows)));
      }
    }
  }
  for (const Index slab_elements : {Index{0}, h5::default_slab_elements + 1}) {
    BOOST_CHECK_EXCEPTION(write_all(comm, path, 1, {0, 1}, Access::automatic, slab_elements), OptionError,
                          says({"out.h5: slabs of", "from 1 to 16777216"}));
  }
}

BOOST_FIXTURE_TEST_CASE(a_wrong_row_is_noticed, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  auto mine = comm::share(7, comm.rank(), comm.size());
  if (comm.is_root()) --mine.last;  // a row that nobody writes
  write_all(comm, path, 7, mine, Access::automatic);
  BOOST_TEST(!holds_all(path, 7));
}

using Elements = boost::mpl::list<double, float, Index>;

// A row per sample in memory, a column per sample in the file: (repeats, rows).
BOOST_FIXTURE_TEST_CASE_TEMPLATE(each_rank_writes_the_repeats_of_its_rows, In, Elements, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  for (const Access access : everywhere) {
    for (const Index rows : {0, 1, 2, 7, 501}) {
      write_draws<In>(this->comm, path, rows, comm::share(rows, this->comm.rank(), this->comm.size()), access);
      BOOST_TEST(on_all_ranks(this->comm, holds_all_draws(path, rows)));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(shares_of_repeats_may_be_of_any_size, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  constexpr Index rows = 11;
  const bool is_last = comm.rank() == comm.size() - 1;
  // All on the last rank; or three rows on the first and the others on the last, where there are two.
  const comm::Share all = is_last ? comm::Share{0, rows} : comm::Share{};
  const comm::Share uneven = comm.size() == 1 ? all
                             : is_last        ? comm::Share{3, rows}
                             : comm.is_root() ? comm::Share{0, 3}
                                              : comm::Share{};
  for (const Access access : everywhere) {
    for (const auto& mine : {all, uneven}) {
      write_draws<double>(comm, path, rows, mine, access);
      BOOST_TEST(on_all_ranks(comm, holds_all_draws(path, rows)));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(repeats_written_in_parts_make_a_whole, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  constexpr Index rows = 40;
  const auto mine = comm::share(rows, comm.rank(), comm.size());
  for (const Access access : everywhere) {
    h5::ResultFile file(comm, path, "test", 1, {{"draws", h5::Element::real64, rows, 0, {}, repeats}}, {}, access);
    const auto values = padded_draws<double>(mine.first, mine.count());
    const Index most = comm::share(rows, 0, comm.size()).count();
    for (Index done = 0; done < most; done += 3) {
      const Index at = std::min(done, mine.count()), count = std::min<Index>(3, mine.count() - at);
      file.write_rows<double>("draws", mine.first + at, values.view().block(2 + at, 0, count, repeats));
    }
    file.commit();
    BOOST_TEST(on_all_ranks(comm, holds_draws<double>(h5::open_file(path), "draws", rows, repeats)));
  }
}

BOOST_FIXTURE_TEST_CASE(a_wrong_repeat_is_noticed, Ranks) {
  const std::string path = scratch_directory() / "out.h5";
  for (const Access access : everywhere) {
    auto mine = comm::share(7, comm.rank(), comm.size());
    if (comm.is_root()) --mine.last;  // a row that nobody writes
    write_draws<double>(comm, path, 7, mine, access);
    BOOST_TEST(!holds_all_draws(path, 7));
    comm.barrier();
  }
}

BOOST_FIXTURE_TEST_CASE(a_full_disk_is_the_same_error_on_all_ranks, Ranks) {
  const auto folder = scratch_directory();
  const std::string path = folder / "out.h5";
  for (const Access access : everywhere) {
    write_all(comm, path, 5, comm::share(5, comm.rank(), comm.size()), access);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit limit{1 << 21, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    BOOST_CHECK_EXCEPTION(write_all(comm, path, 1'000'000, comm::share(1'000'000, comm.rank(), comm.size()), access),
                          IoError, says({"out.h5", "File too large", "nothing was changed"}));
    setrlimit(RLIMIT_FSIZE, &before);
    comm.barrier();
    BOOST_TEST(on_all_ranks(comm, holds_all(path, 5)));
    BOOST_TEST(files_in(folder) == 1);
    comm.barrier();
  }
}

BOOST_FIXTURE_TEST_CASE(an_error_between_calls_leaves_nothing, Ranks) {
  const auto folder = scratch_directory();
  const std::string path = folder / "out.h5";
  {
    h5::ResultFile file(comm, path, "test", 1, layout(4));
    const auto mine = comm::share(4, comm.rank(), comm.size());
    const auto z = some_rows(mine.first, mine.count());
    file.write_rows("z", mine.first, z.view().block(0, 0, 3, mine.count()));
    comm.barrier();
  }
  comm.barrier();
  BOOST_TEST(files_in(folder) == 0);
}

BOOST_FIXTURE_TEST_CASE(misuse_on_one_rank_is_thrown_on_all, Ranks) {
  const auto folder = scratch_directory();
  const std::string path = folder / "out.h5";
  const bool is_last = comm.rank() == comm.size() - 1;
  h5::ResultFile file(comm, path, "test", 1, layout(4));
  const Matrix<double> row(3, 1), wide(4, 1);
  BOOST_CHECK_EXCEPTION(file.write_rows("z", is_last ? 4 : 0, row.view()), ShapeError, says({"rows [4, 5) of the 4"}));
  BOOST_CHECK_EXCEPTION(file.write_rows("z", 0, is_last ? wide.view() : row.view()), ShapeError,
                        says({"rows of 3 numbers, not 4"}));
  BOOST_CHECK_EXCEPTION(file.write_rows(is_last ? "zz" : "z", 0, row.view()), BugError, says({"no array 'zz'"}));
  h5::ResultFile draws(comm, folder / "draws.h5", "test", 1, draws_layout(4));
  const Matrix<double> two_rows(2, repeats), few(2, repeats - 1);
  BOOST_CHECK_EXCEPTION(draws.write_rows("draws/value", is_last ? 3 : 0, two_rows.view()), ShapeError,
                        says({"draws.h5: rows [3, 5) of the 4 of 'draws/value'"}));
  BOOST_CHECK_EXCEPTION(draws.write_rows("draws/value", 0, is_last ? few.view() : two_rows.view()), ShapeError,
                        says({"draws.h5: 'draws/value' has rows of 4 numbers, not 3"}));
  const Matrix<double> as_columns(repeats, 1);  // as an array without repeats would have it
  BOOST_CHECK_EXCEPTION(draws.write_rows("draws/value", 0, as_columns.view()), ShapeError,
                        says({"rows of 4 numbers, not 1"}));
  BOOST_CHECK_EXCEPTION(h5::ResultFile(comm, folder / "none/out.h5", "test", 1, layout(4)), IoError,
                        says({"there is no folder"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
