#include <pushforward/base/error.hpp>
#include <pushforward/data/import.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <fstream>
#include <set>

namespace pushforward::test {

namespace {

using data::Import;
using data::import_tables;
using data::ImportOptions;
using data::Split;

std::string file(const char* name, std::string_view text) {
  std::string path = scratch_directory() / name;
  std::ofstream(path) << text;
  return path;
}

// Rows "i, 10 i, i mod 3" with a header a, b, c.
std::string counting(const char* name, Index first, Index count) {
  std::string text = "a,b,c\n";
  for (Index i = first; i < first + count; ++i) text += fmt::format("{},{},{}\n", i, 10 * i, i % 3);
  return file(name, text);
}

const data::Samples& part(const Import& import, Split split) {
  return import.parts[data::index_of(split)];
}

// All values of one column, over all splits.
std::multiset<double> column(const Import& import, Index i) {
  std::multiset<double> values;
  for (const auto& samples : import.parts) {
    for (Index j = 0; j < samples.rows(); ++j) values.insert(samples.view()(i, j));
  }
  return values;
}

bool reports(const Import& import, std::string_view text) {
  return std::ranges::any_of(import.report,
                             [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

// Everything for training: the plain case.
ImportOptions whole(std::vector<std::string> inputs) {
  ImportOptions options;
  options.inputs = std::move(inputs);
  options.fractions = {1, 0, 0};
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(import)

BOOST_AUTO_TEST_CASE(rows_are_divided_each_once) {
  ImportOptions options;
  options.inputs = {counting("a.csv", 0, 60), counting("b.csv", 60, 40)};
  options.seed = 4;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.rows == (data::BySplit<Index>{80, 10, 10}), boost::test_tools::per_element());
  BOOST_TEST(import.layout.feature_names == (std::vector<std::string>{"a", "b", "c"}),
             boost::test_tools::per_element());
  std::multiset<double> expected;
  for (int i = 0; i < 100; ++i) expected.insert(i);
  BOOST_TEST(column(import, 0) == expected, boost::test_tools::per_element());
  BOOST_TEST(part(import_tables(options), Split::test).values == part(import, Split::test).values,
             boost::test_tools::per_element());
  options.seed = 5;
  BOOST_TEST((part(import_tables(options), Split::test).values != part(import, Split::test).values));
}

BOOST_AUTO_TEST_CASE(inputs_may_be_splits) {
  ImportOptions options;
  options.assigned = {{{counting("a.csv", 0, 20), counting("b.csv", 20, 20)}, {}, {counting("c.csv", 40, 7)}}};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.rows == (data::BySplit<Index>{36, 4, 7}), boost::test_tools::per_element());
  BOOST_TEST(part(import, Split::test).values[0] == 40);
  options.validation_fraction = 0;
  BOOST_TEST(import_tables(options).layout.rows == (data::BySplit<Index>{40, 0, 7}), boost::test_tools::per_element());
  options.assigned[1] = {counting("d.csv", 50, 3)};
  options.validation_fraction = 0.5;
  BOOST_TEST(import_tables(options).layout.rows == (data::BySplit<Index>{40, 3, 7}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(columns_are_chosen_and_left_out) {
  auto options = whole({counting("a.csv", 0, 4)});
  options.columns = {"c", "1-2"};
  options.exclude = {"b"};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.feature_names == (std::vector<std::string>{"c", "a"}), boost::test_tools::per_element());
  BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{0, 0, 1, 1, 2, 2, 0, 3}, 0));
  BOOST_TEST(reports(import, "kept 2 of 3 columns"));
  options.exclude = {"*"};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"no column is left"}));
}

BOOST_AUTO_TEST_CASE(a_text_column_is_no_matter_once_left_out) {
  auto options = whole({file("a.csv", "x,kind\n1,red\n2,blue\n")});
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"a.csv:2: 'red' in column 2 (kind)", "--exclude 2"}));
  options.exclude = {"2"};
  BOOST_TEST(close_absolute(import_tables(options).parts[0].values, std::vector{1.0, 2.0}, 0));
}

BOOST_AUTO_TEST_CASE(weights_come_from_a_column) {
  auto options = whole({counting("a.csv", 0, 4)});
  options.weight = "c";
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.weighted);
  BOOST_TEST(import.layout.dimension == 2);
  BOOST_TEST(close_absolute(import.parts[0].weights, std::vector<double>{0, 1, 2, 0}, 0));
  auto negative = whole({file("b.csv", "1,1\n2,-3\n")});
  negative.weight = "2";
  BOOST_CHECK_EXCEPTION(import_tables(negative), DataError, says({"b.csv, row 2", "weight -3"}));
}

BOOST_AUTO_TEST_CASE(rows_that_are_not_finite_are_named_or_dropped) {
  auto options = whole({counting("a.csv", 0, 3), file("b.csv", "a,b,c\n7,70,1\n8,,2\ninf,90,0\n")});
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError,
                        says({"b.csv, row 2", "column b", "2 of 6 rows", "--drop-nonfinite"}));
  options.drop_nonfinite = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.rows[0] == 4);
  BOOST_TEST(reports(import, "dropped 2 rows"));
  options.inputs = {file("c.csv", "a,b\n,1\n")};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"no rows are left"}));
}

