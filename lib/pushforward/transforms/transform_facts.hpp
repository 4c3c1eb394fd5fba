#pragma once

// The facts of a class of transforms that its option struct may state (transform_kind.hpp).

namespace pushforward::flow {

struct TransformFacts {
  bool is_fixed = false;        ///< it has no parameters: the class is not Trained
  bool takes_context = false;   ///< it can be conditioned
  bool takes_spheres = false;   ///< its samples may have unit vectors
  bool wants_integers = false;  ///< its samples are integers
  bool has_units = false;       ///< its options are in the units of its samples
};

/// The effect of a transform on bounds: it keeps bounds as they are, it makes values bounded, or it removes bounds by
/// taking a bounded interval to the whole line.
enum class Bounds { keeps, makes, removes };

}  // namespace pushforward::flow
