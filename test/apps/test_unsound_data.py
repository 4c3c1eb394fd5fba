"""Data that have no density, weights of any size, units of any size, and results that are not finite."""

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest

SMALL = ["--model.kind", "realnvp", "--model.blocks", 2, "--model.hidden", 8, "--train.steps", 40, "--train.batch", 100,
         "--model.precision", "double"]
FLOAT = SMALL[:-1] + ["float"]


def normal(n, d=2, seed=3):
    return np.random.default_rng(seed).normal(size=(n, d))


class UnsoundData(FlowTest):
    def splits(self, name, x, weights=None, **attributes):
        """Writes a dataset whose splits are the rows of x, all or the first of them."""
        arrays = {"train": x, "validation": x[:100], "test": x[:100]}
        if weights is not None:
            arrays |= {"weight/train": weights, "weight/validation": weights[:100], "weight/test": weights[:100]}
        self.put(name, arrays, **attributes)
        return name

    def nll(self, *arguments, settings=SMALL, **options):
        """The test NLL of a short run, and what it printed."""
        run = self.train(*settings, *arguments, "-o", "flow.h5", **options)
        line = next(line for line in run.stdout.splitlines() if line.startswith("test NLL"))
        return float(line.split()[2]), line

    def test_a_factor_of_the_weights_changes_nothing(self):
        x, w = normal(600), np.random.default_rng(4).uniform(0.1, 1, 600)
        w /= w.max()
        for ranks in [0, 2]:
            expected = None
            for factor in ["1", "1e-300", "1e300", "1e-50"]:
                file = self.splits(f"w{factor}.h5", x, w * float(factor))
                value, _ = self.nll("--data", file, ranks=ranks)
                self.density("flow.h5", file, ranks=ranks)
                with h5py.File(self.folder / "density.h5") as density:
                    means = [density.attrs["mean_nll"], density.attrs["standard_error"]]
                expected = expected or (value, means)
                self.assertNear(value, expected[0], 1e-4)
                self.assertNear(means, expected[1], 1e-9)
                described = self.succeed("flow_data", "info", file).stdout
                self.assertIn(f"{np.average(x[:, 0], weights=w):.4g}"[:5], described)
        # The twin: other weights give another mean.
        file = self.splits("other.h5", x, w[::-1].copy())
        self.density("flow.h5", file)
        with h5py.File(self.folder / "density.h5") as density:
            self.assertFar(density.attrs["mean_nll"], expected[1][0], 1e-6)

    def test_a_factor_of_the_weights_changes_nothing_in_float(self):
        # Floats end at 1e-45 and 3e38, so that weights must be brought to a common size before they are narrowed.
        x, w = normal(600), np.random.default_rng(4).uniform(0.1, 1, 600)
        values = []
        for factor in ["1", "1e-300", "1e-50", "1e50", "1e300"]:
            file = self.splits(f"w{factor}.h5", x, w * float(factor))
            values.append(self.nll("--data", file, settings=FLOAT)[0])
        self.assertNear(values, values[:1] * 5, 1e-3)
        # The twin: other weights give another result.
        file = self.splits("other.h5", x, np.where(x[:, 0] > 0, w, 0.01 * w))
        self.assertFar(self.nll("--data", file, settings=FLOAT)[0], values[0], 1e-2)

    def test_the_standard_error_is_numpys(self):
        x, w = normal(600), np.random.default_rng(4).uniform(0.1, 1, 600)
        file = self.splits("w.h5", x, w)
        self.nll("--data", file)
        self.density("flow.h5", file, "--split", "train")
        with h5py.File(self.folder / "density.h5") as density:
            loss, attributes = -density["log_prob"][:], dict(density.attrs)
        mean = np.average(loss, weights=w)
        error = np.sqrt(600 / 599 * np.sum(w**2 * (loss - mean) ** 2)) / w.sum()
        self.assertNear([attributes["mean_nll"], attributes["standard_error"]], [mean, error], 1e-12)
        # A single row has none.
        self.put("one.h5", {"x": x[:1]})
        run = self.density("flow.h5", "one.h5:/x")
        self.assertNotIn("±", self.run_program("flow_density", "flow.h5", "one.h5:/x", "-o", "one_density.h5").stdout)

    def test_weights_that_are_all_zero_are_refused(self):
        x = normal(300)
        for split in ["train", "validation", "test"]:
            arrays = {"train": x, "validation": x[:100], "test": x[:100]}
            arrays |= {f"weight/{name}": np.full(len(rows), 0.0 if name == split else 1.0)
                       for name, rows in list(arrays.items())}
            self.put(f"{split}.h5", arrays)
            for ranks in [0, 3]:
                run = self.run_program("flow_train", *SMALL, "--data", f"{split}.h5", "-o", "zero.h5", ranks=ranks)
                self.assertFailure(run, 3, f"all weights of the {split} rows are 0")
        self.assertNotIn("zero.h5", self.files())
        model = flows.model(2)
        self.assertFailure(self.run_program("flow_density", model, "test.h5", "-o", "d.h5"), 3, "all weights of the rows are 0")

    def test_rows_without_a_density_are_refused(self):
        a, five = normal(2000, 1), normal(5)[np.random.default_rng(6).integers(0, 5, 2000)]
        for name, x, message in [("plane", np.c_[a, 2 * a + 1], "column x2: a linear combination of other columns"),
                                 ("points", five, "columns x1, x2: at most 20 distinct values"),
                                 ("binary", np.c_[a, normal(2000, 1, 7) > 0], "column x2: at most 20 distinct values")]:
            file = self.splits(f"{name}.h5", x.astype(float))
            for ranks in [0, 2]:
                run = self.run_program("flow_train", *SMALL, "--data", file, "-o", "no.h5", ranks=ranks)
                self.assertFailure(run, 3, "the likelihood has no bound", message)
                self.assertEqual(run.stderr.count("warning: column"), 1, run.stderr)
        self.assertNotIn("no.h5", self.files())
        # The remedies of the last one work: noise, or a context.
        x = np.c_[a, normal(2000, 1, 7) > 0].astype(float)
        np.savetxt(self.folder / "x.csv", x, delimiter=",", header="a,b", comments="")
        for remedy in [["--dequantize", "b"], ["--context", "b"], ["--exclude", "b"]]:
            self.succeed("flow_data", "import", "x.csv", *remedy, "-o", "mended.h5")
            self.train("--model.kind", "maf", "--data", "mended.h5", "-o", "flow.h5")

    def test_a_column_that_the_context_determines_is_refused(self):
        u, x = normal(2000, 1, 8), normal(2000)
        for name, y, expected in [("exact", 1.8 * u + 32, "refused"), ("noisy", 1.8 * u + 32 + 0.1 * x[:, 1:], "read"),
                                  ("float", (1.8 * u + 32).astype(np.float32), "refused")]:
            np.savetxt(self.folder / "x.csv", np.c_[u, x[:, :1], y], delimiter=",", header="u,a,y", comments="")
            self.succeed("flow_data", "import", "x.csv", "--context", "u", "-o", f"{name}.h5")
            for ranks in [0, 2]:
                arguments = ["flow_train", *SMALL, "--data", f"{name}.h5", "--dry-run"]
                run = self.run_program(*arguments, ranks=ranks)
                if expected == "read":
                    self.assertEqual(run.returncode, 0, run.stderr)
                    self.assertNotIn("warning: column", run.stderr)
                    continue
                self.assertFailure(run, 3, "column y: the contexts, or contexts and other columns, determine it",
                                   "make it a context only")
        # The remedies.
        np.savetxt(self.folder / "x.csv", np.c_[u, x[:, :1], 1.8 * u + 32], delimiter=",", header="u,a,y", comments="")
        for remedy in [["--context", "u", "--exclude", "y"], ["--context", "u,y"]]:
            self.succeed("flow_data", "import", "x.csv", *remedy, "-o", "mended.h5")
            self.succeed("flow_train", "--model.kind", "maf", "--data", "mended.h5", "--dry-run")

    def test_thin_data_are_doubted(self):
        x = normal(2000)
        x[:, 1] = x[:, 0] + 3e-4 * x[:, 1]
        run = self.train(*SMALL, "--data", self.splits("thin.h5", x), "-o", "flow.h5")
        self.assertIn("warning: column x2: nearly a linear combination of other columns", run.stderr)
        run = self.train(*SMALL, "--data", self.splits("round.h5", normal(2000)), "-o", "flow.h5")
        self.assertNotIn("warning", run.stderr)

    def test_the_unit_of_the_data_changes_nothing(self):
        x = normal(1000) * [1, 0.5] + [0.2, -1]
        for standardize in ["auto", "scale", "whiten", "none", "unit"]:
            values = []
            for unit in [1, 1e-12, 1e-6, 1e6, 1e12]:
                self.train(*SMALL, "--data", self.splits("u.h5", x * unit), "--data.standardize", standardize, "-o", "u-flow.h5")
                self.density("u-flow.h5", "u.h5")
                with h5py.File(self.folder / "density.h5") as density:
                    values.append(density.attrs["mean_nll"] - 2 * np.log(unit))
            self.assertNear(np.array(values) - values[0], np.zeros(5), 1e-6)
        # Each standardization has its own course.
        self.assertLess(values[0], 2.6)

    def test_the_standardization_is_chosen_for_flows_that_want_values_as_they_are(self):
        levels = self.splits("levels.h5", np.random.default_rng(1).integers(0, 8, (500, 2)).astype(float))
        for file, flags, kind in [(levels, ["--model.levels", 8], "none"), (flows.data(2), [], "scale")]:
            run = self.train(*SMALL, "--data", file, *flags, "-o", "flow.h5")
            with h5py.File(self.folder / "flow.h5") as model:
                self.assertEqual(flows.text(model["standardization"].attrs["kind"]), kind)
            self.assertEqual("as it is" in run.stderr, kind == "none")

    def test_a_run_that_has_learnt_nothing_leaves_no_model(self):
        x = normal(500)
        far = x.copy()
        far[:, 0] += 1e308
        self.put("far.h5", {"train": x, "validation": far[:50], "test": x[:50]})
        run = self.run_program("flow_train", *SMALL, "--data", "far.h5", "-o", "nothing.h5")
        self.assertFailure(run, 4, "no validation gave a finite nll")
        self.assertNotIn("nothing.h5", self.files())

    def test_rows_without_a_log_density_are_no_success(self):
        self.put("far.h5", {"x": np.full((5, 2), 1e308)})
        run = self.run_program("flow_density", flows.model(2), "far.h5:/x", "-o", "far_density.h5")
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertIn("no row has a log-density", run.stderr)
        self.assertIn("far_density.h5", self.files())  # whose /status says why


cases.main()
