
#include "kernels.hpp"
#include "subject.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace pushforward::bench {

namespace {

template <class T>
constexpr double tolerance = 100 * std::numeric_limits<T>::epsilon();

constexpr double beta = 1.3;

// (w × n) values and k tangents of each: of a step with d = 2 and with d = 43.
struct Size {
  Index w, n, k;
};
std::vector<Size> sizes(const Session& session) {
  if (session.tiny) return {{9, 5, 2}, {8, 3, 4}};
  return {{128, 500, 2}, {128, 64, 43}, {256, 512, 1}};
}
std::string label(const Size& s) {
  return fmt::format("{}×{}·{}", s.w, s.n, s.k);
}

// lipswish in double.
struct Lipswish {
  explicit Lipswish(double a) {
    const double s = 1 / (1 + std::exp(-beta * a)), slope = s * (1 - s), t = beta * a;
    value = a * s / 1.1;
    first = (s + t * slope) / 1.1;
    second = beta * slope * (2 + t * (1 - 2 * s)) / 1.1;
  }
  double value, first, second;
};

template <class T>
std::vector<T> with_zeros(Index n) {
  return std::vector<T>(n, T(0));
}

template <class T>
double bytes(const Session& session, double arrays, Index elements) {
  return arrays * static_cast<double>(elements) * sizeof(T) * session.comm.size();
}

}  // namespace

template <class T>
std::vector<Result> time_activate(const Session& session) {
  std::vector<Result> results;
  for (const auto& s : sizes(session)) {
    const Matrix<T> start = normal_columns<T>(s.w, s.n);
    Matrix<T> a(start), value(s.w, s.n), first(s.w, s.n), second(s.w, s.n);
    const auto bias = with_zeros<T>(s.w);  // so that `a` stays as it is from run to run
    const auto& lipswish = nn::ActivationKind::registry().at("lipswish");
    const auto activate = [&] { nn::activate<T>(lipswish, T(beta), bias, a, {value, first, second}); };
    activate();
    Matrix<T> values(s.w, s.n), firsts(s.w, s.n), seconds(s.w, s.n);
    for (Index i = 0; i < start.size(); ++i) {
      const Lipswish expected(static_cast<double>(start.data()[i]));
      values.data()[i] = static_cast<T>(expected.value);
      firsts.data()[i] = static_cast<T>(expected.first);
      seconds.data()[i] = static_cast<T>(expected.second);
    }
    Checks checks;
    checks.close<T>("φ", value.span(), values.span(), tolerance<T>);
    checks.close<T>("φ′", first.span(), firsts.span(), tolerance<T>);
    checks.close<T>("φ″", second.span(), seconds.span(), tolerance<T>);
    Result result{.label = fmt::format("{}×{}", s.w, s.n), .rows = s.n, .check = checks.nearest()};
    result.timing = time_repeats(session, activate);
    result.bytes = bytes<T>(session, 5, start.size());  // a in and out, three out
    results.push_back(result);
  }
  return results;
}

template <class T>
std::vector<Result> time_scale_tangents(const Session& session) {
  std::vector<Result> results;
  for (const auto& s : sizes(session)) {
    const Matrix<T> first = normal_columns<T>(s.w, s.n), t = normal_columns<T>(s.w, s.n * s.k, s.n);
    Matrix<T> out(s.w, s.n * s.k), expected(s.w, s.n * s.k);
    const auto scale = [&] { nn::scale_tangents<T>(first, s.k, t, out); };
    scale();
    for (Index j = 0; j < t.cols(); ++j) {
      for (Index i = 0; i < s.w; ++i) expected(i, j) = first(i, j / s.k) * t(i, j);
    }
    Checks checks;
    checks.close<T>("tangents", out.span(), expected.span(), tolerance<T>);
    Result result{.label = label(s), .rows = s.n, .check = checks.nearest()};
    result.timing = time_repeats(session, scale);
    result.bytes = bytes<T>(session, 1, first.size() + 2 * t.size());
    results.push_back(result);
  }
  return results;
}

template <class T>
std::vector<Result> time_reverse_activation(const Session& session) {
  std::vector<Result> results;
  for (const auto& s : sizes(session)) {
    const Matrix<T> a = normal_columns<T>(s.w, s.n), t = normal_columns<T>(s.w, s.n * s.k, s.n);
    Matrix<T> value(s.w, s.n), first(s.w, s.n), second(s.w, s.n);
    for (Index i = 0; i < a.size(); ++i) {
      const Lipswish at(static_cast<double>(a.data()[i]));
      value.data()[i] = static_cast<T>(at.value);
      first.data()[i] = static_cast<T>(at.first);
      second.data()[i] = static_cast<T>(at.second);
    }
    const Matrix<T> h_start = normal_columns<T>(s.w, s.n, 7), tau_start = normal_columns<T>(s.w, s.n * s.k, 11);
    Matrix<T> h_bar(h_start), tau_bar(tau_start), a_bar(s.w, s.n), t_bar(s.w, s.n * s.k);
    double slope = 0, scale = 0;
    for (Index i = 0; i < s.n; ++i) {
      for (Index r = 0; r < s.w; ++r) {
        double sum = 0;
        for (Index j = i * s.k; j < (i + 1) * s.k; ++j) {
          sum += static_cast<double>(tau_start(r, j)) * static_cast<double>(t(r, j));
          t_bar(r, j) = first(r, i) * tau_start(r, j);
        }
        const double bar = static_cast<double>(first(r, i)) * static_cast<double>(h_start(r, i)) +
                           static_cast<double>(second(r, i)) * sum;
        a_bar(r, i) = static_cast<T>(bar);
        slope +=
            static_cast<double>(a(r, i)) * bar - static_cast<double>(h_start(r, i)) * static_cast<double>(value(r, i));
        scale += std::abs(static_cast<double>(a(r, i)) * bar);
      }
    }
    const auto reverse = [&] {
      return nn::reverse_activation<T>({a, value, first, second}, s.k, t, false, true, h_bar, tau_bar);
    };
    const double along_slope = reverse();
    Checks checks;
    checks.close<T>("ā", h_bar.span(), a_bar.span(), tolerance<T>);
    checks.close<T>("T̄", tau_bar.span(), t_bar.span(), tolerance<T>);
    checks.close("the slope's gradient", scale + along_slope, scale + slope, tolerance<T>);
    // Zeros from here on: what is written over itself again and again would end as denormals.
    h_bar.fill(0);
    tau_bar.fill(0);
    Result result{.label = label(s), .rows = s.n, .check = checks.nearest()};
    result.timing = time_repeats(session, [&] { reverse(); });
    result.bytes = bytes<T>(session, 1, 6 * a.size() + 3 * t.size());
    results.push_back(result);
  }
  return results;
}

template std::vector<Result> time_activate<float>(const Session&);
template std::vector<Result> time_activate<double>(const Session&);
template std::vector<Result> time_scale_tangents<float>(const Session&);
template std::vector<Result> time_scale_tangents<double>(const Session&);
template std::vector<Result> time_reverse_activation<float>(const Session&);
template std::vector<Result> time_reverse_activation<double>(const Session&);

}  // namespace pushforward::bench
