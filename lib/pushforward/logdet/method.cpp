#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/logdet/exact.hpp>
#include <pushforward/logdet/method.hpp>

namespace pushforward::logdet {

namespace {

// One part of a text, KEY=VALUE or the value of the key that needs no name.
void read_part(const MethodKind& kind, std::string_view part, OptionSet& options, const std::string& source) {
  const auto equals = part.find('=');
  const bool is_bare = equals == std::string_view::npos;
  require<OptionError>(!is_bare || !kind.bare.empty(), "{}: '{}' is no KEY=VALUE; {} takes {}", source, part, kind.name,
                       options.entries().empty() ? "nothing" : join(options.keys()));
  const auto key = is_bare ? std::string_view(kind.bare) : part.substr(0, equals);
  require<OptionError>(!options.at(key, source).is_set, "{}: {} is given twice", source, key);
  options.set_text(key, is_bare ? part : part.substr(equals + 1), source);
}

}  // namespace

Method::Method() : Method(ExactOptions()) {}

Method Method::settled(const nn::NetworkOptions& network) const {
  Method settled = *this;
  try {
    kind_->settle(settled.options_, network);
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("log-det method {}: {}", to_string(*this), error.what()));
  }
  return settled;
}

std::string Method::warning(double lipschitz) const {
  const auto text = kind_->warning(options_, lipschitz);
  return text.empty() ? text : fmt::format("log-det method {}: {}", to_string(*this), text);
}

Method parse_method(std::string_view text) {
  const auto colon = text.find(':');
  const MethodKind* kind = &MethodKind::registry().at(text.substr(0, colon));
  const auto source = fmt::format("log-det method '{}'", text);
  auto rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  require<OptionError>(colon == std::string_view::npos || !rest.empty(), "{}: nothing follows ':'", source);

  KindOptions options = kind->options();
  OptionSet read = options.declare();
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    read_part(*kind, rest.substr(0, comma), read, source);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  read.require_effect(source);
  kind->complete(options, read);
  if (!kind->same_as.empty()) kind = &MethodKind::registry().at(kind->same_as);
  return {*kind, std::move(options)};
}

std::string to_string(const Method& method) {
  KindOptions options = method.options_, defaults = method.kind_->options();
  const OptionSet present = options.declare(), unset = defaults.declare();
  std::vector<std::string> parts;
  for (const auto& entry : present.entries()) {
    const auto value = current_value(entry.target);
    const bool is_default = value == current_value(unset.at(entry.key, method.kind()).target);
    if (!present.has_effect(entry) || (is_default && !method.kind_->shows(options, entry.key))) continue;
    const auto text = flag_text(value);
    parts.push_back(entry.key == method.kind_->bare ? text : fmt::format("{}={}", entry.key, text));
  }
  return parts.empty() ? method.kind() : fmt::format("{}:{}", method.kind(), join(parts, ","));
}

}  // namespace pushforward::logdet
