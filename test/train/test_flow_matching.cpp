#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/linalg/assignment.hpp>
#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/flow_matching.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/permutation.hpp>

#include "../linalg/fixtures.hpp"

#include <ranks.hpp>

#include <numbers>
#include <numeric>
#include <set>

namespace pushforward::test {

namespace {

using train::FlowMatching;
using train::FlowMatchingOptions;
using train::StepPart;

constexpr Index d = 2;

train::Options options_of(FlowMatchingOptions matching, Index batch = 24) {
  train::Options options;
  options.model.kind = "continuous";
  options.model.hidden = {12, 9};
  options.objective = std::move(matching);
  options.train.steps = 40;
  options.train.batch = batch;
  options.train.warmup = 2;
  options.output.every = 40;
  return options;
}

// A flow with a field that is not 0, and an objective on it.
template <class T>
struct Trial {
  Trial(const comm::Communicator& comm, const train::Options& options, const flow::Batch<T>& rows,
        std::vector<Index> periodic = {}, const Matrix<T>& source = {}, std::vector<Sphere> spheres = {})
      : data(data_of(comm, rows, std::move(periodic), source, std::move(spheres))),
        flow(options.architecture(data.domain()), 1),
        objective({flow, options, data}, options.objective.template as<FlowMatchingOptions>()) {
    const auto values = random_vector<T>(flow.layout().size(), 51, 0.4);
    std::copy(values.begin(), values.end(), flow.parameters().begin());
    objective.plan(options.train.batch);
    objective.prepare();
  }

  static train::TrainingData<T> data_of(const comm::Communicator& comm, const flow::Batch<T>& rows,
                                        std::vector<Index> periodic, const Matrix<T>& source,
                                        std::vector<Sphere> spheres) {
    data::Description about{.periodic = std::move(periodic), .spheres = std::move(spheres)};
    train::TrainingData<T> data(comm, train::ArrayRows({rows, rows}, std::move(about)), {.standardize = "none"});
    const flow::Batch<T> points{.x = source};
    if (points.size() > 0) data.read_source(comm, train::ArrayRows({points, points}));
    return data;
  }

