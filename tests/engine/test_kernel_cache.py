"""Where compiled kernels go when the package, the user's cache folder, or neither can be written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine import kernel_cache


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    """A folder that cannot be created, even by root: its parent is a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "package"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings; what `prepare` sets is undone after the test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(kernel_cache.VARIABLE, "undone after the test")
    monkeypatch.delenv(kernel_cache.VARIABLE)
    return tmp_path / "home"


def prepared(package: Path) -> Path:
    """The folder that `prepare` chooses and sets."""
    folder = kernel_cache.prepare(package)
    assert folder is not None
    assert os.environ[kernel_cache.VARIABLE] == str(folder)
    return folder


def test_in_the_package_where_it_can_be_written(tmp_path: Path) -> None:
    assert prepared(tmp_path).parent == tmp_path / "__pycache__"


def test_users_cache_folder(read_only: Path, home: Path) -> None:
    assert prepared(read_only).parent == home / ".cache" / "tengen"


def test_xdg_cache_home(read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert prepared(read_only).parent == tmp_path / "cache" / "tengen"


def test_another_source_has_another_folder(tmp_path: Path) -> None:
    source = tmp_path / "go" / "rules.py"
    source.parent.mkdir()
    source.write_text("A = 1")
    before = prepared(tmp_path)
    assert prepared(tmp_path) == before, "what a parent process of the same source chose stands"
    source.write_text("A = 2")
    assert prepared(tmp_path) != before


def test_folders_of_sources_that_are_used_no_more_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "go" / "rules.py"
    source.parent.mkdir()
    folders = {}
    for second, version in enumerate([*range(kernel_cache.KEPT), 0, kernel_cache.KEPT]):
        source.write_text(f"A = {version}")
        monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
        folders[version] = prepared(tmp_path)
        if second < kernel_cache.KEPT:  # then the first one is used again, and after it a new one
            os.utime(folders[version], (second, second))
    assert [version for version, folder in folders.items() if not folder.exists()] == [1]


def test_every_file_with_kernels_counts() -> None:
    package = Path(kernel_cache.__file__).parent
    known = {path for pattern in kernel_cache.SOURCES for path in package.glob(pattern)}
    compiled = {path for path in package.rglob("*.py") if "import njit" in path.read_text()}
    assert len(compiled) > 5
    assert compiled <= known


def test_private_temporary_folder_is_the_last_resort(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(read_only))
    folder = kernel_cache.prepare(read_only)
    assert folder is not None
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "others could plant compiled code"
        assert kernel_cache.prepare(read_only) == folder, "its children would compile anew"
    finally:
        folder.rmdir()


def test_the_users_choice_stands(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel_cache.VARIABLE, "/chosen")
    assert kernel_cache.prepare(read_only) is None
    assert os.environ[kernel_cache.VARIABLE] == "/chosen"


def test_does_not_import_numba_itself() -> None:
    program = "import engine, sys; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True)
