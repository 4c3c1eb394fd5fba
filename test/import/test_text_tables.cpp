// Separated text as R, pandas, Excel, Fortran and people write it.

#include <pushforward/core/error.hpp>
#include <pushforward/import/import_csv.hpp>
#include <pushforward/import/text_header.hpp>
#include <pushforward/import/text_numbers.hpp>
#include <pushforward/import/text_records.hpp>
#include <pushforward/import/text_separator.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

using data::Commas;
using data::CommaUse;
using data::CsvFormat;
using Decimal = CsvFormat::Decimal;
using Header = CsvFormat::Header;
using Names = std::vector<std::string>;
using Values = std::vector<double>;

data::Table parse(std::string_view text, const CsvFormat& format = {}) {
  return data::parse_csv(text, "F.csv", format);
}

bool reads(std::string_view text, const Names& names, const Values& values, const CsvFormat& format = {}) {
  const auto table = parse(text, format);
  for (const auto& complaint : table.text) {
    if (!complaint.empty()) BOOST_TEST_MESSAGE(complaint);
    if (!complaint.empty()) return false;
  }
  if (table.names != names) BOOST_TEST_MESSAGE(fmt::format("names {}", fmt::join(table.names, ", ")));
  return table.names == names && static_cast<bool>(close_absolute(table.values, values, 0));
}

const Names none{"x1", "x2"}, xy{"x", "y"};
const Values one_to_four{1, 2, 3, 4}, one_to_six{1, 2, 3, 4, 5, 6};
const auto doubtful = says({"F.csv:1:", "can be the names of the columns or a row", "--header yes or --header no"});

}  // namespace

BOOST_AUTO_TEST_SUITE(text_tables)

BOOST_AUTO_TEST_CASE(lines_end_with_cr_lf_or_both) {
  for (const std::string_view end : {"\n", "\r\n", "\r", "\r\r\n"}) {
    for (const bool last : {true, false}) {
      const std::string_view at_end = last ? end : "";
      BOOST_TEST(reads(fmt::format("1,2{0}3,4{0}5,6{1}", end, at_end), none, one_to_six));
      BOOST_TEST(reads(fmt::format("\"1\",\"2\"{0}\"3\",\"4\"{0}\"5\",\"6\"{1}", end, at_end), none, one_to_six));
      BOOST_TEST(reads(fmt::format("x y{0}\"1\" 2{0}3 \"4\"{1}", end, at_end), xy, one_to_four));
    }
  }
  BOOST_TEST(reads("\"1\",2\r3,\"4\"\n5,6\r\n", none, one_to_six));
  BOOST_TEST(reads("\r\n\r1,2\n\r3,4\r\r", none, one_to_four));
  BOOST_TEST(!reads("1,2\r3,4\r5,6\r", none, Values{1, 23, 45, 6}));  // the twin: lines that are joined
  const auto table = parse("\"a\rb\",\"c\r\nd\"\r1,2\r");
  BOOST_TEST(table.names == (Names{"a\rb", "c\r\nd"}), boost::test_tools::per_element());
  BOOST_CHECK_EXCEPTION(parse("1,2\r\r3,4\r5\r"), DataError, says({"F.csv:4: 1 fields, where line 1 has 2"}));
}

BOOST_AUTO_TEST_CASE(blanks_of_all_kinds_are_around_fields) {
  for (const std::string_view blank : {" ", "\t", "\f", "\v", "\xC2\xA0", "\xE2\x80\xAF", "\xEF\xBB\xBF", "\f\v "}) {
    BOOST_TEST(reads(fmt::format("{0}1{0},{0}2{0}\n{0}\n3,{0}\"4\"{0}\n", blank), none, one_to_four));
    BOOST_TEST(reads(fmt::format("{0}1{0}2\n3{0}{0}4{0}\n", blank), none, one_to_four, {.separator = ' '}));
  }
  BOOST_TEST(!reads("1,2x\n3,4\n", none, one_to_four));
  BOOST_TEST(!reads("1,2\xC3\xA0\n3,4\n", none, one_to_four));  // a letter with an accent
}

