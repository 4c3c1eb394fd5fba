#include <pushforward/core/error.hpp>
#include <pushforward/core/memory.hpp>

#include <says.hpp>

#include <sys/resource.h>

#include <cmath>
#include <limits>
#include <map>

namespace pushforward::test {

namespace {

using Files = std::map<std::string, std::string>;

double room_in(const Files& files) {
  return detail::room_in_control_groups([&](const std::string& path) {
    const auto found = files.find(path);
    return found == files.end() ? std::string() : found->second;
  });
}

#ifndef __SANITIZE_ADDRESS__
// A limit of this process's address space.
class AddressLimit {
 public:
  explicit AddressLimit(rlim_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_AS, &now);
  }
  ~AddressLimit() { setrlimit(RLIMIT_AS, &before_); }
  AddressLimit(const AddressLimit&) = delete;
  AddressLimit& operator=(const AddressLimit&) = delete;

 private:
  rlimit before_{};
};
#endif

}  // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(a_machine_has_memory) {
  BOOST_TEST(available_memory() > 1e6);
  BOOST_TEST(available_memory() < 1e16);
}

#ifndef __SANITIZE_ADDRESS__  // which reserves more addresses than any limit
BOOST_AUTO_TEST_CASE(a_limit_of_address_space_counts) {
  const double before = available_memory();
  {
    constexpr rlim_t bytes = 3'000'000'000;
    const AddressLimit limit(bytes);
    BOOST_TEST(available_memory() < std::min(before, 3e9));
  }
  BOOST_TEST(available_memory() > before / 2);
}
#endif

BOOST_AUTO_TEST_CASE(limits_of_control_groups_count) {
  const double infinity = std::numeric_limits<double>::infinity();
  BOOST_TEST(room_in({}) == infinity);
  const std::string first = "/sys/fs/cgroup/memory/", second = "/sys/fs/cgroup/";
  const Files version_1{{"/proc/self/cgroup", "4:cpu,memory:/jobs/7\n3:cpuset:/\n"},
                        {first + "jobs/7/memory.limit_in_bytes", "5000\n"},
                        {first + "jobs/7/memory.usage_in_bytes", "3000\n"},
                        {first + "jobs/7/memory.stat", "cache 2000\ntotal_inactive_file 500\n"}};
  BOOST_TEST(room_in(version_1) == 2500);
  Files version_2{{"/proc/self/cgroup", "0::/jobs/7\n"},
                  {second + "jobs/7/memory.max", "5000\n"},
                  {second + "jobs/7/memory.current", "3000\n"},
                  {second + "jobs/7/memory.stat", "anon 1\ninactive_file 500\n"}};
  BOOST_TEST(room_in(version_2) == 2500);
  version_2[second + "jobs/7/memory.max"] = "max\n";
  BOOST_TEST(room_in(version_2) == infinity);
  // The group around it has a limit, and has used more than that.
  version_2[second + "jobs/memory.max"] = "4000\n";
  version_2[second + "jobs/memory.current"] = "4500\n";
  BOOST_TEST(room_in(version_2) == 0);
  // The group of a container may be known by another name inside of it, where it is the root.
  const Files contained{{"/proc/self/cgroup", "0::/elsewhere\n"},
                        {second + "memory.max", "5000\n"},
                        {second + "memory.current", "3000\n"}};
  BOOST_TEST(room_in(contained) == 2000);
  BOOST_TEST(room_in({{"/proc/self/cgroup", "nonsense\n0::\n:::\n"}}) == infinity);
}

BOOST_AUTO_TEST_CASE(sizes_beyond_the_memory_are_refused_with_both_sizes) {
  BOOST_CHECK_NO_THROW(require_memory(0, "nothing needs", "take less"));
  BOOST_CHECK_NO_THROW(require_memory(64e6, 0, "little needs", "take less"));
  BOOST_CHECK_NO_THROW(require_memory(2e9, 2e9, "the rows need", "take less"));
  BOOST_CHECK_EXCEPTION(require_memory(3e9, 2e9, "the rows need", "take fewer"), OptionError,
                        says({"the rows need 3 GB of memory, and 2 GB are available; take fewer"}));
  for (const double bytes : {1e18, std::numeric_limits<double>::infinity(), std::nan("")}) {
    BOOST_CHECK_EXCEPTION(require_memory(bytes, "the rows need", "take fewer"), OptionError,
                          says({"are available; take fewer"}));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
