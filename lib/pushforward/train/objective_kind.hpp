#pragma once

// The kinds of objectives. ObjectiveKind::registry() (objective_kinds.cpp) lists the built-in ones. An option struct
// and a class template make a kind, as objective_kind<Struct, Class>(). The struct may have `takes_source`.

#include <pushforward/core/registry.hpp>

namespace pushforward::flow {
template <class T>
class Flow;
}

namespace pushforward::train {

struct Options;
template <class T>
class TrainingData;
template <class T>
class Objective;

/// Where an objective stands in a run. All of it outlives the objective.
template <class T>
struct ObjectivePlace {
  flow::Flow<T>& flow;  ///< on standardized rows; it is initialized from data once plan() has been called
  const Options& options;
  const TrainingData<T>& data;
};

/// A kind of objective.
struct ObjectiveKind : Kind {
  static Registry<ObjectiveKind>& registry();
  static constexpr const char* default_kind = "likelihood";

  template <class T>
  using Make = std::function<std::unique_ptr<Objective<T>>(const ObjectivePlace<T>&, const KindOptions&)>;

  template <class T>
  std::unique_ptr<Objective<T>> make(const ObjectivePlace<T>& place, const KindOptions& chosen) const {
    return std::get<Make<T>>(makers)(place, chosen);
  }

  std::tuple<Make<float>, Make<double>> makers{};
  bool takes_source = false;  ///< whether it uses TrainingData::source()
};

/// The kind that an option struct and a class template make. Class<T> is constructed from (place, options).
template <class Struct, template <class> class Class>
ObjectiveKind objective_kind() {
  const auto make = []<class T>(const ObjectivePlace<T>& place, const KindOptions& options) {
    return std::make_unique<Class<T>>(place, options.as<Struct>());
  };
  return {kind_of<Struct>(), {make, make}, requires {requires Struct::takes_source;
}
};  // namespace pushforward::train
}

}  // namespace pushforward::train
