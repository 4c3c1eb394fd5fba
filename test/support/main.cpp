// The main of every test executable: Boost.Test inside the scope of MPI.
//
// A case has passed when it has passed on every rank; the exit code is the largest of all ranks. Rank 0 ends the output
// with "cases: N passed, M failed", from which run.sh adds up the total. An exception that leaves a case on a run of
// several ranks ends the job, since the other ranks may wait for this one.

#include <pushforward/comm/communicator.hpp>

#include "session.hpp"

#include <boost/test/results_collector.hpp>
#include <boost/test/tree/observer.hpp>
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace pushforward::test {

namespace {

std::filesystem::path& directory() {
  static std::filesystem::path path;
  return path;
}

std::string make_session_directory(const comm::Communicator& comm) {
  std::string name = (std::filesystem::temp_directory_path() / "pushforward-test-XXXXXX").string();
  comm::agree(comm, [&] {
    if (comm.is_root()) require<IoError>(mkdtemp(name.data()) != nullptr, "cannot make a directory {}", name);
  });
  comm.broadcast(name);
  return name;
}

// 1 for each case that failed, 0 for each that passed, in the order of the test tree.
class Verdicts : public boost::unit_test::test_tree_visitor {
 public:
  std::vector<double> failed;

 private:
  void visit(const boost::unit_test::test_case& test) override {
    failed.push_back(boost::unit_test::results_collector.results(test.p_id).passed() ? 0 : 1);
  }
};

class Observer : public boost::unit_test::test_observer {
 public:
  explicit Observer(const comm::Communicator& comm) : comm_(comm) {}
  Index cases() const { return cases_; }
  Index failed() const { return failed_; }

 private:
  int priority() override { return 10; }  // after the log has written and the collector has counted

  void exception_caught(const boost::execution_exception&) override {
    if (comm_.size() > 1) comm_.abort(1);
  }

  void test_finish() override {
    Verdicts verdicts;
    boost::unit_test::traverse_test_tree(boost::unit_test::framework::master_test_suite(), verdicts);
    comm_.sum(verdicts.failed);
    cases_ = static_cast<Index>(verdicts.failed.size());
    for (const double ranks : verdicts.failed) failed_ += ranks > 0 ? 1 : 0;
  }

  const comm::Communicator& comm_;
  Index cases_ = 0;
  Index failed_ = 0;
};

int run(int argc, char** argv) {
  const comm::Environment environment(argc, argv);
  const auto world = comm::Communicator::world();
  directory() = make_session_directory(world);

  Observer observer(world);
  boost::unit_test::framework::register_observer(observer);
  char no_report[] = "--report_level=no", no_color[] = "--color_output=no";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, {no_report, no_color});
  const int local =
      boost::unit_test::unit_test_main([] { return true; }, static_cast<int>(arguments.size()), arguments.data());

  const auto code = static_cast<int>(world.max(Index{local}));
  if (world.is_root()) {
    std::filesystem::remove_all(directory());
    std::printf("cases: %lld passed, %lld failed\n", static_cast<long long>(observer.cases() - observer.failed()),
                static_cast<long long>(observer.failed()));
  }
  return code;
}

}  // namespace

const std::filesystem::path& session_directory() {
  return directory();
}

}  // namespace pushforward::test

int main(int argc, char** argv) {
  return pushforward::test::run(argc, argv);
}
