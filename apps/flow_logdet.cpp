// flow_logdet: compares estimators of log-determinants with the exact one, on a model and data of one's own.

#include <cli/outputs.hpp>
#include <models/context.hpp>
#include <models/divergence_run.hpp>
#include <models/kinds.hpp>
#include <models/log_det_table.hpp>
#include <models/model_file.hpp>
#include <pushforward/analysis/log_det_choice.hpp>
#include <pushforward/analysis/log_det_comparison.hpp>
#include <pushforward/analysis/repeated.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/results.hpp>
#include <pushforward/logdet/estimator.hpp>

#include <set>

namespace {

using namespace pushforward;

struct Options {
  std::string output = "log_det.h5";
  std::string split = "test";
  std::string context;
  Index rows = 1000;
  Index repeats = 20;
  Index probes = 0;
  double budget = 24;
  bool has_budget = false;
  bool gradient = false;
  bool spectrum = false;
  Index seed = 0;
  std::string precision = "double";
};

// The customary estimators in evaluation and in training, and those that we recommend.
const std::vector<std::string> default_methods{"roulette:p=0.5,exact=20,probe=gaussian,length=step",
                                               "roulette:p=0.5,exact=2,probe=gaussian,length=step", "series:10",
                                               "krylov:3", "trace+krylov:3"};

// Continuous flows are compared with the customary estimator [Grathwohl et al. 2019] and with fresh probes.
const std::vector<std::string> default_divergences{"hutchinson:solve,probe=rademacher",
                                                   "hutchinson:step,probe=rademacher",
                                                   "hutchinson:stage,probe=rademacher", "hutchinson:stage"};

// Sets the number of probes, if the method has probes.
void set_probes(logdet::Method& method, Index probes) {
  auto keys = method.declare();
  for (const auto& entry : keys.entries()) {
    if (entry.key == "probes" && keys.has_effect(entry)) keys.set("probes", probes, "--probes");
  }
}

// Parses methods. Those with probes that do not set their number get that of --probes.
std::vector<logdet::Method> parse_methods(const std::vector<std::string>& texts, Index probes) {
  std::vector<logdet::Method> methods;
  std::set<std::string> seen;
  for (const auto& text : texts) {
    auto method = logdet::parse_method(text);
    if (probes > 0 && text.find("probes=") == std::string::npos) set_probes(method, probes);
    require<OptionError>(seen.insert(to_string(method)).second, "--method {} is given twice", text);
    methods.push_back(method);
  }
  return methods;
}

template <class T>
class Comparison {
 public:
  // are_default: whether methods that the model cannot have are left out, or changed so that they fit.
  Comparison(apps::Program& program, const Options& options, std::vector<logdet::Method> methods, bool are_default,
             const std::string& model, const std::string& data)
      : program_(program),
        console_(program.console()),
        comm_(program.comm()),
        options_(options),
        methods_(std::move(methods)),
        model_path_(model),
        data_(data),
        model_(apps::open_model<T>(program, model)),
        integrates_(!model_.flow().integrations().empty() && lipschitz_networks(model_.flow().architecture()).empty()) {
    if (!are_default) return;
    if (integrates_) {
      methods_ = parse_methods(default_divergences, options.probes);
    } else {
      fit_methods();
    }
  }

  void run() {
    if (integrates_) return run_divergences();
    resolve();
    // All methods are compared with it, so it has a line of its own in any case.
    std::erase_if(methods_, [](const logdet::Method& m) { return to_string(m) == "exact"; });
    std::optional<data::Rows> rows;
    std::optional<flow::LogDetComparison<T>> made;
    std::optional<apps::ContextSource> context;
    comm::agree(comm_, [&] {
      rows.emplace(data::open_rows(data_, data::parse_split(options_.split)));
      apps::require_columns(*rows, model_);
      context.emplace(options_.context, model_.context(), &*rows, rows->count());
      made.emplace(model_.flow(), flow::LogDetComparisonOptions{.methods = methods_,
                                                                .repeats = options_.repeats,
                                                                .seed = static_cast<std::uint64_t>(options_.seed),
                                                                .gradient = options_.gradient,
                                                                .spectrum = options_.spectrum});
    });
    const auto& comparison = *made;
    const Index n = options_.rows == 0 ? rows->count() : std::min(options_.rows, rows->count());
    announce(comparison, n);
    if (program_.dry_run()) {
      console_.result("would compare {} methods on {} rows into {}", methods_.size(), n, options_.output);
      return;
    }
    h5::ResultFile file(comm_, options_.output, "pushforward-log-det", 2, arrays(comparison, n),
                        [&](const h5::GroupWriter& root) { describe(root, comparison, *rows); });
    compare(file, comparison, *rows, *context, n);
    file.commit();
    console_.result("wrote {}", options_.output);
  }

