"""`make gtp` under a GUI: set-up steps that are noisy and greedy leave stdout and stdin to the engine.

A scripted interpreter stands in for Python and pip, so that nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GAME = "genmove b\nshowboard\nquit\n"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

SCRIPTED_PYTHON = """#!/bin/sh
echo "noise on stdout: $*"
echo "$*" >> "$LOG"
cat > /dev/null                        # eats whatever stdin it is given
case "$2" in
  *version_info*) exit {too_old} ;;
  venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && printf '#!/bin/sh\\necho tengen "$@" >> "$LOG"\\nexec cat\\n' \\
        > "$3/bin/tengen" && chmod +x "$3/bin/tengen" ;;
  pip) exit {pip_status} ;;
esac
"""


class Tree:
    """A folder with the Makefile, and an interpreter that only writes down what it was asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        self.script()

    def script(self, *, too_old: int = 0, pip_status: int = 0) -> None:
        python = self.folder / "python"
        python.write_text(SCRIPTED_PYTHON.format(too_old=too_old, pip_status=pip_status))
        python.chmod(0o755)

    def make(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = ["make", "-s", "PYTHON=./python", *arguments]
        environment = {**os.environ, "LOG": str(self.log)}
        return subprocess.run(
            command,
            cwd=folder or self.folder,
            env=environment,
            input=GAME,
            capture_output=True,
            text=True,
            check=False,
        )

    def installations(self) -> list[str]:
        """The arguments of every pip call so far."""
        return self._logged("-m pip")

    def starts(self) -> list[str]:
        """The arguments of every start of the engine so far."""
        return self._logged("tengen")

    def _logged(self, prefix: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(prefix)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_engine_has_stdin_and_stdout_to_itself(tree: Tree) -> None:
    done = tree.make("gtp")
    assert (done.returncode, done.stdout) == (0, GAME)
    assert "noise on stdout" in done.stderr
    assert "tengen: installing the engine" in done.stderr


def test_engine_alone_is_installed_and_only_once(tree: Tree) -> None:
    tree.make("gtp")
    (installation,) = tree.installations()
    assert installation.endswith("-c constraints.txt -e .")
    assert tree.make("gtp").stderr == ""
    assert len(tree.installations()) == 1


def test_changed_pins_are_installed(tree: Tree) -> None:
    tree.make("gtp")
    stamp = tree.folder / ".venv" / ".engine"
    later = stamp.stat().st_mtime + 10
    os.utime(tree.folder / "constraints.txt", (later, later))
    tree.make("gtp")
    assert len(tree.installations()) == 2


def test_kernels_are_compiled_before_the_first_game_and_after_a_change(tree: Tree) -> None:
    source = tree.folder / "engine" / "go" / "kernels.py"
    source.parent.mkdir(parents=True)
    source.touch()
    compiling = "tengen gtp --time 0.1"
    tree.make("gtp")
    tree.make("gtp")
    assert tree.starts() == [compiling, "tengen gtp", "tengen gtp"]
    later = source.stat().st_mtime + 10
    os.utime(source, (later, later))
    tree.make("gtp")
    assert tree.starts()[3:] == [compiling, "tengen gtp"]


def test_moved_folder_is_set_up_anew(tree: Tree, tmp_path: Path) -> None:
    tree.make("gtp")
    moved = tmp_path / "elsewhere"
    shutil.copytree(tree.folder, moved, ignore=shutil.ignore_patterns("elsewhere"))
    assert tree.make("gtp", folder=moved).stdout == GAME
    assert len(tree.installations()) == 2


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "$HOME and (more)"
    folder.mkdir()
    tree = Tree(folder)
    for _ in range(2):
        assert tree.make("gtp").stdout == GAME
    assert len(tree.installations()) == 1


def test_the_server_is_installed_at_once(tree: Tree) -> None:
    tree.make("serve")
    (installation,) = tree.installations()
    assert installation.endswith("-e .[serve]")


def test_everything_includes_the_engine(tree: Tree) -> None:
    tree.make(".venv/.dev")
    assert tree.make("gtp").stdout == GAME
    assert len(tree.installations()) == 1


def test_old_python_is_named(tree: Tree) -> None:
    tree.script(too_old=1)
    done = tree.make("gtp")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Python 3.11 or newer is needed" in done.stderr


def test_failed_installation_is_tried_again(tree: Tree) -> None:
    tree.script(pip_status=1)
    assert tree.make("gtp").returncode != 0
    shutil.rmtree(tree.folder / ".venv")
    tree.script()
    assert tree.make("gtp").stdout == GAME
