"""What the engine tells a human, on stderr.

Some clients merge stderr into the protocol's stream or search it for words, so every line carries the program's name
in front; the one exception is `GTP ready`, which a client waits for.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TextIO

from protocol.gtp.transcript import SAID, Transcript

PREFIX = "tengen: "
READY = "GTP ready"


class Notices:
    """Lines on stderr from any thread; a closed or full stderr never disturbs the game."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self.transcript = Transcript()
        """Where all of it is written too, with the rest of the conversation."""
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Writes each line of `text` behind the prefix."""
        self._write("".join(f"{PREFIX}{line}\n" for line in text.splitlines() if line.strip()))

    def say_ready(self) -> None:
        """Tells that the model is loaded, or has failed to load and will not be waited for any more."""
        self._write(f"{READY}\n")

    def report(self, error: BaseException) -> None:
        """Writes the traceback of an error that nobody expected."""
        self.say("".join(traceback.format_exception(error)))

    def _write(self, text: str) -> None:
        self.transcript.write(SAID, text)
        stream = sys.stderr if self._stream is None else self._stream
        with self._lock:
            try:
                stream.write(text)
                stream.flush()
            except (OSError, ValueError, AttributeError):
                return
