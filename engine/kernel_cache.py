"""Where compiled numba kernels are kept between two starts.

numba writes beside the source, and where that is read-only into the user's cache folder. When neither can be written (a
container with a read-only root, a service account without a home) it raises at import instead of compiling, so an
entry point calls `prepare` before the first kernel is imported. Knows nothing of the kernels.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def prepare(package: Path = Path(__file__).parent) -> Path | None:
    """Sets NUMBA_CACHE_DIR where numba would find no place of its own; returns the folder it set, or None.

    A folder that the user chose is left alone. Where the user's cache folder is no place either, a private temporary
    folder is used: kernels are then compiled at every start, which takes some seconds. Must run before numba is
    imported.
    """
    if VARIABLE in os.environ or _is_writable(package / "__pycache__"):
        return None
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tengen"
    if not _is_writable(folder):
        folder = Path(tempfile.mkdtemp(prefix="tengen-"))
    os.environ[VARIABLE] = str(folder)
    return folder


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, which is created if need be; access bits alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
