"""Options of all programs but flow_train reach their use: for every flag, another value changes what they leave."""

import concurrent.futures
import functools
import os
import pathlib
import re
import subprocess
import tempfile

import h5py
import numpy as np

import cases
import flows
from harness import TIME_LIMIT, command

# Flags that all programs have; test_common.py is about them.
COMMON = {"--help", "--version", "--config", "--print-config", "--dry-run"}

# Parts of what a program leaves.
ARRAYS, FILES, TEXT, COST, CODE = "arrays", "files", "text", "cost", "code"


@functools.cache
def inputs():
    """A folder with models, their data and tables."""
    here = flows.kept_folder()
    flows.write_h5(here / "data.h5", flows.split_rows(2, 200))
    conditional = flows.split_rows(2, 200)
    conditional |= {f"context/{split}": x[:, :1] ** 2 for split, x in conditional.items()}
    flows.write_h5(here / "conditional_data.h5", conditional)
    vectors = {split: x / np.linalg.norm(x, axis=1)[:, None] for split, x in flows.split_rows(3, 200).items()}
    flows.write_h5(here / "sphere_data.h5", vectors, spheres=np.ones(3))
    continuous = ["--model.kind", "continuous"]
    for data, model, *flags in [("data.h5", "model.h5"), ("conditional_data.h5", "conditional.h5"),
                                ("data.h5", "continuous.h5", *continuous),
                                ("data.h5", "matching.h5", *continuous, "--objective.kind", "flow_matching"),
                                ("conditional_data.h5", "guided.h5", *continuous, "--objective.kind", "flow_matching",
                                 "--objective.unconditional", 0.2),
                                ("data.h5", "limit.h5", *continuous, "--model.density", "continuous"),
                                ("sphere_data.h5", "sphere.h5", *continuous)]:
        subprocess.run(command("flow_train", "--data", here / data, "-o", here / model, *flows.small(*flags)),
                       check=True, capture_output=True, timeout=TIME_LIMIT)
    flows.write_h5(here / "array.h5", {"x": np.arange(12.0).reshape(4, 3) ** 2})
    generator = np.random.default_rng(3)
    x = np.round(generator.normal(size=(60, 4)), 3)
    table = np.column_stack([x, np.arange(60) % 3, 1 + np.arange(60) % 5, np.full(60, 7)])
    lines = [",".join(map(str, row)) for row in table]
    header = "a,b,c,d,class,weight,constant"
    (here / "table.csv").write_text("\n".join([header, *lines]) + "\n")
    (here / "other.csv").write_text("\n".join([header, *reversed(lines[:20])]) + "\n")
    (here / "numbers.csv").write_text("\n".join(lines) + "\n")
    (here / "twice.csv").write_text("\n".join([header, *lines, *lines[:9]]) + "\n")
    (here / "missing.csv").write_text("\n".join([header, *lines, "nan,1,2,3,0,1,7"]) + "\n")
    return here


def flag(*changed, base="", part=ARRAYS):
    """Arguments that are appended, one change each, to those of the program and to `base`, words in one text."""
    return [(base.split(), words.split(), part) for words in changed]


