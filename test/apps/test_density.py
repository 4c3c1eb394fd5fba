"""flow_density: against numpy on the model file alone, against the whole flow's Jacobian, on grids, on bad rows, and
with stochastic log-dets against the exact ones."""

import re
import subprocess
import sys

import h5py
import numpy as np

import cases
import flows
from flows import FlowTest

READER = flows.SOURCE / "examples" / "model_density.py"


def change_weight(path):
    """Changes one of the model's weights a little."""
    with flows.edited_model(path) as file:
        file["flow/transforms/001/layer_1/weight"][2, 3] += 1e-4


class Reader(FlowTest):
    """examples/model_density.py evaluates the model file with numpy."""

    def reader(self, model, data, result):
        return subprocess.run([sys.executable, READER, model, data, "--compare", result], cwd=self.folder, text=True,
                              capture_output=True)

    def assertAgrees(self, d, *arguments):
        model = flows.model(d, "--train.learning_rate", 0.05, *arguments)
        self.density(model, f"{flows.data(d)}:/test")
        run = self.reader(model, f"{flows.data(d)}:/test", "density.h5")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("40 rows", run.stdout)

    def test_all_activations(self):
        for activation, standardize, precision, d in [
                ("lipswish", "none", "float", 2), ("tanh", "scale", "double", 5), ("elu", "whiten", "float", 1),
                ("softplus", "none", "double", 1), ("relu", "scale", "float", 5), ("sine", "whiten", "double", 2)]:
            self.assertAgrees(d, "--model.activation", activation, "--data.standardize", standardize,
                              "--model.precision", precision)

    def test_lipswish_in_all_dimensions_and_standardizations(self):
        for d, standardize, precision in [(1, "none", "double"), (2, "whiten", "float"), (5, "whiten", "double")]:
            self.assertAgrees(d, "--data.standardize", standardize, "--model.precision", precision)

    def test_layers_of_one_unit(self):
        self.assertAgrees(2, "--model.hidden", "1,3,1")
        self.assertAgrees(1, "--model.hidden", "1")

    def test_one_hidden_layer_and_no_actnorm(self):
        self.assertAgrees(2, "--model.hidden", "7", "--model.actnorm", "false", "--model.activation", "sine")

    def test_the_twin_a_changed_weight_is_noticed(self):
        model = flows.model(2)
        self.density(model, f"{flows.data(2)}:/test")
        change_weight(self.copy(model, "changed.h5"))
        self.assertEqual(self.reader("changed.h5", f"{flows.data(2)}:/test", "density.h5").returncode, 1)


class Jacobian(FlowTest):
    """log p(x) = log p₀(z) + log|det ∂z/∂x|, with ∂z/∂x by central differences of /z over all columns."""

    STEP = 1e-3  # of a column's deviation
    STENCIL = [(-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12)]

    def log_probs(self, d, *arguments):
        """log p of some rows from flow_density, log p₀(z) and log|det| for the same rows."""
        x = flows.rows(d, 5, seed=7)
        deviation = flows.rows(d).std(axis=0)
        shifts = self.STEP * np.diag(deviation)
        shifted = [[x[i] + offset * shift for shift in shifts for offset, _ in self.STENCIL] for i in range(len(x))]
        self.put("points.h5", {"base": x, "all/shifted": np.concatenate(shifted)})
        model = flows.model(d, "--train.learning_rate", 0.05, "--model.hidden", "16,16", *arguments)
        base = self.density(model, "points.h5:/base")
        z = self.density(model, "points.h5:/all/shifted", ranks=2)["z"].reshape(len(x), d, len(self.STENCIL), d)
        weights = np.array([weight for _, weight in self.STENCIL])
        jacobian = np.einsum("njsi,s->nij", z, weights) / (self.STEP * deviation)
        log_normal = -0.5 * (base["z"] ** 2).sum(axis=1) - 0.5 * d * np.log(2 * np.pi)
        return base["log_prob"], log_normal, np.linalg.slogdet(jacobian)[1]

    def assertIsDensity(self, d, *arguments):
        log_prob, log_normal, log_det = self.log_probs(d, *arguments)
        self.assertNear(log_prob, log_normal + log_det, 1e-8)
        # The twins: the log-det is needed, with its sign.
        self.assertFar(log_prob, log_normal, 1e-3)
        self.assertFar(log_prob, log_normal - log_det, 1e-3)

    def test_small_dimensions(self):
        self.assertIsDensity(1)
        self.assertIsDensity(2, "--data.standardize", "whiten")
        self.assertIsDensity(5, "--data.standardize", "none", "--model.precision", "double")

    def test_20_dimensions(self):
        self.assertIsDensity(20, "--data.standardize", "whiten", "--model.activation", "tanh")

    def test_64_dimensions(self):
        self.assertIsDensity(64)


