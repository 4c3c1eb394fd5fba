#pragma once

// Masks that make a network autoregressive [Germain et al. 2015, MADE]. Each value has a degree; that of input x_j is
// j + 1, hidden ones have 0 … d − 1, and a hidden value sees values of its own degree and lower ones. The outputs of
// dimension i see degrees up to i, so they depend on x_j with j < i only. Degree 0 sees no input, but context and
// biases.

#include <pushforward/linalg/matrix.hpp>

#include <vector>

namespace pushforward::nn {

/// Degrees of w hidden values for d inputs, spread evenly over 0 … d − 1, ascending.
std::vector<Index> hidden_degrees(Index w, Index d);

/// (to × from) of ones where a value sees another, zeros elsewhere.
template <class T>
Matrix<T> degree_mask(const std::vector<Index>& from, const std::vector<Index>& to);

extern template Matrix<float> degree_mask(const std::vector<Index>&, const std::vector<Index>&);
extern template Matrix<double> degree_mask(const std::vector<Index>&, const std::vector<Index>&);

}  // namespace pushforward::nn