SERIES = "model.h5 data.h5 --method series:3"
CONDITIONAL = "conditional.h5 data.h5 --context 4"
GRID = "conditional.h5 --context 4 --grid 0:4:3,0:4:3"
MAKE = "moons --rows 50 -o made.h5"
TABLE = "table.csv -o imported.h5"
TRAIN = "--train table.csv -o imported.h5"
# By program: flags with changes. Files are those of inputs().
PROGRAMS = {
    "flow_density": {
        "--output": flag("-o other.h5", base="model.h5 data.h5", part=FILES),
        "--split": flag("--split train", "--split validation", base="model.h5 data.h5"),
        "--context": flag("--context 5", base=CONDITIONAL),
        "--grid": flag("--grid 0:1:3,0:4:3", base=GRID),
        "--precision": flag("--precision float", base="model.h5 data.h5"),
        "--method": flag("--method series:3", base="model.h5 data.h5"),
        "--standard_error": flag("--standard_error 1e-4", base=f"{SERIES} --max_repeats 20"),
        "--max_repeats": flag("--max_repeats 30", base=f"{SERIES} --max_repeats 20 --standard_error 1e-4"),
        "--steps": flag("--steps 2", base="continuous.h5 data.h5"),
        "--solver": flag("--solver euler", base="continuous.h5 data.h5 --steps 2"),
        "--tolerance": flag("--tolerance 1e-9", base="limit.h5 data.h5"),
        "--guidance": flag("--guidance 2", "--guidance 0", base="guided.h5 conditional_data.h5"),
        "--seed": flag("--seed 2", base=SERIES),
    },
    "flow_sample": {
        "--rows": flag("-n 6", base="model.h5 -n 5"),
        "--output": flag("-o other.h5", base="model.h5", part=FILES),
        "--seed": flag("--seed 2", base="model.h5"),
        "--latents": flag("--latents data.h5:/train", base="model.h5"),
        "--context": flag("--context 5", base="conditional.h5 --context 4"),
        "--geographic": flag("--geographic", base="sphere.h5"),
        "--precision": flag("--precision float", base="model.h5"),
        "--method": flag("--method newton", base="model.h5"),
        "--tolerance": flag("--tolerance 1e-3", base="model.h5"),
        "--max_iterations": flag("--max_iterations 1", base="model.h5"),
        "--steps": flag("--steps 2", base="continuous.h5"),
        "--solver": flag("--solver euler", base="continuous.h5 --steps 2"),
        "--sde": flag("--sde 1", "--sde 2", base="matching.h5 --sde 0.5"),
        "--guidance": flag("--guidance 2", base="guided.h5 --context 4"),
        "--log_prob_tolerance": flag("--log_prob_tolerance 1e-9", base="limit.h5"),
    },
    "flow_check": {
        "--split": flag("--split train", base="model.h5 data.h5", part=TEXT),
        "--context": flag("--context 5", base=CONDITIONAL, part=TEXT),
        "--rows": flag("--rows 30", base="model.h5 --rows 20", part=TEXT),
        "--jacobians": flag("--jacobians 9", base="model.h5", part=TEXT),
        "--seed": flag("--seed 2", base="model.h5", part=TEXT),
        "--tolerance": flag("--tolerance 1e-300", base="model.h5", part=CODE),
    },
    "flow_logdet": {
        "--method": flag("--method krylov:1", base=SERIES),
        "--output": flag("-o other.h5", base=SERIES, part=FILES),
        "--split": flag("--split train", base=SERIES),
        "--context": flag("--context 5", base=f"{CONDITIONAL} --method series:3"),
        "--rows": flag("--rows 10", base=SERIES),
        "--repeats": flag("--repeats 10", base=SERIES),
        "--probes": flag("--probes 2", base=SERIES),
        "--budget": flag("--budget 48", base=SERIES, part=COST),
        "--gradient": flag("--gradient", base=SERIES),
        "--spectrum": flag("--spectrum", base=SERIES),
        "--seed": flag("--seed 2", base=SERIES),
        "--precision": flag("--precision float", base=SERIES),
    },
    "flow_data make": {
        "--rows": flag("--rows 60", base=MAKE),
        "--output": flag("-o other.h5", base=MAKE, part=FILES),
        "--precision": flag("--precision float", base=MAKE),
        "--split": flag("--split 0.6,0.2,0.2", base=MAKE),
        "--seed": flag("--seed 2", base=MAKE),
    },
    "flow_data import": {
        "--train": flag("--train table.csv", base="other.csv -o imported.h5"),
        "--validation": flag("--validation other.csv", base=TRAIN),
        "--test": flag("--test other.csv", base=TRAIN),
        "--validation-fraction": flag("--validation-fraction 0.3", base=TRAIN),
        "--header": flag("--header yes", base="numbers.csv -o imported.h5"),
        "--separator": flag("--separator semicolon", base=TABLE, part=CODE),
        "--decimal": flag("--decimal comma", base=TABLE, part=CODE),
        "--columns": flag("--columns a,b", base=TABLE),
        "--exclude": flag("--exclude a,b", base=TABLE),
        "--weight": flag("--weight weight", base=TABLE),
        "--context": flag("--context class", base=TABLE),
        "--one-hot": flag("--one-hot class", base=f"{TABLE} --context class"),
        "--periodic": flag("--periodic a", base=TABLE),
        "--degrees": flag("--degrees", base=f"{TABLE} --periodic a"),
        "--sphere": flag("--sphere a,b", base=TABLE),
        "--image": flag("--image 2,2", base=f"{TABLE} --columns a,b,c,d"),
        "--drop-nonfinite": flag("--drop-nonfinite", base="missing.csv -o imported.h5", part=CODE),
        "--drop-duplicates": flag("--drop-duplicates", base="twice.csv -o imported.h5"),
        "--transpose": flag("--transpose yes", base="array.h5 -o imported.h5"),
        "--drop-constant": flag("--drop-constant", base=TABLE),
        "--dequantize": flag("--dequantize class", "--dequantize auto", base=TABLE),
        "--shift": flag("--shift a=1", base=TABLE),
        "--divide": flag("--divide a=2", base=TABLE),
        "--output": flag("-o other.h5", base=TABLE, part=FILES),
        "--precision": flag("--precision float", base=TABLE),
        "--split": flag("--split 0.6,0.2,0.2", base=TABLE),
        "--seed": flag("--seed 2", base=TABLE),
    },
    "flow_data info": {},
}


