"""flow_logdet: estimators against the exact log-det; the table against the file, the file against numpy."""

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import h5py
import numpy as np

import cases
import flows
import model_density
from flows import FlowTest

# A method of each kind, with names from short to long.
METHODS = ["series:4", "series:6,trace=exact", "roulette:p=0.5,exact=4,samples=2,length=step,probe=gaussian,probes=3",
           "poisson:rate=2,exact=1", "krylov:2", "trace+krylov:2,probe=hadamard,probes=2", "exact:through=input"]
# The columns of a table after the method's name, in this order.
COLUMNS = ["bias", "bias_error", "standard_deviation", "rmse", "bias_bound", "products", "seconds_per_1000",
           "rmse_at_budget", "gradient_relative_error"]
TITLE = re.compile(r"(?:transform (\d+), Lipschitz (\S+)|all blocks): (\d+) rows, exact log-dets deviate by (\S+) nats")


def read_divergences(stdout):
    """Returns the table of a continuous flow: by candidate the texts of its columns."""
    rows = [line.split() for line in stdout.splitlines()]
    return {row[0]: [*row[1:4], row[5], row[6]] for row in rows if len(row) == 7 and row[4] == "±"}


class Divergences(flows.CourseTest):
    METHODS = ["hutchinson:solve,probe=rademacher", "hutchinson:stage,probes=2"]

    def compare(self, *arguments, output="divergence.h5", **options):
        run = self.succeed("flow_logdet", *arguments, "-o", output, **options)
        return read_divergences(run.stdout), flows.read_h5(self.folder / output)

    def model(self, density):
        return flows.model(3, "--model.kind", "continuous", "--model.density", density, "--model.hidden", "16,16",
                           "--train.learning_rate", 0.02)

    def test_the_table_is_that_of_the_file(self):
        for density in ["discrete", "continuous"]:
            model = self.model(density)
            table, arrays = self.compare(model, flows.data(3), "--rows", 30, "--repeats", 6, *chosen(self.METHODS))
            own = self.density(model, flows.data(3))["log_prob"][:30]
            self.assertNear(arrays["log_prob"], own, 1e-9)
            self.assertEqual(list(table), ["discrete", "trace", *self.METHODS])
            with h5py.File(self.folder / "divergence.h5") as file:
                self.assertEqual(flows.texts(file["names"]), list(table))
                attributes = {name: flows.attributes(file[f"candidates/{name}"]) for name in table}
            for name, (bias, deviation, weight, weight_error, _) in table.items():
                at_rows = arrays[f"candidates/{name}/log_prob"]
                at_draws = arrays[f"candidates/{name}/draw_log_prob"]
                weights = np.exp(arrays["draws/log_prob"] - at_draws).mean(axis=0)
                expected = {"bias": (at_rows - own).mean(), "mean_weight": weights.mean(),
                            "mean_weight_error": weights.std() / np.sqrt(30)}
                if at_rows.shape[0] > 1:
                    expected["deviation"] = np.sqrt(at_rows.var(axis=0, ddof=1).mean())
                for key, value in expected.items():
                    self.assertNear(attributes[name][key], value, 1e-9)
                self.assertNear(float(bias), expected["bias"], 0.006 * abs(expected["bias"]) + 1e-12)
                self.assertNear(float(weight), expected["mean_weight"], 6e-5)
                self.assertNear(float(weight_error), expected["mean_weight_error"], 6e-5)
                if "deviation" in expected:
                    self.assertNear(float(deviation), expected["deviation"], 0.006 * expected["deviation"])
            self.assertEqual(table["discrete"][0], "0.00e+00" if density == "discrete" else table["discrete"][0])
            self.assertGreater(np.abs(arrays["candidates/trace/log_prob"][0] - own).max(), 1e-7)

    def test_any_number_of_ranks(self):
        arguments = [self.model("continuous"), flows.data(3), "--rows", 7, "--repeats", 3, *chosen(self.METHODS)]
        _, first = self.compare(*arguments)
        for ranks in [2, 3, 8]:
            _, other = self.compare(*arguments, output="other.h5", ranks=ranks)
            self.assertEqual(sorted(other), sorted(first))
            for name, values in first.items():
                if values.dtype.kind == "f":
                    self.assertNear(other[name], values, 1e-11)
        _, seed = self.compare(*arguments, "--seed", 1, output="other.h5")
        name = f"candidates/{self.METHODS[0]}/log_prob"
        self.assertFar(seed[name], first[name], 1e-4)

    def test_what_a_continuous_flow_does_not_take(self):
        model = self.model("continuous")
        for said, *flags in [("a continuous flow takes hutchinson", "--method", "krylov:2"),
                             ("are for residual blocks", "--gradient"),
                             ("are for residual blocks", "--budget", 24)]:
            self.assertFailure(self.run_program("flow_logdet", model, flows.data(3), *flags), 2, said)
        run = self.run_program("flow_logdet", flows.model(2), flows.data(2), "--method", "hutchinson")
        self.assertFailure(run, 2, "it estimates the divergence of a continuous flow")

    def test_training(self):
        flags = ["--model.kind", "continuous", "--model.hidden", "16,16", "--data", flows.data(3), "--train.batch", 61]
        continuous = [*flags, "--model.density", "continuous"]
        self.assertSameOnRanks(*continuous, "--log_det.train", "hutchinson:stage", steps=6)
        nll = {}
        for method in ["auto", "hutchinson:stage", "hutchinson:solve,probe=gaussian"]:
            run = self.train(*continuous, "--log_det.train", method, "--restart", "never", "-o", "flow.h5")
            nll[method] = -self.density("flow.h5", flows.data(3))["log_prob"].mean()
            if method != "auto":
                self.assertIn(f"training: {method} along", run.stderr)
        self.assertLess(max(nll.values()) - min(nll.values()), 0.5)
        self.assertEqual(len(set(nll.values())), 3)
        for said, *more in [("by LU", *flags, "--log_det.train", "hutchinson"),
                            ("evaluate", *continuous, "--log_det.evaluate", "hutchinson"),
                            ("for continuous flows", "--data", flows.data(3), "--log_det.train", "hutchinson")]:
            self.assertFailure(self.run_program("flow_train", *flows.small(*more), "-o", "no.h5"), 2, said)


