"""The shape of the tree: which room imports which, how long things grow, and what stands nowhere in the code.

Each rule is a function from source text to a list of complaints. It is run over the tree, which must give none, and
over a piece of bad code, which must give one.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "daybreak"
SYSTEMS = {path.name for path in (PACKAGE / "systems").iterdir() if path.is_dir()}

MIDDLE = ("data", "augment", "nn", "metrics", "games", "scenes", "draw")
RANK = {"engine": 0, **dict.fromkeys(MIDDLE, 1), "systems": 2, "report": 3, "serve": 3}
DOOR = 4  # a file beside these packages: the command line

FUNCTION_LINES, FILE_LINES, LONG_FILE_LINES = 80, 600, 400


# ----------------------------------------------------------------------------- who imports whom


def imports(module: str, tree: ast.Module, is_package: bool) -> Iterator[tuple[str, bool]]:
    """Every name that a module imports, in full, and whether that happens while the module itself is imported."""
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    parents = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        at_import = id(node) not in inside
        if isinstance(node, ast.Import):
            yield from ((name.name, at_import) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{source}.{name.name}", at_import) for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield from ((str(name.value), at_import) for name in node.args[:1] if isinstance(name, ast.Constant))


def is_allowed(importer: str, target: str, systems: set[str]) -> bool:
    """Whether one module of daybreak may import another."""
    a, b = importer.split("."), target.split(".")
    if b[:2] == ["daybreak", "__version__"]:
        return True
    from_rank = RANK.get(a[1], DOOR)
    if len(b) == 1 or b[1] == "load":  # daybreak.load opens a run directory of whatever system
        return from_rank >= RANK["systems"]
    to_rank = RANK.get(b[1], DOOR)
    if a[1] == b[1] == "systems" and len(b) > 2 and b[2] in systems:
        return a[2:3] == b[2:3]
    return to_rank < from_rank or a[1] == b[1] or from_rank == to_rank == DOOR


def wrong_arrows(module: str, source: str, is_package: bool = False, systems: set[str] = SYSTEMS) -> list[str]:
    found = imports(module, ast.parse(source), is_package)
    if module == "daybreak":
        return [f"{module} imports {name} at once" for name, at_import in found if at_import and is_ours(name)]
    return [f"{module} imports {name}" for name, _ in found if is_ours(name) and not is_allowed(module, name, systems)]


def heavy_imports_of_config(source: str) -> list[str]:
    """A config.py answers --help: the standard library, daybreak.engine.config and errors, nothing else."""
    names = [name for name, _ in imports("daybreak.systems.x.config", ast.parse(source), False)]
    light = (*sys.stdlib_module_names, "daybreak.engine.config", "daybreak.engine.errors")
    return [f"config imports {name}" for name in names if not f"{name}.".startswith(tuple(f"{x}." for x in light))]


def is_ours(name: str) -> bool:
    return name.split(".")[0] == "daybreak"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_imports_go_one_way() -> None:
    problems = [
        problem
        for path in sorted(PACKAGE.rglob("*.py"))
        for problem in wrong_arrows(module_name(path), path.read_text("utf-8"), path.stem == "__init__")
    ]
    assert problems == []


def test_configs_load_nothing_heavy() -> None:
    configs = sorted(PACKAGE.glob("systems/*/config.py"))
    assert configs, "no system has a config.py"
    assert [(path, wrong) for path in configs for wrong in heavy_imports_of_config(path.read_text("utf-8"))] == []


def test_every_package_is_a_room_of_the_architecture() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(RANK), f"give it a rank here and a line in the architecture: {rooms - set(RANK)}"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("daybreak.engine.run", "from daybreak.data import loader"),
        ("daybreak.engine.run", "import daybreak"),
        ("daybreak.engine.run", "def f():\n    from daybreak.systems.gan import train"),
        ("daybreak.engine.run", "from importlib import import_module\nimport_module('daybreak.systems.gan')"),
        ("daybreak.data.images", "from daybreak import draw"),
        ("daybreak.data.images", "from ..draw import grid"),
        ("daybreak.nn.attention", "from daybreak.systems import SYSTEMS"),
        ("daybreak.systems.gan.train", "from daybreak.systems.chess.model import Net"),
        ("daybreak.systems.gan.train", "from daybreak.systems import chess"),
        ("daybreak.systems.gan.train", "from ..chess import model"),
        ("daybreak.systems.gan.train", "from daybreak.report import page"),
        ("daybreak.systems.gan.train", "import daybreak.cli"),
        ("daybreak.systems", "from daybreak.systems.gan import train"),
        ("daybreak.report.page", "from daybreak.commands import Demo"),
        ("daybreak.report.page", "from daybreak.serve import app"),
        ("daybreak", "from daybreak.systems import load"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    assert len(wrong_arrows(module, source, systems={"gan", "chess"})) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("daybreak.engine.run", "import torch\nfrom daybreak import __version__\nfrom .device import Device"),
        ("daybreak.data.images", "from daybreak.engine.errors import UserError\nfrom . import loader"),
        ("daybreak.systems.gan.train", "from daybreak.systems.gan.model import G\nfrom . import data"),
        ("daybreak.systems.gan", "from daybreak.systems import export_lazily"),
        ("daybreak.systems.gan.evaluate", "from daybreak import draw, load"),
        ("daybreak.cli", "from daybreak import commands, report\nfrom daybreak.systems import gan"),
        ("daybreak", "def load(run):\n    from daybreak.systems import load"),
    ],
)
def test_a_right_arrow_passes(module: str, source: str) -> None:
    assert wrong_arrows(module, source, systems={"gan", "chess"}) == []


@pytest.mark.parametrize("line", ["import torch", "from daybreak.data import images", "from .model import Net"])
def test_a_config_with_a_heavy_import_is_found(line: str) -> None:
    assert len(heavy_imports_of_config(f"import math\nfrom daybreak.engine.config import RunConfig\n{line}")) == 1


# ----------------------------------------------------------------------------- size


def long_functions(source: str) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {n: (n.end_lineno or 0) - n.lineno + 1 for n in ast.walk(ast.parse(source)) if isinstance(n, kinds)}
    return [f"{node.name} has {lines} lines" for node, lines in lengths.items() if lines > FUNCTION_LINES]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def tracked() -> list[Path]:
    """The files of the repository, those not yet committed included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def test_functions_and_files_stay_short(capsys: pytest.CaptureFixture[str]) -> None:
    sources = {path.relative_to(ROOT): path.read_text("utf-8") for path in python_files()}
    lengths = {path: len(source.splitlines()) for path, source in sources.items()}
    with capsys.disabled():
        for path, lines in lengths.items():
            if LONG_FILE_LINES < lines <= FILE_LINES:
                print(f"\nwarning: {path} has {lines} lines; above {LONG_FILE_LINES} a file wants to become a folder")
    problems = [f"{path} has {lines} lines" for path, lines in lengths.items() if lines > FILE_LINES]
    problems += [f"{path}: {problem}" for path, source in sources.items() for problem in long_functions(source)]
    assert problems == []