class Grid(FlowTest):
    """A trained two-dimensional flow on a grid."""

    MODEL = ["--model.hidden", "16,16", "--train.steps", 150]
    BOX = "-3:13:161,-12:26:191"

    def grid(self, *arguments, **options):
        return self.density(flows.model(2, *self.MODEL), "--grid", *arguments, **options)

    def test_the_density_integrates_to_one(self):
        run = self.succeed("flow_density", flows.model(2, *self.MODEL), "--grid", self.BOX, "-o", "density.h5")
        grid = flows.read_h5(self.folder / "density.h5")
        p = np.exp(grid["grid/log_prob"])
        self.assertEqual(p.shape, (191, 161))
        mass = p.sum() * np.diff(grid["grid/x"])[0] * np.diff(grid["grid/y"])[0]
        self.assertAlmostEqual(mass, 1, delta=1e-3)
        printed = re.search(r"grid           161 × 191 points, sum of p dx dy = ([\d.]+)", run.stdout)
        self.assertAlmostEqual(float(printed[1]), mass, delta=1e-3)

    def test_rows_of_the_array_are_y(self):
        grid = self.grid("0:8:7,-3:15:7")
        np.testing.assert_allclose(grid["grid/x"], np.linspace(0, 8, 7), rtol=1e-14)
        np.testing.assert_allclose(grid["grid/y"], np.linspace(-3, 15, 7), rtol=1e-14)
        x, y = np.meshgrid(grid["grid/x"], grid["grid/y"])  # (y, x)
        self.put("points.h5", {"points": np.stack([x.ravel(), y.ravel()], axis=1)})
        points = self.density(flows.model(2, *self.MODEL), "points.h5:points", output="points_density.h5")
        values = points["log_prob"].reshape(7, 7)
        self.assertNear(grid["grid/log_prob"], values, 1e-12)
        # The twin: read the other way round.
        self.assertFar(grid["grid/log_prob"].T, values, 0.1)

    def test_the_grid_does_not_depend_on_the_ranks(self):
        first = self.grid("0:8:9,-3:15:5")
        for ranks in [2, 3, 8]:
            other = self.grid("0:8:9,-3:15:5", ranks=ranks, output=f"on{ranks}.h5")
            np.testing.assert_array_equal(other["grid/log_prob"], first["grid/log_prob"])

    def test_rows_and_a_grid_together(self):
        both = self.density(flows.model(2), flows.data(2), "--grid", "0:8:9,-3:15:5", ranks=2)
        self.assertEqual(sorted(both), ["grid/log_prob", "grid/x", "grid/y", "log_prob", "status", "z"])
        self.assertEqual(both["log_prob"].shape, (40,))

    def test_bad_grids(self):
        for model, grid, code, message in [
                (flows.model(2), "0:8:9", 2, "--grid '0:8:9': must be \"x0:x1:n,y0:y1:n\""),
                (flows.model(2), "8:0:9,0:1:5", 2, "with x0 < x1"),
                (flows.model(2), "0:8:1,0:1:5", 2, "at least 2 points for each axis"),
                (flows.model(2), "nan:8:3,0:1:5", 2, "--grid 'nan:8:3,0:1:5'"),
                (flows.model(2), "0:8:3,0:1:5x", 2, "--grid '0:8:3,0:1:5x'"),
                (flows.model(5), "0:8:9,0:1:5", 3, "--grid needs a model of dimension 2; this one has dimension 5")]:
            for ranks in [0, 3]:
                run = self.run_program("flow_density", model, "--grid", grid, ranks=ranks)
                self.assertFailure(run, code, message)
                self.assertEqual(run.stderr.count("flow_density: "), 1)
        self.assertEqual(self.files(), [])


