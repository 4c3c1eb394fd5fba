#include <pushforward/core/error.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/dataset_writer.hpp>
#include <pushforward/toys/toy.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

namespace pushforward::test {

namespace {

using data::Split;

constexpr data::BySplit<Index> rows{5, 0, 2};

// Each rank draws its share of each split; weights are the row numbers plus one, contexts the samples times two.
void write(const comm::Communicator& comm, const std::string& path, Index slab_elements) {
  const data::ToyDensity moons("moons");
  const data::DatasetLayout layout{.rows = rows,
                                   .dimension = 2,
                                   .weighted = true,
                                   .element = h5::Element::real64,
                                   .feature_names = {"a", "b"},
                                   .entropy = moons.entropy(),
                                   .source = "test",
                                   .context_names = {"c", "d"},
                                   .image_shape = Shape{2, 1, 1},
                                   .periodic = {1}};
  data::DatasetWriter writer(comm, path, layout, slab_elements);
  Index before = 0;
  for (const Split split : {Split::train, Split::test}) {
    const auto mine = comm::share(rows[data::index_of(split)], comm.rank(), comm.size());
    Matrix<double> x(2, mine.count());
    moons.draw(1, before + mine.first, x.view());
    writer.write(split, mine.first, x.view());
    std::vector<double> weights;
    for (Index row = mine.first; row < mine.last; ++row) weights.push_back(static_cast<double>(row + 1));
    writer.write_weights(split, mine.first, weights);
    for (double& value : x.span()) value *= 2;
    writer.write_context(split, mine.first, x.view());
    before += rows[data::index_of(split)];
  }
  writer.commit();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writer)

BOOST_FIXTURE_TEST_CASE(a_dataset_does_not_depend_on_its_ranks, Ranks) {
  const std::string path = scratch_directory() / "data.h5";
  // All at once; two rows at a time, the last slab of a rank being smaller; row by row.
  for (const Index slab_elements : {h5::default_slab_elements, Index{5}, Index{1}}) {
    write(comm, path, slab_elements);
    const data::Dataset dataset(path);
    BOOST_TEST(dataset.rows(Split::train) == 5);
    BOOST_TEST(dataset.rows(Split::validation) == 0);
    BOOST_TEST(dataset.description().feature_names[1] == "b");
    const data::ToyDensity moons("moons");
    BOOST_TEST(dataset.description().entropy.value() == moons.entropy());
    Matrix<double> expected(2, 7), train(2, 5), test(2, 2);
    moons.draw(1, 0, expected.view());
    dataset.read(Split::train, 0, train.view());
    dataset.read(Split::test, 0, test.view());
    BOOST_TEST(on_all_ranks(comm, close_absolute(train.view(), expected.view().columns(0, 5), 0)));
    BOOST_TEST(on_all_ranks(comm, close_absolute(test.view(), expected.view().columns(5, 2), 0)));
    BOOST_TEST(!on_all_ranks(comm, close_absolute(test.view(), expected.view().columns(0, 2), 0)));
    BOOST_TEST(dataset.description().context_names[0] == "c");
    BOOST_TEST((dataset.description().image_shape == Shape{2, 1, 1}));
    BOOST_TEST(dataset.description().periodic == std::vector<Index>{1}, boost::test_tools::per_element());
    dataset.read_context(Split::test, 0, test.view());
    for (double& value : test.span()) value /= 2;
    BOOST_TEST(on_all_ranks(comm, close_absolute(test.view(), expected.view().columns(5, 2), 0)));
    std::vector<double> weights(5);
    dataset.read_weights(Split::train, 0, weights);
    BOOST_TEST(on_all_ranks(comm, close_absolute(weights, std::vector<double>{1, 2, 3, 4, 5}, 0)));
  }
}

BOOST_FIXTURE_TEST_CASE(layouts_at_odds_are_refused, Ranks) {
  const std::string path = scratch_directory() / "data.h5";
  data::DatasetLayout layout{.rows = rows, .dimension = 6, .image_shape = Shape{2, 2, 1}};
  BOOST_CHECK_EXCEPTION(data::DatasetWriter(comm, path, layout), ShapeError, says({"images of 2×2×1 for 6 columns"}));
  layout.image_shape.reset();
  layout.periodic = {0, 6};
  BOOST_CHECK_EXCEPTION(data::DatasetWriter(comm, path, layout), ShapeError, says({"periodic column 6 of 6"}));
  layout.periodic = {};
  layout.spheres = {{4, 6}};
  BOOST_CHECK_EXCEPTION(data::DatasetWriter(comm, path, layout), OptionError, says({"column 6 of a sphere"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
