#pragma once

// What a conditional model's density is conditioned on, row by row, as programs are told it.

#include <cli/program.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/model/model.hpp>

namespace pushforward::apps {

/// What --context says in the help of every program that has it.
inline constexpr const char* context_help =
    "what a conditional model is conditioned on: numbers \"0.5,2\" or \"NAME=NUMBER,…\" for all rows, a context's name "
    "alone for 1; or an array FILE.h5:/PATH";

class ContextSource {
 public:
  /// text: empty for the contexts that come with `rows`; "0.5,2", as many numbers as the model takes, for all rows;
  /// "a=0.5,b=3" by the names of the model's contexts, a name alone, as of class "b=3", meaning 1 and the other classes
  /// of its column 0; else an array FILE:/PATH with a row for each of `n`. Throws OptionError for a context that the
  /// model does not take, that is not there or that has no value, DataError and IoError for an array that does not fit.
  ContextSource(const std::string& text, const std::optional<flow::ModelContext>& context, const data::Rows* rows,
                Index n);

  /// Numbers of a row; 0 for models without a context.
  Index dimension() const { return dimension_; }
  /// Rows of an array of its own; 0 where there is none.
  Index rows() const { return array_ ? array_->count() : 0; }
  /// Contexts of rows [first, first + n) into the columns of `context` (c × n). Throws DataError. Not collective.
  void read(Index first, MatrixView<double> context) const;

 private:
  Index dimension_ = 0;
  std::vector<double> constant_;     // (c), or empty
  std::optional<data::Rows> array_;  // of its own
  const data::Rows* rows_ = nullptr;
};

}  // namespace pushforward::apps
