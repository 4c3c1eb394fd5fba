#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/threads.hpp>

extern "C" {
void openblas_set_num_threads(int);
int openblas_get_num_threads(void);
char* openblas_get_corename(void);
}

namespace pushforward::linalg {

void set_blas_threads(int threads) {
  require<OptionError>(threads >= 1, "BLAS threads = {}: must be at least 1", threads);
  openblas_set_num_threads(threads);
}

int blas_threads() {
  return openblas_get_num_threads();
}

const char* blas_core() {
  return openblas_get_corename();
}

template <class T>
double measure_gemm_rate() {
  constexpr Index size = 256;
  Matrix<T> a(size, size), b(size, size), c(size, size);
  a.fill(T(0.5));
  b.fill(T(0.25));
  double best = 0;
  const Timer all;
  while (all.seconds() < 0.05) {
    const Timer timer;
    gemm(Op::none, Op::none, T(1), a, b, T(0), c);
    best = std::max(best, gemm_flops(size, size, size) / timer.seconds());
  }
  return best * 1e-9;
}

template double measure_gemm_rate<float>();
template double measure_gemm_rate<double>();

}  // namespace pushforward::linalg
