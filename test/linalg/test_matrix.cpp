#include <pushforward/linalg/threads.hpp>
#include <pushforward/linalg/workspace.hpp>

#include "fixtures.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace pushforward::test {

namespace {

using linalg::Workspace;

bool is_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(matrix)

BOOST_AUTO_TEST_CASE(a_matrix_is_zero_aligned_and_column_major) {
  Matrix<float> a(3, 2);
  for (const float value : a.span()) BOOST_TEST(value == 0.0F);
  BOOST_TEST(is_aligned(a.data()));
  a(2, 1) = 5;
  BOOST_TEST(a.data()[5] == 5.0F);
  BOOST_TEST(a.view()(2, 1) == 5.0F);
  BOOST_TEST(a.size() == 6);
}

BOOST_AUTO_TEST_CASE(copies_are_independent) {
  const auto a = random_matrix<double>(3, 2, 22);
  Matrix<double> b(a), c;
  c = a;
  b(0, 0) = 7;
  c(1, 1) = 8;
  BOOST_TEST(a(0, 0) != 7.0);
  BOOST_TEST(a(1, 1) != 8.0);
  BOOST_TEST(b(2, 1) == a(2, 1));
  c = *&c;
  BOOST_TEST(c(1, 1) == 8.0);
  c = Matrix<double>(0, 4);
  BOOST_TEST(c.size() == 0);
  BOOST_TEST(Matrix<double>(c).cols() == 4);
  BOOST_TEST(Matrix<double>(Matrix<double>()).size() == 0);
}

BOOST_AUTO_TEST_CASE(moving_takes_the_elements_and_leaves_nothing) {
  Matrix<double> a(3, 2);
  const double* const elements = a.data();
  Matrix<double> b(std::move(a)), c;
  BOOST_TEST(b.data() == elements);
  c = std::move(b);
  BOOST_TEST(c.data() == elements);
  BOOST_TEST(c.rows() == 3);
  BOOST_TEST(a.span().empty());  // NOLINT(bugprone-use-after-move)
  BOOST_TEST(b.span().empty());  // NOLINT(bugprone-use-after-move)
}

BOOST_AUTO_TEST_CASE(views_address_blocks_of_their_matrix) {
  auto a = matrix_of<double>(4, 3, [](Index i, Index j) { return static_cast<double>(10 * i + j); });
  const auto block = a.view().block(1, 1, 2, 2);
  BOOST_TEST(block(1, 1) == 22.0);
  BOOST_TEST(block.ld() == 4);
  BOOST_TEST(!block.contiguous());
  BOOST_TEST(block.columns(1, 1).contiguous());
  BOOST_TEST(a.view().contiguous());
  BOOST_TEST(block.column_span(0).size() == 2U);
  block(0, 0) = -1;
  BOOST_TEST(a(1, 1) == -1.0);
  const Matrix<double> copy{ConstMatrixView<double>(block)};
  BOOST_TEST(copy(0, 0) == -1.0);
  BOOST_TEST(copy.view().contiguous());
  BOOST_TEST(a.view().columns(1, 0).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(workspace)

BOOST_AUTO_TEST_CASE(what_is_counted_is_what_is_carved) {
  const auto carve = [](Workspace& w) {
    w.take<float>(3);
    const Index mark = w.used();
    w.matrix<double>(7, 5);
    w.release(mark);
    w.take<std::int8_t>(1);
    return w.take<double>(0);
  };
  Workspace counter;
  BOOST_TEST(carve(counter).data() == nullptr);
  BOOST_TEST(counter.peak() == 64 + 320);
  BOOST_TEST(counter.used() == 64 + 64);
  Workspace memory(counter.peak());
  carve(memory);
  BOOST_TEST(memory.peak() == counter.peak());
  BOOST_TEST(memory.used() == counter.used());
}

BOOST_AUTO_TEST_CASE(pieces_are_aligned_and_apart) {
  Workspace memory(1024);
  const auto a = memory.take<float>(3);
  const auto b = memory.matrix<double>(5, 3);
  const auto c = memory.take<bool>(1);
  BOOST_TEST(is_aligned(a.data()));
  BOOST_TEST(is_aligned(b.data()));
  BOOST_TEST(is_aligned(c.data()));
  BOOST_TEST(static_cast<const void*>(a.data() + a.size()) <= static_cast<const void*>(b.data()));
  BOOST_TEST(static_cast<const void*>(b.data() + b.size()) <= static_cast<const void*>(c.data()));
}

BOOST_AUTO_TEST_CASE(released_memory_is_handed_out_again) {
  Workspace memory(128);
  memory.take<double>(8);
  const Index mark = memory.used();
  const auto first = memory.take<double>(8);
  memory.release(mark);
  BOOST_TEST(memory.take<float>(16).data() == reinterpret_cast<float*>(first.data()));
}

BOOST_AUTO_TEST_CASE(taking_more_than_was_planned_is_our_bug) {
  Workspace memory(128);
  memory.take<double>(9);
  BOOST_CHECK_EXCEPTION(memory.take<double>(1), BugError,
                        says({"workspace of 128 bytes is too small: 192 are asked for"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(the_number_of_blas_threads_is_what_was_set) {
  const int before = linalg::blas_threads();
  linalg::set_blas_threads(2);
  BOOST_TEST(linalg::blas_threads() == 2);
  linalg::set_blas_threads(before);
  BOOST_CHECK_EXCEPTION(linalg::set_blas_threads(0), OptionError, says({"BLAS threads = 0: must be at least 1"}));
  BOOST_TEST(!std::string(linalg::blas_core()).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
