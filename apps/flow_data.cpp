// flow_data: makes, imports and describes dataset files.

#include <cli/outputs.hpp>
#include <cli/program.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/dataset_writer.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/import/import.hpp>
#include <pushforward/standardization/standardization.hpp>
#include <pushforward/toys/toy.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace pushforward;
using data::Split;

// The number of rows that are drawn, copied or read at a time.
constexpr Index slab_rows = 1 << 16;

struct Output {
  std::string file;
  std::string precision = "double";
  std::string split = "0.8,0.1,0.1";
  Index seed = 0;

  void add_to(OptionSet& options) {
    options.add("output", file, "dataset file to be written").alias("output", "-o");
    options.add("precision", precision, "precision of the rows in the file", one_of({"double", "float"}));
    options.add("split", split, "fractions of the rows for training, validation and test");
    options.add("seed", seed, "seed of all random numbers", at_least(0));
  }

  h5::Element element() const { return precision == "float" ? h5::Element::real32 : h5::Element::real64; }

  /// Throws if the file cannot be written, before anything is computed. Collective.
  void check(const comm::Communicator& comm, const std::vector<apps::NamedFile>& inputs = {}) const {
    comm::agree(comm, [&] {
      require<OptionError>(!file.empty(), "no output: give -o FILE.h5");
      if (comm.is_root()) apps::check_outputs({{"--output", file}}, inputs);
      apps::require_result_name({"--output", file});
    });
  }
};

struct Make {
  std::string name;
  Index rows = 100'000;
  Output output;
  OptionSet options;

  explicit Make(apps::Program& program) {
    auto& command = program.add_command("make", "Draws rows of a built-in density into a dataset file.");
    command.add_option("NAME", name, join(data::ToyDensity::names()))->required();
    options.add("rows", rows, "rows to draw", at_least(1));
    output.add_to(options);
    program.add_options(options, command);
  }

  /// Every rank draws its share of each split; split follows split in the sequence of samples.
  void run(apps::Program& program) const {
    const auto& comm = program.comm();
    data::DatasetLayout layout;
    comm::agree(comm, [&] {
      const data::ToyDensity density(name);
      layout.rows = data::split_counts(rows, data::parse_fractions(output.split));
      layout.entropy = density.entropy();
    });
    layout.dimension = 2;
    layout.element = output.element();
    layout.feature_names = data::default_names(2);
    layout.source =
        fmt::format("flow_data make {} --rows {} --seed {} --split {}", name, rows, output.seed, output.split);
    output.check(comm);
    if (!program.dry_run()) write(comm, layout);
    auto& console = program.console();
    console.result("{} {}: {} rows for training, {} for validation, {} for test",
                   program.dry_run() ? "would write" : "wrote", output.file, layout.rows[0], layout.rows[1],
                   layout.rows[2]);
    console.result("entropy {:.6f} nats", *layout.entropy);
  }

  void write(const comm::Communicator& comm, const data::DatasetLayout& layout) const {
    const data::ToyDensity density(name);
    data::DatasetWriter writer(comm, output.file, layout);
    Matrix<double> slab(2, slab_rows);
    Index drawn = 0;
    for (const Split split : data::splits) {
      const Index count = layout.rows[data::index_of(split)];
      const auto share = comm::share(count, comm.rank(), comm.size());
      const Index most = comm.max(share.count());
      for (Index done = 0; done < most; done += slab_rows) {
        const Index first = std::min(share.first + done, share.last);
        const auto x = slab.view().columns(0, std::min(slab_rows, share.last - first));
        density.draw(static_cast<std::uint64_t>(output.seed), drawn + first, x);
        writer.write(split, first, x);
      }
      drawn += count;
    }
    writer.commit();
  }
};

// The words for separators, which messages and help name, and the characters themselves.
OptionRule separators() {
  const std::vector<std::string> words{"auto", "comma", "semicolon", "tab", "blank", "pipe", "colon"};
  auto all = words;
  all.insert(all.end(), {",", ";", "|", ":"});
  return {.text = one_of(words).text, .number = {}, .word = one_of(all).word};
}

struct ImportFiles {
  std::vector<std::string> inputs;
  std::string header = "auto", separator = "auto", decimal = "auto", transpose = "auto";
  data::ImportOptions import;
  Output output;
  OptionSet options;

