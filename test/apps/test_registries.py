"""Texts about kinds that are written by hand name every kind of the registries, with all its keys, and no other."""

import importlib.util
import re
import sys

import cases
import flows
from harness import ProgramTest

EXAMPLES = flows.SOURCE / "examples"
FORMAT = flows.SOURCE / "data" / "README.md"


def load_example(name):
    sys.path.insert(0, str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds_of(text):
    """{section: {kind: {key: help}}} of what flow_train --kinds prints."""
    sections = {}
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 0 and line:
            kinds = sections.setdefault(line.split(":")[0], {})
        elif indent == 2:
            keys = kinds.setdefault(line.split()[0], {})
        elif indent == 4:
            last = line.split()[0]
            keys[last] = line.strip()
        elif indent > 4 and keys:  # a continued line
            keys[last] += " " + line.strip()
    return sections


def named_in(text, section, until):
    """The names in backquotes that begin the rows of the tables between two headings."""
    part = text[text.index(section) :]
    part = part[: part.index(until)]
    return set(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) | set(re.findall(r"^\*\*`(\w+)`\*\*", part, re.MULTILINE))


class Registries(ProgramTest):
    def setUp(self):
        super().setUp()
        run = self.run_program("flow_train", "--kinds")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.kinds = kinds_of(run.stdout)
        self.text = FORMAT.read_text()

    def test_every_registry_is_listed_with_keys_and_help(self):
        self.assertEqual(list(self.kinds), ["families", "transforms", "scalar maps", "base densities", "activations",
                                            "objectives", "log-det methods"])
        self.assertIn("likelihood", self.kinds["objectives"])
        self.assertEqual(list(self.kinds["log-det methods"]["krylov"]), ["terms", "tol", "probe", "probes"])
        self.assertEqual(list(self.kinds["scalar maps"]), ["additive", "affine", "spline"])
        self.assertEqual(list(self.kinds["transforms"]["split"]), ["keep"])
        self.assertIn("rounded up; at least 0 (channels) [0]", self.kinds["transforms"]["split"]["keep"])

    def test_the_format_describes_every_kind_and_key(self):
        for section, begin, until in [("transforms", "### Transforms in closed form", "### Base densities"),
                                      ("base densities", "### Base densities", "## Results"),
                                      ("activations", "### Networks", "### Base densities"),
                                      ("scalar maps", "**Scalar maps**", "### Base densities")]:
            named = named_in(self.text, begin, until)
            for kind, keys in self.kinds[section].items():
                self.assertIn(kind, named, section)
                for key in keys:
                    self.assertTrue(re.search(rf"\b{key}\b", self.text), f"{section}: {kind}: {key}")
        named = named_in(self.text, "### Base densities", "## Results")
        self.assertEqual(named, set(self.kinds["base densities"]))
        self.assertNotIn("cauchy", named)

    def test_the_reader_in_numpy_knows_every_kind(self):
        transforms, density = load_example("model_transforms"), load_example("model_density")
        self.assertEqual(set(transforms.TRANSFORMS), set(self.kinds["transforms"]))
        self.assertEqual(set(transforms.ACTIVATIONS), set(self.kinds["activations"]))
        self.assertEqual(set(density.BASES), set(self.kinds["base densities"]))


cases.main()