 private:
  // The comparison of a model whose log-dets are integrals of divergences.
  void run_divergences() {
    std::optional<data::Rows> rows;
    std::optional<apps::ContextSource> context;
    apps::DivergenceRunOptions run{.output = options_.output, .model = model_path_, .data = data_, .comparison = {}};
    comm::agree(comm_, [&] {
      rows.emplace(data::open_rows(data_, data::parse_split(options_.split)));
      apps::require_columns(*rows, model_);
      context.emplace(options_.context, model_.context(), &*rows, rows->count());
      run.rows = options_.rows == 0 ? rows->count() : std::min(options_.rows, rows->count());
      std::erase_if(methods_, [](const logdet::Method& m) { return m.exact(); });
      for (const auto& method : methods_) {
        require<OptionError>(method.kind() == logdet::HutchinsonOptions::kind,
                             "--method {}: a continuous flow takes hutchinson", to_string(method));
      }
      require<OptionError>(!options_.gradient && !options_.spectrum && !options_.has_budget,
                           "--gradient, --spectrum and --budget are for residual blocks, and this model is {}",
                           summary(model_.flow().architecture()));
    });
    run.comparison = {
        .methods = methods_, .repeats = options_.repeats, .seed = static_cast<std::uint64_t>(options_.seed)};
    apps::run_divergences(program_, model_, *rows, *context, run);
  }

  void fit_methods() {
    const auto networks = lipschitz_networks(model_.flow().architecture());
    for (auto& method : methods_) {
      const bool takes_steps = method.kind() == "krylov" || method.kind() == "trace+krylov";
      for (const auto& network : networks) {
        if (takes_steps) method.declare().set("terms", std::min<Index>(3, network.in), "methods");
      }
    }
    std::erase_if(methods_, [&](const logdet::Method& method) {
      return !std::ranges::all_of(networks, [&](const auto& network) { return fits(method, network); });
    });
  }

  static bool fits(const logdet::Method& method, const nn::NetworkOptions& network) {
    try {
      logdet::make_estimator<T>(method, network);
      return true;
    } catch (const OptionError&) {
      return false;
    }
  }

  // Completes what the methods leave open. `auto` may become a method that is there already.
  void resolve() {
    const auto network = flow::largest_contraction(model_.flow().architecture());
    if (!network) return;  // which the comparison says
    std::vector<logdet::Method> settled;
    for (const auto& method : methods_) {
      std::string why;
      auto chosen =
          flow::complete_log_det<T>(comm_, method, *network, nn::Pass::evaluate, apps::workspace_samples, why);
      if (!why.empty()) {
        console_.message("{}", why);
        if (options_.probes > 0) set_probes(chosen, options_.probes);
      }
      const auto same = [&](const logdet::Method& m) { return to_string(m) == to_string(chosen); };
      if (std::ranges::none_of(settled, same)) settled.push_back(chosen);
    }
    methods_ = std::move(settled);
  }

  void announce(const flow::LogDetComparison<T>& comparison, Index n) {
    const auto analytic = std::ssize(model_.flow().transforms()) - std::ssize(comparison.blocks());
    console_.message("{} rows of {}, {} repeats, {} residual blocks of dimension {}", n, data_, options_.repeats,
                     comparison.blocks().size(), model_.dimension());
    if (analytic > 0) {
      console_.message("the log-dets of the other {} transforms are analytic: there is nothing to estimate", analytic);
    }
    for (const auto& method : methods_) {
      const auto warning = method.warning(flow::largest_lipschitz(model_.flow()));
      if (!warning.empty()) console_.message("warning: {}", warning);
    }
  }

  // Groups: the sum over blocks at the root, each block below /blocks.
  std::string path(std::size_t part, const flow::LogDetComparison<T>& comparison) const {
    return part == 0 ? std::string() : fmt::format("blocks/{:03d}/", comparison.blocks()[part - 1]);
  }

  std::vector<h5::RowArray> arrays(const flow::LogDetComparison<T>& comparison, Index n) const {
    const auto real = h5::Element::real64;
    std::vector<h5::RowArray> all{
        {"status", h5::Element::integer64, n, 0, {"", "0 ok, 1 not finite, 3 not invertible"}}};
    for (std::size_t part = 0; part <= comparison.blocks().size(); ++part) {
      const auto at = path(part, comparison);
      all.push_back({at + "log_det/exact", real, n, 0, {"nat", "log-det by LU"}});
      if (options_.gradient) all.push_back({at + "log_det/gradient_norm", real, n, 0, {"1", "norm of the gradient"}});
      if (options_.spectrum && part > 0) {
        all.push_back({at + "spectral_radius", real, n, 0, {"1", "largest modulus of an eigenvalue of J"}});
        all.push_back({at + "norm", real, n, 0, {"1", "largest singular value of J"}});
      }
      for (std::size_t m = 0; m < methods_.size(); ++m) {
        const auto group = fmt::format("{}log_det/{}/", at, to_string(methods_[m]));
        const Index r = comparison.repeats(m);
        all.push_back({group + "value", real, n, 0, {"nat", "one draw of each row"}, r});
        all.push_back({group + "terms", h5::Element::integer64, n, 0, {"1", "products with J or its transpose"}, r});
        if (options_.gradient) {
          all.push_back({group + "gradient_error", real, n, 0, {"1", "norm of the gradient's error"}, r});
        }
      }
    }
    return all;
  }

