// Two densities that textbooks derive by the change of variables, and their closed forms:
//
//   affine   x = σz + μ pushes N(0, 1) to N(μ, σ²)
//   cubes    (u, v) = (x³, y³) pushes N(0, I) to |uv|^(−2/3)/9 · φ(∛u) φ(∛v), φ that of N(0, 1)
//
// A flow maps data to latents, so its transforms are the inverses: (x − μ)/σ, ∛. Prints both densities at some points,
// and writes them on grids, with samples that were pushed, for plot_textbook.py:
//
//   build/examples/textbook textbook.h5
//   examples/plot_textbook.py textbook.h5 -o textbook.png

#include <pushforward/flow/flow.hpp>
#include <pushforward/h5/writer.hpp>

#include <cmath>
#include <cstdio>
#include <numbers>

namespace {

namespace pf = pushforward;
using namespace pf::flow;
using pf::Index;
using pf::Matrix;

constexpr double mu = 1.5, sigma = 0.5;

double phi(double z) {
  return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
}

double affine_density(const double* x) {
  return phi((x[0] - mu) / sigma) / sigma;
}

double cubes_density(const double* x) {
  const double u = x[0], v = x[1];
  return std::pow(std::abs(u * v), -2.0 / 3) / 9 * phi(std::cbrt(u)) * phi(std::cbrt(v));
}

// A flow of one transform, and what it should come to.
struct Example {
  const char* name;
  Flow<double> flow;
  double (*closed_form)(const double*);
  Matrix<double> points;     // (d × n), to be printed
  std::vector<double> axis;  // of the grid, in each direction
};

std::vector<double> density(const Flow<double>& flow, pf::ConstMatrixView<double> x) {
  std::vector<double> values(x.cols());
  std::vector<Status> status(values.size());
  FlowWorkspace<double> workspace(flow, 1024, Pass::evaluate);
  flow.log_prob({.x = x}, values, {}, status, workspace);
  for (double& value : values) value = std::exp(value);
  return values;
}

// x = f⁻¹(z) of n draws z of the base density.
Matrix<double> pushed(const Flow<double>& flow, Index n) {
  Matrix<double> z(flow.dimension(), n), x(flow.dimension(), n);
  for (Index i = 0; i < n; ++i) {
    pf::random::Stream stream(1, pf::random::Purpose::base_sample, 0, static_cast<std::uint64_t>(i));
    flow.base().draw(stream, z.view().column_span(i));
  }
  std::vector<double> log_prob(n);
  std::vector<Status> status(log_prob.size());
  FlowWorkspace<double> workspace(flow, 1024, Pass::evaluate);
  flow.inverse(z, x, log_prob, status, {}, workspace);
  return x;
}

// All points of the grid, the first direction fastest.
Matrix<double> grid(const std::vector<double>& axis, Index d) {
  const auto n = static_cast<Index>(axis.size());
  Matrix<double> x(d, d == 1 ? n : n * n);
  for (Index i = 0; i < x.cols(); ++i) {
    x(0, i) = axis[i % n];
    if (d == 2) x(1, i) = axis[i / n];
  }
  return x;
}

// n midpoints of cells that divide [low, high]; an even n keeps them off the middle, where the cubes have a pole.
std::vector<double> midpoints(double low, double high, Index n) {
  std::vector<double> axis;
  for (Index i = 0; i < n; ++i) {
    axis.push_back(low + (high - low) * (static_cast<double>(i) + 0.5) / static_cast<double>(n));
  }
  return axis;
}

void write(const pf::h5::GroupWriter& group, const Example& example) {
  const Index d = example.flow.dimension();
  const Matrix<double> x = grid(example.axis, d);
  std::vector<double> exact;
  for (Index i = 0; i < x.cols(); ++i) exact.push_back(example.closed_form(x.view().column(i)));
  // In C order, the second direction before the first.
  const std::vector<Index> shape(d, std::ssize(example.axis));
  group.write("axis", example.axis);
  group.write_array<double>("density", shape, density(example.flow, x).data(), {"", "density of the flow"});
  group.write_array<double>("closed_form", shape, exact.data(), {"", "density in closed form"});
  group.write<double>("samples", pushed(example.flow, 50'000).view(), {"", "pushed draws of the base density"});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    pf::require<pf::OptionError>(argc == 2, "usage: textbook OUTPUT.h5");
    const auto flow_of = [](Index d, const ElementwiseOptions& transform) {
      const Domain vectors{pf::Shape::vector(d)};
      return Flow<double>({vectors, {transform}}, 1);
    };
    Example examples[] = {
        {"affine", flow_of(1, {.function = "affine", .shift = mu, .scale = sigma}), affine_density,
         Matrix<double>(1, 5), midpoints(mu - 4 * sigma, mu + 4 * sigma, 400)},
        {"cubes", flow_of(2, {.function = "cube_root"}), cubes_density, Matrix<double>(2, 5), midpoints(-4, 4, 200)}};
    for (Index i = 0; i < 5; ++i) {
      const double t = static_cast<double>(i) - 2;
      examples[0].points(0, i) = mu + t * sigma;
      examples[1].points(0, i) = t + 0.1;
      examples[1].points(1, i) = 1.3 - t * t;
    }

    pf::h5::FileImage file("pushforward-textbook", 1);
    std::printf("%-7s %-14s %-22s %-22s\n", "", "point", "flow", "closed form");
    for (const auto& example : examples) {
      const auto values = density(example.flow, example.points);
      for (Index i = 0; i < example.points.cols(); ++i) {
        std::string point;
        for (const double x : example.points.view().column_span(i)) point += fmt::format("{:.4g} ", x);
        std::printf("%-7s %-14s %-22.16g %-22.16g\n", example.name, point.c_str(), values[i],
                    example.closed_form(example.points.view().column(i)));
      }
      write(file.root().make_group(example.name), example);
    }
    file.save(argv[1]);
  } catch (const pf::Error& error) {
    std::fprintf(stderr, "textbook: %s\n", error.what());
    return static_cast<int>(pf::exit_code(error.kind()));
  }
  return 0;
}