def chosen(methods):
    """The flags that name these methods."""
    return [word for method in methods for word in ["--method", method]]


def read_tables(stdout):
    """Returns tables by the number of their transform, None for all blocks. Each has its rows, deviation, Lipschitz
    constant, seconds of exact, radius and the texts of each method."""
    tables = {}
    name = None
    for line in stdout.splitlines():
        if match := TITLE.fullmatch(line):
            lines = {}
            tables[match[1] and int(match[1])] = {"rows": int(match[3]), "deviation": match[4], "lipschitz": match[2],
                                                  "methods": lines}
            table = tables[match[1] and int(match[1])]
        elif line.startswith("spectral radii up to "):
            table["radius"] = line.split()[-1]
        elif line.startswith("exact "):
            table["exact_seconds"] = line.split()[1]
        elif line and not line.startswith(("wrote ", "   ")):
            name, *texts = line.split()
            lines[name] = texts
        elif line.startswith("   ") and name is not None and not lines.get(name, True):
            lines[name] = line.split()
    return tables


def parts(file):
    """The groups of log-dets: of the sum at None, and of each block at its number."""
    return {None: file["log_det"], **{int(name): group["log_det"] for name, group in file["blocks"].items()}}


def summary(file, part, method):
    """The numbers of a method, from the arrays."""
    group = parts(file)[part]
    exact = group["exact"][()]
    fine = ~np.isnan(exact)
    value = group[method]["value"][()][:, fine]
    repeats, rows = value.shape
    error = value - exact[fine]
    random = "probes" in group[method].attrs
    mean_square, products = np.mean(error**2), np.mean(group[method]["terms"][()][:, fine])
    variance = 0 if not random else np.mean(np.var(error, axis=0, ddof=1)) if repeats > 1 else np.nan
    noise = mean_square if np.isnan(variance) else variance
    budget = file.attrs["budget"] * (len(file["block"]) if part is None else 1)
    numbers = {
        "bias": error.mean(),
        "bias_error": 0 if not random else np.std(error.mean(axis=1), ddof=1) / np.sqrt(repeats) if repeats > 1 else
        np.nan,
        "standard_deviation": np.sqrt(variance),
        "rmse": np.sqrt(mean_square),
        "products": products,
        "seconds_per_1000": 1000 * group[method]["seconds"][()].sum() / (repeats * rows),
        "rmse_at_budget": np.sqrt(max(0, mean_square - noise) + noise * products / budget)}
    if "gradient_norm" in group:
        norm, wrong = group["gradient_norm"][()][fine], group[method]["gradient_error"][()][:, fine]
        numbers["gradient_relative_error"] = np.sqrt(np.sum(wrong**2) / (repeats * np.sum(norm**2)))
    return numbers


class LogDetTest(FlowTest):
    def log_det(self, *arguments, output="log_det.h5", **options):
        """Runs the program; gives the run and the arrays of its file."""
        run = self.succeed("flow_logdet", *arguments, "-o", output, **options)
        return run, flows.read_h5(self.folder / output)

    def assertSame(self, a, b, tolerance=1e-12):
        """Arrays of two files agree, but for seconds; NaN where the other has it."""
        self.assertEqual(sorted(a), sorted(b))
        for name in a:
            if name.endswith("/seconds"):
                continue
            if a[name].dtype.kind != "f":
                np.testing.assert_array_equal(a[name], b[name])
            else:
                np.testing.assert_array_equal(np.isnan(a[name]), np.isnan(b[name]))
                self.assertNear(np.nan_to_num(a[name]), np.nan_to_num(b[name]), tolerance)

    def assertPrinted(self, text, value, least=1e-4):
        """The text is the number, correctly rounded, to a digit or to the unit `least`."""
        if np.isnan(value):
            self.assertEqual(text, "–")
        elif text == "0":
            self.assertLessEqual(abs(value), 1e-13)  # what rounding leaves of 0
        else:
            unit = 10.0 ** Decimal(text).as_tuple().exponent
            self.assertLessEqual(abs(float(text) - value), 0.5001 * unit + 1e-12, f"{text} for {value}")
            self.assertLessEqual(unit, max(least, abs(value)), f"{text} for {value} has too few digits")


