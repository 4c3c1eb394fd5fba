"""Options reach their use: for every key of flow_train, another value changes the result of a short run."""

import concurrent.futures
import functools
import json
import pathlib
import re
import subprocess
import tempfile
import tomllib

import cases
import flows
import options
from harness import TIME_LIMIT, command
from options import SHORT, Change, TableChange

# Flags of flow_train that are no keys. They are those of every program, which test_common.py is about.
NO_KEYS = {"--help", "--version", "--config", "--print-config", "--dry-run", "--kinds"}


@functools.cache
def folder():
    """A folder with all datasets."""
    for name, (arrays, attributes) in options.DATA.items():
        flows.write_h5(flows.kept_folder() / f"{name}.h5", arrays, **attributes)
    return flows.kept_folder()


def run_flow_train(settings, *arguments):
    """The ended program and the folder that it ran in."""
    here = pathlib.Path(tempfile.mkdtemp(dir=folder()))
    values = dict(settings)
    for key in ["data.file", "data.source"]:
        if values.get(key):
            values[key] = str(folder() / values[key])
    (here / "run.toml").write_text(flows.toml(values))
    run = subprocess.run(command("flow_train", "run.toml", *arguments), cwd=here, stdin=subprocess.DEVNULL, text=True,
                         capture_output=True, timeout=TIME_LIMIT)
    return run, here


def configuration(settings=None):
    """The resolved configuration: value and line of help by key. Keys of a table [[model.chain]] have no prefix."""
    run, _ = run_flow_train(settings or {}, "--print-config")
    keys, prefix, comment = {}, "", ""
    for line in run.stdout.splitlines():
        if line.startswith("["):
            prefix = "" if line == "[[model.chain]]" else line.strip("[]") + "."
        elif line.startswith("# "):
            comment = line
        elif line:
            [(key, value)] = tomllib.loads(line).items()
            keys[prefix + key] = (value, comment)
    return keys


def observe(settings):
    """The result of a run, by parts."""
    run, here = run_flow_train(settings)
    result = {"code": run.returncode, "errors": run.stderr}
    if run.returncode:
        return result
    model = here / settings.get("output.model", "flow.h5")
    history = here / settings.get("output.history", model.with_suffix(".csv").name)
    arrays = flows.read_h5(model)
    _, columns = flows.read_history(history)
    del columns["seconds"]
    messages = (run.stdout + run.stderr).splitlines()
    return result | {
        options.WEIGHTS: {name: (a.shape, a.tobytes()) for name, a in arrays.items() if not name.startswith("history")},
        options.HISTORY: columns,
        options.VALIDATION: {name: texts for name, texts in columns.items() if name.startswith("validation")},
        options.FILES: sorted(path.name for path in here.iterdir()),
        options.MESSAGES: [line for line in messages if re.match("(data|run|log-det|warning) ", line)]}


class Observer:
    """Runs by their settings, each made once. Programs wait a lot when they start: some run at once."""

    def __init__(self):
        self.pool, self.futures = concurrent.futures.ThreadPoolExecutor(4), {}

    def start(self, settings):
        key = json.dumps(settings, sort_keys=True)
        folder()  # before there are threads
        if key not in self.futures:
            self.futures[key] = self.pool.submit(observe, settings)

    def __call__(self, settings):
        self.start(settings)
        return self.futures[json.dumps(settings, sort_keys=True)].result()


observer = Observer()


class OptionsTest(flows.FlowTest):
    def success(self, settings):
        result = observer(settings)
        self.assertEqual(result["code"], 0, result["errors"])
        return result

    def assertChanges(self, changes):
        """changes: (name, settings, other settings, the part of the result that must differ)."""
        for _, *pair, _ in changes:
            for settings in pair:
                observer.start(settings)
        for name, settings, other, part in changes:
            with self.subTest(name):
                self.assertNotEqual(self.success(settings)[part], self.success(other)[part])

    def assertRefused(self, refusals):
        """refusals: (name, settings), where the option of that name has no effect."""
        for _, settings in refusals:
            observer.start(settings)
        for name, settings in refusals:
            with self.subTest(name):
                self.assertRefusal(name, observer(settings))

    def assertRefusal(self, name, result):
        self.assertEqual(result["code"], 2, result["errors"])
        self.assertIn(name, result["errors"])

    def assertUsedOrRefused(self, changes):
        """changes: (name, settings, other settings, the part that must differ) of kinds without an entry. Gives the names
        that are used."""
        for _, *pair, _ in changes:
            for settings in pair:
                observer.start(settings)
        used = set()
        for name, settings, other, part in changes:
            with self.subTest(name):
                if observer(other)["code"] == 0:
                    self.assertNotEqual(self.success(settings)[part], observer(other)[part])
                    used.add(name)
                else:
                    self.assertRefusal(name, observer(other))
        return used


