#include <pushforward/flow/actnorm.hpp>
#include <pushforward/flow/residual.hpp>

#include "invariants.hpp"

namespace pushforward::test {

namespace {

using flow::InverseMethod;

// The maps under test. Another one is one more entry in make_subject().
enum class Kind { actnorm, residual, shallow_residual, narrow_residual, flow };
constexpr std::pair<Kind, const char*> kinds[] = {{Kind::actnorm, "ActNorm"},
                                                  {Kind::residual, "residual block"},
                                                  {Kind::shallow_residual, "residual block, one hidden layer, tanh"},
                                                  {Kind::narrow_residual, "residual block, three layers, softplus"},
                                                  {Kind::flow, "flow"}};

template <class T>
std::unique_ptr<Subject<T>> make_subject(Kind kind, Index d) {
  const auto residual = [d](std::vector<Index> hidden, nn::Activation activation) {
    return std::make_unique<TransformSubject<T>>(d, [&](nn::ParameterLayout& layout) {
      return std::make_unique<flow::ResidualBlock<T>>(
          layout, "block",
          nn::NetworkOptions{.in = d, .out = d, .hidden = hidden, .activation = activation, .lipschitz = 0.9}, 1, 1);
    });
  };
  switch (kind) {
    case Kind::actnorm:
      return std::make_unique<TransformSubject<T>>(
          d, [d](nn::ParameterLayout& layout) { return std::make_unique<flow::ActNorm<T>>(layout, "norm", d); });
    case Kind::residual: return residual({12, 9}, nn::Activation::lipswish);
    case Kind::shallow_residual: return residual({2 * d}, nn::Activation::tanh);
    case Kind::narrow_residual: return residual({7, 3, 5}, nn::Activation::softplus);
    case Kind::flow: break;
  }
  return std::make_unique<FlowSubject<T>>(d, flow::FlowOptions{.blocks = 2, .hidden = {11, 8}, .lipschitz = 0.9});
}

template <class T>
Case<T> make_case(Kind kind, Index d, Fault fault = Fault::none) {
  return {[&] { return std::make_unique<Broken<T>>(make_subject<T>(kind, d), fault); },
          [&] { return make_subject<double>(kind, d); }, 4};
}

// f(kind, d) for every map in every dimension.
template <class F>
void for_each_map(F&& f) {
  for (const auto& [kind, name] : kinds) {
    for (const Index d : {1, 2, 5, 20, 64}) {
      BOOST_TEST_CONTEXT(name << ", d = " << d) {
        f(kind, d);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(invariants)

BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_holds_both_ways, T, Precisions) {
  for_each_map([](Kind kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::inverse_off);
    BOOST_TEST(changes_volume(good));
    for (const auto method : {InverseMethod::newton, InverseMethod::banach}) {
      BOOST_TEST(inverse_holds_both_ways(good, method));
      BOOST_TEST(!inverse_holds_both_ways(broken, method));
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_log_det_is_that_of_the_jacobian_and_cancels_the_inverses, T, Precisions) {
  for_each_map([](Kind kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::log_det_off_by_one_hundredth);
    BOOST_TEST(log_dets_cancel(good));
    BOOST_TEST(!log_dets_cancel(broken));
    BOOST_TEST(log_det_is_that_of_the_jacobian(good));
    BOOST_TEST(!log_det_is_that_of_the_jacobian(broken));
    BOOST_TEST(precisions_agree(good));
    BOOST_TEST(!precisions_agree(broken));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_is_the_derivative, T, Precisions) {
  for_each_map([](Kind kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::gradient_off_by_one_percent);
    for (const bool weighted : {false, true}) {
      const std::span<const T> weight = weighted ? std::span<const T>(good.weight) : std::span<const T>();
      const auto each = [&](Case<T>& c, bool expected) {
        for_each_gradient(c, weight, [&](const std::string& name, const Verdict& verdict) {
          BOOST_TEST_CONTEXT(name << (weighted ? ", weighted" : "")) {
            if (expected) {
              BOOST_TEST(verdict);
            } else {
              BOOST_TEST(!verdict);
            }
          }
        });
      };
      each(good, true);
      each(broken, false);
    }
    auto unweighted = make_case<T>(kind, d, Fault::weights_ignored);
    BOOST_TEST(!gradient_is_the_derivative<T>(unweighted, unweighted.weight));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(samples_do_not_depend_on_their_batch_mates, T, Precisions) {
  for_each_map([](Kind kind, Index d) {
    auto good = make_case<T>(kind, d), broken = make_case<T>(kind, d, Fault::depends_on_the_chunk);
    BOOST_TEST(independent_of_chunks(good));
    BOOST_TEST(!independent_of_chunks(broken));
    auto spreading = make_case<T>(kind, d, Fault::spreads_nan);
    BOOST_TEST(bad_rows_stay_alone(good));
    BOOST_TEST(!bad_rows_stay_alone(spreading));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
