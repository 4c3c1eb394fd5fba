"""The transforms of a model file in numpy, from the section "Model" of data/README.md: z and log|det ∂z/∂x| of rows x.

Each is a function of the transform's group, the rows x (n, d) and their Place. It gives z (n, d) and a log-det, (n)
or one number, nats. place_after() says what the next transform sees.
"""

import dataclasses

import numpy as np

from model_maps import FUNCTIONS, domain, logistic, map_of, softplus, wrap


@dataclasses.dataclass
class Place:
    """The meaning of the columns at one place of the chain."""

    shape: tuple  # height, width, channels
    angles: list  # columns that are angles, ascending
    context: np.ndarray  # (n, c), standardized
    spheres: list = dataclasses.field(default_factory=list)  # lists of columns that are unit vectors
    noise: np.ndarray = None  # (n, d) on (0, 1), which a dequantization adds
    dequantized: bool = False  # the noise has been added already
    optional_context: bool = False  # vector fields know rows without a context
    guidance: float = 1.0  # the strength S of guided vector fields

    @property
    def size(self):
        return int(np.prod(self.shape))

    @property
    def pixels(self):
        return self.shape[0] * self.shape[1]


def double(dataset):
    return np.asarray(dataset, dtype=np.float64)


def integers(attribute):
    return [int(value) for value in attribute]


def attributes(group):
    """Gives the attributes of a group by name. h5py gives text of fixed length as bytes; here it is str."""
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in group.attrs.items()}


# Networks.

def lipswish(a, beta):
    s = logistic(beta * a)
    return a * s / 1.1, (s + beta * a * s * (1 - s)) / 1.1


# Gives value and derivative of each activation; beta is lipswish's slope.
ACTIVATIONS = {
    "lipswish": lipswish,
    "tanh": lambda a, _: (np.tanh(a), 1 - np.tanh(a) ** 2),
    "elu": lambda a, _: (np.where(a > 0, a, np.expm1(np.minimum(a, 0))), np.exp(np.minimum(a, 0))),
    "softplus": lambda a, _: (softplus(a), logistic(a)),
    "relu": lambda a, _: (np.maximum(a, 0), (a > 0).astype(float)),
    "sine": lambda a, _: (np.sin(a), np.cos(a)),
    "silu": lambda a, _: (a * logistic(a), logistic(a) * (1 + a * (1 - logistic(a)))),
}


def features(x, angles):
    """Gives the input of a network for x, and its derivatives (n, d, features), row j along x_j."""
    n, d = x.shape
    others = [i for i in range(d) if i not in angles]
    columns, tangents = [x[:, i] for i in others], np.zeros((n, d, d + len(angles)))
    for k, i in enumerate(others):
        tangents[:, i, k] = 1
    for i in angles:
        tangents[:, i, len(columns)], tangents[:, i, len(columns) + 1] = -np.sin(x[:, i]), np.cos(x[:, i])
        columns += [np.cos(x[:, i]), np.sin(x[:, i])]
    return np.stack(columns, axis=1), tangents


