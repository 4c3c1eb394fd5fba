#include <pushforward/transforms/squeeze.hpp>

namespace pushforward::flow {

namespace {

std::vector<Index> squeezed(const std::string& name, const Shape& shape) {
  require<ShapeError>(shape.height % 2 == 0 && shape.width % 2 == 0,
                      "squeeze {}: an image of {} (height × width × channels) has no blocks of 2 × 2 pixels: height "
                      "and width must be even",
                      name, fmt::format("{} × {} × {}", shape.height, shape.width, shape.channels));
  std::vector<Index> rows;
  for (Index h = 0; h < shape.height; h += 2) {
    for (Index w = 0; w < shape.width; w += 2) {
      for (const Index pixel :
           {h * shape.width + w, h * shape.width + w + 1, (h + 1) * shape.width + w, (h + 1) * shape.width + w + 1}) {
        for (Index c = 0; c < shape.channels; ++c) rows.push_back(pixel * shape.channels + c);
      }
    }
  }
  return rows;
}

}  // namespace

Domain SqueezeOptions::output(const Domain& at) const {
  require_no_angles(at);
  require<ShapeError>(at.shape.height % 2 == 0 && at.shape.width % 2 == 0,
                      "only images of even height and width can be squeezed");
  Domain after = at;
  after.shape = {at.shape.height / 2, at.shape.width / 2, 4 * at.shape.channels};
  return after;
}

template <class T>
Squeeze<T>::Squeeze(nn::ParameterLayout&, const std::string& name, const Shape& shape, const SqueezeOptions& options)
    : RowOrder<T>(shape, squeezed(name, shape)),
      options_(options),
      output_{shape.height / 2, shape.width / 2, 4 * shape.channels} {}

template class Squeeze<float>;
template class Squeeze<double>;

}  // namespace pushforward::flow
