#include <pushforward/h5/reader.hpp>
#include <pushforward/train/history.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <cmath>
#include <fstream>
#include <sstream>

namespace pushforward::test {

using train::History;
using train::HistoryRow;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

const train::LossNames nll{{"nll", "nat"}, {"nll", "nat"}};
const HistoryRow first{
    .step = 10, .seconds = 0.5, .train_loss = 3.25, .validation = {}, .learning_rate = 0.125, .gradient_norm = 2};
const HistoryRow second{.step = 20,
                        .seconds = 1.5,
                        .train_loss = 3,
                        .validation = {{.mean = 3.5}},
                        .learning_rate = 0.25,
                        .gradient_norm = 1};

}  // namespace

BOOST_AUTO_TEST_SUITE(history)

BOOST_AUTO_TEST_CASE(rows_are_in_the_file_as_soon_as_they_are_added) {
  const auto path = scratch_directory() / "run.csv";
  History history(nll, path.string());
  history.add(first);
  BOOST_TEST(text_of(path) ==
             "step,seconds,train_nll,validation_nll,learning_rate,gradient_norm\n10,0.500,3.25,,0.125,2\n");
  history.add(second);
  BOOST_TEST(text_of(path).ends_with("20,1.500,3,3.5,0.25,1\n"));
}

BOOST_AUTO_TEST_CASE(an_earlier_history_is_kept) {
  const auto path = scratch_directory() / "run.csv";
  std::ofstream(path) << "earlier\n";
  const History history(nll, path.string());
  BOOST_TEST(text_of(path.string() + ".old") == "earlier\n");
}

BOOST_AUTO_TEST_CASE(the_table_goes_into_a_file) {
  const auto path = (scratch_directory() / "model.h5").string();
  History history(nll);
  history.add(first);
  history.add(second);
  h5::FileImage file("test", 1);
  history.write(file.root());
  file.save(path);
  const auto group = h5::open_file(path).group("history");
  BOOST_TEST(group.dataset("step").read<Index>() == (std::vector<Index>{10, 20}), boost::test_tools::per_element());
  BOOST_TEST(close_relative(group.dataset("train_nll").read<double>(), std::vector{3.25, 3.0}, 0));
  const auto validation = group.dataset("validation_nll").read<double>();
  BOOST_TEST(std::isnan(validation[0]));
  BOOST_TEST(validation[1] == 3.5);
}

BOOST_AUTO_TEST_CASE(validations_may_have_two_losses) {
  const auto path = scratch_directory() / "run.csv";
  const train::LossNames names{{"loss", "1"}, {"nll", "nat"}, true};
  History history(names, path.string());
  auto row = second;
  row.validation_loss = 0.75;
  history.add(first);
  history.add(row);
  BOOST_TEST(text_of(path) ==
             "step,seconds,train_loss,validation_nll,validation_loss,learning_rate,gradient_norm\n"
             "10,0.500,3.25,,,0.125,2\n20,1.500,3,3.5,0.75,0.25,1\n");
  const auto model = (scratch_directory() / "model.h5").string();
  h5::FileImage file("test", 1);
  history.write(file.root());
  file.save(model);
  const auto rows = History::read(h5::open_file(model), names);
  BOOST_TEST(!rows[0].validation_loss.has_value());
  BOOST_TEST(*rows[1].validation_loss == 0.75);
  BOOST_TEST(rows[1].learning_rate == 0.25);
}

BOOST_AUTO_TEST_CASE(columns_have_the_name_of_the_loss) {
  const auto path = scratch_directory() / "run.csv";
  History history({{"energy", "eV"}, {"nll", "nat"}}, path.string());
  history.add(first);
  BOOST_TEST(text_of(path).starts_with("step,seconds,train_energy,validation_nll,learning_rate,"));
  const auto model = (scratch_directory() / "model.h5").string();
  h5::FileImage file("test", 1);
  history.write(file.root());
  file.save(model);
  const auto column = h5::open_file(model).group("history").dataset("train_energy");
  BOOST_TEST(column.attribute<std::string>("units") == "eV");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error) {
  BOOST_CHECK_EXCEPTION(History(nll, "/dev/full"), IoError, says({"/dev/full", "No space left"}));
}

BOOST_AUTO_TEST_CASE(a_folder_that_is_missing_is_named) {
  BOOST_CHECK_EXCEPTION(History(nll, "/no/such/run.csv"), IoError, says({"/no/such/run.csv", "--output.history"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