class Table(LogDetTest):
    """The tables that are printed follow from the file, and the file's summaries follow from its arrays."""

    def assertTableFits(self, run, path="log_det.h5"):
        self.assertLessEqual(max(map(len, run.stdout.splitlines())), 100)
        tables = read_tables(run.stdout)
        with h5py.File(self.folder / path) as file:
            self.assertEqual(set(tables), set(parts(file)))
            for part, group in parts(file).items():
                table, exact = tables[part], group["exact"][()]
                exact = exact[~np.isnan(exact)]
                self.assertEqual(table["rows"], len(exact))
                self.assertEqual(group.attrs["rows"], len(exact))
                self.assertNear(float(table["deviation"]), exact.std(ddof=1), 1e-3)
                self.assertNear(float(table["exact_seconds"]) / group.attrs["exact_seconds_per_1000"], 1, 6e-3)
                names = flows.texts(file["methods"])
                self.assertEqual(list(table["methods"]), names)
                for name, texts in table["methods"].items():
                    numbers = summary(file, part, name)
                    for key, number in numbers.items():
                        np.testing.assert_allclose(group[name].attrs[key], number, rtol=1e-9, atol=1e-13, err_msg=key)
                    numbers["bias_bound"] = group[name].attrs["bias_bound"]
                    self.assertEqual(len(texts), len(numbers))
                    for key, text in zip(COLUMNS, texts):
                        if key == "seconds_per_1000":  # trailing zeros are not printed
                            self.assertNear(float(text) / numbers[key], 1, 6e-3)
                        else:
                            self.assertPrinted(text, numbers[key], 0.01 if key.startswith("gradient") else 1e-4)
            return tables

    def test_a_method_of_each_kind(self):
        run, _ = self.log_det(flows.model(5), flows.data(5), *chosen(METHODS), "--repeats", 7)
        tables = self.assertTableFits(run)
        self.assertEqual(set(tables), {None, 1, 3})
        with h5py.File(flows.model(5)) as model:
            for number in [1, 3]:
                certificate = model[f"flow/transforms/{number:03d}"].attrs["certified_lipschitz"]
                self.assertNear(float(tables[number]["lipschitz"]) / certificate, 1, 6e-3)

    def test_gradients_and_spectra(self):
        run, arrays = self.log_det(flows.model(5), flows.data(5), *chosen(METHODS), "--repeats", 3, "--gradient",
                                   "--spectrum", "--rows", 9, "--budget", 7.5)
        tables = self.assertTableFits(run)
        for number in [1, 3]:
            self.assertPrinted(tables[number]["radius"], arrays[f"blocks/{number:03d}/spectral_radius"].max())
            self.assertEqual(tables[number]["methods"]["exact:through=input"][-1], "0.00")
        self.assertNotIn("radius", tables[None])

    def test_several_ranks(self):
        run, _ = self.log_det(flows.model(5), flows.data(5), *chosen(METHODS), "--repeats", 4, "--gradient", ranks=3)
        self.assertTableFits(run)
        self.assertEqual(run.stdout.count("all blocks"), 1)

    def test_one_repeat_has_no_spread(self):
        run, _ = self.log_det(flows.model(2), flows.data(2), *chosen(METHODS), "--repeats", 1)
        tables = self.assertTableFits(run)
        self.assertEqual(tables[None]["methods"]["series:4"][1:3], ["–", "–"])
        self.assertEqual(tables[None]["methods"]["exact:through=input"][1:3], ["0", "0"])

    def test_rows_that_do_not_count(self):
        x = flows.rows(2, 12)
        x[3, 0] = np.nan
        self.put("rows.h5", {"x": x})
        run, _ = self.log_det(flows.model(2), "rows.h5:x", *chosen(METHODS), "--gradient", "--repeats", 3, ranks=2)
        self.assertEqual(self.assertTableFits(run)[None]["rows"], 11)

    def test_long_names_and_large_numbers(self):
        long = ["roulette:p=0.12345678901,exact=20000,samples=2,length=step,probe=gaussian,probes=10"]
        for flags in [[], ["--gradient", "--spectrum"]]:
            run, _ = self.log_det(flows.model(2), flows.data(2), *chosen(long), "--repeats", 2, "--rows", 2, *flags)
            self.assertLessEqual(max(map(len, run.stdout.splitlines())), 100)
            self.assertEqual(read_tables(run.stdout)[1]["methods"][long[0]][5], "2e+05")

    def test_a_single_block_is_the_whole(self):
        model = flows.model(2, "--model.blocks", 1)
        run, arrays = self.log_det(model, flows.data(2), "--method", "series:2", "--gradient")
        self.assertEqual(set(read_tables(run.stdout)), {1})
        for name in ["exact", "gradient_norm", "series:2/value", "series:2/gradient_error"]:
            np.testing.assert_array_equal(arrays[f"log_det/{name}"], arrays[f"blocks/001/log_det/{name}"])

    def test_the_twin_a_changed_value_is_noticed(self):
        run, _ = self.log_det(flows.model(2), flows.data(2), *chosen(METHODS), "--repeats", 3)
        with h5py.File(self.folder / "log_det.h5", "r+") as file:
            file["blocks/003/log_det/krylov:2/value"][1, 5] += 0.5
        with self.assertRaises(AssertionError):
            self.assertTableFits(run)


