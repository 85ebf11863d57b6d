"""The plan of the house, read from the syntax trees of its modules: who may import whom, and the limits on each module.

Every rule is a function from a module to its offences; each is also shown a module that breaks it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "protocol", "tournament", "trainer")
GENERATED = ("engine_pb2", "engine_pb2_grpc")

# What a folder may import, of ours and of others. The longest prefix of a module's name decides.
OURS = {
    "tengen": {"engine"},
    "engine": {"engine"},
    "engine.go": {"engine.errors", "engine.go"},
    "engine.model": {"engine.errors", "engine.go.features", "engine.go.rules", "engine.model", "engine.__version__"},
    "engine.search": {"engine.errors", "engine.search", "engine.model.contract"},
    "engine.search.clock": {"engine.errors", "engine.search", "engine.go.rules"},  # a clock has a side for each colour
    "protocol": {"engine", "protocol"},
    "protocol.gtp": {"engine", "protocol.gtp"},
    "tournament": {"engine", "protocol", "tournament"},
    "trainer": {"engine", "trainer"},
}
GRPC = {"google", "grpc", "grpc_health", "grpc_reflection", "grpc_status"}
THEIRS = {
    "tengen": set[str](),
    "engine": {"numba", "numpy"},
    "engine.go": {"numba", "numpy", "sgfmill"},
    "engine.model.runtime": {"numpy", "onnxruntime"},
    "trainer.quantization": {"numpy", "onnx", "onnxruntime", "torch"},  # behind the other, which turns telemetry off
    "protocol": {"numpy"},
    "protocol.v1": GRPC,
    "protocol.rpc": {"numpy", *GRPC},
    "tournament": {"matplotlib", "numpy", "psutil", "rich", "scipy"},
    "trainer": {
        *{"gymnasium", "matplotlib", "msgspec", "numba", "numpy", "onnx", "onnxscript"},
        *{"ray", "rich", "safetensors", "tensorboard", "torch"},
    },
}
PICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
VAGUE_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
MAXIMUM_MODULE_LINES = 400
MAXIMUM_FUNCTION_LINES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file."""

    name: str
    """Dotted import name; a package's `__init__` has the package's name."""
    source: str
    """Its text."""
    is_package: bool = False
    """Whether it is an `__init__`."""

    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def imports(self) -> Iterator[str]:
        """The dotted names that it imports, wherever in the file; `from a import b` counts as `a.b`."""
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
                    parents = parents[: len(parents) - node.level + 1]
                    base = ".".join([*parents, base] if base else parents)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Every call as (`a.b.c`, node), for callees that are plain dotted names."""
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def read_modules() -> list[Module]:
    modules = [Module(name="tengen", source=(ROOT / "tengen.py").read_text())]
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.stem not in GENERATED:
                is_package = path.stem == "__init__"
                parts = path.relative_to(ROOT).with_suffix("").parts
                name = ".".join(parts[:-1] if is_package else parts)
                modules.append(Module(name=name, source=path.read_text(), is_package=is_package))
    return modules


MODULES = read_modules()
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def longest_prefix(table: dict[str, set[str]], name: str) -> set[str]:
    return table[max((key for key in table if within(name, key)), key=len)]


def wrong_arrows(module: Module) -> list[str]:
    """Imports of our own packages that the plan does not allow."""
    allowed = longest_prefix(OURS, module.name)
    ours = [name for name in module.imports() if name.split(".")[0] in (*PACKAGES, "tengen", "tests", "benchmarks")]
    return [name for name in ours if not any(within(name, prefix) for prefix in allowed)]


def strangers(module: Module) -> list[str]:
    """Imports of other people's packages that this folder's installation does not bring."""
    allowed = longest_prefix(THEIRS, module.name) | sys.stdlib_module_names | {*PACKAGES, "tengen"}
    return [name for name in module.imports() if name.split(".")[0] not in allowed]


def unsafe_loads(module: Module) -> list[str]:
    """Whatever can run code that hides in a data file."""
    imports = [name for name in module.imports() if name.split(".")[0] in PICKLING]
    calls = [
        callee
        for callee, call in module.calls()
        if callee in ("torch.load", "eval", "exec")
        or any(keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False" for keyword in call.keywords)
    ]
    return imports + calls


def wall_clocks(module: Module) -> list[str]:
    """Clocks that jump with the time of day, where budgets and deadlines are kept."""
    if not within(module.name, "engine"):
        return []
    return [callee for callee, _ in module.calls() if callee in ("time.time", "datetime.now", "datetime.datetime.now")]


def stray_prints(module: Module) -> list[str]:
    """Prints to stdout outside a command: in a GTP session stdout carries answers, nothing else."""
    tree = module.tree()
    is_command = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    if within(module.name, "trainer") or (is_command and not within(module.name, "protocol.gtp")):
        return []
    prints = [call for callee, call in module.calls() if callee == "print"]
    return [ast.unparse(call) for call in prints if not any(keyword.arg == "file" for keyword in call.keywords)]


def import_effects(module: Module) -> list[str]:
    """Calls made for their effect while the module is imported. Registering environments is Gymnasium's own way, and
    numba has to be told of its cache before anything imports it."""
    if module.name in ("engine", "trainer.envs"):
        return []
    calls = [node for node in module.tree().body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return [ast.unparse(node) for node in calls]


def oversize(module: Module) -> list[str]:
    lines = len(module.source.splitlines())
    offences = [f"{lines} lines, of {MAXIMUM_MODULE_LINES}"] if lines > MAXIMUM_MODULE_LINES else []
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > MAXIMUM_FUNCTION_LINES:
                offences.append(f"{node.name}: {length} lines, of {MAXIMUM_FUNCTION_LINES}")
    return offences


def unexplained(module: Module) -> list[str]:
    """A module says what it knows, is named for it, and reads its annotations late."""
    tree = module.tree()
    offences = [] if ast.get_docstring(tree) or not module.source else ["no docstring"]
    if set(module.name.split(".")) & VAGUE_NAMES:
        offences.append("a name that says nothing")
    is_code = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
    if is_code and module.name != "engine.errors" and "__future__.annotations" not in module.imports():
        offences.append("no `from __future__ import annotations`")
    return offences


RULES = [
    wrong_arrows,
    strangers,
    unsafe_loads,
    wall_clocks,
    stray_prints,
    import_effects,
    oversize,
    unexplained,
]


@every_module
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_module_keeps_the_rule(rule: Callable[[Module], list[str]], module: Module) -> None:
    assert rule(module) == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (wrong_arrows, "engine.player", "def f():\n    from protocol.gtp import wire"),
        (wrong_arrows, "engine.go.position", "import engine.search.tree"),
        (wrong_arrows, "engine.search.search", "from engine.model import onnx_evaluator"),
        (wrong_arrows, "engine.search.search", "from ..go import rules"),
        (wrong_arrows, "protocol.gtp.cli", "import protocol.rpc.server"),
        (wrong_arrows, "trainer.loop", "import protocol"),
        (strangers, "engine.player", "import torch"),
        (strangers, "engine.player", "import onnxruntime as ort"),
        (strangers, "protocol.gtp.cli", "import grpc"),
        (strangers, "trainer.loop", "import onnxruntime"),
        (strangers, "tengen", "import numpy"),
        (unsafe_loads, "trainer.checkpoint", "import torch\ntorch.load('x')"),
        (unsafe_loads, "trainer.replay", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        (unsafe_loads, "engine.player", "from pickle import loads"),
        (wall_clocks, "engine.search.clock", "import time\ntime.time()"),
        (stray_prints, "engine.player", "def f():\n    print('hello')"),
        (stray_prints, "protocol.gtp.cli", "def main():\n    print('hello')"),
        (import_effects, "engine.player", "import logging\nlogging.basicConfig()"),
        (oversize, "engine.player", "\n" * (MAXIMUM_MODULE_LINES + 1)),
        (oversize, "engine.player", "def f():\n" + "    pass\n" * MAXIMUM_FUNCTION_LINES),
        (unexplained, "engine.player", "x = 1"),
        (unexplained, "engine.utils", '"""What everyone needs."""'),
        (unexplained, "engine.player", '"""Plays."""\ndef f(): ...'),
    ],
)
def test_rule_sees_an_offence(rule: Callable[[Module], list[str]], name: str, source: str) -> None:
    assert rule(Module(name=name, source=source))


def test_relative_imports_are_resolved() -> None:
    assert list(Module(name="a.b.c", source="from . import d").imports()) == ["a.b.d"]
    assert list(Module(name="a.b", source="from . import d", is_package=True).imports()) == ["a.b.d"]
    assert list(Module(name="a.b.c", source="from ..e import d").imports()) == ["a.e.d"]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("engine.player", {"torch", "grpc", "gymnasium", "protocol", "trainer", "tournament"}),
        ("protocol.gtp.cli", {"torch", "grpc", "gymnasium", "google.protobuf", "trainer"}),
        ("protocol.rpc.cli", {"torch", "gymnasium", "trainer"}),
        ("trainer.cli", {"grpc", "protocol"}),
        ("trainer.loop", {"trainer.diagnosis", "trainer.diagnose", "trainer.evaluate", "trainer.export"}),
    ],
)
def test_running_interpreter_agrees(module: str, unwanted: set[str]) -> None:
    """What the syntax trees promise, checked on `sys.modules`: our dependencies could import theirs."""
    program = f"import sys, {module}; sys.exit(', '.join(sorted({unwanted!r} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_tests_mirror_the_packages() -> None:
    """A folder of tests is named for a package, and importlib mode needs no `__init__` below tests/."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    strange = [folder for folder in folders if folder.parts[:1] != ("golden",) and not (ROOT / folder).is_dir()]
    assert strange == []
    assert sorted((ROOT / "tests").rglob("__init__.py")) == [ROOT / "tests" / "__init__.py"]