class Keys(OptionsTest):
    def test_every_flag_is_a_key(self):
        self.assertLessEqual(set(options.OPTIONS), set(configuration()))
        text = self.succeed("flow_train", "--help").stdout
        flags = {max(re.findall(r"--[\w.-]+", line.split("  ")[1]), key=len)
                 for line in text.splitlines() if re.match(r"  -", line)}
        self.assertEqual(flags, NO_KEYS | {f"--{key}" for key in configuration()})

    def test_another_value_changes_the_result(self):
        # Keys of base densities and objectives without an entry are used by some kinds only: class Kinds.
        others = {key: [Change(options.NICE, other)] for key, value in configuration().items()
                  if key not in options.OPTIONS and not re.match(r"(base|objective)\.(?!kind)", key)
                  and (other := options.another(*value)) is not None}
        self.assertChanges([(key, change.settings, change.settings | {key: change.value}, change.part)
                            for key, changes in (options.OPTIONS | others).items() for change in changes])

    def test_the_same_values_give_the_same_result(self):
        # The twin, without which no change would mean anything: what is compared has nothing of time or place in it.
        for settings in [options.NICE, options.RESIDUAL, options.IMAGES]:
            first, again = self.success(settings), observe(settings)
            self.assertEqual(first.keys(), again.keys())
            for part in first.keys() - {"errors"}:
                self.assertEqual(first[part], again[part], part)


def on_integers(settings):
    return settings | {"data.file": "integers.h5", "data.standardize": "none"}


def family(kind):
    """Settings of a small flow of a family on vectors."""
    settings = SHORT | {"model.kind": kind}
    if kind in ("planar", "radial", "chain"):
        del settings["model.hidden"]
    if kind == "residual":
        settings["log_det.train"] = "exact"
    if kind == "continuous":
        del settings["model.blocks"]
    if kind == "chain":
        del settings["model.blocks"]
        settings["model.chain"] = [{"kind": "coupling", "hidden": [4]}]
    return settings


