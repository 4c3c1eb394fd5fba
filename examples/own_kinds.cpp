// Kinds of one's own: a transform, an activation and a base density that the library does not have are defined and
// registered here. A flow of them is trained with an objective of one's own, saved, loaded and sampled from. Everything
// that chooses kinds by name then knows them: chains, TOML, flags and model files. A program that reads such a model
// must register them as well.
//
//   build/examples/own_kinds own.h5

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/model/model.hpp>
#include <pushforward/nn/activation.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/trained.hpp>

#include <cmath>
#include <cstdio>
#include <random>

namespace {

namespace pf = pushforward;
using namespace pf::flow;
using pf::Index;

// An activation: atan a, with its first two derivatives. The log-det needs a slope of at most 1 and a second
// derivative.
pf::nn::ActivationKind arctan() {
  return pf::nn::activation_kind("arctan", "atan a", [](auto a) {
    const auto slope = 1 / (1 + a * a);
    return std::array{std::atan(a), slope, -2 * a * slope * slope};
  });
}

// A base density: Laplace's, log p₀(z) = Σ (−|z_j|/scale − log(2·scale)).
struct LaplaceOptions {
  static constexpr const char* kind = "laplace";
  static constexpr const char* help = "Laplace's density in each dimension";
  double scale = 1;

  pf::OptionSet declare() {
    pf::OptionSet set;
    set.add("scale", scale, "mean of |z|", pf::more_than(0));
    return set;
  }
};

template <class T>
class Laplace final : public BaseDensity<T> {
 public:
  Laplace(const BasePlace& place, const LaplaceOptions& options) : BaseDensity<T>(place), scale_(options.scale) {}

 private:
  double log_prob_one(const T* z) const override {
    double sum = 0;
    for (const Index row : this->rows()) sum -= std::abs(static_cast<double>(z[row])) / scale_ + std::log(2 * scale_);
    return sum;
  }
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T>) const override {
    for (const Index row : this->rows()) {
      z_bar[row] = static_cast<T>(-weight * std::copysign(1 / scale_, static_cast<double>(z[row])));
    }
  }
  void draw_one(pf::random::Stream& stream, std::span<double> z) const override {
    for (const Index row : this->rows()) {
      const double u = 2 * stream.uniform() - 1;
      z[row] = -scale_ * std::copysign(std::log1p(-std::abs(u)), u);
    }
  }

  double scale_;
};

// A transform: sinh-arcsinh of each value [Jones & Pewsey 2009], z = sinh u with u = ε + δ asinh x, which bends tails
// and skews. ε and log δ are trained. ∂z/∂x = δ cosh u/√(1 + x²).
struct SinhArcsinhOptions {
  static constexpr const char* kind = "sinh_arcsinh";
  static constexpr const char* help = "z = sinh(ε + δ asinh x) of each value, ε and δ trained";

  pf::OptionSet declare() { return {}; }
};

template <class T>
class SinhArcsinh final : public Transform<T>, public Trained<T> {
 public:
  SinhArcsinh(pf::nn::ParameterLayout& layout, const std::string& name, const pf::Shape& shape,
              const SinhArcsinhOptions&)
      : shape_(shape),
        shift_offset_(pf::nn::add_vector(layout, name + "/shift", shape.size())),
        log_slope_offset_(pf::nn::add_vector(layout, name + "/log_slope", shape.size())) {}

