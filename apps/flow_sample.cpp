// flow_sample: draws from a trained model.

#include <cli/outputs.hpp>
#include <models/context.hpp>
#include <models/integration.hpp>
#include <models/model_file.hpp>
#include <models/report.hpp>
#include <models/table_output.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/table/table.hpp>
#include <pushforward/train/marginals.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace {

using namespace pushforward;

struct Options {
  std::string output = "samples.h5";
  Index rows = 1000;
  Index seed = 0;
  std::string latents;
  std::string context;
  bool geographic = false;
  std::string precision = "double";
  std::string method = "anderson";
  double tolerance = flow::InverseOptions().tolerance;
  Index max_iterations = flow::InverseOptions().max_iterations;
  apps::IntegrationFlags integration{};
  double eta = 0;  // of a stochastic differential equation; 0: none

  bool diffuses() const { return eta > 0; }
};

// Opens the array of latents. Throws DataError if its columns are not those of the model.
data::Rows open_latents(const std::string& location, Index d) {
  auto latents = data::open_rows(location);
  require<DataError>(latents.dimension() == d, "{}: latents of {} columns, and the model has {}", latents.where(),
                     latents.dimension(), d);
  return latents;
}

// The latitudes and longitudes of the unit vectors of three columns among samples.
class Places {
 public:
  // Without wanted, there are none. Throws OptionError if they are wanted and the samples have no such vectors.
  Places(bool wanted, const flow::Domain& about, const std::vector<std::string>& names, Index most) {
    if (!wanted) return;
    std::ranges::copy_if(about.spheres, std::back_inserter(spheres_), [](const Sphere& s) { return s.size() == 3; });
    require<OptionError>(!spheres_.empty(),
                         "--geographic is for unit vectors of three columns, and samples of this model have none");
    for (const Sphere& sphere : spheres_) {
      const auto of =
          spheres_.size() == 1 ? "" : fmt::format(" of {}+{}+{}", names[sphere[0]], names[sphere[1]], names[sphere[2]]);
      names_.push_back("latitude" + of);
      names_.push_back("longitude" + of);
    }
    degrees_ = Matrix<double>(std::ssize(names_), most);
  }

  bool present() const { return !spheres_.empty(); }
  const std::vector<std::string>& names() const { return names_; }

  // x: (d × n) samples.
  void write(h5::ResultFile& file, Index first, ConstMatrixView<double> x) {
    constexpr double degree = std::numbers::pi / 180;
    for (Index j = 0; j < x.cols(); ++j) {
      for (std::size_t k = 0; k < spheres_.size(); ++k) {
        const double a = x(spheres_[k][0], j), b = x(spheres_[k][1], j), c = x(spheres_[k][2], j);
        degrees_(2 * k, j) = std::atan2(c, std::hypot(a, b)) / degree;
        degrees_(2 * k + 1, j) = std::atan2(b, a) / degree;
      }
    }
    file.write_rows<double>("geographic", first, degrees_.view().columns(0, x.cols()));
  }

 private:
  std::vector<Sphere> spheres_;
  std::vector<std::string> names_;
  Matrix<double> degrees_;
};

// Makes the model sample as the options say. Returns a text about it for people, "" if they say nothing.
template <class T>
std::string choose_sampler(flow::Model<T>& model, const Options& options, const std::string& path) {
  const auto& integration = options.integration;
  if (!options.diffuses()) return integration.apply(model);
  require<OptionError>(integration.solver == "model" && integration.tolerance == 0,
                       "--sde has steps of its own and no density: leave --solver and --log_prob_tolerance out");
  require<OptionError>(
      integration.guidance == 1 || integration.guidance == 0,
      "--sde follows the marginals of the paths of training, and a field with --guidance {:g} has others",
      integration.guidance);
  auto text = integration.guide(model);
  if (!text.empty()) text += ", ";
  ode::Diffusion diffusion{.marginals = train::marginals_of_model(path, model.flow().architecture()),
                           .eta = options.eta};
  if (integration.steps > 0) diffusion.steps = integration.steps;
  model.set_diffusion(diffusion);
  return fmt::format("{}the stochastic differential equation with eta = {:g}, in {} {}; they have no density", text,
                     diffusion.eta, diffusion.steps, diffusion.steps == 1 ? "step" : "steps");
}