class Numbers(LogDetTest):
    """Exact log-dets are numpy's; estimates have them in the mean."""

    # One whose blocks are not far from the bound.
    MODEL = ["--train.learning_rate", 0.2, "--train.steps", 100]
    UNBIASED = ["roulette:p=0.3,exact=2", "roulette:p=0.2,exact=10,length=step,probe=gaussian",
                "poisson:rate=3,exact=2,probes=2", "roulette:p=0.25,exact=0,samples=2", "krylov:2", "trace+krylov:2"]
    BIASED = ["series:2", "series:5,probe=gaussian", "series:3,trace=exact", "krylov:1", "trace+krylov:1"]

    def block_log_dets(self, model, x):
        """The log-dets of each residual block, by examples/model_density.py."""
        log_dets = {}
        with h5py.File(model) as file:
            for group, _, log_det, _ in model_density.steps(file, x):
                if flows.text(group.attrs["kind"]) == "residual":
                    log_dets[group.name.split("/")[-1]] = log_det
        return log_dets

    def test_exact_log_dets_are_those_of_numpy(self):
        for d in [1, 2, 5]:
            model = flows.model(d, *self.MODEL)
            _, arrays = self.log_det(model, flows.data(d), "--method", "series:1", "--spectrum")
            expected = self.block_log_dets(model, flows.split_rows(d)["test"])
            self.assertEqual(list(arrays["block"]), [int(name) for name in expected])
            for name, log_det in expected.items():
                self.assertNear(arrays[f"blocks/{name}/log_det/exact"], log_det, 1e-10)
            self.assertNear(arrays["log_det/exact"], sum(expected.values()), 1e-10)
            self.assertGreater(np.max(np.abs(arrays["log_det/exact"])), 0.1)
            self.assertFar(arrays["log_det/exact"][::-1], sum(expected.values()), 1e-3)  # the twin

    def test_log_dets_make_up_the_density(self):
        _, arrays = self.log_det(flows.model(5), flows.data(5), "--method", "series:1")
        density = self.density(flows.model(5), flows.data(5))
        analytic = density["log_prob"] + 0.5 * (density["z"] ** 2).sum(axis=1) - arrays["log_det/exact"]
        self.assertNear(analytic, np.full(40, analytic[0]), 1e-10)

    def assertMeansFit(self, file, method, exact_shift=0.0):
        """Bias within 4 errors of what is allowed, in each block and in all. exact_shift: in errors, added to what is
        held for exact, away from the mean."""
        for part, group in parts(file).items():
            numbers = summary(file, part, method)
            allowed = group[method].attrs["bias_bound"]
            bias = abs(numbers["bias"]) + exact_shift * numbers["bias_error"]
            self.assertLessEqual(bias, 4 * numbers["bias_error"] + allowed + 1e-12, f"{method}, {part}")

    def test_means_are_exact_up_to_the_bound(self):
        model = flows.model(2, *self.MODEL)
        self.log_det(model, flows.data(2), *chosen(self.UNBIASED + self.BIASED), "--repeats", 2000, "--rows", 8)
        with h5py.File(self.folder / "log_det.h5") as file:
            for method in self.UNBIASED:
                self.assertEqual(file["log_det"][method].attrs["bias_bound"], 0)
                self.assertMeansFit(file, method)
                with self.assertRaises(AssertionError):  # the twin
                    self.assertMeansFit(file, method, exact_shift=5)
            for method in self.BIASED:
                self.assertGreater(file["log_det"][method].attrs["bias_bound"], 0)
                self.assertMeansFit(file, method)
            # Without chance it is within its bound row by row, and off.
            for group in parts(file).values():
                error = np.abs(group["series:3,trace=exact/value"][0] - group["exact"][()])
                self.assertLessEqual(error.max(), group["series:3,trace=exact"].attrs["bias_bound"])
                self.assertGreater(error.max(), 1e-6)

    def test_the_bound_is_the_formula(self):
        model = flows.model(2, *self.MODEL)
        self.log_det(model, flows.data(2), "--method", "series:5", "--rows", 3)
        total = 0
        with h5py.File(model) as weights, h5py.File(self.folder / "log_det.h5") as file:
            for number in [1, 3]:
                layers = [weights[f"flow/transforms/{number:03d}/layer_{l}/weight"][()] for l in range(3)]
                c = np.prod([np.linalg.norm(layer.astype(float), 2) for layer in layers])
                bound = 2 * (-np.log1p(-c) - sum(c**k / k for k in range(1, 6)))
                total += bound
                self.assertNear(parts(file)[number]["series:5"].attrs["bias_bound"], bound, 1e-12)
            self.assertNear(file["log_det/series:5"].attrs["bias_bound"], total, 1e-12)

    def test_nearly_singular_and_singular_jacobians(self):
        # Blocks x − a tanh x, whose Jacobian is diagonal: I − a (1 − tanh² x).
        model = self.copy(flows.model(2, "--model.hidden", 2, "--model.activation", "tanh", "--model.actnorm", "false",
                                      "--data.standardize", "none", "--model.precision", "double"), "model.h5")
        x = np.array([[0, 0], [1e-3, -0.2], [3, 0], [-5, 5]])
        self.put("x.h5", {"x": x})

        def set_slope(a):
            with flows.edited_model(model) as file:
                file["standardization/factor"][...] = 1
                for name, slope in [("000", a), ("001", 0.0)]:
                    group = file["flow/transforms"][name]
                    group["layer_0/weight"][...] = np.eye(2)
                    group["layer_0/bias"][...], group["layer_1/bias"][...] = 0, 0
                    group["layer_1/weight"][...] = -slope * np.eye(2)
        set_slope(0.99)
        _, arrays = self.log_det("model.h5", "x.h5:x", *chosen(["series:10,trace=exact", "krylov:2"]), "--spectrum")
        slopes = 1 - np.tanh(x) ** 2
        self.assertTrue(np.all(arrays["status"] == 0))
        self.assertNear(arrays["log_det/exact"], np.log1p(-0.99 * slopes).sum(axis=1), 1e-9)
        self.assertNear(arrays["blocks/000/norm"], 0.99 * slopes.max(axis=1), 1e-12)
        self.assertNear(arrays["blocks/000/spectral_radius"], 0.99 * slopes.max(axis=1), 1e-12)
        self.assertNear(arrays["blocks/001/log_det/exact"], np.zeros(4), 0)
        with h5py.File(self.folder / "log_det.h5") as file:
            bound = file["log_det/series:10,trace=exact"].attrs["bias_bound"]
        error = np.abs(arrays["log_det/series:10,trace=exact/value"][0] - arrays["log_det/exact"])
        self.assertGreater(error[0], 0.99 * bound)  # the bound is reached where J = −0.99 I
        self.assertLessEqual(error.max(), bound + 1e-12)
        for slope, constant in [(1, "1;"), (1.01, "1.01;")]:
            set_slope(slope)
            run = self.run_program("flow_logdet", "model.h5", "x.h5:x")
            self.assertFailure(run, 3, "flow_logdet: transform 0 (residual) is no contraction: its Lipschitz constant is",
                               constant)

    def test_single_precision_is_near_double(self):
        arguments = [flows.model(5), flows.data(5), *chosen(METHODS), "--repeats", 3, "--gradient", "--spectrum"]
        _, double = self.log_det(*arguments)
        _, single = self.log_det(*arguments, "--precision", "float", output="single.h5")
        self.assertSame(single, double, 1e-4)
        with self.assertRaises(AssertionError):
            self.assertSame(single, double)


