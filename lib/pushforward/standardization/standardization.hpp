#pragma once

// The affine map that brings data to mean 0 and unit scale before a flow sees it: z = L⁻¹ (x − mean), with L lower
// triangular. Its log-det, −Σ ln L_ii, is part of the flow's density in the data's own units.

#include <pushforward/core/index.hpp>
#include <pushforward/linalg/matrix.hpp>
#include <pushforward/standardization/moments.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

class RowReader;

/// Throws DataError where there are columns of these names, which are constant in all training rows: they have no
/// density.
void require_no_constants(std::span<const std::string> constant);

class Standardization {
 public:
  enum class Kind {
    none,    ///< z = x
    unit,    ///< z = x/s, s the root mean square of the columns' standard deviations
    scale,   ///< each column by its mean and standard deviation
    whiten,  ///< mean, and the Cholesky factor of the covariance
  };

  /// z = x on d columns.
  explicit Standardization(Index dimension);
  /// As stored in a model. mean: (d). factor: as factor() returns it, with a positive diagonal. Throws DataError
  /// otherwise.
  Standardization(Kind kind, std::vector<double> mean, Matrix<double> factor);
  /// Fitted to moments, weighted as they are. `names` (d) are those of the columns; those in `kept`, angles and
  /// unit vectors, get mean 0 and scale 1. Throws DataError naming the columns that are constant or, for `whiten`, a
  /// linear combination of those before them; OptionError for `whiten` with such columns.
  Standardization(Kind kind, const Moments& moments, std::span<const std::string> names,
                  std::span<const Index> kept = {});

  Kind kind() const { return kind_; }
  Index dimension() const { return static_cast<Index>(mean_.size()); }
  const std::vector<double>& mean() const { return mean_; }
  /// Whether L is diagonal, as it is for all kinds but `whiten`.
  bool is_diagonal() const { return kind_ != Kind::whiten; }
  /// L: (d × d), lower triangular. If L is diagonal, its diagonal alone: (d × 1).
  const Matrix<double>& factor() const { return factor_; }
  /// L_ii, the unit of column i.
  double scale(Index i) const { return factor_(i, is_diagonal() ? 0 : i); }

  /// log|det ∂z/∂x|, nats, the same for every sample.
  double log_det() const;
  /// Σ ln of the columns' standard deviations, nats: what an NLL loses if each column is divided by its deviation.
  double log_deviations() const;

  /// x: (d × n) in, data. z: (d × n) out, standardized; computed in double, rounded once. Must not alias. Allocates.
  template <class T>
  void forward(ConstMatrixView<double> x, MatrixView<T> z) const;
  /// x = mean + L z. z: (d × n) in. x: (d × n) out. Must not alias.
  template <class T>
  void inverse(ConstMatrixView<T> z, MatrixView<double> x) const;

 private:
  Kind kind_;
  std::vector<double> mean_;
  Matrix<double> factor_;
};

/// "none", "scale", "whiten".
std::string_view kind_name(Standardization::Kind kind);
/// The kind of that name. Throws OptionError with a suggestion.
Standardization::Kind parse_kind(std::string_view name);

/// Moments of the training rows, read in slabs of fixed size: the same for whoever asks. Not collective.
Moments training_moments(const RowReader& rows);

/// Moments of the contexts of the training rows.
Moments context_moments(const RowReader& rows);

/// A standardization of contexts, which have no density: each column by its mean and deviation, a constant one by its
/// mean alone. Throws DataError if there are no rows, or none with a positive weight.
Standardization fit_context(const Moments& moments);

}  // namespace pushforward::data
