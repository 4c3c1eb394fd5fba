#!/usr/bin/python3
"""Writes the tables of keys in apps/README.md, from what the programs themselves say.

    apps/make_readme.py [FOLDER_OF_PROGRAMS]      default: build/apps

The text between a line `<!-- keys of PROGRAM [COMMAND] -->` and the next line `<!-- end -->` is replaced by a table
for each group of the program's --help. The text after `<!-- keys of model.chain -->` is replaced by a table of the
keys of each transform, from flow_train --print-config, and that after `<!-- keys of log-det methods -->` by a table of
the keys of each method, from flow_train --kinds. Where a key takes one of the kinds of a registry that data/README.md
describes, the table has a link in place of their names. A test compares the file with a fresh generation.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

README = pathlib.Path(__file__).resolve().parent / "README.md"
COLUMN = 36  # where --help begins its second column
PLACE = re.compile(r"(<!-- keys of (.+?) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)

# The registries that data/README.md describes, and where.
DESCRIBED = {"activations": "networks", "base densities": "base-densities", "scalar maps": "transforms-with-a-network"}

# Flags that every program has; README.md describes them once, by hand.
COMMON = {"-h,--help", "--version", "--config FILE", "--print-config", "--dry-run"}


def entries(help_text):
    """(group, left column, right column) of each option in the text of --help."""
    group, found = "", []
    for line in help_text.splitlines():
        if not line.strip():
            group = ""
        elif re.fullmatch(r"\S+:", line):
            group = line[:-1]
        elif group and line.startswith(" " * COLUMN):
            found[-1][2].append(line.strip())
        elif group and re.match(r"  \S", line):
            left, right = line[:COLUMN].strip(), line[COLUMN:].strip()
            is_type = re.fullmatch(r"\[?[A-Z_]+\]?", right)
            # The left column may be too long for a second one, also if it has a blank just before that column.
            if len(line) > COLUMN and (line[COLUMN - 1] != " " or is_type):
                left, right = line.strip(), ""
            found.append((group, left, [right]))
    return [(group, left, " ".join(filter(None, right))) for group, left, right in found]


def split_default(text):
    """The meaning, and the default that ends the text in brackets."""
    match = re.fullmatch(r"(.*?) ?(?<!\[)\[([^\[\]]*)\]", text, re.DOTALL)
    return (match[1], match[2]) if match else (text, "")


def cell(text):
    return text.replace("|", "\\|")


def code(text):
    return f"`{text}`" if text else ""


def name_and_type(left):
    """The names of a flag or an argument, and the type of its value."""
    words = left.split()
    names = sorted(words[0].split(","), key=lambda name: (not name.startswith("--"), -len(name)))
    return ", ".join(code(name) for name in names), " ".join(words[1:])


def table(rows):
    """A table of (left column, right column) of --help."""
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for left, right in rows:
        names, kind = name_and_type(left)
        meaning, default = split_default(right)
        yield f"| {names} | {kind.replace('[BOOL]', 'BOOL')} | {cell(code(default))} | {cell(meaning)} |"


def registries(run):
    """{section: [(kind, key, meaning with default)]} of what flow_train --kinds prints; key is "" for the kind."""
    sections = {}
    for line in run("flow_train", "--kinds").stdout.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 0 and line:
            rows = sections.setdefault(line.split(":")[0], [])
        elif indent == 2:
            kind, _, meaning = line.strip().partition(" ")
            rows.append([kind, "", meaning.strip()])
        elif indent == 4:
            key, _, meaning = line.strip().partition(" ")
            rows.append([rows[-1][0], key, meaning.strip()])
        elif line:
            rows[-1][2] += " " + line.strip()
    return sections


def method_table(run):
    """A table of the keys of all log-det methods."""
    yield "| method | key | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for kind, key, text in registries(run)["log-det methods"]:
        meaning, default = split_default(text) if key else (text, "")
        yield f"| {code(kind)} | {code(key)} | {code(default)} | {cell(meaning)} |"
    yield ""


def linked(text, sections):
    """The text with a link to the format's description in place of the names of all kinds of a registry."""
    for section, place in DESCRIBED.items():
        kinds = [kind for kind, key, _ in sections[section] if not key]
        text = text.replace("one of " + ", ".join(kinds), f"one of the [{section}](../data/README.md#{place})")
    return text


def program_tables(run, words):
    """The tables of a program, or of one of its commands."""
    groups = {}
    sections = registries(run)
    help_text = run(*words, "--help").stdout
    for group, left, right in entries(help_text):
        if left not in COMMON and group != "Commands":
            groups.setdefault(group, []).append((left, linked(right, sections)))
    for group, rows in groups.items():
        if len(groups) > 1:
            yield {"Positionals": "Arguments", "Options": "Flags"}.get(group, f"Keys of `[{group}]`") + ":"
            yield ""
        yield from table(rows)
        yield ""


def transform_kinds(run, folder):
    """The kinds of transforms that flow_train knows."""
    config = folder / "unknown.toml"
    config.write_text('[model]\nkind = "chain"\n[[model.chain]]\nkind = "?"\n')
    refusal = run("flow_train", config, "--print-config").stderr
    kinds = re.search(r"there are ([\w, ]+)$", refusal.strip())
    if not kinds:
        raise RuntimeError(f"no kinds of transforms in: {refusal}")
    return kinds[1].split(", ")


def chain_tables(run):
    """A table of the keys of all transforms, from the comments and values of --print-config."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        kinds = transform_kinds(run, folder)
        config = folder / "chain.toml"
        rows = []
        for kind in kinds:
            config.write_text(f'[model]\nkind = "chain"\n[[model.chain]]\nkind = "{kind}"\n')
            printed = run("flow_train", config, "--print-config").stdout
            keys = printed.partition("[[model.chain]]\n")[2]
            keys = re.findall(r"# (.*)\n(\w+) = (.*)\n", keys)
            rows += [(kind, key, value, help_text) for help_text, key, value in keys] or [(kind, "", "", "no keys")]
    yield "| transform | key | default | meaning |"
    yield "| --- | --- | --- | --- |"
    sections = registries(run)
    for kind, key, value, help_text in rows:
        yield f"| {code(kind)} | {code(key)} | {cell(code(value))} | {cell(linked(help_text, sections))} |"
    yield ""


def tables(text, run):
    """The tables of each place in the text, by its name. run(PROGRAM, ARGUMENTS...) gives the completed process."""
    made = {}
    for name in (match[2] for match in PLACE.finditer(text)):
        special = {"model.chain": chain_tables, "log-det methods": method_table}
        made[name] = list(special[name](run) if name in special else program_tables(run, name.split()))
    return made


def fill(text, made):
    """The text with these tables in their places."""
    return PLACE.sub(lambda match: match[1] + "\n" + "\n".join(made[match[2]]).strip() + "\n\n" + match[4], text)


def main():
    root = README.parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "build" / "apps"

    def run(program, *arguments):
        return subprocess.run([folder / program, *arguments], text=True, capture_output=True, check=False)

    text = README.read_text()
    README.write_text(fill(text, tables(text, run)))


if __name__ == "__main__":
    main()