BOOST_AUTO_TEST_CASE(names_in_other_encodings_become_utf8) {
  BOOST_TEST(
      reads("gr\xF6\xDF"
            "e,y\n1,2\n3,4\n",
            {"größe", "y"}, one_to_four));
  BOOST_TEST(parse("\xE9,y\n1,2\n").remark == "ISO 8859-1, header, separator ','");
  BOOST_TEST(reads("größe,y\n1,2\n3,4\n", {"größe", "y"}, one_to_four));
  BOOST_TEST(reads("1\xA0,2\n3,4\n", none, one_to_four));
  for (const char* text : {"", "a", "ö", "€", "😀"}) BOOST_TEST(data::is_utf8(text), text);
  for (const char* text : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\xFF"}) {
    BOOST_TEST(!data::is_utf8(text), text);
  }
  BOOST_CHECK_EXCEPTION(parse(std::string_view("\xFF\xFE"
                                               "1\0",
                                               4)),
                        DataError, says({"UTF-16", "save it in UTF-8"}));
}

BOOST_AUTO_TEST_CASE(quotes_are_taken_off) {
  BOOST_TEST(reads("'x','y'\n'1','2'\n'3','4'\n", xy, one_to_four));
  BOOST_TEST(reads("\"x\";\"y\"\n\"1\";\"2\"\n3;4\n", xy, one_to_four));
  BOOST_TEST(reads("\"the \"\"x\"\"\",y\n1,2\n3,4\n", {"the \"x\"", "y"}, one_to_four));
  // A quote within a field is a character, and an apostrophe is one as well.
  BOOST_TEST(reads("5\" pipe,it's\n1,2\n3,4\n", {"5\" pipe", "it's"}, one_to_four));
  BOOST_CHECK_EXCEPTION(parse("x,y\n1,2\n\n3,\"4\n5,6\n7,8\n"), DataError,
                        says({"F.csv:4: a double quote opens here and is never closed"}));
  BOOST_CHECK_EXCEPTION(parse("x,y\n\"1\n\",\"2\n3,4\n"), DataError, says({"F.csv:3: a double quote opens here"}));
  BOOST_CHECK_EXCEPTION(parse("x,y\n1,2\n\"3,4\n5\",6,7\n1,2\n"), DataError,
                        says({"F.csv:3: 3 fields, where line 1 has 2", "quotes join the lines 3 to 4"}));
  BOOST_CHECK_EXCEPTION(parse("x,y\n1,2\n'3,4',5\n1,2\n"), DataError,
                        says({"F.csv:3: 3 fields", "single quotes do not protect separators"}));
}

BOOST_AUTO_TEST_CASE(tables_of_r_and_pandas) {
  BOOST_TEST(reads(",x,y\n0,0.5,1.5\n1,0.25,2.5\n", {"x1", "x", "y"}, {0, 0.5, 1.5, 1, 0.25, 2.5}));
  BOOST_TEST(reads("\"\",\"x\",\"y\"\n\"1\",0.5,1.5\n", {"x1", "x", "y"}, {1, 0.5, 1.5}));
  BOOST_TEST(reads(",x1,x\n7,1,2\n", {"x1_", "x1", "x"}, {7, 1, 2}));
  BOOST_TEST(reads("\"x\" \"y\"\n\"a\" 1 2\n\"b\" 3 4\n", xy, one_to_four));
  BOOST_TEST(reads("x,y\n1,1,2\n2,3,4\n", xy, one_to_four));
  BOOST_TEST(parse("x,y\n1,1,2\n2,3,4\n").remark == "header, separator ',', names of the rows left out");
  BOOST_TEST(parse("\"\",\"x\"\n\"1\",\"a\"\n\"2\",\"b\"\n").rows() == 2);
  BOOST_TEST(parse(",red\n1,blue\n2,red\n").rows() == 3);
  // The twin: a header of numbers is not short, and rows are not named by fractions.
  BOOST_CHECK_EXCEPTION(parse("5,7\n1,1,2\n2,3,4\n"), DataError, says({"F.csv:2: 3 fields, where line 1 has 2"}));
  BOOST_CHECK_EXCEPTION(parse("My title\n1.5,2\n2.5,4\n"), DataError, says({"F.csv:2: 2 fields", "line before has 1"}));
  BOOST_CHECK_EXCEPTION(parse("x,y\n1,1,2\n2,3\n"), DataError, says({"F.csv:3: 2 fields, where line 2 has 3"}));
}

