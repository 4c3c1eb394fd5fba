#include <pushforward/import/import.hpp>

#include <pushforward/core/angle.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/import/read_table.hpp>

#include <pushforward/table/columns.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>
#include <numeric>
#include <optional>
#include <set>

namespace pushforward::data {

namespace {

using Report = std::vector<std::string>;

// Tables of the same columns, one after the other.
struct Tables {
  Samples samples;
  std::vector<std::string> sources;
  std::string named_by;                        // the first table that gives names
  std::vector<Index> first_rows;               // of each table
  std::vector<std::vector<std::string>> text;  // complaints of each table, by column
  std::vector<std::vector<Labels>> labels;     // the classes of each table, by column, or empty
  std::optional<Pixels> pixels;
  std::string pixels_by;       // the first table that gives them
  std::vector<Index> classes;  // of each context: their number, 0 where the values tell it, −1 where it is no class
  std::vector<std::vector<std::string>> class_names;  // of each context: the classes if they are text

  void append(Table table, std::optional<Split> split, Report& report) {
    if (sources.empty()) samples.names = default_names(table.dimension());
    require<DataError>(table.dimension() == samples.dimension(), "{}: {} columns, where {} has {}", table.source,
                       table.dimension(), sources.empty() ? "" : sources.front(), samples.dimension());
    if (table.named) {
      if (named_by.empty()) {
        samples.names = table.names;
        named_by = table.source;
      }
      require<DataError>(table.names == samples.names, "{}: columns {}, where {} has {}", table.source,
                         join_some(table.names), named_by, join_some(samples.names));
    }
    if (table.pixels) {
      if (!pixels) {
        pixels = table.pixels;
        pixels_by = table.source;
      }
      require<DataError>(table.pixels->first == pixels->first && table.pixels->shape == pixels->shape,
                         "{}: images of {}, where {} has {}", table.source, to_string(table.pixels->shape), pixels_by,
                         to_string(pixels->shape));
    }
    report.push_back(
        fmt::format("read {}: {} rows, {} columns ({})", table.source, table.rows(), table.dimension(), table.remark));
    const Index first = samples.rows();
    for (Index row = 0; row < table.rows(); ++row) samples.origin.push_back(first + row);
    samples.assigned.resize(samples.origin.size(), split);
    if (samples.values.empty()) {
      samples.values = std::move(table.values);
    } else {
      samples.values.insert(samples.values.end(), table.values.begin(), table.values.end());
    }
    first_rows.push_back(first);
    sources.push_back(std::move(table.source));
    text.push_back(std::move(table.text));
    labels.push_back(std::move(table.labels));
  }

  // "FILE, row 12 (counted from 1)" of a row by its number among all.
  std::string place(Index origin) const {
    const auto table = std::ranges::upper_bound(first_rows, origin) - first_rows.begin() - 1;
    const auto t = static_cast<std::size_t>(table);
    return fmt::format("{}, row {} (counted from 1)", sources[t], origin - first_rows[t] + 1);
  }

  bool holds_text(Index column) const {
    return std::ranges::any_of(text, [&](const auto& complaints) { return !complaints[column].empty(); });
  }

  // Replaces text by the numbers of its classes in the sorted list of all of them, and returns this list.
  std::vector<std::string> number_classes(Index column) {
    std::set<std::string> all;
    for (std::size_t t = 0; t < sources.size(); ++t) {
      require<DataError>(!text[t][column].empty(),
                         "{}: column {} holds numbers, but text in other files; classes are "
                         "all numbers or all text",
                         sources[t], samples.names[column]);
      require<DataError>(!labels[t].empty() && !labels[t][column].classes.empty(), "{}", text[t][column]);
      all.insert(labels[t][column].classes.begin(), labels[t][column].classes.end());
    }
    require<DataError>(std::ssize(all) <= most_classes, "column {}: {} different texts are too many classes",
                       samples.names[column], all.size());
    std::vector<std::string> sorted(all.begin(), all.end());
    const auto x = samples.view();
    for (std::size_t t = 0; t < sources.size(); ++t) {
      const auto& [texts, rows] = labels[t][column];
      std::vector<double> number;
      for (const auto& name : texts) {
        number.push_back(static_cast<double>(std::ranges::lower_bound(sorted, name) - sorted.begin()));
      }
      for (std::size_t row = 0; row < rows.size(); ++row) {
        x(column, first_rows[t] + static_cast<Index>(row)) =
            rows[row] < 0 ? std::numeric_limits<double>::quiet_NaN() : number[rows[row]];
      }
    }
    return sorted;
  }

