"""Reading and writing the user's SGF files: regular files of bounded size, inside one folder where one is given.

The controller may be a server's proxy rather than the user, so a name is never followed to a device, to a pipe or, out
of the folder, through a link.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from engine.errors import TengenError
from engine.go.record import MAX_SGF_BYTES

SGF_SUFFIX: Final = ".sgf"


class FileRefused(TengenError):
    """The file cannot be read or written, or must not be."""


def read_sgf(name: str, folder: Path | None) -> bytes:
    """The bytes of the file `name`, relative to `folder` where that is given. Raises `FileRefused`."""
    path = _inside(name, folder)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileRefused(f"{str(path)!r} is not a regular file")
            data = file.read(MAX_SGF_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FileRefused(f"{name!r} cannot be read: {error}") from error
    if len(data) > MAX_SGF_BYTES:
        raise FileRefused(f"{str(path)!r} is larger than {MAX_SGF_BYTES} bytes")
    return data


def write_sgf(name: str, data: bytes, folder: Path | None) -> None:
    """Writes the file `name`, whole or not at all; only names in .sgf, so that nothing else is ever overwritten.

    Raises `FileRefused`.
    """
    path = _inside(name, folder)
    if path.suffix.lower() != SGF_SUFFIX:
        raise FileRefused(f"the name {name!r} does not end in {SGF_SUFFIX}")
    try:
        if path.exists() and not path.is_file():
            raise FileRefused(f"{str(path)!r} is not a regular file")
        _replace(path, data)
    except (OSError, ValueError) as error:
        raise FileRefused(f"{name!r} cannot be written: {error}") from error


def _inside(name: str, folder: Path | None) -> Path:
    """The real path of `name`, links followed; inside `folder` where that is given."""
    try:
        path = Path(os.path.realpath(name if folder is None else folder / name))
        root = None if folder is None else Path(os.path.realpath(folder))
    except (OSError, ValueError) as error:
        raise FileRefused(f"{name!r} is no file name: {error}") from error
    if root is not None and root not in path.parents:
        raise FileRefused(f"{name!r} is not in {str(root)!r}")
    return path


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
