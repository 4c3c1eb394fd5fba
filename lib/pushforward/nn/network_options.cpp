#include <pushforward/core/text.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/nn/network_options.hpp>

#include <cmath>

namespace pushforward::nn {

std::vector<Index> NetworkOptions::widths() const {
  const Index each = is_convolutional() ? pixels() : 1;
  std::vector<Index> all{features()};
  for (const Index w : hidden) all.push_back(each * w);
  all.push_back(out);
  return all;
}

ConvSize NetworkOptions::conv_size(Index l) const {
  const auto w = widths();
  const auto at = static_cast<std::size_t>(l);
  const Index kernel = kernels[at];
  return {.image = {height, width, w[at] / pixels()},
          .channels = w[at + 1] / pixels(),
          .kernel_height = kernel,
          .kernel_width = kernel,
          .pad_height = kernel / 2,
          .pad_width = kernel / 2};
}

double NetworkOptions::layer_flops(Index l) const {
  const auto w = widths();
  const auto at = static_cast<std::size_t>(l);
  return linalg::gemm_flops(w[at + 1], 1, is_convolutional() ? conv_size(l).patch() : w[at]);
}

void NetworkOptions::check(const std::string& name) const {
  require<OptionError>(lipschitz > 0, "network {}: Lipschitz bound {} must be positive", name, lipschitz);
  const auto& phi = ActivationKind::registry().at(activation);
  require<OptionError>(std::isinf(lipschitz) || phi.lipschitz <= 1,
                       "network {}: the slope of activation '{}' reaches {:.3g}, and a network with a Lipschitz bound "
                       "needs slopes of at most 1; take 'lipswish', which is silu divided by 1.1 with a trained slope",
                       name, activation, phi.lipschitz);
  require<OptionError>(context >= 0, "network {}: a context of width {} must have at least 0", name, context);
  require<OptionError>(gates >= 0 && gates <= context, "network {}: gates by {} values of a context of width {}", name,
                       gates, context);
  require<OptionError>(gates == 0 || !hidden.empty(), "network {}: gates are for hidden layers, and there are none",
                       name);
  require<OptionError>(gates == 0 || std::isinf(lipschitz),
                       "network {}: gates are for networks without a Lipschitz bound, which they may break", name);
  for (std::size_t i = 0; i < periodic.size(); ++i) {
    require<OptionError>(periodic[i] >= 0 && periodic[i] < in && (i == 0 || periodic[i - 1] < periodic[i]),
                         "network {}: angles {} must be rows of x, 0 to {}, ascending", name, periodic[i], in - 1);
  }
  require<OptionError>(!autoregressive || (in > 0 && out % in == 0),
                       "network {}: an autoregressive map has as many outputs for each of its inputs, so {} must be a "
                       "multiple of {}",
                       name, out, in);
  if (!is_convolutional()) {
    require<OptionError>(pixels() == 1, "network {}: images of {} × {} pixels need kernels", name, height, width);
    return;
  }
  require<OptionError>(std::ssize(kernels) == depth(), "network {}: {} kernels for {} layers; each needs one", name,
                       kernels.size(), depth());
  for (const Index kernel : kernels) {
    require<OptionError>(kernel > 0 && kernel % 2 == 1, "network {}: a kernel of {} must be odd, to keep image sizes",
                         name, kernel);
  }
  require<OptionError>(height > 0 && width > 0 && in % pixels() == 0 && out % pixels() == 0,
                       "network {}: {} → {} values are not whole channels of {} × {} pixels", name, in, out, height,
                       width);
  require<OptionError>(periodic.empty() && !autoregressive && gates == 0,
                       "network {}: angles, autoregressive masks and gates are for dense networks, not for those with "
                       "kernels",
                       name);
}

}  // namespace pushforward::nn