BOOST_AUTO_TEST_CASE(duplicates_go_over_all_inputs) {
  ImportOptions options;
  options.assigned = {{{file("a.csv", "1,2\n3,4\n1,2\n-0,5\n")}, {}, {file("b.csv", "0,5\n3,4\n5,6\n")}}};
  options.validation_fraction = 0;
  BOOST_TEST(import_tables(options).layout.rows == (data::BySplit<Index>{4, 0, 3}), boost::test_tools::per_element());
  options.drop_duplicates = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.rows == (data::BySplit<Index>{3, 0, 1}), boost::test_tools::per_element());
  BOOST_TEST(close_absolute(part(import, Split::test).values, std::vector{5.0, 6.0}, 0));
  BOOST_TEST(reports(import, "dropped 3 duplicate rows"));
}

BOOST_AUTO_TEST_CASE(constant_columns_are_noted_or_dropped) {
  auto options = whole({file("a.csv", "1,7,2\n3,7,4\n")});
  BOOST_TEST(reports(import_tables(options), "constant, so without a density: x2"));
  options.drop_constant = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.feature_names == (std::vector<std::string>{"x1", "x3"}), boost::test_tools::per_element());
  BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{1, 2, 3, 4}, 0));
  options.inputs = {file("b.csv", "1\n1\n")};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"all columns are constant"}));
}

BOOST_AUTO_TEST_CASE(integers_are_dequantized) {
  auto options = whole({file("a.csv", "1,0.5\n2,1.5\n3,2\n4,7\n")});
  options.dequantize = {"auto"};
  options.divide = {"1=17"};
  const auto import = import_tables(options);
  const auto x = import.parts[0].view();
  for (Index j = 0; j < 4; ++j) {
    BOOST_TEST(std::floor(17 * x(0, j)) == static_cast<double>(j + 1));
    BOOST_TEST(17 * x(0, j) > static_cast<double>(j + 1));
  }
  BOOST_TEST(x(1, 3) == 7);
  BOOST_TEST(reports(import, "dequantized with uniform noise on (0, 1): x1"));
}

BOOST_AUTO_TEST_CASE(the_noise_of_a_row_does_not_depend_on_the_others) {
  auto options = whole({file("a.csv", "1,1\n2,9\n3,7\n2,9\n4,4\n")});
  options.dequantize = {"*=0.5"};
  options.seed = 9;
  const auto all = import_tables(options).parts[0];
  options.drop_duplicates = true;
  const auto fewer = import_tables(options).parts[0];
  BOOST_TEST(fewer.rows() == 4);
  BOOST_TEST(fewer.view()(0, 3) == all.view()(0, 4));
  BOOST_TEST(fewer.view()(1, 3) == all.view()(1, 4));
  options.seed = 10;
  BOOST_TEST(import_tables(options).parts[0].view()(0, 3) != all.view()(0, 4));
}

BOOST_AUTO_TEST_CASE(columns_are_shifted_and_divided) {
  auto options = whole({file("a.csv", "1,2\n3,5\n")});
  options.shift = {"1=-1", "10"};
  options.divide = {"x2=3"};
  const auto values = import_tables(options).parts[0].values;
  BOOST_TEST(close_absolute(values, std::vector<double>{10, 4, 12, 5}, 0));
}

BOOST_AUTO_TEST_CASE(contradictory_requests_are_refused) {
  const auto refused = [](auto&& change, std::vector<std::string> parts) {
    auto options = whole({counting("a.csv", 0, 4)});
    change(options);
    BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says(parts));
  };
  refused([](auto& o) { o.inputs.clear(); }, {"nothing to import"});
  refused([](auto& o) { o.assigned[2] = std::exchange(o.inputs, {}); }, {"nothing to train on"});
  refused([](auto& o) { o.dequantize = {"a", "1-2"}; }, {"column a was dequantized before"});
  refused([](auto& o) { o.dequantize = {"a=0"}; }, {"'a=0'", "the width is positive"});
  refused([](auto& o) { o.divide = {"a=0"}; }, {"'a=0'", "division by zero"});
  refused([](auto& o) { o.columns = {"energy"}; }, {"no column 'energy'"});
  refused([](auto& o) { o.weight = "1-2"; }, {"'1-2'", "one column"});
}

BOOST_AUTO_TEST_CASE(tables_that_do_not_fit_are_refused) {
  const auto a = counting("a.csv", 0, 4);
  BOOST_CHECK_EXCEPTION(import_tables(whole({a, file("b.csv", "1,2\n")})), DataError, says({"b.csv: 2 columns", "3"}));
  BOOST_CHECK_EXCEPTION(import_tables(whole({a, file("c.csv", "a,c,b\n1,2,3\n")})), DataError,
                        says({"c.csv: columns a, c, b", "has a, b, c"}));
  BOOST_TEST(import_tables(whole({file("d.csv", "1,2,3\n"), a})).layout.feature_names.back() == "c");
  BOOST_CHECK_EXCEPTION(import_tables(whole({"absent.csv"})), IoError, says({"absent.csv: cannot be opened"}));
  BOOST_CHECK_EXCEPTION(import_tables(whole({scratch_directory()})), IoError, says({"is a folder"}));
}

BOOST_AUTO_TEST_CASE(hdf5_arrays_are_imported) {
  const std::string path = scratch_directory() / "data.h5";
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  h5::FileImage image("test", 1);
  image.root().write("x", MatrixView<const float>(values.data(), 2, 3));
  image.root().write_strings("feature_names", std::vector<std::string>{"left", "right"});
  image.save(path);
  const auto import = import_tables(whole({path}));  // the names are no numbers, so there is one array
  BOOST_TEST(import.layout.feature_names.front() == "left");
  BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{1, 2, 3, 4, 5, 6}, 0));
  BOOST_TEST(import_tables(whole({path + ":/x"})).layout.rows[0] == 3);
  BOOST_CHECK_EXCEPTION(import_tables(whole({path + ":/y"})), DataError, says({"no 'y'"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
