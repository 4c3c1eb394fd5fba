#include <models/context.hpp>
#include <models/model_file.hpp>

#include <pushforward/core/text.hpp>

#include <cmath>
#include <set>

namespace pushforward::apps {

namespace {

// Divides the text at commas, but not within the name of a context.
std::vector<std::string> pieces_of(std::string_view text, const std::vector<std::string>& names) {
  std::vector<std::string> pieces;
  for (bool more = true; more;) {
    std::size_t length = std::min(text.find(','), text.size());
    for (const auto& name : names) {
      const bool is_next = text.starts_with(name) && (text.size() == name.size() || text[name.size()] == ',');
      if (is_next) length = std::max(length, name.size());
    }
    pieces.emplace_back(text.substr(0, length));
    more = length < text.size();
    if (more) text.remove_prefix(length + 1);
  }
  return pieces;
}

std::optional<double> number_of(std::string_view text) {
  const auto value = parse_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

// Whether one of the names is a class of this column.
bool has_classes(const std::vector<std::string>& names, std::string_view column) {
  return std::ranges::any_of(names, [&](const std::string& name) {
    return name.starts_with(column) && name.substr(column.size()).starts_with('=');
  });
}

// Whether the text means values rather than a file.
bool is_constant(const std::vector<std::string>& pieces, const std::vector<std::string>& names) {
  return std::ranges::any_of(pieces, [&](const std::string& piece) {
    return number_of(piece) || std::ranges::find(names, piece) != names.end() || has_classes(names, piece) ||
           (piece.find('=') != std::string::npos && piece.find('/') == std::string::npos);
  });
}

// The column that a context comes from: "label" of its class "label=3". The text of a class may have an equals sign.
std::string_view column_of(std::string_view name) {
  return name.substr(0, name.find('='));
}

std::vector<double> constant_of(const std::vector<std::string>& pieces, const std::vector<std::string>& names,
                                Index c) {
  std::vector<double> values;
  for (const auto& piece : pieces) {
    if (const auto value = number_of(piece)) values.push_back(*value);
  }
  if (values.size() == pieces.size()) {
    require<OptionError>(std::ssize(values) == c, "--context: {} numbers for a model that takes {} ({})", values.size(),
                         c, join_some(names));
    return values;
  }
  values.assign(c, 0.0);
  std::set<std::string_view> given;
  for (const auto& piece : pieces) {
    // Names may hold an equals sign themselves, as "label=3" does.
    auto name = piece;
    double value = 1;
    auto found = std::ranges::find(names, name);
    if (const auto equals = piece.rfind('='); found == names.end() && equals != std::string::npos) {
      name = piece.substr(0, equals);
      found = std::ranges::find(names, name);
      require<OptionError>(found != names.end() || !has_classes(names, column_of(piece)),
                           "--context '{}': there is no such class of {}{}; there are {}", piece, column_of(piece),
                           suggestion(piece, names), join_some(names));
      const auto number = number_of(std::string_view(piece).substr(equals + 1));
      require<OptionError>(number.has_value(), "--context '{}': no finite number after the equals sign", piece);
      value = *number;
    }
    require<OptionError>(found != names.end() || !has_classes(names, name),
                         "--context '{}': there is no such class of {}; there are {}", piece, name, join_some(names));
    require<OptionError>(found != names.end(), "--context '{}': the model has no context '{}'{}; it has {}", piece,
                         name, suggestion(name, names), join_some(names));
    values[found - names.begin()] = value;
    require<OptionError>(given.insert(column_of(*found)).second, "--context '{}': {} has a value already", piece,
                         column_of(*found));
  }
  for (const auto& name : names) {
    require<OptionError>(given.contains(column_of(name)), "--context: no value for {}; the model takes {}",
                         column_of(name), join_some(names));
  }
  return values;
}

}  // namespace

ContextSource::ContextSource(const std::string& text, const std::optional<flow::ModelContext>& context,
                             const data::Rows* rows, Index n, bool is_used) {
  require<OptionError>(context || text.empty(), "--context '{}': the model is not conditioned on anything", text);
  if (!context) return;
  dimension_ = context->standardization.dimension();
  if (!is_used) {
    constant_.assign(static_cast<std::size_t>(dimension_), 0.0);
    return;
  }
  if (text.empty()) {
    require<OptionError>(rows != nullptr && rows->context_dimension() > 0,
                         "the model is conditioned on {} values ({}), but {}; give them with --context", dimension_,
                         join_some(context->names),
                         rows == nullptr ? "there are no rows that have them" : rows->where() + " has no context");
    require<DataError>(rows->context_dimension() == dimension_,
                       "{} has a context of {} values; the model takes {} ({})", rows->where(),
                       rows->context_dimension(), dimension_, join_some(context->names));
    require_order(rows->where(), "contexts", rows->names().contexts, context->names);
    rows_ = rows;
    return;
  }
  const auto pieces = pieces_of(text, context->names);
  if (is_constant(pieces, context->names)) {
    constant_ = constant_of(pieces, context->names, dimension_);
    return;
  }
  array_.emplace(data::open_rows(text));
  require<DataError>(array_->dimension() == dimension_ && array_->count() >= n,
                     "{} has the shape ({}, {}); a context of {} values for each of {} rows is needed", array_->where(),
                     array_->count(), array_->dimension(), dimension_, n);
}

void ContextSource::read(Index first, MatrixView<double> context) const {
  if (rows_ != nullptr) {
    rows_->read_context(first, context);
  } else if (array_) {
    array_->read(first, context);
  } else {
    for (Index j = 0; j < context.cols(); ++j) std::copy(constant_.begin(), constant_.end(), context.column(j));
  }
}

}  // namespace pushforward::apps