  void describe(const h5::GroupWriter& root, const flow::LogDetComparison<T>& comparison,
                const data::Rows& rows) const {
    root.attribute("dimension", model_.dimension());
    root.attribute("repeats", options_.repeats);
    root.attribute("seed", options_.seed);
    root.attribute("precision", options_.precision);
    root.attribute("budget", options_.budget);
    root.attribute("model", model_path_);
    root.attribute("data", rows.where());
    std::vector<std::string> names;
    for (const auto& method : methods_) names.push_back(to_string(method));
    root.write_strings("methods", names);
    root.write("block", comparison.blocks(), {"", "transforms of the model that are residual blocks"});
  }

  void compare(h5::ResultFile& file, const flow::LogDetComparison<T>& comparison, const data::Rows& rows,
               const apps::ContextSource& context, Index n) {
    const Index d = model_.dimension();
    std::vector<Index> repeats;
    for (std::size_t m = 0; m < methods_.size(); ++m) repeats.push_back(comparison.repeats(m));
    std::vector<apps::LogDetSums> sums(1 + comparison.blocks().size(), apps::LogDetSums(repeats));
    apps::StatusCount statuses;
    const auto mine = comm::share(n, comm_.rank(), comm_.size());
    const Index most = comm::share(n, 0, comm_.size()).count();
    const Index slab = slab_rows(comparison);
    for (Index done = 0; done < most; done += slab) {
      const Index first = std::min(mine.first + done, mine.last), count = std::min(slab, mine.last - first);
      Matrix<double> x(d, count), given(context.dimension(), count);
      Matrix<T> standardized(d, count), standardized_context(context.dimension(), count);
      std::vector<flow::Status> status(count);
      comm::agree(comm_, [&] {
        rows.read_unchecked(first, x);
        context.read(first, given);
      });
      model_.standardization().forward(x, standardized.view());
      if (model_.context()) model_.context()->standardization.forward(given, standardized_context.view());
      const auto parts = comparison.run(standardized, first, status, standardized_context);
      Matrix<Index> numbers(1, count);
      for (std::size_t i = 0; i < status.size(); ++i) {
        statuses.add(status[i]);
        numbers.span()[i] = static_cast<Index>(status[i]);
      }
      file.write_rows<Index>("status", first, numbers.view());
      for (std::size_t p = 0; p < parts.size(); ++p) {
        sums[p].add(parts[p]);
        write(file, path(p, comparison), first, parts[p]);
      }
    }
    for (auto& s : sums) s.sum(comm_);
    file.amend([&](const h5::GroupWriter& root) {
      for (std::size_t p = 0; p < sums.size(); ++p) {
        sums[p].write(root.group("/" + path(p, comparison) + "log_det"), summarize(sums[p], p, comparison));
      }
    });
    print_tables(comparison, sums);
    const auto failures = statuses.failures(comm_);
    if (!failures.empty()) console_.message("warning: of {} rows: {}; the table leaves them out", n, failures);
  }

  // As many as keep what a slab gives within 64 MB.
  Index slab_rows(const flow::LogDetComparison<T>& comparison) const {
    Index repeats = 4;
    for (std::size_t m = 0; m < methods_.size(); ++m) repeats += (options_.gradient ? 3 : 2) * comparison.repeats(m);
    const Index row = 8 * repeats * (1 + std::ssize(comparison.blocks()));
    return std::clamp<Index>(64'000'000 / row, 1, apps::slab_rows);
  }

  void write(h5::ResultFile& file, const std::string& at, Index first, const flow::LogDetPart& part) const {
    const auto row = [&](const std::string& name, const std::vector<double>& values, bool there) {
      if (there) file.write_rows<double>(at + name, first, {values.data(), 1, std::ssize(values)});
    };
    row("log_det/exact", part.exact, true);
    row("log_det/gradient_norm", part.gradient_norm, options_.gradient);
    row("spectral_radius", part.spectral_radius, options_.spectrum && !at.empty());
    row("norm", part.norm, options_.spectrum && !at.empty());
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      const auto group = fmt::format("{}log_det/{}/", at, to_string(methods_[m]));
      file.write_rows<double>(group + "value", first, part.draws[m].value.view());
      file.write_rows<Index>(group + "terms", first, part.draws[m].products.view());
      if (options_.gradient) {
        file.write_rows<double>(group + "gradient_error", first, part.draws[m].gradient_error.view());
      }
    }
  }