BOOST_AUTO_TEST_CASE(a_title_is_no_short_header) {
  const auto refused = says({"F.csv:2: ", "are no names of rows", "if the line before is a title, remove it"});
  for (const char* text : {"Title\n5 1\n6 2\n", "x\n2,7\n4,8\n",
                           // R refuses names of rows that are not unique.
                           "x y\nred 1 2\nred 3 4\n", "x,y\n1,1,2\n1,3,4\n"}) {
    BOOST_CHECK_EXCEPTION(parse(text), DataError, refused);
  }
  BOOST_CHECK_EXCEPTION(parse("Population of the world\n1000\t310\n1750\t791\n"), DataError, refused);
  // The twins: names of rows as R writes them.
  for (const char* text : {"x\n1 2\n2 4\n", "\"x\"\n\"a\" 2\n\"b\" 4\n", "x\n0,2\n1,4\n"}) {
    BOOST_TEST(reads(text, {"x"}, {2, 4}), text);
  }
  BOOST_TEST(reads("x y\n7 1 2\n3 3 4\n", xy, one_to_four));
}

BOOST_AUTO_TEST_CASE(names_below_other_lines_are_seen) {
  const auto table = parse("4,2\na,b\n1,2\n3,4\n", {.header = Header::no});
  for (const auto& text : table.text)
    BOOST_TEST(says({"F.csv:2: ", "names of the columns", "line 1"})(DataError(text)));
  // The twins: a column of text, a line that is text in one column only, and a line below many rows.
  const auto below = parse("4,2\n1,2\n3,4\n5,6\n7,8\n9,0\na,b\n1,2\n", {.header = Header::no});
  BOOST_TEST(!says({"names of the columns"})(DataError(below.text[0])));
  BOOST_TEST(!says({"names of the columns"})(DataError(parse("4,2\na,b\nc,2\n", {.header = Header::no}).text[0])));
  BOOST_TEST(!says({"names of the columns"})(DataError(parse("4,2\na,3\n5,2\n", {.header = Header::no}).text[0])));
}

BOOST_AUTO_TEST_CASE(variables_of_octave_are_not_joined) {
  const std::string first =
      "# Created by Octave 7.3.0\n# name: X\n# type: matrix\n# rows: 2\n# columns: 2\n 1 2\n 3 4\n";
  BOOST_TEST(reads(first, none, one_to_four));
  BOOST_CHECK_EXCEPTION(parse(first + "\n\n# name: Y\n# type: matrix\n# rows: 1\n# columns: 2\n 5 6\n"), DataError,
                        says({"F.csv: holds 2 variables of Octave, X, Y"}));
  // Comments of other programs may say what they want.
  BOOST_TEST(parse("# name: a\n1 2\n# name: b\n3 4\n").rows() == 2);
}

