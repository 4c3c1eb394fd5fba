"""The tables of apps/README.md are those that the programs print, and links in all documents lead somewhere."""

import importlib.util
import re

import cases
import flows
from harness import ProgramTest

SCRIPT = flows.SOURCE / "apps" / "make_readme.py"
PROGRAMS = ["flow_check", "flow_data import", "flow_data info", "flow_data make", "flow_density", "flow_logdet",
            "flow_sample", "flow_train"]


def load_script():
    spec = importlib.util.spec_from_file_location("make_readme", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Readme(ProgramTest):
    def setUp(self):
        super().setUp()
        self.script = load_script()
        self.text = self.script.README.read_text()

    def test_tables_are_up_to_date_and_a_key_that_is_missing_or_different_is_noticed(self):
        made = self.script.tables(self.text, self.run_program)
        fresh = self.script.fill(self.text, made)
        self.assertEqual(fresh.splitlines(), self.text.splitlines(), "run apps/make_readme.py")
        lines = self.text.splitlines(keepends=True)
        row = next(i for i, line in enumerate(lines) if line.startswith("| `--train.batch`"))
        without = "".join(lines[:row] + lines[row + 1 :])
        changed = self.text.replace(lines[row], lines[row].replace("`250`", "`251`"))
        self.assertNotEqual(changed, self.text)
        for broken in [without, changed]:
            self.assertEqual(self.script.fill(broken, made), self.text)

    def test_every_program_and_command_has_its_tables(self):
        places = re.findall(r"<!-- keys of (.+?) -->", self.text)
        self.assertEqual(sorted(places), sorted([*PROGRAMS, "model.chain", "log-det methods"]))
        built = {path.stem for path in SCRIPT.parent.glob("flow_*.cpp")}
        self.assertEqual({name.split()[0] for name in PROGRAMS}, built)

    def test_rows_of_help_texts(self):
        text = "Options:\n  -n,--rows INT".ljust(45) + "rows; at least 1 [5]\n\ntrain:\n"
        text += "  --train.a_rather_long_name NUMBER_OF_IT\n" + " " * 36 + "first line\n" + " " * 36 + "second [a b]\n"
        text += "  --train.list LIST".ljust(36) + "tables [[model.chain]]\n"
        # The type begins where the second column of other lines does.
        text += "  --train.two_names,--train.a-names".ljust(36) + "NUMBER\n" + " " * 36 + "meaning [1]\n"
        self.assertEqual(self.script.entries(text),
                         [("Options", "-n,--rows INT", "rows; at least 1 [5]"),
                          ("train", "--train.a_rather_long_name NUMBER_OF_IT", "first line second [a b]"),
                          ("train", "--train.list LIST", "tables [[model.chain]]"),
                          ("train", "--train.two_names,--train.a-names NUMBER", "meaning [1]")])
        self.assertEqual(self.script.split_default("second [a b]"), ("second", "a b"))
        self.assertEqual(self.script.split_default("tables [[model.chain]]"), ("tables [[model.chain]]", ""))
        self.assertEqual(self.script.name_and_type("-n,--rows INT"), ("`--rows`, `-n`", "INT"))


def documents():
    """The documents of the source tree, without those of build folders."""
    for path in sorted(flows.SOURCE.rglob("*.md")):
        if not any((folder / "build.ninja").exists() for folder in path.parents):
            yield path


def broken_links(path, text):
    """Relative links that lead to no file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name = target.partition("#")[0]
        if name and "://" not in name and not (path.parent / name).exists():
            yield target


class Documents(ProgramTest):
    def test_links_lead_to_files(self):
        found = 0
        for path in documents():
            text = path.read_text()
            found += text.count("](")
            self.assertEqual(list(broken_links(path, text)), [], path)
        self.assertGreater(found, 30)

    def test_a_missing_file_is_noticed(self):
        text = "[a](lib/README.md#rooms) [b](https://x.y/z) [c](#here) [d](lib/READYOU.md)"
        self.assertEqual(list(broken_links(flows.SOURCE / "README.md", text)), ["lib/READYOU.md"])


cases.main()