def linear_map(h, weight, pixels, kernel):
    """Gives h · weight for rows h, or the convolution of images (height, width) = pixels, channels fastest."""
    if kernel == 0:
        return h @ weight
    n, (height, width), pad = len(h), pixels, kernel // 2
    images = np.pad(h.reshape(n, height, width, -1), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    patches = [images[:, r : r + height, s : s + width] for r in range(kernel) for s in range(kernel)]
    return (np.concatenate(patches, axis=3) @ weight).reshape(n, -1)


def gate_values(layer, name, place):
    matrix = double(layer[name])
    return place.context[:, :len(matrix)] @ matrix


def network(group, x, angles, place, jacobian=False):
    """Gives g(x; u) (n, e) of the network whose layers are in the group, and its Jacobian (n, d, e), row j along
    x_j."""
    activation = ACTIVATIONS[attributes(group)["activation"]]
    layers = len(attributes(group).get("hidden", [])) + 1
    kernels = integers(attributes(group).get("kernels", [])) or [0] * layers
    h, tangents = features(x, angles)
    for l in range(layers):
        layer = group[f"layer_{l}"]
        weight, bias = double(layer["weight"]), double(layer["bias"])
        repeats = place.pixels if kernels[l] else 1  # a bias belongs to a channel
        h = linear_map(h, weight, place.shape[:2], kernels[l])
        if jacobian:
            n, d, width = tangents.shape
            tangents = linear_map(tangents.reshape(n * d, width), weight, place.shape[:2], kernels[l])
            tangents = tangents.reshape(n, d, -1)
        if "gate" in layer:
            gate = 2 / (1 + np.exp(-gate_values(layer, "gate", place)))
            h = h * gate
            tangents = tangents * gate[:, None, :] if jacobian else tangents
        if "shift" in layer:
            h = h + gate_values(layer, "shift", place)
        h = h + np.tile(bias, repeats)
        if "context" in layer:
            h += np.tile(place.context @ double(layer["context"]), repeats)
        if l + 1 < layers:
            beta = np.exp(double(layer["log_beta"])[0]) if "log_beta" in layer else None
            h, slope = activation(h, beta)
            tangents = tangents * slope[:, None, :] if jacobian else tangents
    return (h, tangents) if jacobian else h


# Transforms with a network.

def wrapped(x, angles):
    x = x.copy()
    x[:, angles] = wrap(x[:, angles])
    return x


def residual(group, x, place):
    g, jacobian = network(group, x, place.angles, place, jacobian=True)
    return wrapped(x + g, place.angles), np.linalg.slogdet(np.eye(place.size) + jacobian)[1]


def lengths(x, spheres):
    """Gives the length of each unit vector's columns, and 1 for other columns (n, d)."""
    scale = np.ones_like(x)
    for columns in spheres:
        scale[:, columns] = np.linalg.norm(x[:, columns], axis=1, keepdims=True)
    return scale


def velocity(group, x, t, place):
    """Gives v(x, t; u) (n, d) of a continuous flow, its Jacobian (n, d, d), row j along x_j, and its divergence (n)."""
    tau = [2 * t - 1, np.cos(np.pi * t), np.sin(np.pi * t), np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)]
    fields = [(place.guidance, place.context, 0.0)]
    if place.guidance != 1:
        fields.append((1 - place.guidance, np.zeros_like(place.context), 1.0))
    scale = lengths(x, place.spheres)
    y = x / scale
    f, jacobian = 0.0, 0.0
    for factor, u, none in fields:
        marks = np.full((len(x), int(place.optional_context)), none)
        context = np.concatenate([np.tile(tau, (len(x), 1)), marks, u], axis=1)
        g, of_g = network(group, y, place.angles, dataclasses.replace(place, context=context), jacobian=True)
        f, jacobian = f + factor * g, jacobian + factor * of_g
    v = scale * f
    for columns in place.spheres:
        part, r = y[:, columns], scale[:, columns[:1]]
        across = np.eye(len(columns)) - part[:, :, None] * part[:, None, :]
        # Through y = x/r, then through v = r (f − y (y·f)), whose y and r depend on x, too.
        jacobian[:, columns] = across @ jacobian[:, columns] / r[:, :, None]
        along = (part * f[:, columns]).sum(axis=1)
        tangent = f[:, columns] - along[:, None] * part
        jacobian[:, :, columns] = r[:, :, None] * (jacobian[:, :, columns] @ across)
        for a, i in enumerate(columns):
            jacobian[:, i, columns] += part[:, [a]] * tangent - along[:, None] * across[:, a] - tangent[:, [a]] * part
        v[:, columns] = r * tangent
    return v, jacobian, np.trace(jacobian, axis1=1, axis2=2)


def follow_grid(group, x, place, steps, discrete):
    """Gives the end, at t = 0, of Runge-Kutta steps from t = 1, and the log-det: that of the steps, or the quadrature of
    the divergence."""
    b, c = double(attributes(group)["tableau_b"]), double(attributes(group)["tableau_c"])
    a = double(attributes(group)["tableau_a"]).reshape(len(b), len(b))
    h, identity, total = -1 / steps, np.eye(place.size), np.zeros(len(x))
    for k in range(steps):
        velocities, tangents = [], []
        for i in range(len(b)):
            at = x + h * sum(a[i, j] * velocities[j] for j in range(i))
            along = identity + h * sum(a[i, j] * tangents[j] for j in range(i))
            v, jacobian, divergence = velocity(group, at, (steps - k + c[i] * h * steps) / steps, place)
            velocities.append(v)
            tangents.append(along @ jacobian)
            if not discrete:
                total += h * b[i] * divergence
        end = x + h * sum(b[i] * velocities[i] for i in range(len(b)))
        growth = lengths(end, place.spheres) / lengths(x, place.spheres)
        if discrete:
            total += np.linalg.slogdet(identity + h * sum(b[i] * tangents[i] for i in range(len(b))))[1]
            total -= np.log(growth).sum(axis=1)
        x = end / growth
    return x, total


