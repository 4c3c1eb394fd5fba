"""Rules on the source tree. Each function gives the violations below `root` as lines of text."""

import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

# A module includes only modules of lower layers.
LAYERS = {"core": 0, "linalg": 1, "random": 1, "comm": 1, "h5": 2, "nn": 2, "optim": 2, "table": 2, "toys": 2,
          "logdet": 3, "dataset": 3, "maps": 3, "base_density": 3, "ode": 4, "import": 4, "standardization": 4,
          "transforms": 5, "flow": 6, "model": 7, "analysis": 8, "train": 9}

# Lower modules that a module may not include all the same: only model files and what writes them know HDF5.
APART = {"transforms": {"h5"}, "flow": {"h5"}}

# Rooms of the programs, likewise. A program may include all of them.
APP_LAYERS = {"cli": 0, "models": 1}

# Headers and symbols of libraries that one module alone may use.
FOREIGN = {
    "comm": re.compile(r'#include [<"]mpi\.h'),
    "h5": re.compile(r'#include [<"](hdf5|H5)'),
    "linalg": re.compile(r'#include [<"](cblas|lapack|f77blas|openblas)|\b(cblas|LAPACKE|openblas)_\w+'
                         r"|\b[sd](gemm|gemv|ger|trsm|trmm|syrk|axpy|dot|nrm2|scal|getrf|getri|getrs|gesvd|gesdd|potrf"
                         r"|trtri|syev)_\b"),
}

LONGEST = 600  # lines of a file

# British spellings of words that the library has use for; spelling is American.
BRITISH = re.compile(r"(normal|initial|standard|optim|organ|vector|factor|general|minim|maxim|summar|recogn|parametr|"
                     r"discret|quant|serial|real|util|equal|regular)is(e|es|ed|er|ers|ing|ation|ations)\b"
                     r"|analys(e|es|ed|er)\b|(colour|behaviour|neighbour|favour|honour|artefact|centre|fulfil\b|judgement)",
                     re.IGNORECASE)

INCLUDE = re.compile(r'\s*#include [<"]pushforward/(\w+)/')
APP_INCLUDE = re.compile(r'\s*#include [<"](\w+)/')


def sources(root, *folders):
    """C++ sources and headers below folders of root, in order."""
    found = [path for folder in folders for path in (root / folder).rglob("*.?pp")]
    return sorted(path for path in found if path.suffix in (".cpp", ".hpp"))


def lines_of(root, *folders):
    """(path relative to root, line number, line) of all sources below folders of root."""
    for path in sources(root, *folders):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield path.relative_to(root), number, line


def module_of(path):
    """The module of a path in the tree; "apps" for what is outside the library."""
    return path.parts[2] if path.parts[:2] == ("lib", "pushforward") else "apps"


def layer_violations(root):
    """Includes of modules that are not of a lower layer, not known, or kept apart."""
    highest = max(LAYERS.values()) + 1
    for path, number, line in lines_of(root, "lib", "apps"):
        match = INCLUDE.match(line)
        if not match:
            continue
        own, other = module_of(path), match[1]
        if own not in LAYERS and own != "apps" or other not in LAYERS:
            yield f"{path}:{number}: {own} or {other} is no module of the design"
        elif other != own and LAYERS[other] >= LAYERS.get(own, highest):
            yield f"{path}:{number}: {own} includes {other}, which is not of a lower layer"
        elif other in APART.get(own, ()):
            yield f"{path}:{number}: {own} includes {other}, from which it is kept apart"


def app_layer_violations(root):
    """Includes among the rooms of apps that do not go down."""
    for path, number, line in lines_of(root, "apps"):
        match = APP_INCLUDE.match(line)
        own = path.parts[1]
        if not match or match[1] not in APP_LAYERS or own not in APP_LAYERS or match[1] == own:
            continue
        if APP_LAYERS[match[1]] >= APP_LAYERS[own]:
            yield f"{path}:{number}: apps/{own} includes apps/{match[1]}, which is not of a lower layer"


def room_violations(root):
    """Folders without a layer, and layers without a folder."""
    for folder, layers in [("lib/pushforward", LAYERS), ("apps", APP_LAYERS)]:
        inside = (path.relative_to(root / folder).parts for path in sources(root, folder))
        found = {parts[0] for parts in inside if len(parts) > 1}
        for room in sorted(found - set(layers)):
            yield f"{folder}/{room}: is a room without a layer"
        for room in sorted(set(layers) - found):
            yield f"{folder}/{room}: has a layer, but no sources"


def foreign_violations(root):
    """Uses of MPI's and HDF5's headers and of BLAS outside the one module that wraps them."""
    for path, number, line in lines_of(root, "lib", "apps"):
        for module, pattern in FOREIGN.items():
            match = pattern.search(line.split("//")[0])
            if match and module_of(path) != module:
                yield f"{path}:{number}: {match[0]} belongs to {module}"


def length_violations(root):
    """Files that are too long."""
    for path in sources(root, "lib", "apps", "examples"):
        count = len(path.read_text().splitlines())
        if count > LONGEST:
            yield f"{path.relative_to(root)}: {count} lines, more than {LONGEST}"


def spelling_violations(root):
    """British spellings in the headers of the library."""
    for path, number, line in lines_of(root, "lib"):
        match = BRITISH.search(line)
        if match and path.suffix == ".hpp":
            yield f"{path}:{number}: '{match[0]}' is not American spelling"


def format_violations(root):
    """Files that clang-format would change."""
    files = [path.relative_to(root) for path in sources(root, "lib", "apps", "examples", "test")]
    run = subprocess.run(["clang-format", "--dry-run", *files], cwd=root, capture_output=True, text=True)
    for name in dict.fromkeys(re.findall(r"^(.+?):\d+:\d+: warning: code should be clang-formatted", run.stderr, re.M)):
        yield f"{name}: not as clang-format has it"


def compile_commands(build):
    """The compiler with its flags by the file that it compiles, of a build folder. A ccache before it is left out."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        if os.path.basename(words[0]) == "ccache":
            del words[0]
        flags = [word for word in words[1:] if word.startswith(("-I", "-isystem", "-D", "-std="))]
        commands[(build / entry["file"]).resolve()] = [words[0], *flags]
    return commands


def is_current(depfile):
    """True when nothing that a header includes has changed since its dependency file was written."""
    if not depfile.exists():
        return False
    needed = depfile.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    written = depfile.stat().st_mtime
    return all(os.path.exists(name) and os.path.getmtime(name) <= written for name in needed)


def header_violations(root, build, cache):
    """Headers that do not compile alone, with the flags that a source of their folder has in the build folder. Those
    that compiled are not compiled again before something they include changes: `cache` holds their dependencies."""
    commands = compile_commands(build)
    default = next(iter(commands.values()))

    def check(header):
        source = next((path for path in commands if path.parent == header.parent), None)
        name = str(header.relative_to(root))
        depfile = cache / (name.replace("/", "_") + ".d")
        if is_current(depfile):
            return None
        run = subprocess.run([*commands.get(source, default), "-fsyntax-only",
                              "-x", "c++", "-MD", "-MF", str(depfile), str(header)],
                             cwd=build, capture_output=True, text=True)
        if run.returncode == 0:
            return None
        depfile.unlink(missing_ok=True)
        return f"{name}: does not compile alone:\n{run.stderr}"

    cache.mkdir(parents=True, exist_ok=True)
    headers = [path for path in sources(root, "lib", "apps") if path.suffix == ".hpp"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [violation for violation in pool.map(check, headers) if violation]
