// Written with ours and read with h5py, and the reverse: a round trip through one library cannot see a transpose.

#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>

#include <cstdlib>
#include <fstream>

namespace pushforward::test {

namespace {

// Runs a script with Debian's Python, which has h5py, on the file; true when it succeeds.
bool python(const std::string& script, const std::string& file) {
  const auto path = scratch_directory() / "script.py";
  std::ofstream(path) << "import sys, h5py, numpy as np\npath = sys.argv[1]\n" << script;
  return std::system(fmt::format("/usr/bin/python3 {} {}", path.string(), file).c_str()) == 0;
}

std::string our_file() {
  std::string path = scratch_directory() / "ours.h5";
  const std::vector<double> x{1, 2, 3, 4, 5, 6};  // two samples of three numbers
  h5::FileImage image("test", 1);
  const auto& root = image.root();
  root.write("x", MatrixView<const double>(x.data(), 3, 2), {"nat", "samples"});
  root.write("axis", std::vector{0.5, 1.5});
  root.set_scale("x", 0, "axis");
  root.write_strings("names", std::vector<std::string>{"größer", "b"});
  root.attribute("text", "größer");
  root.attribute("flag", true);
  root.attribute("reals", std::vector{1.0, 2.5});
  image.save(path);
  return path;
}

constexpr auto check_ours = R"(
f = h5py.File(path, 'r')
assert f['x'].shape == (2, 3) and f['x'].dtype == np.float64
assert (f['x'][...] == [[1, 2, 3], [4, 5, 6]]).all()
assert f['x'].attrs['units'] == b'nat' and f['x'].attrs['long_name'] == b'samples'
assert (f['x'].dims[0]['axis'][...] == [0.5, 1.5]).all()
assert [bytes(n).rstrip(b'\0').decode() for n in f['names'][...]] == ['größer', 'b']
assert f.attrs['text'].decode() == 'größer' and f.attrs['flag'] == 1 and list(f.attrs['reals']) == [1, 2.5]
assert f.attrs['format'] == b'test' and f.attrs['format_version'] == 1
)";

}  // namespace

BOOST_AUTO_TEST_SUITE(foreign)

BOOST_AUTO_TEST_CASE(h5py_reads_ours) {
  BOOST_TEST(python(check_ours, our_file()));
}

BOOST_AUTO_TEST_CASE(h5py_notices_a_wrong_file) {
  const auto file = our_file();
  BOOST_TEST(python("with h5py.File(path, 'a') as f: f['x'][0, 1] = 4\n", file));
  BOOST_TEST(!python(std::string("sys.stderr = open('/dev/null', 'w')") + check_ours, file));
}

BOOST_AUTO_TEST_CASE(ours_reads_h5py) {
  const std::string file = scratch_directory() / "theirs.h5";
  BOOST_TEST(python(R"(
with h5py.File(path, 'w') as f:
    f['big_endian'] = np.array([[1, 2, 3], [4, 5, 6]], '>f4')
    f['integers'] = np.array([[1, 2, 3], [4, 5, 6]], 'u1')
    f.create_dataset('packed', data=np.arange(2000.).reshape(1000, 2), chunks=(64, 2), compression='gzip')
    f['words'] = ['left', 'größer']
    f['fixed'] = np.array(['ab', 'c'], 'S4')
    f.attrs['flag'] = np.bool_(True)
    f.attrs['count'] = np.int32(7)
    f.attrs['rate'] = np.float32(0.5)
    f.attrs['name'] = 'größer'
    f.attrs['bytes'] = np.bytes_('plain')
)",
                    file));
  const auto root = h5::open_file(file);
  for (const char* name : {"big_endian", "integers"}) {
    Matrix<double> x(3, 2);
    root.dataset(name).read_rows(0, x.view());
    BOOST_TEST(close_absolute(x.span(), std::vector<double>{1, 2, 3, 4, 5, 6}, 0));
  }
  Matrix<float> rows(2, 2);
  root.dataset("packed").read_rows(500, rows.view());
  BOOST_TEST(close_absolute(rows.span(), std::vector<float>{1000, 1001, 1002, 1003}, 0));
  BOOST_TEST(root.dataset("words").read_strings() == (std::vector<std::string>{"left", "größer"}),
             boost::test_tools::per_element());
  BOOST_TEST(root.dataset("fixed").read_strings() == (std::vector<std::string>{"ab", "c"}),
             boost::test_tools::per_element());
  BOOST_TEST(root.attribute<bool>("flag"));
  BOOST_TEST(root.attribute<Index>("count") == 7);
  BOOST_TEST(root.attribute<double>("rate") == 0.5);
  BOOST_TEST(root.attribute<std::string>("name") == "größer");
  BOOST_TEST(root.attribute<std::string>("bytes") == "plain");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
