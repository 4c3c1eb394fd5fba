#pragma once

// Masks that make a network autoregressive [Germain et al. 2015, MADE]. Each value has a degree. Input x_j has degree
// j + 1, and hidden values have degrees 0 … d − 1. A hidden value is connected to values of its own degree and of lower
// degrees. The outputs of dimension i are connected to degrees up to i, so they depend on x_j for j < i only. A hidden
// value of degree 0 is connected to no input. It still takes the context and its bias.

#include <pushforward/linalg/matrix.hpp>

#include <vector>

namespace pushforward::nn {

/// Returns the degrees of w hidden values for d inputs: evenly spread over 0 … d − 1, in ascending order.
std::vector<Index> hidden_degrees(Index w, Index d);

/// Returns a (to × from) matrix with a one for each connection and zeros elsewhere.
template <class T>
Matrix<T> degree_mask(const std::vector<Index>& from, const std::vector<Index>& to);

extern template Matrix<float> degree_mask(const std::vector<Index>&, const std::vector<Index>&);
extern template Matrix<double> degree_mask(const std::vector<Index>&, const std::vector<Index>&);

}  // namespace pushforward::nn
