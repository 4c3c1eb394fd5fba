// A training step allocates nothing after the first, and a workspace takes the memory that it states. Counted is what
// the library asks for, by operator new and aligned_alloc; what BLAS takes for itself is its own affair (OpenBLAS does
// in some of its kernels for AVX-512).

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/maps/scalar_map.hpp>
#include <pushforward/optim/optimizer.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/scaling.hpp>

#include "../nn/networks.hpp"
#include "../transforms/conditional.hpp"
#include "../transforms/simple_maps.hpp"
#include "flows.hpp"

#include <cstdlib>
#include <new>

// The sanitizers stand there themselves.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// The counts of this thread alone: MPI's threads may allocate when they like.
thread_local long allocations = 0;
thread_local std::size_t allocated_bytes = 0;

void count(std::size_t bytes) {
  ++allocations;
  allocated_bytes += bytes;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  count(bytes);
  return __libc_memalign(alignment, bytes);
}
}

void* operator new(std::size_t bytes) {
  count(bytes);
  if (void* const p = __libc_malloc(bytes)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  count(bytes);
  if (void* const p = __libc_memalign(static_cast<std::size_t>(alignment), bytes)) return p;
  throw std::bad_alloc();
}

namespace pushforward::test {

namespace {

struct Count {
  long calls;
  std::size_t bytes;
};
template <class F>
Count allocations_of(F&& f) {
  const Count before{allocations, allocated_bytes};
  f();
  return {allocations - before.calls, allocated_bytes - before.bytes};
}

// budget: bytes that are too few for the whole batch at once.
template <class T>
void take_steps(const std::vector<Index>& hidden, Index budget) {
  constexpr Index d = 64, batch = 256;
  flow::Flow<T> flow(d, {.blocks = 2, .hidden = hidden}, 1);
  const auto x = random_matrix<T>(d, batch, 81);
  flow.initialize_from_data({.x = x});
  const auto size = flow.parameters().size();
  std::vector<T> gradient(size), average(size), weight(batch, T(1));
  std::vector<double> log_prob(batch);
  std::vector<flow::Status> status(log_prob.size());
  optim::Optimizer<T> optimizer(flow.layout().size(), {});
  auto workspace = flow::FlowWorkspace<T>::within(flow, budget, batch, flow::Pass::gradient);
  BOOST_TEST(workspace.bytes() <= budget);
  BOOST_TEST(workspace.capacity() < batch);  // so that it works in chunks

  const auto step = [&] {
    flow.prepare(flow::Normalization::power_iteration);
    std::fill(gradient.begin(), gradient.end(), T(0));
    flow.add_gradient({.x = x, .weight = weight}, gradient, log_prob, status, workspace);
    flow.gradient_of_raw_parameters(gradient);
    optim::clip_norm(std::span(gradient), 1);
    optimizer.step(1e-3, gradient, flow.parameters());
    optim::update_average<T>(0.9, flow.parameters(), average);
  };
  step();
  BOOST_TEST(allocations_of(step).calls == 0);
  for (const auto s : status) BOOST_TEST((s == flow::Status::ok));
}

// A step and an evaluation of any flow, in chunks.
template <class T>
long allocations_of_all_passes(const FlowCase& of) {
  constexpr Index n = 7, chunk = 3;
  const auto& data = of.architecture.data;
  flow::Flow<T> flow(of.architecture, 1);
  const auto x = matrix_of<T>(data.size(), n, [](Index i, Index j) { return 0.5 + 0.4 * std::sin(double(3 * i + j)); });
  const auto context = random_matrix<T>(data.context, n, 81);
  flow.initialize_from_data({.x = x, .context = context});
  std::vector<T> gradient(flow.parameters().size()), weight(n, T(1));
  Matrix<T> z(data.size(), n);
  std::vector<double> log_prob(n);
  std::vector<flow::Status> status(n);
  flow::FlowWorkspace<T> workspace(flow, chunk, flow::Pass::gradient), evaluation(flow, chunk, flow::Pass::evaluate);
  const auto step = [&] {
    flow.prepare(flow::Normalization::power_iteration);
    flow.add_gradient({.x = x, .context = context, .weight = weight}, gradient, log_prob, status, workspace);
    flow.gradient_of_raw_parameters(gradient);
    flow.log_prob({.x = x, .context = context}, log_prob, z, status, evaluation);
  };
  step();
  for (const auto s : status) BOOST_TEST((s == flow::Status::ok));
  return allocations_of(step).calls;
}

// All passes of a network, tangents given and those of the identity, and what a step does with its parameters.
void take_passes(const nn::NetworkOptions& options) {
  constexpr Index n = 5;
  const Index d = options.in;
  TestNetwork<double> net(options);
  const auto x = random_matrix<double>(d, n, 82), context = random_matrix<double>(options.context, n, 83);
  Passes<double> passes(net.network, n, d, nn::Pass::gradient);
  Matrix<double> y(options.out, n), jv(options.out, n * d), jtu(d, n * d), x_bar(d, n);
  const auto v = random_matrix<double>(d, 2 * n, 84);
  std::vector<double> gradient(net.parameters.size());
  const auto step = [&] {
    net.prepare(nn::Normalization::power_iteration);
    for (const auto& directions : {nn::Directions<double>::identity(d), nn::Directions<double>::given(v, 2)}) {
      net.network.forward(*passes, x, y, context);
      net.network.tangent(*passes, directions, jv.view().columns(0, n * directions.k));
      net.network.cotangent(*passes, jv, d, jtu);
      net.network.reverse(*passes, x_bar, gradient);
    }
    net.network.gradient_of_raw_parameters(gradient);
    net.network.bake_normalization(net.parameters);
  };
  step();
  BOOST_TEST(allocations_of(step).calls == 0);
}

// Values in (0.1, 0.9), where all functions are defined.
template <class T>
void require_passes_without_allocation(const SimpleMap& map, const Shape& shape) {
  constexpr Index n = 7;
  nn::ParameterLayout layout;
  const auto transform = make_simple<T>(map, shape, layout);
  std::vector<T> parameters(layout.size()), gradient(parameters.size()), weight(n, T(1));
  initialize<T>(*transform, parameters);
  const auto x =
      matrix_of<T>(shape.size(), n, [](Index i, Index j) { return 0.5 + 0.4 * std::sin(double(3 * i + j)); });
  Matrix<T> z(shape.size(), n), bar(shape.size(), n);
  std::vector<double> log_det(n);
  std::vector<flow::Status> status(n);
  linalg::Workspace counted_kept, counted_scratch;
  transform->plan(counted_kept, counted_scratch, n, flow::Pass::gradient);
  linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
  const auto state = transform->plan(kept, scratch, n, flow::Pass::gradient);
  const auto step = [&] {
    prepare<T>(*transform, parameters, flow::Normalization::svd);
    transform->forward(*state, {x}, z, log_det, status);
    transform->reverse(*state, x, z, weight, bar, gradient);
    transform->solve_transposed(*state, x, z, bar);
    transform->inverse(*state, {x}, z, log_det, status, {});
  };
  step();
  BOOST_TEST(allocations_of(step).calls == 0);
}

// Passes of a transform with memory for n samples.
template <class T>
Count allocations_of_passes(const Conditional& map) {
  constexpr Index n = 7;
  nn::ParameterLayout layout;
  const auto transform = make_transform<T>(map, layout);
  prepare<T>(*transform, random_vector<T>(layout.size(), 1), nn::Normalization::svd);
  const auto x = random_matrix<T>(map.domain.size(), n, 2), context = random_matrix<T>(map.domain.context, n, 3);
  Matrix<T> z(x.rows(), n), x_bar(x.rows(), n);
  std::vector<T> gradient(layout.size());
  std::vector<double> log_det(n);
  std::vector<flow::Status> status(log_det.size());
  Count sum{0, 0};
  for (const auto pass : {nn::Pass::evaluate, nn::Pass::gradient}) {
    linalg::Workspace counted_kept, counted_scratch;
    transform->plan(counted_kept, counted_scratch, n, pass);
    linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
    const auto state = transform->plan(kept, scratch, n, pass);
    const flow::Batch<T> batch{.x = x, .context = context};
    const auto count = allocations_of([&] {
      transform->forward(*state, batch, z, log_det, status);
      if (pass == nn::Pass::evaluate) {
        transform->inverse(*state, batch, z, log_det, status, {});
      } else {
        transform->reverse(*state, x, z, {}, x_bar, gradient);
        gradient_of_raw_parameters<T>(*transform, gradient);
      }
    });
    sum.calls += count.calls;
    sum.bytes += count.bytes;
  }
  return sum;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(allocation)

BOOST_AUTO_TEST_CASE(the_counter_counts) {
  BOOST_TEST(allocations_of([] { const Matrix<double> a(8, 8); }).bytes == 512U);
  BOOST_TEST(allocations_of([] { const std::vector<int> a(3); }).calls == 1);
  BOOST_TEST(allocations_of([] {}).calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_training_step_allocates_nothing_after_the_first, T, Precisions) {
  linalg::set_blas_threads(1);  // with more, OpenBLAS allocates a queue of jobs in every product
  // Log-dets through the input, and through a hidden layer.
  take_steps<T>({128, 128}, 64 << 20);
  take_steps<T>({128, 16}, 8 << 20);
}

// The exact log-det of a single such image takes 700 MB; initialization wants none.
BOOST_AUTO_TEST_CASE(images_are_initialized_and_mapped_within_the_budget) {
  linalg::set_blas_threads(1);
  constexpr Index n = 270, budget = 32'000'000;
  const Shape shape{28, 28, 1};
  const flow::FlowOptions options{.kind = "residual"};
  flow::Flow<float> flow(architecture_of(options, {.shape = shape}), 1);
  const auto x = random_matrix<float>(shape.size(), n, 85);
  const auto used = allocations_of([&] { flow.initialize_from_data({.x = x}, budget); }).bytes;
  const auto norms = allocations_of([&] { flow.prepare(flow::Normalization::svd); }).bytes;
  const std::size_t copy = n * static_cast<std::size_t>(shape.size()) * sizeof(float);
  BOOST_TEST(used - norms - copy < static_cast<std::size_t>(budget) * 105 / 100);  // and plans
  BOOST_TEST(flow::FlowWorkspace<float>::bytes_for(flow, 1, flow::Pass::evaluate) > 20 * budget);
  BOOST_TEST(flow::FlowWorkspace<float>::demand(flow, flow::Pass::evaluate).find("by exact") != std::string::npos);
  auto workspace = flow::FlowWorkspace<float>::within(flow, budget, n, flow::Pass::map_only);
  BOOST_TEST(workspace.bytes() <= budget);
  Matrix<float> z(shape.size(), n), whole(shape.size(), n);
  std::vector<flow::Status> status(n);
  flow.map({.x = x}, z, status, workspace);
  // As initialized, ActNorms leave every channel with mean 0 and deviation 1, whatever the chunks.
  double sum = 0, squares = 0;
  for (const float value : z.span()) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const auto count = static_cast<double>(z.rows() * n);
  BOOST_TEST(std::abs(sum / count) < 1e-4);
  BOOST_TEST(std::abs(squares / count - 1) < 1e-4);
}

// Scalings keep much, couplings need much at a time; together they stay within the budget.
BOOST_AUTO_TEST_CASE(transforms_of_different_needs_are_initialized_within_the_budget) {
  linalg::set_blas_threads(1);
  constexpr Index n = 2000, d = 64, budget = 1'000'000;
  const auto chain = chain_of(flow::ScalingOptions(), flow::CouplingOptions{.hidden = {96}}, flow::ScalingOptions());
  flow::Flow<float> flow(flow::Architecture{{.shape = Shape::vector(d)}, chain, {}}, 1);
  const auto x = random_matrix<float>(d, n, 85);
  constexpr std::size_t copy = n * d * sizeof(float);
  const auto used = allocations_of([&] { flow.initialize_from_data({.x = x}, budget); }).bytes;
  BOOST_TEST(used < copy + budget + 100'000);  // log-dets, statuses and plans
  const auto whole = allocations_of([&] { flow.initialize_from_data({.x = x}, 100 * budget); }).bytes;
  BOOST_TEST(whole > copy + 2 * budget);
}

BOOST_AUTO_TEST_CASE(memory_that_there_is_not_is_an_error) {
  const flow::Flow<double> flow(5, {.blocks = 1, .hidden = {8}}, 1);
  BOOST_CHECK_EXCEPTION(flow::FlowWorkspace<double>(flow, Index{1} << 45, flow::Pass::evaluate), OptionError,
                        says({"passes of 35184372088832 samples at a time need", "PB of memory, and",
                              "are available; take fewer; a sample takes", "residual"}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(steps_of_all_flows_allocate_nothing, T, Precisions) {
  linalg::set_blas_threads(1);
  for (const auto& of : all_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      BOOST_TEST(allocations_of_all_passes<T>(of) == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(scalar_maps_and_base_densities_allocate_nothing, T, Precisions) {
  constexpr Index d = 5, n = 7;
  const auto x = random_matrix<T>(d, n, 1);
  Matrix<T> z(d, n), x_bar(d, n);
  std::vector<double> log_det(n), draw(d);
  std::vector<std::unique_ptr<flow::ScalarMap<T>>> maps;
  for (const auto& kind : flow::ScalarMapKind::registry().all()) {
    maps.push_back(flow::make_scalar_map<T>(flow::ScalarMapOptions(kind.name)));
    if (kind.circle) maps.push_back(flow::make_circle_map<T>(flow::ScalarMapOptions(kind.name)));
  }
  for (const auto& map : maps) {
    const auto theta = random_matrix<T>(map->parameters(), d * n, 2);
    Matrix<T> theta_bar(map->parameters(), d * n);
    BOOST_TEST(allocations_of([&] {
                 map->forward(theta, x, z, log_det);
                 map->inverse(theta, z, z, log_det);
                 map->reverse(theta, x, z, {}, x_bar, theta_bar);
               }).calls == 0);
  }
  for (const auto& kind : flow::BaseKind::registry().names()) {
    nn::ParameterLayout layout;
    const auto base = flow::make_base<T>(flow::BaseOptions(kind), {layout, d, {1}, 1});
    std::vector<T> parameters(layout.size()), gradient(parameters.size());
    base->initialize(parameters);
    random::Stream stream(1, random::Purpose::check);
    BOOST_TEST(allocations_of([&] {
                 base->prepare(parameters);
                 base->log_prob(x, log_det);
                 base->reverse(x, {}, z, gradient);
                 base->draw(stream, draw);
               }).calls == 0);
  }
}

BOOST_AUTO_TEST_CASE(passes_of_networks_of_all_kinds_allocate_nothing) {
  linalg::set_blas_threads(1);
  take_passes({.in = 12, .out = 12, .hidden = {4, 3}, .context = 2, .height = 2, .width = 3, .kernels = {3, 1, 3}});
  take_passes({.in = 5, .out = 5, .hidden = {8, 7}, .context = 2, .periodic = {1, 4}});
  take_passes({.in = 4, .out = 8, .hidden = {9}, .context = 2, .periodic = {0}, .autoregressive = true});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(transforms_without_a_network_allocate_nothing, T, Precisions) {
  linalg::set_blas_threads(1);
  for (const Index d : {20, 64}) {
    for (const SimpleMap& map : simple_maps) {
      BOOST_TEST_CONTEXT(map.kind << ' ' << map.detail << ", d = " << d) {
        require_passes_without_allocation<T>(map, simple_shape(d));
      }
    }
    require_passes_without_allocation<T>({"dequantize", ""}, simple_shape(d));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(passes_of_conditional_maps_allocate_nothing, T, Precisions) {
  linalg::set_blas_threads(1);
  const Domain vector{.shape = Shape::vector(9), .periodic = {2, 5}, .context = 3};
  for (const auto& map :
       {coupling("even", "spline", vector), autoregressive("spline", vector, false),
        autoregressive("spline", vector, true),
        coupling("checkerboard", "affine", {.shape = {4, 4, 2}, .periodic = {}, .context = 1}, {3, 1, 3})}) {
    BOOST_TEST_CONTEXT(map.name()) {
      BOOST_TEST(allocations_of_passes<T>(map).calls == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_workspace_takes_what_it_states) {
  for (const Index width : {8, 2}) {
    const flow::Flow<double> flow(5, {.blocks = 3, .hidden = {8, width}}, 1);
    for (const auto pass : {flow::Pass::evaluate, flow::Pass::gradient}) {
      Index stated = 0;
      const Count taken = allocations_of([&] { stated = flow::FlowWorkspace<double>(flow, 500, pass).bytes(); });
      BOOST_TEST(static_cast<Index>(taken.bytes) >= stated);
      BOOST_TEST(static_cast<Index>(taken.bytes) <= stated + 20000);  // the objects that hold the views
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test

#endif