  train::TrainingData<T> data;
  flow::Flow<T> flow;
  FlowMatching<T> objective;
};

// The loss and its gradient over the places [first, first + count) of the batch of a step.
struct Sums {
  double loss = 0, weight = 0;
  std::vector<double> gradient;
};
Sums add(Trial<double>& trial, const Matrix<double>& x, Index step, Index first, Index count, Index batch) {
  Sums sums{.gradient = std::vector<double>(trial.flow.parameters().size())};
  const auto sum = trial.objective.add({step, first, batch}, {.x = x.view().columns(first, count)}, sums.gradient);
  sums.loss = sum.loss;
  sums.weight = sum.weight;
  return sums;
}

std::vector<FlowMatchingOptions> every_path() {
  return {{.noise = 0.1}, {.path = "trigonometric"}, {.path = "variance_preserving"}, {.path = "bridge", .noise = 0.5}};
}

void draw_latent(const flow::BaseDensity<double>& base, std::uint64_t seed, Index step, Index place,
                 std::span<double> z) {
  train::Latents<double>(base, {}, seed, random::Purpose::flow_matching).write({step, place}, z);
}

// Optimal transport with latents from a base density; all seeds are 5.
train::OptimalTransport<double> transport_of(const flow::BaseDensity<double>& base, const flow::Batch<double>& rows,
                                             Index batch, Index steps, train::TransportOptions options) {
  return {{base, {}, 5, random::Purpose::flow_matching}, rows, batch, steps, 5, std::move(options)};
}

// The squared distance of a row from the latent that a coupling gives it.
double cost_of(const flow::BaseDensity<double>& base, std::span<const double> row, train::LatentPlace latent) {
  std::vector<double> z(row.size());
  draw_latent(base, 5, latent.step, latent.place, z);
  double cost = 0;
  for (std::size_t i = 0; i < z.size(); ++i) cost += std::pow(row[i] - z[i], 2);
  return cost;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flow_matching)

// A field that is 0 has the loss E‖x₁ − x₀‖², with the latents that anybody can draw.
BOOST_AUTO_TEST_CASE(a_field_that_is_zero_has_the_mean_square_of_the_displacements) {
  const auto x = random_matrix<double>(d, 24, 1);
  const auto options = options_of({});
  Trial<double> trial(comm::Communicator::self(), options, {.x = x});
  std::ranges::fill(trial.flow.parameters(), 0.0);
  trial.objective.prepare();
  double expected = 0;
  for (Index j = 0; j < 24; ++j) {
    std::vector<double> z(d);
    draw_latent(trial.flow.base(), 1, 7, j, z);
    for (Index i = 0; i < d; ++i) expected += std::pow(x(i, j) - z[i], 2);
  }
  BOOST_TEST(close_relative(add(trial, x, 7, 0, 24, 24).loss, expected, 1e-13));
  BOOST_TEST(!close_relative(add(trial, x, 8, 0, 24, 24).loss, expected, 1e-3));  // other latents
  trial.data.release();
}

// However a batch is divided, its samples have the same latents, times and noise.
BOOST_AUTO_TEST_CASE(the_parts_of_a_batch_add_up) {
  const auto x = random_matrix<double>(d, 24, 1);
  for (const auto& matching : every_path()) {
    const auto options = options_of(matching);
    Trial<double> trial(comm::Communicator::self(), options, {.x = x});
    const auto whole = add(trial, x, 3, 0, 24, 24);
    auto parts = add(trial, x, 3, 0, 10, 24);
    const auto rest = add(trial, x, 3, 10, 14, 24);
    for (std::size_t i = 0; i < rest.gradient.size(); ++i) parts.gradient[i] += rest.gradient[i];
    BOOST_TEST(close_relative(parts.loss + rest.loss, whole.loss, 1e-13));
    BOOST_TEST(close_relative(std::span<const double>(parts.gradient), std::span<const double>(whole.gradient), 1e-12));
    // The twin: the second part at the places of the first.
    const auto wrong = trial.objective.add({3, 0, 24}, {.x = std::as_const(x).view().columns(10, 14)}, parts.gradient);
    BOOST_TEST(!close_relative(parts.loss + wrong.loss, whole.loss, 1e-3));
    trial.data.release();
  }
}

// The gradient is that of the loss, by central differences along a direction, also where a singular term is left out of
// the loss.
BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_the_loss) {
  constexpr double h = 1e-5;
  const auto x = random_matrix<double>(d, 24, 1);
  for (const auto& matching : every_path()) {
    Trial<double> trial(comm::Communicator::self(), options_of(matching), {.x = x});
    const auto direction = random_vector<double>(std::ssize(trial.flow.parameters()), 3);
    const auto move = [&](double by) {
      for (std::size_t i = 0; i < direction.size(); ++i) trial.flow.parameters()[i] += by * direction[i];
      trial.objective.prepare();
      return add(trial, x, 3, 0, 24, 24);
    };
    const auto here = move(0), above = move(h), below = move(-2 * h);
    const double slope = std::inner_product(direction.begin(), direction.end(), here.gradient.begin(), 0.0);
    const double measured = (above.loss - below.loss) / (2 * h);
    BOOST_TEST(close_relative(slope, measured, 1e-7), matching.path);
    BOOST_TEST(!close_relative(1.01 * slope, measured, 1e-3), matching.path);
    trial.data.release();
  }
}

// The density of the times leaves the mean of the loss as it is. A field that is 0 has the loss E‖x₁ − x₀‖² on a
// bridge, whose noise is left out.
BOOST_AUTO_TEST_CASE(the_mean_of_the_loss_does_not_depend_on_the_density_of_times) {
  constexpr Index n = 20000;
  const auto x = random_matrix<double>(d, n, 1);
  const auto loss = [&](FlowMatchingOptions matching) {
    Trial<double> trial(comm::Communicator::self(), options_of(std::move(matching), n), {.x = x});
    std::ranges::fill(trial.flow.parameters(), 0.0);
    trial.objective.prepare();
    const double mean = add(trial, x, 7, 0, n, n).loss / n;
    trial.data.release();
    return mean;
  };
  const double linear = loss({}), bridge = loss({.path = "bridge", .noise = 0.2});
  // The loss at a time has the deviation 4, times weights whose mean square is π²/8. The sum with the noise has a
  // deviation of 2·2·0.2·√(π²/8).
  BOOST_TEST(close_absolute(bridge, linear, 5 * 4.2 / std::sqrt(n)));
  BOOST_TEST(!close_absolute(loss({.path = "trigonometric"}), linear, 5 * 4.2 / std::sqrt(n)));
}

// Stratified times: the mean of t over a batch is ½ to within 1/(2B), which independent ones miss. The velocity 2t − 1
// of a linear field shows it: with rows and latents 0 the loss is the mean of (2t − 1)² = 1/3.
BOOST_AUTO_TEST_CASE(stratified_times_are_spread_evenly) {
  constexpr Index n = 400;
  const Matrix<double> x(1, n);
  for (const auto* const times : {"stratified", "uniform"}) {
    auto options = options_of({.times = times}, n);
    options.model.kind = "chain";
    options.model.hidden = {};
    options.model.chain = {flow::ContinuousOptions{.hidden = {}}};
    options.model.base.kind = "uniform";
    options.model.base.as<flow::UniformOptions>() = {.low = -1e-12, .high = 1e-12};
    Trial<double> trial(comm::Communicator::self(), options, {.x = x});
    std::ranges::fill(trial.flow.parameters(), 0.0);
    for (const auto& block : trial.flow.layout().blocks()) {
      if (block.name.ends_with("context")) trial.flow.parameters()[block.offset] = 1;
    }
    trial.objective.prepare();
    const double mean = add(trial, x, 5, 0, n, n).loss / n;
    const bool spread = bool(close_absolute(mean, 1.0 / 3, 2e-3));
    BOOST_TEST(spread == (std::string_view(times) == "stratified"), times << ": " << mean);
    trial.data.release();
  }
}

// Along angles a path takes the short way, and the loss does not know by how many turns the rows are written.
BOOST_AUTO_TEST_CASE(angles_are_matched_along_the_circle) {
  auto x = random_matrix<double>(d, 24, 1, 1.5);
  const auto loss = [&](const Matrix<double>& rows, std::vector<Index> periodic) {
    const auto options = options_of({});
    Trial<double> trial(comm::Communicator::self(), options, {.x = rows}, std::move(periodic));
    const double value = add(trial, rows, 2, 0, 24, 24).loss;
    trial.data.release();
    return value;
  };
  auto turned = x;
  for (Index j = 0; j < 24; ++j) turned(0, j) += 2 * std::numbers::pi;
  BOOST_TEST(close_relative(loss(turned, {0}), loss(x, {0}), 1e-12));
  auto moved = x;
  for (Index j = 0; j < 24; ++j) moved(1, j) += 2 * std::numbers::pi;
  BOOST_TEST(!close_relative(loss(moved, {0}), loss(x, {0}), 1e-3));
}

// A field that is 0 has the loss θ², with the angle θ between a row and its latent. Latents that are the antipodes of
// their rows are drawn anew. Optimal transport makes the sum of θ² least.
BOOST_AUTO_TEST_CASE(unit_vectors_are_matched_along_great_circles) {
  constexpr Index n = 48;
  auto x = random_matrix<double>(d, n, 1);
  const std::vector<Sphere> spheres{{0, 1}};
  for (Index j = 0; j < n; ++j) {
    const double radius = radius_of<double>(spheres[0], std::as_const(x).view().column_span(j));
    for (Index i = 0; i < d; ++i) x(i, j) /= radius;
  }
  const auto loss = [&](const FlowMatchingOptions& matching, const Matrix<double>& rows) {
    auto options = options_of(matching, n);
    options.train.seed = 5;
    Trial<double> trial(comm::Communicator::self(), options, {.x = rows}, {}, {}, spheres);
    std::ranges::fill(trial.flow.parameters(), 0.0);
    trial.objective.prepare();
    const double value = add(trial, rows, 2, 0, n, n).loss;
    trial.data.release();
    return value;
  };
  const auto with_spheres = options_of({});
  Trial<double> trial(comm::Communicator::self(), with_spheres, {.x = x}, {}, {}, spheres);
  double expected = 0, chords = 0;
  Matrix<double> opposite(x), latents(x), cost(n, n);
  for (Index j = 0; j < n; ++j) {
    const auto z = latents.view().column_span(j);
    draw_latent(trial.flow.base(), 5, 2, j, z);
    for (Index k = 0; k < n; ++k) {
      cost(k, j) = std::pow(train::angle_between<double>(spheres[0], z, std::as_const(x).view().column_span(k)), 2);
    }
    expected += cost(j, j);
    for (Index i = 0; i < d; ++i) {
      chords += std::pow(x(i, j) - z[i], 2);
      opposite(i, j) = -z[i];
    }
  }
  trial.data.release();
  BOOST_TEST(close_relative(loss({}, x), expected, 1e-12));
  BOOST_TEST(!close_relative(loss({}, x), chords, 1e-2));
  BOOST_TEST(loss({}, opposite) < 0.9 * std::numbers::pi * std::numbers::pi * n);
  std::vector<Index> latent_of(n);
  train::transport<double>({.x = x}, latents, {.spheres = spheres}, {}, latent_of);
  BOOST_TEST(latent_of == linalg::assign(cost).column_of, boost::test_tools::per_element());
  // The twin sees the first of the two values only.
  std::vector<Index> by_one(n);
  Matrix<double> first(x), of_latents(latents);
  for (Index j = 0; j < n; ++j) first(1, j) = of_latents(1, j) = 0;
  train::transport<double>({.x = first}, of_latents, {}, {}, by_one);
  BOOST_TEST(by_one != latent_of);
}

// The coupling of a step is the assignment of its costs, on any number of ranks, and whoever has solved it.
BOOST_FIXTURE_TEST_CASE(a_coupling_is_the_same_on_all_ranks, Ranks) {
  constexpr Index n = 60, batch = 20, steps = 17;
  const auto x = random_matrix<double>(d, n, 4, 3);
  nn::ParameterLayout layout;
  const auto base = flow::make_base<double>({}, {layout, d});
  auto coupling = transport_of(*base, {.x = x}, batch, steps, {});
  train::RowBatches<double> source({.x = x}, {}, batch, 5);
  bool same = true, identity = true;
  for (Index step = 2; step < steps; ++step) {
    coupling.begin_step(comm, step);
    const auto rows = source.next(step, {0, batch}).x;
    const auto cost = matrix_of<double>(batch, batch, [&](Index i, Index j) {
      std::vector<double> z(d);
      draw_latent(*base, 5, step, j, z);
      return std::pow(rows(0, i) - z[0], 2) + std::pow(rows(1, i) - z[1], 2);
    });
    const auto best = linalg::assign(cost);
    double total = 0;
    for (Index i = 0; i < batch; ++i) {
      const auto latent = coupling.latent_of(step, i);
      same = same && latent.step == step;
      total += cost(i, latent.place);
      identity = identity && latent.place == i;
    }
    same = same && std::abs(total - best.cost) <= 1e-10 * best.cost;
  }
  BOOST_TEST(on_all_ranks(comm, Verdict(same)));
  BOOST_TEST(on_all_ranks(comm, Verdict(!identity)));
}

// Rows of several steps are coupled together: each latent of the steps once, at the least cost of all, also if a run
// begins in the middle of a group.
BOOST_FIXTURE_TEST_CASE(a_coupling_may_cover_several_batches, Ranks) {
  constexpr Index n = 60, batch = 20, steps = 14, together = 3;
  const auto x = random_matrix<double>(d, n, 4, 3);
  nn::ParameterLayout layout;
  const auto base = flow::make_base<double>({}, {layout, d});
  train::RowBatches<double> source({.x = x}, {}, batch, 5);
  const auto total = [&](Index first, Index last, Index batches, std::vector<train::LatentPlace>& latents) {
    auto coupling = transport_of(*base, {.x = x}, batch, steps, {.batches = batches});
    double sum = 0;
    for (Index step = first; step < last; ++step) {
      coupling.begin_step(comm, step);
      const auto rows = source.next(step, {0, batch}).x;
      for (Index i = 0; i < batch; ++i) {
        latents.push_back(coupling.latent_of(step, i));
        sum += cost_of(*base, rows.column_span(i), latents.back());
      }
    }
    return sum;
  };
  std::vector<train::LatentPlace> latents, single, later;
  const double cost = total(0, 12, together, latents), cost_of_single = total(0, 12, 1, single);
  total(7, 12, together, later);
  BOOST_TEST(on_all_ranks(comm, Verdict(cost < 0.98 * cost_of_single)));
  BOOST_TEST(on_all_ranks(comm, Verdict(std::equal(later.begin(), later.end(), latents.begin() + 7 * batch))));
  double best = 0;
  std::set<std::pair<Index, Index>> seen;
  for (Index group = 0; group < 4; ++group) {
    const auto all = matrix_of<double>(together * batch, together * batch, [&](Index i, Index j) {
      const Index begin = group * together;
      const auto row = source.next(begin + i / batch, {i % batch, i % batch + 1}).x;
      return cost_of(*base, row.column_span(0), {begin + j / batch, j % batch});
    });
    best += linalg::assign(all).cost;
  }
  for (const auto& latent : latents) seen.emplace(latent.step, latent.place);
  BOOST_TEST(on_all_ranks(comm, close_relative(cost, best, 1e-10)));
  BOOST_TEST(on_all_ranks(comm, Verdict(seen.size() == latents.size() && seen.rbegin()->first == 11)));
}

// Contexts that are classes, whose rows lie apart.
struct Classes {
  static constexpr Index n = 120, batch = 60, steps = 20;