class Draws(LogDetTest):
    """Draws for a sample do not depend on ranks, slabs, repeats or mates."""

    SWITCHES = ["--repeats", 3, "--seed", 4, "--gradient", "--spectrum"]
    ARGUMENTS = [*chosen(METHODS), *SWITCHES]

    def test_ranks(self):
        self.put("rows.h5", {"x": flows.rows(5, 7)})
        methods = METHODS[2:6]
        arguments = [flows.model(5), "rows.h5:x", *chosen(methods), *self.SWITCHES]
        _, first = self.log_det(*arguments)
        for ranks in [1, 2, 3, 8]:  # the last are more than there are rows
            _, other = self.log_det(*arguments, output="other.h5", ranks=ranks)
            self.assertSame(other, first)
            with h5py.File(self.folder / "log_det.h5") as a, h5py.File(self.folder / "other.h5") as b:
                for method in methods:
                    for key, value in a[f"log_det/{method}"].attrs.items():
                        if isinstance(value, float) and "seconds" not in key:
                            self.assertNear(b[f"log_det/{method}"].attrs[key], value, 1e-12)

    def test_mates_and_repeats(self):
        x = flows.rows(5, 9)
        other = np.array(x)
        other[:4] = flows.rows(5, 4, seed=1)
        self.put("rows.h5", {"x": x, "fewer": x[:6], "other": other})
        _, all_rows = self.log_det(flows.model(5), "rows.h5:x", *self.ARGUMENTS)
        _, fewer = self.log_det(flows.model(5), "rows.h5:fewer", *self.ARGUMENTS, output="fewer.h5")
        _, others = self.log_det(flows.model(5), "rows.h5:other", *self.ARGUMENTS, output="other.h5")
        _, once = self.log_det(flows.model(5), "rows.h5:x", *self.ARGUMENTS, "--repeats", 1, output="once.h5")
        for method in METHODS:
            name = f"log_det/{method}/value"
            self.assertNear(fewer[name], all_rows[name][:, :6], 1e-12)
            self.assertNear(others[name][:, 4:], all_rows[name][:, 4:], 1e-12)
            self.assertNear(once[name], all_rows[name][:1], 1e-12)
            self.assertFar(others[name][:, :4], all_rows[name][:, :4], 1e-6)  # the twin

    def test_slabs(self):
        # So many repeats that the rows do not go into one slab.
        arguments = [flows.model(2, "--model.blocks", 1, "--model.hidden", 4), flows.data(2), "--method", "series:1"]
        _, many = self.log_det(*arguments, "--repeats", 60_000)
        _, few = self.log_det(*arguments, "--repeats", 5, output="few.h5")
        self.assertEqual(many["log_det/series:1/value"].shape, (60_000, 40))
        np.testing.assert_array_equal(many["log_det/series:1/value"][:5], few["log_det/series:1/value"])
        self.assertNear(many["log_det/exact"], few["log_det/exact"], 1e-12)

    def test_seeds(self):
        arguments = [flows.model(5), flows.data(5), "--method", "series:2,probe=gaussian"]
        _, first = self.log_det(*arguments)
        _, again = self.log_det(*arguments, output="again.h5")
        _, other = self.log_det(*arguments, "--seed", 1, output="other.h5")
        name = "log_det/series:2,probe=gaussian/value"
        np.testing.assert_array_equal(again[name], first[name])
        self.assertFalse(np.any(other[name] == first[name]))