  std::vector<apps::LogDetSummary> summarize(const apps::LogDetSums& sums, std::size_t part,
                                             const flow::LogDetComparison<T>& comparison) const {
    std::vector<double> bounds;
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      double bound = 0;
      for (std::size_t b = 0; b < comparison.blocks().size(); ++b) {
        if (part == 0 || part == b + 1) bound += comparison.bias_bound(m, b);
      }
      bounds.push_back(bound);
    }
    const auto blocks = part == 0 ? std::ssize(comparison.blocks()) : Index{1};
    return sums.summarize(methods_, bounds, options_.budget * static_cast<double>(blocks));
  }

  // The sum over blocks comes last.
  void print_tables(const flow::LogDetComparison<T>& comparison, const std::vector<apps::LogDetSums>& sums) {
    for (std::size_t b = 0; b < comparison.blocks().size(); ++b) {
      const auto& network = *lipschitz_network(*model_.flow().transforms()[comparison.blocks()[b]]);
      const auto title = fmt::format("transform {}, Lipschitz {:.3g}", comparison.blocks()[b], network.lipschitz());
      console_.print(apps::log_det_table(title, sums[1 + b], summarize(sums[1 + b], 1 + b, comparison)));
    }
    if (comparison.blocks().size() == 1) return;
    console_.print(apps::log_det_table("all blocks", sums[0], summarize(sums[0], 0, comparison)));
  }

  apps::Program& program_;
  apps::Console& console_;
  const comm::Communicator& comm_;
  const Options& options_;
  std::vector<logdet::Method> methods_;
  const std::string &model_path_, &data_;
  flow::Model<T> model_;
  bool integrates_;
};

template <class T>
void run(apps::Program& program, const Options& options, const std::vector<logdet::Method>& methods, bool are_default,
         const std::string& model, const std::string& data) {
  Comparison<T>(program, options, methods, are_default, model, data).run();
}

}  // namespace

int main(int argc, char** argv) {
  const char* const summary =
      "Compares estimators of log-determinants with exact ones on the rows of a dataset, for each residual block and "
      "in "
      "total. Prints bias, standard deviation, root mean square error (nats), a bound on the bias, products with the "
      "Jacobian and seconds. For continuous flows it compares log p with estimates of the divergence, and prints the "
      "mean importance weight. Writes every draw to HDF5.";
  return apps::run_program(argc, argv, "flow_logdet", summary, [](apps::Program& program) {
    Options options;
    std::string model, data;
    std::vector<std::string> texts;
    OptionSet keys;
    keys.add("output", options.output, "result file").alias("output", "-o");
    keys.add("split", options.split, "rows of a dataset file to use", one_of({"train", "validation", "test"}));
    keys.add("context", options.context, apps::context_help);
    keys.add("rows", options.rows, "number of rows, from the first on; 0: all", at_least(0, "rows"));
    keys.add("repeats", options.repeats, "draws for each row, if a method draws", between(1, 1'000'000));
    keys.add("probes", options.probes, "probes of each method that does not set its own; 0: one",
             between(0, 1'000'000));
    keys.add("budget", options.budget, "products for each row and block at which errors are compared", more_than(0));
    keys.add("gradient", options.gradient,
             "also compare the gradients with respect to the blocks' weights, row by row (slow)");
    keys.add("spectrum", options.spectrum, "also compute spectral radius and norm of each Jacobian (slow)");
    keys.add("seed", options.seed, "seed of the draws", at_least(0));
    keys.add("precision", options.precision, "precision of the arithmetic", one_of({"float", "double"}));
    auto& cli = program.cli();
    cli.add_option("MODEL", model, "model file of flow_train")->required();
    cli.add_option("DATA", data, "dataset FILE.h5, or any numeric array FILE.h5:/PATH")->required();
    cli.add_option("--method", texts, "estimator, see below; may be repeated")
        ->type_name("METHOD")
        ->allow_extra_args(false)
        ->default_str(join(default_methods, " "));
    cli.footer(apps::methods_text());
    program.add_options(keys, cli);
    if (!program.parse()) return;
    options.has_budget = keys.at("budget", "").is_set;
    std::vector<logdet::Method> methods;
    comm::agree(program.comm(), [&] {
      methods = parse_methods(texts.empty() ? default_methods : texts, options.probes);
      if (program.comm().is_root()) {
        apps::check_outputs({{"--output", options.output}}, {{"MODEL", model}, {"DATA", data}});
      }
      apps::require_result_name({"--output", options.output});
    });
    (options.precision == "float" ? run<float> : run<double>)(program, options, methods, texts.empty(), model, data);
  });
}
