#pragma once

// The context of a conditional model for each row, from the dataset or from --context.

#include <cli/program.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/model/model.hpp>

namespace pushforward::apps {

/// The help of --context, in every program that has it.
inline constexpr const char* context_help =
    "context of a conditional model: numbers \"0.5,2\" or \"NAME=NUMBER,…\" for all rows (a name alone means 1), or an "
    "array FILE.h5:/PATH";

class ContextSource {
 public:
  /// text: one of
  ///   - "": the contexts that come with `rows`;
  ///   - "0.5,2": as many numbers as the model takes, for all rows;
  ///   - "a=0.5,b=3": values by the names of the model's contexts. A name alone means 1; if it is the class "b=3", the
  ///   other
  ///     classes of its column are 0;
  ///   - FILE:/PATH: an array with a row for each of `n`.
  /// If contexts have no effect (is_used = false), all are zero.
  /// Throws OptionError if the model does not take the context, if there is none, or if one has no value. Throws
  /// DataError and IoError if an array does not fit.
  ContextSource(const std::string& text, const std::optional<flow::ModelContext>& context, const data::Rows* rows,
                Index n, bool is_used = true);

  /// The number of values of a row; 0 for models without a context.
  Index dimension() const { return dimension_; }
  /// The number of rows of the array that --context names; 0 if it names none.
  Index rows() const { return array_ ? array_->count() : 0; }
  /// Reads the contexts of rows [first, first + n) into the columns of `context` (c × n). Throws DataError. Not
  /// collective.
  void read(Index first, MatrixView<double> context) const;

 private:
  Index dimension_ = 0;
  std::vector<double> constant_;     // (c) the same for all rows, or empty
  std::optional<data::Rows> array_;  // named by --context
  const data::Rows* rows_ = nullptr;
};

}  // namespace pushforward::apps
