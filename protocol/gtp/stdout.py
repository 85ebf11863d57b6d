"""Standard output belongs to GTP alone: nothing else in the process may reach it.

Imports nothing of Tengen, so that `claim_stdout` can run before the libraries that might print.
"""

from __future__ import annotations

import os
import sys
import threading

STDOUT = 1
STDERR = 2


def claim_stdout() -> int:
    """Moves standard output to a new descriptor, which is returned, and points descriptor 1 at standard error.

    From now on prints of Python and of native libraries land on stderr (or nowhere, where stderr is closed).
    """
    sys.stdout.flush()
    descriptor = os.dup(STDOUT)
    try:
        os.dup2(STDERR, STDOUT)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, STDOUT)
        os.close(null)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
    return descriptor


class OutputClosed(Exception):
    """Nobody reads our answers any more."""


class Output:
    """Writes whole responses to a descriptor, one at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Writes all of `data` at once (several clients read by chunk); blocks. Raises `OutputClosed`."""
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                raise OutputClosed(str(error)) from error