  std::string_view kind() const override { return SinhArcsinhOptions::kind; }
  pf::Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override {
    for (const Index offset : {shift_offset_, log_slope_offset_}) {
      std::ranges::fill(pf::nn::part_of(parameters, offset, shape_.size()), T(0));
    }
  }
  void prepare(std::span<const T> parameters, pf::nn::Normalization) override {
    const auto shift = pf::nn::part_of(parameters, shift_offset_, shape_.size());
    const auto log_slope = pf::nn::part_of(parameters, log_slope_offset_, shape_.size());
    points_.clear();
    for (std::size_t i = 0; i < shift.size(); ++i) points_.push_back({shift[i], std::exp(log_slope[i])});
  }
  std::unique_ptr<TransformState<T>> plan(pf::linalg::Workspace&, pf::linalg::Workspace&, Index, Pass) const override {
    return std::make_unique<TransformState<T>>();
  }
  void forward(TransformState<T>&, const Batch<T>& batch, pf::MatrixView<T> z, std::span<double> log_det,
               std::span<Status>) const override {
    for_each(batch.x, [&](Index i, Index j, T, T u, T slope) {
      z(i, j) = std::sinh(u);
      log_det[j] += std::log(static_cast<double>(slope));
    });
  }
  void inverse(TransformState<T>&, const Batch<T>& batch, pf::MatrixView<T> x, std::span<double> log_det,
               std::span<Status>, const InverseOptions&) const override {
    for (Index j = 0; j < x.cols(); ++j) {
      for (Index i = 0; i < x.rows(); ++i) {
        const auto& p = points_[i];
        x(i, j) = std::sinh((std::asinh(batch.x(i, j)) - p.shift) / p.slope);
      }
    }
    for_each(pf::ConstMatrixView<T>(x),
             [&](Index, Index j, T, T, T slope) { log_det[j] -= std::log(static_cast<double>(slope)); });
  }
  void reverse(TransformState<T>&, pf::ConstMatrixView<T> samples, pf::ConstMatrixView<T> z_bar,
               std::span<const T> weight, pf::MatrixView<T> x_bar, std::span<T> gradient) const override {
    for_each(samples, [&](Index i, Index j, T x, T u, T) {
      const T w = weight.empty() ? T(1) : weight[j];
      const T slope = points_[i].slope;
      const T u_bar = z_bar(i, j) * std::cosh(u) + w * std::tanh(u);
      x_bar(i, j) = u_bar * slope / std::sqrt(1 + x * x) - w * x / (1 + x * x);
      if (gradient.empty()) return;
      gradient[shift_offset_ + i] += u_bar;
      gradient[log_slope_offset_ + i] += u_bar * slope * std::asinh(x) + w;
    });
  }
  void solve_transposed(TransformState<T>&, pf::ConstMatrixView<T> samples, pf::ConstMatrixView<T> b,
                        pf::MatrixView<T> lambda) const override {
    for_each(samples, [&](Index i, Index j, T, T, T slope) { lambda(i, j) = b(i, j) / slope; });
  }

 private:
  struct Point {
    T shift, slope;  // ε and δ
  };

  // f(i, j, x, u, ∂z/∂x) for every value.
  template <class F>
  void for_each(pf::ConstMatrixView<T> samples, F&& f) const {
    for (Index j = 0; j < samples.cols(); ++j) {
      for (Index i = 0; i < samples.rows(); ++i) {
        const auto& p = points_[i];
        const T x = samples(i, j), u = p.shift + p.slope * std::asinh(x);
        f(i, j, x, u, p.slope * std::cosh(u) / std::sqrt(1 + x * x));
      }
    }
  }

  pf::Shape shape_;
  Index shift_offset_, log_slope_offset_;
  std::vector<Point> points_;
};

// An objective: maximum likelihood with the penalty ½·penalty·‖θ‖² on the parameters. It wraps the library's objective
// and adds its own part of the loss and of the gradient. (With spectral normalization the gradient would be one with
// respect to effective weights; the networks of couplings have none.)
struct RidgeOptions {
  static constexpr const char* kind = "ridge";
  static constexpr const char* help = "maximum likelihood with the penalty ½·penalty·‖θ‖²";
  double penalty = 1e-4;

  pf::OptionSet declare() {
    pf::OptionSet set;
    set.add("penalty", penalty, "weight of the penalty", pf::at_least(0));
    return set;
  }
};

template <class T>
class Ridge final : public pf::train::Objective<T> {
 public:
  Ridge(const pf::train::ObjectivePlace<T>& place, const RidgeOptions& options)
      : inner_(place), penalty_(options.penalty) {}

  pf::train::LossSum add(const pf::train::StepPart& part, const Batch<T>& batch, std::span<T> gradient) override {
    auto sum = inner_.add(part, batch, gradient);
    double square = 0;
    const auto theta = inner_.parameters();
    for (std::size_t i = 0; i < theta.size(); ++i) {
      square += static_cast<double>(theta[i]) * static_cast<double>(theta[i]);
      gradient[i] += static_cast<T>(sum.weight * penalty_) * theta[i];
    }
    sum.loss += sum.weight * 0.5 * penalty_ * square;
    return sum;
  }

  // The rest is that of maximum likelihood; validations report the NLL without the penalty.
  pf::train::LossName loss_name() const override { return inner_.loss_name(); }
  double reported(double mean_loss) const override { return inner_.reported(mean_loss); }
  void plan(Index n) override { inner_.plan(n); }
  void plan_evaluation() override { inner_.plan_evaluation(); }
  Index workspace_bytes() const override { return inner_.workspace_bytes(); }
  void require_data(const pf::comm::Communicator& comm, const pf::train::TrainingData<T>& data,
                    const pf::Warn& warn) override {
    inner_.require_data(comm, data, warn);
  }
  std::span<T> parameters() override { return inner_.parameters(); }
  void prepare() override { inner_.prepare(); }
  bool prepare_again(Index attempt, bool folded) override { return inner_.prepare_again(attempt, folded); }
  std::string take_changes() override { return inner_.take_changes(); }
  void gradient_of_raw_parameters(std::span<T> gradient) const override { inner_.gradient_of_raw_parameters(gradient); }
  void prepare_with(std::span<const T> parameters) override { inner_.prepare_with(parameters); }
  Evaluation evaluate(const pf::comm::Communicator& comm, const Batch<T>& rows) override {
    return inner_.evaluate(comm, rows);
  }
  void bake() override { inner_.bake(); }

