#include <pushforward/core/error.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <numeric>

namespace pushforward::test {

namespace {

using h5::FileImage;

std::string new_file() {
  return scratch_directory() / "file.h5";
}

// Element (i, j) is 100 i + j; padding, if any, is NaN.
Matrix<double> numbered(Index rows, Index cols, Index ld) {
  Matrix<double> m(ld, cols);
  m.fill(std::numeric_limits<double>::quiet_NaN());
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) m(i, j) = static_cast<double>(100 * i + j);
  }
  return m;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writer)

BOOST_AUTO_TEST_CASE(every_file_says_what_it_is) {
  const auto path = new_file();
  FileImage("pushforward test", 3).save(path);
  const auto root = h5::open_file(path);
  BOOST_TEST(root.attribute<std::string>("format") == "pushforward test");
  BOOST_TEST(root.attribute<Index>("format_version") == 3);
  BOOST_TEST(root.attribute<std::string>("creator").starts_with("pushforward "));
  BOOST_TEST(root.attribute<std::string>("created").size() == std::string("2026-01-31T12:00:00Z").size());
}

BOOST_AUTO_TEST_CASE(attributes_of_every_type_come_back) {
  const auto path = new_file();
  FileImage image("test", 1);
  const auto group = image.root().make_group("inner");
  group.attribute("text", "größer → kleiner");
  group.attribute("nothing", std::string());
  group.attribute("real", 0.1);
  group.attribute("number", Index{-5'000'000'000});
  group.attribute("small", 7);
  group.attribute("flag", true);
  group.attribute("reals", std::vector{1.0, -2.5});
  image.save(path);

  const auto read = h5::open_file(path).group("inner");
  BOOST_TEST(read.attribute<std::string>("text") == "größer → kleiner");
  BOOST_TEST(read.attribute<std::string>("nothing") == "");
  BOOST_TEST(read.attribute<double>("real") == 0.1);
  BOOST_TEST(read.attribute<Index>("number") == -5'000'000'000);
  BOOST_TEST(read.attribute<Index>("small") == 7);
  BOOST_TEST(read.attribute<bool>("flag"));
  BOOST_TEST(read.attribute<std::vector<double>>("reals") == (std::vector{1.0, -2.5}),
             boost::test_tools::per_element());
  BOOST_TEST(read.has_attribute("real"));
  BOOST_TEST(!read.has_attribute("unreal"));
  BOOST_TEST(read.has_text("text"));
  BOOST_TEST(!read.has_text("unreal"));
  BOOST_TEST(!read.has_text("real"));
}

BOOST_AUTO_TEST_CASE(columns_become_rows) {
  const auto path = new_file();
  for (const auto& [rows, cols, ld] : {std::array<Index, 3>{3, 4, 3}, {3, 4, 5}, {1, 7, 1}, {1, 7, 2}, {5, 1, 9}}) {
    const auto values = numbered(rows, cols, ld);
    FileImage image("test", 1);
    image.root().write("x", values.view().block(0, 0, rows, cols), {"m", "positions"});
    image.save(path);

    const auto dataset = h5::open_file(path).dataset("x");
    BOOST_TEST(dataset.shape() == (std::vector{cols, rows}), boost::test_tools::per_element());
    BOOST_TEST(dataset.attribute<std::string>("units") == "m");
    BOOST_TEST(dataset.attribute<std::string>("long_name") == "positions");
    Matrix<double> read(rows, cols);
    dataset.read_rows(0, read.view());
    BOOST_TEST(close_absolute(read.view(), values.view().block(0, 0, rows, cols), 0));
  }
}

BOOST_AUTO_TEST_CASE(arrays_of_every_type_and_shape_come_back) {
  const auto path = new_file();
  std::vector<Index> integers(24);
  std::iota(integers.begin(), integers.end(), Index{-3});
  FileImage image("test", 1);
  image.root().write("floats", std::vector{1.5F, -2.5F});
  image.root().write("integers", integers);
  image.root().write_array("cube", std::array<Index, 3>{2, 3, 4}, integers.data());
  image.root().write_array("single", {}, integers.data());
  image.root().write("empty", std::vector<double>());
  image.root().write("deep/inside/values", std::vector{1.0});
  image.root().write_strings("names", std::vector<std::string>{"a", "größer", ""});
  image.save(path);

  const auto root = h5::open_file(path);
  BOOST_TEST(root.dataset("floats").read<float>() == (std::vector{1.5F, -2.5F}), boost::test_tools::per_element());
  BOOST_TEST(root.dataset("integers").read<Index>() == integers, boost::test_tools::per_element());
  BOOST_TEST(root.dataset("cube").read<Index>() == integers, boost::test_tools::per_element());
  BOOST_TEST(root.dataset("cube").shape() == (std::vector<Index>{2, 3, 4}), boost::test_tools::per_element());
  BOOST_TEST(root.dataset("single").read<Index>().front() == -3);
  BOOST_TEST(root.dataset("single").shape().empty());
  BOOST_TEST(root.dataset("empty").read<double>().empty());
  BOOST_TEST(root.dataset("deep/inside/values").read<double>().front() == 1.0);
  BOOST_TEST(root.dataset("names").read_strings() == (std::vector<std::string>{"a", "größer", ""}),
             boost::test_tools::per_element());
  BOOST_TEST(!root.dataset("names").is_numeric());
  BOOST_TEST(root.dataset("names").type_name() == "text");
  BOOST_CHECK_EXCEPTION(root.dataset("names").read<Index>(), DataError, says({"/names: holds text elements"}));
  BOOST_TEST(!root.dataset("floats").has_attribute("units"));
}

BOOST_AUTO_TEST_CASE(a_name_is_taken_once) {
  const FileImage image("test", 1);
  image.root().write("x", std::vector{1.0});
  BOOST_CHECK_EXCEPTION(image.root().write("x", std::vector{1.0}), IoError, says({"'x'", "exists"}));
  BOOST_CHECK_EXCEPTION(image.root().attribute("format", 1), IoError, says({"'format'", "exists"}));
  BOOST_CHECK_EXCEPTION(image.root().make_group("x"), IoError, says({"'x'", "exists"}));
}

BOOST_AUTO_TEST_CASE(files_are_built_side_by_side) {
  const auto folder = scratch_directory();
  FileImage one("one", 1), two("two", 1);
  const auto group = one.root().make_group("group");
  two.save(folder / "two.h5");
  group.attribute("number", 1);
  one.save(folder / "one.h5");
  BOOST_TEST(h5::open_file(folder / "one.h5").group("group").attribute<Index>("number") == 1);
  BOOST_TEST(h5::open_file(folder / "two.h5").attribute<std::string>("format") == "two");
}

BOOST_AUTO_TEST_CASE(saving_replaces_the_file_as_a_whole) {
  const auto path = new_file();
  FileImage first("test", 1);
  first.root().write("old", std::vector{1.0});
  first.save(path);
  FileImage second("test", 1);
  second.root().write("new", std::vector{1.0});
  second.save(path);
  BOOST_TEST(h5::open_file(path).names() == (std::vector<std::string>{"new"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
