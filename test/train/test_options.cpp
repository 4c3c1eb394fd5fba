#include <pushforward/train/options.hpp>

#include <predicates.hpp>
#include <says.hpp>

namespace pushforward::test {

using train::Options;

BOOST_AUTO_TEST_SUITE(options)

BOOST_AUTO_TEST_CASE(defaults_pass_their_own_rules) {
  Options options;
  OptionSet keys = options.declare();
  Options copy;
  OptionSet others = copy.declare();
  for (const auto& entry : keys.entries()) {
    BOOST_CHECK_NO_THROW(others.set(entry.key, entry.default_value, "default"));
  }
  BOOST_TEST(keys.to_toml() == others.to_toml());
}

BOOST_AUTO_TEST_CASE(values_out_of_range_are_refused_with_their_rule) {
  Options options;
  OptionSet keys = options.declare();
  const auto refused = [&](const char* key, const char* value, std::vector<std::string> parts) {
    parts.emplace_back(key);
    BOOST_CHECK_EXCEPTION(keys.set_text(key, value, std::string("flag --") + key), OptionError, says(parts));
  };
  refused("train.batch", "0", {"at least 1"});
  refused("model.lipschitz", "1", {"1"});
  refused("model.hidden", "64,0", {"between 1 and 65536"});
  refused("model.blocks", "100000000000", {"between 0 and 10000"});
  refused("train.learning_rate", "nan", {"nan"});
  refused("train.optimizer", "adamm", {"adam"});
  refused("model.activation", "lipsish", {"lipswish"});
  refused("data.rows", "9", {"at least 10"});
}

BOOST_AUTO_TEST_CASE(history_stands_beside_the_model) {
  Options options;
  options.output.model = "runs/a.flow.h5";
  BOOST_TEST(options.history_path() == "runs/a.flow.csv");
  options.output.history = "h.csv";
  BOOST_TEST(options.history_path() == "h.csv");
}

BOOST_AUTO_TEST_CASE(warm_up_is_no_longer_than_the_run) {
  Options options;
  options.train.steps = 10;
  BOOST_TEST(options.schedule_options().warmup == 10);
  BOOST_TEST(options.validation_interval() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