  // Refuses columns without a value, since no row would be left without those that have none.
  void refuse_empty(std::span<const Index> columns) const {
    const auto x = samples.view();
    for (const Index column : columns) {
      bool empty = true;
      for (Index row = 0; empty && row < x.cols(); ++row) empty = std::isnan(x(column, row));
      if (!empty) continue;
      throw DataError(fmt::format("{}: column {} ({}) has no value in any row; leave it out with --exclude {}",
                                  sources.front(), column + 1, samples.names[column],
                                  selector_of(column, samples.names)));
    }
  }

  void refuse_text(std::span<const Index> columns) const {
    for (const Index column : columns) {
      for (const auto& complaints : text) {
        const auto& complaint = complaints[column];
        require<DataError>(complaint.empty(), "{}", complaint);
      }
    }
  }
};

Tables read_all(const ImportOptions& options, Report& report) {
  Tables tables;
  const auto append = [&](const std::vector<std::string>& locations, std::optional<Split> split) {
    for (const auto& location : locations)
      tables.append(read_table(location, options.format, options.transpose), split, report);
  };
  append(options.inputs, {});
  for (const Split split : splits) append(options.assigned[index_of(split)], split);
  require<OptionError>(!tables.sources.empty(), "nothing to import: give a file, or --train FILE");
  require<OptionError>(!options.inputs.empty() || !options.assigned[index_of(Split::train)].empty(),
                       "nothing to train on: beside --validation and --test give a file, or --train FILE");
  return tables;
}

std::vector<Index> choose_classes(std::span<const Index> contexts, const ImportOptions& options,
                                  std::span<const std::string> names) {
  std::vector<Index> classes(contexts.size(), -1);
  for (const auto& text : options.one_hot) {
    const bool is_name = std::ranges::find(names, text) != names.end();
    const bool has_count = !is_name && text.find('=') != std::string::npos;
    const auto choice = has_count ? parse_column_number(text, "--one-hot") : ColumnNumber{text, 0};
    require<OptionError>(!has_count || (choice.number >= 1 && choice.number <= static_cast<double>(most_classes) &&
                                        choice.number == std::floor(choice.number)),
                         "--one-hot '{}': the number of classes is an integer from 1 to {}", text, most_classes);
    for (const Index column : select_columns(choice.selector, names)) {
      const auto found = std::ranges::find(contexts, column);
      const auto& name = names[column];
      require<OptionError>(found != contexts.end(),
                           "--one-hot '{}': column {} is no context; choose it with --context {}", text, name, name);
      classes[found - contexts.begin()] = static_cast<Index>(choice.number);
    }
  }
  return classes;
}

void choose_columns(Tables& tables, const ImportOptions& options, Report& report) {
  auto& samples = tables.samples;
  std::vector<std::string> excluded = options.exclude;
  if (!options.weight.empty()) {
    const auto chosen = select_columns(std::string_view(options.weight), samples.names);
    require<OptionError>(chosen.size() == 1, "weight column '{}': one column is wanted", options.weight);
    tables.refuse_text(chosen);
    for (Index row = 0; row < samples.rows(); ++row) samples.weights.push_back(samples.view()(chosen[0], row));
    excluded.push_back(options.weight);
    report.push_back(fmt::format("weights from column {}", samples.names[chosen[0]]));
  }
  auto columns =
      select_columns(options.columns.empty() ? std::vector<std::string>{"*"} : options.columns, samples.names);
  const auto contexts = select_columns(options.context, samples.names);
  auto without = select_columns(excluded, samples.names);
  without.insert(without.end(), contexts.begin(), contexts.end());
  std::ranges::sort(without);
  std::erase_if(columns, [&](Index column) { return std::ranges::binary_search(without, column); });
  require<OptionError>(!columns.empty(), "no column is left to import");
  tables.classes = choose_classes(contexts, options, samples.names);
  tables.class_names.resize(contexts.size());
  if (tables.pixels) {
    const auto& [first, shape] = *tables.pixels;
    const bool kept = static_cast<Index>(columns.size()) == shape.size() &&
                      std::ranges::all_of(columns, [next = first](Index column) mutable { return column == next++; });
    if (!kept) {
      report.push_back(fmt::format("note: the columns are not the images of {} that were read", to_string(shape)));
      tables.pixels.reset();
    }
  }
  for (std::size_t k = 0; k < contexts.size(); ++k) {
    if (tables.classes[k] >= 0 && tables.holds_text(contexts[k])) {
      tables.class_names[k] = tables.number_classes(contexts[k]);
    } else {
      tables.refuse_text({&contexts[k], 1});
    }
  }
  tables.refuse_text(columns);
  columns.insert(columns.end(), contexts.begin(), contexts.end());
  tables.refuse_empty(columns);
  if (static_cast<Index>(columns.size()) < samples.dimension()) {
    report.push_back(fmt::format("kept {} of {} columns", columns.size(), samples.dimension()));
  }
  keep_columns(samples, columns);
  samples.contexts = static_cast<Index>(contexts.size());
}

// Refuses rows of which dropping would leave none, and names the column that has the most of their bad values.
void refuse_all_non_finite(const Tables& tables) {
  const auto x = tables.samples.view();
  std::vector<Index> counts;
  for (Index i = 0; i < x.rows(); ++i) {
    counts.push_back(0);
    for (Index j = 0; j < x.cols(); ++j) counts.back() += std::isfinite(x(i, j)) ? 0 : 1;
  }
  const auto worst = std::ranges::max_element(counts);
  throw DataError(
      fmt::format("{}: every row has a value that is missing, NaN or infinite, so no rows are left without them; most, "
                  "{} of {}, are in column {}, which might be left out",
                  tables.sources.front(), *worst, x.cols(), tables.samples.names[worst - counts.begin()]));
}

void handle_non_finite(Tables& tables, bool drop, Report& report) {
  auto& samples = tables.samples;
  const auto finite = finite_rows(samples);
  const auto first = std::ranges::find(finite, false);
  if (first == finite.end()) return;
  const Index row = first - finite.begin();
  const auto values = samples.view().column_span(row);
  const auto bad = std::ranges::find_if(values, [](double v) { return !std::isfinite(v); }) - values.begin();
  const auto column = bad < samples.columns() ? fmt::format("column {}", samples.names[bad]) : "the column of weights";
  const auto count = std::ranges::count(finite, false);
  if (count == samples.rows() && count > 1) refuse_all_non_finite(tables);
  require<DataError>(drop,
                     "{}: the value in {} is missing, NaN or infinite; {} of {} rows have such values. Drop them "
                     "with --drop-nonfinite",
                     tables.place(samples.origin[row]), column, count, samples.rows());
  report.push_back(fmt::format("dropped {} rows with missing, NaN or infinite values", keep_rows(samples, finite)));
}

void check_weights(const Tables& tables) {
  const auto& weights = tables.samples.weights;
  const auto bad = std::ranges::find_if(weights, [](double w) { return !(w >= 0); });
  if (bad == weights.end()) return;
  throw DataError(fmt::format("{}: weight {}; weights are not negative",
                              tables.place(tables.samples.origin[bad - weights.begin()]), *bad));
}

std::string names_of(const Samples& samples, std::span<const Index> columns) {
  std::vector<std::string> names;
  for (const Index column : columns) names.push_back(samples.names[column]);
  return join_some(names);
}

void handle_constant(Samples& samples, bool drop, Report& report) {
  const auto constant = constant_columns(samples);
  if (constant.empty()) return;
  if (!drop) {
    report.push_back(
        fmt::format("note: constant, so without a density: {}; leave out with --drop-constant, or, integers, "
                    "dequantize in training by model.levels",
                    names_of(samples, constant)));
    return;
  }
  report.push_back(fmt::format("dropped constant columns: {}", names_of(samples, constant)));
  std::vector<Index> others;
  for (Index i = 0; i < samples.dimension(); ++i) {
    if (!std::ranges::binary_search(constant, i)) others.push_back(i);
  }
  require<DataError>(!others.empty(), "all columns are constant");
  for (Index i = samples.dimension(); i < samples.columns(); ++i) others.push_back(i);
  keep_columns(samples, others);
}

// Columns of the data, or the context of that name.
std::vector<Index> select_either(const std::string& selector, const Samples& samples) {
  constexpr std::string_view by_name = "name:";
  const std::string_view name = std::string_view(selector).substr(selector.starts_with(by_name) ? by_name.size() : 0);
  const auto context = std::ranges::find(samples.context_names(), name);
  const bool is_data = std::ranges::find(samples.data_names(), name) != samples.data_names().end();
  require<OptionError>(!is_data || context == samples.context_names().end(),
                       "column '{0}' is ambiguous: a column of data and a context have this name; choose the former by "
                       "number",
                       selector);
  if (is_data || context == samples.context_names().end()) return select_columns(selector, samples.data_names());
  return {samples.dimension() + (context - samples.context_names().begin())};
}

// Classes that are text have no value that could be changed.
void refuse_classes(const Tables& tables, std::span<const Index> columns, std::string_view option) {
  const Index d = tables.samples.dimension();
  for (const Index column : columns) {
    require<OptionError>(column < d || tables.class_names[column - d].empty(),
                         "{}: column {} holds classes that are text", option, tables.samples.names[column]);
  }
}

void add_noise(Tables& tables, const ImportOptions& options, Report& report) {
  auto& samples = tables.samples;
  std::vector<bool> done(samples.names.size());
  for (const auto& text : options.dequantize) {
    const bool has_width = text.find('=') != std::string::npos;
    const auto choice = has_width ? parse_column_number(text, "--dequantize") : ColumnNumber{text, 1.0};
    require<OptionError>(choice.number > 0, "--dequantize '{}': the width is positive", text);
    const auto columns = choice.selector == "auto" ? integer_columns(samples) : select_either(choice.selector, samples);
    refuse_classes(tables, columns, "--dequantize");
    for (const Index column : columns) {
      const auto i = static_cast<std::size_t>(column);
      require<OptionError>(!done[i], "--dequantize '{}': column {} was dequantized before", text, samples.names[i]);
      done[i] = true;
    }
    for (const Index column : columns) dequantize(samples, column, choice.number, options.seed);
    report.push_back(columns.empty() ? "no column is integer, so none was dequantized"
                                     : fmt::format("dequantized with uniform noise on (0, {}): {}", choice.number,
                                                   names_of(samples, columns)));
  }
}

void change_scale(Tables& tables, const ImportOptions& options, Report& report) {
  auto& samples = tables.samples;
  for (const auto& text : options.shift) {
    const auto choice = parse_column_number(text, "--shift");
    const auto columns = select_either(choice.selector, samples);
    refuse_classes(tables, columns, "--shift");
    for (const Index column : columns) rescale(samples, column, choice.number, 1);
    report.push_back(fmt::format("added {} to {}", choice.number, names_of(samples, columns)));
  }
  for (const auto& text : options.divide) {
    const auto choice = parse_column_number(text, "--divide");
    require<OptionError>(choice.number != 0, "--divide '{}': division by zero", text);
    const auto columns = select_either(choice.selector, samples);
    refuse_classes(tables, columns, "--divide");
    for (const Index column : columns) rescale(samples, column, 0, choice.number);
    report.push_back(fmt::format("divided by {}: {}", choice.number, names_of(samples, columns)));
  }
}

double largest_magnitude(const Samples& samples, Index column) {
  const auto x = samples.view();
  double largest = 0;
  for (Index j = 0; j < x.cols(); ++j) largest = std::max(largest, std::abs(x(column, j)));
  return largest;
}

std::vector<Sphere> make_sphere(Tables& tables, const ImportOptions& options, Report& report) {
  if (options.sphere.empty()) return {};
  auto& samples = tables.samples;
  const auto columns = select_columns(options.sphere, samples.data_names());
  require<OptionError>(columns.size() == 2, "--sphere {}: two columns are wanted, latitude and longitude",
                       join(options.sphere, ","));
  constexpr double right_angle = 0.5 * std::numbers::pi;
  const auto names = names_of(samples, columns);
  if (largest_magnitude(samples, columns[0]) <= right_angle &&
      largest_magnitude(samples, columns[1]) <= more_than_a_turn) {
    report.push_back(fmt::format(
        "warning: latitudes and longitudes in {} look like radians, but degrees are wanted; --divide {}={:.12g} "
        "takes radians to degrees",
        names, samples.names[columns[0]], std::numbers::pi / 180));
  }
  to_unit_vectors(samples, columns[0], columns[1], [&](Index row) { return tables.place(samples.origin[row]); });
  const Index d = samples.dimension();
  report.push_back(fmt::format("unit vectors x, y, z of latitude and longitude: {}", names));
  return {{d - 3, d - 2, d - 1}};
}

std::vector<Index> wrap_periodic(Samples& samples, const ImportOptions& options, Report& report) {
  require<OptionError>(!options.degrees || !options.periodic.empty(),
                       "--degrees: no column is an angle; choose some with --periodic");
  auto columns = select_columns(options.periodic, samples.data_names());
  std::ranges::sort(columns);
  for (const Index column : columns) {
    const double largest = largest_magnitude(samples, column);
    if (!options.degrees && largest > more_than_a_turn) {
      report.push_back(
          fmt::format("warning: angles of {} reach ±{}, more than a turn in radians; in degrees they want "
                      "--degrees",
                      samples.names[column], largest));
    }
    wrap_angles(samples, column, options.degrees);
  }
  if (!columns.empty()) {
    report.push_back(fmt::format("angles{}, taken to [−π, π): {}", options.degrees ? " from degrees" : "",
                                 names_of(samples, columns)));
  }
  return columns;
}

// Leaves out the classes of rows that were dropped.
void keep_used_classes(Samples& samples, Index column, std::vector<std::string>& classes) {
  const auto x = samples.view();
  std::vector<bool> used(classes.size());
  for (Index j = 0; j < x.cols(); ++j) used[static_cast<std::size_t>(x(column, j))] = true;
  std::vector<double> number(classes.size());
  std::vector<std::string> kept;
  for (std::size_t k = 0; k < classes.size(); ++k) {
    number[k] = static_cast<double>(kept.size());
    if (used[k]) kept.push_back(classes[k]);
  }
  for (Index j = 0; j < x.cols(); ++j) x(column, j) = number[static_cast<std::size_t>(x(column, j))];
  classes = std::move(kept);
}

// Puts a column for each class in the place of those that are classes.
void expand_classes(Tables& tables, Report& report) {
  auto& samples = tables.samples;
  const Index d = samples.dimension();
  for (std::size_t k = tables.classes.size(); k-- > 0;) {
    if (tables.classes[k] < 0) continue;
    const Index column = d + static_cast<Index>(k);
    const auto place = [&](Index row) { return tables.place(samples.origin[row]); };
    const std::string name = samples.names[column];
    auto& classes = tables.class_names[k];
    if (classes.empty()) {
      report.push_back(fmt::format("{}: {} classes", name, one_hot(samples, column, tables.classes[k], place)));
      continue;
    }
    keep_used_classes(samples, column, classes);
    const Index count = std::ssize(classes), wanted = tables.classes[k];
    require<DataError>(wanted == 0 || wanted == count, "--one-hot {}={}: there are {} classes, {}", name, wanted, count,
                       join_some(classes));
    one_hot(samples, column, count, place, classes);
    report.push_back(fmt::format("{}: {} classes, {}", name, count, join_some(classes)));
  }
  if (samples.contexts == 0) return;
  std::vector<Index> columns(samples.contexts);
  std::iota(columns.begin(), columns.end(), d);
  report.push_back(fmt::format("contexts: {}", names_of(samples, columns)));
}

std::optional<Shape> image_shape(const Tables& tables, const ImportOptions& options, Report& report) {
  const Index d = tables.samples.dimension();
  std::optional<Shape> shape;
  if (!options.image.empty()) {
    const auto& extents = options.image;
    require<OptionError>((extents.size() == 2 || extents.size() == 3) && std::ranges::min(extents) > 0,
                         "--image {}: wanted are height, width and, if not 1, channels", fmt::join(extents, ","));
    shape = {extents[0], extents[1], extents.size() == 3 ? extents[2] : 1};
    require<OptionError>(shape->size() == d, "--image {}: images of {} have {} values, but rows have {} columns",
                         fmt::join(extents, ","), to_string(*shape), shape->size(), d);
  } else if (tables.pixels && tables.pixels->shape.size() == d) {
    shape = tables.pixels->shape;
  }
  if (shape) report.push_back(fmt::format("images of {}", to_string(*shape)));
  return shape;
}

// Gives those rows that `open` holds for one of the splits, by fractions.
template <class F>
void divide_rows(Samples& samples, F&& open, const Fractions& fractions, std::uint64_t seed) {
  const auto rows = std::ranges::count_if(samples.assigned, open);
  const auto drawn = divide(rows, fractions, seed);
  auto next = drawn.begin();
  for (auto& split : samples.assigned) {
    if (open(split)) split = *next++;
  }
}

void assign_splits(Samples& samples, const ImportOptions& options, Report& report) {
  const auto is_open = [](const std::optional<Split>& split) { return !split.has_value(); };
  if (std::ranges::any_of(samples.assigned, is_open)) {
    divide_rows(samples, is_open, options.fractions, options.seed);
    return;
  }
  const bool validated = std::ranges::find(samples.assigned, Split::validation) != samples.assigned.end();
  if (validated || options.validation_fraction == 0) return;
  const auto is_train = [](const std::optional<Split>& split) { return split == Split::train; };
  divide_rows(samples, is_train, {1 - options.validation_fraction, options.validation_fraction, 0}, options.seed);
  report.push_back(fmt::format("kept a fraction {} of the training rows for validation", options.validation_fraction));
}

Samples part_of(const Samples& samples, Split split) {
  Samples part;
  part.names = samples.names;
  part.contexts = samples.contexts;
  for (std::size_t j = 0; j < samples.assigned.size(); ++j) {
    if (samples.assigned[j] != split) continue;
    const auto row = samples.view().column_span(static_cast<Index>(j));
    part.values.insert(part.values.end(), row.begin(), row.end());
    part.origin.push_back(samples.origin[j]);
    part.assigned.push_back(split);
    if (!samples.weights.empty()) part.weights.push_back(samples.weights[j]);
  }
  return part;
}

}  // namespace

Import import_tables(const ImportOptions& options) {
  Import result;
  auto& report = result.report;
  Tables tables = read_all(options, report);
  auto& samples = tables.samples;
  choose_columns(tables, options, report);
  handle_non_finite(tables, options.drop_nonfinite, report);
  check_weights(tables);
  if (options.drop_duplicates) {
    report.push_back(fmt::format("dropped {} duplicate rows", keep_rows(samples, first_occurrences(samples))));
  }
  require<DataError>(samples.rows() > 0, "no rows are left to import");
  handle_constant(samples, options.drop_constant, report);
  add_noise(tables, options, report);
  change_scale(tables, options, report);
  auto& layout = result.layout;
  layout.spheres = make_sphere(tables, options, report);
  layout.periodic = wrap_periodic(samples, options, report);
  expand_classes(tables, report);
  layout.image_shape = image_shape(tables, options, report);
  assign_splits(samples, options, report);

  layout.dimension = samples.dimension();
  layout.weighted = !samples.weights.empty();
  layout.feature_names.assign(samples.data_names().begin(), samples.data_names().end());
  layout.context_names.assign(samples.context_names().begin(), samples.context_names().end());
  layout.source = join(tables.sources);
  for (const Split split : splits) {
    auto& part = result.parts[index_of(split)] = part_of(samples, split);
    layout.rows[index_of(split)] = part.rows();
    report.push_back(fmt::format("{}: {} rows", split_name(split), part.rows()));
  }
  require<DataError>(layout.rows[index_of(Split::train)] > 0, "no rows are left to train on");
  return result;
}

}  // namespace pushforward::data