class File(LogDetTest):
    def test_all_objects(self):
        self.log_det(flows.model(5), flows.data(5), "--split", "train", "--rows", 11, *chosen(METHODS), "--repeats", 6,
                     "--gradient", "--spectrum", "--seed", 2, ranks=2)
        documented = (flows.SOURCE / "data" / "README.md").read_text()
        with h5py.File(self.folder / "log_det.h5") as file:
            root = flows.attributes(file)
            self.assertEqual((root.pop("format"), root.pop("format_version")), ("pushforward-log-det", 2))
            self.assertEqual({key: root[key] for key in root if key not in ["creator", "created"]},
                             {"dimension": 5, "repeats": 6, "seed": 2, "precision": "double", "budget": 24,
                              "model": str(flows.model(5)), "data": f"{flows.data(5)}:/train"})
            self.assertEqual(sorted(file), ["block", "blocks", "log_det", "methods", "status"])
            self.assertEqual(flows.texts(file["methods"]), METHODS)
            self.assertEqual(list(file["block"]), [1, 3])
            self.assertEqual((file["status"].shape, file["status"].dtype), ((11,), np.int64))
            self.assertEqual(sorted(file["blocks"]), ["001", "003"])
            for block in file["blocks"].values():
                self.assertEqual(sorted(block), ["log_det", "norm", "spectral_radius"])
                self.assertEqual(block["norm"].shape, (11,))
            for group in parts(file).values():
                self.assertEqual(sorted(group), sorted(["exact", "gradient_norm", *METHODS]))
                self.assertEqual(sorted(group.attrs), ["exact_seconds_per_1000", "rows"])
                for name, units in [("exact", "nat"), ("gradient_norm", "1")]:
                    self.assertEqual((group[name].shape, group[name].dtype, flows.text(group[name].attrs["units"])),
                                     ((11,), np.float64, units))
                for method in METHODS:
                    repeats = 1 if method in ["series:6,trace=exact", "exact:through=input"] else 6
                    self.assertEqual({name: (o.shape, o.dtype, flows.text(o.attrs["units"])) for name, o in group[method].items()},
                                     {"value": ((repeats, 11), np.float64, "nat"),
                                      "terms": ((repeats, 11), np.int64, "1"),
                                      "gradient_error": ((repeats, 11), np.float64, "1"),
                                      "seconds": ((repeats,), np.float64, "s")})
                    self.assertTrue(np.all(group[method]["seconds"][()] > 0))
                    self.assertLess(set(COLUMNS), set(group[method].attrs))
            # Everything is written down.
            names = set(file.attrs) | set(file["log_det"].attrs) | set(file["blocks/001"])
            for method in METHODS:
                names |= set(file["log_det"][method]) | set(file["log_det"][method].attrs)
            for name in names - {"log_det"}:
                self.assertRegex(documented, rf"[`/]{name}`")

    def test_parameters_of_methods(self):
        self.log_det(flows.model(5), flows.data(5), *chosen(METHODS), "--repeats", 2, "--rows", 2, "--probes", 4)
        shared = {"probe": "rademacher", "probes": 4}
        expected = [
            {"kind": "series", "terms": 4, "trace": "probes", **shared},
            {"kind": "series", "terms": 6, "trace": "exact"},
            {"kind": "roulette", "p": 0.5, "exact": 4, "samples": 2, "length": "step", "probe": "gaussian", "probes": 3},
            {"kind": "poisson", "rate": 2, "exact": 1, "samples": 1, "length": "sample", **shared},
            {"kind": "krylov", "terms": 2, "tol": 0, **shared},
            {"kind": "trace+krylov", "terms": 2, "tol": 0, "probe": "hadamard", "probes": 2},
            {"kind": "exact", "through": "input"}]
        with h5py.File(self.folder / "log_det.h5") as file:
            names = flows.texts(file["methods"])
            self.assertEqual(names[0], "series:4,probes=4")
            self.assertEqual(names[2], METHODS[2])
            for name, parameters in zip(names, expected):
                for group in parts(file).values():
                    attributes = flows.attributes(group[name])
                    self.assertEqual({key: attributes[key] for key in attributes if key not in COLUMNS}, parameters)
            self.assertEqual(list(file["log_det/series:4,probes=4/terms"][0]), [2 * 4 * 4, 2 * 4 * 4])

    def test_without_switches_there_is_less(self):
        _, arrays = self.log_det(flows.model(5), flows.data(5), "--method", "krylov:1")
        block = ["log_det/exact", "log_det/krylov:1/seconds", "log_det/krylov:1/terms", "log_det/krylov:1/value"]
        self.assertEqual(sorted(arrays), sorted(["block", "methods", "status", *block] +
                                                [f"blocks/{b}/{name}" for b in ["001", "003"] for name in block]))

    def test_how_many_rows(self):
        for rows, count in [(["--rows", 0], 320), (["--rows", 5000], 320), (["--rows", 3], 3)]:
            run, arrays = self.log_det(flows.model(2), flows.data(2), "--split", "train", "--method", "series:1",
                                       "--repeats", 2, *rows)
            self.assertEqual(arrays["log_det/series:1/value"].shape, (2, count))
            self.assertIn(f"{count} rows of {flows.data(2)}, 2 repeats, 2 residual blocks of dimension 2", run.stderr)


