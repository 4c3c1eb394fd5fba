#include <pushforward/core/error.hpp>
#include <pushforward/core/option_set.hpp>

#include <says.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>

namespace pushforward::test {

namespace {

struct Fields {
  bool average = true;
  Index batch = 250;
  double rate = 6e-3;
  std::string optimizer = "adam";
  std::vector<Index> hidden{48, 48};
  std::vector<double> fractions{0.8, 0.2};
  std::vector<std::string> columns;
};

struct Set : Fields {
  OptionSet options;

  Set() {
    options.add("train.average", average, "average the weights")
        .add("train.batch", batch, "rows of the global batch", at_least(1, "rows"))
        .add("train.rate", rate, "learning rate", more_than(0))
        .add("train.optimizer", optimizer, "optimizer", one_of({"adam", "adamw"}))
        .add("model.hidden", hidden, "widths", at_least(1, "units"))
        .add("data.fractions", fractions, "parts of the rows", between(0, 1))
        .add("data.columns", columns, "names of columns");
  }
};

// Expects an OptionError with this message.
auto refusal(std::string message) {
  return [message = std::move(message)](const OptionError& error) {
    BOOST_TEST(error.what() == message);
    return true;
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(option_set)

BOOST_FIXTURE_TEST_CASE(texts_set_the_fields, Set) {
  options.set_text("train.average", "off", "flag");
  options.set_text("train.batch", "+17", "flag");
  options.set_text("train.rate", "1e-3", "flag");
  options.set_text("train.optimizer", "adamw", "flag");
  options.set_text("model.hidden", "128, 64", "flag");
  options.set_text("data.fractions", "1", "flag");
  options.set_text("data.columns", "x,,y z", "flag");
  BOOST_TEST(!average);
  BOOST_TEST(batch == 17);
  BOOST_TEST(rate == 1e-3);
  BOOST_TEST(optimizer == "adamw");
  BOOST_TEST((hidden == std::vector<Index>{128, 64}));
  BOOST_TEST((fractions == std::vector<double>{1}));
  BOOST_TEST((columns == std::vector<std::string>{"x", "", "y z"}));
  options.set_text("model.hidden", "", "flag");
  BOOST_TEST(hidden.empty());
}

BOOST_FIXTURE_TEST_CASE(texts_that_are_no_value_of_the_type_are_refused, Set) {
  const auto refused = [&](const char* key, const char* text, const char* type) {
    BOOST_CHECK_EXCEPTION(options.set_text(key, text, "flag --" + std::string(key)), OptionError,
                          refusal(fmt::format("flag --{0}: {0} = {1}: must be {2}", key, text, type)));
  };
  for (const char* text : {"", "1.5", "1e3", "many", "12 ", "0x10", "99999999999999999999"}) {
    refused("train.batch", text, "an integer");
  }
  for (const char* text : {"", "fast", "1e", "1.0.0", "nan", "1e999"}) refused("train.rate", text, "a number");
  for (const char* text : {"", "2", "True"}) refused("train.average", text, "true or false");
  for (const char* text : {"1,", ",1", "1;2", "1.5"}) refused("model.hidden", text, "a list of integers");
}

BOOST_FIXTURE_TEST_CASE(values_against_the_rule_are_refused_and_change_nothing, Set) {
  BOOST_CHECK_EXCEPTION(options.set_text("train.batch", "0", "flag --train.batch"), OptionError,
                        refusal("flag --train.batch: train.batch = 0: must be at least 1 (rows)"));
  BOOST_CHECK_EXCEPTION(options.set("train.rate", 0.0, "run.toml, line 12"), OptionError,
                        refusal("run.toml, line 12: train.rate = 0.0: must be more than 0"));
  BOOST_CHECK_EXCEPTION(options.set("train.optimizer", std::string("sgd"), "f"), OptionError,
                        refusal("f: train.optimizer = \"sgd\": must be one of adam, adamw"));
  BOOST_CHECK_EXCEPTION(options.set("model.hidden", std::vector<Index>{8, 0}, "f"), OptionError,
                        refusal("f: model.hidden = [8, 0]: must be at least 1 (units)"));
  BOOST_TEST(batch == 250);
  BOOST_TEST(rate == 6e-3);
  BOOST_TEST(optimizer == "adam");
  BOOST_TEST((hidden == std::vector<Index>{48, 48}));
}

BOOST_FIXTURE_TEST_CASE(values_of_another_type_are_refused, Set) {
  BOOST_CHECK_EXCEPTION(options.set("train.batch", 2.5, "f"), OptionError,
                        refusal("f: train.batch = 2.5: must be an integer, not a number"));
  BOOST_CHECK_EXCEPTION(options.set("train.average", std::string("yes"), "f"), OptionError,
                        refusal("f: train.average = \"yes\": must be true or false, not a string"));
  BOOST_CHECK_EXCEPTION(options.set("data.fractions", std::vector<std::string>{"a"}, "f"), OptionError,
                        refusal("f: data.fractions = [\"a\"]: must be a list of numbers, not a list of strings"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  BOOST_CHECK_THROW(options.set("train.rate", nan, "f"), OptionError);
  BOOST_CHECK_THROW(options.set("data.fractions", std::vector<double>{0.5, nan}, "f"), OptionError);
}

BOOST_FIXTURE_TEST_CASE(integers_serve_as_numbers_and_an_empty_list_as_any, Set) {
  options.set("train.rate", Index{2}, "f");
  BOOST_TEST(rate == 2.0);
  options.set("data.fractions", std::vector<Index>{1, 0}, "f");
  BOOST_TEST((fractions == std::vector<double>{1, 0}));
  options.set("data.fractions", std::vector<std::string>{}, "f");
  BOOST_TEST(fractions.empty());
}

BOOST_FIXTURE_TEST_CASE(an_unknown_key_is_refused_with_the_nearest, Set) {
  BOOST_CHECK_EXCEPTION(options.set_text("train.bacth", "1", "run.toml, line 3"), OptionError,
                        refusal("run.toml, line 3: unknown key train.bacth (did you mean 'train.batch'?)"));
  BOOST_CHECK_EXCEPTION(options.alias("train.seed!", "--seed"), OptionError, [](const OptionError&) { return true; });
}

BOOST_FIXTURE_TEST_CASE(a_key_added_twice_is_our_fault, Set) {
  BOOST_CHECK_THROW(options.add("train.batch", batch, "again"), BugError);
}

BOOST_AUTO_TEST_CASE(ranges_include_and_exclude_their_ends) {
  struct Case {
    OptionRule rule;
    std::vector<double> allowed, refused;
    std::string text;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Case> cases{{at_least(1, "rows"), {1, 2}, {0.999, nan}, "at least 1 (rows)"},
                                {more_than(0), {1e-300}, {0, -1, nan}, "more than 0"},
                                {between(0, 1), {0, 0.5, 1}, {-0.1, 1.1, nan}, "between 0 and 1"},
                                {strictly_between(0, 1), {0.5}, {0, 1, nan}, "more than 0 and less than 1"},
                                {from_to_below(0, 1), {0, 0.5}, {-0.1, 1, nan}, "at least 0 and less than 1"}};
  for (const auto& [rule, allowed, refused, text] : cases) {
    BOOST_TEST(rule.text == text);
    for (const double x : allowed) BOOST_TEST(rule.number(x), text << ": " << x);
    for (const double x : refused) BOOST_TEST(!rule.number(x), text << ": " << x);
  }
}

BOOST_FIXTURE_TEST_CASE(the_configuration_is_printed_by_tables_with_help, Set) {
  Index threads = 1;
  options.add("threads", threads, "threads of BLAS").add("train.seed", threads, "seed");
  BOOST_TEST(options.to_toml() ==
             "# threads of BLAS\n"
             "threads = 1\n"
             "\n"
             "[train]\n"
             "# average the weights\n"
             "average = true\n"
             "# rows of the global batch; at least 1 (rows)\n"
             "batch = 250\n"
             "# learning rate; more than 0\n"
             "rate = 0.006\n"
             "# optimizer; one of adam, adamw\n"
             "optimizer = \"adam\"\n"
             "# seed\n"
             "seed = 1\n"
             "\n"
             "[model]\n"
             "# widths; at least 1 (units)\n"
             "hidden = [48, 48]\n"
             "\n"
             "[data]\n"
             "# parts of the rows; between 0 and 1\n"
             "fractions = [0.8, 0.2]\n"
             "# names of columns\n"
             "columns = []\n");
}

BOOST_AUTO_TEST_CASE(numbers_are_printed_in_the_fewest_digits_that_read_back_to_them) {
  const double infinity = std::numeric_limits<double>::infinity();
  BOOST_TEST(toml_text(1.0) == "1.0");
  BOOST_TEST(toml_text(-0.0) == "-0.0");
  BOOST_TEST(toml_text(0.1) == "0.1");
  BOOST_TEST(toml_text(1e300) == "1e+300");
  BOOST_TEST(toml_text(infinity) == "inf");
  BOOST_TEST(toml_text(std::numeric_limits<Index>::min()) == "-9223372036854775808");
  double target = 0;
  for (const double x : {0.1 + 0.2, 1.0 / 3, 5e-324, 1.7976931348623157e308, -infinity, 123456789012345680.0}) {
    BOOST_TEST((parse_value(&target, flag_text(x)) == OptionValue(x)), x);
  }
}

BOOST_AUTO_TEST_CASE(strings_are_quoted_and_escaped) {
  BOOST_TEST(toml_text(std::string("a \"b\" \\ c")) == R"("a \"b\" \\ c")");
  BOOST_TEST(toml_text(std::string("tab\tline\nend\x7f")) == R"("tab\u0009line\u000Aend\u007F")");
  BOOST_TEST(toml_text(std::string("größe")) == "\"größe\"");
  BOOST_TEST(toml_text(std::vector<std::string>{"a,b", ""}) == R"(["a,b", ""])");
}

BOOST_FIXTURE_TEST_CASE(lists_of_tables_stand_behind_all_keys, Set) {
  struct Layer {
    Index width = 4;
  };
  std::vector<Layer> layers;
  const auto keys_of = [](Layer& layer) {
    OptionSet keys;
    keys.add("width", layer.width, "units");
    return keys;
  };
  options.add_tables({.key = "model.layers",
                      .help = "layers",
                      .clear = [&] { layers.clear(); },
                      .append = [&](std::string_view) { return keys_of(layers.emplace_back()); },
                      .all =
                          [&] {
                            std::vector<std::pair<std::string, OptionSet>> all;
                            for (auto& layer : layers) all.emplace_back("dense", keys_of(layer));
                            return all;
                          }});
  BOOST_TEST(options.tables("model.hidden") == nullptr);
  const auto* const tables = options.tables("model.layers");
  BOOST_REQUIRE(tables != nullptr);
  const auto empty = options.to_toml();
  BOOST_TEST(empty.find("[[") == std::string::npos);
  tables->append("dense").set_text("width", "7", "test");
  tables->append("dense");
  BOOST_TEST(options.to_toml() == empty +
                                      "\n[[model.layers]]\nkind = \"dense\"\n# units\nwidth = 7\n"
                                      "\n[[model.layers]]\nkind = \"dense\"\n# units\nwidth = 4\n");
  tables->clear();
  BOOST_TEST(options.to_toml() == empty);
}

BOOST_FIXTURE_TEST_CASE(keys_help_and_defaults_are_listed_in_order, Set) {
  BOOST_TEST(options.keys().front() == "train.average");
  BOOST_TEST(options.keys().back() == "data.columns");
  batch = 3;
  const auto& entry = options.at("train.batch", "test");
  BOOST_TEST(flag_text(entry.default_value) == "250");
  BOOST_TEST(help_text(entry) == "rows of the global batch; at least 1 (rows)");
  BOOST_TEST(flag_text(options.at("model.hidden", "test").default_value) == "48,48");
  BOOST_TEST(table_of("train.batch") == "train");
  BOOST_TEST(table_of("threads") == "");
}

BOOST_AUTO_TEST_CASE(keys_of_a_table_are_those_of_a_set_below_its_name) {
  Index width = 4;
  std::string kind = "dense";
  OptionSet inner, options;
  inner.add("width", width, "units", at_least(1)).add("kind", kind, "kind", one_of({"dense", "sparse"}));
  options.add_table("model.base", inner);
  BOOST_TEST(options.keys() == (std::vector<std::string>{"model.base.width", "model.base.kind"}));
  options.set_text("model.base.width", "7", "test");
  BOOST_TEST(width == 7);
  BOOST_TEST(std::get<Index>(options.at("model.base.width", "test").default_value) == 4);
  BOOST_CHECK_EXCEPTION(options.set_text("model.base.width", "0", "test"), OptionError,
                        says({"model.base.width", "at least 1"}));
  BOOST_CHECK_EXCEPTION(options.set_text("model.base.kind", "dens", "test"), OptionError, says({"sparse"}));
  BOOST_CHECK_EXCEPTION(options.set_text("width", "5", "test"), OptionError, says({"width"}));
  BOOST_TEST(options.to_toml() ==
             "[model.base]\n# units; at least 1\nwidth = 7\n# kind; one of dense, sparse\nkind = \"dense\"\n");
  BOOST_CHECK_EXCEPTION(options.add_table("model.base", inner), BugError, says({"model.base.width"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
