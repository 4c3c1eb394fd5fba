// Evaluates log p at points on the command line from C++. With an installed library (meson install -C build):
//
//   mpicxx -std=c++20 examples/log_prob.cpp $(pkg-config --cflags --libs pushforward) -o log_prob
//   ./log_prob flow.h5 0.5 -1.5

#include <pushforward/model/model.hpp>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  namespace pf = pushforward;
  try {
    pf::require<pf::OptionError>(argc > 1, "usage: log_prob MODEL.h5 X1 X2 …, a point or several");
    const auto model = pf::flow::load_model<double>(argv[1]);
    const pf::Index d = model.dimension(), numbers = argc - 2, n = numbers / d;
    pf::require<pf::OptionError>(n >= 1 && n * d == numbers, "{} numbers are no points of dimension {}", numbers, d);

    pf::Matrix<double> x(d, n);  // one point per column
    for (pf::Index i = 0; i < numbers; ++i) x.data()[i] = std::atof(argv[2 + i]);
    std::vector<double> log_prob(n);
    std::vector<pf::flow::Status> status(log_prob.size());
    pf::flow::FlowWorkspace<double> workspace(model.flow(), n, pf::nn::Pass::evaluate);
    model.log_prob({.x = x}, log_prob, {}, status, workspace);
    for (const double value : log_prob) std::printf("%.12g\n", value);
  } catch (const pf::Error& error) {
    std::fprintf(stderr, "log_prob: %s\n", error.what());
    return static_cast<int>(pf::exit_code(error.kind()));
  }
  return 0;
}
