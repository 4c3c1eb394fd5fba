#include <pushforward/core/memory.hpp>
#include <pushforward/flow/families.hpp>
#include <pushforward/maps/spline.hpp>
#include <pushforward/transforms/network_keys.hpp>

#include <algorithm>
#include <set>
#include <sstream>

namespace pushforward::flow {

namespace {

// The text of Glow, or of Glow with another map. Angles are neither scaled nor mixed. Instead, the masks alternate.
std::string mixed(const std::string& map) {
  return fmt::format(R"(scales {{
                          images {{ squeeze }}
                          blocks {{
                            norm
                            line {{ linear form=plu coupling map={0} mask=first }}
                            angles {{ coupling map={0} mask=even|odd }}
                          }}
                          images {{ more {{ split }} }}
                        }}
                        norm)",
                     map);
}

std::vector<Family> built_in_families() {
  const std::string autoregressive = "blocks {{ norm autoregressive {} between {{ permutation order=reverse }} }} norm";
  return {
      {"residual",
       "residual blocks [Chen et al. 2019]",
       "scales { later { squeeze } blocks { norm residual } } norm",
       true,
       20,
       {48, 48}},
      {"nice", "additive couplings [Dinh et al. 2015]", "blocks { coupling map=additive mask=even|odd } scaling"},
      {"realnvp", "affine couplings [Dinh et al. 2017]",
       R"(scales {
            grid { blocks { norm coupling map=affine mask=checkerboard|checkerboard-odd } }
            flat { blocks { norm coupling map=affine mask=even|odd } }
            more { squeeze blocks { norm coupling map=affine mask=first|second } split }
          }
          norm)",
       true},
      {"glow", "affine couplings and linear maps of the channels [Kingma & Dhariwal 2018]", mixed("affine"), true},
      {"spline", "spline couplings and linear maps of the channels [Durkan et al. 2019]", mixed("spline"), true, 6},
      {"maf", "masked autoregressive flow [Papamakarios et al. 2017]", fmt::format(fmt::runtime(autoregressive), ""),
       false, 6},
      {"iaf", "inverse autoregressive flow [Kingma et al. 2016]",
       fmt::format(fmt::runtime(autoregressive), "inverse=true"), false, 6},
      {"continuous",
       "flow of a differential equation [Chen et al. 2018; Grathwohl et al. 2019]",
       "continuous",
       false,
       1,
       {64, 64, 64},
       "silu"},
      {"planar", "planar flow [Rezende & Mohamed 2015]", "norm blocks { planar } norm", false, 32},
      {"radial", "radial flow [Rezende & Mohamed 2015]", "norm blocks { radial } norm", false, 32},
      {"chain", "the transforms of the tables [[model.chain]]", "", true},
  };
}

// Returns the options with the family's defaults for those that are not set.
FlowOptions complete(FlowOptions options, const Family& family, bool image) {
  const bool pixels = image && family.takes_images;
  if (options.blocks == 0) options.blocks = pixels ? 4 : family.blocks;
  if (options.hidden.empty()) options.hidden = pixels ? std::vector<Index>{64, 64} : family.hidden;
  if (options.activation == "auto") options.activation = family.activation;
  if (options.scales == 0) options.scales = 2;
  return options;
}

// Reads the text of a family. `used` gathers the keys of FlowOptions that have an effect.
class Builder {
 public:
  Builder(const FlowOptions& options, Architecture& architecture, std::set<std::string>& used)
      : options_(options),
        values_(options_.declare()),
        map_values_(options_.map.declare("map")),
        architecture_(architecture),
        used_(used),
        at_(architecture.data),
        image_(architecture.data.shape.is_image()),
        angles_(!architecture.data.periodic.empty()) {}

  void build(const std::string& text) {
    used_.insert({"levels", "logit"});
    if (options_.levels > 0) add("dequantize", {});
    if (options_.logit > 0) add("elementwise", {"function=logit", fmt::format("margin={}", options_.logit)});
    std::istringstream in(text);
    Words words;
    for (std::string word; in >> word;) words.push_back(word);
    read(words.begin(), words.end());
  }

 private:
  using Words = std::vector<std::string>;
  using Place = Words::const_iterator;

  void read(Place word, Place end) {
    while (word != end) {
      const std::string& name = *word++;
      if (word != end && *word == "{") {
        const Place last = closing(word, end);
        repeat(name, word + 1, last);
        word = last + 1;
      } else {
        const Place first = word;
        while (word != end && word->find('=') != std::string::npos) ++word;
        add_word(name, {first, word});
      }
    }
  }

  static Place closing(Place brace, Place end) {
    int depth = 0;
    for (Place word = brace; word != end; ++word) {
      depth += *word == "{" ? 1 : *word == "}" ? -1 : 0;
      if (depth == 0) return word;
    }
    throw OptionError("the chain of a family: a '{' without its '}'");
  }