def test_front_door_is_narrow() -> None:
    assert len((ROOT / "tengen.py").read_text().splitlines()) < 80


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]


def normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def requirements(*extras: str) -> set[str]:
    """Names of the distributions that the bare installation and these extras ask for."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    names = {requirement.split(">")[0] for requirements in lists for requirement in requirements}
    return {normal(name) for name in names if not name.startswith("tengen[")}


class TestDistribution:
    """pyproject.toml, constraints.txt and CHANGELOG.md agree with the code and with each other."""

    def test_pins_are_plain_versions_that_any_index_can_serve(self) -> None:
        assert [pin for pin in PINS if pin.count("==") != 1 or set(pin) & set("+@/ ;")] == []
        names = [normal(pin.split("==")[0]) for pin in PINS]
        assert names == sorted(set(names))

    def test_every_requirement_is_pinned(self) -> None:
        pinned = {normal(pin.split("==")[0]) for pin in PINS}
        assert requirements(*PROJECT["optional-dependencies"]) - pinned == set()

    def test_bare_installation_is_the_engine_alone(self) -> None:
        assert requirements() == {"numba", "numpy", "onnxruntime", "sgfmill"}

    @pytest.mark.parametrize(
        ("folders", "extras"),
        [(("engine", "tengen"), ()), (("protocol",), ("serve",)), (("trainer",), ("train", "cluster"))],
    )
    def test_every_import_is_required(self, folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
        imported = {name for folder, names in THEIRS.items() if folder.split(".")[0] in folders for name in names}
        distributions = {
            "google": "protobuf",
            "grpc": "grpcio",
            "grpc_health": "grpcio-health-checking",
            "grpc_reflection": "grpcio-reflection",
            "grpc_status": "grpcio-status",
        }
        assert {distributions.get(name, name) for name in imported} <= requirements(*extras)

    def test_version(self) -> None:
        """Lizzie takes an engine for outdated unless MINOR is at least 15; see CONTRIBUTING.md."""
        major, minor, patch = (int(part) for part in engine.__version__.split("."))
        assert (major, patch) >= (1, 0)
        assert minor >= 15
        assert f"\n## {engine.__version__}" in (ROOT / "CHANGELOG.md").read_text()