BOOST_AUTO_TEST_CASE(names_that_are_numbers) {
  BOOST_TEST(reads("0,1\n0.5,0.1\n0.4,0.2\n", {"0", "1"}, {0.5, 0.1, 0.4, 0.2}));
  BOOST_TEST(reads("2019,2020\n0.5,0.1\n4,0.2\n", {"2019", "2020"}, {0.5, 0.1, 4, 0.2}));
  BOOST_TEST(reads("id,2019\n1,0.1\n2,0.2\n", {"id", "2019"}, {1, 0.1, 2, 0.2}));
  BOOST_TEST(reads(",0,1\n0,0.5,0.1\n", {"x1", "0", "1"}, {0, 0.5, 0.1}));
  const auto table = parse("id,2019,2020\na,0.5,0.1\nb,0.4,0.2\n");
  BOOST_TEST(table.names == (Names{"id", "2019", "2020"}), boost::test_tools::per_element());
  BOOST_TEST(table.rows() == 2);
  // Rows.
  BOOST_TEST(reads("1,2\n3,4\n", none, one_to_four));
  BOOST_TEST(reads("0,1\n0,1\n", none, {0, 1, 0, 1}));
  BOOST_TEST(reads("2019,2020.5\n0.5,0.1\n", none, {2019, 2020.5, 0.5, 0.1}));
  BOOST_TEST(reads("1600,1700\n1500.5,1800.5\n1700,1600\n", none, {1600, 1700, 1500.5, 1800.5, 1700, 1600}));
  BOOST_TEST(parse("5.1,3.5,setosa\n4.9,3.1,virginica\n").rows() == 2);
  BOOST_TEST(parse("red,1,2\nblue,3,4\nred,5,6\n").rows() == 3);
  BOOST_TEST(parse("DE,83,357\nFR,68,643\n").rows() == 2);
  BOOST_TEST(reads("0,1\n", none, {0, 1}));
  BOOST_TEST(parse("STAR\nGALAXY\nSTAR\n").rows() == 3);
  BOOST_TEST(parse("class\nGALAXY\nSTAR\n").rows() == 2);
  // Neither can be told.
  for (const char* text : {"0,1\n2,3\n", "1,2\n0.5,0.7\n", "1990,1991\n5,7\n", "red,1,2\nblue,3,4\n", "a,1\nb,0.5\n",
                           "<0.1,2.5\n0.2,3.5\n", "s,1.5,2.5,3.5\nt,0.1,0.2,0.3\n"}) {
    BOOST_CHECK_EXCEPTION(parse(text), DataError, doubtful);
    // The advice works.
    BOOST_TEST(parse(text, {.header = Header::yes}).rows() == 1, text);
    BOOST_TEST(parse(text, {.header = Header::no}).rows() == 2, text);
  }
}

BOOST_AUTO_TEST_CASE(names_in_a_comment) {
  const Names wxy{"w", "x", "y"};
  for (const char* text : {"#w x y\n1 2 3\n4 5 6\n", "# made by hand\n#  w x y\n1 2 3\n\n4 5 6\n"}) {
    BOOST_TEST(reads(text, wxy, one_to_six));
    BOOST_TEST(reads(text, wxy, one_to_six, {.header = Header::yes}));
    BOOST_TEST(reads(text, {"x1", "x2", "x3"}, one_to_six, {.header = Header::no}));
  }
  BOOST_TEST(reads("# a table of numbers\n1 2\n3 4\n", none, one_to_four));
  BOOST_TEST(reads("# made here\nx y\n1 2\n3 4\n", xy, one_to_four));
  BOOST_TEST(reads("#id,2019\n1,2\n3,4\n", {"id", "2019"}, one_to_four, {.header = Header::yes}));
  BOOST_TEST(parse("# one\n1,2\n #3,4\n5,6\n").remark == "no header, separator ',', 2 comments");
  BOOST_TEST(parse("#N/A,2\n3,4\n").rows() == 2);  // a missing value, not a comment
}