 private:
  pf::train::Likelihood<T> inner_;
  double penalty_;
};

void register_kinds() {
  pf::nn::ActivationKind::registry().add(arctan());
  BaseKind::registry().add(base_kind<LaplaceOptions, Laplace>());
  TransformKind::registry().add(transform_kind<SinhArcsinhOptions, SinhArcsinh>());
  pf::train::ObjectiveKind::registry().add(pf::train::objective_kind<RidgeOptions, Ridge>());
}

constexpr Index rows = 4000;

// x₁ with long, unequal tails, and x₂ about its arctangent.
std::vector<double> samples() {
  std::mt19937_64 generator(1);
  std::exponential_distribution<double> left(2), right(0.7);
  std::normal_distribution<double> noise(0, 0.2);
  std::vector<double> x;
  for (Index j = 0; j < rows; ++j) {
    const double first = right(generator) - left(generator);
    x.insert(x.end(), {first, std::atan(2 * first) + noise(generator)});
  }
  return x;
}

// Trains a chain of these kinds and writes a model file.
void train(const pf::comm::Communicator& comm, const std::string& path) {
  const auto values = samples();
  const pf::ConstMatrixView<double> all(values.data(), 2, rows);
  const pf::train::ArrayRows arrays(
      {Batch<double>{.x = all.columns(0, rows - 500)}, Batch<double>{.x = all.columns(rows - 500, 500)}},
      {.name = "own_kinds"});
  pf::train::Options options;
  options.model.kind = "chain";
  for (const char* mask : {"odd", "even"}) {
    options.model.chain.emplace_back(SinhArcsinhOptions());
    options.model.chain.emplace_back(CouplingOptions{.mask = mask, .hidden = {24, 24}, .activation = "arctan"});
  }
  options.model.base = LaplaceOptions{.scale = 0.7};
  options.model.precision = "double";
  options.objective = RidgeOptions{.penalty = 1e-4};
  options.train = {.steps = 600, .batch = 200, .learning_rate = 5e-3, .warmup = 50};
  pf::train::TrainingData<double> data(comm, arrays, options.data);
  pf::train::Fit<double> fit(comm, options, data);
  fit.run();
  fit.save(path);
  const double nll = fit.evaluate(pf::data::Split::validation).mean;
  data.release();
  if (comm.is_root()) std::printf("validation NLL  %.4f\n", nll);
}

// Loads the model and draws from it.
void sample(const std::string& path) {
  const auto model = load_model<double>(path);
  const auto& flow = model.flow();
  pf::Matrix<double> z(2, rows), x(2, rows);
  for (Index j = 0; j < rows; ++j) {
    pf::random::Stream stream(1, pf::random::Purpose::base_sample, 0, static_cast<std::uint64_t>(j));
    flow.base().draw(stream, z.view().column_span(j));
  }
  std::vector<double> log_prob(rows);
  std::vector<Status> status(rows);
  FlowWorkspace<double> workspace(flow, 500, pf::nn::Pass::evaluate);
  model.inverse(z, x, log_prob, status, {}, workspace);
  double mean[2] = {}, entropy = 0;
  for (Index j = 0; j < rows; ++j) {
    for (int i = 0; i < 2; ++i) mean[i] += x(i, j) / rows;
    entropy -= log_prob[j] / rows;
  }
  std::printf("loaded          %s\n", summary(flow.architecture()).c_str());
  std::printf("mean of samples %.3f %.3f\n", mean[0], mean[1]);
  std::printf("their -log p    %.4f\n", entropy);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const auto comm = pf::comm::Communicator::world();
  int code = 0;
  try {
    pf::require<pf::OptionError>(argc == 2, "usage: own_kinds MODEL.h5");
    register_kinds();
    train(comm, argv[1]);
    if (comm.is_root()) sample(argv[1]);
  } catch (const pf::Error& error) {
    std::fprintf(stderr, "own_kinds: %s\n", error.what());
    code = static_cast<int>(pf::exit_code(error.kind()));
    if (comm.size() > 1) comm.abort(code);  // the other ranks may not have failed
  }
  MPI_Finalize();
  return code;
}
