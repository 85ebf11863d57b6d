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


def test_writable_package_is_numbas_own_business(tmp_path: Path) -> None:
    assert kernel_cache.prepare(tmp_path) is None
    assert kernel_cache.VARIABLE not in os.environ


def test_users_cache_folder(read_only: Path, home: Path) -> None:
    assert kernel_cache.prepare(read_only) == home / ".cache" / "tengen"
    assert os.environ[kernel_cache.VARIABLE] == str(home / ".cache" / "tengen")


def test_xdg_cache_home(read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kernel_cache.prepare(read_only) == tmp_path / "cache" / "tengen"


def test_private_temporary_folder_is_the_last_resort(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(read_only))
    folder = kernel_cache.prepare(read_only)
    assert folder is not None
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "others could plant compiled code"
    finally:
        folder.rmdir()


def test_the_users_choice_stands(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel_cache.VARIABLE, "/chosen")
    assert kernel_cache.prepare(read_only) is None
    assert os.environ[kernel_cache.VARIABLE] == "/chosen"


def test_does_not_import_numba_itself() -> None:
    program = "import sys; from engine import kernel_cache; kernel_cache.prepare(); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True)
