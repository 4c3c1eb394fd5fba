#include <pushforward/core/angle.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>

namespace pushforward::test {

namespace {

using data::Dataset;
using data::Rows;
using data::Split;

// (d × n), element (i, j) = 10 j + i.
Matrix<double> numbered(Index d, Index n) {
  Matrix<double> x(d, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) x(i, j) = static_cast<double>(10 * j + i);
  }
  return x;
}

ConstMatrixView<double> constant(const Matrix<double>& x) {
  return x;
}

std::string file_with(const std::function<void(const h5::GroupWriter&)>& fill) {
  std::string path = scratch_directory() / "data.h5";
  h5::FileImage image(data::dataset_format, data::dataset_format_version);
  fill(image.root());
  image.save(path);
  return path;
}

std::string example() {
  return file_with([](const h5::GroupWriter& root) {
    root.write("train", constant(numbered(3, 6)));
    root.write("test", constant(numbered(3, 2)));
    root.write("weight/train", std::vector<double>{0, 1, 2, 3, 4, 5});
    root.write_strings("feature_names", std::vector<std::string>{"a", "b", "c"});
    root.attribute("entropy", 1.25);
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dataset)

BOOST_AUTO_TEST_CASE(locations_are_file_and_path) {
  using data::parse_location;
  BOOST_TEST(parse_location("F.h5").file == "F.h5");
  BOOST_TEST(parse_location("F.h5").path == "");
  BOOST_TEST(parse_location("dir/F.h5:/a/b").file == "dir/F.h5");
  BOOST_TEST(parse_location("dir/F.h5:/a/b").path == "/a/b");
  const std::string odd = scratch_directory() / "12:30";
  std::ofstream(odd) << "x";
  BOOST_TEST(parse_location(odd).file == odd);
  BOOST_TEST(parse_location(odd + ":x").path == "x");
}

BOOST_AUTO_TEST_CASE(splits_are_read_by_slabs) {
  const Dataset dataset(example());
  BOOST_TEST(dataset.description().dimension == 3);
  BOOST_TEST(dataset.rows(Split::train) == 6);
  BOOST_TEST(dataset.rows(Split::validation) == 0);
  BOOST_TEST(dataset.rows(Split::test) == 2);
  BOOST_TEST(dataset.description().weighted);
  BOOST_TEST(dataset.description().entropy.value() == 1.25);
  BOOST_TEST(dataset.description().feature_names == (std::vector<std::string>{"a", "b", "c"}),
             boost::test_tools::per_element());
  Matrix<double> x(3, 2);
  dataset.read(Split::train, 3, x.view());
  BOOST_TEST(close_absolute(x.view(), numbered(3, 6).view().columns(3, 2), 0));
  std::vector<double> weights(2);
  dataset.read_weights(Split::train, 4, weights);
  BOOST_TEST(close_absolute(weights, std::vector{4.0, 5.0}, 0));
  dataset.read_weights(Split::test, 0, weights);
  BOOST_TEST(close_absolute(weights, std::vector{1.0, 1.0}, 0));
  BOOST_CHECK_EXCEPTION(dataset.read(Split::test, 1, x.view()), ShapeError, says({"rows [1, 3) of the 2", "test"}));
}

BOOST_AUTO_TEST_CASE(an_array_without_splits_is_divided) {
  constexpr Index rows = 100;
  const auto path = file_with([](const h5::GroupWriter& root) {
    root.write("x", constant(numbered(2, rows)));
    std::vector<double> weights(rows);
    std::iota(weights.begin(), weights.end(), 0.0);
    root.write("weight/x", weights);
  });
  // In one slab; in slabs of 7 rows, the last of which is not full; and row by row.
  for (const Index slab_elements : {data::default_slab_elements, Index{15}, Index{1}}) {
    const Dataset dataset(path + ":/x", {{0.7, 0.2, 0.1}, 3}, slab_elements);
    BOOST_TEST(dataset.rows(Split::train) == 70);
    BOOST_TEST(dataset.description().feature_names == (std::vector<std::string>{"x1", "x2"}),
               boost::test_tools::per_element());
    std::vector<double> seen;
    for (const Split split : data::splits) {
      const Index n = dataset.rows(split);
      Matrix<double> whole(2, n), tail(2, n - 4);
      std::vector<double> weights(n);
      dataset.read(split, 0, whole.view());
      dataset.read(split, 4, tail.view());
      dataset.read_weights(split, 0, weights);
      BOOST_TEST(close_absolute(tail.view(), whole.view().columns(4, n - 4), 0));
      for (Index j = 0; j < n; ++j) {
        BOOST_TEST(whole(1, j) == whole(0, j) + 1);
        BOOST_TEST(whole(0, j) == 10 * weights[j]);
        seen.push_back(whole(0, j) / 10);
      }
    }
    std::ranges::sort(seen);
    std::vector<double> all(rows);
    std::iota(all.begin(), all.end(), 0.0);
    BOOST_TEST(close_absolute(seen, all, 0));  // every row in one split, once
  }
}

BOOST_AUTO_TEST_CASE(rows_of_one_number_may_be_a_line) {
  const auto path = file_with([](const h5::GroupWriter& root) { root.write("x", std::vector{1.0, 2.0, 3.0}); });
  const auto rows = data::open_rows(path + ":x");
  BOOST_TEST(rows.count() == 3);
  BOOST_TEST(rows.dimension() == 1);
  Matrix<float> x(1, 2);
  rows.read(1, x.view());
  BOOST_TEST(x(0, 1) == 3);
}

BOOST_AUTO_TEST_CASE(rows_are_those_of_the_test_split_or_as_named) {
  const auto path = example();
  BOOST_TEST(data::open_rows(path).where() == path + ":/test");
  BOOST_TEST(data::open_rows(path, Split::train).weighted());
  BOOST_TEST(data::open_rows(path + ":/train").weighted());
  BOOST_TEST(Dataset(path + ":/train").description().feature_names.front() == "a");
  BOOST_CHECK_EXCEPTION(data::open_rows(path, Split::validation), DataError, says({path, "no 'validation'"}));
}

BOOST_AUTO_TEST_CASE(values_that_are_no_numbers_are_named_with_their_place) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    auto x = numbered(3, 6);
    x(2, 4) = bad;
    x(0, 5) = x(1, 5) = bad;
    const auto path = file_with([&](const h5::GroupWriter& root) { root.write("train", constant(x)); });
    // Rows 4 and 5 stand in one slab of all rows, in the second of four rows, and in two of one row.
    for (const Index slab_elements : {data::default_slab_elements, Index{12}, Index{1}}) {
      const Dataset dataset(path, {}, slab_elements);
      Matrix<double> slab(3, 3);
      BOOST_CHECK_EXCEPTION(
          dataset.read(Split::train, 2, slab.view()), DataError,
          says({path + ":/train: row 4, column 2", "3 such values in 2 of 6 rows", "--drop-nonfinite"}));
    }
    BOOST_CHECK_EXCEPTION(Dataset(path, {}, 0), OptionError, says({"slabs of 0 elements"}));
    Matrix<double> good(3, 4);
    BOOST_CHECK_NO_THROW(Dataset(path).read(Split::train, 0, good.view()));
  }
}

BOOST_AUTO_TEST_CASE(a_value_beyond_float_is_refused_in_float) {
  auto x = numbered(1, 2);
  x(0, 1) = 1e200;
  const auto rows =
      data::open_rows(file_with([&](const h5::GroupWriter& root) { root.write("train", constant(x)); }), Split::train);
  Matrix<float> single(1, 2);
  BOOST_CHECK_EXCEPTION(rows.read(0, single.view()), DataError, says({"row 1", "too large"}));
}

BOOST_AUTO_TEST_CASE(arrays_that_are_no_data_are_refused) {
  const auto path = file_with([](const h5::GroupWriter& root) {
    const std::vector<double> values(24);
    root.write_array("cube", std::array<Index, 3>{2, 3, 4}, values.data());
    root.write_array("no_rows", std::array<Index, 2>{0, 3}, values.data());
    root.write_array("no_columns", std::array<Index, 2>{3, 0}, values.data());
    root.write_strings("words", std::vector<std::string>{"a"});
    root.write("light", std::vector{1.0, 2.0});
    root.write("weight/light", std::vector{1.0});
    root.write("heavy", std::vector{1.0, 2.0});
    root.write("weight/heavy", std::vector{1.0, -2.0});
  });
  const auto open = [&](const std::string& name) { return Dataset(path + ":/" + name); };
  BOOST_CHECK_EXCEPTION(open("cube"), DataError, says({path + ":/cube", "(2, 3, 4)", "(N, d)"}));
  BOOST_CHECK_EXCEPTION(open("no_rows"), DataError, says({"/no_rows: has no rows"}));
  BOOST_CHECK_EXCEPTION(open("no_columns"), DataError, says({"/no_columns", "d = 0"}));
  BOOST_CHECK_EXCEPTION(open("words"), DataError, says({"/words: holds no numbers"}));
  BOOST_CHECK_EXCEPTION(open("light"), DataError, says({"/weight/light", "(1)", "2 rows"}));
  BOOST_CHECK_EXCEPTION(open("lihgt"), DataError, says({"'lihgt'", "did you mean 'light'?"}));
  std::vector<double> weights(2);
  BOOST_CHECK_EXCEPTION(data::open_rows(path + ":/heavy").read_weights(0, weights), DataError,
                        says({"/weight/heavy", "row 1", "-2"}));
}

BOOST_AUTO_TEST_CASE(files_that_are_no_datasets_are_refused) {
  const auto raw = file_with([](const h5::GroupWriter& root) { root.write("x", std::vector{1.0}); });
  BOOST_CHECK_EXCEPTION(Dataset{raw}, DataError, says({raw, "no dataset 'train'", "FILE:/NAME", "there is x"}));
  const auto mixed = file_with([](const h5::GroupWriter& root) {
    root.write("train", constant(numbered(3, 4)));
    root.write("test", constant(numbered(2, 4)));
  });
  BOOST_CHECK_EXCEPTION(Dataset{mixed}, DataError, says({"/test: rows of 2 numbers", "/train has rows of 3"}));
  const auto misnamed = file_with([](const h5::GroupWriter& root) {
    root.write("train", constant(numbered(3, 4)));
    root.write_strings("feature_names", std::vector<std::string>{"a", "b"});
  });
  BOOST_CHECK_EXCEPTION(Dataset{misnamed}, DataError, says({misnamed, "2 feature names for rows of 3"}));
  BOOST_TEST(Dataset(misnamed + ":/train").description().feature_names.back() == "x3");
  BOOST_CHECK_EXCEPTION(Dataset("absent.h5"), IoError, says({"absent.h5: no such file"}));
}

BOOST_AUTO_TEST_CASE(files_of_another_format_are_no_datasets) {
  const std::string path = scratch_directory() / "tagged.h5";
  const auto tagged = [&](std::string_view format, Index version) {
    h5::FileImage image(format, version);
    image.root().write("train", constant(numbered(2, 4)));
    image.root().write("test", constant(numbered(2, 4)));
    image.save(path);
    return path;
  };
  for (const auto* format : {"pushforward dataset", "pushforward-dataset", "format of somebody"}) {
    BOOST_TEST(Dataset(tagged(format, 1)).description().dimension == 2);
    BOOST_TEST(data::open_rows(path).count() == 4);
  }
  BOOST_TEST(Dataset(tagged("format of somebody", 3)).description().dimension == 2);
  const auto other = says({path + ": is a file of format 'pushforward-samples', not a dataset", "as FILE:/NAME"});
  BOOST_CHECK_EXCEPTION(Dataset(tagged("pushforward-samples", 1)), DataError, other);
  BOOST_CHECK_EXCEPTION(data::open_rows(path), DataError, other);
  BOOST_TEST(Dataset(path + ":/train").description().dimension == 2);
  BOOST_TEST(data::open_rows(path + ":/train").dimension() == 2);
  const auto newer = says({path + ": has format version 3; this program reads up to 2"});
  BOOST_CHECK_EXCEPTION(Dataset(tagged(data::dataset_format, 3)), DataError, newer);
  BOOST_CHECK_EXCEPTION(data::open_rows(path), DataError, newer);
}

BOOST_AUTO_TEST_CASE(contexts_are_read_beside_the_rows) {
  const auto path = file_with([](const h5::GroupWriter& root) {
    root.write("train", constant(numbered(3, 100)));
    root.write("test", constant(numbered(3, 2)));
    root.write("context/train", constant(numbered(2, 100)));
    root.write("context/test", constant(numbered(2, 2)));
    root.write("x", std::vector{1.0, 2.0});
    root.write("context/x", std::vector{3.0, 4.0});
    root.write_strings("context_names", std::vector<std::string>{"heat", "class"});
  });
  const Dataset dataset(path);
  BOOST_TEST(dataset.description().context_dimension() == 2);
  BOOST_TEST(dataset.description().context_names == (std::vector<std::string>{"heat", "class"}),
             boost::test_tools::per_element());
  Matrix<double> contexts(2, 3);
  dataset.read_context(Split::train, 5, contexts.view());
  BOOST_TEST(close_absolute(contexts.view(), numbered(2, 100).view().columns(5, 3), 0));
  Matrix<double> single(2, 1);
  dataset.read_context(Split::test, 1, single.view());
  BOOST_TEST(single(1, 0) == 11);
  BOOST_CHECK_EXCEPTION(dataset.read_context(Split::test, 0, contexts.view()), ShapeError, says({"rows [0, 3) of"}));
  Matrix<double> wide(3, 2);
  BOOST_CHECK_EXCEPTION(dataset.read_context(Split::test, 0, wide.view()), ShapeError, says({"(3 × 2)", "c = 2"}));

  // Divided, each row keeps its context; a line of contexts has one number each.
  for (const Index slab_elements : {data::default_slab_elements, Index{21}}) {
    const Dataset divided(path + ":/train", {{0.5, 0.25, 0.25}, 3}, slab_elements);
    for (const Split split : data::splits) {
      Matrix<double> x(3, divided.rows(split)), c(2, x.cols());
      divided.read(split, 0, x.view());
      divided.read_context(split, 0, c.view());
      BOOST_TEST(close_absolute(c.view(), ConstMatrixView<double>(x).block(0, 0, 2, x.cols()), 0));
    }
  }
  const auto line = data::open_rows(path + ":/x");
  BOOST_TEST(line.context_dimension() == 1);
  Matrix<double> second(1, 1);
  line.read_context(1, second.view());
  BOOST_TEST(second(0, 0) == 4);
  BOOST_TEST(Dataset(path + ":/x", {{0.5, 0.5, 0}, 1}).description().context_names.front() == "c1");
  BOOST_TEST(data::open_rows(path).context_dimension() == 2);

  const Dataset plain(example());
  BOOST_TEST(plain.description().context_dimension() == 0);
  BOOST_TEST(plain.description().context_names.empty());
  Matrix<double> none(0, 2);
  BOOST_CHECK_NO_THROW(plain.read_context(Split::train, 0, none.view()));
}

BOOST_AUTO_TEST_CASE(contexts_that_do_not_fit_are_refused) {
  const auto refused = [](const auto& fill, std::vector<std::string> parts) {
    const auto path = file_with([&](const h5::GroupWriter& root) {
      root.write("train", constant(numbered(3, 4)));
      fill(root);
    });
    BOOST_CHECK_EXCEPTION(Dataset{path}, DataError, says(std::move(parts)));
  };
  refused([](auto& root) { root.write("context/train", constant(numbered(2, 3))); },
          {"/context/train: 3 rows", "each of the 4 rows of", "/train"});
  refused([](auto& root) { root.write_strings("context/train", std::vector<std::string>{"a"}); },
          {"/context/train: holds no numbers"});
  refused(
      [](auto& root) {
        root.write_array("context/train", std::array<Index, 2>{4, 0}, numbered(1, 1).data());
      },
      {"/context/train", "rows of no numbers"});
  refused(
      [](auto& root) {
        root.write("context/train", constant(numbered(2, 4)));
        root.write("test", constant(numbered(3, 1)));
      },
      {"/test: contexts of 0 numbers", "/train has contexts of 2"});
  refused(
      [](auto& root) {
        root.write("context/train", constant(numbered(2, 4)));
        root.write_strings("context_names", std::vector<std::string>{"a"});
      },
      {"1 context names for contexts of 2"});

  auto context = numbered(2, 4);
  context(1, 2) = std::numeric_limits<double>::quiet_NaN();
  const Dataset dataset(file_with([&](const h5::GroupWriter& root) {
    root.write("train", constant(numbered(3, 4)));
    root.write("context/train", constant(context));
  }));
  BOOST_CHECK_EXCEPTION(dataset.read_context(Split::train, 0, context.view()), DataError,
                        says({"/context/train: row 2, column 1", "1 such values in 1 of 4 rows"}));
}

BOOST_AUTO_TEST_CASE(images_and_angles_are_declared_by_attributes) {
  const auto with = [](const char* name, const std::vector<double>& values) {
    return file_with([&](const h5::GroupWriter& root) {
      root.write("train", constant(numbered(12, 4)));
      root.attribute(name, values);
    });
  };
  BOOST_TEST((Dataset(with("image_shape", {3, 2, 2})).description().image_shape == Shape{3, 2, 2}));
  BOOST_TEST(!Dataset(with("other", {3, 2, 2})).description().image_shape.has_value());
  BOOST_TEST(!Dataset(with("image_shape", {3, 2, 2}) + ":/train").description().image_shape.has_value());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::vector<double>> no_shapes{{3, 4},       {3, 2, 3}, {-3, -4, 1},
                                                   {24, 0.5, 1}, {0, 2, 2}, {3, nan, 2}};
  for (const auto& extents : no_shapes) {
    BOOST_CHECK_EXCEPTION(Dataset{with("image_shape", extents)}, DataError,
                          says({"attribute image_shape is (", "number of columns, 12"}));
  }
  std::vector<double> marks(12);
  BOOST_TEST(Dataset(with("periodic", marks)).description().periodic.empty());
  marks[1] = marks[11] = 1;
  BOOST_TEST(Dataset(with("periodic", marks)).description().periodic == (std::vector<Index>{1, 11}),
             boost::test_tools::per_element());
  marks[3] = 2;
  BOOST_CHECK_EXCEPTION(Dataset{with("periodic", marks)}, DataError, says({"periodic is 2 for column 3"}));
  marks.pop_back();
  BOOST_CHECK_EXCEPTION(Dataset{with("periodic", marks)}, DataError, says({"periodic has 11 numbers", "12 columns"}));
  marks.assign(12, 0);
  BOOST_TEST(Dataset(with("spheres", marks)).description().spheres.empty());
  marks[1] = marks[2] = marks[11] = 1;
  BOOST_TEST((Dataset(with("spheres", marks)).description().spheres == std::vector<Sphere>{{1, 2, 11}}));
  marks[3] = 2;
  BOOST_CHECK_EXCEPTION(Dataset{with("spheres", marks)}, DataError,
                        says({"attribute spheres: sphere 2 has 1 columns"}));
  marks.pop_back();
  BOOST_CHECK_EXCEPTION(Dataset{with("spheres", marks)}, DataError, says({"spheres has 11 numbers", "12 columns"}));
}

BOOST_AUTO_TEST_CASE(angles_are_taken_to_one_turn) {
  constexpr double pi = std::numbers::pi;
  BOOST_TEST(wrap_angle<double>(pi) == -pi);
  BOOST_TEST(wrap_angle<double>(-pi) == -pi);
  BOOST_TEST(wrap_angle<double>(3 * pi) == -pi);
  BOOST_TEST(wrap_angle<double>(0.0) == 0);
  BOOST_TEST(wrap_angle<double>(std::nextafter(pi, 0)) == std::nextafter(pi, 0));
  BOOST_TEST(wrap_angle<double>(std::nextafter(pi, 4)) == -std::nextafter(pi, 0));
  for (Index k = -3; k <= 3; ++k) {
    // Numbers below 23 are spaced by at most 2⁻⁴⁸.
    BOOST_TEST(close_absolute(wrap_angle<double>(0.5 + 2 * pi * static_cast<double>(k)), 0.5, 0x1p-48));
  }
  constexpr float single = std::numbers::pi_v<float>;
  BOOST_TEST(wrap_angle<float>(pi) == -single);
  BOOST_TEST(wrap_angle<float>(std::nextafter(pi, 0)) == -single);  // as a float it is π
  BOOST_TEST(wrap_angle<float>(1.5) == 1.5F);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
