"""The source tree follows its rules, and each check finds what breaks its rule."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import cases
import style

ROOT = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
BUILD = pathlib.Path(os.environ["PUSHFORWARD_BUILD"])
CACHE = BUILD / "test" / "style" / "headers"


def has_formatter():
    """True where the clang-format is installed whose version decides: others format slightly differently."""
    if not shutil.which("clang-format"):
        return False
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    return " version 14." in version


class Tree(unittest.TestCase):
    """The tree as it is."""

    def assertNone(self, violations):
        violations = list(violations)
        self.assertFalse(violations, "\n" + "\n".join(violations))

    def test_spelling_of_headers_is_american(self):
        self.assertNone(style.spelling_violations(ROOT))

    def test_modules_include_only_lower_layers(self):
        self.assertNone(style.layer_violations(ROOT))

    def test_programs_share_in_layers(self):
        self.assertNone(style.app_layer_violations(ROOT))

    def test_every_room_has_a_layer(self):
        self.assertNone(style.room_violations(ROOT))

    def test_foreign_libraries_stay_in_their_modules(self):
        self.assertNone(style.foreign_violations(ROOT))

    def test_files_are_short(self):
        self.assertNone(style.length_violations(ROOT))

    def test_every_header_compiles_alone(self):
        self.assertNone(style.header_violations(ROOT, BUILD, CACHE))

    def test_suppressions_have_a_line_each(self):
        for line in (ROOT / "test" / "sanitizers.supp").read_text().splitlines():
            self.assertRegex(line, r"^(#.*|leak:\S+)$")

    @unittest.skipUnless(has_formatter(), "needs clang-format 14")
    def test_files_are_formatted(self):
        self.assertNone(style.format_violations(ROOT))


class Twins(unittest.TestCase):
    """Small trees that break one rule each."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="pushforward-test-")
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def assertFound(self, violations, *beginnings):
        violations = list(violations)
        self.assertEqual(len(violations), len(beginnings), violations)
        for violation, beginning in zip(violations, beginnings):
            self.assertTrue(violation.startswith(beginning), violation)

    def test_includes_of_higher_and_equal_layers_are_found(self):
        self.write("lib/pushforward/core/up.hpp", "#pragma once\n#include <pushforward/nn/dense.hpp>\n")
        self.write("lib/pushforward/comm/same.hpp", "#include <pushforward/linalg/blas.hpp>\n")
        self.write("lib/pushforward/nn/fine.cpp", "#include <pushforward/nn/a.hpp>\n"
                   "#include <pushforward/core/b.hpp>\n")
        self.write("lib/pushforward/odd/x.hpp", "#include <pushforward/core/b.hpp>\n")
        self.write("apps/fine.cpp", "#include <pushforward/train/trainer.hpp>\n")
        self.write("lib/pushforward/transforms/file.hpp", "#include <pushforward/h5/writer.hpp>\n")
        self.write("lib/pushforward/model/fine.hpp", "#include <pushforward/h5/writer.hpp>\n")
        self.assertFound(style.layer_violations(self.root), "lib/pushforward/comm/same.hpp:1: comm includes linalg",
                         "lib/pushforward/core/up.hpp:2: core includes nn",
                         "lib/pushforward/odd/x.hpp:1: odd or core is no module",
                         "lib/pushforward/transforms/file.hpp:1: transforms includes h5, from which it is kept apart")

    def test_includes_of_the_models_by_the_command_line_are_found(self):
        self.write("apps/cli/help.cpp", '#include "cli/help.hpp"\n#include <vector>\n#include "models/context.hpp"\n')
        self.write("apps/models/context.cpp", '#include <cli/help.hpp>\n#include <models/context.hpp>\n')
        self.write("apps/flow_train.cpp", '#include "models/context.hpp"\n#include "cli/help.hpp"\n')
        self.assertFound(style.app_layer_violations(self.root), "apps/cli/help.cpp:3: apps/cli includes apps/models")

    def test_rooms_without_a_layer_and_layers_without_a_room_are_found(self):
        for room in sorted(style.LAYERS)[1:]:
            self.write(f"lib/pushforward/{room}/a.hpp", "")
        self.write("lib/pushforward/attic/deep/a.cpp", "")
        self.write("apps/cli/a.cpp", "")
        self.write("apps/models/a.cpp", "")
        self.write("apps/cellar/a.hpp", "")
        self.assertFound(style.room_violations(self.root), "lib/pushforward/attic: is a room without a layer",
                         f"lib/pushforward/{sorted(style.LAYERS)[0]}: has a layer, but no sources",
                         "apps/cellar: is a room without a layer")

    def test_foreign_libraries_elsewhere_are_found(self):
        self.write("apps/a.cpp", "#include <mpi.h>\n")
        self.write("lib/pushforward/comm/fine.hpp", "#include <mpi.h>\n")
        self.write("lib/pushforward/dataset/a.cpp", "#include <hdf5.h>\n#include <hdf5_hl.h>\n")
        self.write("lib/pushforward/nn/a.cpp", "// dgemm_ is not called here\nvoid f() { dgemm_(nullptr); }\n")
        self.write("lib/pushforward/nn/b.cpp", "cblas_dgemm(n);\nint sum_ = dot_product_;\n")
        self.assertFound(style.foreign_violations(self.root), "apps/a.cpp:1: #include <mpi.h",
                         "lib/pushforward/dataset/a.cpp:1: #include <hdf5", "lib/pushforward/dataset/a.cpp:2: #include <hdf5",
                         "lib/pushforward/nn/a.cpp:2: dgemm_ belongs to linalg",
                         "lib/pushforward/nn/b.cpp:1: cblas_dgemm belongs to linalg")

    def test_long_files_are_found(self):
        self.write("lib/pushforward/core/long.cpp", "\n" * (style.LONGEST + 1))
        self.write("lib/pushforward/core/fine.cpp", "\n" * style.LONGEST)
        self.assertFound(style.length_violations(self.root), "lib/pushforward/core/long.cpp: 601 lines")

    def test_british_spelling_of_headers_is_found(self):
        self.write("lib/pushforward/core/a.hpp", "// Normalizes what it is otherwise; a precise, real analysis.\n"
                   "// Colours of neighbors.\nvoid initialise();\n")
        self.write("lib/pushforward/core/a.cpp", "// Behaviour.\n")
        self.assertFound(style.spelling_violations(self.root),
                         "lib/pushforward/core/a.hpp:2: 'Colour' is not", "lib/pushforward/core/a.hpp:3: 'initialise' is not")

    def test_headers_that_need_others_are_found_every_time(self):
        self.write("apps/needy.hpp", "#pragma once\nstd::string name();\n")
        self.write("apps/fine.hpp", "#pragma once\n#include <string>\nstd::string name();\n")
        for _ in range(2):
            found = style.header_violations(self.root, BUILD, self.root / "cache")
            self.assertFound(found, "apps/needy.hpp: does not compile alone")

    def test_a_header_is_compiled_again_when_what_it_includes_has_changed(self):
        self.write("apps/inner.hpp", "#pragma once\nusing Size = long;\n")
        self.write("apps/outer.hpp", '#pragma once\n#include "inner.hpp"\nSize size();\n')
        self.assertFound(style.header_violations(self.root, BUILD, self.root / "cache"))
        self.write("apps/inner.hpp", "#pragma once\n")
        later = os.path.getmtime(self.root / "apps/inner.hpp") + 60
        os.utime(self.root / "apps/inner.hpp", (later, later))
        found = style.header_violations(self.root, BUILD, self.root / "cache")
        self.assertFound(found, "apps/outer.hpp: does not compile alone")

    def test_the_compiler_is_found_behind_a_ccache(self):
        self.write("compile_commands.json", """[
            {"file": "../a.cpp", "command": "c++ -Ia -O3 -std=c++20 -c ../a.cpp"},
            {"file": "../b.cpp", "command": "/usr/bin/ccache g++ -Ib -O3 -std=c++20 -c ../b.cpp"}]""")
        self.assertEqual({path.name: words for path, words in style.compile_commands(self.root).items()},
                         {"a.cpp": ["c++", "-Ia", "-std=c++20"], "b.cpp": ["g++", "-Ib", "-std=c++20"]})

    @unittest.skipUnless(has_formatter(), "needs clang-format 14")
    def test_files_of_another_format_are_found(self):
        shutil.copy(ROOT / ".clang-format", self.root)
        self.write("apps/a.cpp", "int  f( ){return 1;}\n")
        self.write("apps/fine.cpp", "int f();\n")
        self.write("examples/b.cpp", "int  g();\n")
        self.assertFound(style.format_violations(self.root), "apps/a.cpp: not as clang-format has it",
                         "examples/b.cpp: not as clang-format has it")


cases.main()
