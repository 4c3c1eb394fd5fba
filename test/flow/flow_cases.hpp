#pragma once

// Whole flows (flows.hpp) as cases of the kit of invariants.

#include "../transforms/invariants.hpp"
#include "flows.hpp"

namespace pushforward::test {

template <class T>
Case<T> make_case(const FlowCase& of, Fault fault = Fault::none) {
  const auto& data = of.architecture.data;
  const auto make = [&of]<class U>(U) { return std::make_unique<FlowSubject<U>>(of.architecture); };
  Case<T> c([&] { return std::make_unique<Broken<T>>(make(T()), fault); }, [&] { return make(double()); }, 4, 0.3);
  // Not too steep for float: kernels and matrices add up many leaning weights. Residual blocks are normalized.
  const double factor = of.name.starts_with("residual") ? 1 : data.shape.is_image() ? 0.25 : 0.5;
  for (const auto& block : c.subject->layout().blocks()) {
    if (!block.name.ends_with("weight") && !block.name.ends_with("/lu")) continue;
    for (Index i = 0; i < block.size(); ++i) c.parameters[block.offset + i] *= factor;
  }
  c.prepare(nn::Normalization::svd);
  if (data.context > 0) c.condition(data.context);
  c.angles_of_x = data.periodic;
  c.angles_of_z = periodic_latents(domains_of(of.architecture));
  if (of.architecture.chain.front().kind() == "elementwise") {
    for (T& x : c.x.span()) x = static_cast<T>(0.5 + 0.4 * std::tanh(static_cast<double>(x)));
  }
  // The second derivatives of a spline jump at its knots, and angles at ±π.
  c.step = 0.03;
  return c;
}

}  // namespace pushforward::test
