#include <pushforward/core/error.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/import/import.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <fstream>
#include <numbers>
#include <set>

namespace pushforward::test {

namespace {

// A string, because GCC 12 warns of some literals that are assigned to a std::string (GCC bug 105651).
const std::string weight_column = "w";

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
  options.inputs = {file("c.csv", "a,b\n,1\n2,\n")};
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

BOOST_AUTO_TEST_CASE(rows_whose_weight_is_not_finite_are_named_or_dropped) {
  for (const char* const bad : {"nan", "inf", "-inf", ""}) {
    auto options = whole({file("a.csv", fmt::format("x,w\n1,0.5\n2,{}\n3,1.5\n", bad))});
    options.weight = weight_column;
    BOOST_CHECK_EXCEPTION(import_tables(options), DataError,
                          says({"a.csv, row 2", "the value in the column of weights is missing, NaN or infinite",
                                "1 of 3 rows", "--drop-nonfinite"}));
    options.drop_nonfinite = true;
    const auto import = import_tables(options);
    BOOST_TEST(reports(import, "dropped 1 rows"));
    // The rows that are left keep their own weights.
    BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{1, 3}, 0));
    BOOST_TEST(close_absolute(import.parts[0].weights, std::vector<double>{0.5, 1.5}, 0));
  }
  // If a value of the row is bad in addition, its column is named.
  auto options = whole({file("b.csv", "x,w\n1,1\ninf,nan\n")});
  options.weight = weight_column;
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"b.csv, row 2", "in column x", "1 of 2 rows"}));
  // A column that is left out may hold anything.
  options.inputs = {file("c.csv", "x,y,w\n1,nan,1\n2,3,2\n")};
  options.exclude = {"y"};
  BOOST_TEST(close_absolute(import_tables(options).parts[0].weights, std::vector<double>{1, 2}, 0));
}

BOOST_AUTO_TEST_CASE(duplicates_are_equal_in_weight_as_well) {
  auto options = whole({file("a.csv", "x,w\n1,2\n1,3\n1,2\n4,0\n1,3\n4,-0\n5,2\n")});
  options.weight = weight_column;
  options.drop_duplicates = true;
  const auto import = import_tables(options);
  BOOST_TEST(reports(import, "dropped 3 duplicate rows"));
  BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{1, 1, 4, 5}, 0));
  BOOST_TEST(close_absolute(import.parts[0].weights, std::vector<double>{2, 3, 0, 2}, 0));
}

BOOST_AUTO_TEST_CASE(weights_follow_their_rows_into_the_splits) {
  ImportOptions options;
  options.inputs = {file("a.csv", "x,w\n1,10\n2,20\n3,30\n4,40\n5,50\n6,60\n7,70\n8,80\n9,90\n10,100\n")};
  options.assigned[2] = {file("b.csv", "x,w\n11,110\n12,120\n")};
  options.weight = weight_column;
  options.fractions = {0.5, 0.3, 0.2};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.rows == (data::BySplit<Index>{5, 3, 4}), boost::test_tools::per_element());
  for (const auto& samples : import.parts) {
    std::vector<double> expected(samples.values);
    for (double& value : expected) value *= 10;
    BOOST_TEST(close_absolute(samples.weights, expected, 0));
  }
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

BOOST_AUTO_TEST_CASE(contexts_are_columns_beside_the_data) {
  auto options = whole({file("a.csv", "a,b,c,d\n1,2,3,0.5\n4,5,6,0.5\n7,8,9,0.25\n")});
  options.context = {"c", "1"};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.dimension == 2);
  BOOST_TEST(import.layout.feature_names == (std::vector<std::string>{"b", "d"}), boost::test_tools::per_element());
  BOOST_TEST(import.layout.context_names == (std::vector<std::string>{"c", "a"}), boost::test_tools::per_element());
  const auto& train = part(import, Split::train);
  BOOST_TEST(close_absolute(Matrix<double>(train.data()).span(), std::vector<double>{2, 0.5, 5, 0.5, 8, 0.25}, 0));
  BOOST_TEST(close_absolute(Matrix<double>(train.context()).span(), std::vector<double>{3, 1, 6, 4, 9, 7}, 0));
  BOOST_TEST(reports(import, "contexts: c, a"));

  // All of the data is not of the contexts, which are touched where they are named.
  options.shift = {"10", "a=100"};
  options.divide = {"*=2", "1=5"};
  options.dequantize = {"auto"};
  const auto changed = import_tables(options);
  const auto x = part(changed, Split::train).view();
  BOOST_TEST(std::floor(10 * x(0, 1)) == 15);  // (5 + u + 10) / 2 / 5
  BOOST_TEST(x(1, 1) == 5.25);
  BOOST_TEST(x(2, 1) == 6);
  BOOST_TEST(x(3, 1) == 104);
  BOOST_TEST(reports(changed, "dequantized with uniform noise on (0, 1): b"));
  options.dequantize = {"c=0.5"};
  const auto noisy = import_tables(options);
  BOOST_TEST(part(noisy, Split::train).view()(2, 1) > 6);
  BOOST_TEST(part(noisy, Split::train).view()(2, 1) < 6.5);

  options.context = {"*"};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"no column is left"}));
}