BOOST_AUTO_TEST_CASE(separators_at_the_ends_of_lines) {
  BOOST_TEST(reads("x,y,\n1,2,\n3,4,\n", xy, one_to_four));
  BOOST_TEST(reads("1;2;\n3;4;\n", none, one_to_four));
  BOOST_TEST(reads("x,y\n1,2,\n3,4,\n", xy, one_to_four));
  BOOST_TEST(reads("x\ty\t\t\n1\t2\t\t\n3\t4\t\t\n", xy, one_to_four));
  BOOST_TEST(parse("1,2,\n3,4,\n").remark == "no header, separator ',', empty last column left out");
  BOOST_TEST(parse("1,2,,\n3,4,,\n").remark == "no header, separator ',', 2 empty last columns left out");
  // A column with a name, a value or a mark for missing values is kept.
  BOOST_TEST(parse("x,y,z\n1,2,\n3,4,\n").dimension() == 3);
  BOOST_TEST(parse("x,y,\n1,2,\n3,4,5\n").dimension() == 3);
  BOOST_TEST(parse("x,y,\n1,2,NA\n3,4,NA\n").dimension() == 3);
  BOOST_CHECK_EXCEPTION(parse("1,2\n3,4,\n"), DataError, says({"F.csv:2: 3 fields", "it ends with a separator"}));
}

BOOST_AUTO_TEST_CASE(rows_are_never_dropped) {
  for (const char* text : {"1\t2\n\t\n3\t4\n", "1,2\n,\n3,4\n", "1;2\n ; \n3;4\n", "1|2\n|\n3|4\n"}) {
    const auto table = parse(text);
    BOOST_TEST(table.rows() == 3, text);
    BOOST_TEST(std::isnan(table.values[2]), text);
  }
}

BOOST_AUTO_TEST_CASE(decimal_commas) {
  const Values values{1.5, 2, -0.25, 3000};
  for (const char* text : {"1,5;2\n-0,25;3e3\n", "1,5\t2\n-,25\t3,0E3\n", "1,5|2\n-0,25|3000,0\n",
                           "1,5 2\n-0,25 3000\n", "1,5;2\n-0,25;3.000,0\n", "\"1,5\",2\n\"-0,25\",3000\n"}) {
    BOOST_TEST(reads(text, none, values), text);
    BOOST_TEST(!reads(text, none, values, {.decimal = Decimal::point}), text);
  }
  BOOST_TEST(reads("x;y\n1,5;2\n-0,25;3000\n", xy, values));
  BOOST_TEST(reads("1,234;5\n", none, {1.234, 5}, {.decimal = Decimal::comma}));
  BOOST_TEST(reads("1,234;5\n", none, {1234, 5}, {.decimal = Decimal::point}));
  BOOST_TEST(reads("1,234;5,5\n", none, {1.234, 5.5}));
  BOOST_TEST(reads("1,234;5,500,000\n", none, {1234, 5500000}));
  BOOST_TEST(reads("\"1,234.5\",7\n", none, {1234.5, 7}));
  BOOST_TEST(reads("1,5 2,5\n3,5 4,5\n", none, {1.5, 2.5, 3.5, 4.5}, {.decimal = Decimal::comma}));
  BOOST_TEST(parse("1,5;2\n").remark == "no header, separator ';', decimal commas");

  const auto refuses = [](std::string_view text, std::size_t column, const std::string& part) {
    return says({"F.csv:", part})(DataError(parse(text).text[column]));
  };
  BOOST_TEST(refuses("1,234;5\n2,345;6\n", 0, "'1,234' in column 1 (x1) can be a decimal number or thousands"));
  BOOST_TEST(refuses("1,234;5\n2,345;6\n", 0, "say --decimal comma"));
  BOOST_TEST(refuses("1,5;1.5\n2;6\n", 1, "'1.5' in column 2 (x2) has a decimal point"));
  BOOST_TEST(refuses("1,5;1.500\n2;6\n", 1, "'1.500' in column 2 (x2) has a point"));
  BOOST_TEST(refuses("1,5;1,234,567\n2;6\n", 0, "'1,5' in column 1 (x1) has a decimal comma"));
  BOOST_TEST(refuses("1,5;1,234,567\n2;6\n", 1, "'1,234,567' in column 2 (x2) has commas between thousands"));
  // Text stays text.
  BOOST_TEST(parse("x;name\n1,5;Smith, J\n").text[0].empty());
  BOOST_TEST(!parse("x;name\n1,5;Smith, J\n").text[1].empty());
}

