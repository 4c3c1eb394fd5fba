#include "../transforms/comparisons.hpp"

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(log_det_comparison)

BOOST_AUTO_TEST_CASE(blocks_are_the_transforms_whose_log_det_is_not_analytic) {
  const auto flow = trained_like<double>();
  const LogDetComparison<double> comparison(flow, {.methods = parse(some_methods), .repeats = 5});
  BOOST_TEST(comparison.blocks() == (std::vector<Index>{1, 3}));
  for (std::size_t m = 0; m < some_methods.size(); ++m) {
    BOOST_TEST(comparison.repeats(m) == (m == 1 || m == 7 ? 1 : 5), some_methods[m]);
    for (std::size_t b = 0; b < 2; ++b) {
      const double c = network_of(flow, comparison.blocks()[b]).lipschitz();
      const double bound = m <= 1   ? logdet::truncation_bound(d, c, 6)
                           : m == 5 ? 2 * logdet::truncation_bound(d, c, 2)
                           : m == 6 ? 2 * logdet::truncation_bound(d, c, 2)
                                    : 0;
      BOOST_TEST(close_relative(comparison.bias_bound(m, b), bound, 1e-14), some_methods[m]);
    }
  }
}

BOOST_AUTO_TEST_CASE(exact_is_the_log_det_of_the_dense_jacobian) {
  const auto flow = trained_like<double>();
  const auto x = random_matrix<double>(d, 7, 82);
  const auto result = run(flow, {.spectrum = true}, x);
  BOOST_REQUIRE(result.parts.size() == 3);
  std::vector<double> sum(7);
  double largest = 0;
  for (std::size_t b = 0; b < 2; ++b) {
    const auto& part = result.parts[1 + b];
    const auto expected = expected_of(flow, x, b == 0 ? 1 : 3);
    BOOST_TEST(close_absolute(part.exact, expected.exact, 1e-8));
    BOOST_TEST(close_absolute(part.norm, expected.norm, 1e-8));
    BOOST_TEST(close_absolute(part.spectral_radius, expected.radius, 1e-6));
    for (std::size_t i = 0; i < 7; ++i) {
      sum[i] += expected.exact[i];
      largest = std::max(largest, std::abs(expected.exact[i]));
    }
    // The twins: another block's, and a hundredth more.
    const auto other = expected_of(flow, x, b == 0 ? 3 : 1);
    BOOST_TEST(!close_absolute(part.exact, other.exact, 1e-3));
    BOOST_TEST(!close_absolute(part.norm, other.norm, 1e-3));
    auto off = expected.exact;
    for (double& value : off) value *= 1.01;
    BOOST_TEST(!close_absolute(part.exact, off, 1e-8));
  }
  BOOST_TEST(close_absolute(result.parts[0].exact, sum, 1e-8));
  BOOST_TEST(largest > 0.1);  // not near 0, where mistakes hide
}

BOOST_AUTO_TEST_CASE(radius_norm_and_certificate_are_in_order) {
  const auto flow = trained_like<double>();
  const auto result = run(flow, {.spectrum = true}, random_matrix<double>(d, 300, 83));
  for (std::size_t b = 0; b < 2; ++b) {
    const auto& part = result.parts[1 + b];
    const double certificate = network_of(flow, b == 0 ? 1 : 3).lipschitz();
    for (std::size_t i = 0; i < 300; ++i) {
      BOOST_TEST(part.spectral_radius[i] > 0);
      BOOST_TEST(part.spectral_radius[i] <= part.norm[i] * (1 + 1e-12));
      BOOST_TEST(part.norm[i] <= certificate * (1 + 1e-12));
      BOOST_TEST(std::abs(part.exact[i]) <= -d * std::log1p(-certificate));
    }
    // The twin: they are three different numbers.
    BOOST_TEST(part.spectral_radius[7] < 0.999 * part.norm[7]);
    BOOST_TEST(part.norm[7] < 0.999 * certificate);
  }
  BOOST_TEST(result.parts[0].norm.empty());
}

