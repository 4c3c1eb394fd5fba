#include <pushforward/core/error.hpp>
#include <pushforward/table/table.hpp>
#include <pushforward/train/array_rows.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

namespace {

using data::Split;

// Copies columns from `first` on. `what` and `name` are for messages.
void copy_finite(ConstMatrixView<double> from, Index first, MatrixView<double> to, std::string_view what,
                 std::string_view name) {
  for (Index j = 0; j < to.cols(); ++j) {
    const auto column = from.column_span(first + j);
    const auto bad = std::ranges::find_if(column, [](double v) { return !std::isfinite(v); });
    require<DataError>(bad == column.end(), "{}: {} of row {} (counted from 0) has a value that is not finite", name,
                       what, first + j);
    std::ranges::copy(column, to.column(j));
  }
}

}  // namespace

ArrayRows::ArrayRows(const data::BySplit<flow::Batch<double>>& rows, data::Description about) : arrays_(rows) {
  description_ = std::move(about);
  if (description_.name.empty()) description_.name = "arrays";
  const auto& train = arrays_[data::index_of(Split::train)];
  require<ShapeError>(train.size() > 0, "{}: no rows to train on", description_.name);
  const Index d = train.x.rows(), c = train.context.rows();
  description_.dimension = d;
  for (const Split split : data::splits) {
    const auto& part = arrays_[data::index_of(split)];
    const Index n = part.size();
    require<ShapeError>(
        n == 0 || (part.x.rows() == d && part.context.rows() == c && (c == 0 || part.context.cols() == n) &&
                   (part.weight.empty() || std::ssize(part.weight) == n)),
        "{}: {} has rows ({} × {}), contexts ({} × {}) and {} weights, where d = {} and c = {}", description_.name,
        split_name(split), part.x.rows(), n, part.context.rows(), part.context.cols(), part.weight.size(), d, c);
    description_.rows[data::index_of(split)] = n;
    description_.weighted = description_.weighted || !part.weight.empty();
  }
  const auto name = [&](std::vector<std::string>& names, Index count, char letter) {
    if (names.empty()) names = data::default_names(count, letter);
    require<ShapeError>(std::ssize(names) == count, "{}: {} names for {} columns", description_.name, names.size(),
                        count);
  };
  name(description_.feature_names, d, 'x');
  name(description_.context_names, c, 'c');
}

void ArrayRows::read(Split split, Index first, MatrixView<double> x) const {
  copy_finite(arrays_[data::index_of(split)].x, first, x, "the sample", description_.name);
}

void ArrayRows::read_context(Split split, Index first, MatrixView<double> context) const {
  if (context.rows() == 0) return;
  copy_finite(arrays_[data::index_of(split)].context, first, context, "the context", description_.name);
}

void ArrayRows::read_weights(Split split, Index first, std::span<double> weights) const {
  const auto& from = arrays_[data::index_of(split)].weight;
  if (from.empty()) {
    std::ranges::fill(weights, 1.0);
    return;
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = from[first + i];
    require<DataError>(std::isfinite(weights[i]) && weights[i] >= 0,
                       "{}: the weight of row {} (counted from 0) is {}; weights are finite and not negative",
                       description_.name, first + static_cast<Index>(i), weights[i]);
  }
}

}  // namespace pushforward::train
