#pragma once

// Registries of kinds: of transforms, base densities, activations and whatever else a user chooses by name.
//
// A kind is a value: a name, a line of help, a maker of its options, the facts of its class, and a maker of the object.
// Each registry lists its built-in kinds in one array, in the order in which messages and help name them. A program may
// add kinds of its own before it uses the registry (examples/own_kinds.cpp).
//
//   struct PlanarOptions {
//     static constexpr const char* kind = "planar";
//     static constexpr const char* help = "planar flow [Rezende & Mohamed 2015]";
//     OptionSet declare() { return {}; }
//   };
//
// Command line, TOML, --help and model files reach the options of every kind through declare().

#include <pushforward/core/error.hpp>
#include <pushforward/core/option_set.hpp>
#include <pushforward/core/text.hpp>

#include <concepts>
#include <deque>
#include <map>
#include <memory>

namespace pushforward {

/// The options of one kind: a plain struct of any type that has `OptionSet declare()`. A copy has a struct of its own.
class KindOptions {
 public:
  template <class Struct>
  requires(!std::same_as<Struct, KindOptions>) explicit KindOptions(Struct options)
      : content_(std::make_unique<Content<Struct>>(std::move(options))) {}
  KindOptions(const KindOptions& other) : content_(other.content_->copy()) {}
  KindOptions(KindOptions&&) noexcept = default;
  KindOptions& operator=(KindOptions other) noexcept {
    content_ = std::move(other.content_);
    return *this;
  }

  /// The keys of the struct, with help and rules. The set refers to this object.
  OptionSet declare() { return content_->declare(); }

  /// The struct, or null if it has another type.
  template <class Struct>
  const Struct* get_if() const {
    const auto* const content = dynamic_cast<const Content<Struct>*>(content_.get());
    return content == nullptr ? nullptr : &content->options;
  }
  /// The struct. Throws BugError if it has another type.
  template <class Struct>
  const Struct& as() const {
    const Struct* const found = get_if<Struct>();
    require<BugError>(found != nullptr, "options of another kind than {}", Struct::kind);
    return *found;
  }
  template <class Struct>
  Struct& as() {
    return const_cast<Struct&>(std::as_const(*this).template as<Struct>());
  }

 private:
  struct Any {
    virtual ~Any() = default;
    virtual std::unique_ptr<Any> copy() const = 0;
    virtual OptionSet declare() = 0;
  };
  template <class Struct>
  struct Content final : Any {
    explicit Content(Struct o) : options(std::move(o)) {}
    std::unique_ptr<Any> copy() const override { return std::make_unique<Content>(options); }
    OptionSet declare() override { return options.declare(); }
    Struct options;
  };

  std::unique_ptr<Any> content_;
};

/// The facts that every kind has.
struct Kind {
  std::string name;
  std::string help;                      ///< one line
  std::function<KindOptions()> options;  ///< makes the default options
};

/// The name, help and default options that an option struct brings as Struct::kind, Struct::help and Struct{}.
template <class Struct>
Kind kind_of() {
  return {Struct::kind, Struct::help, [] { return KindOptions(Struct()); }};
}

/// Makes a Product<float> or a Product<double> from the same arguments.
template <template <class> class Product, class... Arguments>
class Maker {
 public:
  Maker() = default;
  /// make: a function object with a template `operator()<T>(Arguments...)` that returns std::unique_ptr<Product<T>>.
  template <class Make>
  requires(!std::same_as<std::remove_cvref_t<Make>, Maker>) Maker(Make make)
      : float_([make](Arguments... a) { return make.template operator()<float>(std::forward<Arguments>(a)...); }),
        double_([make](Arguments... a) { return make.template operator()<double>(std::forward<Arguments>(a)...); }) {}

  template <class T>
  std::unique_ptr<Product<T>> make(Arguments... arguments) const {
    if constexpr (std::is_same_v<T, float>) {
      return float_(std::forward<Arguments>(arguments)...);
    } else {
      return double_(std::forward<Arguments>(arguments)...);
    }
  }

 private:
  std::function<std::unique_ptr<Product<float>>(Arguments...)> float_;
  std::function<std::unique_ptr<Product<double>>(Arguments...)> double_;
};

/// The kinds of one sort by name. K has at least the members of Kind. Reading from several threads is safe, adding is
/// not.
template <class K>
class Registry {
 public:
  /// noun: the sort, with which messages begin: "base density".
  Registry(std::string noun, std::vector<K> built_in) : noun_(std::move(noun)) {
    for (K& kind : built_in) add(std::move(kind));
  }

  const std::string& noun() const { return noun_; }
  /// All kinds: the built-in ones in their order, then those that were added. References stay valid.
  const std::deque<K>& all() const { return kinds_; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const K& kind : kinds_) names.push_back(kind.name);
    return names;
  }

  /// The kind of this name, or null.
  const K* find(std::string_view name) const {
    for (const K& kind : kinds_) {
      if (kind.name == name) return &kind;
    }
    return nullptr;
  }
  /// The kind of this name. Throws OptionError, with the nearest name and all names, if there is none.
  const K& at(std::string_view name) const {
    const K* const found = find(name);
    require<OptionError>(found != nullptr, "{} '{}' is unknown{}; there are {}", noun_, name, suggestion(name, names()),
                         join(names()));
    return *found;
  }
  /// Adds a kind. Throws OptionError for an empty name and for one that is there already.
  const K& add(K kind) {
    require<OptionError>(!kind.name.empty(), "{}: a kind needs a name", noun_);
    require<OptionError>(find(kind.name) == nullptr, "{} '{}' is registered twice", noun_, kind.name);
    return kinds_.emplace_back(std::move(kind));
  }

 private:
  std::string noun_;
  std::deque<K> kinds_;
};

/// A kind chosen by name, with options for every kind of its registry: the key of the name is followed by the keys of
/// all kinds, and those of the kinds that were not chosen have no effect. K::registry() is the registry, and
/// K::default_kind is chosen at first.
template <class K>
class Choice {
 public:
  Choice() = default;
  /// A kind by its name, with default options.
  explicit Choice(std::string name) : kind(std::move(name)) {}
  /// The kind of an option struct, with these options.
  template <class Struct>
  requires requires { Struct::kind; }
  Choice(Struct options) : kind(Struct::kind) { of(kind) = KindOptions(std::move(options)); }

  /// The name of the chosen kind.
  std::string kind = K::default_kind;

  /// The chosen kind. Throws OptionError if there is none of this name.
  const K& chosen() const { return K::registry().at(kind); }
  /// The options of the chosen kind.
  const KindOptions& options() const { return of(kind); }
  /// The options that a kind has here, whether it is chosen or not.
  template <class Struct>
  Struct& as() {
    return of(Struct::kind).template as<Struct>();
  }
  template <class Struct>
  const Struct& as() const {
    return of(Struct::kind).template as<Struct>();
  }

  /// The key of the name with its help, then the keys of all kinds. The set refers to this object. Throws OptionError
  /// if two kinds have the same key.
  OptionSet declare(const std::string& key = "kind", const std::string& help = "kind") {
    OptionSet set;
    set.add(key, kind, help, one_of(K::registry().names()));
    for (const K& k : K::registry().all()) set.add_kind(key, k.name, of(k.name).declare());
    return set;
  }

 private:
  KindOptions& of(const std::string& name) const {
    auto found = options_.find(name);
    if (found == options_.end()) found = options_.emplace(name, K::registry().at(name).options()).first;
    return found->second;
  }

  // Made when they are first asked for.
  mutable std::map<std::string, KindOptions> options_;
};

}  // namespace pushforward
