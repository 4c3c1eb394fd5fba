#include <pushforward/nn/autoregressive.hpp>

namespace pushforward::nn {

std::vector<Index> hidden_degrees(Index w, Index d) {
  std::vector<Index> degrees;
  // Degrees 0 and d − 1 both occur, even if there are fewer values than degrees.
  for (Index i = 0; i < w; ++i) degrees.push_back(w >= d ? i * d / w : i * (d - 1) / std::max<Index>(1, w - 1));
  return degrees;
}

template <class T>
Matrix<T> degree_mask(const std::vector<Index>& from, const std::vector<Index>& to) {
  Matrix<T> mask(std::ssize(to), std::ssize(from));
  for (std::size_t j = 0; j < from.size(); ++j) {
    for (std::size_t i = 0; i < to.size(); ++i) mask(Index(i), Index(j)) = from[j] <= to[i] ? T(1) : T(0);
  }
  return mask;
}

template Matrix<float> degree_mask(const std::vector<Index>&, const std::vector<Index>&);
template Matrix<double> degree_mask(const std::vector<Index>&, const std::vector<Index>&);

}  // namespace pushforward::nn
