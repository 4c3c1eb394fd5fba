#include <pushforward/model/option_attributes.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

struct Write {
  const h5::GroupWriter& group;
  const std::string& key;

  template <class V>
  void operator()(const V& value) const {
    group.attribute(key, value);
  }
  void operator()(const std::vector<Index>& values) const {
    group.attribute(key, std::vector<double>(values.begin(), values.end()));
  }
  void operator()(const std::vector<std::string>&) const {
    throw BugError(fmt::format("option {}: lists of texts are no attributes", key));
  }
};

struct Read {
  const h5::Group& group;
  const std::string& key;

  template <class V>
  OptionValue operator()(const V*) const {
    if constexpr (std::is_same_v<V, std::vector<double>>) {
      if (!group.has_attribute(key)) return V{};
    }
    return group.attribute<V>(key);
  }
  OptionValue operator()(const std::vector<Index>*) const {
    std::vector<Index> values;
    if (!group.has_attribute(key)) return values;  // empty lists are left out
    for (const double value : group.attribute<std::vector<double>>(key)) {
      require<DataError>(std::abs(value) < 1e15 && value == std::round(value),
                         "{}: attribute '{}' holds {}, which is no integer", group.where(), key, value);
      values.push_back(std::llround(value));
    }
    return values;
  }
};

}  // namespace

void write_options(const h5::GroupWriter& group, const OptionSet& options) {
  for (const auto& entry : options.entries()) std::visit(Write{group, entry.key}, current_value(entry.target));
}

void read_options(const h5::Group& group, OptionSet& options) {
  for (const auto& entry : options.entries()) {
    if (!options.has_effect(entry) && !group.has_attribute(entry.key)) continue;
    const auto value = std::visit([&](const auto* target) { return Read{group, entry.key}(target); }, entry.target);
    options.set(entry.key, value, group.where());
  }
}

}  // namespace pushforward::flow
