#pragma once

// The options that several kinds of log-det methods have in common.

#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/series.hpp>

namespace pushforward::test {

/// Returns the options of krylov or trace+krylov, or null for another kind.
inline const logdet::KrylovOptions* krylov_options(const logdet::Method& method) {
  const auto* const traced = method.get_if<logdet::TraceKrylovOptions>();
  return traced != nullptr ? traced : method.get_if<logdet::KrylovOptions>();
}

inline bool has_exact_trace(const logdet::Method& method) {
  return method.get_if<logdet::TraceKrylovOptions>() != nullptr;
}

/// Returns the lengths of a roulette or Poisson method, or none for another kind.
inline std::optional<logdet::Lengths> lengths_of(const logdet::Method& method) {
  if (const auto* const options = method.get_if<logdet::RouletteOptions>()) return options->lengths();
  if (const auto* const options = method.get_if<logdet::PoissonOptions>()) return options->lengths();
  return {};
}

/// Returns the probes of a method that has them.
inline logdet::ProbeOptions probes_of(const logdet::Method& method) {
  if (const auto* const options = krylov_options(method)) return *options;
  if (const auto* const options = method.get_if<logdet::PoissonOptions>()) return *options;
  return method.as<logdet::RouletteOptions>();
}

}  // namespace pushforward::test