def continuous(group, x, place):
    o = attributes(group)
    if o["density"] == "discrete":
        z, total = follow_grid(group, x, place, int(o["steps"]), True)
        return wrapped(z, place.angles), total
    steps, (z, total) = 1, follow_grid(group, x, place, 1, False)
    while steps < int(o["max_steps"]):
        steps, z_before, total_before = 2 * steps, z, total
        z, total = follow_grid(group, x, place, steps, False)
        error = np.abs(total - total_before) + np.linalg.norm(z - z_before, axis=1) * np.linalg.norm(z, axis=1).clip(1)
        if np.all(error <= o["tolerance"]):
            break
    return wrapped(z, place.angles), total


def passive_columns(mask, shape):
    """Gives True for the columns of a coupling that stay."""
    height, width, channels = shape
    row, column, channel = np.indices(shape)
    return {
        "first": channel < (channels + 1) // 2,
        "second": channel >= (channels + 1) // 2,
        "even": channel % 2 == 0,
        "odd": channel % 2 == 1,
        "checkerboard": (row + column) % 2 == 0,
        "checkerboard-odd": (row + column) % 2 == 1,
    }[mask].reshape(-1)


def parameters_of_each(group, columns, angles):
    """Gives m, the number of a network's outputs for each of these columns."""
    return max(map_of(attributes(group), column in angles)[1] for column in columns)


def map_column(group, x, theta, is_angle, inverse=False):
    tau, m = map_of(attributes(group), is_angle)
    return tau(x, theta[:, :m], attributes(group), inverse)


def coupling(group, x, place):
    stays = passive_columns(attributes(group)["mask"], place.shape)
    passive, active = np.flatnonzero(stays), np.flatnonzero(~stays)
    m = parameters_of_each(group, active, place.angles)
    z = wrapped(x, [i for i in place.angles if stays[i]])
    whole = len(attributes(group).get("kernels", [])) > 0 and attributes(group)["mask"].startswith("checkerboard")
    if whole:
        outputs, places = network(group, np.where(stays, z, 0), [], place), active
    else:
        seen_angles = [k for k, i in enumerate(passive) if i in place.angles]
        outputs, places = network(group, z[:, passive], seen_angles, place), np.arange(len(active))
    theta = outputs.reshape(len(x), -1, m)
    total = np.zeros(len(x))
    for column, k in zip(active, places):
        z[:, column], log_slope = map_column(group, x[:, column], theta[:, k], column in place.angles)
        total += log_slope
    return z, total


def autoregressive(group, x, place):
    d = x.shape[1]
    m = parameters_of_each(group, range(d), place.angles)
    theta_of = lambda y: network(group, y, place.angles, place).reshape(len(x), d, m)
    inverse = bool(attributes(group)["inverse"])
    theta = None if inverse else theta_of(x)
    z, total = np.zeros_like(x), np.zeros(len(x))
    for r in range(d):
        if inverse:  # θ_r depends on what has been solved for already
            theta = theta_of(z)
        z[:, r], log_slope = map_column(group, x[:, r], theta[:, r], r in place.angles, inverse)
        total += log_slope
    return z, total


# Transforms in closed form.

def actnorm(group, x, place):
    log_scale, shift = double(group["log_scale"]), double(group["shift"])
    z = np.tile(np.exp(log_scale), place.pixels) * (x - np.tile(shift, place.pixels))
    return z, place.pixels * log_scale.sum()


def scaling(group, x, _):
    log_scale = double(group["log_scale"])
    return np.exp(log_scale) * x, log_scale.sum()


def elementwise(group, x, _):
    """Gives −∞ for rows outside the domain of the function."""
    o = attributes(group)
    columns = integers(o.get("columns", [])) or list(range(x.shape[1]))
    u = (x[:, columns] - o["shift"]) / o["scale"]
    low, high = domain(o["function"], o["margin"])
    z = x.copy()
    with np.errstate(all="ignore"):
        z[:, columns], log_slope = FUNCTIONS[o["function"]](u, o)
    log_det = (log_slope - np.log(o["scale"])).sum(axis=1)
    return z, np.where(np.all((u > low) & (u < high), axis=1), log_det, -np.inf)