  Classes() : x(random_matrix<double>(d, n, 4)), context(1, n) {
    for (Index j = 0; j < n; ++j) {
      context(0, j) = j % 3 == 0 ? 1 : -0.5;
      x(0, j) += 3 * context(0, j);
    }
  }
  flow::Batch<double> rows() const { return {.x = x, .context = context}; }

  /// The mean of the first value of the latents of class 1, and the total cost over a run; and whether all latents come
  /// from places of the same class.
  struct Seen {
    double mean = 0, cost = 0;
    bool within = true;
  };
  Seen run(const comm::Communicator& comm, train::TransportOptions options) const {
    nn::ParameterLayout layout;
    const auto base = flow::make_base<double>({}, {layout, d});
    auto coupling = transport_of(*base, rows(), batch, steps, std::move(options));
    train::RowBatches<double> source(rows(), {}, batch, 5);
    Seen seen;
    Index count = 0;
    for (Index step = 0; step < steps; ++step) {
      coupling.begin_step(comm, step);
      const auto part = source.next(step, {0, batch});
      for (Index i = 0; i < batch; ++i) {
        const auto latent = coupling.latent_of(step, i);
        seen.cost += cost_of(*base, part.x.column_span(i), latent);
        seen.within = seen.within && part.context(0, latent.place) == part.context(0, i);
        if (part.context(0, i) < 0) continue;
        std::vector<double> z(d);
        draw_latent(*base, 5, latent.step, latent.place, z);
        seen.mean += z[0];
        ++count;
      }
    }
    seen.mean /= static_cast<double>(count);
    return seen;
  }

