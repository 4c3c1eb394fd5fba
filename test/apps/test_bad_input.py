"""Checks how programs refuse bad input. One rank gives one message, which names file, place and remedy. The exit code
is the documented one. Nothing is left under the output's name, and a file that was there is unchanged."""

import contextlib
import os
import pathlib
import resource
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

import cases
import flows
from flows import SMALL, FlowTest
from harness import TIME_LIMIT, command

OUTPUTS = ["flow.h5", "flow.csv", "density.h5", "samples.h5"]


class BadInputTest(FlowTest):
    def setUp(self):
        super().setUp()
        for name in OUTPUTS:
            self.write(name, f"what {name} held before")

    def contents(self):
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}

    @contextlib.contextmanager
    def refusals(self, at_once=4):
        """Gives a function that notes a run and how it should fail. In the end all runs are made, some at once since
        they mostly wait, and no file in the folder has appeared, vanished or changed."""
        noted = []

        def note(name, *arguments, code, says, ranks=3, **options):
            noted.append((name, arguments, code, says, {"ranks": ranks, **options}))

        yield note
        before = self.contents()
        with ThreadPoolExecutor(at_once) as pool:
            runs = list(pool.map(lambda n: self.run_program(n[0], *n[1], **n[4]), noted))
        for run, (name, arguments, code, says, _) in zip(runs, noted):
            with self.subTest(name=name, arguments=arguments):
                self.assertFailure(run, code, says)
                self.assertEqual(run.stderr.count(f"{name}: "), 1, run.stderr)
                self.assertNotIn("rank", run.stderr.split(f"{name}: ")[1].split("\n")[0])
        self.assertEqual(self.contents(), before)