  void repeat(const std::string& name, Place first, Place last) {
    if (name == "scales") {
      if (image_) used_.insert("scales");
      for (scale_ = 0; scale_ < scales(); ++scale_) read(first, last);
    } else if (name == "blocks") {
      used_.insert("blocks");
      for (block_ = 0; block_ < options_.blocks; ++block_) read(first, last);
    } else if (holds(name)) {
      read(first, last);
    }
  }

  bool holds(const std::string& condition) const {
    if (condition == "images") return image_;
    if (condition == "grid") return at_.shape.is_image();
    if (condition == "flat") return !at_.shape.is_image();
    if (condition == "angles") return angles_;
    if (condition == "line") return !angles_;
    if (condition == "later") return scale_ > 0;
    if (condition == "more") return scale_ + 1 < scales();
    require<OptionError>(condition == "between", "the chain of a family: '{} {{' is unknown", condition);
    return block_ + 1 < options_.blocks;
  }

  void add_word(const std::string& name, const Words& settings) {
    if (name != "norm") return add(name, settings);
    used_.insert("actnorm");
    if (options_.actnorm && !angles_) add("actnorm", {});
  }

  void add(const std::string& kind, const Words& settings) {
    auto& transform = architecture_.chain.emplace_back(kind);
    OptionSet keys = transform.declare();
    const auto of_kind = keys.keys();
    const auto has = [&](const std::string& key) { return std::ranges::count(of_kind, key) > 0; };
    std::set<std::string> fixed;
    for (const auto& setting : settings) {
      const auto equals = setting.find('=');
      fixed.insert(setting.substr(0, equals));
      keys.set_text(setting.substr(0, equals), in_turn(setting.substr(equals + 1)), kind);
    }
    Words substituted;
    for (const OptionSet* values : {&values_, &map_values_}) {
      for (const auto& entry : values->entries()) {
        if (!has(entry.key) || fixed.contains(entry.key)) continue;
        keys.set(entry.key, entry.key == "kernels" ? OptionValue(kernels()) : current_value(entry.target), kind);
        substituted.push_back(entry.key);
      }
    }
    for (const auto& key : substituted) {
      if (keys.has_effect(keys.at(key, kind)) && (key != "kernels" || image_)) used_.insert(key);
    }
    at_ = domain_after(architecture_.chain.size() - 1, transform, at_);
  }

  std::string in_turn(std::string values) const {
    const auto count = std::ranges::count(values, '|') + 1;
    for (Index k = block_ % count; k > 0; --k) values.erase(0, values.find('|') + 1);
    return values.substr(0, values.find('|'));
  }

  std::vector<Index> kernels() const {
    if (image_ && !at_.shape.is_image()) return {};  // one pixel is left
    if (!image_ || !options_.kernels.empty()) return options_.kernels;
    std::vector<Index> kernels(options_.hidden.size() + 1, 1);
    kernels.front() = kernels.back() = 3;
    return kernels;
  }

  Index scales() const { return image_ ? options_.scales : 1; }

  FlowOptions options_;
  OptionSet values_, map_values_;  // of options_
  Architecture& architecture_;
  std::set<std::string>& used_;
  Domain at_;  // of the samples at this point of the chain
  bool image_, angles_;
  Index scale_ = 0, block_ = 0;
};

Architecture build(const FlowOptions& given, const Domain& data, std::set<std::string>& used) {
  const Family& family = Family::registry().at(given.kind);
  require<OptionError>(given.blocks >= 0, "model.blocks = {}: must be at least 0", given.blocks);
  constexpr double bytes_of_block = 4096;  // of its transforms without any parameter, at least
  require_memory(bytes_of_block * static_cast<double>(given.blocks),
                 fmt::format("model.blocks = {}: the blocks need", given.blocks), "choose fewer");
  require<OptionError>(given.scales >= 0, "model.scales = {}: must be at least 0", given.scales);
  require<OptionError>(family.chain.empty() != given.chain.empty(),
                       "model.kind = '{}' with {} tables [[model.chain]]: the chain of kind 'chain' is written out "
                       "there, and no other kind has any",
                       family.name, given.chain.size());
  Architecture architecture{data, given.chain, given.base};
  if (!family.takes_images) architecture.data.shape = Shape::vector(data.size());
  used.insert("kind");
  if (!family.chain.empty()) {
    const FlowOptions options = complete(given, family, data.shape.is_image());
    Builder(options, architecture, used).build(family.chain);
  }
  return architecture;
}

std::string kinds_with_context() {
  std::vector<std::string> names;
  for (const auto& kind : TransformKind::registry().all()) {
    if (kind.facts.takes_context) names.push_back(kind.name);
  }
  return join(names);
}

// "residual 20; nice, realnvp, glow 8; …": families with the same value of a member together.
template <class Value>
std::string defaults_by_family(Value value) {
  std::vector<std::pair<std::string, std::string>> groups;  // value and names
  for (const auto& family : Family::registry().all()) {
    const std::string text = value(family);
    if (text.empty()) continue;
    const auto found = std::ranges::find(groups, text, &std::pair<std::string, std::string>::first);
    if (found == groups.end()) {
      groups.emplace_back(text, family.name);
    } else {
      found->second += ", " + family.name;
    }
  }
  std::vector<std::string> parts;
  for (const auto& [text, names] : groups) parts.push_back(names + " " + text);
  return join(parts, "; ");
}

