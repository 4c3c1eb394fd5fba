#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/logdet/method.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace pushforward::logdet {

namespace {

const std::vector<std::string> probe_names{"rademacher", "gaussian", "hadamard"};
const std::vector<std::string> through_names{"cheaper", "input", "narrowest"};
constexpr Index most_adaptive_steps = 12;
constexpr double adaptive_tolerance = 0.1;

// The grammar of a method: the keys that it takes, and whether a bare number is its number of terms.
struct Form {
  std::string name;
  Method start;
  std::string bare;
  std::vector<std::string> keys;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all{
      {"exact", {}, "", {"through"}},
      {"series", {.kind = Kind::series}, "terms", {"trace", "probe", "probes"}},
      {"roulette", {.kind = Kind::roulette}, "", {"p", "exact", "samples", "length", "probe", "probes"}},
      {"poisson", {.kind = Kind::poisson}, "", {"rate", "exact", "samples", "length", "probe", "probes"}},
      {"neumann", {.kind = Kind::roulette}, "", {"p", "exact", "samples", "length", "probe", "probes"}},
      {"krylov", {.kind = Kind::krylov, .terms = 0}, "terms", {"tol", "probe", "probes"}},
      {"trace+krylov", {.kind = Kind::trace_krylov, .terms = 0}, "terms", {"tol", "probe", "probes"}},
      {"auto", {.kind = Kind::automatic}, "", {}},
  };
  return all;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Method read() {
    const auto colon = text_.find(':');
    const auto name = text_.substr(0, colon);
    std::vector<std::string> names;
    for (const auto& f : forms()) names.push_back(f.name);
    const auto found = std::find(names.begin(), names.end(), name);
    require<OptionError>(found != names.end(), "log-det method '{}': '{}' is unknown{}; there are {}", text_, name,
                         suggestion(name, names), join(names));
    form_ = &forms()[found - names.begin()];
    method_ = form_->start;
    auto rest = colon == std::string_view::npos ? std::string_view() : text_.substr(colon + 1);
    require<OptionError>(colon == std::string_view::npos || !rest.empty(), "log-det method '{}': nothing follows ':'",
                         text_);
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      setting(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    if (method_.terms == 0) {
      method_.terms = most_adaptive_steps;
      if (method_.tolerance == 0) method_.tolerance = adaptive_tolerance;
    }
    return method_;
  }

 private:
  void setting(std::string_view part) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) {
      require<OptionError>(!form_->bare.empty(), "log-det method '{}': '{}' is no KEY=VALUE; {} takes {}", text_, part,
                           form_->name, form_->keys.empty() ? "nothing" : join(form_->keys));
      method_.terms = whole(form_->bare, part, 1);
      return;
    }
    const auto key = part.substr(0, equals), value = part.substr(equals + 1);
    const auto& keys = form_->keys;
    require<OptionError>(std::find(keys.begin(), keys.end(), key) != keys.end(),
                         "log-det method '{}': {} takes no '{}'{}", text_, form_->name, key, suggestion(key, keys));
    if (key == "through") method_.through = static_cast<Through>(word(key, value, through_names));
    if (key == "trace") method_.exact_trace = word(key, value, {"probes", "exact"}) == 1;
    if (key == "p")
      method_.p = number(
          key, value, [](double p) { return p > 0 && p < 1; }, "in (0, 1)");
    if (key == "rate")
      method_.rate = number(
          key, value, [](double r) { return r > 0 && r <= 1000; }, "in (0, 1000]");
    if (key == "tol")
      method_.tolerance = number(
          key, value, [](double t) { return t > 0 && t < 1; }, "in (0, 1)");
    if (key == "exact") method_.exact_terms = whole(key, value, 0);
    if (key == "samples") method_.samples = whole(key, value, 1);
    if (key == "length") method_.length_per_step = word(key, value, {"sample", "step"}) == 1;
    if (key == "probe") method_.probe = static_cast<Probe>(word(key, value, probe_names));
    if (key == "probes") method_.probes = whole(key, value, 1);
  }