  explicit ImportFiles(apps::Program& program) {
    auto& command =
        program.add_command("import", "Makes a dataset file from CSV, NPY, NPZ, HDF5, IDX and CIFAR files.");
    command.add_option(
        "INPUT", inputs,
        "FILE[:PATH] (csv, npy, npz, h5, idx, bin; gz, xz, bz2, zst), or FILE+LABELS; --split divides the rows");
    auto& assigned = import.assigned;
    options.add("train", assigned[data::index_of(Split::train)], "inputs whose rows are all for training")
        .add("validation", assigned[data::index_of(Split::validation)], "inputs whose rows are all for validation")
        .add("test", assigned[data::index_of(Split::test)], "inputs whose rows are all for test")
        .add("validation-fraction", import.validation_fraction,
             "fraction of the rows of --train that is kept for validation if there are no other validation rows",
             from_to_below(0, 1))
        .add("header", header, "whether text files begin with a line of names", one_of({"auto", "yes", "no"}))
        .add("separator", separator, "separator between the fields of text files, as a word or as the character itself",
             separators())
        .add("decimal", decimal,
             "mark before the decimals of numbers in text files; the other one of point and comma is then between "
             "thousands",
             one_of({"auto", "point", "comma"}))
        .add("transpose", transpose,
             "whether the axes of arrays (a, b) of HDF5 files change places; auto: if MATLAB wrote them",
             one_of({"auto", "yes", "no"}))
        .add("columns", import.columns,
             "columns to keep, by name, number from 1, range 2-5 or *; name:2019 is a name and number:3 is a number if "
             "both are possible")
        .add("exclude", import.exclude, "columns to leave out")
        .add("weight", import.weight, "column that holds the rows' weights")
        .add("context", import.context, "columns that the density is conditioned on")
        .add("one-hot", import.one_hot,
             "contexts that hold classes, 0, 1, … or text; each class becomes a column: COLUMNS[=CLASSES]")
        .add("periodic", import.periodic, "columns that are angles, in radians")
        .add("degrees", import.degrees, "the angles are in degrees and are converted to radians")
        .add("sphere", import.sphere,
             "latitude and longitude, in degrees, of points on a sphere: LAT,LON; three columns x, y, z of a unit "
             "vector take their place")
        .add("image", import.image, "shape of rows that are images: HEIGHT,WIDTH[,CHANNELS], channels fastest")
        .add("drop-nonfinite", import.drop_nonfinite, "drop rows with missing, NaN or infinite values")
        .add("drop-duplicates", import.drop_duplicates, "drop rows that are equal to an earlier row")
        .add("drop-constant", import.drop_constant, "drop columns that have one value only")
        .add("dequantize", import.dequantize,
             "columns that uniform noise on (0, WIDTH) is added to: COLUMNS[=WIDTH], or auto for integer columns")
        .add("shift", import.shift, "number that is added to columns: [COLUMNS=]NUMBER")
        .add("divide", import.divide, "number that columns are divided by, after the shift: [COLUMNS=]NUMBER");
    output.add_to(options);
    program.add_options(options, command);
  }

  void run(apps::Program& program) {
    const auto& comm = program.comm();
    std::vector<apps::NamedFile> files;
    const auto add_files = [&](const std::vector<std::string>& list) {
      for (const auto& input : list) {
        const auto [rows, labels] = data::parse_labelled(input);
        files.push_back({"INPUT", rows});
        files.push_back({"INPUT", labels});
      }
    };
    add_files(inputs);
    for (const auto& assigned : import.assigned) add_files(assigned);
    output.check(comm, files);
    data::Import result;
    comm::agree(comm, [&] {
      if (!comm.is_root()) return;
      result = data::import_tables(settings());
      result.layout.element = output.element();
      if (!program.dry_run()) write(result);
    });
    for (const auto& line : result.report) program.console().result("{}", line);
    program.console().result("{} {}", program.dry_run() ? "would write" : "wrote", output.file);
  }

  data::ImportOptions settings() const {
    using Header = data::CsvFormat::Header;
    data::ImportOptions all = import;
    all.inputs = inputs;
    all.fractions = data::parse_fractions(output.split);
    all.seed = static_cast<std::uint64_t>(output.seed);
    all.format.header = header == "yes" ? Header::yes : header == "no" ? Header::no : Header::automatic;
    all.transpose = transpose == "yes"  ? data::Transpose::yes
                    : transpose == "no" ? data::Transpose::no
                                        : data::Transpose::automatic;
    all.format.separator = separator == "auto"        ? '\0'
                           : separator == "comma"     ? ','
                           : separator == "semicolon" ? ';'
                           : separator == "tab"       ? '\t'
                           : separator == "blank"     ? ' '
                           : separator == "pipe"      ? '|'
                           : separator == "colon"     ? ':'
                                                      : separator.front();
    using Mark = data::CsvFormat::Decimal;
    all.format.decimal = decimal == "point" ? Mark::point : decimal == "comma" ? Mark::comma : Mark::automatic;
    return all;
  }