bool has_networks(const Family& family) {
  return family.chain.find("residual") != std::string::npos || family.chain.find("coupling") != std::string::npos ||
         family.chain.find("autoregressive") != std::string::npos ||
         family.chain.find("continuous") != std::string::npos;
}

}  // namespace

Registry<Family>& Family::registry() {
  static Registry<Family> families("family of flows", built_in_families());
  return families;
}

ScalarMapOptions FlowOptions::default_map() {
  ScalarMapOptions map;
  map.as<SplineOptions>().bound = 5;
  return map;
}

OptionSet FlowOptions::declare() {
  OptionSet set;
  const auto block_default = [](const Family& f) {
    return f.chain.find("blocks") == std::string::npos ? "" : fmt::format("{}", f.blocks);
  };
  const auto activation_default = [](const Family& f) { return has_networks(f) ? f.activation : ""; };
  auto activations = nn::ActivationKind::registry().names();
  activations.insert(activations.begin(), "auto");
  const auto hidden_default = [](const Family& f) { return has_networks(f) ? flag_text(f.hidden) : ""; };
  set.add("kind", kind, "family of flows; chain: the transforms of the tables [[model.chain]]",
          one_of(Family::registry().names()))
      .add(
          "blocks", blocks,
          fmt::format("number of blocks, for images at each scale; 0: {}; images 4", defaults_by_family(block_default)),
          between(0, 10'000))
      .add("hidden", hidden,
           fmt::format("widths of a block's hidden layers, for images their channels; empty: {}; images 64,64",
                       defaults_by_family(hidden_default)),
           between(1, 65'536))
      .add("kernels", kernels, "images: odd sizes of the kernels, one more than hidden layers; empty: 3, 1, …, 1, 3",
           between(1, 1023))
      .add("activation", activation,
           fmt::format("activation of the hidden layers; auto: {}", defaults_by_family(activation_default)),
           one_of(activations))
      .add("lipschitz", lipschitz, "bound on the Lipschitz constant of each residual block", strictly_between(0, 1))
      .add("actnorm", actnorm, "an ActNorm before each block and at the end");
  declare_time(set, time);
  set.add_all(integration.declare());
  // The finer keys of splines are for chains.
  const std::set<std::string_view> finer{"min_width", "min_height", "min_derivative"};
  const OptionSet of_map = map.declare("map", "map of maf and iaf");
  for (OptionEntry entry : of_map.entries()) {
    entry.use = {};  // decided by require_effect(), since most families choose the map
    if (!finer.contains(entry.key)) set.add_entry(std::move(entry));
  }
  set.add("scales", scales, "images: number of scales, each half as wide and high as the one before; 0: 2",
          between(0, 16))
      .add("levels", levels,
           "number of levels of integer data 0 … levels − 1, which is dequantized with uniform noise and divided by "
           "levels; 0: no dequantization",
           between(0, 1 << 16))
      .add("logit", logit, "margin a of logit(a + (1 − 2a) x), which comes first and needs data in [0, 1]; 0: no logit",
           from_to_below(0, 0.5));
  return set;
}

Architecture architecture_of(const FlowOptions& options, const Domain& data) {
  std::set<std::string> used;
  Architecture architecture = build(options, data, used);
  const bool uses_context =
      std::ranges::any_of(architecture.chain, [](const auto& t) { return t.facts().takes_context; });
  require<OptionError>(data.context == 0 || uses_context,
                       "model.kind = '{}' and a context of {} values: nothing in its chain ({}) takes a context, which "
                       "{} do; take a kind with one of these, or data without context",
                       options.kind, data.context, summary(architecture), kinds_with_context());
  return architecture;
}

void require_effect(const OptionSet& keys, const FlowOptions& options, const Domain& data) {
  std::set<std::string> used;
  FlowOptions copy = options;
  const auto of_flow = copy.declare().keys();
  // Without images, build() refuses kernels.
  if (!data.shape.is_image() || !Family::registry().at(options.kind).takes_images) copy.kernels.clear();
  build(copy, data, used);
  const bool chooses_map = used.contains("map");
  for (const auto& entry : keys.entries()) {
    if (!entry.is_set || table_of(entry.key) != "model") continue;
    const auto key = entry.key.substr(std::string_view("model.").size());
    require<OptionError>(std::ranges::count(of_flow, key) == 0 || used.contains(key),
                         "model.{} does nothing for model.kind = '{}'{} on {}; leave it out", key, options.kind,
                         chooses_map ? fmt::format(" with model.map = '{}'", options.map.kind) : "",
                         data.shape.is_image() ? "images" : "vectors");
  }
}

}  // namespace pushforward::flow
