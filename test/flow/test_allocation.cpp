// A training step allocates nothing after the first, and a workspace takes the memory that it states. Counted by
// standing in for the C library's allocation functions, which operator new calls as well.

#include <pushforward/flow/flow.hpp>
#include <pushforward/linalg/threads.hpp>
#include <pushforward/optim/optimizer.hpp>

#include "conditional.hpp"

#include <cerrno>
#include <cstdlib>

// The sanitizers stand there themselves.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// Of this thread alone: MPI's may allocate when they like.
thread_local long allocations = 0;
thread_local std::size_t allocated_bytes = 0;

void count(std::size_t bytes) {
  ++allocations;
  allocated_bytes += bytes;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept {
  count(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) noexcept {
  count(n * bytes);
  return __libc_calloc(n, bytes);
}
void* realloc(void* p, std::size_t bytes) noexcept {
  count(bytes);
  return __libc_realloc(p, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  count(bytes);
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t bytes) noexcept {
  count(bytes);
  *p = __libc_memalign(alignment, bytes);
  return *p == nullptr ? ENOMEM : 0;
}
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
  flow.initialise_from_data(x);
  const auto size = flow.parameters().size();
  std::vector<T> gradient(size), average(size), weight(static_cast<std::size_t>(batch), T(1));
  std::vector<double> log_prob(static_cast<std::size_t>(batch));
  std::vector<flow::Status> status(log_prob.size());
  optim::Optimizer<T> optimizer(flow.layout().size(), {});
  auto workspace = flow::FlowWorkspace<T>::within(flow, budget, batch, flow::Purpose::gradient);
  BOOST_TEST(workspace.bytes() <= budget);
  BOOST_TEST(workspace.capacity() < batch);  // so that it works in chunks

  const auto step = [&] {
    flow.prepare(flow::Normalization::power_iteration);
    std::fill(gradient.begin(), gradient.end(), T(0));
    flow.add_gradient(x, weight, gradient, log_prob, status, workspace);
    flow.finish_gradient(gradient);
    optim::clip_norm(std::span(gradient), 1);
    optimizer.step(1e-3, gradient, flow.parameters());
    optim::update_average<T>(0.9, flow.parameters(), average);
  };
  step();
  BOOST_TEST(allocations_of(step).calls == 0);
  for (const auto s : status) BOOST_TEST((s == flow::Status::ok));
}

// Passes of a transform with memory for n samples.
template <class T>
Count allocations_of_passes(const Conditional& map) {
  constexpr Index n = 7;
  nn::ParameterLayout layout;
  const auto transform = make_transform<T>(map, layout);
  transform->prepare(random_vector<T>(layout.size(), 1), nn::Normalization::svd);
  const auto x = random_matrix<T>(map.domain.size(), n, 2), context = random_matrix<T>(map.domain.context, n, 3);
  Matrix<T> z(x.rows(), n), x_bar(x.rows(), n);
  std::vector<T> gradient(static_cast<std::size_t>(layout.size()));
  std::vector<double> log_det(static_cast<std::size_t>(n));
  std::vector<flow::Status> status(log_det.size());
  Count sum{0, 0};
  for (const auto purpose : {nn::Purpose::evaluate, nn::Purpose::gradient}) {
    linalg::Workspace counted_kept, counted_scratch;
    transform->plan(counted_kept, counted_scratch, n, purpose);
    linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
    const auto state = transform->plan(kept, scratch, n, purpose);
    state->context = context;
    const auto count = allocations_of([&] {
      transform->forward(*state, x, z, log_det, status);
      if (purpose == nn::Purpose::evaluate) {
        transform->inverse(*state, x, z, log_det, status, {});
      } else {
        transform->reverse(*state, z, {}, x_bar, gradient);
        transform->finish_gradient(gradient);
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
    for (const auto purpose : {flow::Purpose::evaluate, flow::Purpose::gradient}) {
      Index stated = 0;
      const Count taken = allocations_of([&] { stated = flow::FlowWorkspace<double>(flow, 500, purpose).bytes(); });
      BOOST_TEST(static_cast<Index>(taken.bytes) >= stated);
      BOOST_TEST(static_cast<Index>(taken.bytes) <= stated + 20000);  // the objects that hold the views
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test

#endif