BOOST_AUTO_TEST_CASE(separators_are_found) {
  for (const char* text : {"1|2\n3|4\n", "sep=;\n1;2\n3;4\n", "sep=|\r\n1|2\r\n3|4\r\n", "\"sep=,\"\n1,2\n3,4\n",
                           "1 ,2\n3 ,4\n", "SEP=\t\n1\t2\n3\t4\n"}) {
    BOOST_TEST(reads(text, none, one_to_four), text);
  }
  BOOST_TEST(reads("flux density\n1\n2\n", {"flux density"}, {1, 2}));
  BOOST_TEST(reads("x y\n1\t2\n3\t4\n", xy, one_to_four));  // blanks between names, tabs between numbers
  BOOST_TEST(reads("x\n\"a\"\t1\n\"b\"\t2\n", {"x"}, {1, 2}));
  BOOST_TEST(reads("x a\ty a\n\"1\"\t1\t2\n\"2\"\t3\t4\n", {"x a", "y a"}, one_to_four));
  BOOST_TEST(data::find_separator("a;b c\n1;2\n", false) == ';');
  BOOST_TEST(data::find_separator("a, b;c\n1,5;2\n", false) == ';');
  BOOST_TEST(data::find_separator("\"a;b\",1\n\"c;d\",2\n", false) == ',');
  BOOST_CHECK_EXCEPTION(parse("sep=;\n1;2\n3\n"), DataError, says({"F.csv:3: 1 fields, where line 2 has 2"}));
}

BOOST_AUTO_TEST_CASE(numbers_in_many_spellings) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<const char*, double>> spellings{{"+1", 1},
                                                              {".5", 0.5},
                                                              {"5.", 5},
                                                              {"1.5D+03", 1500},
                                                              {"2d-1", 0.2},
                                                              {"1.d0", 1},
                                                              {"0x1p-3", 0.125},
                                                              {"-0X1.8P1", -3},
                                                              {"0x10", 16},
                                                              {"True", 1},
                                                              {"FALSE", 0},
                                                              {"inf", infinity},
                                                              {"-inf", -infinity},
                                                              {"Infinity", infinity},
                                                              {"1e400", infinity},
                                                              {"-1e400", -infinity},
                                                              {"1e-400", 0},
                                                              {"5e-324", 5e-324},
                                                              {"2.5e-310", 2.5e-310},
                                                              {"1.7976931348623157e308", 1.7976931348623157e308}};
  for (const auto& [text, value] : spellings) {
    BOOST_TEST((data::number_in(text) == value), text);
    if (std::string_view(text).find_first_of("xXTFi") != std::string_view::npos) continue;
    BOOST_TEST((std::strtod(text, nullptr) == value || std::string_view(text).find_first_of("dD") < 4), text);
  }
  for (const char* text : {"nan", "NaN", "-nan", "nan(0x1)", "NAN"}) {
    BOOST_TEST(data::number_in(text).has_value(), text);
    BOOST_TEST(std::isnan(data::number_in(text).value_or(0)), text);
  }
  for (const char* text : {"NA", "N/A", "n/a", "NULL", "null", "None", "?", "-", "#N/A", "<NA>", "", "."}) {
    BOOST_TEST(data::is_missing(text), text);
    BOOST_TEST(std::isnan(parse(fmt::format("x,y\n1,{}\n3,4\n", text)).values[1]), text);
    BOOST_TEST(parse(fmt::format("x,y\n1,{}\n3,4\n", text)).text[1].empty(), text);
  }
  for (const char* text : {"0", "x", "na", "Nothing", "--", "T", "F", "yes"}) {
    BOOST_TEST(!data::is_missing(text), text);
    if (*text != '0') BOOST_TEST(!data::number_in(text), text);
  }
}

