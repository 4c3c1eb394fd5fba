#pragma once

// Vector fields for tests: one with random weights, and linear ones, whose paths have closed forms.

#include <pushforward/ode/limit.hpp>

#include "../linalg/fixtures.hpp"

namespace pushforward::test {

/// A field with its parameters.
template <class T>
struct TestField {
  explicit TestField(const ode::FieldOptions& options, double scale = 0.7)
      : field(layout, "field", options, 1, 2), parameters(random_vector<T>(layout.size(), 41, scale)) {
    prepare();
  }
  /// v(x, t) = a x + r τ(t), without hidden layers.
  TestField(const Matrix<double>& a, const Matrix<double>& r)
      : field(layout, "field", {.dimension = a.rows(), .hidden = {}}, 1, 2), parameters(layout.size()) {
    for (const auto& block : layout.blocks()) {
      const auto& from = block.name.ends_with("weight") ? a : r;
      if (block.name.ends_with("bias")) continue;
      for (Index i = 0; i < block.size(); ++i) parameters[block.offset + i] = static_cast<T>(from.data()[i]);
    }
    prepare();
  }

  void prepare() { field.network().prepare(parameters, nn::Normalization::values); }

  nn::ParameterLayout layout;
  ode::VectorField<T> field;
  std::vector<T> parameters;
};

/// The memory of an object that plans it: make(kept, scratch) is called once to count and once to use.
template <class Object>
class Planned {
 public:
  template <class Make>
  explicit Planned(const Make& make) {
    linalg::Workspace kept, scratch;
    make(kept, scratch);
    kept_ = linalg::Workspace(kept.peak());
    scratch_ = linalg::Workspace(scratch.peak());
    object_.emplace(make(kept_, scratch_));
  }
  Object& operator*() { return *object_; }
  Object* operator->() { return &*object_; }

 private:
  linalg::Workspace kept_, scratch_;
  std::optional<Object> object_;
};

template <class T>
Planned<ode::RungeKutta<T>> plan_steps(const TestField<T>& of, std::string_view solver, ode::LogDet log_det, Index n,
                                       nn::Pass pass) {
  return Planned<ode::RungeKutta<T>>([&](auto& kept, auto& scratch) {
    return ode::RungeKutta<T>(of.field, ode::Tableau::registry().at(solver), log_det, kept, scratch, n, pass);
  });
}

template <class T>
Planned<ode::Limit<T>> plan_limit(const TestField<T>& of, Index n) {
  return Planned<ode::Limit<T>>([&](auto&, auto& scratch) { return ode::Limit<T>(of.field, scratch, n); });
}

}  // namespace pushforward::test