BOOST_AUTO_TEST_CASE(rows_are_cleaned_with_their_contexts) {
  auto options = whole({file("a.csv", "x,y,c\n1,5,1\n1,5,2\n1,5,1\n2,5,\n3,5,4\n")});
  options.context = {"c"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"a.csv, row 4", "in column c"}));
  options.drop_nonfinite = options.drop_duplicates = options.drop_constant = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.feature_names == std::vector<std::string>{"x"}, boost::test_tools::per_element());
  BOOST_TEST(close_absolute(import.parts[0].values, std::vector<double>{1, 1, 1, 2, 3, 4}, 0));
  options.context = {"y"};
  BOOST_TEST(import_tables(options).layout.context_names.front() == "y");  // constant, and kept
  options.inputs = {file("t.csv", "1,red\n2,blue\n")};
  options.context = {"2"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"t.csv:1: 'red' in column 2"}));
}

BOOST_AUTO_TEST_CASE(classes_become_columns) {
  ImportOptions options;
  options.assigned = {{{file("a.csv", "x,k,c\n0.5,0,7\n1.5,1,8\n")}, {}, {file("b.csv", "x,k,c\n2.5,3,9\n")}}};
  options.validation_fraction = 0;
  options.context = {"c", "k"};
  options.one_hot = {"k"};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.context_names == (std::vector<std::string>{"c", "k=0", "k=1", "k=2", "k=3"}),
             boost::test_tools::per_element());
  BOOST_TEST(close_absolute(part(import, Split::train).values,
                            std::vector<double>{0.5, 7, 1, 0, 0, 0, 1.5, 8, 0, 1, 0, 0}, 0));
  BOOST_TEST(close_absolute(part(import, Split::test).values, std::vector<double>{2.5, 9, 0, 0, 0, 1}, 0));
  BOOST_TEST(reports(import, "k: 4 classes"));
  options.one_hot = {"k=6"};
  BOOST_TEST(import_tables(options).layout.context_names.back() == "k=5");
  options.shift = {"c=-7"};
  options.one_hot = {"*=4"};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"column x is no context", "--context x"}));
  options.one_hot = {"2-3=4"};
  BOOST_TEST(import_tables(options).layout.context_names.size() == 8);
  options.one_hot = {"k=3"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"b.csv, row 1", "3 in column k", "0 to 2"}));
  options.shift = {"k=-1"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"a.csv, row 1", "-1 in column k"}));
  options.shift = {"k=0.5"};
  options.one_hot = {"k"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"0.5 in column k is no class"}));
  options.shift = {"k=1e9"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"0 to 9999"}));
  for (const char* text : {"k=0", "k=2.5", "k=-1", "k=1e6"}) {
    options.one_hot = {text};
    BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({text, "an integer from 1 to 10000"}));
  }
}