class Methods(LogDetTest):
    def names(self, *arguments, **options):
        run, arrays = self.log_det(*arguments, **options)
        return run, flows.texts(arrays["methods"])

    def test_defaults_fit_the_model(self):
        for d, model, arnoldi in [(5, [], ["krylov:3", "trace+krylov:3"]), (2, [], ["krylov:2", "trace+krylov:2"]),
                                  (5, ["--model.hidden", "8,8,8"], ["krylov:3"])]:
            run, names = self.names(flows.model(d, *model), flows.data(d), "--repeats", 2)
            self.assertEqual(names, ["roulette:p=0.5,exact=20,length=step,probe=gaussian",
                                     "roulette:p=0.5,exact=2,length=step,probe=gaussian", "series:10", *arnoldi])
            self.assertIn("the log-dets of the other 3 transforms are analytic: there is nothing to estimate",
                          run.stderr)

    def test_auto_is_resolved_and_explained(self):
        for ranks in [0, 2]:
            run, names = self.names(flows.model(5), flows.data(5), *chosen(["auto", "series:2"]), ranks=ranks)
            self.assertRegex(run.stderr, r"auto: exact, since a sample and block takes \S+ µs with exact")
            self.assertEqual(run.stderr.count("auto: "), 1)
            self.assertEqual(names, ["series:2"])  # exact has a line anyway

    def test_exact_is_there_anyway(self):
        run, names = self.names(flows.model(5), flows.data(5), "--method", "exact", "--gradient")
        self.assertEqual(names, [])
        self.assertEqual(len(re.findall(r"^exact +\S+$", run.stdout, re.MULTILINE)), 3)
        _, names = self.names(flows.model(5), flows.data(5), *chosen(["exact", "auto", "exact:through=input"]))
        self.assertEqual(names, ["exact:through=input"])

    def test_probes_are_for_those_who_do_not_say(self):
        _, names = self.names(flows.model(5), flows.data(5), "--probes", 3, "--repeats", 2,
                              *chosen(["series:2", "series:2,probes=1", "krylov:2,probes=5", "series:3,trace=exact"]))
        self.assertEqual(names, ["series:2,probes=3", "series:2", "krylov:2,probes=5", "series:3,trace=exact"])

    def test_a_variance_that_may_be_infinite_is_said(self):
        model = flows.model(2, "--train.learning_rate", 0.2, "--train.steps", 100)
        run, _ = self.log_det(model, flows.data(2), *chosen(["roulette:p=0.5", "roulette:p=0.01"]))
        self.assertIn("warning: log-det method roulette:p=0.5,exact=2: the variance is infinite where an eigenvalue of J", run.stderr)
        self.assertEqual(run.stderr.count("warning"), 1)

    def test_the_help_has_the_grammar(self):
        run = self.succeed("flow_logdet", "--help")
        grammar = run.stdout[run.stdout.index("log-det methods: NAME"):]
        for kind in ["exact", "series", "roulette", "poisson", "neumann", "krylov", "trace+krylov", "auto"]:
            self.assertRegex(grammar, rf"(?m)^  {re.escape(kind)} +\w")
        for key in ["through", "terms", "trace", "p", "rate", "exact", "samples", "length", "tol", "probe", "probes"]:
            self.assertRegex(grammar, rf"(?m)^    {key} +\w")
        self.assertIn("VALUE: terms of the series", grammar)
        self.assertLessEqual(max(map(len, grammar.splitlines())), 100)

    def test_dry_run_and_print_config_write_nothing(self):
        run = self.succeed("flow_logdet", flows.model(2), flows.data(2), "--rows", 7, *chosen(METHODS), "--dry-run",
                           ranks=2)
        self.assertEqual(run.stdout, "would compare 7 methods on 7 rows into log_det.h5\n")
        first = self.succeed("flow_logdet", "--repeats", 3, "--gradient", "--budget", 10, "--print-config")
        self.assertEqual(self.files(), [])
        self.write("run.toml", first.stdout)
        second = self.succeed("flow_logdet", "--config", "run.toml", "--print-config")
        self.assertEqual(second.stdout, first.stdout)
        _, arrays = self.log_det(flows.model(2), flows.data(2), "--config", "run.toml", "--method", "series:1")
        self.assertEqual(arrays["log_det/series:1/gradient_error"].shape, (3, 40))


