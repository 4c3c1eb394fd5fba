#include <models/divergence_run.hpp>

#include <cmath>

namespace pushforward::apps {

namespace {

// Rows that a rank works at a time. No number depends on it but the seconds.
constexpr Index slab = 1024;

std::string number_or_dash(double value, int digits) {
  return std::isnan(value) ? "-" : fmt::format("{:.{}g}", value, digits);
}

template <class T>
std::vector<h5::RowArray> arrays_of(const flow::DivergenceComparison<T>& comparison, Index n) {
  const auto real = h5::Element::real64, integer = h5::Element::integer64;
  std::vector<h5::RowArray> arrays{
      {"log_prob", real, n, 0, {"nat", "log p of each row, by the model"}},
      {"status", integer, n, 0, {"", "0 ok, else the row has no log p"}},
      {"draws/log_prob", real, n, 0, {"nat", "log p of each draw from the model, by the model"}},
      {"draws/status", integer, n, 0, {"", "0 ok, else the draw has no log p"}}};
  for (std::size_t k = 0; k < comparison.names().size(); ++k) {
    const auto& name = comparison.names()[k];
    arrays.push_back({"candidates/" + name + "/log_prob",
                      real,
                      n,
                      0,
                      {"nat", "log p of each row, by repeat"},
                      comparison.repeats(k)});
    arrays.push_back({"candidates/" + name + "/draw_log_prob",
                      real,
                      n,
                      0,
                      {"nat", "log p of each draw, by repeat"},
                      comparison.repeats(k)});
  }
  return arrays;
}

void write_part(h5::ResultFile& file, const std::vector<std::string>& names, Index first,
                const flow::DivergencePart& part) {
  const auto n = std::ssize(part.status);
  Matrix<Index> numbers(1, n);
  const auto write_status = [&](const std::string& name, const std::vector<flow::Status>& status) {
    for (std::size_t i = 0; i < status.size(); ++i) numbers.span()[i] = static_cast<Index>(status[i]);
    file.write_rows<Index>(name, first, numbers.view());
  };
  file.write_rows<double>("log_prob", first, {part.log_prob.data(), 1, n});
  write_status("status", part.status);
  file.write_rows<double>("draws/log_prob", first, {part.draw_log_prob.data(), 1, n});
  write_status("draws/status", part.draw_status);
  for (std::size_t k = 0; k < names.size(); ++k) {
    file.write_rows<double>("candidates/" + names[k] + "/log_prob", first, part.draws[k].at_data.view());
    file.write_rows<double>("candidates/" + names[k] + "/draw_log_prob", first, part.draws[k].at_draws.view());
  }
}

}  // namespace

std::string divergence_table(const std::vector<std::string>& names,
                             const std::vector<flow::DivergenceSummary>& summaries) {
  std::string text =
      fmt::format("{:<36} {:>10} {:>10} {:>20} {:>9}\n", "log-det", "bias", "deviation", "mean weight", "s/1000");
  for (std::size_t k = 0; k < names.size(); ++k) {
    const auto& s = summaries[k];
    text += fmt::format("{:<36} {:>10} {:>10} {:>20} {:>9}\n", names[k], fmt::format("{:.2e}", s.bias),
                        number_or_dash(s.deviation, 3), fmt::format("{:.4f} ± {:.4f}", s.weight, s.weight_error),
                        number_or_dash(s.seconds, 3));
  }
  return text;
}

template <class T>
void run_divergences(Program& program, flow::Model<T>& model, const data::Rows& rows, const ContextSource& context,
                     const DivergenceRunOptions& options) {
  const auto& comm = program.comm();
  auto& console = program.console();
  std::optional<flow::DivergenceComparison<T>> comparison;
  comm::agree(comm, [&] { comparison.emplace(model, options.comparison); });
  const auto& names = comparison->names();
  const Index n = options.rows;
  for (const auto& integration : model.flow().integrations()) {
    console.message("{} rows of {}, {} repeats; model: {}", n, options.data, options.comparison.repeats,
                    integration.log_det_of(model.dimension()));
  }
  if (program.dry_run()) {
    console.result("would compare {} log-dets on {} rows into {}", names.size(), n, options.output);
    return;
  }
  h5::ResultFile file(comm, options.output, "pushforward-divergence", 1, arrays_of(*comparison, n),
                      [&](const h5::GroupWriter& root) {
                        root.attribute("repeats", options.comparison.repeats);
                        root.attribute("seed", static_cast<Index>(options.comparison.seed));
                        root.attribute("model", options.model);
                        root.attribute("data", rows.where());
                        root.write_strings("names", names);
                      });
  flow::DivergenceSums sums(names.size());
  StatusCount statuses;
  const auto mine = comm::share(n, comm.rank(), comm.size());
  const Index most = comm::share(n, 0, comm.size()).count();
  for (Index done = 0; done < most; done += slab) {
    const Index first = std::min(mine.first + done, mine.last), count = std::min(slab, mine.last - first);
    Matrix<double> x(model.dimension(), count), given(context.dimension(), count);
    std::optional<flow::DivergencePart> part;
    comm::agree(comm, [&] {
      rows.read_unchecked(first, x);
      context.read(first, given);
      part.emplace(comparison->run(x, given, first));
    });
    for (const auto status : part->status) statuses.add(status);
    sums.add(*part);
    write_part(file, names, first, *part);
  }
  sums.sum(comm);
  const auto summaries = sums.summarize();
  file.amend([&](const h5::GroupWriter& root) {
    for (std::size_t k = 0; k < names.size(); ++k) {
      const auto group = root.group("/candidates/" + names[k]);
      group.attribute("bias", summaries[k].bias);
      group.attribute("deviation", summaries[k].deviation);
      group.attribute("mean_weight", summaries[k].weight);
      group.attribute("mean_weight_error", summaries[k].weight_error);
    }
  });
  file.commit();
  console.print(divergence_table(names, summaries));
  const auto failures = statuses.failures(comm);
  if (!failures.empty()) console.message("warning: of {} rows: {}; the table leaves them out", n, failures);
  console.result("wrote {}", options.output);
}

template void run_divergences(Program&, flow::Model<float>&, const data::Rows&, const ContextSource&,
                              const DivergenceRunOptions&);
template void run_divergences(Program&, flow::Model<double>&, const data::Rows&, const ContextSource&,
                              const DivergenceRunOptions&);

}  // namespace pushforward::apps