  /// On rank 0 alone.
  void write(const data::Import& result) const {
    data::DatasetWriter writer(comm::Communicator::self(), output.file, result.layout);
    for (const Split split : data::splits) {
      const auto& part = result.parts[data::index_of(split)];
      if (part.rows() == 0) continue;
      writer.write(split, 0, part.data());
      if (part.contexts > 0) writer.write_context(split, 0, part.context());
      if (result.layout.weighted) writer.write_weights(split, 0, part.weights);
    }
    writer.commit();
  }
};

struct Info {
  std::string file;

  explicit Info(apps::Program& program) {
    auto& command = program.add_command("info", "Describes a dataset: rows, columns, ranges.");
    command.add_option("FILE", file, "FILE.h5, or FILE.h5:/PATH for one array")->required();
  }

  void run(apps::Program& program) const {
    std::vector<std::string> lines;
    comm::agree(program.comm(), [&] {
      if (program.comm().is_root()) lines = describe();
    });
    for (const auto& line : lines) program.console().result("{}", line);
  }

  std::vector<std::string> describe() const {
    std::vector<std::string> lines;
    const bool is_array = !data::parse_location(file).path.empty();
    const data::Dataset dataset(file, {{1, 0, 0}, 0});
    const auto& about = dataset.description();
    lines.push_back(file);
    if (!is_array) {
      const auto root = h5::open_file(file);
      for (const std::string name : {"format", "creator", "created", "source"}) {
        if (root.has_attribute(name))
          lines.push_back(fmt::format("{:<10} {}", name, root.attribute<std::string>(name)));
      }
    }
    if (about.entropy) lines.push_back(fmt::format("{:<10} {:.6f} nats", "entropy", *about.entropy));
    for (const Split split : data::splits) {
      const std::string_view name = is_array ? "rows" : data::split_name(split);
      if (dataset.rows(split) == 0) continue;
      lines.push_back(fmt::format("{:<10} {} × {}{}", name, dataset.rows(split), about.dimension,
                                  about.weighted ? ", weighted" : ""));
    }
    if (about.image_shape) {
      lines.push_back(fmt::format("{:<10} {}", "images", to_string(*about.image_shape)));
    }
    if (!about.periodic.empty()) {
      std::vector<std::string> names;
      for (const Index i : about.periodic) names.push_back(about.feature_names[i]);
      lines.push_back(fmt::format("{:<10} {}", "angles", join_some(names)));
    }
    for (const Sphere& sphere : about.spheres) {
      std::vector<std::string> names;
      for (const Index i : sphere) names.push_back(about.feature_names[i]);
      lines.push_back(fmt::format("{:<10} {}", "unit vector", join_some(names)));
    }
    describe_columns(is_array ? "column" : "column of train", about.feature_names, data::training_moments(dataset),
                     lines);
    if (about.context_dimension() > 0) {
      describe_columns(is_array ? "context" : "context of train", about.context_names, data::context_moments(dataset),
                       lines);
    }
    return lines;
  }

  static void describe_columns(std::string_view title, const std::vector<std::string>& names,
                               const data::Moments& moments, std::vector<std::string>& lines) {
    const auto variances = moments.variances();
    lines.push_back(fmt::format("{:<24} {:>12} {:>12} {:>12} {:>12}", title, "mean", "deviation", "least", "greatest"));
    for (Index i = 0; i < moments.dimension(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      lines.push_back(fmt::format("{:<24} {:>12.6g} {:>12.6g} {:>12.6g} {:>12.6g}{}", names[k], moments.mean()[k],
                                  std::sqrt(variances[k]), moments.least()[k], moments.greatest()[k],
                                  moments.is_constant(i) ? "  constant" : ""));
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(
      argc, argv, "flow_data", "Makes, imports and describes dataset files.", [](apps::Program& program) {
        Make make(program);
        ImportFiles import(program);
        Info info(program);
        if (!program.parse()) return;
        const auto called = [&](const char* name) { return program.cli().get_subcommand(name)->parsed(); };
        if (called("make")) make.run(program);
        if (called("import")) import.run(program);
        if (called("info")) info.run(program);
      });
}
