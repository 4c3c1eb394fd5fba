#pragma once

// The library's kernels one by one, at the sizes that flows give them. Every rank runs all of a kernel.

#include "case.hpp"

namespace pushforward::bench {

template <class T>
std::vector<Result> time_gemm(const Session& session);
template <class T>
std::vector<Result> time_lu(const Session& session);
template <class T>
std::vector<Result> time_activate(const Session& session);
template <class T>
std::vector<Result> time_scale_tangents(const Session& session);
template <class T>
std::vector<Result> time_reverse_activation(const Session& session);
template <class T>
std::vector<Result> time_spectral_norm(const Session& session);
template <class T>
std::vector<Result> time_raw_gradient(const Session& session);

extern template std::vector<Result> time_gemm<float>(const Session&);
extern template std::vector<Result> time_gemm<double>(const Session&);
extern template std::vector<Result> time_lu<float>(const Session&);
extern template std::vector<Result> time_lu<double>(const Session&);
extern template std::vector<Result> time_activate<float>(const Session&);
extern template std::vector<Result> time_activate<double>(const Session&);
extern template std::vector<Result> time_scale_tangents<float>(const Session&);
extern template std::vector<Result> time_scale_tangents<double>(const Session&);
extern template std::vector<Result> time_reverse_activation<float>(const Session&);
extern template std::vector<Result> time_reverse_activation<double>(const Session&);
extern template std::vector<Result> time_spectral_norm<float>(const Session&);
extern template std::vector<Result> time_spectral_norm<double>(const Session&);
extern template std::vector<Result> time_raw_gradient<float>(const Session&);
extern template std::vector<Result> time_raw_gradient<double>(const Session&);

}  // namespace pushforward::bench
