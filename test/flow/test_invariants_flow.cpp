// The kit of invariants on whole flows: all families, with contexts, angles, splits and every base density.

#include "flow_cases.hpp"

namespace pushforward::test {

namespace {

using flow::InverseAlgorithm;

const std::vector<FlowCase>& flows() {
  static const auto all = all_flows();
  return all;
}

template <class F>
void for_each_flow(F&& f) {
  for (const auto& c : flows()) {
    BOOST_TEST_CONTEXT(c.name) {
      f(c);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(invariants_of_flows)

BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_holds_both_ways, T, Precisions) {
  for_each_flow([](const FlowCase& of) {
    auto good = make_case<T>(of), broken = make_case<T>(of, Fault::inverse_off);
    BOOST_TEST(changes_volume(good));
    BOOST_TEST(inverse_holds_both_ways(good, InverseAlgorithm::newton));
    BOOST_TEST(!inverse_holds_both_ways(broken, InverseAlgorithm::newton));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_log_det_is_that_of_the_jacobian_and_cancels_the_inverses, T, Precisions) {
  for_each_flow([](const FlowCase& of) {
    auto good = make_case<T>(of), broken = make_case<T>(of, Fault::log_det_off_by_one_hundredth);
    BOOST_TEST(log_dets_cancel(good));
    BOOST_TEST(!log_dets_cancel(broken));
    BOOST_TEST(log_det_is_that_of_the_jacobian(good));
    BOOST_TEST(!log_det_is_that_of_the_jacobian(broken));
    BOOST_TEST(precisions_agree(good));
    BOOST_TEST(!precisions_agree(broken));
  });
}

BOOST_AUTO_TEST_CASE(the_gradient_is_the_derivative) {
  for_each_flow([](const FlowCase& of) {
    auto good = make_case<double>(of), broken = make_case<double>(of, Fault::gradient_off_by_one_percent);
    for_each_gradient<double>(good, good.weight, [&](const std::string& name, const Verdict& verdict) {
      BOOST_TEST_CONTEXT(name) {
        BOOST_TEST(verdict);
      }
    });
    BOOST_TEST(gradient_is_the_derivative<double>(good, {}));
    BOOST_TEST(!gradient_is_the_derivative<double>(broken, broken.weight));
    auto unweighted = make_case<double>(of, Fault::weights_ignored);
    BOOST_TEST(!gradient_is_the_derivative<double>(unweighted, unweighted.weight));
  });
}

BOOST_AUTO_TEST_CASE(the_gradient_in_float_is_that_in_double) {
  for_each_flow([](const FlowCase& of) {
    auto good = make_case<float>(of), broken = make_case<float>(of, Fault::gradient_off_by_one_percent);
    BOOST_TEST(gradients_agree(good));
    BOOST_TEST(!gradients_agree(broken));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(samples_do_not_depend_on_their_batch_mates, T, Precisions) {
  for_each_flow([](const FlowCase& of) {
    auto good = make_case<T>(of), broken = make_case<T>(of, Fault::depends_on_the_chunk);
    BOOST_TEST(independent_of_chunks(good));
    BOOST_TEST(!independent_of_chunks(broken));
    auto spreading = make_case<T>(of, Fault::spreads_nan);
    BOOST_TEST(bad_rows_stay_alone(good));
    BOOST_TEST(!bad_rows_stay_alone(spreading));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