class Rows(FlowTest):
    def test_the_file(self):
        self.density(flows.model(2), flows.data(2), "--split", "train", ranks=2)
        with h5py.File(self.folder / "density.h5") as file:
            self.assertEqual(flows.text(file.attrs["format"]), "pushforward-density")
            self.assertEqual(file.attrs["format_version"], 2)
            self.assertEqual(sorted(file), ["log_prob", "status", "z"])
            self.assertEqual(file["z"].shape, (320, 2))
            self.assertEqual(flows.text(file["log_prob"].attrs["units"]), "nat")
            self.assertTrue(np.all(file["status"][()] == 0))
            self.assertEqual(flows.text(file.attrs["log_det"]), "exact")
            self.assertEqual(file.attrs["bias_bound"], 0)
            self.assertNotIn("max_repeats", file.attrs)
            values = file["log_prob"][()]
            self.assertNear(file.attrs["mean_nll"], -values.mean(), 1e-12)
            self.assertNear(file.attrs["standard_error"], values.std(ddof=1) / np.sqrt(320), 1e-9)

    def test_splits_and_paths_name_the_same_rows(self):
        for split in ["train", "validation", "test"]:
            by_split = self.density(flows.model(2), flows.data(2), "--split", split)
            by_path = self.density(flows.model(2), f"{flows.data(2)}:/{split}", output="by_path.h5")
            np.testing.assert_array_equal(by_split["log_prob"], by_path["log_prob"])
        default = self.density(flows.model(2), flows.data(2), output="default.h5")
        np.testing.assert_array_equal(default["z"], by_split["z"])  # test, the last of them

    def test_results_do_not_depend_on_the_ranks(self):
        self.put("seven.h5", {"x": flows.rows(2, 7)})
        first = self.density(flows.model(2), "seven.h5:x")
        for ranks in [1, 2, 3, 8]:
            other = self.density(flows.model(2), "seven.h5:x", ranks=ranks, output=f"on{ranks}.h5")
            for name in first:
                self.assertNear(other[name], first[name], 1e-13)

    def test_rows_of_other_types(self):
        x = np.round(flows.rows(2, 9))
        expected = None
        for kind in [float, np.float32, ">f8", int, "u1"]:
            self.put("rows.h5", {"x": np.abs(x).astype(kind)})
            values = self.density(flows.model(2), "rows.h5:x")["log_prob"]
            expected = values if expected is None else expected
            np.testing.assert_array_equal(values, expected)

    def test_one_column_may_be_a_plain_list(self):
        x = flows.rows(1, 9)
        self.put("rows.h5", {"table": x, "list": x[:, 0]})
        table, plain = (self.density(flows.model(1), f"rows.h5:{name}", output=f"{name}_out.h5")
                        for name in ["table", "list"])
        np.testing.assert_array_equal(table["log_prob"], plain["log_prob"])
        self.assertEqual(plain["z"].shape, (9, 1))

    def test_weights_count_in_the_mean(self):
        x = flows.rows(2, 30)
        weight = np.arange(30) % 4 * 0.5
        self.put("weighted.h5", {"test": x, "weight/test": weight})
        for ranks in [0, 3]:
            run = self.succeed("flow_density", flows.model(2), "weighted.h5", "-o", "density.h5", ranks=ranks)
            values = flows.read_h5(self.folder / "density.h5")["log_prob"]
            mean, n = np.average(-values, weights=weight), np.count_nonzero(weight)
            with h5py.File(self.folder / "density.h5") as file:
                self.assertNear(file.attrs["mean_nll"], mean, 1e-12)
                self.assertNear(file.attrs["standard_error"],
                                np.sqrt(n / (n - 1) * (weight**2 * (-values - mean) ** 2).sum()) / weight.sum(), 1e-9)
            self.assertIn(f"mean NLL       {mean:.4f} ± ", run.stdout)
            self.assertFar(mean, -values.mean(), 1e-3)

    def test_rows_that_are_not_finite_are_marked_and_leave_the_others_alone(self):
        x = flows.rows(2, 30)
        whole = x.copy()
        x[4, 1], x[17] = np.nan, [np.inf, -np.inf]
        self.put("rows.h5", {"good": whole, "bad": x})
        good = self.density(flows.model(2), "rows.h5:good")
        for ranks in [0, 3]:
            run = self.succeed("flow_density", flows.model(2), "rows.h5:bad", "-o", "bad_out.h5", ranks=ranks)
            self.assertIn("(the mean of 28 rows; 2 of 30 rows not evaluated)", run.stdout)
            self.assertIn("warning: rows that are not in the mean have a log_prob of NaN", run.stderr)
            self.assertEqual(run.stderr.count("warning"), 1)
            bad = flows.read_h5(self.folder / "bad_out.h5")
            fine = ~np.isin(np.arange(30), [4, 17])
            self.assertEqual(list(bad["status"]), list(np.where(fine, 0, 1)))
            self.assertTrue(np.all(np.isnan(bad["log_prob"][~fine])))
            self.assertNear(bad["log_prob"][fine], good["log_prob"][fine], 1e-13)
            self.assertNear(bad["z"][fine], good["z"][fine], 1e-13)
            with h5py.File(self.folder / "bad_out.h5") as file:
                self.assertNear(file.attrs["mean_nll"], -good["log_prob"][fine].mean(), 1e-12)

    def test_rows_far_away_have_a_density_too(self):
        self.put("far.h5", {"x": np.array([[1e6, -1e6], [1e150, 0]])})
        far = self.density(flows.model(2), "far.h5:x")
        self.assertEqual(far["status"][0], 0)
        self.assertLess(far["log_prob"][0], -1e9)

    def test_the_excess_over_a_known_entropy(self):
        self.succeed("flow_data", "make", "moons", "--rows", 2000, "-o", "moons.h5")
        self.train("--data", "moons.h5")
        run = self.succeed("flow_density", "flow.h5", "moons.h5", "-o", "density.h5")
        nll = -flows.read_h5(self.folder / "density.h5")["log_prob"].mean()
        bits, excess = nll / 2 / np.log(2), nll - 2.393879
        self.assertRegex(run.stdout, r"mean NLL +[\d.]+ ± [\d.]+ nats \(200 rows\), "
                                     rf"{bits:.4f} bits/dim, \+{excess:.4f} from the entropy 2.3939\n")
        run = self.succeed("flow_density", flows.model(2), flows.data(2), "-o", "density.h5")
        self.assertNotIn("entropy", run.stdout)

    def test_single_precision_is_near_double(self):
        double = self.density(flows.model(5), flows.data(5))
        single = self.density(flows.model(5), flows.data(5), "--precision", "float", output="single.h5")
        self.assertNear(single["log_prob"], double["log_prob"], 1e-4)
        self.assertFar(single["log_prob"], double["log_prob"], 1e-12)

    def test_dry_run_and_print_config_write_nothing(self):
        run = self.succeed("flow_density", flows.model(2), flows.data(2), "--grid", "0:1:5,0:1:5", "--dry-run", ranks=2)
        self.assertEqual(run.stdout, "would evaluate 40 rows and a grid into density.h5\n")
        first = self.succeed("flow_density", "--grid", "0:1:5,0:1:5", "--split", "train", "--print-config")
        self.assertEqual(self.files(), [])
        self.write("run.toml", first.stdout)
        second = self.succeed("flow_density", "--config", "run.toml", "--print-config")
        self.assertEqual(second.stdout, first.stdout)
        run = self.succeed("flow_density", flows.model(2), flows.data(2), "--config", "run.toml", "--dry-run")
        self.assertIn("would evaluate 320 rows and a grid", run.stdout)


