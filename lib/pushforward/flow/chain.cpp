#include <pushforward/flow/chain.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/residual.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/squeeze.hpp>

namespace pushforward::flow {

namespace {

template <class T>
class Maker {
 public:
  using Made = std::unique_ptr<Transform<T>>;

  Maker(nn::ParameterLayout& layout, const std::string& name, const Domain& at, std::uint64_t seed, std::uint64_t key)
      : layout_(layout), name_(name), at_(at), seed_(seed), key_(key) {}

  Made operator()(const ActNormOptions& options) const { return of_shape<ActNorm<T>>(options); }
  Made operator()(const ScalingOptions& options) const { return of_shape<Scaling<T>>(options); }
  Made operator()(const ElementwiseOptions& options) const { return of_shape<Elementwise<T>>(options); }
  Made operator()(const DequantizeOptions& options) const { return of_shape<Dequantize<T>>(options); }
  Made operator()(const SqueezeOptions& options) const { return of_shape<Squeeze<T>>(options); }
  Made operator()(const FactorOutOptions& options) const { return of_shape<FactorOut<T>>(options); }
  Made operator()(PermutationOptions& options) const { return settled<Permutation<T>>(options); }
  Made operator()(LinearOptions& options) const { return settled<Linear<T>>(options); }
  Made operator()(const PlanarOptions& options) const { return with_seed<Planar<T>>(options); }
  Made operator()(const RadialOptions& options) const { return with_seed<Radial<T>>(options); }
  Made operator()(const CouplingOptions& options) const { return of_domain<Coupling<T>>(options); }
  Made operator()(const AutoregressiveOptions& options) const {
    auto made = of_domain<Autoregressive<T>>(options);
    return options.inverse ? std::make_unique<Inverse<T>>(std::move(made)) : std::move(made);
  }
  Made operator()(const ResidualOptions& options) const {
    return std::make_unique<ResidualBlock<T>>(layout_, name_, at_.shape, residual_network(options, at_), seed_, key_);
  }

 private:
  template <class Kind, class Options>
  Made of_shape(const Options& options) const {
    return std::make_unique<Kind>(layout_, name_, at_.shape, options);
  }
  template <class Kind, class Options>
  Made with_seed(const Options& options) const {
    return std::make_unique<Kind>(layout_, name_, at_.shape, options, seed_, key_);
  }
  // What the options leave to the seed is written into them.
  template <class Kind, class Options>
  Made settled(Options& options) const {
    auto made = std::make_unique<Kind>(layout_, name_, at_.shape, options, seed_, key_);
    options = made->options();
    return made;
  }
  template <class Kind, class Options>
  Made of_domain(const Options& options) const {
    return std::make_unique<Kind>(layout_, name_, at_, options, seed_, key_);
  }

  nn::ParameterLayout& layout_;
  const std::string& name_;
  const Domain& at_;
  std::uint64_t seed_, key_;
};

}  // namespace

template <class T>
std::unique_ptr<Transform<T>> make_transform(nn::ParameterLayout& layout, const std::string& name,
                                             LayerOptions& options, const Domain& domain, std::uint64_t seed,
                                             std::uint64_t key) {
  return std::visit(Maker<T>(layout, name, domain, seed, key), options.options());
}

template std::unique_ptr<Transform<float>> make_transform(nn::ParameterLayout&, const std::string&, LayerOptions&,
                                                          const Domain&, std::uint64_t, std::uint64_t);
template std::unique_ptr<Transform<double>> make_transform(nn::ParameterLayout&, const std::string&, LayerOptions&,
                                                           const Domain&, std::uint64_t, std::uint64_t);

}  // namespace pushforward::flow