BOOST_AUTO_TEST_CASE(uses_of_commas) {
  const std::vector<std::pair<const char*, CommaUse>> uses{{"1,5", CommaUse::decimals},
                                                           {"0,123", CommaUse::decimals},
                                                           {",5", CommaUse::decimals},
                                                           {"1.234,5", CommaUse::decimals},
                                                           {"-1,5e3", CommaUse::decimals},
                                                           {"1234,567", CommaUse::decimals},
                                                           {"1,234,567", CommaUse::separation},
                                                           {"1,234.5", CommaUse::separation},
                                                           {"1,234", CommaUse::either},
                                                           {"-12,345", CommaUse::either},
                                                           {"1,", CommaUse::none},
                                                           {"a,b", CommaUse::none},
                                                           {"1,23,4", CommaUse::none},
                                                           {"1", CommaUse::none},
                                                           {"1,5,", CommaUse::none}};
  for (const auto& [text, use] : uses) BOOST_TEST((data::comma_use(text) == use), text);
}

BOOST_AUTO_TEST_CASE(the_minus_of_unicode_is_a_sign) {
  BOOST_TEST((data::number_in("\u22121.5") == -1.5));
  BOOST_TEST((data::number_in("1.5e\u22123") == 1.5e-3));
  BOOST_TEST((data::number_in("\u2212inf") == -std::numeric_limits<double>::infinity()));
  BOOST_TEST((data::comma_use("\u22121,5") == CommaUse::decimals));
  BOOST_TEST(data::is_missing("\u2212"));
  BOOST_TEST(reads("x;y\n\u22121.5;2\n3;\u22124e\u22121\n", xy, {-1.5, 2, 3, -0.4}));
  BOOST_TEST(reads("x;y\n\u22121,5;2\n3;4\n", xy, {-1.5, 2, 3, 4}));
  // Hyphens and dashes are other characters.
  for (const char* text :
       {"\u20101.5", "\u20111.5", "\u20121.5", "\u20131.5", "\u20141.5", "1\u22122", "\u2212\u22121"}) {
    BOOST_TEST(!data::number_in(text), text);
    BOOST_TEST(!data::is_missing(text), text);
  }
}

BOOST_AUTO_TEST_CASE(blanks_and_apostrophes_are_between_thousands) {
  for (const char* const mark : {" ", "\u00A0", "\u2007", "\u2009", "\u202F", "'", "\u2019"}) {
    const auto number = [&](std::string_view form) { return fmt::format(fmt::runtime(form), mark); };
    BOOST_TEST((data::number_in(number("1{0}234{0}567.5")) == 1234567.5), mark);
    BOOST_TEST((data::number_in(number("-12{0}345")) == -12345), mark);
    BOOST_TEST((data::number_in(number("\u221212{0}345e2")) == -1234500), mark);
    BOOST_TEST((data::number_in(number("1{0}234{0}567,5"), Commas::decimal) == 1234567.5), mark);
    BOOST_TEST(!data::number_in(number("1{0}234{0}567,5"), Commas::thousands), mark);
    BOOST_TEST((data::comma_use(number("1{0}234,567")) == CommaUse::decimals), mark);
    BOOST_TEST(reads(number("x;y\n1{0}234{0}567,5;2\n3;4,5\n"), xy, {1234567.5, 2, 3, 4.5}), mark);
    BOOST_TEST(reads(number("x,y\n1{0}234.5,2\n3,12{0}345\n"), xy, {1234.5, 2, 3, 12345}), mark);
    const auto remark = parse(number("x;y\n1{0}234;2\n")).remark;
    BOOST_TEST(remark.find(*mark == '\'' || mark == std::string_view("\u2019")
                               ? "apostrophes between thousands"
                               : "blanks between thousands") != std::string::npos);
    // Groups are of three digits, of one mark, and the first does not begin with 0.
    for (const char* const form : {"1{0}23", "1{0}2345", "1234{0}567", "012{0}345", "1{0}234{0}56", "1{0}{0}234",
                                   "{0}234", "1{0}234.5{0}000", "a{0}123", "1{0}234,567,890"}) {
      BOOST_TEST(!data::number_in(number(form)), number(form));
    }
  }
  BOOST_TEST(!data::number_in("1 234'567"));
  BOOST_TEST(!data::number_in("1\t234"));
  // Where blanks separate the fields, they are not between thousands.
  BOOST_TEST(reads("1 234\n5 678\n", none, {1, 234, 5, 678}));
  BOOST_TEST(reads("1 234,5\n3 456,5\n", none, {1, 234.5, 3, 456.5}));
  BOOST_TEST(reads("x y\n\"1 234\" 2\n3 4\n", xy, {1234, 2, 3, 4}));
}

