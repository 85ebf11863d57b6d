"""`Transcript`: the conversation in a file, for whoever wants to know afterwards who said what, and when."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from pathlib import Path
from typing import Final

from engine.errors import InvalidInput

RECEIVED: Final = "<"
SENT: Final = ">"
SAID: Final = "#"
"""To a human, on stderr."""


class Transcript:
    """Lines with the time of day and what they are; any thread may write. Without a file it does nothing."""

    def __init__(self, path: Path | None = None) -> None:
        """Goes on at the end of the file where there is one. Raises `InvalidInput` where it cannot be written."""
        self._lock = threading.Lock()
        self._file = None
        self._begun = b""
        if path is not None:
            try:
                self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
            except OSError as error:
                raise InvalidInput(f"--log {path}: {error.strerror}") from error

    def receive(self, data: bytes) -> None:
        """What was read, whole lines of it; b"": nothing will follow."""
        *lines, self._begun = (self._begun + (data or b"\n")).split(b"\n")
        self.write(RECEIVED, b"\n".join(lines))

    def write(self, mark: str, text: str | bytes) -> None:
        """Each line of `text`. A disk that refuses them does not disturb the game."""
        if self._file is None:
            return
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        now = dt.datetime.now().isoformat(sep=" ", timespec="milliseconds")
        with self._lock, contextlib.suppress(OSError):
            self._file.write("".join(f"{now} {mark} {line}\n" for line in text.splitlines() if line))