BOOST_AUTO_TEST_CASE(classes_may_be_text) {
  ImportOptions options;
  options.assigned = {{{file("a.csv", "x,kind\n1,STAR\n2,GALAXY\n3,STAR\n")}, {}, {file("b.csv", "x,kind\n4,QSO\n")}}};
  options.validation_fraction = 0;
  options.context = {"kind"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"a.csv:2: 'STAR' in column 2 (kind)", "--one-hot 2"}));
  options.one_hot = {"kind"};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.context_names == (std::vector<std::string>{"kind=GALAXY", "kind=QSO", "kind=STAR"}),
             boost::test_tools::per_element());
  BOOST_TEST(
      close_absolute(part(import, Split::train).values, std::vector<double>{1, 0, 0, 1, 2, 1, 0, 0, 3, 0, 0, 1}, 0));
  BOOST_TEST(close_absolute(part(import, Split::test).values, std::vector<double>{4, 0, 1, 0}, 0));
  BOOST_TEST(reports(import, "kind: 3 classes, GALAXY, QSO, STAR"));
  BOOST_TEST(!reports(import, "kind: 2 classes"));

  options.one_hot = {"kind=3"};
  BOOST_TEST(import_tables(options).layout.context_names.size() == 3);
  options.one_hot = {"kind=4"};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"--one-hot kind=4: there are 3 classes"}));
  options.one_hot = {"kind"};
  for (auto* const list : {&options.shift, &options.divide, &options.dequantize}) {
    *list = {"kind=2"};
    BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"column kind holds classes that are text"}));
    list->clear();
  }
  options.assigned[2] = {file("c.csv", "x,kind\n4,1\n")};
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError,
                        says({"c.csv: column kind holds numbers, but text in other files"}));

  // A class whose rows are dropped is no class. A missing class is a missing value.
  auto cleaned = whole({file("d.csv", "x,kind\n1,g\n,h\n2,\n3,f\n")});
  cleaned.context = cleaned.one_hot = {"kind"};
  BOOST_CHECK_EXCEPTION(import_tables(cleaned), DataError, says({"d.csv, row 2", "2 of 4 rows"}));
  cleaned.drop_nonfinite = true;
  BOOST_TEST(import_tables(cleaned).layout.context_names == (std::vector<std::string>{"kind=f", "kind=g"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(dropping_is_no_advice_if_no_row_is_left) {
  auto options = whole({file("a.csv", "x,y,z\n1,,3\n,2,4\n5,,6\n")});
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError,
                        says({"every row", "most, 2 of 3, are in column y, which might be left out"}));
  options.exclude = {"y"};
  options.drop_nonfinite = true;
  BOOST_TEST(import_tables(options).layout.rows[0] == 2);
}

BOOST_AUTO_TEST_CASE(a_column_without_a_value_is_named) {
  auto options = whole({file("a.csv", "x,y,z\n1,,3\n2,NA,4\n")});
  for (const bool drop : {false, true}) {
    options.drop_nonfinite = drop;
    BOOST_CHECK_EXCEPTION(import_tables(options), DataError,
                          says({"a.csv: column 2 (y) has no value in any row", "--exclude 2"}));
  }
  options.exclude = {"2"};
  BOOST_TEST(import_tables(options).layout.rows[0] == 2);
}

// A time that grew with the square of the number of columns would be minutes here.
BOOST_AUTO_TEST_CASE(rows_may_be_very_wide) {
  constexpr Index columns = 300'000, excluded = 100'000;
  std::string text;
  for (const int row : {1, 2}) {
    for (Index i = 0; i < columns; ++i) text += fmt::format("{}{}", i == 0 ? "" : " ", i % 2 == 0 ? i * row : i);
    text += '\n';
  }
  auto options = whole({file("wide.txt", text)});
  options.format.header = data::CsvFormat::Header::no;
  options.exclude = {fmt::format("1-{}", excluded)};
  options.drop_constant = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.dimension == (columns - excluded) / 2);
  BOOST_TEST(import.layout.feature_names.front() == fmt::format("x{}", excluded + 1));
  BOOST_TEST(part(import, Split::train).view()(1, 0) == static_cast<double>(excluded + 2));
  BOOST_TEST(part(import, Split::train).view()(1, 1) == static_cast<double>(2 * (excluded + 2)));
}

BOOST_AUTO_TEST_CASE(names_of_data_and_contexts_may_be_equal) {
  auto options = whole({file("a.csv", "x,y,x\n1,2,3\n4,5,6\n")});
  options.context = {"number:3"};
  options.shift = {"x=1"};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"'x' is ambiguous", "by number"}));
  options.shift = {"1=1"};
  BOOST_TEST(close_absolute(import_tables(options).parts[0].values, std::vector<double>{2, 2, 3, 5, 5, 6}, 0));
}

