// Registries of kinds, choices among them, and options that have no effect.

#include <pushforward/core/registry.hpp>

#include <says.hpp>

#include <boost/test/unit_test.hpp>

namespace pushforward::test {

namespace {

template <class T>
struct Figure {
  virtual ~Figure() = default;
  virtual T area() const = 0;
};

struct CircleOptions {
  static constexpr const char* kind = "circle";
  static constexpr const char* help = "a circle";
  double radius = 2;

  OptionSet declare() {
    OptionSet set;
    set.add("radius", radius, "radius", more_than(0));
    return set;
  }
};
template <class T>
struct Circle final : Figure<T> {
  explicit Circle(const CircleOptions& o) : radius(static_cast<T>(o.radius)) {}
  T area() const override { return 3 * radius * radius; }
  T radius;
};

struct PointOptions {
  static constexpr const char* kind = "point";
  static constexpr const char* help = "nothing";

  OptionSet declare() { return {}; }
};

struct ShapeKind : Kind {
  static Registry<ShapeKind>& registry();
  static constexpr const char* default_kind = "point";
  Maker<Figure, const KindOptions&> maker;
};

template <class T>
struct Point final : Figure<T> {
  T area() const override { return 0; }
};

const ShapeKind circle{kind_of<CircleOptions>(), []<class T>(const KindOptions& o) -> std::unique_ptr<Figure<T>> {
                         return std::make_unique<Circle<T>>(o.as<CircleOptions>());
                       }};
const ShapeKind point{kind_of<PointOptions>(), []<class T>(const KindOptions&) -> std::unique_ptr<Figure<T>> {
                        return std::make_unique<Point<T>>();
                      }};

Registry<ShapeKind>& ShapeKind::registry() {
  static Registry<ShapeKind> kinds("shape", {point, circle});
  return kinds;
}

using Choices = Choice<ShapeKind>;

}  // namespace

BOOST_AUTO_TEST_SUITE(registries)

BOOST_AUTO_TEST_CASE(kinds_are_found_by_name_in_their_order) {
  Registry<ShapeKind> shapes("shape", {point, circle});
  BOOST_TEST(shapes.names() == (std::vector<std::string>{"point", "circle"}));
  BOOST_TEST(shapes.at("circle").help == "a circle");
  BOOST_TEST(shapes.find("square") == nullptr);
  BOOST_CHECK_EXCEPTION(shapes.at("circel"), OptionError,
                        says({"shape 'circel' is unknown (did you mean 'circle'?); there are point, circle"}));
}

BOOST_AUTO_TEST_CASE(kinds_can_be_added_once) {
  Registry<ShapeKind> shapes("shape", {point});
  const ShapeKind& first = shapes.at("point");
  shapes.add(circle);
  BOOST_TEST(shapes.at("circle").name == "circle");
  BOOST_TEST(&first == &shapes.at("point"));
  BOOST_CHECK_EXCEPTION(shapes.add(circle), OptionError, says({"shape 'circle' is registered twice"}));
  BOOST_CHECK_EXCEPTION(shapes.add({}), OptionError, says({"shape: a kind needs a name"}));
}

BOOST_AUTO_TEST_CASE(a_kind_makes_its_object_in_both_precisions) {
  const Choices choice(CircleOptions{.radius = 3});
  BOOST_TEST(choice.chosen().maker.make<float>(choice.options())->area() == 27.0F);
  BOOST_TEST(choice.chosen().maker.make<double>(choice.options())->area() == 27.0);
  BOOST_TEST(choice.options().get_if<PointOptions>() == nullptr);
  BOOST_CHECK_THROW(choice.options().as<PointOptions>(), BugError);
}

BOOST_AUTO_TEST_CASE(copies_have_options_of_their_own) {
  Choices first(CircleOptions{.radius = 3});
  Choices second = first;
  second.as<CircleOptions>().radius = 4;
  BOOST_TEST(first.as<CircleOptions>().radius == 3);
  first = second;
  BOOST_TEST(first.as<CircleOptions>().radius == 4);
}

BOOST_AUTO_TEST_CASE(a_choice_has_the_keys_of_all_kinds) {
  Choices choice;
  BOOST_TEST(choice.kind == "point");
  OptionSet keys = choice.declare("kind", "the shape");
  BOOST_TEST(keys.keys() == (std::vector<std::string>{"kind", "radius"}));
  BOOST_TEST(help_text(keys.at("radius", "test")) == "circle: radius; more than 0");
  keys.set_text("kind", "circle", "test");
  keys.set_text("radius", "5", "test");
  BOOST_TEST(choice.as<CircleOptions>().radius == 5);
  BOOST_CHECK_EXCEPTION(keys.set_text("kind", "square", "test"), OptionError, says({"one of point, circle"}));
  BOOST_CHECK_THROW(Choices("square").chosen(), OptionError);
}

BOOST_AUTO_TEST_CASE(two_kinds_of_a_choice_cannot_have_the_same_key) {
  double one = 1, other = 2;
  std::string kind = "circle";
  OptionSet keys, of_other;
  of_other.add("radius", other, "radius");
  keys.add("kind", kind, "kind").add("radius", one, "radius");
  BOOST_CHECK_EXCEPTION(keys.add_kind("kind", "sphere", of_other), OptionError,
                        says({"kind = 'sphere'", "another kind has the key radius"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(options_without_effect)

// The rule looks at the keys that were set, not at their values.
BOOST_AUTO_TEST_CASE(keys_that_were_set_must_have_an_effect) {
  for (const auto* radius : {"2", "3"}) {
    Choices choice;
    OptionSet keys;
    keys.add_table("shape", choice.declare());
    BOOST_CHECK_NO_THROW(keys.require_effect());
    keys.set_text("shape.radius", radius, "test");
    BOOST_CHECK_EXCEPTION(keys.require_effect(), OptionError,
                          says({"shape.radius does nothing for shape.kind = 'point'; leave it out"}));
    BOOST_CHECK_EXCEPTION(keys.require_effect("run.toml, line 3"), OptionError, says({"run.toml, line 3: shape."}));
    keys.set_text("shape.kind", "circle", "test");
    BOOST_CHECK_NO_THROW(keys.require_effect());
  }
}

BOOST_AUTO_TEST_CASE(an_option_may_need_one_of_several_words) {
  std::string function = "tanh";
  double margin = 0.1;
  OptionSet keys;
  keys.add("function", function, "function").add("margin", margin, "margin");
  keys.only_with("margin", "function", {"logit", "sigmoid"});
  keys.set_text("margin", "0.1", "test");
  BOOST_CHECK_THROW(keys.require_effect(), OptionError);
  for (const auto* word : {"logit", "sigmoid"}) {
    keys.set_text("function", word, "test");
    BOOST_CHECK_NO_THROW(keys.require_effect());
  }
}

// A printed configuration holds every key. A flag after it is held to the rule.
// A key of a kind that depends on another key of the kind needs both: the kind, and the value of that key.
BOOST_AUTO_TEST_CASE(conditions_of_keys_may_be_nested) {
  std::string kind = "plain", coupling = "none";
  double weight = 1;
  OptionSet of_kind;
  of_kind.add("coupling", coupling, "coupling").add("weight", weight, "weight");
  of_kind.only_with("weight", "coupling", {"entropic"});
  OptionSet keys;
  keys.add("kind", kind, "kind").add_kind("kind", "matching", of_kind);
  keys.set_text("weight", "2", "test");
  for (const auto& [of, with, has] : {std::tuple{"plain", "entropic", false},
                                      {"matching", "none", false},
                                      {"matching", "entropic", true},
                                      {"plain", "none", false}}) {
    kind = of;
    coupling = with;
    BOOST_TEST(keys.has_effect(keys.at("weight", "test")) == has, kind << ", " << coupling);
  }
}

BOOST_AUTO_TEST_CASE(a_table_with_all_its_keys_may_hold_defaults_without_effect) {
  Choices choice;
  OptionSet keys;
  keys.add_table("shape", choice.declare());
  keys.set("shape.radius", 2.0, "file");
  keys.accept_printed("shape");
  BOOST_CHECK_THROW(keys.require_effect(), OptionError);
  keys.set("shape.kind", std::string("point"), "file");
  keys.accept_printed("other");
  BOOST_CHECK_THROW(keys.require_effect(), OptionError);
  keys.accept_printed("shape");
  BOOST_CHECK_NO_THROW(keys.require_effect());
  keys.set_text("shape.radius", "2", "flag");
  BOOST_CHECK_THROW(keys.require_effect(), OptionError);
  keys.set("shape.radius", 3.0, "file");
  keys.accept_printed("shape");
  BOOST_CHECK_THROW(keys.require_effect(), OptionError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
