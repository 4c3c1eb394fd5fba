#!/usr/bin/python3
"""Makes the golden files of this folder with the programs of a build.

  test/golden/make_golden.py BUILD/apps test/golden/version_N
  test/golden/make_golden.py BUILD/apps test/golden/version_N_continuous --continuous

The files of version_1 were made once, by the programs of release 0.1.0, and those of version_1_continuous by the first
programs with continuous flows. They are never made again: a file that a later program wrote would prove nothing about
files of today. Run this script only to make a folder for a new version of the formats, or for a new group of kinds. The
keys that it uses are those of the time.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))
import model_density  # noqa: E402
from model_transforms import attributes  # noqa: E402

SEED = 5  # of the noise of a dequantization
SAMPLES = ["-n", 6, "--seed", 7, "--tolerance", 1e-13]

CLASSES = 3
SHORT = ["--train.steps", 25, "--train.batch", 40, "--train.warmup", 2, "--train.learning_rate", 0.03,
         "--train.average", 0.5, "--train.validate_every", 25, "--output.every", 25]
DOUBLE = ["--model.precision", "double"]
RAW = ["--data.standardize", "none"]
WHITEN = ["--data.standardize", "whiten"]


def table(kind, **keys):
    """One table [[model.chain]]."""
    def value(v):
        if isinstance(v, list):
            return "[" + ", ".join(map(value, v)) + "]"
        return f'"{v}"' if isinstance(v, str) else str(v).lower()

    lines = ["[[model.chain]]", f'kind = "{kind}"', *(f"{key} = {value(v)}" for key, v in keys.items())]
    return "\n".join(lines) + "\n"


def chain(*tables):
    return '[model]\nkind = "chain"\n\n' + "\n".join(tables)


FUNCTIONS = ["affine", "leaky", "cube", "cube_root", "exp", "log", "softplus", "inverse_softplus", "tanh", "atanh",
             "sigmoid", "logit"]
FUNCTION_KEYS = {"leaky": {"slope": 0.3}, "sigmoid": {"margin": 0.1}, "logit": {"margin": 0.02}}

CHAINS = {
    "activations": chain(*(table("residual", hidden=[4, 3], activation=a, lipschitz=0.9)
                           for a in ["lipswish", "tanh", "elu", "softplus", "sine", "relu"])),
    "functions": chain(*(table("elementwise", function=f, columns=[i], shift=0.1, scale=1.5, **FUNCTION_KEYS.get(f, {}))
                         for i, f in enumerate(FUNCTIONS))),
    "linear": chain(table("linear", form="dense"), table("scaling"), table("linear", form="plu"),
                    table("permutation", order="random"), table("linear", form="householder"),
                    table("permutation", order="reverse"), table("actnorm"), table("linear", form="plu", bias=False)),
    "masks": chain(table("coupling", mask="first", map="additive", hidden=[4]),
                   table("coupling", mask="second", map="affine", hidden=[4], scale_limit=2.0),
                   table("coupling", mask="even", map="spline", hidden=[4], bins=3, bound=3.0),
                   table("coupling", mask="odd", map="affine", hidden=[4], activation="sine")),
    "split": chain(table("actnorm"), table("coupling", mask="even", map="spline", hidden=[4], bins=4),
                   table("split"), table("residual", hidden=[4]), table("planar"), table("radial"),
                   table("autoregressive", map="affine", hidden=[4])),
    "angles": chain(table("coupling", mask="first", map="spline", hidden=[4], bins=3),
                    table("permutation", order="reverse"), table("coupling", mask="even", map="additive", hidden=[4]),
                    table("residual", hidden=[4]), table("split"),
                    table("autoregressive", map="spline", hidden=[4], bins=3, inverse=True)),
    "pixels": chain(table("coupling", mask="checkerboard", map="spline", hidden=[3], kernels=[3, 3], bins=3,
                          activation="elu"),
                    table("coupling", mask="checkerboard-odd", map="spline", hidden=[4], bins=3, activation="softplus"),
                    table("residual", hidden=[3], kernels=[3, 3], activation="tanh"), table("squeeze"),
                    table("linear", form="householder"), table("split", keep=3),
                    table("coupling", mask="odd", map="affine", hidden=[3], kernels=[3, 1], activation="sine")),
    "vector_noise": chain(table("dequantize", levels=4), table("elementwise", function="logit", margin=0.05),
                          table("planar"), table("actnorm")),
}


def family(kind, *flags):
    """The flags of a family for vectors."""
    hidden = [] if kind in ["planar", "radial"] else ["--model.hidden", "6,5"]
    return ["--model.kind", kind, *hidden, "--model.blocks", 1, *flags]


def images(kind, *flags):
    """The flags of a family for images of integers."""
    return ["--model.kind", kind, "--model.hidden", 3, "--model.blocks", 1, "--model.levels", 4, "--model.logit", 0.05,
            *RAW, *flags]


SPLINES = ["--model.map", "spline", "--model.bins", 4]

# name: dataset, arguments of flow_train; a word of CHAINS stands for its configuration file. A model is evaluated at
# the test rows of its dataset, or of another one.
MODELS = {
    "residual": ("vectors", [*family("residual"), *DOUBLE]),
    "residual_float": ("hyphen", family("residual")),
    "nice": ("toy", [*family("nice", "--model.activation", "softplus"), "--base.kind", "logistic", *DOUBLE]),
    "realnvp": ("weighted", [*family("realnvp", "--model.activation", "relu"), *DOUBLE]),
    "realnvp_float": ("single", family("realnvp")),
    "glow": ("vectors", [*family("glow"), *DOUBLE]),
    "spline": ("vectors", [*family("spline", "--model.bins", 4, "--model.activation", "tanh"), *DOUBLE, *WHITEN]),
    "maf": ("vectors", [*family("maf", "--model.activation", "elu"), *DOUBLE]),
    "maf_additive": ("vectors", [*family("maf", "--model.map", "additive"), *DOUBLE, *WHITEN]),
    "maf_spline": ("vectors", family("maf", *SPLINES, *RAW)),
    "iaf": ("vectors", [*family("iaf", "--model.activation", "sine"), *DOUBLE]),
    "planar": ("vectors", [*family("planar"), "--base.kind", "mixture", "--base.components", 3, *DOUBLE]),
    "radial": ("vectors", [*family("radial"), "--base.kind", "student_t"]),
    "chain_activations": ("toy", ["activations", *DOUBLE]),
    "chain_functions": ("unit", ["functions", "--base.kind", "normal", *DOUBLE, *RAW], "unit_outside"),
    "chain_linear": ("vectors", ["linear", *DOUBLE]),
    "chain_masks": ("vectors", ["masks", *DOUBLE]),
    "chain_split": ("vectors", ["split", *DOUBLE]),
    "chain_vector_noise": ("digits", ["vector_noise", *DOUBLE, *RAW], "digits_outside"),
    "base_uniform": ("box", [*family("maf", *SPLINES), "--model.bound", 1, "--model.actnorm", "no", "--base.kind",
                             "uniform", *DOUBLE, *RAW], "box_outside"),
    "context_residual": ("context", [*family("residual"), *DOUBLE]),
    "context_spline": ("context", family("spline", "--model.bins", 4)),
    "context_iaf": ("context", [*family("iaf", *SPLINES), *DOUBLE]),
    "angles_residual": ("angles", [*family("residual"), *DOUBLE]),
    "angles_spline": ("angles", [*family("spline", "--model.bins", 4), *DOUBLE]),
    "angles_maf": ("angles", [*family("maf", *SPLINES), *DOUBLE]),
    "chain_angles": ("angles", ["angles", *DOUBLE]),
    "image_residual": ("images", [*images("residual"), *DOUBLE]),
    "image_realnvp": ("images", images("realnvp", "--model.scales", 1)),
    "image_glow": ("labelled", [*images("glow"), *DOUBLE]),
    "image_spline": ("images", [*images("spline", "--model.scales", 1), "--model.bins", 3, *DOUBLE]),
    "chain_pixels": ("images", ["pixels", *DOUBLE, *RAW]),
}

CONTINUOUS = ["--checkpoint.file", "checkpoint.h5", "--restart", "never", "--model.kind", "continuous", "--model.hidden",
              "6,5"]
# Of so small a tolerance that the program and the reader in numpy differ by rounding only.
LIMIT = ["--model.density", "continuous", "--model.tolerance", 1e-12]
MATCHING = ["--objective.kind", "flow_matching"]

# The models of --continuous, as in MODELS.
CONTINUOUS_MODELS = {
    "discrete": ("vectors", [*CONTINUOUS, *DOUBLE]),
    "discrete_float": ("vectors", [*CONTINUOUS, "--model.solver", "heun", "--model.steps", 3]),
    "discrete_dp5": ("angles", [*CONTINUOUS, "--model.solver", "dp5", "--model.activation", "elu", *DOUBLE]),
    "discrete_gates": ("vectors", [*CONTINUOUS, "--model.time", "gates", "--model.solver", "euler", *DOUBLE, *WHITEN]),
    "limit_tanh": ("vectors", [*CONTINUOUS, "--model.activation", "tanh", *LIMIT, *DOUBLE]),
    "limit_silu": ("context", [*CONTINUOUS, *LIMIT, *DOUBLE]),
    "limit_gates": ("context", [*CONTINUOUS, "--model.time", "gates", *LIMIT, *MATCHING, "--objective.coupling",
                                "optimal_transport", "--objective.coupling_context", "cost", *DOUBLE]),
    "matching": ("toy", [*CONTINUOUS, *LIMIT, *MATCHING, "--objective.path", "trigonometric", *DOUBLE]),
    "sphere_discrete": ("sphere", [*CONTINUOUS, *DOUBLE]),
    "sphere_limit": ("sphere", [*CONTINUOUS, *LIMIT, *MATCHING, *DOUBLE]),
    "images": ("images", [*CONTINUOUS, "--model.levels", 4, "--model.logit", 0.05, "--model.density", "discrete",
                          "--model.steps", 2, *RAW, *DOUBLE]),
}


def skewed(generator, n, d):
    """(n, d) rows of a density without any symmetry."""
    z = generator.normal(size=(n, d))
    x = z + 0.6 * np.sin(1.5 * np.roll(z, 1, axis=1) + 1) + 0.3 * np.log1p(np.exp(z))
    return 3 + x * np.geomspace(0.5, 2, d)


def write_csv(path, header, x):
    np.savetxt(path, x, delimiter=",", header=header, comments="", fmt="%.9g")


class Maker:
    def __init__(self, programs, to, scratch, continuous):
        self.programs, self.to, self.scratch, self.continuous = programs, to, scratch, continuous
        for folder in ["datasets", "models"]:
            (to / folder).mkdir(parents=True, exist_ok=True)

    def run(self, program, *arguments):
        run = subprocess.run([self.programs / program, *map(str, arguments)], cwd=self.scratch, capture_output=True,
                             text=True)
        if run.returncode:
            sys.exit(f"{program} {arguments}: {run.stderr}")

    def dataset(self, name):
        return self.to / "datasets" / f"{name}.h5"

    def imported(self, name, *arguments):
        self.run("flow_data", "import", *arguments, "--split", "0.7,0.1,0.2", "--seed", 2, "-o", self.dataset(name))

    def put(self, name, x):
        np.save(self.scratch / f"{name}.npy", np.asarray(x, np.float64))

    def inside_and_outside(self, name, x, outside):
        for test, more in [(name, []), (f"{name}_outside", outside)]:
            self.put("train", x[:48])
            self.put("test", [*x[48:], *more])
            self.imported(test, "--train", "train.npy", "--test", "test.npy")

    def datasets(self):
        generator = np.random.default_rng(1)
        csv = self.scratch / "rows.csv"

        self.run("flow_data", "make", "moons", "--rows", 60, "--split", "0.7,0.1,0.2", "-o", self.dataset("toy"))
        write_csv(csv, "a,b,c", skewed(generator, 60, 3))
        self.imported("vectors", csv)
        self.imported("single", csv, "--precision", "float")
        x = skewed(generator, 60, 2)
        write_csv(csv, "a,b,w", np.column_stack([x, generator.integers(0, 4, 60) / 2]))
        self.imported("weighted", csv, "--weight", "w")
        u, label = generator.uniform(-1, 1, 60), np.arange(60) % CLASSES
        x = skewed(generator, 60, 3) + np.column_stack([2 * u, u + label, label])
        write_csv(csv, "a,b,c,u,label", np.column_stack([x, u, label]))
        self.imported("context", csv, "--context", "u,label", "--one-hot", f"label={CLASSES}")
        phi = generator.vonmises(1.0, 2.0, 60)
        psi = np.angle(np.exp(1j * (2 * phi + generator.normal(size=60))))
        write_csv(csv, "phi,a,psi,b", np.column_stack([phi, generator.normal(size=60) + phi, psi, psi**2]))
        self.imported("angles", csv, "--periodic", "phi,psi")
        if self.continuous:
            latitude = 60 * np.sin(psi) + 20 * generator.uniform(-1, 1, 60)
            write_csv(csv, "lat,lon,a", np.column_stack([latitude, 180 / np.pi * phi, generator.normal(size=60) + psi]))
            self.imported("sphere", csv, "--sphere", "lat,lon")
        integers = generator.integers(0, 4, (60, 32))
        integers[:, 1:] = (integers[:, 1:] + integers[:, :-1]) // 2
        self.put("integers", integers)
        self.imported("images", "integers.npy", "--image", "4,4,2")
        if self.continuous:
            for name in ["single", "weighted"]:
                self.dataset(name).unlink()
            return
        write_csv(csv, ",".join(f"p{i}" for i in range(16)) + ",label", np.column_stack([integers[:, ::2], label]))
        self.imported("labelled", csv, "--context", "label", "--one-hot", f"label={CLASSES}", "--image", "4,4")
        # Rows that are inside their models' supports, and the same training rows with tests of which some are outside.
        box = generator.uniform(-1, 1, (60, 2))
        self.inside_and_outside("box", box, [[1.5, 0.0], [0.25, -1.25]])
        unit = generator.uniform(0.2, 0.8, (60, 12))
        unit[:, 1] -= 0.5
        outside = np.repeat(unit[48:49], 4, axis=0)
        outside[range(4), [5, 7, 9, 11]] = [0.1, 0.0, 2.0, -1.0]
        self.inside_and_outside("unit", unit, outside)
        self.inside_and_outside("digits", integers[:, 4:7], [[0.5, 1, 1], [1, 4, 1], [2, 2, -1]])

        # Files that other programs wrote: with a hyphen in the tag, as the description of the format had it, and with
        # arrays alone.
        shutil.copy(self.dataset("weighted"), self.dataset("hyphen"))
        with h5py.File(self.dataset("hyphen"), "r+") as file:
            file.attrs["format"] = "pushforward-dataset"
        with h5py.File(self.dataset("vectors")) as file, h5py.File(self.dataset("bare"), "w") as bare:
            bare["rows"] = file["test"][:].astype(">f8")

    def model(self, name, dataset, arguments):
        path = self.to / "models" / f"{name}.h5"
        if arguments[0] in CHAINS:
            (self.scratch / "chain.toml").write_text(CHAINS[arguments[0]])
            arguments = ["chain.toml", *arguments[1:]]
        self.run("flow_train", *arguments, "--data", self.dataset(dataset), *SHORT, "--output.history", "history.csv",
                 "-o", path)
        return path

    def expect(self, group, model, dataset):
        """Adds what the programs, and numpy, say of a model and the test rows of its dataset."""
        group.attrs["dataset"] = dataset
        self.run("flow_density", model, self.dataset(dataset), "--seed", SEED, "-o", "density.h5")
        with h5py.File(self.dataset(dataset)) as rows:
            x, contexts = rows["test"][:], rows["context/test"][:] if "context" in rows else None
        context = []
        if contexts is not None:
            context = ["--context", ",".join(str(v) for v in contexts[0])]
            group.attrs["context"] = context[1]
        self.run("flow_sample", model, *SAMPLES, *context, "-o", "samples.h5")
        with h5py.File(self.scratch / "density.h5") as density, h5py.File(self.scratch / "samples.h5") as samples:
            for name in ["log_prob", "z", "status"]:
                group[name] = density[name][:]
            group.attrs["mean_nll"] = density.attrs["mean_nll"]
            group["samples"], group["samples_status"] = samples["x"][:], samples["status"][:]
        with h5py.File(model) as file:
            kinds = [attributes(transform)["kind"] for transform in file["flow/transforms"].values()]
            noise = {"seed": SEED} if "dequantize" in kinds else {}
            group["log_prob_numpy"] = model_density.log_prob(file, x.astype(np.float64), contexts, **noise)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path, help="folder of flow_data, flow_train and so on")
    parser.add_argument("to", type=pathlib.Path, help="folder of the files")
    parser.add_argument("--continuous", action="store_true", help="makes models of continuous flows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        maker = Maker(options.programs.resolve(), options.to.resolve(), pathlib.Path(scratch), options.continuous)
        maker.datasets()
        with h5py.File(maker.to / "expected.h5", "w") as expected:
            for name, (dataset, arguments, *other) in (CONTINUOUS_MODELS if options.continuous else MODELS).items():
                print(name)
                model = maker.model(name, dataset, arguments)
                maker.expect(expected.create_group(name), model, (other or [dataset])[0])


if __name__ == "__main__":
    main()
