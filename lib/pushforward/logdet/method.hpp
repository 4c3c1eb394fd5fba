#pragma once

// Which estimator of log|det(I + J)|, and its parameters, as users write them:
//
//   exact[:through=input|narrowest]        LU of I + J, or of the smaller matrix at the narrowest hidden layer; without
//                                          `through`, what takes fewer operations
//   series:N[,trace=exact]                 Σₖ₌₁ᴺ (−1)ᵏ⁺¹/k tr Jᵏ, traces from probes, or exact ones from dense powers
//   roulette[:p=P][,exact=M][,samples=R]   Russian roulette, geometric lengths [Chen et al. 2019]; without p the
//   largest
//                                          that is safe, 1 − c for blocks of Lipschitz constant c
//   poisson:rate=λ[,exact=M][,samples=R]   the same with Poisson lengths
//   neumann[:p=P][,exact=M]                the roulette with the customary parameters of the memory-saving gradient
//   krylov[:M][,tol=T]                     M Arnoldi steps on each probe; or as many, at most M (12 if it is not said),
//                                          as bring the residual of (I + J)⁻ᵀv below T (0.1 if neither is said)
//   trace+krylov[:M][,tol=T]               tr J exactly, Arnoldi steps for the rest: the stochastic default
//   auto                                   exact or trace+krylov, by a cost model (cost.hpp); krylov where
//                                          exact traces are not to be had
//
// Stochastic ones further take probe=rademacher|gaussian|hadamard, probes=K and, where lengths are random,
// length=sample|step: drawn for each sample, or once for all samples of a step.

#include <pushforward/core/index.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pushforward::logdet {

enum class Kind { exact, series, roulette, poisson, krylov, trace_krylov, automatic };
enum class Probe { rademacher, gaussian, hadamard };
/// The way of an exact log-det: LU of I + J, of the smaller matrix at the narrowest hidden layer, or the cheaper.
enum class Through { cheaper, input, narrowest };

struct Method {
  Kind kind = Kind::exact;
  Through through = Through::cheaper;  ///< of exact
  Index terms = 10;                    ///< of series; Arnoldi steps of krylov
  double tolerance = 0;                ///< of krylov: relative residual at which a probe has steps enough; 0: all steps
  bool exact_trace = false;            ///< of series
  double p = 0;     ///< of roulette: the chance to stop after each term beyond the exact ones, in (0, 1); 0: 1 − c
  double rate = 2;  ///< of poisson: the mean length beyond the exact terms, > 0
  Index exact_terms = 2;  ///< of roulette and poisson: terms that are always there, ≥ 0
  Index samples = 1;      ///< of roulette and poisson: lengths whose weights are averaged
  bool length_per_step = false;
  Probe probe = Probe::rademacher;
  Index probes = 1;

  bool stochastic() const { return !(kind == Kind::exact || (kind == Kind::series && exact_trace)); }
};

/// Reads the grammar above. Throws OptionError with the text, the rule that it breaks and the nearest word.
Method parse_method(std::string_view text);

/// The method in the same grammar, without what is default: reads back to the same.
std::string to_string(const Method& method);

/// Its parameters, those only that it has, with defaults: names and values as in the grammar, and `kind`.
using Parameter = std::variant<Index, double, std::string>;
std::vector<std::pair<std::string, Parameter>> parameters(const Method& method);

}  // namespace pushforward::logdet