  Matrix<double> x, context;
};

// The latents of a class must be draws from the base density. Plain transport gives each class the latents on its side.
BOOST_FIXTURE_TEST_CASE(contexts_keep_the_law_of_the_latents, Ranks) {
  const Classes classes;
  using train::ContextRule;
  const auto equal = classes.run(comm, {.contexts = ContextRule::equal});
  const auto plain = classes.run(comm, {});
  const auto far = classes.run(comm, {.contexts = ContextRule::cost, .context_cost = 1e4});
  const auto near = classes.run(comm, {.contexts = ContextRule::cost, .context_cost = 1e-4});
  const double deviation = 1 / std::sqrt(Classes::steps * Classes::batch / 3.0);
  BOOST_TEST(on_all_ranks(comm, Verdict(equal.within && far.within && !plain.within && !near.within)));
  BOOST_TEST(on_all_ranks(comm, close_absolute(equal.mean, 0, 4 * deviation)));
  BOOST_TEST(on_all_ranks(comm, !close_absolute(plain.mean, 0, 10 * deviation)));
  // Two classes far apart in cost are coupled each by itself, and contexts that cost nothing do not matter.
  BOOST_TEST(on_all_ranks(comm, close_relative(far.cost, equal.cost, 1e-10)));
  BOOST_TEST(on_all_ranks(comm, close_relative(near.cost, plain.cost, 1e-3)));
  BOOST_TEST(on_all_ranks(comm, Verdict(plain.cost < 0.9 * equal.cost)));
  const auto entropic = classes.run(comm, {.regularization = 0.05, .contexts = ContextRule::equal});
  BOOST_TEST(on_all_ranks(comm, Verdict(entropic.within && entropic.cost > equal.cost)));
}

// Latents that are drawn from an entropic plan cost more than the assignment, and less than independent ones. All ranks
// know the same ones.
BOOST_FIXTURE_TEST_CASE(an_entropic_coupling_lies_between, Ranks) {
  constexpr Index n = 60, batch = 20, steps = 9;
  const auto x = random_matrix<double>(d, n, 4, 3);
  nn::ParameterLayout layout;
  const auto base = flow::make_base<double>({}, {layout, d});
  train::RowBatches<double> source({.x = x}, {}, batch, 5);
  const auto cost_of = [&](std::optional<double> regularization) {
    auto coupling = transport_of(*base, {.x = x}, batch, steps, {.regularization = regularization});
    double total = 0;
    for (Index step = 0; step < steps; ++step) {
      coupling.begin_step(comm, step);
      const auto rows = source.next(step, {0, batch}).x;
      for (Index i = 0; i < batch; ++i) {
        std::vector<double> z(d);
        draw_latent(*base, 5, step, coupling.latent_of(step, i).place, z);
        total += std::pow(rows(0, i) - z[0], 2) + std::pow(rows(1, i) - z[1], 2);
      }
    }
    return total;
  };
  const double exact = cost_of({}), sharp = cost_of(0.01), blurred = cost_of(0.3), nearly_independent = cost_of(100);
  BOOST_TEST(on_all_ranks(comm, Verdict(exact < 1.02 * sharp && sharp < blurred && blurred < nearly_independent)));
  BOOST_TEST(on_all_ranks(
      comm, Verdict(comm.max(static_cast<Index>(1e6 * blurred)) == comm.min(static_cast<Index>(1e6 * blurred)))));
}

// Straight paths have a smaller loss, and a run with likelihood at its end reaches a smaller NLL.
BOOST_FIXTURE_TEST_CASE(runs_reach_their_ends, Ranks) {
  const auto x = random_matrix<double>(d, 300, 6);
  const flow::Batch<double> rows{.x = x};
  train::TrainingData<double> data(comm, train::ArrayRows({rows, rows}), {});
  const auto run = [&](FlowMatchingOptions matching) {
    const auto result = train::fit<double>(comm, options_of(std::move(matching), 48), data);
    BOOST_TEST((result.outcome.end == train::End::steps));
    return comm.is_root() ? result.history.rows().back().train_loss : 0.0;
  };
  const double plain = run({}), straight = run({.coupling = "optimal_transport"});
  BOOST_TEST(on_all_ranks(comm, Verdict(!comm.is_root() || straight < 0.7 * plain)));
  run({.likelihood_steps = 10});
  data.release();
}

// Paths that begin at given points, and at points of a source that are drawn.
BOOST_AUTO_TEST_CASE(paths_begin_at_the_points_of_a_source) {
  constexpr Index n = 24;
  const auto x = random_matrix<double>(d, n, 1), points = random_matrix<double>(d, n, 2, 3);
  const auto loss = [&](FlowMatchingOptions matching, const Matrix<double>& source, Index first = 0, Index count = 24) {
    Trial<double> trial(comm::Communicator::self(), options_of(std::move(matching)), {.x = x}, {}, source);
    std::ranges::fill(trial.flow.parameters(), 0.0);
    trial.objective.prepare();
    std::vector<double> gradient(trial.flow.parameters().size());
    std::vector<Index> numbers(n);
    std::iota(numbers.begin(), numbers.end(), 0);
    const flow::Batch<double> batch{.x = x, .draws = {.samples = numbers}};
    const double sum = trial.objective.add({3, first, n}, batch.part(first, count), gradient).loss;
    trial.data.release();
    return sum;
  };
  const auto square = [&](Index j, std::span<const double> point) {
    return std::pow(x(0, j) - point[0], 2) + std::pow(x(1, j) - point[1], 2);
  };
  double given = 0, second = 0, single = 0;
  const auto one = points.view().columns(0, 1);
  for (Index j = 0; j < n; ++j) {
    given += square(j, points.view().column_span(j));
    if (j >= 10) second += square(j, points.view().column_span(j));
    single += square(j, one.column_span(0));
  }
  BOOST_TEST(close_relative(loss({.coupling = "given"}, points), given, 1e-13));
  BOOST_TEST(close_relative(loss({.coupling = "given"}, points, 10, 14), second, 1e-13));
  BOOST_TEST(close_relative(loss({}, Matrix<double>(ConstMatrixView<double>(one))), single, 1e-13));
  // Drawn from all points, rows come with other ones, and transport makes the paths shorter.
  const double drawn = loss({}, points);
  BOOST_TEST(!close_relative(drawn, given, 1e-2));
  BOOST_TEST(!close_relative(drawn, loss({}, {}), 1e-2));
}

// The loss of a validation is the same in each call and on any number of ranks, and other parameters have another one.
BOOST_FIXTURE_TEST_CASE(validations_have_the_same_pairs, Ranks) {
  constexpr Index n = 600;
  const auto x = random_matrix<double>(d, n, 1);
  const auto u = matrix_of<double>(1, n, [](Index, Index j) { return static_cast<double>(j % 2); });
  const auto points = random_matrix<double>(d, n, 2, 0.5);
  const auto run = [&](FlowMatchingOptions matching, const flow::Batch<double>& rows, const Matrix<double>& source) {
    Trial<double> trial(comm, options_of(matching), rows, {}, source);
    const auto validation = trial.data.batch(data::Split::validation);
    const double first = trial.objective.evaluate_loss(comm, validation).mean;
    for (Index step = 0; step < 3; ++step) trial.objective.begin_step(comm, step);
    BOOST_TEST(trial.objective.evaluate_loss(comm, validation).mean == first);
    BOOST_TEST(comm.max(first) == comm.min(first));
    Trial<double> alone(comm::Communicator::self(), options_of(matching), rows, {}, source);
    BOOST_TEST(
        alone.objective.evaluate_loss(comm::Communicator::self(), alone.data.batch(data::Split::validation)).mean ==
        first);
    std::ranges::fill(trial.flow.parameters(), 0.0);
    trial.objective.prepare();
    const double still = trial.objective.evaluate_loss(comm, validation).mean;
    BOOST_TEST(still != first);
    alone.data.release();
    trial.data.release();
    return still;
  };
  // Without a field it is the mean of the squared displacements: 2d for independent latents.
  const double independent = run({}, {.x = x}, {});
  BOOST_TEST(close_absolute(independent, 2 * d, 4 * std::sqrt(8.0 * d / n)));
  const double straight = run({.coupling = "optimal_transport"}, {.x = x}, {});
  BOOST_TEST(straight < 0.3 * independent);
  const double together = run({.coupling = "optimal_transport", .coupling_batch = 5}, {.x = x}, {});
  BOOST_TEST(together < straight);
  BOOST_TEST(run({.coupling = "sinkhorn", .coupling_context = "equal"}, {.x = x, .context = u}, {}) < independent);
  run({.path = "bridge", .noise = 0.3}, {.x = x}, {});
  double given = 0;
  for (Index j = 0; j < n; ++j) given += std::pow(x(0, j) - points(0, j), 2) + std::pow(x(1, j) - points(1, j), 2);
  BOOST_TEST(close_relative(run({.coupling = "given"}, {.x = x}, points), given / n, 1e-12));
}

// Transforms before the field: paths lead to the images of the rows, and couplings compare the images.
BOOST_FIXTURE_TEST_CASE(paths_lead_to_the_images_of_rows, Ranks) {
  constexpr Index n = 24;
  const auto x = matrix_of<double>(d, n, [](Index i, Index j) { return static_cast<double>((3 * j + 5 * i) % 8); });
  auto options = options_of({});
  options.model.kind = "chain";
  options.model.hidden = {};
  options.model.chain = {flow::DequantizeOptions{.levels = 8},
                         flow::ElementwiseOptions{.function = "logit", .margin = 0.05}, flow::ActNormOptions{},
                         flow::PermutationOptions{}, flow::ContinuousOptions{.hidden = {12}}};
  const auto losses = [&](FlowMatchingOptions matching, bool initializes) {
    options.objective = std::move(matching);
    Trial<double> trial(comm, options, {.x = x});
    std::ranges::fill(trial.flow.parameters(), 0.0);
    const auto rows = trial.data.batch(data::Split::train);
    if (initializes) trial.flow.initialize_from_data({.x = x, .draws = {.seed = 1}});
    trial.flow.prepare(nn::Normalization::values);
    trial.objective.begin_step(comm, 0);
    train::RowBatches<double> source(rows, {}, n, 1);
    const auto batch = source.next(0, {0, n});
    std::vector<double> gradient(trial.flow.parameters().size());
    const double loss = trial.objective.add({0, 0, n}, batch, gradient).loss;
    // A field that is 0 leaves the images as they are.
    flow::FlowWorkspace<double> workspace(trial.flow, n, nn::Pass::map_only);
    Matrix<double> image(d, n);
    std::vector<flow::Status> status(n);
    trial.flow.map(batch, image, status, workspace);
    const auto cost = matrix_of<double>(n, n, [&](Index i, Index j) {
      std::vector<double> z(d);
      draw_latent(trial.flow.base(), 1, 0, j, z);
      return std::pow(image(0, i) - z[0], 2) + std::pow(image(1, i) - z[1], 2);
    });
    double independent = 0;
    for (Index j = 0; j < n; ++j) independent += cost(j, j);
    const double check = trial.objective.evaluate_loss(comm, trial.data.batch(data::Split::validation)).mean;
    trial.data.release();
    return std::array{loss, independent, linalg::assign(cost).cost, check};
  };
  const auto plain = losses({}, false), started = losses({}, true);
  BOOST_TEST(close_relative(plain[0], plain[1], 1e-12));
  BOOST_TEST(close_relative(started[0], started[1], 1e-12));
  BOOST_TEST(!close_relative(started[0], plain[0], 1e-3));
  const auto coupled = losses({.coupling = "optimal_transport"}, true);
  BOOST_TEST(close_relative(coupled[0], coupled[2], 1e-10));
  BOOST_TEST(coupled[3] < 0.6 * started[3]);

  options.model.chain.insert(options.model.chain.begin() + 3, flow::TransformOptions("planar"));
  BOOST_CHECK_EXCEPTION(losses({}, false), OptionError,
                        says({"after ActNorms and transforms without parameters", "1 planar"}));
  options.model.chain.erase(options.model.chain.begin() + 3);
  options.train.weight_decay = 0.1;
  BOOST_CHECK_EXCEPTION(losses({}, false), OptionError, says({"train.weight_decay = 0.1 would change the ActNorms"}));
  options.train.weight_decay = 0;
  std::swap(options.model.chain[3], options.model.chain[4]);
  BOOST_CHECK_EXCEPTION(losses({}, false), OptionError, says({"a chain that ends in one transform of this kind"}));
}

BOOST_AUTO_TEST_CASE(a_source_that_does_not_fit_is_refused) {
  const auto x = random_matrix<double>(d, 24, 1), points = random_matrix<double>(d, 23, 2, 0.1);
  const auto self = comm::Communicator::self();
  const auto make = [&](FlowMatchingOptions matching, const Matrix<double>& source) {
    Trial<double> trial(self, options_of(std::move(matching)), {.x = x}, {}, source);
  };
  BOOST_CHECK_EXCEPTION(make({.coupling = "given"}, {}), OptionError, says({"\"given\"", "with data.source"}));
  BOOST_CHECK_EXCEPTION(make({.coupling = "given"}, points), OptionError,
                        says({"there are 24 train rows, and data.source has 23 points for them"}));
  BOOST_CHECK_EXCEPTION(make({.source_law = "base"}, {}), OptionError, says({"data.source, and there is none"}));
  BOOST_CHECK_EXCEPTION(make({.likelihood_steps = 3}, points), OptionError,
                        says({"log p means nothing", "objective.source_law = \"base\""}));
  // Points that are draws, and points that are not.
  std::vector<std::string> warnings;
  const auto examine = [&](const char* law, const Matrix<double>& source) {
    Trial<double> trial(self, options_of({.source_law = law}), {.x = x}, {}, source);
    BOOST_TEST(trial.objective.validation_name().name == (std::string_view(law) == "base" ? "nll" : "loss"));
    trial.objective.require_data(self, trial.data, [&](const std::string& text) { warnings.push_back(text); });
  };
  examine("base", random_matrix<double>(d, 400, 3));
  BOOST_TEST(warnings.empty());
  BOOST_CHECK_EXCEPTION(examine("base", random_matrix<double>(d, 400, 3, 1.4)), DataError,
                        says({"no draws from the base density (standard_normal)", "and that of draws is 2.8"}));
  examine("other", random_matrix<double>(d, 400, 3, 1.4));
  BOOST_REQUIRE(warnings.size() == 1U);
  BOOST_TEST(says({"its log p means nothing"})(DataError(warnings[0])));
  examine("other", random_matrix<double>(d, 400, 3, 40));
  BOOST_REQUIRE(warnings.size() == 4U);
  BOOST_TEST(says({"data.source: x1 has the mean", "values of about 1"})(DataError(warnings[2])));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const auto x = random_matrix<double>(d, 24, 1);
  const auto u = random_matrix<double>(1, 24, 2);
  const std::vector<double> weight(24, 2.0);
  const auto self = comm::Communicator::self();
  const auto make = [&](const train::Options& options, const flow::Batch<double>& rows,
                        std::vector<Index> periodic = {}) {
    Trial<double> trial(self, options, rows, std::move(periodic));
  };
  auto other = options_of({});
  other.model.kind = "maf";
  BOOST_CHECK_EXCEPTION(make(other, {.x = x}), OptionError, says({"flow_matching", "6 autoregressive", "continuous"}));
  const auto transport = options_of({.coupling = "optimal_transport"});
  BOOST_CHECK_EXCEPTION(make(transport, {.x = x, .context = u}), OptionError,
                        says({"whatever their contexts are", "objective.coupling_context = \"equal\""}));
  auto within = transport;
  within.objective.as<FlowMatchingOptions>().coupling_context = "equal";
  BOOST_CHECK_EXCEPTION(make(within, {.x = x}), OptionError, says({"\"equal\": these rows have no contexts"}));
  BOOST_CHECK_EXCEPTION(make(within, {.x = x, .context = u}), OptionError,
                        says({"the 24 rows of the first coupling have different ones; take \"cost\""}));
  BOOST_CHECK_EXCEPTION(make(options_of({.path = "bridge"}), {.x = x}), OptionError,
                        says({"\"bridge\" with objective.noise = 0", "choose a noise"}));
  auto many = options_of({.coupling = "sinkhorn", .coupling_batch = 1 << 20});
  BOOST_CHECK_EXCEPTION(make(many, {.x = x}), OptionError,
                        says({"the coupling of 25165824 rows", "a smaller objective.coupling_batch"}));
  BOOST_CHECK_EXCEPTION(make(transport, {.x = x, .weight = weight}), OptionError,
                        says({"\"optimal_transport\" takes", "these rows have weights"}));
  BOOST_CHECK_EXCEPTION(make(options_of({.path = "trigonometric"}), {.x = x}, {1}), OptionError,
                        says({"objective.path = \"trigonometric\" has no meaning for angles"}));
  Matrix<double> axes(d, 24);
  for (Index j = 0; j < 24; ++j) axes(j % 2, j) = 1;
  for (const auto& matching : {FlowMatchingOptions{.path = "trigonometric"}, {.noise = 0.1}}) {
    BOOST_CHECK_EXCEPTION(Trial<double>(self, options_of(matching), {.x = axes}, {}, {}, {{0, 1}}), OptionError,
                          says({"has no meaning for unit vectors", "the great circle"}));
  }
  auto across = axes;
  across(0, 2) = -1;
  BOOST_CHECK_EXCEPTION(Trial<double>(self, options_of({.coupling = "given"}), {.x = axes}, {}, across, {{0, 1}}),
                        DataError, says({"train row 2 (counted from 0) is the antipode of its point"}));
  across(0, 4) = 2;
  BOOST_CHECK_EXCEPTION(Trial<double>(self, options_of({.coupling = "given"}), {.x = axes}, {}, across, {{0, 1}}),
                        DataError, says({"row 4 (counted from 0) of train: x1, x2 should be a unit vector"}));
  BOOST_CHECK_EXCEPTION(make(options_of({.likelihood_steps = 41}), {.x = x}), OptionError,
                        says({"likelihood_steps = 41", "train.steps = 40"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