BOOST_AUTO_TEST_CASE(values_are_those_of_the_estimators) {
  const auto flow = trained_like<double>();
  const auto x = random_matrix<double>(d, 5, 84);
  const auto at = arrivals(flow, x);
  const auto methods = parse(some_methods);
  constexpr std::uint64_t seed = 9;
  constexpr Index first = 1000;
  const auto result = run(flow, {.methods = methods, .repeats = 3, .seed = seed}, x, first);
  for (std::size_t b = 0; b < 2; ++b) {
    const Index k = b == 0 ? 1 : 3;
    const auto direct = [&](std::size_t m, std::uint64_t step, Index block, Index begin) {
      return Direct(network_of(flow, k), methods[m], at[k],
                    {.seed = seed, .step = step, .block = static_cast<std::uint64_t>(block), .first = begin});
    };
    for (std::size_t m = 0; m < methods.size(); ++m) {
      const auto& draws = result.parts[1 + b].draws[m];
      for (Index r = 0; r < draws.value.cols(); ++r) {
        const auto expected = direct(m, static_cast<std::uint64_t>(r), k, first);
        BOOST_TEST(close_absolute(column(draws.value, r), expected.value, 1e-12), some_methods[m]);
        BOOST_TEST(std::ranges::equal(draws.products.view().column_span(r), expected.products), some_methods[m]);
        if (!methods[m].stochastic()) continue;
        // The twins: draws of another repeat, block or sample.
        BOOST_TEST(!close_absolute(column(draws.value, r), direct(m, 3, k, first).value, 1e-6));
        BOOST_TEST(!close_absolute(column(draws.value, r), direct(m, std::uint64_t(r), 4 - k, first).value, 1e-6));
        BOOST_TEST(!close_absolute(column(draws.value, r), direct(m, std::uint64_t(r), k, 0).value, 1e-6));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_total_is_the_sum_over_blocks) {
  const auto flow = trained_like<double>();
  const auto result =
      run(flow, {.methods = parse(some_methods), .repeats = 2, .gradient = true}, random_matrix<double>(d, 4, 85));
  const auto sums_up = [&](const LogDetPart& one, const LogDetPart& other) {
    LogDetPart sum = one;
    for (std::size_t i = 0; i < 4; ++i) {
      sum.exact[i] += other.exact[i];
      sum.gradient_norm[i] = std::hypot(one.gradient_norm[i], other.gradient_norm[i]);
    }
    for (std::size_t m = 0; m < sum.draws.size(); ++m) {
      auto& to = sum.draws[m];
      const auto& from = other.draws[m];
      for (std::size_t i = 0; i < to.value.span().size(); ++i) {
        to.value.span()[i] += from.value.span()[i];
        to.products.span()[i] += from.products.span()[i];
        to.gradient_error.span()[i] = std::hypot(to.gradient_error.span()[i], from.gradient_error.span()[i]);
      }
      for (std::size_t r = 0; r < to.seconds.size(); ++r) to.seconds[r] += from.seconds[r];
      if (!close_absolute(result.parts[0].draws[m].seconds, to.seconds, 1e-12)) return Verdict(false);
    }
    return has_rows(result.parts[0], 0, sum);
  };
  BOOST_TEST(sums_up(result.parts[1], result.parts[2]));
  BOOST_TEST(!sums_up(result.parts[1], result.parts[1]));
}

BOOST_AUTO_TEST_CASE(numbers_of_a_row_depend_on_no_other) {
  const auto flow = trained_like<double>();
  const auto x = random_matrix<double>(d, 9, 86);
  const LogDetComparisonOptions options{
      .methods = parse(some_methods), .repeats = 3, .seed = 4, .gradient = true, .spectrum = true};
  const auto whole = run(flow, options, x, 100);
  const auto part = [&](Index begin, Index count, Index first) {
    return run(flow, options, x.view().columns(begin, count), first);
  };
  BOOST_TEST(have_rows(whole, 0, part(0, 4, 100)));
  BOOST_TEST(have_rows(whole, 4, part(4, 5, 104)));
  for (Index i = 0; i < 9; ++i) BOOST_TEST(have_rows(whole, i, part(i, 1, 100 + i)));
  // Other mates: the same rows behind others.
  Matrix<double> mixed = random_matrix<double>(d, 9, 87);
  std::copy_n(x.view().column(4), 5 * d, mixed.view().column(4));
  const auto among_others = run(flow, options, mixed, 100);
  for (Index i = 4; i < 9; ++i) BOOST_TEST(have_rows(among_others, i, part(i, 1, 100 + i)));
  // The twins: numbers of samples that are off by one, and a row that is another.
  BOOST_TEST(!have_rows(whole, 4, part(4, 5, 103)));
  BOOST_TEST(!have_rows(whole, 3, part(4, 5, 104)));
}

BOOST_AUTO_TEST_CASE(chunks_make_no_difference) {
  const auto flow = trained_like<double>();
  constexpr Index n = 17, first = 1000;
  const auto x = random_matrix<double>(d, n, 88);
  LogDetComparisonOptions options{.methods = parse(some_methods), .repeats = 2, .spectrum = true};
  const auto whole = run(flow, options, x, first);
  // Row by row, with a last chunk that is smaller, of all rows, and of more than all.
  for (const Index chunk : {1, 5, 16, 17, 18}) {
    options.chunk = chunk;
    BOOST_TEST(have_rows(whole, 0, run(flow, options, x, first)), chunk);
    BOOST_TEST(!have_rows(whole, 0, run(flow, options, x, first + 1)), chunk);
  }
  options.chunk = 0;
  BOOST_CHECK_EXCEPTION(LogDetComparison<double>(flow, options), OptionError, says({"chunks of 0 samples"}));
}

BOOST_AUTO_TEST_CASE(rows_that_are_not_finite_are_nan_and_leave_the_others) {
  const auto flow = trained_like<double>();
  auto x = random_matrix<double>(d, 6, 89);
  const LogDetComparisonOptions options{
      .methods = parse(some_methods), .repeats = 2, .gradient = true, .spectrum = true};
  const auto clean = run(flow, options, x);
  x(1, 2) = nan_of<double>;
  x(0, 4) = -std::numeric_limits<double>::infinity();
  const auto result = run(flow, options, x);
  for (std::size_t i = 0; i < 6; ++i) {
    const bool bad = i == 2 || i == 4;
    BOOST_TEST((clean.status[i] == Status::ok));
    BOOST_TEST((result.status[i] == (bad ? Status::not_finite : Status::ok)));
    for (std::size_t p = 0; p < 3; ++p) {
      BOOST_TEST(is_blank(result.parts[p], i) == bad);
      BOOST_TEST(!is_blank(clean.parts[p], i));
    }
  }
  for (const auto& [begin, count] : {std::pair<Index, Index>{0, 2}, {3, 1}, {5, 1}}) {
    const auto alone = run(flow, options, x.view().columns(begin, count), begin);
    BOOST_TEST(have_rows(result, begin, alone));
    BOOST_TEST(have_rows(clean, begin, alone));
  }
  BOOST_TEST(!have_rows(result, 2, run(flow, options, x.view().columns(2, 1), 2)));
}

// A finite row may overflow on its way through the flow.
BOOST_AUTO_TEST_CASE_TEMPLATE(rows_that_overflow_have_a_status_of_their_own, T, Precisions) {
  for (const auto activation : {"lipswish", "sine"}) {
    const auto flow = trained_like<T>({.blocks = 2, .hidden = {6, 6}, .activation = activation});
    auto x = random_matrix<T>(d, 3, 90);
    for (Index i = 0; i < d; ++i) x(i, 1) = (i == 1 ? T(-1) : T(1)) * std::numeric_limits<T>::max();
    const auto result = run(flow,
                            {.methods = parse({"series:3", "krylov:2", "trace+krylov:2", "roulette:p=0.5"}),
                             .repeats = 2,
                             .gradient = true,
                             .spectrum = true},
                            x);
    BOOST_TEST((result.status[0] == Status::ok && result.status[2] == Status::ok));
    for (const auto& part : result.parts) {
      BOOST_TEST((result.status[1] == Status::ok || is_blank(part, 1)));
      BOOST_TEST((result.status[1] != Status::ok || std::isfinite(part.exact[1])));
      BOOST_TEST((std::isfinite(part.exact[0]) && std::isfinite(part.exact[2])));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_determinant_that_is_not_positive_is_the_status_of_its_rows) {
  const auto flow = misled(-1.5, false);
  const auto x = matrix_of<double>(2, 4, [](Index, Index j) { return j % 2 == 0 ? 0.0 : 5.0; });
  const LogDetComparisonOptions options{
      .methods = parse({"series:3", "krylov:2", "trace+krylov:2"}), .gradient = true, .spectrum = true};
  const auto result = run(flow, options, x);
  for (std::size_t i = 0; i < 4; ++i) {
    BOOST_TEST((result.status[i] == (i % 2 == 0 ? Status::negative_determinant : Status::ok)));
    BOOST_TEST(is_blank(result.parts[0], i) == (i % 2 == 0));
    BOOST_TEST(is_blank(result.parts[1], i) == (i % 2 == 0));
  }
  BOOST_TEST(have_rows(result, 3, run(flow, options, x.view().columns(3, 1), 3)));
  // The twin: a slope that is not that steep.
  for (const Status s : run(misled(-1.05, false), options, x).status) BOOST_TEST((s == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_singular_jacobian_is_the_status_of_its_rows) {
  const auto flow = misled(-2, true);
  BOOST_REQUIRE(lipschitz_network(*flow.transforms()[0])->layers()[0]->weight()(0, 0) == -1);
  const auto result = run(flow, {.methods = parse({"series:3", "krylov:2"}), .gradient = true, .spectrum = true},
                          random_matrix<double>(2, 3, 91));
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST((result.status[i] == Status::negative_determinant));
    BOOST_TEST(is_blank(result.parts[0], i));
    BOOST_TEST(is_blank(result.parts[1], i));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_contraction_is_refused) {
  auto flow = trained_like<double>();
  for (const auto& block : flow.layout().blocks()) {
    if (block.name != "transforms/003/layer_1/weight") continue;
    for (Index i = 0; i < block.size(); ++i) flow.parameters()[block.offset + i] *= 2;
  }
  flow.prepare(Normalization::stored);
  const double constant = network_of(flow, 3).lipschitz();
  BOOST_TEST(constant > 1);
  BOOST_CHECK_EXCEPTION(
      LogDetComparison<double>(flow, {}), DataError,
      says({fmt::format("transform 3 (residual) is no contraction: its Lipschitz constant is {:.6g}", constant)}));
}

BOOST_AUTO_TEST_CASE(gradients_of_deterministic_methods_tend_to_the_exact_one) {
  const auto flow = trained_like<double>();
  const auto methods = parse({"series:1,trace=exact", "series:3,trace=exact", "series:8,trace=exact",
                              "series:250,trace=exact", "exact:through=input"});
  const auto result = run(flow, {.methods = methods, .gradient = true}, random_matrix<double>(d, 3, 92));
  for (std::size_t b = 0; b < 2; ++b) {
    const auto& part = result.parts[1 + b];
    const double c = network_of(flow, b == 0 ? 1 : 3).lipschitz();
    for (std::size_t i = 0; i < 3; ++i) {
      const auto error = [&](std::size_t m) {
        return part.draws[m].gradient_error(Index(i), 0) / part.gradient_norm[i];
      };
      BOOST_TEST(part.gradient_norm[i] > 0.01);
      BOOST_TEST(error(0) > 1e-2);  // the twin
      for (std::size_t m = 1; m < 4; ++m) BOOST_TEST(error(m) < 0.5 * error(m - 1));
      BOOST_TEST(error(3) < 100 * std::pow(c, 250) + 1e-12);
      BOOST_TEST(error(4) < 1e-13);
    }
  }
}

// ‖g‖ of each block's log-det by its own effective parameters.
BOOST_AUTO_TEST_CASE(gradient_norms_are_those_of_central_differences) {
  auto flow = trained_like<double>();
  const auto x = random_matrix<double>(d, 1, 93);
  const auto result = run(flow, {.gradient = true}, x);
  for (std::size_t b = 0; b < 2; ++b) {
    const auto [begin, end] = range_of(flow, b == 0 ? "transforms/001/" : "transforms/003/");
    BOOST_TEST(end - begin == 6 * d + 6 + 1 + 36 + 6 + 1 + 6 * d + d);
    std::vector<double> gradient;
    for (Index p = begin; p < end; ++p) {
      double& parameter = flow.parameters()[p];
      const double before = parameter;
      const auto moved = [&](double step) {
        parameter = before + step;
        flow.prepare(Normalization::stored);
        return run(flow, {}, x).parts[1 + b].exact[0];
      };
      constexpr double h = 1e-4;
      gradient.push_back((8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h));
      parameter = before;
    }
    flow.prepare(Normalization::stored);
    BOOST_TEST(close_relative(result.parts[1 + b].gradient_norm[0], norm_of(gradient), 1e-8));
    BOOST_TEST(!close_relative(1.01 * result.parts[1 + b].gradient_norm[0], norm_of(gradient), 1e-8));
  }
}

BOOST_AUTO_TEST_CASE(gradient_errors_are_those_of_single_draws) {
  const auto flow = trained_like<double>();
  const auto x = random_matrix<double>(d, 3, 94);
  const auto at = arrivals(flow, x);
  const auto methods = parse(some_methods);
  const auto result = run(flow, {.methods = methods, .repeats = 2, .seed = 5, .gradient = true}, x, 70);
  for (const Index k : {1, 3}) {
    const auto& part = result.parts[k == 1 ? 1 : 2];
    for (Index i = 0; i < 3; ++i) {
      const Matrix<double> point(at[k].view().columns(i, 1));
      const auto gradient = [&](const logdet::Method& method, Index r) {
        const logdet::Draws draws{
            .seed = 5, .step = static_cast<std::uint64_t>(r), .block = static_cast<std::uint64_t>(k), .first = 70 + i};
        return Direct(network_of(flow, k), method, point, draws, Pass::gradient).gradient;
      };
      const auto exact = gradient({}, 0);
      BOOST_TEST(close_relative(part.gradient_norm[i], norm_of(exact), 1e-12));
      for (std::size_t m = 0; m < methods.size(); ++m) {
        const auto error_of = [&](Index r) {
          auto difference = gradient(methods[m], r);
          for (std::size_t p = 0; p < exact.size(); ++p) difference[p] -= exact[p];
          return norm_of(difference);
        };
        for (Index r = 0; r < part.draws[m].value.cols(); ++r) {
          BOOST_TEST(close_absolute(part.draws[m].gradient_error(i, r), error_of(r), 1e-12), some_methods[m]);
          if (to_string(methods[m]).find("probe=gaussian") !=
              std::string::npos) {  // of signs there are only four in this dimension
            BOOST_TEST(!close_absolute(part.draws[m].gradient_error(i, r), error_of(r + 1), 1e-12), some_methods[m]);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(both_precisions_give_the_same) {
  const auto methods = parse(some_methods);
  const LogDetComparisonOptions options{.methods = methods, .repeats = 2, .gradient = true, .spectrum = true};
  const auto single = run(trained_like<float>(), options, random_matrix<float>(d, 4, 95));
  const auto twice = run(trained_like<double>(), options, random_matrix<double>(d, 4, 95));
  for (std::size_t p = 0; p < 3; ++p) {
    BOOST_TEST(has_rows(twice.parts[p], 0, single.parts[p], 1e-4));
    BOOST_TEST(!has_rows(twice.parts[p], 0, single.parts[p], 1e-12));
  }
}

BOOST_AUTO_TEST_CASE(one_row_one_repeat_and_nothing_at_all) {
  const auto flow = trained_like<double>();
  const auto methods = parse(some_methods);
  LogDetComparisonOptions options{.methods = methods, .repeats = 1, .gradient = true, .spectrum = true};
  const auto one = run(flow, options, random_matrix<double>(d, 1, 96));
  BOOST_TEST((one.status[0] == Status::ok));
  options.repeats = 3;
  const auto none = run(flow, options, Matrix<double>(d, 0));
  BOOST_TEST(none.parts.size() == 3U);
  for (std::size_t p = 0; p < 3; ++p) {
    BOOST_TEST(one.parts[p].exact.size() == 1U);
    BOOST_TEST(none.parts[p].exact.empty());
    BOOST_TEST(none.parts[p].draws.size() == methods.size());
    for (std::size_t m = 0; m < methods.size(); ++m) {
      BOOST_TEST(one.parts[p].draws[m].value.cols() == 1);
      BOOST_TEST(std::isfinite(one.parts[p].draws[m].value(0, 0)));
      BOOST_TEST(none.parts[p].draws[m].value.rows() == 0);
      BOOST_TEST(none.parts[p].draws[m].value.cols() == (methods[m].stochastic() ? 3 : 1));
      BOOST_TEST(none.parts[p].draws[m].seconds == std::vector<double>(methods[m].stochastic() ? 3 : 1));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared_is_refused) {
  const auto flow = trained_like<double>();
  const auto make = [](const Flow<double>& of, const LogDetComparisonOptions& options) {
    LogDetComparison<double>(of, options);
  };
  BOOST_CHECK_EXCEPTION(make(flow, {.repeats = 0}), OptionError, says({"0 repeats, must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make(flow, {.methods = parse({"krylov:4"})}), OptionError,
                        says({"krylov:4: 4 Arnoldi steps for dimension 3"}));
  BOOST_CHECK_EXCEPTION(make(flow, {.methods = parse({"auto"})}), BugError, says({"auto has not been resolved"}));
  const auto deep = trained_like<double>({.blocks = 1, .hidden = {4, 4, 4}});
  BOOST_CHECK_EXCEPTION(make(deep, {.methods = parse({"trace+krylov:2"})}), OptionError,
                        says({"trace+krylov:2: the exact trace is for at most 2 hidden layers, not 3"}));
  const Matrix<double> x(d, 2), wide(d + 1, 2);
  std::vector<Status> two(2), three(3);
  const LogDetComparison<double> comparison(flow, {});
  BOOST_CHECK_EXCEPTION((void)comparison.run(wide, 0, two), ShapeError,
                        says({"(4 × 2) samples and 2 statuses do not fit a flow of dimension 3"}));
  BOOST_CHECK_EXCEPTION((void)comparison.run(x, 0, three), ShapeError, says({"(3 × 2) samples and 3 statuses"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