  template <class V>
  bool read_number(std::string_view value, V& into) const {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), into);
    return error == std::errc() && end == value.data() + value.size();
  }

  Index whole(std::string_view key, std::string_view value, Index least) const {
    Index number = 0;
    require<OptionError>(read_number(value, number) && number >= least && number <= 1'000'000,
                         "log-det method '{}': {} = '{}' must be a whole number from {} to 1000000", text_, key, value,
                         least);
    return number;
  }

  double number(std::string_view key, std::string_view value, bool (*allowed)(double), const char* rule) const {
    double number = 0;
    require<OptionError>(read_number(value, number) && allowed(number), "log-det method '{}': {} = '{}' must be {}",
                         text_, key, value, rule);
    return number;
  }

  std::size_t word(std::string_view key, std::string_view value, const std::vector<std::string>& words) const {
    const auto found = std::find(words.begin(), words.end(), value);
    require<OptionError>(found != words.end(), "log-det method '{}': {} = '{}' must be one of {}", text_, key, value,
                         join(words));
    return static_cast<std::size_t>(found - words.begin());
  }

  std::string_view text_;
  const Form* form_ = nullptr;
  Method method_;
};

}  // namespace

Method parse_method(std::string_view text) {
  return Reader(text).read();
}

std::vector<std::pair<std::string, Parameter>> parameters(const Method& m) {
  static constexpr std::array kinds{"exact", "series", "roulette", "poisson", "krylov", "trace+krylov", "auto"};
  std::vector<std::pair<std::string, Parameter>> all{{"kind", std::string(kinds[static_cast<std::size_t>(m.kind)])}};
  const auto number = [&](const char* name, auto value) { all.emplace_back(name, value); };
  const auto word = [&](const char* name, const std::string& value) { all.emplace_back(name, value); };
  const bool arnoldi = m.kind == Kind::krylov || m.kind == Kind::trace_krylov;
  if (m.kind == Kind::exact) word("through", through_names[static_cast<Index>(m.through)]);
  if (m.kind == Kind::series || arnoldi) number("terms", m.terms);
  if (m.kind == Kind::series) word("trace", m.exact_trace ? "exact" : "probes");
  if (arnoldi) number("tol", m.tolerance);
  if (m.kind == Kind::roulette) number("p", m.p);
  if (m.kind == Kind::poisson) number("rate", m.rate);
  if (m.kind == Kind::roulette || m.kind == Kind::poisson) {
    number("exact", m.exact_terms);
    number("samples", m.samples);
    word("length", m.length_per_step ? "step" : "sample");
  }
  if (m.stochastic()) {
    word("probe", probe_names[static_cast<Index>(m.probe)]);
    number("probes", m.probes);
  }
  return all;
}

std::string to_string(const Method& m) {
  std::vector<std::string> settings;
  const char* name = "exact";
  switch (m.kind) {
    case Kind::exact:
      if (m.through != Through::cheaper) {
        settings.push_back("through=" + through_names[static_cast<Index>(m.through)]);
      }
      break;
    case Kind::automatic: name = "auto"; break;
    case Kind::series:
      name = "series";
      settings.push_back(fmt::format("{}", m.terms));
      if (m.exact_trace) settings.emplace_back("trace=exact");
      break;
    case Kind::roulette:
      name = "roulette";
      if (m.p > 0) settings.push_back(fmt::format("p={}", m.p));
      break;
    case Kind::poisson:
      name = "poisson";
      settings.push_back(fmt::format("rate={}", m.rate));
      break;
    case Kind::krylov:
    case Kind::trace_krylov:
      name = m.kind == Kind::krylov ? "krylov" : "trace+krylov";
      if (m.tolerance == 0 || m.terms != most_adaptive_steps) settings.push_back(fmt::format("{}", m.terms));
      if (m.tolerance > 0) settings.push_back(fmt::format("tol={}", m.tolerance));
      break;
  }
  if (m.kind == Kind::roulette || m.kind == Kind::poisson) {
    settings.push_back(fmt::format("exact={}", m.exact_terms));
    if (m.samples > 1) settings.push_back(fmt::format("samples={}", m.samples));
    if (m.length_per_step) settings.emplace_back("length=step");
  }
  if (m.stochastic() && m.kind != Kind::automatic) {
    if (m.probe != Probe::rademacher) settings.push_back("probe=" + probe_names[static_cast<Index>(m.probe)]);
    if (m.probes > 1) settings.push_back(fmt::format("probes={}", m.probes));
  }
  return settings.empty() ? name : fmt::format("{}:{}", name, join(settings, ","));
}

}  // namespace pushforward::logdet
