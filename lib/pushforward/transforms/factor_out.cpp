#include <pushforward/transforms/factor_out.hpp>

namespace pushforward::flow {

namespace {

Index resolve(const std::string& name, Index channels, Index keep) {
  require<ShapeError>(channels >= 2, "split {}: {} channel cannot be parted: there must be at least 2", name, channels);
  require<OptionError>(keep >= 0 && keep < channels, "split {}: keep = {} of {} channels: must be from 0 (half) to {}",
                       name, keep, channels, channels - 1);
  return keep == 0 ? (channels + 1) / 2 : keep;
}

std::vector<Index> parted(const Shape& shape, Index keep) {
  std::vector<Index> rows;
  const auto add = [&](Index first, Index last) {
    for (Index p = 0; p < shape.pixels(); ++p) {
      for (Index c = first; c < last; ++c) rows.push_back(p * shape.channels + c);
    }
  };
  add(0, keep);
  add(keep, shape.channels);
  return rows;
}

}  // namespace

Domain FactorOutOptions::output(const Domain& at) const {
  Domain after = at;
  const Index channels = at.shape.channels, kept = keep > 0 ? keep : (channels + 1) / 2;
  require<ShapeError>(kept < channels, "{} of {} channels cannot stay while others go", kept, channels);
  require<OptionError>(at.periodic.empty() || !at.shape.is_image(), "an image with angles cannot be split");
  after.shape.channels = kept;
  std::erase_if(after.periodic, [&](Index row) { return row >= kept; });
  return after;
}

OptionSet FactorOutOptions::declare() {
  OptionSet set;
  set.add("keep", keep, "channels that go on to the next layer; 0: half of them, rounded up", at_least(0, "channels"));
  return set;
}

template <class T>
FactorOut<T>::FactorOut(nn::ParameterLayout&, const std::string& name, const Shape& shape,
                        const FactorOutOptions& options)
    : FactorOut(shape, resolve(name, shape.channels, options.keep)) {}

template <class T>
FactorOut<T>::FactorOut(const Shape& shape, Index keep)
    : RowOrder<T>(shape, parted(shape, keep)), options_{keep}, output_{shape.height, shape.width, keep} {}

template class FactorOut<float>;
template class FactorOut<double>;

}  // namespace pushforward::flow