BOOST_AUTO_TEST_CASE(a_colon_separates_if_it_is_said) {
  BOOST_TEST(reads("1:2\n3:4\n", none, one_to_four, {.separator = ':'}));
  BOOST_TEST(reads("sep=:\n1:2\n3:4\n", none, one_to_four));
  // Times of the day would be divided, so it is not found by itself.
  BOOST_TEST(!parse("12:30\n13:45\n").text[0].empty());
}

// R and pandas take the first line for names. It is a row: nothing in it stands over a column of another kind.
BOOST_AUTO_TEST_CASE(a_first_column_of_text_is_no_header) {
  for (const char* const text : {"a,1\nb,2\n", "a,1\nb,2\nc,3\n", "a,1\na,2\nb,3\n", "a,1.5\nb,2.5\n"}) {
    const auto table = parse(text);
    BOOST_TEST(!table.named, text);
    BOOST_TEST(table.text[0].starts_with("F.csv:1: 'a' in column 1 (x1) is not a number; leave the column out"), text);
  }
  BOOST_TEST(parse("k,1\nb,2\nc,3\n", {.header = Header::yes}).names == (Names{"k", "1"}));
}

BOOST_AUTO_TEST_CASE(a_line_is_not_blamed_on_its_column) {
  const auto table = parse("x,y\n1,2\n3,abc\n5,6\nx,y\n7,8\n9,1\n");
  BOOST_TEST(table.text[1] ==
             "F.csv:3: 'abc' in column 2 (y) is not a number, as 4 others are; correct the line, or "
             "leave the column out with --exclude 2");
  BOOST_TEST(table.text[0] == "F.csv:5: 'x' in column 1 (x) is not a number; the line repeats the names");
  BOOST_TEST(
      parse("x,y\n1,2\n3,4 # note\n")
          .text[1]
          .starts_with("F.csv:3: '4 # note' in column 2 (y) is not a number, as 1 others are; correct the line"));
  BOOST_TEST(says({"choose what is between them with --separator"})(DataError(parse("1:2\n3:4\n").text[0])));
  const auto ambiguous = parse("a,b,2\nu,v,w\nr,s,t\n", {.header = Header::yes});
  BOOST_TEST(says({"--exclude number:2"})(DataError(ambiguous.text[1])));
}

BOOST_AUTO_TEST_CASE(columns_of_text_have_classes) {
  const auto table = parse("x,kind\n1,STAR\n2,GALAXY\n3,\n4,STAR\n");
  BOOST_REQUIRE(table.labels.size() == 2);
  BOOST_TEST(table.labels[0].classes.empty());
  BOOST_TEST(table.labels[1].classes == (Names{"GALAXY", "STAR"}), boost::test_tools::per_element());
  BOOST_TEST(table.labels[1].rows == (std::vector<Index>{1, 0, -1, 1}), boost::test_tools::per_element());
  const auto mixed = parse("1,a\n2,1\n3,1\n", {.header = Header::no});
  BOOST_TEST(mixed.labels[1].classes == (Names{"1", "a"}), boost::test_tools::per_element());
  BOOST_TEST(parse("1,2\n3,4\n").labels.empty());
  std::string many = "x,id\n";
  for (int i = 0; i <= 10'000; ++i) many += fmt::format("{},id{}\n", i, i);
  BOOST_TEST(parse(many).labels[1].classes.empty());
  BOOST_TEST(parse(many).text[1].ends_with("leave the column out with --exclude 2"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