// The arrays of n samples of d values.
std::vector<h5::RowArray> arrays_of(Index n, Index d, const flow::Domain& data, bool has_density) {
  std::vector<h5::RowArray> arrays{
      {"x", h5::Element::real64, n, d, {.units = "", .long_name = "samples, in the data's units"}},
      {"status",
       h5::Element::integer64,
       n,
       0,
       {.units = "", .long_name = "0 ok, 1 not finite, 2 not converged, 3 not invertible, 4 outside the support"}}};
  if (!has_density) return arrays;
  arrays.push_back({"z", h5::Element::real64, n, d, {.units = "1", .long_name = "latent of each sample"}});
  arrays.push_back(
      {"log_prob", h5::Element::real64, n, 0, {.units = "nat", .long_name = apps::log_prob_name("sample", data)}});
  return arrays;
}

template <class T>
void run(apps::Program& program, const Options& options, const std::string& path) {
  const auto& comm = program.comm();
  auto model = apps::open_model<T>(program, path);
  std::string integration;
  comm::agree(comm, [&] { integration = choose_sampler(model, options, path); });
  if (!integration.empty()) program.console().result("samples of {}", integration);
  auto workspace = flow::FlowWorkspace<T>::within(model.flow(), flow::default_workspace_bytes, apps::workspace_samples,
                                                  nn::Pass::evaluate);
  const Index d = model.dimension();
  std::optional<data::Rows> latents;
  comm::agree(comm, [&] {
    if (!options.latents.empty()) latents.emplace(open_latents(options.latents, d));
  });
  const Index n = latents ? latents->count() : options.rows;
  std::optional<apps::ContextSource> context;
  const Index most = std::min(apps::slab_rows, n);
  const auto& feature_names = model.notes().feature_names;
  const auto names = feature_names.empty() ? data::default_names(d) : feature_names;
  std::optional<Places> places;
  comm::agree(comm, [&] {
    context.emplace(options.context, model.context(), nullptr, n, options.integration.uses_context());
    places.emplace(options.geographic, model.flow().architecture().data, names, most);
  });
  if (program.dry_run()) {
    program.console().result("would draw {} samples of dimension {} into {}", n, d, options.output);
    return;
  }
  const flow::InverseOptions inverse{
      .algorithm = options.method == "newton" ? flow::InverseAlgorithm::newton : flow::InverseAlgorithm::anderson,
      .tolerance = options.tolerance,
      .max_iterations = static_cast<int>(options.max_iterations)};
  const apps::TableOutput output(comm, options.output);
  const bool has_density = !options.diffuses();
  apps::IntegrationColumns columns(has_density && !model.flow().integrations().empty(), most);
  auto arrays = arrays_of(n, d, model.flow().architecture().data, has_density);
  columns.add_arrays(arrays, n);
  if (places->present()) {
    arrays.push_back({"geographic",
                      h5::Element::real64,
                      n,
                      std::ssize(places->names()),
                      {.units = "degree", .long_name = join(places->names(), ", ")}});
  }
  h5::ResultFile file(comm, output.result_file(), "pushforward-samples", 2, arrays, [&](const h5::GroupWriter& root) {
    if (latents) {
      root.attribute("latents", options.latents);
    } else {
      root.attribute("seed", options.seed);
    }
    if (options.diffuses()) root.attribute("sde", options.eta);
    if (options.integration.guidance != 1) root.attribute("guidance", options.integration.guidance);
    if (!options.context.empty()) root.attribute("context", options.context);
    if (const auto& image = model.notes().image) {
      root.attribute("image_shape",
                     std::vector<double>{double(image->height), double(image->width), double(image->channels)});
    }
    if (!feature_names.empty()) root.write_strings("feature_names", feature_names);
  });
  Matrix<double> x(d, most), z(d, most), log_prob(1, most), given(context->dimension(), most);
  Matrix<Index> status_numbers(1, most);
  std::vector<flow::Status> status(most);
  apps::StatusCount statuses;
  apps::in_shared_slabs(comm, n, [&](Index first, Index count) {
    const auto size = static_cast<std::size_t>(count);
    for (Index j = 0; j < count && !latents; ++j) {
      random::Stream stream(static_cast<std::uint64_t>(options.seed), random::Purpose::base_sample, 0,
                            static_cast<std::uint64_t>(first + j));
      model.flow().base().draw(stream, z.view().column_span(j));
    }
    comm::agree(comm, [&] {
      if (latents) latents->read(first, z.view().columns(0, count));
      context->read(first, given.view().columns(0, count));
      model.inverse(z.view().columns(0, count), x.view().columns(0, count), log_prob.span().first(size),
                    std::span(status).first(size), inverse, workspace, given.view().columns(0, count),
                    columns.report(count), {.seed = static_cast<std::uint64_t>(options.seed), .first = first});
    });
    for (std::size_t i = 0; i < size; ++i) {
      statuses.add(status[i]);
      status_numbers.span()[i] = static_cast<Index>(status[i]);
    }
    file.write_rows<double>("x", first, x.view().columns(0, count));
    file.write_rows<Index>("status", first, status_numbers.view().columns(0, count));
    if (places->present()) places->write(file, first, x.view().columns(0, count));
    if (!has_density) return;
    file.write_rows<double>("z", first, z.view().columns(0, count));
    file.write_rows<double>("log_prob", first, log_prob.view().columns(0, count));
    columns.write(file, first, std::span(status).first(size));
  });
  file.commit();
  std::vector<apps::TableColumns> table{{"x", names}};
  if (places->present()) table.push_back({"geographic", places->names()});
  if (has_density) table.push_back({"log_prob", {"log_prob"}});
  table.push_back({"status", {"status"}});
  output.write(table, "x");
  columns.print(comm, program.console());
  program.console().result("wrote {}: {} samples of dimension {}", options.output, n, d);
  const auto failures = statuses.failures(comm);
  if (!failures.empty()) {
    program.console().message("warning: of {} samples: {}; see /status", n, failures);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Draws samples from a trained model. Sample i depends only on the seed and on i. Writes /x, /z, /log_prob and "
      "/status; for continuous flows also /log_prob_error and /evaluations. With --sde it writes /x and /status.";
  return apps::run_program(argc, argv, "flow_sample", summary, [](apps::Program& program) {
    Options options;
    std::string model;
    OptionSet keys;
    keys.add("rows", options.rows, "samples to draw", at_least(1)).alias("rows", "-n");
    keys.add("output", options.output, "result file; .csv has /x, /log_prob and /status, .npy has /x")
        .alias("output", "-o");
    keys.add("seed", options.seed, "seed of the draws", at_least(0));
    keys.add("latents", options.latents,
             "array FILE.h5:/PATH of latents that are mapped to samples, in place of draws from the base density");
    keys.add("context", options.context, apps::context_help);
    keys.add("geographic", options.geographic,
             "also write unit vectors of three columns as latitude and longitude in degrees: /geographic");
    keys.add("precision", options.precision, "precision of the arithmetic", one_of({"float", "double"}));
    keys.add("method", options.method, "algorithm that inverts residual blocks", one_of({"anderson", "newton"}));
    keys.add("tolerance", options.tolerance,
             "bound on the error of a block's inverse, relative to 1 + its norm; rounding sets a lower limit",
             more_than(0));
    keys.add("max_iterations", options.max_iterations, "largest number of iterations of a block's inverse",
             between(1, 1e9));
    options.integration.add_sampler(keys);
    keys.add(
        "sde", options.eta,
        fmt::format("continuous flows that flow matching has trained: draw by the stochastic differential equation "
                    "with this strength of noise, in --steps steps, by default {}. The law of the samples stays "
                    "that of the model, but they have no density, so that there are no /z and /log_prob; 0: none",
                    ode::Diffusion::default_steps),
        at_least(0));
    options.integration.add_tolerance(keys, "log_prob_tolerance");
    options.integration.add_guidance(keys);
    program.cli().add_option("MODEL", model, "model file of flow_train")->required();
    program.add_options(keys, program.cli());
    if (!program.parse()) return;
    comm::agree(program.comm(), [&] {
      for (const char* const key : {"rows", "seed"}) {
        require<OptionError>(options.latents.empty() || !keys.at(key, "").is_set,
                             "--{} has no effect with --latents: each latent gives one sample", key);
      }
      require<OptionError>(options.latents.empty() || !options.diffuses(),
                           "--sde begins with draws from N(0, I), and not with --latents");
      options.integration.require_effect_of_context(options.context);
      apps::require_result_name({"--output", options.output}, true);
      require<OptionError>(!options.geographic || !options.output.ends_with(".npy"),
                           "--geographic has no effect with --output {}: a .npy file has /x only", options.output);
      if (!program.comm().is_root()) return;
      apps::check_outputs({{"--output", options.output}}, {{"MODEL", model}, {"--latents", options.latents}});
    });
    (options.precision == "float" ? run<float> : run<double>)(program, options, model);
  });
}
