"""The front door: help, version, exit statuses, and that a command is imported only when it is called."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import engine
import tengen
from engine.errors import IllegalMove

ROOT = Path(__file__).parents[1]


@pytest.fixture
def install_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Puts a command in place of the others whose entry calls `body`; returns the arguments it was called with."""

    def install(body: Callable[[], int | None], *, extra: str = "") -> list[list[str]]:
        calls: list[list[str]] = []
        module = types.ModuleType("scripted_command")
        module.main = lambda arguments: (calls.append(arguments), body())[1]
        monkeypatch.setitem(sys.modules, "scripted_command", module)
        monkeypatch.setattr(tengen, "COMMANDS", {"scripted": ("scripted_command:main", extra, "a test")})
        return calls

    return install


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tengen.main(arguments) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in tengen.COMMANDS)


@pytest.mark.parametrize("argument", ["--version", "-V", "version"])
def test_version(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tengen.main([argument]) == 0
    assert capsys.readouterr().out == f"tengen {engine.__version__}\n"


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert tengen.main(["paly", "--fast"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tengen: unknown command 'paly'; `tengen --help` lists them\n"


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_command_gets_the_other_arguments_and_gives_the_status(
    returned: int | None, status: int, install_command: Callable[..., list[list[str]]]
) -> None:
    calls = install_command(lambda: returned)
    assert tengen.main(["scripted", "--level", "3", "--help"]) == status
    assert calls == [["--level", "3", "--help"]]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (IllegalMove("D4 is occupied"), 2, "tengen: D4 is occupied\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            2,
            "in its source folder: .venv/bin/pip install -c constraints.txt -e '.[train]'\n",
        ),
    ],
)
def test_expected_ends_are_one_line_without_a_traceback(
    error: BaseException,
    status: int,
    message: str,
    install_command: Callable[..., list[list[str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_command(raising(error), extra="train")
    assert tengen.main(["scripted"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(message)
    assert captured.err.count("\n") == (1 if message else 0)


@pytest.mark.parametrize(
    ("missing", "extra"),
    [("engine.nothing", "train"), ("trainer", "train"), ("numpy", "")],
    ids=["a module of ours", "a package of ours", "a command without an extra"],
)
def test_a_broken_installation_is_no_missing_extra(
    missing: str, extra: str, install_command: Callable[..., list[list[str]]]
) -> None:
    install_command(raising(ModuleNotFoundError(f"No module named {missing!r}", name=missing)), extra=extra)
    with pytest.raises(ModuleNotFoundError, match=missing):
        tengen.main(["scripted"])


def test_reader_that_goes_away_ends_the_command_quietly() -> None:
    program = (
        "import sys, tengen, types\n"
        "module = types.ModuleType('flood')\n"
        "module.main = lambda arguments: [print('x' * 70) for _ in range(100000)] and None\n"
        "sys.modules['flood'] = module\n"
        "tengen.COMMANDS['flood'] = ('flood:main', '', '')\n"
        "sys.exit(tengen.main(['flood']))\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_help_imports_no_command() -> None:
    program = (
        "import sys, tengen; tengen.main(['--help'])\n"
        "heavy = {'numpy', 'numba', 'onnxruntime', 'torch', 'grpc', 'gymnasium', 'protocol', 'trainer'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", tengen.COMMANDS)
def test_every_command_has_help_of_its_own(name: str) -> None:
    command = [sys.executable, "-m", "tengen", name, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: tengen {name}")
    assert done.stderr == ""
