#include <models/kinds.hpp>
#include <pushforward/flow/families.hpp>

namespace pushforward::apps {

namespace {

// "transforms: kind of [[model.chain]]", then the kinds.
template <class K>
std::string section(const std::string& title, const Registry<K>& registry) {
  std::string text = title + '\n';
  for (const K& kind : registry.all()) {
    text += fmt::format("  {:<17} {}\n", kind.name, kind.help);
    if constexpr (requires { kind.options(); }) {
      KindOptions options = kind.options();
      const OptionSet keys = options.declare();
      for (const OptionEntry& key : keys.entries()) {
        text += fmt::format("    {:<15} {} [{}]\n", key.key, help_text(key), flag_text(key.default_value));
      }
    }
  }
  return text;
}

}  // namespace

std::string kinds_text() {
  return section("families: model.kind", flow::Family::registry()) + '\n' +
         section("transforms: kind of [[model.chain]]", flow::TransformKind::registry()) + '\n' +
         section("scalar maps: map of coupling and autoregressive", flow::ScalarMapKind::registry()) + '\n' +
         section("base densities: base.kind", flow::BaseKind::registry()) + '\n' +
         section("activations: activation of networks", nn::ActivationKind::registry());
}

}  // namespace pushforward::apps
