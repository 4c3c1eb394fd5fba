#pragma once

// The kinds of transforms. An option struct describes its kind: Struct::kind and Struct::help name it, and it may have
//
//   static constexpr TransformFacts facts          the facts of the class, if one of them is true
//   Domain output(const Domain& at) const          the domain after it; default: as before it, and no angles
//   Bounds bounds() const                          whether values that leave it are bounded
//   nn::NetworkOptions lipschitz_network(at) const the network whose Lipschitz constant makes it invertible
//
// transform_kind<Struct, Class>() makes the kind of it, and TransformKind::registry() (transform_kinds.cpp) lists the
// built-in ones.

#include <pushforward/core/registry.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/transform.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

/// Where a transform stands in a flow: what its constructor gets in addition to its options.
struct TransformPlace {
  nn::ParameterLayout& layout;
  const std::string& name;  ///< parameters are added below `<name>/`
  const Domain& domain;     ///< of the samples that come in
  std::uint64_t seed, key;  ///< name the random streams of initial weights
};

/// A kind of transform.
struct TransformKind : Kind {
  static Registry<TransformKind>& registry();

  TransformFacts facts{};
  /// The domain after a transform with these options. Throws OptionError or ShapeError if samples do not fit.
  std::function<Domain(const KindOptions&, const Domain& at)> output;
  std::function<Bounds(const KindOptions&)> bounds;
  std::function<std::optional<nn::NetworkOptions>(const KindOptions&, const Domain& at)> lipschitz_network;
  /// Choices that options leave to the seed, like a random order, are written into them.
  Maker<Transform, const TransformPlace&, KindOptions&> maker;
};

/// The kind that an option struct and a class template make. Map<T> is constructed from (layout, name, domain or its
/// shape, options), and seed and key if it takes them. If it has resolved_options(), they replace the options.
template <class Struct, template <class> class Map>
TransformKind transform_kind() {
  TransformKind kind{kind_of<Struct>(), {}, {}, {}, {}, {}};
  if constexpr (requires { Struct::facts; }) kind.facts = Struct::facts;
  kind.output = [takes_spheres = kind.facts.takes_spheres](const KindOptions& options, const Domain& at) {
    if (!takes_spheres) require_no_spheres(at);
    if constexpr (requires { options.as<Struct>().output(at); }) {
      return options.as<Struct>().output(at);
    } else {
      require_no_angles(at);
      return at;
    }
  };
  kind.bounds = [](const KindOptions& options) {
    if constexpr (requires { options.as<Struct>().bounds(); }) {
      return options.as<Struct>().bounds();
    } else {
      return Bounds::keeps;
    }
  };
  kind.lipschitz_network = [](const KindOptions& options, const Domain& at) -> std::optional<nn::NetworkOptions> {
    if constexpr (requires { options.as<Struct>().lipschitz_network(at); }) {
      return options.as<Struct>().lipschitz_network(at);
    } else {
      return {};
    }
  };
  kind.maker = []<class T>(const TransformPlace& place, KindOptions& options) -> std::unique_ptr<Transform<T>> {
    auto& o = options.as<Struct>();
    std::unique_ptr<Map<T>> made;
    if constexpr (requires { Map<T>(place.layout, place.name, place.domain, o, place.seed, place.key); }) {
      made = std::make_unique<Map<T>>(place.layout, place.name, place.domain, o, place.seed, place.key);
    } else if constexpr (requires { Map<T>(place.layout, place.name, place.domain.shape, o, place.seed, place.key); }) {
      made = std::make_unique<Map<T>>(place.layout, place.name, place.domain.shape, o, place.seed, place.key);
    } else {
      made = std::make_unique<Map<T>>(place.layout, place.name, place.domain.shape, o);
    }
    if constexpr (requires { made->resolved_options(); }) o = made->resolved_options();
    return made;
  };
  return kind;
}

/// One transform of a chain: its kind and the options that the kind has.
class TransformOptions {
 public:
  template <class Struct>
  requires requires { Struct::kind; }
  TransformOptions(Struct options)
      : kind_(&TransformKind::registry().at(Struct::kind)), options_(KindOptions(std::move(options))) {}
  /// With default options. Throws OptionError, with a suggestion, if there is no such kind.
  explicit TransformOptions(std::string_view kind)
      : kind_(&TransformKind::registry().at(kind)), options_(kind_->options()) {}

  const std::string& kind() const { return kind_->name; }
  const TransformFacts& facts() const { return kind_->facts; }
  /// The keys of this kind. The set refers to this object.
  OptionSet declare() { return options_.declare(); }
  /// The option struct, or null if it has another type.
  template <class Struct>
  const Struct* get_if() const {
    return options_.get_if<Struct>();
  }

  /// The domain after the transform. Throws OptionError or ShapeError if samples do not fit.
  Domain output(const Domain& at) const { return kind_->output(options_, at); }
  Bounds bounds() const { return kind_->bounds(options_); }
  /// The network whose Lipschitz constant makes the transform invertible, if there is one.
  std::optional<nn::NetworkOptions> lipschitz_network(const Domain& at) const {
    return kind_->lipschitz_network(options_, at);
  }
  /// The transform. Choices that the options leave to the seed, like a random order, are written into them. Throws
  /// OptionError and ShapeError.
  template <class T>
  std::unique_ptr<Transform<T>> make(const TransformPlace& place) {
    return kind_->maker.template make<T>(place, options_);
  }

 private:
  const TransformKind* kind_;
  KindOptions options_;
};

}  // namespace pushforward::flow
