#include <models/kinds.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/flow/families.hpp>
#include <pushforward/logdet/method.hpp>
#include <pushforward/train/objective_kind.hpp>

namespace pushforward::apps {

namespace {

constexpr std::size_t width = 100, indent = 20;

// A line that begins with `head` and goes on with the words of `body`, in as many lines as that takes.
std::string item(const std::string& head, const std::string& body) {
  std::string text, line = fmt::format("{:<{}}", head, indent);
  for (const auto word : parts_of(body, ' ')) {
    if (line.size() + word.size() >= width) {
      text += line + '\n';
      line = std::string(indent, ' ');
    }
    if (line.size() > indent || line.back() != ' ') line += ' ';
    line += word;
  }
  return text + line + '\n';
}

bool is_bare(const Kind&, const OptionEntry&) {
  return false;
}
bool is_bare(const logdet::MethodKind& kind, const OptionEntry& key) {
  return key.key == kind.bare;
}

// "transforms: kind of [[model.chain]]", then the kinds.
template <class K>
std::string section(const std::string& title, const Registry<K>& registry) {
  std::string text = title + '\n';
  for (const K& kind : registry.all()) {
    text += item("  " + kind.name, kind.help);
    if constexpr (requires { kind.options(); }) {
      KindOptions options = kind.options();
      const OptionSet keys = options.declare();
      for (const OptionEntry& key : keys.entries()) {
        text += item("    " + key.key, fmt::format("{}{} [{}]", is_bare(kind, key) ? "VALUE: " : "", help_text(key),
                                                   flag_text(key.default_value)));
      }
    }
  }
  return text;
}

}  // namespace

std::string methods_text() {
  return section("log-det methods: NAME[:VALUE][,KEY=VALUE]...", logdet::MethodKind::registry());
}

std::string kinds_text() {
  return section("families: model.kind", flow::Family::registry()) + '\n' +
         section("transforms: kind of [[model.chain]]", flow::TransformKind::registry()) + '\n' +
         section("scalar maps: map of coupling and autoregressive", flow::ScalarMapKind::registry()) + '\n' +
         section("base densities: base.kind", flow::BaseKind::registry()) + '\n' +
         section("activations: activation of networks", nn::ActivationKind::registry()) + '\n' +
         section("objectives: objective.kind", train::ObjectiveKind::registry()) + '\n' + methods_text();
}

}  // namespace pushforward::apps