class Bad(LogDetTest):
    @contextlib.contextmanager
    def refusals(self):
        """Gives a function that notes how a run should fail. In the end all are made, some at once since they mostly
        wait, and no file in the folder has appeared or vanished."""
        noted = []

        def note(code, message, *arguments, ranks=0):
            noted.append((code, message, arguments, ranks))

        yield note
        before = self.files()
        with ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(lambda n: self.run_program("flow_logdet", *n[2], ranks=n[3]), noted))
        for run, (code, message, arguments, _) in zip(runs, noted):
            with self.subTest(arguments=arguments):
                self.assertFailure(run, code, message)
                self.assertEqual(run.stderr.count("flow_logdet: "), 1, run.stderr)
        self.assertEqual(self.files(), before)

    def test_methods_that_cannot_be(self):
        with self.refusals() as refused:
            for methods, message in [
                    (["krylov:6"], "log-det method krylov:6: 6 Arnoldi steps for dimension 5"),
                    (["trace+krylov:9"], "log-det method trace+krylov:9: 9 Arnoldi steps for dimension 5"),
                    (["roulette:p=0"], "log-det method 'roulette:p=0': p = 0: must be more than 0 and less than 1"),
                    (["neumann:p=1"], "p = 1: must be more than 0"),
                    (["roulette:p=nan"], "p = nan: must be a number"),
                    (["poisson:rate=0"], "rate = 0: must be more than 0 and at most 1000"),
                    (["series:0"], "terms = 0: must be"), (["series:4,probes=0"], "probes = 0: must be"),
                    (["roulette:p=0.5,length=row"], "length = row: must be one of sample, step"),
                    (["krylov:2,tol=1"], "tol = 1: must be more than 0 and less than 1"),
                    (["seris:4"], "'seris' is unknown (did you mean 'series'?)"),
                    (["series:4", "series:4,probe=rademacher"], "--method series:4,probe=rademacher is given twice"),
                    (["neumann:p=0.5", "roulette:p=0.5"], "--method roulette:p=0.5 is given twice")]:
                refused(2, message, flows.model(5), flows.data(5), *chosen(methods))
            refused(2, "series:2,probes=3 is given twice", flows.model(5), flows.data(5), "--probes", 3,
                    *chosen(["series:2", "series:2,probes=3"]), ranks=3)
            refused(2, "6 Arnoldi steps", flows.model(5), flows.data(5), "--method", "krylov:6", ranks=3)
            refused(2, "the exact trace is for at most 2 hidden layers, not 3; use krylov or exact",
                    flows.model(5, "--model.hidden", "8,8,8"), flows.data(5), "--method", "trace+krylov:2")

    def test_values_out_of_range(self):
        with self.refusals() as refused:
            for key, value, rule in [
                    ("repeats", 0, "between 1"), ("rows", -1, "at least 0"), ("probes", -1, "between 0"),
                    ("budget", 0, "more than 0"), ("split", "all", "one of train, validation, test"),
                    ("precision", "half", "one of float, double"), ("seed", -1, "at least 0")]:
                refused(2, f"{key} = {value}: must be {rule}", flows.model(2), flows.data(2), f"--{key}", value)
            refused(2, "MODEL is required")
            refused(2, "DATA is required", flows.model(2))

    def test_data_that_does_not_fit(self):
        self.put("empty.h5", {"x": np.zeros((0, 2))})
        with self.refusals() as refused:
            for data, code, message in [(flows.data(5), 3, "has 5 columns; the model has 2"),
                                        ("absent.h5", 5, "absent.h5: no such file"), ("empty.h5:x", 3, "has no rows"),
                                        (f"{flows.data(2)}:/tset", 3, "no 'tset' in it (did you mean 'test'?)")]:
                refused(code, message, flows.model(2), data, ranks=2)

    def test_models_that_are_none(self):
        model = self.copy(flows.model(2), "steep.h5")
        with flows.edited_model(model) as file:
            file["flow/transforms/003/layer_1/weight"][...] *= 1000
        with self.refusals() as refused:
            for ranks in [0, 3]:
                refused(3, "flow_logdet: transform 3 (residual) is no contraction: its Lipschitz constant is",
                        "steep.h5", flows.data(2), ranks=ranks)
            refused(5, "absent.h5: no such file", "absent.h5", flows.data(2))
            refused(3, "is not a model file", flows.data(2), flows.data(2))

    def test_outputs(self):
        self.copy(flows.data(2), "data.h5")
        self.copy(flows.model(2), "model.h5")
        with self.refusals() as refused:
            for output, code, message in [("none/out.h5", 5, "cannot write none/out.h5: there is no folder none"),
                                          ("model.h5", 2, "MODEL and --output are the same file, model.h5"),
                                          ("./data.h5", 2, "DATA and --output are the same file, ./data.h5")]:
                refused(code, message, "model.h5", "data.h5", "-o", output, ranks=2)

    def test_rows_that_are_not_finite(self):
        x = flows.rows(5, 20)
        bad = x.copy()
        bad[4, 1], bad[13], bad[17] = np.nan, np.inf, 1.7e308  # overflows once standardized
        self.put("rows.h5", {"good": x, "bad": bad})
        arguments = [*chosen(METHODS), "--repeats", 3, "--gradient", "--spectrum"]
        _, good = self.log_det(flows.model(5), "rows.h5:good", *arguments)
        fine = ~np.isin(np.arange(20), [4, 13, 17])
        for ranks in [0, 3]:
            run, arrays = self.log_det(flows.model(5), "rows.h5:bad", *arguments, output="bad.h5", ranks=ranks)
            self.assertIn("warning: of 20 rows: 3 not finite; the table leaves them out", run.stderr)
            self.assertEqual(run.stderr.count("warning"), 1)
            self.assertEqual(list(arrays["status"]), list(np.where(fine, 0, 1)))
            for name, values in arrays.items():
                if values.dtype != float or name.endswith("seconds"):
                    continue
                self.assertTrue(np.all(np.isnan(values[..., ~fine])), name)
                self.assertNear(values[..., fine], good[name][..., fine], 1e-12)
            self.assertIn(": 17 rows, ", run.stdout)

    def test_no_row_that_counts(self):
        self.put("rows.h5", {"x": np.full((3, 2), np.nan)})
        run, arrays = self.log_det(flows.model(2), "rows.h5:x", "--gradient", "--spectrum")
        self.assertIn("warning: of 3 rows: 3 not finite", run.stderr)
        self.assertEqual(list(arrays["status"]), [1, 1, 1])
        self.assertIn("all blocks: 0 rows", run.stdout)
        self.assertEqual(read_tables(run.stdout)[None]["methods"]["series:10"][0], "–")
        self.assertLessEqual(max(map(len, run.stdout.splitlines())), 100)
        self.assertNotIn("nan", run.stdout)


cases.main()
