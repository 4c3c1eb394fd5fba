// Whether a training step should reduce its gradient in buckets while the reverse pass still runs, or all of it after:
// measured, since the library does the latter. What MPI needs for the former is here alone.

#include "case.hpp"

#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

using linalg::Op;

constexpr Index blocks = 10;
constexpr Index columns = 256, tiny_columns = 8;  // rows of the batch on a rank
constexpr int turns = 5;

// How the gradient is added up over ranks.
enum class Reduction {
  none,     // not at all: what the rest costs
  fused,    // all of it, after the reverse pass
  buckets,  // each block's as soon as it is there
  polled    // likewise, and MPI is asked between products how far it is, which lets it go on
};

struct Variant {
  Reduction reduction;
  std::string label;
};
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all{{Reduction::none, "reverse alone"},
                                        {Reduction::fused, "one call after"},
                                        {Reduction::buckets, "buckets"},
                                        {Reduction::polled, "buckets, polled"}};
  return all;
}

void check(int code, const char* call) {
  require<MpiError>(code == MPI_SUCCESS, "{}: error {}", call, code);
}

// A reverse pass that is all products: of each block, last to first, one square layer on a rank's columns, the gradient
// of its weight and the cotangent below it. No step has less work for a parameter: tangents, activations, LU come on
// top. Every gradient is `columns` times rank + 1.
class ReversePass {
 public:
  ReversePass(const Session& session, Index parameters)
      : comm_(session.comm),
        width_(session.tiny ? 3 : std::llround(std::sqrt(static_cast<double>(parameters) / blocks))),
        n_(session.tiny ? tiny_columns : columns),
        weight_(width_, width_),
        x_(width_, n_),
        cotangent_(width_, n_),
        below_(width_, n_),
        gradient_(static_cast<std::size_t>(blocks * width_ * width_)),
        requests_(blocks, MPI_REQUEST_NULL) {
    weight_.fill(0.5F);
    x_.fill(static_cast<float>(comm_.rank() + 1));
    cotangent_.fill(1);
  }

  Index parameters() const { return std::ssize(gradient_); }
  std::span<const float> gradient() const { return gradient_; }
  double flops() const {
    return static_cast<double>(blocks) *
           (linalg::gemm_flops(width_, width_, n_) + linalg::gemm_flops(width_, n_, width_));
  }
  // The value of every element of the gradient: on this rank, and added up over all ranks.
  float own() const { return static_cast<float>(n_ * (comm_.rank() + 1)); }
  float sum() const { return static_cast<float>(n_ * comm_.size() * (comm_.size() + 1) / 2); }

  void run(Reduction reduction) {
    const bool in_buckets = reduction == Reduction::buckets || reduction == Reduction::polled;
    for (Index block = blocks - 1; block >= 0; --block) {
      float* const bucket = gradient_.data() + block * width_ * width_;
      const MatrixView<float> weight_gradient(bucket, width_, width_);
      linalg::gemm(Op::none, Op::transpose, 1.0F, cotangent_, x_, 0.0F, weight_gradient);
      if (in_buckets) {
        check(MPI_Iallreduce(MPI_IN_PLACE, bucket, static_cast<int>(width_ * width_), MPI_FLOAT, MPI_SUM,
                             comm_.handle(), &requests_[block]),
              "MPI_Iallreduce");
      }
      linalg::gemm(Op::transpose, Op::none, 1.0F, weight_, cotangent_, 0.0F, below_);
      if (reduction == Reduction::polled) {
        int done = 0;
        check(MPI_Testall(blocks, requests_.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
      }
    }
    if (in_buckets) check(MPI_Waitall(blocks, requests_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
    if (reduction == Reduction::fused) comm_.sum(std::span<float>(gradient_));
  }

 private:
  const comm::Communicator& comm_;
  Index width_, n_;
  Matrix<float> weight_, x_, cotangent_, below_;
  std::vector<float> gradient_;
  std::vector<MPI_Request> requests_;
};

// A variant's gradient is what it should be.
Comparison checked(const Session& session, ReversePass& pass, Reduction reduction) {
  pass.run(reduction);
  Checks checks;
  comm::agree(session.comm, [&] {
    const std::vector<float> all(pass.gradient().size(), reduction == Reduction::none ? pass.own() : pass.sum());
    checks.close<float>("a gradient", pass.gradient(), all, 1e-6);
  });
  return checks.nearest();
}

// The variants take turns, so that what disturbs the machine meets all of them.
std::vector<Result> time_overlap(const Session& session, Index parameters) {
  ReversePass pass(session, parameters);
  std::vector<Result> results;
  for (const auto& [reduction, label] : variants()) {
    results.push_back({.label = label,
                       .precision = "float",
                       .rows = pass.parameters(),
                       .flops = pass.flops() * static_cast<double>(session.comm.size()),
                       .check = checked(session, pass, reduction)});
  }
  const Session turn{session.comm, session.seconds / turns, session.tiny};
  for (int i = 0; i < turns; ++i) {
    for (std::size_t v = 0; v < results.size(); ++v) {
      const auto timing = time_repeats(turn, [&] { pass.run(variants()[v].reduction); });
      if (i == 0 || timing.best < results[v].timing.best) results[v].timing = timing;
    }
  }
  return results;
}

}  // namespace

std::vector<Case> overlap_cases() {
  std::vector<Case> cases;
  for (const auto& [name, parameters] :
       {std::pair{"5e4", Index{50'000}}, {"1e6", Index{1'000'000}}, {"5e6", Index{5'000'000}}}) {
    cases.push_back(
        {.name = fmt::format("comm.overlap.{}", name),
         .summary = fmt::format("a reverse pass and the sum of its {} floats, in one call or in buckets", name),
         .run = [parameters](const Session& session) { return time_overlap(session, parameters); }});
  }
  return cases;
}

}  // namespace pushforward::bench