def dequantize(group, x, place):
    """Gives −∞ for rows that are not integers from 0 to levels − 1, or, if they are dequantized, not in [0, 1)."""
    levels = attributes(group)["levels"]
    log_det = -x.shape[1] * np.log(levels)
    if place.dequantized:
        return x, np.where(np.all((x >= 0) & (x < 1), axis=1), log_det, -np.inf)
    if place.noise is None:
        raise ValueError(f"{group.name} (dequantize) draws noise: give its seed, or rows that are dequantized")
    admitted = (x >= 0) & (x < levels) & (x == np.floor(x))
    return (x + place.noise) / levels, np.where(np.all(admitted, axis=1), log_det, -np.inf)


def permutation(group, x, place):
    pixels = x.reshape(len(x), place.pixels, -1)
    return pixels[:, :, integers(attributes(group)["indices"])].reshape(x.shape), 0.0


def matrix_of(group, channels):
    """Gives W (c, c) of z = W x + b, and log|det W|."""
    form = attributes(group)["form"]
    if form == "dense":
        weight = double(group["weight"]).T
        return weight, np.linalg.slogdet(weight)[1]
    if form == "plu":
        lu = double(group["lu"]).T
        lower, upper = np.tril(lu, -1) + np.eye(channels), np.triu(lu, 1)
        diagonal = double(attributes(group)["signs"]) * np.exp(np.diag(lu))
        return (lower @ (upper + np.diag(diagonal)))[integers(attributes(group)["indices"])], np.diag(lu).sum()
    weight = np.eye(channels)
    for v in double(group["vectors"]):
        weight -= 2 * np.outer(v, v @ weight) / (v @ v)
    return weight, 0.0


def linear(group, x, place):
    weight, log_det = matrix_of(group, place.shape[2])
    z = x.reshape(len(x), place.pixels, -1) @ weight.T
    if "bias" in group:
        z += double(group["bias"])
    return z.reshape(x.shape), place.pixels * log_det


def planar(group, x, _):
    u, w, b = double(group["u"]), double(group["w"]), double(group["b"])[0]
    u = u + (softplus(w @ u) - 1 - w @ u) * w / (w @ w)
    t = np.tanh(x @ w + b)
    return x + t[:, None] * u, np.log1p((1 - t**2) * (w @ u))


def radial(group, x, _):
    center, alpha = double(group["center"]), np.exp(double(group["log_alpha"])[0])
    s = softplus(double(group["beta"])[0])
    r = np.linalg.norm(x - center, axis=1)
    q = (r + s) / (alpha + r)
    log_det = (x.shape[1] - 1) * np.log(q) + np.log((r**2 + 2 * alpha * r + alpha * s) / (alpha + r) ** 2)
    return center + q[:, None] * (x - center), log_det


def squeeze(_, x, place):
    height, width, channels = place.shape
    blocks = x.reshape(len(x), height // 2, 2, width // 2, 2, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(x.shape), 0.0


def split(group, x, place):
    keep = place_after(group, place).shape[2]
    pixels = x.reshape(len(x), place.pixels, -1)
    parts = [part.reshape(len(x), -1) for part in (pixels[:, :, :keep], pixels[:, :, keep:])]
    return np.concatenate(parts, axis=1), 0.0


def place_after(group, place):
    """Gives the Place after a transform."""
    height, width, channels = place.shape
    kind = attributes(group)["kind"]
    if kind == "squeeze":
        return dataclasses.replace(place, shape=(height // 2, width // 2, 4 * channels))
    if kind == "split":
        keep = int(attributes(group)["keep"]) or (channels + 1) // 2
        return dataclasses.replace(place, shape=(height, width, keep), angles=[i for i in place.angles if i < keep])
    if kind == "permutation" and place.angles:
        is_angle = np.isin(np.arange(place.size), place.angles)[None]
        return dataclasses.replace(place, angles=list(np.flatnonzero(permutation(group, is_angle, place)[0])))
    return place


TRANSFORMS = {f.__name__: f for f in [actnorm, scaling, elementwise, dequantize, permutation, linear, planar, radial,
                                      squeeze, split, residual, continuous, coupling, autoregressive]}
