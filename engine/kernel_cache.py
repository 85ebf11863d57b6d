"""Where compiled numba kernels are kept between two starts.

numba compiles a kernel anew when its own file has changed, but not when a kernel that it calls or a constant that it
knows has changed in another file: an upgraded engine could run old rules. So the folder is named after the source of
all kernels. Nor can numba do without a folder that it can write (a container with a read-only root, a service account
without a home): it then raises at import instead of compiling. Knows nothing of the kernels but their files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "NUMBA_CACHE_DIR"
PREFIX: Final = "tengen-kernels-"
"""How our own folders' names begin."""
KEPT: Final = 4
"""Folders of 3 MB that are kept in one place; those that have not been used for longest are removed."""
SOURCES: Final = ("go/*.py", "model/*.py", "search/*.py", "grounded.py")
"""The files of the package that kernels and their constants are in."""


def prepare(package: Path = Path(__file__).parent) -> Path | None:
    """Sets NUMBA_CACHE_DIR to a folder for this source; returns it, or None where the user has chosen one.

    It is in the package, or in the user's cache folder where that cannot be written. Where neither can, a private
    temporary folder is used: kernels are then compiled at every start, which takes some seconds. Must run before numba
    is imported, and does so with the first import of the engine.
    """
    name, chosen = PREFIX + _digest(package), Path(os.environ.get(VARIABLE, ""))
    if chosen.name.startswith(name):  # by the process that started this one, with the same source
        return chosen
    if chosen.name and not chosen.name.startswith(PREFIX):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = next((f for f in (package / "__pycache__" / name, cache / "tengen" / name) if _is_writable(f)), None)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    else:
        with suppress(OSError):  # another process does the same
            os.utime(folder)
            _prune(folder)
    os.environ[VARIABLE] = str(folder)
    return folder


def _prune(folder: Path) -> None:
    """Removes the folders beside `folder` that have not been used for longest."""
    others = [path for path in folder.parent.glob(f"{PREFIX}*") if path != folder]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _digest(package: Path) -> str:
    """Of the text of all `SOURCES`."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, which is created if need be; access bits alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
