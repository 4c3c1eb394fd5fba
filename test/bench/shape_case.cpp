
#include "shape_case.hpp"

#include "../logdet/method_options.hpp"

#include <algorithm>
#include <charconv>

namespace pushforward::bench {

namespace {

constexpr Index least_rows = 2;  // that are held against plain loops

Index parse_width(const std::string& text, std::string_view word) {
  Index width = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), width);
  require<OptionError>(error == std::errc() && end == word.data() + word.size() && width >= 1,
                       "--shape {}: '{}' is no width; a shape is as 43-128-128-43", text, word);
  return width;
}

std::string shape_text(const FlowShape& shape) {
  return fmt::format("{0}-{1}-{0}", shape.dimension, fmt::join(shape.hidden, "-"));
}

void require_counted(const std::string& text) {
  const auto method = logdet::parse_method(text);
  const auto* const roulette = method.get_if<logdet::RouletteOptions>();
  require<OptionError>(method.exact() || roulette != nullptr || test::krylov_options(method) != nullptr,
                       "--method {}: its products are not counted; counted are exact, roulette, neumann, krylov, "
                       "trace+krylov",
                       text);
  require<OptionError>(roulette == nullptr || (roulette->shares_draws() && roulette->samples == 1),
                       "--method {}: a step that is timed wants one length for all samples; add length=step", text);
}

}  // namespace

FlowShape parse_shape(const std::string& text, Index blocks) {
  std::vector<Index> widths;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find('-', at), text.size());
    widths.push_back(parse_width(text, std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  require<OptionError>(widths.size() >= 3 && widths.front() == widths.back(),
                       "--shape {}: must begin and end with the same dimension, hidden layers between", text);
  return {widths.front(), blocks, {widths.begin() + 1, widths.end() - 1}};
}

Case shape_case(FlowCase c) {
  require_counted(c.method);
  require<OptionError>(c.rows >= least_rows, "--rows {}: must be at least {}", c.rows, least_rows);
  c.name = "shape";
  c.work = Work::train;
  c.has_baseline = false;
  c.summary = "training step of a shape from the command line";
  auto made = case_of(c);
  made.run = [c, run = made.run](const Session& session) {
    auto results = run(session);
    const auto sized = sized_for(session, c);
    for (auto& result : results) {
      result.label = fmt::format("{} ×{} {}", shape_text(sized.shape), sized.shape.blocks, c.method);
    }
    return results;
  };
  return made;
}

}  // namespace pushforward::bench
