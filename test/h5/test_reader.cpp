#include <pushforward/core/error.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <filesystem>
#include <fstream>
#include <numeric>

namespace pushforward::test {

namespace {

// /x (4, 3) double, /n (5) integer, /names (2) text, /group/y (2) float; attributes of /group.
std::string example_file() {
  std::string path = scratch_directory() / "example.h5";
  std::vector<double> x(12);
  std::iota(x.begin(), x.end(), 0.0);
  h5::FileImage image("test", 1);
  const auto& root = image.root();
  root.write("x", MatrixView<const double>(x.data(), 3, 4));
  root.write("n", std::vector<Index>{5, 6, 7, 8, 9});
  root.write_strings("names", std::vector<std::string>{"left", "right"});
  const auto group = root.make_group("group");
  group.write("y", std::vector{1.5F, 2.5F});
  group.attribute("pair", std::vector{1.0, 2.0});
  group.attribute("half", 0.5);
  image.save(path);
  return path;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reader)

BOOST_AUTO_TEST_CASE(objects_are_found_by_path) {
  const auto path = example_file();
  const auto root = h5::open_file(path);
  BOOST_TEST(root.names() == (std::vector<std::string>{"group", "n", "names", "x"}), boost::test_tools::per_element());
  BOOST_TEST(root.where() == path + ":/");
  BOOST_TEST(root.dataset("/group//y").where() == path + ":/group/y");
  BOOST_TEST(root.group("group").dataset("y").where() == path + ":/group/y");
  BOOST_TEST(root.has("group/y"));
  BOOST_TEST(!root.has("group/z"));
  BOOST_TEST(!root.has("x/y"));
  BOOST_TEST(root.has_dataset("x"));
  BOOST_TEST(!root.has_dataset("group"));
  BOOST_TEST(root.dataset("n").is_integer());
  BOOST_TEST(!root.dataset("x").is_integer());
  BOOST_TEST(root.dataset("x").is_numeric());
  BOOST_TEST(!root.dataset("names").is_numeric());
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_named_with_what_is) {
  const auto path = example_file();
  const auto root = h5::open_file(path);
  BOOST_CHECK_EXCEPTION(root.dataset("xx"), DataError,
                        says({path + ":/: no 'xx'", "did you mean 'x'?", "group, n, names, x"}));
  BOOST_CHECK_EXCEPTION(root.dataset("group/z"), DataError, says({path + ":/group: no 'z'", "there is y"}));
  BOOST_CHECK_EXCEPTION(root.dataset("x/y"), DataError, says({path + ":/x: is a dataset", "'y'"}));
  BOOST_CHECK_EXCEPTION(root.dataset("group"), DataError, says({path + ":/group: is a group", "there is y"}));
  BOOST_CHECK_EXCEPTION(root.group("x"), DataError, says({path + ":/x: is not a group"}));
  BOOST_CHECK_EXCEPTION(root.attribute<double>("rate"), DataError, says({path + ":/: no attribute 'rate'"}));
}

BOOST_AUTO_TEST_CASE(wrong_types_and_shapes_are_refused) {
  const auto root = h5::open_file(example_file());
  Matrix<double> three(3, 2);
  BOOST_CHECK_EXCEPTION(root.dataset("names").read<double>(), DataError, says({"/names: holds text", "not numbers"}));
  BOOST_CHECK_EXCEPTION(root.dataset("x").read<Index>(), DataError, says({"/x: holds floating-point", "integers"}));
  BOOST_CHECK_EXCEPTION(root.dataset("x").read_strings(), DataError, says({"/x: is not a list of strings"}));
  BOOST_CHECK_EXCEPTION(root.dataset("n").read_rows(0, three.view()), ShapeError, says({"/n: rows of 1", "of 3"}));
  BOOST_CHECK_EXCEPTION(root.dataset("x").read_rows(3, three.view()), ShapeError, says({"/x: rows [3, 5) of 4"}));
  BOOST_CHECK_EXCEPTION(root.attribute<double>("format"), DataError, says({"'format' is text, not a number"}));
  const auto group = root.group("group");
  BOOST_CHECK_EXCEPTION(group.attribute<double>("pair"), DataError, says({"'pair' has 2 values"}));
  BOOST_CHECK_EXCEPTION(group.attribute<Index>("half"), DataError, says({"'half' is floating-point, not an integer"}));
  BOOST_CHECK_EXCEPTION(group.attribute<std::string>("half"), DataError, says({"'half' is floating-point, not text"}));
}

BOOST_AUTO_TEST_CASE(rows_land_in_columns_and_leave_the_padding) {
  const auto root = h5::open_file(example_file());
  constexpr float poison = -77;
  Matrix<float> block(5, 2);
  block.fill(poison);
  root.dataset("x").read_rows(1, block.view().block(1, 0, 3, 2));
  const std::vector<float> expected{poison, 3, 4, 5, poison, poison, 6, 7, 8, poison};
  BOOST_TEST(close_absolute(block.span(), expected, 0));

  std::vector<double> n(2);
  root.dataset("n").read_rows(3, MatrixView<double>(n.data(), 1, 2));
  BOOST_TEST(close_absolute(n, std::vector{8.0, 9.0}, 0));
  root.dataset("x").read_rows(4, MatrixView<double>(nullptr, 3, 0));
}

BOOST_AUTO_TEST_CASE(an_object_keeps_its_file_open) {
  const auto dataset = h5::open_file(example_file()).group("group").dataset("y");
  BOOST_TEST(close_absolute(dataset.read<double>(), std::vector{1.5, 2.5}, 0));
}

BOOST_AUTO_TEST_CASE(no_file_stays_open) {
  const auto path = example_file();
  const auto open_files = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  const auto before = open_files();
  {
    const auto dataset = h5::open_file(path).dataset("x");
    BOOST_TEST(open_files() == before + 1);
  }
  BOOST_CHECK_THROW(h5::open_file(path).dataset("absent"), DataError);
  BOOST_CHECK_THROW(h5::open_file(path).dataset("names").read<double>(), DataError);
  BOOST_TEST(open_files() == before);
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_used_are_told_apart) {
  const auto folder = scratch_directory();
  const auto whole = example_file();
  const auto write = [&](const char* name, std::string_view content) {
    std::string path = folder / name;
    std::ofstream(path) << content;
    return path;
  };
  std::string bytes(std::filesystem::file_size(whole), '\0');
  std::ifstream(whole, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));

  BOOST_CHECK_EXCEPTION(h5::open_file(folder / "absent.h5"), IoError, says({"absent.h5: no such file"}));
  BOOST_CHECK_EXCEPTION(h5::open_file(folder), IoError, says({"is a folder"}));
  BOOST_CHECK_EXCEPTION(h5::open_file(write("empty.h5", "")), IoError, says({"empty.h5: is empty"}));
  BOOST_CHECK_EXCEPTION(h5::open_file(write("text.h5", "x,y\n1,2\n")), IoError, says({"text.h5: is not an HDF5 file"}));
  BOOST_CHECK_EXCEPTION(h5::open_file(write("short.h5", std::string_view(bytes).substr(0, bytes.size() / 2))), IoError,
                        says({"short.h5: is truncated"}));
  BOOST_CHECK_EXCEPTION(h5::open_file(write("stub.h5", std::string_view(bytes).substr(0, 20))), IoError,
                        says({"stub.h5"}));
  BOOST_TEST(h5::open_file(write("copy.h5", bytes)).has("x"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
