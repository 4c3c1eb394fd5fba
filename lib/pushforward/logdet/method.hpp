#pragma once

// Which estimator of log|det(I + J)|, with its options, and the text in which users write it:
//
//   NAME[:VALUE][,KEY=VALUE]…      exact    krylov:4    roulette:p=0.5,exact=20,probe=gaussian
//
// NAME is a kind of MethodKind::registry() (method_kinds.cpp), and the keys are those of its option struct. The value
// without a key belongs to the key that the kind names. `flow_logdet --help` prints all kinds and keys.
//
// An option struct describes its kind: Struct::kind and Struct::help name it, and it may have
//
//   static constexpr const char* bare             the key that a value without a key belongs to
//   static constexpr bool is_exact                true if the estimator neither draws nor has a bias
//   bool stochastic() const                       whether values depend on draws; without it they do not
//   bool shares_draws() const                     whether the samples of a step share draws
//   bool shows(std::string_view key) const        whether the text has this key even if its value is the default
//   void complete(const OptionSet& read)          to be called with what a text has set
//   void settle(const nn::NetworkOptions&)        fills in what depends on the network; throws OptionError
//   std::string warning(double lipschitz) const   what to tell a user of blocks with this constant, or ""
//
// method_kind<Struct, Class>() of estimator.hpp makes the kind.

#include <pushforward/core/registry.hpp>
#include <pushforward/nn/network_options.hpp>

namespace pushforward::logdet {

template <class T>
class Estimator;

/// A kind of estimator.
struct MethodKind : Kind {
  static Registry<MethodKind>& registry();

  std::string bare{};     ///< the key that a value without a key belongs to, or ""
  bool is_exact = false;  ///< whether the estimator neither draws nor has a bias
  std::string same_as{};  ///< the kind that this is another name for, or ""
  std::function<bool(const KindOptions&)> stochastic{};
  std::function<bool(const KindOptions&)> shares_draws{};
  std::function<bool(const KindOptions&, std::string_view key)> shows{};
  std::function<void(KindOptions&, const OptionSet& read)> complete{};
  std::function<void(KindOptions&, const nn::NetworkOptions&)> settle{};
  std::function<std::string(const KindOptions&, double lipschitz)> warning{};
  Maker<Estimator, const KindOptions&, const nn::NetworkOptions&> maker{};
};

/// A kind of estimator and the options that it has.
class Method {
 public:
  /// The exact log-det.
  Method();
  template <class Struct>
  requires requires { Struct::kind; }
  Method(Struct options) : Method(MethodKind::registry().at(Struct::kind), KindOptions(std::move(options))) {}
  Method(const MethodKind& kind, KindOptions options) : kind_(&kind), options_(std::move(options)) {}

  const std::string& kind() const { return kind_->name; }
  /// Whether the estimator neither draws nor has a bias.
  bool exact() const { return kind_->is_exact; }
  /// Whether values depend on draws.
  bool stochastic() const { return kind_->stochastic(options_); }
  /// Whether the samples of a step share draws.
  bool shares_draws() const { return kind_->shares_draws(options_); }

  /// The keys of this kind. The set refers to this object.
  OptionSet declare() { return options_.declare(); }
  /// The option struct, or null if it has another type.
  template <class Struct>
  const Struct* get_if() const {
    return options_.get_if<Struct>();
  }
  /// The option struct. Throws BugError if it has another type.
  template <class Struct>
  const Struct& as() const {
    return options_.as<Struct>();
  }

  /// The method with everything filled in that depends on the network, like p of a roulette. Throws OptionError if
  /// there is no value that such a network allows.
  Method settled(const nn::NetworkOptions& network) const;
  /// Returns a warning about this method for blocks with this certified Lipschitz constant, or "".
  std::string warning(double lipschitz) const;

  /// The estimator for networks of this shape, see make_estimator().
  template <class T>
  std::unique_ptr<Estimator<T>> make(const nn::NetworkOptions& network) const {
    return kind_->maker.template make<T>(options_, network);
  }

  /// The text of the method. It has the keys whose values are not the default, and those that the kind always shows.
  friend std::string to_string(const Method& method);

 private:
  const MethodKind* kind_;
  KindOptions options_;
};

/// Reads the text of a method. Throws OptionError with the text and the rule that it breaks.
Method parse_method(std::string_view text);
std::string to_string(const Method& method);

}  // namespace pushforward::logdet