class Stochastic(FlowTest):
    """Rows whose log-det is the mean over as many repeats as their standard error wants."""

    MODEL = ["--train.learning_rate", 0.05, "--train.steps", 100]  # as far as its Lipschitz bounds

    def model(self, d=8):
        return flows.model(d, *self.MODEL)

    def rows(self, *arguments, d=8, data=None, **options):
        return self.density(self.model(d), data or f"{flows.data(d)}:/train", *arguments, **options)

    def assertEqualRows(self, a, b, tolerance=1e-12):
        self.assertEqual(a.keys(), b.keys())
        for name in a:
            self.assertNear(a[name], b[name], tolerance)

    def assertCalibrated(self, rows, exact):
        """Errors in units of standard errors: their mean square is 1 for many repeats, 7/5 for eight. The skewness of
        single values, here about 1, shifts their mean by up to a fifth of itself."""
        t = (rows["log_prob"] - exact["log_prob"]) / rows["log_prob_std_error"]
        self.assertLess(np.max(np.abs(t)), 8)
        self.assertGreater(np.mean(t**2), 0.7)
        self.assertLess(np.mean(t**2), 2)
        self.assertLess(abs(np.mean(t)), 4 * np.sqrt(1.4 / len(t)))

    def test_means_are_the_exact_values_up_to_their_standard_errors(self):
        exact = self.rows(output="exact.h5")
        for method in ["krylov:8", "roulette:p=0.2", "series:30,probe=gaussian"]:
            for error in [0.08, 10]:
                rows = self.rows("--method", method, "--standard-error", error)
                self.assertNear(rows["z"], exact["z"], 1e-12)
                self.assertCalibrated(rows, exact)
            self.assertTrue(np.all(rows["repeats"] == 8))
        # The twin: a tenth of a nat more.
        rows["log_prob"] += 0.1
        with self.assertRaises(AssertionError):
            self.assertCalibrated(rows, exact)

    def test_the_file_and_what_is_printed(self):
        run = self.succeed("flow_density", self.model(), flows.data(8), "--method", "krylov:6", "--standard-error",
                           0.07, "--seed", 5, "-o", "density.h5", ranks=2)
        with h5py.File(self.folder / "density.h5") as file:
            self.assertEqual(sorted(file), ["log_prob", "log_prob_std_error", "repeats", "status", "z"])
            self.assertEqual(flows.text(file["log_prob_std_error"].attrs["units"]), "nat")
            self.assertEqual(file["repeats"].dtype, np.int64)
            attributes = flows.attributes(file)
            error, repeats = file["log_prob_std_error"][()], file["repeats"][()]
            self.assertNear(attributes["mean_nll"], -file["log_prob"][()].mean(), 1e-12)
        self.assertEqual((attributes["log_det"], attributes["seed"], attributes["target_standard_error"],
                          attributes["max_repeats"]), ("krylov:6", 5, 0.07, 1000))
        self.assertTrue(np.all((repeats >= 8) & (repeats < 1000)) and repeats.max() > 8)
        self.assertNear(np.mean(error), 0.07, 0.02)
        line = re.search(r"^log-dets       by krylov:6: standard error of a row (\S+) nats in the mean, at most (\S+); "
                         r"(\d+) to (\d+) repeats, ([\d.]+) in the mean$", run.stdout, re.M)
        for text, value in zip(line.groups(), [error.mean(), error.max(), repeats.min(), repeats.max(),
                                               repeats.mean()]):
            self.assertAlmostEqual(float(text), value, delta=0.005 * value)
        bias = re.search(r"^bias           at most (\S+) nats for each row, by the blocks' Lipschitz constants$",
                         run.stdout, re.M)
        self.assertAlmostEqual(float(bias[1]), attributes["bias_bound"], delta=0.005 * attributes["bias_bound"])
        self.assertAlmostEqual(attributes["bias_bound"], self.bias_bound(terms=6, factor=2), delta=0.01)
        self.assertNotIn("warning", run.stderr)

    def bias_bound(self, terms, factor):
        """Σ over blocks of factor·d·Σ_{k > terms} cᵏ/k, by the certificates that training wrote, in float."""
        bound = 0
        with h5py.File(self.model()) as file:
            for transform in file["flow/transforms"].values():
                c = transform.attrs.get("certified_lipschitz", 0)
                bound += factor * 8 * (-np.log1p(-c) - sum(c**k / k for k in range(1, terms + 1)))
        return bound

    def test_rows_do_not_depend_on_the_ranks(self):
        for method in ["trace+krylov:3", "roulette:p=0.2,length=step"]:
            arguments = ["--method", method, "--standard-error", 0.005 if method[0] == "t" else 0.1]
            first = self.rows(*arguments)
            self.assertGreater(first["repeats"].max(), 8)
            for ranks in [1, 3]:
                self.assertEqualRows(self.rows(*arguments, ranks=ranks, output=f"on{ranks}.h5"), first)
        # The twin: another seed.
        other = self.rows(*arguments, "--seed", 1)
        self.assertFar(other["log_prob"], first["log_prob"], 1e-3)
        np.testing.assert_array_equal(other["z"], first["z"])

    def test_methods_without_chance_take_one_pass(self):
        exact = self.rows(output="exact.h5")
        run = self.succeed("flow_density", self.model(), f"{flows.data(8)}:/train", "--method",
                           "series:4,trace=exact", "-o", "density.h5")
        series = flows.read_h5(self.folder / "density.h5")
        self.assertEqual(series.keys(), exact.keys())
        self.assertNear(series["log_prob"], exact["log_prob"], 0.05)
        self.assertFar(series["log_prob"], exact["log_prob"], 1e-6)
        self.assertIn("bias           at most ", run.stdout)
        self.assertNotIn("repeats", run.stdout)

    def test_auto_says_what_it_is(self):
        exact = self.rows(output="exact.h5")
        for ranks in [0, 3]:
            run = self.succeed("flow_density", self.model(), f"{flows.data(8)}:/train", "--method", "auto", "-o",
                               "density.h5", ranks=ranks)
            self.assertEqual(run.stderr.count("log-det        auto: exact, since"), 1)
            self.assertEqualRows(flows.read_h5(self.folder / "density.h5"), exact)
            with h5py.File(self.folder / "density.h5") as file:
                self.assertEqual(flows.text(file.attrs["log_det"]), "exact")

    def test_rows_that_do_not_get_there_are_warned_of(self):
        for ranks in [0, 3]:
            run = self.succeed("flow_density", self.model(), flows.data(8), "--method", "krylov:4", "--standard-error",
                               0.1, "--max-repeats", 20, "-o", "density.h5", ranks=ranks)
            rows = flows.read_h5(self.folder / "density.h5")
            missed = (rows["repeats"] == 20) & (rows["log_prob_std_error"] > 0.1)
            self.assertGreater(missed.sum(), 0)
            self.assertIn(f"warning: {missed.sum()} of 40 rows did not reach a standard error of 0.1 nats after 20 "
                          f"repeats; the largest is {rows['log_prob_std_error'][missed].max():.3g}\n", run.stderr)
            self.assertEqual(run.stderr.count("warning"), 1)

    def test_roulettes_are_warned_of(self):
        run = self.succeed("flow_density", self.model(), flows.data(8), "--method", "roulette:p=0.5,length=step",
                           "--standard-error", 5, "-o", "density.h5", ranks=2)
        self.assertEqual(run.stderr.count("warning: log-det method roulette:p=0.5,exact=2,length=step: the variance is infinite"), 1)
        self.assertEqual(run.stderr.count("warning: roulette:p=0.5,exact=2,length=step: all rows share draws of a repeat"), 1)
        self.assertNotIn("bias ", run.stdout)

    def test_rows_that_are_not_finite(self):
        x = flows.rows(8, 30)
        whole = x.copy()
        x[4, 1], x[17] = np.nan, np.inf
        self.put("rows.h5", {"good": whole, "bad": x})
        arguments = ["--method", "krylov:4"]
        good = self.rows(*arguments, data="rows.h5:good", output="good.h5")
        fine = ~np.isin(np.arange(30), [4, 17])
        for ranks in [0, 3]:
            bad = self.rows(*arguments, data="rows.h5:bad", ranks=ranks)
            self.assertEqual(list(bad["status"]), list(np.where(fine, 0, 1)))
            self.assertEqual(list(bad["repeats"][~fine]), [1, 1])
            for name in ["log_prob", "log_prob_std_error"]:
                self.assertTrue(np.all(np.isnan(bad[name][~fine])))
            for name in good:
                self.assertNear(bad[name][fine], good[name][fine], 1e-12)
        self.put("none.h5", {"x": np.full((3, 8), np.nan)})
        run = self.run_program("flow_density", self.model(), "none.h5:x", *arguments, "-o", "none_out.h5")
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertNotIn("log-dets", run.stdout)

    def test_a_grid(self):
        grid = ["--grid", "0:8:9,-3:15:5"]
        exact = self.density(self.model(2), *grid, output="exact.h5")
        arguments = [*grid, "--method", "krylov:2,probe=gaussian", "--standard-error", 0.05]
        run = self.succeed("flow_density", self.model(2), *arguments, "-o", "density.h5")
        self.assertRegex(run.stdout, r"log-dets       by krylov:2,probe=gaussian: standard error of a point ")
        first = flows.read_h5(self.folder / "density.h5")
        self.assertEqual(sorted(first), ["grid/log_prob", "grid/log_prob_std_error", "grid/x", "grid/y"])
        error = np.abs(first["grid/log_prob"] - exact["grid/log_prob"]) / first["grid/log_prob_std_error"]
        self.assertLess(np.max(error), 8)
        self.assertGreater(np.max(error), 0.5)
        for ranks in [1, 3]:
            other = self.density(self.model(2), *arguments, ranks=ranks, output=f"on{ranks}.h5")
            self.assertEqualRows(other, first)
        # A point that is a row of the file as well does not draw like it; rows draw the same with and without a grid.
        self.put("corner.h5", {"x": [[0.0, -3.0], [1.0, -3.0]]})
        both = self.density(self.model(2), "corner.h5:x", *arguments, output="both.h5")
        alone = self.density(self.model(2), "corner.h5:x", *arguments[2:], output="alone.h5")
        np.testing.assert_array_equal(both["log_prob"], alone["log_prob"])
        self.assertFar(both["log_prob"], both["grid/log_prob"][0, :2], 1e-6)
        self.assertNear(both["log_prob"], both["grid/log_prob"][0, :2], 0.2)

    def test_single_precision(self):
        exact = self.rows(output="exact.h5")
        self.assertCalibrated(self.rows("--method", "krylov:8", "--precision", "float"), exact)

    def test_what_cannot_be_asked_for(self):
        for arguments, message in [
                (["--method", "krylov:9"], "log-det method krylov:9: 9 Arnoldi steps for dimension 8: at most as many"),
                (["--method", "krilov:3"], "'krilov' is unknown (did you mean 'krylov'?)")]:
            for ranks in [0, 3]:
                run = self.run_program("flow_density", self.model(), flows.data(8), *arguments, ranks=ranks)
                self.assertFailure(run, 2, message)
                self.assertEqual(run.stderr.count("flow_density: "), 1)
        self.assertEqual(self.files(), [])

    def test_the_configuration(self):
        first = self.succeed("flow_density", "--grid", "0:1:5,0:1:5", "--method", "trace+krylov:2", "--standard-error",
                             0.2, "--max-repeats", 50, "--seed", 3, "--print-config")
        for line in ['method = "trace+krylov:2"', "standard_error = 0.2", "max_repeats = 50", "seed = 3"]:
            self.assertIn(line + "\n", first.stdout)
        self.write("run.toml", first.stdout)
        self.succeed("flow_density", self.model(2), "--config", "run.toml", "-o", "density.h5")
        with h5py.File(self.folder / "density.h5") as file:
            self.assertEqual(flows.text(file.attrs["log_det"]), "trace+krylov:2")
            self.assertEqual(file.attrs["max_repeats"], 50)


cases.main()