BOOST_AUTO_TEST_CASE(angles_are_taken_to_one_turn_in_radians) {
  constexpr double pi = std::numbers::pi;
  auto options = whole({file("a.csv", "r,phi,psi\n1,180,90\n2,-180,-270\n3,540,45\n4,0,360\n")});
  options.periodic = {"psi", "2"};
  options.degrees = true;
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.periodic == (std::vector<Index>{1, 2}), boost::test_tools::per_element());
  BOOST_TEST(close_absolute(import.parts[0].values,
                            std::vector<double>{1, -pi, pi / 2, 2, -pi, pi / 2, 3, -pi, pi / 4, 4, 0, 0}, 0));
  BOOST_TEST(reports(import, "angles from degrees, taken to [−π, π): phi, psi"));
  options.degrees = false;
  BOOST_TEST(reports(import_tables(options),
                     "warning: angles of phi reach ±540, more than a turn in radians; in "
                     "degrees they want --degrees"));
  options.inputs = {file("b.csv", fmt::format("r,phi,psi\n1,{0},1\n2,{1},2\n", pi, -pi))};
  const auto radians = import_tables(options);
  BOOST_TEST(close_absolute(radians.parts[0].values, std::vector<double>{1, -pi, 1, 2, -pi, 2}, 0));
  BOOST_TEST(std::ranges::none_of(radians.report, [](const auto& line) { return line.starts_with("warning"); }));
  options.context = {"psi"};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"no column 'psi'", "r, phi"}));
  options.periodic.clear();
  options.degrees = true;
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"--degrees", "--periodic"}));
}

BOOST_AUTO_TEST_CASE(latitude_and_longitude_become_a_unit_vector) {
  const double h = std::sqrt(0.5);
  auto options = whole({file("a.csv", "lat,depth,lon,site\n90,1,77,a\n0,2,90,b\n-45,3,180,a\n")});
  options.sphere = {"lat", "lon"};
  options.context = {"site"};
  options.one_hot = {"site"};
  const auto import = import_tables(options);
  BOOST_TEST(import.layout.feature_names == (std::vector<std::string>{"depth", "x", "y", "z"}),
             boost::test_tools::per_element());
  BOOST_TEST((import.layout.spheres == std::vector<Sphere>{{1, 2, 3}}));
  BOOST_TEST(close_absolute(import.parts[0].values,
                            std::vector<double>{1, 0, 0, 1, 1, 0, 2, 0, 1, 0, 0, 1, 3, -h, 0, -h, 1, 0}, 1e-15));
  BOOST_TEST(reports(import, "unit vectors x, y, z of latitude and longitude: lat, lon"));
  BOOST_TEST(std::ranges::none_of(import.report, [](const auto& line) { return line.starts_with("warning"); }));
  const auto refused = [&](const std::vector<std::string>& sphere, const char* text, const std::string& message) {
    auto other = whole({file("b.csv", text)});
    other.sphere = sphere;
    try {
      import_tables(other);
      BOOST_ERROR("no error: " << message);
    } catch (const Error& error) {
      BOOST_TEST(std::string(error.what()).find(message) != std::string::npos, error.what());
    }
  };
  const auto* const text = "lat,lon\n10,20\n30,100\n";
  refused({"lon", "lat"}, text,
          "b.csv, row 2 (counted from 1): the latitude in column lon is 100; latitudes are from -90");
  refused({"lat", "lon"}, "lat,lon\n10,20\n30,400\n", "row 2 (counted from 1): the longitude in column lon is 400");
  refused({"lat"}, text, "--sphere lat: two columns are wanted, latitude and longitude");
  refused({"lat", "long"}, text, "no column 'long'");
  refused({"lat", "lon"}, "lat,lon,y\n10,20,1\n", "--sphere: there is a column 'y' already");
  // The twin in radians.
  auto radians = whole({file("c.csv", "lat,lon\n1.5,6.2\n-0.4,1\n")});
  radians.sphere = {"lat", "lon"};
  BOOST_TEST(
      reports(import_tables(radians),
              "warning: latitudes and longitudes in lat, lon look like radians, but degrees are wanted; --divide "
              "lat=0.0174532925199 takes radians to degrees"));
}

BOOST_AUTO_TEST_CASE(rows_may_be_declared_images) {
  auto options = whole({counting("a.csv", 0, 4)});
  options.image = {1, 3};
  BOOST_TEST((import_tables(options).layout.image_shape == Shape{1, 3, 1}));
  options.image = {1, 1, 3};
  BOOST_TEST((import_tables(options).layout.image_shape == Shape{1, 1, 3}));
  options.image = {2, 2};
  BOOST_CHECK_EXCEPTION(import_tables(options), OptionError,
                        says({"--image 2,2", "images of 2×2×1 have 4 values", "3 columns"}));
  for (const auto& extents : {std::vector<Index>{3}, {1, 1, 1, 3}, {-1, -3}, {0, 3}}) {
    options.image = extents;
    BOOST_CHECK_EXCEPTION(import_tables(options), OptionError, says({"wanted are height, width"}));
  }
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
