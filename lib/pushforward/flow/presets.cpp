#include <pushforward/core/text.hpp>
#include <pushforward/flow/presets.hpp>

namespace pushforward::flow {

namespace {

using Chain = std::vector<LayerOptions>;

// What the families' builders share.
class Builder {
 public:
  Builder(const FlowOptions& options, const Domain& data)
      : o_(options),
        activation_(options.activation),
        image_(data.shape.is_image()),
        at_(data.shape),
        angles_(!data.periodic.empty()) {
    if (o_.levels > 0) chain_.emplace_back(DequantizeOptions{.levels = o_.levels});
    if (o_.logit > 0) chain_.emplace_back(ElementwiseOptions{.function = "logit", .margin = o_.logit});
  }

  Chain residual() {
    for (Index s = 0; s < scales(); ++s) {
      if (s > 0) squeeze();
      for (Index b = 0; b < o_.blocks; ++b) {
        norm();
        chain_.emplace_back(ResidualOptions{o_.hidden, kernels(), activation_, o_.lipschitz});
      }
    }
    norm();
    return chain_;
  }

  Chain nice() {
    for (Index b = 0; b < o_.blocks; ++b) coupling("additive", b % 2 == 0 ? "even" : "odd");
    chain_.emplace_back(ScalingOptions{});
    return chain_;
  }

  Chain realnvp() {
    const auto couplings = [&](const char* one, const char* other) {
      for (Index b = 0; b < o_.blocks; ++b) {
        norm();
        coupling("affine", b % 2 == 0 ? one : other);
      }
    };
    for (Index s = 0; s < scales(); ++s) {
      if (at_.is_image()) {
        couplings("checkerboard", "checkerboard-odd");
      } else {
        couplings("even", "odd");
      }
      if (s + 1 == scales()) break;
      squeeze();
      couplings("first", "second");
      chain_.emplace_back(FactorOutOptions{});
    }
    norm();
    return chain_;
  }

  // Glow, or with splits of another map. Angles are neither scaled nor mixed: the masks alternate in their place.
  Chain mixed(const char* map) {
    for (Index s = 0; s < scales(); ++s) {
      if (image_) squeeze();
      for (Index b = 0; b < o_.blocks; ++b) {
        norm();
        if (!angles_) chain_.emplace_back(LinearOptions{.form = "plu"});
        coupling(map, !angles_ ? "first" : b % 2 == 0 ? "even" : "odd");
      }
      if (image_ && s + 1 < scales()) chain_.emplace_back(FactorOutOptions{});
    }
    norm();
    return chain_;
  }

  Chain autoregressive(bool inverse) {
    for (Index b = 0; b < o_.blocks; ++b) {
      norm();
      chain_.emplace_back(AutoregressiveOptions{o_.map, o_.hidden, activation_, inverse});
      if (b + 1 < o_.blocks) chain_.emplace_back(PermutationOptions{.order = "reverse"});
    }
    norm();
    return chain_;
  }

  template <class Options>
  Chain simple() {
    norm();
    for (Index b = 0; b < o_.blocks; ++b) chain_.emplace_back(Options{});
    norm();
    return chain_;
  }

 private:
  void norm() {
    if (o_.actnorm && !angles_) chain_.emplace_back(ActNormOptions{});
  }

  void coupling(const char* map, const char* mask) {
    ScalarMapOptions with = o_.map;
    with.kind = map;
    chain_.emplace_back(CouplingOptions{mask, with, o_.hidden, kernels(), activation_});
  }

  void squeeze() {
    chain_.emplace_back(SqueezeOptions{});
    at_.height /= 2;
    at_.width /= 2;
  }

  std::vector<Index> kernels() const {
    if (image_ && !at_.is_image()) return {};  // one pixel is left
    if (!image_ || !o_.kernels.empty()) return o_.kernels;
    std::vector<Index> kernels(o_.hidden.size() + 1, 1);
    kernels.front() = kernels.back() = 3;
    return kernels;
  }

  Index scales() const { return image_ ? o_.scales : 1; }

  const FlowOptions& o_;
  std::string activation_;
  bool image_;
  Shape at_;  // of the images at this point, up to their channels
  bool angles_;
  Chain chain_;
};

bool works_on_images(std::string_view kind) {
  return kind == "residual" || kind == "realnvp" || kind == "glow" || kind == "spline" || kind == "chain";
}

}  // namespace

const std::vector<std::string>& flow_kinds() {
  static const std::vector<std::string> kinds{"residual", "nice", "realnvp", "glow",   "spline",
                                              "maf",      "iaf",  "planar",  "radial", "chain"};
  return kinds;
}

FlowOptions default_options(std::string_view kind, bool image) {
  FlowOptions options{.kind = std::string(kind)};
  if (image && works_on_images(kind)) {
    options.blocks = 4;
    options.hidden = {64, 64};
    options.scales = 2;
  } else if (kind == "planar" || kind == "radial") {
    options.blocks = 32;
  } else if (kind != "residual") {
    options.blocks = kind == "spline" || kind == "maf" || kind == "iaf" ? 6 : 8;
    options.hidden = {128, 128};
  }
  return options;
}

Architecture architecture_of(const FlowOptions& options, const Domain& data) {
  const auto& kind = options.kind;
  require<OptionError>(std::find(flow_kinds().begin(), flow_kinds().end(), kind) != flow_kinds().end(),
                       "model.kind = '{}' is unknown{}; there are {}", kind, suggestion(kind, flow_kinds()),
                       join(flow_kinds()));
  require<OptionError>(options.blocks >= 1, "model.blocks = {}: must be at least 1", options.blocks);
  require<OptionError>(options.scales >= 1, "model.scales = {}: must be at least 1", options.scales);
  require<OptionError>((kind == "chain") != options.chain.empty(),
                       "model.kind = '{}' with {} tables [[model.chain]]: the chain of kind 'chain' is written out "
                       "there, and no other kind has any",
                       kind, options.chain.size());
  Architecture architecture{data, {}, options.base};
  if (!works_on_images(kind)) architecture.data.shape = Shape::vector(data.size());
  Builder builder(options, architecture.data);
  architecture.chain = kind == "residual"  ? builder.residual()
                       : kind == "nice"    ? builder.nice()
                       : kind == "realnvp" ? builder.realnvp()
                       : kind == "glow"    ? builder.mixed("affine")
                       : kind == "spline"  ? builder.mixed("spline")
                       : kind == "maf"     ? builder.autoregressive(false)
                       : kind == "iaf"     ? builder.autoregressive(true)
                       : kind == "planar"  ? builder.simple<PlanarOptions>()
                       : kind == "radial"  ? builder.simple<RadialOptions>()
                                           : options.chain;
  const bool uses_context = std::ranges::any_of(architecture.chain, &LayerOptions::takes_context);
  require<OptionError>(data.context == 0 || uses_context,
                       "model.kind = '{}' and a context of {} values: nothing in its chain ({}) takes a context, which "
                       "coupling, autoregressive and residual do; take a kind with one of these, or data without "
                       "context",
                       kind, data.context, summary(architecture));
  return architecture;
}

}  // namespace pushforward::flow