def test_a_long_function_is_found() -> None:
    body = "    x = 1\n"
    assert long_functions("def f():\n" + body * (FUNCTION_LINES - 1)) == []
    assert long_functions("async def f():\n" + body * FUNCTION_LINES) == ["f has 81 lines"]


# ----------------------------------------------------------------------------- what stands nowhere

RUNS_CODE = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
CALLS = (
    "eval",
    "exec",
    "torch.load",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "builtins.eval",
    "builtins.exec",
)
KEYWORDS = ("shell=True", "allow_pickle=True", "weights_only=False")
BROAD = ("Exception", "BaseException")
GRAB_BAGS = ("util", "utils", "common", "base", "helper", "helpers", "misc", "manager")


def forbidden_code(source: str) -> list[str]:
    """Ways to run code that came as data, to run a shell, and to swallow an error that nobody thought of."""
    tree = ast.parse(source)
    names = [name for name, _ in imports("daybreak.x", tree, False)]
    found = [name for name in names if name in CALLS or name.split(".")[0] in RUNS_CODE]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [name for name in [ast.unparse(node.func)] if name in CALLS]
            found += [text for text in map(ast.unparse, node.keywords) if text in KEYWORDS]
        elif isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            found += [f"except {'' if kind is None else ast.unparse(kind)}" for kind in caught if is_broad(kind)]
    return found


def is_broad(kind: ast.expr | None) -> bool:
    return kind is None or ast.unparse(kind) in BROAD


def test_nothing_runs_code_from_data_or_swallows_errors() -> None:
    files = [path for path in python_files() if "tests" not in path.relative_to(ROOT).parts]
    problems = {path: forbidden_code(path.read_text("utf-8")) for path in files}
    assert {path: found for path, found in problems.items() if found} == {}


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import joblib",
        "torch.load('x')",
        "from torch import load",
        "eval('1')",
        "exec('1')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "os.system('ls')",
        "np.load('x', allow_pickle=True)",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept (ValueError, BaseException):\n    pass",
        "try:\n    f()\nexcept:\n    pass",
    ],
)
def test_forbidden_code_is_found(bad: str) -> None:
    assert len(forbidden_code(bad)) == 1


def test_code_that_only_looks_forbidden_passes() -> None:
    assert (
        forbidden_code("model.eval()\nsafetensors.torch.load_file('x')\ntry:\n    f()\nexcept OSError:\n    g()") == []
    )


def test_no_file_is_a_grab_bag() -> None:
    inside = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    assert [path for path in inside if set(path.with_suffix("").parts) & set(GRAB_BAGS)] == []


# ----------------------------------------------------------------------------- traces of a machine

MACHINE = re.compile(r"(?<![\w.])/(?:root|work|opt|home/\w+|Users/\w+)/|(?:extra-)?index-url\s*[=:]|find-links")


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1)
        if MACHINE.search(line) and path != Path(__file__)
    ]
    assert problems == []


@pytest.mark.parametrize(
    "line",
    ["cd /home/ada/daybreak", "open('/root/x')", 'index-url = "x"', "see file:///opt/x/y", "--find-links dist"],
)
def test_a_place_on_a_machine_is_found(line: str) -> None:
    assert MACHINE.search(line)


def test_the_pinned_versions_name_no_address_and_have_digests() -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    pins = re.findall(r"^[\w.-]+==.*\n(?: +--hash=sha256:[0-9a-f]{64}.*\n)?", text, re.M)
    assert "://" not in text
    assert pins
    assert [pin for pin in pins if "--hash" not in pin] == []