def words_of(program, base, changed):
    """The command, with the paths of inputs. If a flag is given twice the last counts."""
    names = {path.name for path in inputs().iterdir()}
    return [str(inputs() / word) if word.partition(":")[0] in names else word for word in [*program.split(), *base, *changed]]


def observe(words):
    """The result of a command, by parts."""
    here = pathlib.Path(tempfile.mkdtemp(dir=inputs()))
    run = subprocess.run(command(*words), cwd=here, stdin=subprocess.DEVNULL, text=True, capture_output=True,
                         timeout=TIME_LIMIT)
    arrays = {}
    for path in here.iterdir():
        arrays |= {name: (a.dtype, a.shape, a.tobytes() if a.dtype != object else list(a))
                   for name, a in flows.read_h5(path).items() if "seconds" not in name}
        arrays |= {f"/{name}": value for name, value in attributes(path).items()}
    return {CODE: run.returncode, TEXT: run.stdout, FILES: sorted(os.listdir(here)), ARRAYS: arrays,
            COST: [line.split()[-1] for line in run.stdout.splitlines() if line.startswith("series:")],
            "errors": run.stderr}


def attributes(path):
    """Attributes of the root that describe columns and rows."""
    with h5py.File(path) as file:
        return {name: list(np.atleast_1d(value)) for name, value in file.attrs.items()
                if name in ("image_shape", "periodic", "spheres")}


class ProgramOptions(flows.FlowTest):
    def test_every_flag_has_a_change(self):
        for program, changes in PROGRAMS.items():
            text = self.succeed(*program.split(), "--help").stdout
            flags = {re.findall(r"--[\w-]+", line)[0] for line in text.splitlines() if re.match(r"  -", line)}
            self.assertEqual(flags - COMMON, changes.keys(), program)

    def test_another_value_changes_the_result(self):
        inputs()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            run = functools.cache(lambda *words: pool.submit(observe, words))
            subjects = [
                (f"{program} {name}", run(*words_of(program, base, [])), run(*words_of(program, base, changed)), part)
                for program, flags in PROGRAMS.items()
                for name, changes in flags.items() for base, changed, part in changes]
        for name, first, other, part in subjects:
            with self.subTest(name):
                first, other = first.result(), other.result()
                self.assertTrue(part == CODE or first[CODE] == other[CODE] == 0, first["errors"] + other["errors"])
                self.assertNotEqual(first[part], other[part])

    def test_the_same_values_give_the_same_result(self):
        # The twin, without which no change would mean anything.
        for program, base in [("flow_density", SERIES), ("flow_sample", "model.h5"), ("flow_check", "model.h5"),
                              ("flow_logdet", SERIES), ("flow_data make", MAKE), ("flow_data import", TABLE)]:
            words = words_of(program, base.split(), [])
            first, again = observe(words), observe(words)
            # flow_logdet prints seconds.
            for part in [CODE, FILES, ARRAYS, COST if program == "flow_logdet" else TEXT]:
                self.assertEqual(first[part], again[part], (program, part))


cases.main()