class Data(BadInputTest):
    """Files with data that cannot be used."""

    def put_bad(self):
        """Makes the files; gives for each what flow_train has to say about it, and with which code."""
        x = flows.rows(2, 50)
        hole, flat = x.copy(), x.copy()
        hole[7, 1], flat[:, 1] = np.nan, 4
        self.write("text.h5", "no HDF5 at all\n")
        self.write("empty.h5", "")
        whole = flows.data(2).read_bytes()
        (self.folder / "short.h5").write_bytes(whole[: len(whole) // 2])
        self.put("cube.h5", {"train": np.zeros((4, 2, 3))})
        self.put("words.h5", {"train": ["a", "b"]})
        self.put("records.h5", {"train": np.zeros(4, dtype=[("a", float)])})
        self.put("hole.h5", {"train": hole})
        self.put("hole_later.h5", {"train": x, "test": hole})
        self.put("no_rows.h5", {"train": np.zeros((0, 2))})
        self.put("no_columns.h5", {"train": np.zeros((5, 0))})
        self.put("flat.h5", {"train": flat, "feature_names": ["length", "width"]})
        self.put("unequal.h5", {"train": x, "validation": x[:, :1]})
        self.put("negative.h5", {"train": x, "weight/train": np.where(np.arange(50) == 9, -1.0, 1)})
        self.put("few_weights.h5", {"train": x, "weight/train": np.ones(49)})
        self.put("no_weight.h5", {"train": x, "weight/train": np.zeros(50)})
        self.put("other.h5", {"measured": x})
        return [("absent.h5", 5, "absent.h5: no such file"),
                ("text.h5", 5, "text.h5: is not an HDF5 file"),
                ("empty.h5", 5, "empty.h5: is empty (0 bytes)"),
                (".", 5, ".: is a folder, not a file"),
                ("short.h5", 5, "short.h5: is truncated: the file is shorter than it says; copy or make it again"),
                ("cube.h5", 3, "cube.h5:/train: has shape (4, 2, 3); an array with one row per sample is wanted"),
                ("words.h5", 3, "words.h5:/train: holds no numbers"),
                ("records.h5", 3, "records.h5:/train: holds no numbers"),
                ("hole.h5", 3, "hole.h5:/train: row 7, column 1 (counted from 0) is NaN"),
                ("hole.h5", 3, "Drop those rows with flow_data import --drop-nonfinite"),
                ("hole_later.h5", 3, "hole_later.h5:/test: row 7, column 1 (counted from 0) is NaN"),
                ("no_rows.h5", 3, "no_rows.h5:/train: has no rows"),
                ("no_columns.h5", 3, "no_columns.h5:/train: has rows of no numbers (d = 0)"),
                ("flat.h5", 3, "flat.h5: constant in all training rows: width. Such columns have no density; leave "
                               "them out with flow_data import --drop-constant"),
                ("unequal.h5", 3, "unequal.h5:/validation: rows of 1 numbers, where unequal.h5:/train has rows of 2"),
                ("negative.h5", 3, "negative.h5:/weight/train: the weight of row 9 (counted from 0) is -1"),
                ("few_weights.h5", 3, "few_weights.h5:/weight/train: has shape (49); one weight for each of the 50"),
                ("no_weight.h5", 3, "no_weight.h5: all weights of the train rows are 0"),
                ("other.h5", 3, "name the array to be used, as FILE:/NAME, or make a dataset with flow_data import; "
                                "there is measured"),
                ("other.h5:/mesured", 3, "other.h5:/: no 'mesured' in it (did you mean 'measured'?)")]

    def test_flow_train(self):
        with self.refusals() as refused:
            for file, code, says in self.put_bad():
                refused("flow_train", "--data", file, *SMALL, code=code, says=says)
            self.put("twice.h5", {"train": flows.rows(1, 50) @ [[1, 2]]})
            refused("flow_train", "--data", "twice.h5", *SMALL, "--data.standardize", "whiten", code=3,
                    says="twice.h5: column x2 is a linear combination of those before it")

    def test_flow_density(self):
        model = flows.model(2)
        trains_only = ["hole.h5", "hole_later.h5", "flat.h5", "unequal.h5", "no_weight.h5", "other.h5"]
        with self.refusals() as refused:
            for file, code, says in self.put_bad():
                if file not in trains_only:
                    refused("flow_density", model, file, "--split", "train", code=code, says=says, ranks=2)
            refused("flow_density", model, "other.h5", code=3, says="other.h5:/: no 'test' in it")
            refused("flow_density", model, flows.data(5), code=3,
                    says=f"{flows.data(5)}:/test has 5 columns; the model has 2")

    def test_one_process_says_the_same(self):
        self.put_bad()
        with self.refusals() as refused:
            for name, arguments in [("flow_train", ["--data", "short.h5"]),
                                    ("flow_density", [flows.model(2), "short.h5"]), ("flow_sample", ["short.h5"]),
                                    ("flow_check", ["short.h5"])]:
                refused(name, *arguments, code=5, says="short.h5: is truncated", ranks=0)


class Models(BadInputTest):
    """Files in place of a model."""

    def test_what_is_no_model(self):
        self.write("text.h5", "no HDF5 at all\n")
        whole = flows.model(2).read_bytes()
        (self.folder / "short.h5").write_bytes(whole[: len(whole) // 2])
        with self.refusals() as refused:
            for file, code, says in [
                    ("absent.h5", 5, "absent.h5: no such file"), ("text.h5", 5, "text.h5: is not an HDF5 file"),
                    ("short.h5", 5, "short.h5: is truncated"),
                    (flows.data(2), 3, "is not a model file (its attribute 'format' is not 'pushforward-model')")]:
                refused("flow_density", file, flows.data(2), code=code, says=says)
                refused("flow_sample", file, code=code, says=says)
                refused("flow_check", file, code=code, says=says, ranks=2)

    def test_a_block_that_is_no_contraction_is_not_inverted(self):
        with flows.edited_model(self.copy(flows.model(2), "wild.h5")) as file:
            weight = file["flow/transforms/003/layer_0/weight"]
            weight[...] = 100 * weight[...]
        with self.refusals() as refused:
            refused("flow_sample", "wild.h5", code=4, says="train with a smaller model.lipschitz")


class Flows(BadInputTest):
    """Chains, and families on data that they do not fit. (Families that fit: test_kinds.py.)"""

    def chain(self, name, *layers):
        """Writes a configuration whose chain has these tables."""
        tables = "".join(f"\n[[model.chain]]\n{layer}\n" for layer in layers)
        return self.write(name, f'[model]\nkind = "chain"\n{tables}')

    def test_tables_that_are_no_chain(self):
        with self.refusals() as refused:
            for name, layer, says in [
                    ("kind.toml", 'kind = "couplin"', "kind.toml, line 4: transform 'couplin' is unknown (did you mean "
                                                      "'coupling'?); there are actnorm, residual, coupling"),
                    ("key.toml", 'kind = "coupling"\nmsk = "even"', "key.toml, line 6: unknown key msk (did you mean "
                                                                    "'mask'?)"),
                    ("type.toml", 'kind = "coupling"\nhidden = "8"', 'type.toml, line 6: hidden = "8": must be a list '
                                                                     "of integers, not a string"),
                    ("value.toml", 'kind = "elementwise"\nfunction = "leaky"\nslope = 0',
                     "value.toml, line 7: slope = 0: must be more than 0"),
                    ("other.toml", 'kind = "actnorm"\nhidden = [8]', "other.toml, line 6: unknown key hidden"),
                    ("none.toml", 'mask = "even"', "none.toml, line 4: [[model.chain]] needs its kind")]:
                refused("flow_train", self.chain(name, layer), code=2, says=says)
            self.write("table.toml", '[model]\nkind = "chain"\n\n[model.chain]\nkind = "coupling"\n')
            refused("flow_train", "table.toml", code=2, says="table.toml, line 4: model.chain must be a list of tables")
            refused("flow_train", "--model.kind", "chain", code=2, says="model.kind = 'chain' with 0 tables")
            refused("flow_train", self.chain("fine.toml", 'kind = "actnorm"'), "--model.kind", "nice", code=2,
                    says="model.kind = 'nice' with 1 tables [[model.chain]]")

    def test_pieces_that_do_not_fit(self):
        with self.refusals() as refused:
            for name, layers, code, says in [
                    ("squeeze.toml", ['kind = "actnorm"', 'kind = "squeeze"'], 3,
                     "transform 1 (squeeze) on samples of 2 values: only images of even height"),
                    ("mask.toml", ['kind = "coupling"\nmask = "checkerboard"'], 2, "a checkerboard needs images"),
                    ("kernels.toml", ['kind = "coupling"\nkernels = [3, 1, 3]'], 2,
                     "transform 0 (coupling) on samples of 2 values: 3 kernels for vectors of 2 values"),
                    ("residual.toml", ['kind = "residual"\nkernels = [3, 1, 3]'], 2,
                     "transform 0 (residual) on samples of 2 values: 3 kernels for vectors of 2 values"),
                    ("trained.toml", ['kind = "actnorm"', 'kind = "dequantize"\nlevels = 8'], 2,
                     "transform 1 (dequantize)"),
                    ("split.toml", ['kind = "split"\nkeep = 2'], 3,
                     "transform 0 (split) on samples of 2 values: 2 of 2"),
                    ("behind.toml", ['kind = "split"', 'kind = "coupling"'], 3,
                     "transform 1 (coupling) on samples of 1 values: 1 value cannot be divided"),
                    ("order.toml", ['kind = "permutation"\norder = "given"\nindices = [0, 0]'], 2,
                     "indices = [0, 0]: must hold each of 0 to 1 once")]:
                refused("flow_train", self.chain(name, *layers), code=code, says=says)

    def test_data_that_families_cannot_take(self):
        x = flows.rows(3, 50)
        self.put("one.h5", {"train": x[:, :1]})
        self.put("odd.h5", {"train": flows.rows(15, 50)}, image_shape=np.array([3.0, 5.0, 1.0]))
        self.put("angles.h5", {"train": np.angle(np.exp(1j * x))}, periodic=np.array([1.0, 0, 0]))
        self.put("sphere.h5", {"train": x / np.linalg.norm(x, axis=1, keepdims=True)}, spheres=np.ones(3))
        self.put("off.h5", {"train": x}, spheres=np.ones(3))
        self.put("contexts.h5", {"train": x, "context/train": x[:40, :1]})
        self.put("constant.h5", {"train": np.ones((50, 2))})
        self.put("conditions.h5", {"train": x, "context/train": x[:, :1]})
        with self.refusals() as refused:
            for file, kind, code, says, *flags in [
                    ("conditions.h5", "planar", 2, "a context of 1 values: nothing in its chain"),
                    ("one.h5", "nice", 3, "transform 0 (coupling) on samples of 1 values: 1 value cannot be divided"),
                    ("odd.h5", "glow", 3, "transform 0 (squeeze) on samples of 3×5×1 values: only images of even"),
                    ("angles.h5", "maf", 2, "map = 'affine' of value 0, which is an angle: takes 'additive' or"),
                    ("angles.h5", "planar", 2, "transform 0 (planar) on samples of 3 values: value 0 is an angle"),
                    ("sphere.h5", "maf", 2, "values 0, 1, 2 are a unit vector, which only continuous flows can take"),
                    ("sphere.h5", "continuous", 2, "objective.path = \"trigonometric\" with objective.noise = 0 has no "
                     "meaning for unit vectors", "--objective.kind", "flow_matching", "--objective.path",
                     "trigonometric"),
                    ("off.h5", "continuous", 3, "row 0 (counted from 0) of train: x1, x2, x3 should be a unit vector"),
                    ("constant.h5", "nice", 3, "constant in all training rows: x1, x2", "--data.standardize", "none"),
                    ("constant.h5", "nice", 2, "want data as it is: data.standardize = \"none\"", "--model.levels", 2,
                     "--data.standardize", "scale"),
                    ("contexts.h5", "maf", 3, "contexts.h5:/context/train: 40 rows; one context for each of the 50")]:
                refused("flow_train", "--data", file, "--model.kind", kind, *flags, code=code, says=says)

    def test_data_outside_the_support(self):
        """Found, by the rank that has the row, before the history of an earlier run is touched."""
        x = np.random.default_rng(1).uniform(0, 1, (50, 2))
        x[33, 1] = 1.5
        self.put("outside.h5", {"train": x})
        before = self.contents()
        for flags in [[], ["--dry-run"]]:
            run = self.run_program("flow_train", "--data", "outside.h5", "--data.standardize", "none", "--model.logit",
                                   0.05, *flags, ranks=3)
            self.assertFailure(run, 3, "transform 0 (elementwise), train row 33: a value is outside the support",
                               "value 1 is 1.5")
            self.assertEqual(self.contents(), before)

    def test_options_that_do_nothing(self):
        self.put("image.h5", {"train": flows.rows(16, 50)}, image_shape=np.array([4.0, 4.0, 1.0]))
        chain = self.chain("chain.toml", 'kind = "actnorm"')
        with self.refusals() as refused:
            for key, value, *flags, setting in [
                    ("blocks", 8, chain, "'chain' on vectors"), ("hidden", 8, "'planar' on vectors"),
                    ("activation", "tanh", "'radial' on vectors"), ("lipschitz", 0.9, "'realnvp' on vectors"),
                    ("actnorm", "no", "'nice' on vectors"), ("map", "spline", "'realnvp' on vectors"),
                    ("scale_limit", 2, "--model.map", "spline", "'maf' with model.map = 'spline' on vectors"),
                    ("bins", 4, "'iaf' with model.map = 'affine' on vectors"), ("bound", 3, "'residual' on vectors"),
                    # The rule looks at the keys that are set: these are defaults.
                    ("bins", 8, "'realnvp' on vectors"), ("actnorm", "yes", "'nice' on vectors"),
                    ("scales", 2, "'glow' on vectors"), ("kernels", "3,1,3", "'residual' on vectors"),
                    ("kernels", "3,1,3", "--data", "image.h5", "'nice' on images"),
                    ("levels", 4, chain, "--data.standardize", "none", "'chain' on vectors")]:
                kind = setting.split("'")[1]
                refused("flow_train", f"--model.{key}", value, "--model.kind", kind, *flags, code=2, ranks=0,
                        says=f"model.{key} does nothing for model.kind = {setting}; leave it out")
            for key, value in [("components", 4), ("low", -4), ("low", -1), ("high", 2), ("degrees_of_freedom", 3)]:
                refused("flow_train", f"--base.{key}", value, code=2, ranks=0,
                        says=f"base.{key} does nothing for base.kind = 'standard_normal'; leave it out")
            for name, layer, says in [
                    ("bins.toml", 'kind = "coupling"\nmap = "affine"\nbins = 8', "bins does nothing for map = 'affine'"),
                    ("limit.toml", 'kind = "autoregressive"\nscale_limit = 3\nmap = "spline"',
                     "scale_limit does nothing for map = 'spline'"),
                    ("slope.toml", 'kind = "elementwise"\nslope = 0.1', "slope does nothing for function = 'affine'"),
                    ("signs.toml", 'kind = "linear"\nform = "dense"\nsigns = []', "signs does nothing for form = 'dense'")]:
                refused("flow_train", self.chain(name, layer), code=2,
                        says=f"{name}, line 4: {says}; leave it out")
            for key in ["train", "evaluate"]:
                refused("flow_train", f"--log_det.{key}", "krylov:3", "--model.kind", "realnvp", code=2,
                        says=f'log_det.{key} = "krylov:3" does nothing for a flow without residual blocks')

    def test_contexts_that_are_missing(self):
        x = flows.rows(3, 50)
        self.put("given.h5", {"train": x, "test": x, "context/train": x[:, :1] ** 2, "context/test": x[:, :1] ** 2})
        self.assertSuccess(self.run_program("flow_train", "--data", "given.h5", "-o", "flow.h5", "--model.kind",
                                            "realnvp", *SMALL))
        self.put("bare.h5", {"test": x})
        missing = ("the model is conditioned on 1 values (c1), but there are no rows that have them; "
                   "give them with --context")
        with self.refusals() as refused:
            refused("flow_sample", "flow.h5", code=2, says=missing)
            refused("flow_density", "flow.h5", "bare.h5", code=2, says="bare.h5:/test has no context")
            refused("flow_sample", "flow.h5", "--context", "1,2", code=2, says="2 numbers for a model that takes 1")
            refused("flow_sample", flows.model(3), "--context", "1", code=2, says="context")
        self.put("swapped.h5", {"test": x, "feature_names": [b"b", b"a", b"c"]})
        self.put("names.h5", {"train": x, "feature_names": [b"a", b"b", b"c"]})
        self.assertSuccess(self.run_program("flow_train", "--data", "names.h5", "-o", "named.h5", *SMALL))
        with self.refusals() as refused:
            for program in ["flow_density", "flow_logdet"]:
                refused(program, "named.h5", "swapped.h5", code=3,
                        says="swapped.h5:/test: the columns are in the order b, a, c; the model has the order a, b, c")
        run = self.run_program("flow_check", "flow.h5", ranks=2)  # which has told by then what the file holds
        self.assertEqual(run.returncode, 2)
        self.assertEqual(run.stderr.count(f"flow_check: {missing}"), 1)


class Options(BadInputTest):
    def test_keys_that_are_unknown(self):
        self.write("run.toml", "[train]\nlerning_rate = 0.1\n")
        self.write("other.toml", "sead = 1\n")
        with self.refusals() as refused:
            refused("flow_train", "run.toml", code=2, says="run.toml, line 2: unknown key train.lerning_rate (did you "
                                                           "mean 'train.learning_rate'?)")
            refused("flow_train", "--train.lerning_rate", 0.1, code=2,
                    says="unknown flag --train.lerning_rate (did you mean '--train.learning_rate'?)")
            refused("flow_train", "absent.toml", code=5, says="cannot read absent.toml: No such file")
            for name in ["flow_density", "flow_sample", "flow_check"]:
                refused(name, flows.model(2), "--sead", 1, code=2, says="unknown flag --sead", ranks=2)
                refused(name, flows.model(2), "--config", "other.toml", code=2, ranks=0,
                        says="other.toml, line 1: unknown key sead")

    def test_values_out_of_range_in_training(self):
        self.write("run.toml", "[model]\nlipschitz = 1.5\n")
        with self.refusals() as refused:
            refused("flow_train", "run.toml", code=2, says="run.toml, line 2: model.lipschitz = 1.5: must be more")
            refused("flow_train", "--data", f"{flows.data(2)}:/train", "--data.fractions", "0.5,0.6,0", code=2,
                    says="add up to 1")
            for key, value, says in [
                    ("train.batch", 0, "at least 1"), ("train.steps", 0, "at least 1"),
                    ("train.learning_rate", 0, "more than 0"), ("train.learning_rate", "nan", "a number"),
                    ("train.beta1", 1, "at least 0 and less than 1"), ("train.seed", -1, "at least 0"),
                    ("train.optimizer", "sgd", "one of adam, adamw, adamax"), ("train.schedule", "linear", "one of"),
                    ("train.workspace", 0, "more than 0"), ("model.lipschitz", 1, "more than 0 and less than 1"),
                    ("model.blocks", -1, "between 0 and"), ("model.blocks", 10**12, "between 0 and"),
                    ("model.hidden", "8,0", "between 1 and"), ("model.activation", "gelu", "one of auto, lipswish"),
                    ("model.kind", "glew", "one of"), ("model.precision", "half", "one of float, double"),
                    ("data.toy", "moon", "one of checkerboard"), ("data.rows", 9, "at least 10"),
                    ("data.standardize", "minmax", "one of auto, none, unit, scale, whiten")]:
                refused("flow_train", f"--{key}", value, code=2, ranks=0,
                        says=f"flag --{key}: {key} = {value}: must be {says}")

    def test_values_out_of_range_elsewhere(self):
        with self.refusals() as refused:
            for name, key, value, says in [
                    ("flow_density", "split", "all", "one of train, validation, test"),
                    ("flow_density", "precision", "half", "one of float, double"),
                    ("flow_density", "standard_error", 0, "more than 0"),
                    ("flow_density", "standard_error", "nan", "a number"),
                    ("flow_density", "max_repeats", 7, "at least 8"), ("flow_density", "seed", -1, "at least 0"),
                    ("flow_sample", "rows", 0, "at least 1"), ("flow_sample", "tolerance", 0, "more than 0"),
                    ("flow_sample", "method", "bisection", "one of anderson, newton"),
                    ("flow_sample", "max_iterations", 0, "between 1"), ("flow_check", "rows", 0, "at least 1"),
                    ("flow_check", "tolerance", "nan", "a number")]:
                refused(name, flows.model(2), f"--{key}", value, code=2, ranks=0,
                        says=f"{key} = {value}: must be {says}")

    def test_arguments_that_are_missing(self):
        with self.refusals() as refused:
            for name in ["flow_density", "flow_sample", "flow_check"]:
                refused(name, code=2, says="MODEL is required", ranks=2)
            refused("flow_density", flows.model(2), code=2, says="nothing to evaluate: give DATA, --grid or both")


class Outputs(BadInputTest):
    """Names that cannot be written to, found before anything is computed."""

    def runs(self):
        """Programs that write, and what they are to work on."""
        return [("flow_train", ["--data", flows.data(2), *SMALL]), ("flow_density", [flows.model(2), flows.data(2)]),
                ("flow_sample", [flows.model(2)])]

    def assertNotWritten(self, path, says):
        with self.refusals() as refused:
            for name, arguments in self.runs():
                refused(name, *arguments, "-o", path, code=5, says=says)
            refused("flow_train", *self.runs()[0][1], "--output.history", path, code=5, says=says)

    def test_no_such_folder(self):
        self.assertNotWritten("none/out", "cannot write none/out: there is no folder none")

    def test_a_folder_or_a_device_of_that_name(self):
        (self.folder / "taken").mkdir()
        self.assertNotWritten("taken", "cannot write taken: there is something of that name, not a file")
        self.assertNotWritten("/dev/full", "cannot write /dev/full: there is something of that name")

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_folder_without_permission(self):
        (self.folder / "closed").mkdir(mode=0o555)
        self.assertNotWritten("closed/out", "cannot write closed/out: folder closed: Permission denied")

    def test_an_output_must_not_replace_an_input(self):
        self.copy(flows.data(2), "data.h5")
        self.copy(flows.model(2), "model.h5")
        (self.folder / "link.h5").symlink_to("data.h5")
        train = ["--data", "data.h5", *SMALL]
        with self.refusals() as refused:
            for name, arguments, says in [
                    ("flow_train", [*train, "-o", "data.h5"], "data.file and output.model are the same file, data.h5"),
                    ("flow_train", [*train, "-o", "link.h5"], "data.file and output.model are the same file, link.h5"),
                    ("flow_train", [*train, "--output.history", "./data.h5"], "data.file and output.history are the"),
                    ("flow_train", [*train, "-o", "n.csv"], "output.model and output.history are the same file, n.csv"),
                    ("flow_density", ["model.h5", "data.h5", "-o", "model.h5"], "MODEL and --output are the same file"),
                    ("flow_density", ["model.h5", "data.h5:/test", "-o", "data.h5"], "DATA and --output are the same"),
                    ("flow_sample", ["model.h5", "-o", "model.h5"], "MODEL and --output are the same file, model.h5"),
                    ("flow_data", ["import", "data.h5:/train", "-o", "data.h5"], "INPUT and --output are the same")]:
                refused(name, *arguments, code=2, says=says, ranks=2)


class FullDisk(BadInputTest):
    """Limits on the size of files stand in for a full disk."""

    LIMIT = 64 << 20  # bytes; above what MPI needs for itself

    def limit_files(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.LIMIT, self.LIMIT))

    def assertTooLarge(self, name, *arguments):
        with self.refusals(at_once=1) as refused:
            for ranks in [0, 2]:
                refused(name, *arguments, "-o", "density.h5", code=5, ranks=ranks, preexec_fn=self.limit_files,
                        says="MB for density.h5: File too large")

    def test_samples(self):
        self.assertTooLarge("flow_sample", flows.model(2), "-n", 10_000_000)

    def test_densities(self):
        with h5py.File(self.folder / "rows.h5", "w") as file:
            file.create_dataset("x", (3_000_000, 2))  # takes no space: nothing is written
        self.assertTooLarge("flow_density", flows.model(2), "rows.h5:x")
        self.assertTooLarge("flow_density", flows.model(2), "--grid", "0:1:3000,0:1:3000")

    def lines_of_history(self):
        """0 while the run has moved the old history aside and not yet begun its own."""
        try:
            return (self.folder / "flow.csv").read_text().count("\n")
        except FileNotFoundError:
            return 0

    def end_with_limit(self, limit, *arguments, ranks):
        """Trains until the history has begun; from then on no file may grow beyond `limit` bytes. Gives what the run
        says at its end."""
        process = subprocess.Popen(command("flow_train", "--data", flows.data(2), *SMALL, "--output.every", 10,
                                           *arguments, ranks=ranks), cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        end = time.monotonic() + TIME_LIMIT
        while self.lines_of_history() < 2:
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.02)
        pids = [process.pid] if ranks == 0 else [
            int(pid) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()]
        self.assertEqual(len(pids), max(ranks, 1))
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
        stdout, stderr = process.communicate(timeout=TIME_LIMIT)
        self.assertEqual(process.returncode, 5, stderr)
        self.assertEqual(stderr.count("flow_train: "), 1, stderr)
        self.assertEqual((self.folder / "flow.h5").read_text(), "what flow.h5 held before")
        self.assertEqual(self.files(), sorted([*OUTPUTS, "flow.csv.old"]))
        return stderr

    def test_the_model(self):
        # A model of some 100 kB, a history of far less.
        big = ["--model.hidden", "100,100", "--train.steps", 1000, "--output.every", 20, "--train.validate_every", 500]
        for ranks in [0, 2]:
            stderr = self.end_with_limit(20_000, *big, ranks=ranks)
            self.assertIn("flow_train: writing flow.h5: File too large", stderr)
            self.assertIn("nothing was changed under that name", stderr)
            (self.folder / "flow.csv.old").unlink()
            self.write("flow.csv", "")

    def test_standard_output(self):
        for name, arguments in [("flow_density", [flows.model(2), flows.data(2)]), ("flow_sample", [flows.model(2)]),
                                ("flow_check", [flows.model(2)]), ("flow_train", ["--data", flows.data(2), *SMALL])]:
            with open("/dev/full", "w") as full:
                run = self.run_program(name, *arguments, stdout=full)
            self.assertEqual(run.returncode, 5, run.stderr)
            self.assertIn(f"{name}: cannot write to standard output: No space left on device", run.stderr)


cases.main()