class Kinds(OptionsTest):
    def names_in(self, key):
        """The values that a key may have, according to --help."""
        text = re.sub(r"\s+", " ", self.succeed("flow_train", "--help").stdout)
        return set(re.search(rf"--{key} TEXT.*?; one of (.*?) \[", text)[1].split(", "))

    def test_families_without_an_entry(self):
        kinds = self.names_in("model.kind")
        self.assertLessEqual(set(options.FAMILIES), kinds)
        short = {key: value for key, value in SHORT.items() if key not in ("model.blocks", "model.hidden")}
        changes = []
        for kind in kinds - set(options.FAMILIES):
            for key, value in options.VALUES.items():
                base = on_integers(short) | {"model.kind": kind} | ({"model.levels": 8} if key == "logit" else {})
                changes.append((f"model.{key}", base, base | {f"model.{key}": value}, options.WEIGHTS))
        self.assertUsedOrRefused(changes)

    def test_options_of_families(self):
        changes, refusals = [], []
        for kind, used in options.FAMILIES.items():
            settings = family(kind)
            for key, value in options.VALUES.items():
                base = on_integers(settings) if key in ("levels", "logit") else settings
                if key == "logit" and "logit" in used:
                    base = base | {"model.levels": 8}
                other = base | {f"model.{key}": value}
                if key in used:
                    changes.append((f"{kind}: model.{key}", base, other, options.WEIGHTS))
                else:
                    refusals.append((f"model.{key}", other))
        self.assertChanges(changes)
        self.assertRefused(refusals)

    def test_options_of_families_on_images(self):
        changes = []
        for kind, used in options.IMAGE_FAMILIES.items():
            settings = family(kind) | {"data.file": "images.h5"}
            changes += [(f"{kind}: model.{key}", settings, settings | {f"model.{key}": options.VALUES[key]},
                         options.WEIGHTS) for key in used]
        self.assertChanges(changes)

    def test_options_of_base_densities(self):
        def settings(kind, key, value):
            base = options.NICE | {"base.kind": kind}
            return f"base.{key}", base, base | {f"base.{key}": value}, options.WEIGHTS

        kinds, listed = self.names_in("base.kind"), options.BASE_VALUES
        self.assertLessEqual(set(options.BASES), kinds)
        new = {key.removeprefix("base."): options.another(*value) for key, value in configuration().items()
               if key.startswith("base.") and key not in options.OPTIONS}
        refusals = [settings(kind, key, value)[:3:2] for kind, used in options.BASES.items()
                    for key, value in listed.items() if key not in used]
        self.assertRefused(refusals)
        # Kinds and keys without an entry.
        pairs = [(kind, *item) for kind in kinds - set(options.BASES) for item in (listed | new).items()]
        pairs += [(kind, *item) for kind in options.BASES for item in new.items()]
        used = self.assertUsedOrRefused([settings(*pair) for pair in pairs])
        self.assertLessEqual({f"base.{key}" for key in new}, used)

    def test_options_of_objectives(self):
        keys = {key: options.OBJECTIVES.get(key) or Change(options.CONTINUOUS, options.another(*value))
                for key, value in configuration().items() if key.startswith("objective.") and key != "objective.kind"}
        changes = []
        for kind in self.names_in("objective.kind"):
            for key, change in keys.items():
                base = (change.settings if kind == "flow_matching" else options.NICE) | {"objective.kind": kind}
                changes.append((key, base, base | {key: change.value}, change.part))
        self.assertLessEqual(set(keys), self.assertUsedOrRefused(changes))


def chain(kind, change, value=None):
    """A chain with this transform. value: key and another value of it."""
    table = {"kind": kind} | change.table | (value or {})
    rest = [{"kind": "coupling", "mask": "first", "hidden": [3]}, {"kind": "actnorm"}]
    if kind in ("squeeze", "split") or change.data == "images.h5":
        rest = [{"kind": "scaling"}]
    return {key: setting for key, setting in SHORT.items() if key not in ("model.blocks", "model.hidden")} | {
        "model.kind": "chain", "model.chain": [table, *rest], "data.file": change.data, "data.standardize": "none"}


class Chains(OptionsTest):
    def setUp(self):
        super().setUp()
        # The message to a kind that does not exist names all that do.
        run, _ = run_flow_train({"model.chain": [{"kind": "nothing"}]}, "--print-config")
        self.kinds = re.search(r"there are (.*)", run.stderr)[1].split(", ")

    def keys(self, kind):
        keys = configuration({"model.chain": [{"kind": kind}]})
        return {key: value for key, value in keys.items() if "." not in key and key != "kind"}

    def test_another_value_changes_the_result(self):
        self.assertLessEqual(set(options.TRANSFORMS), set(self.kinds))
        changes = []
        for kind in self.kinds:
            keys, listed = self.keys(kind), options.TRANSFORMS.get(kind, {})
            self.assertLessEqual(listed.keys(), keys.keys(), kind)
            for key, value in keys.items():
                for change in listed[key] if key in listed else [TableChange({}, options.another(*value))]:
                    changes.append((f"{kind}: {key}", chain(kind, change), chain(kind, change, {key: change.value}),
                                    change.part))
        self.assertChanges(changes)

    def test_a_transform_without_keys_changes_the_result(self):
        changes = []
        for kind in [kind for kind in self.kinds if not self.keys(kind)]:
            settings = chain(kind, TableChange({}, None, "images.h5" if kind == "squeeze" else "vectors.h5"))
            without = settings | {"model.chain": settings["model.chain"][1:]}
            changes.append((kind, settings, without, options.HISTORY))
        self.assertChanges(changes)


cases.main()
