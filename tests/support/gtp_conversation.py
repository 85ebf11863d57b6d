"""Talks to the GTP interpreter in the same thread."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from protocol.gtp.context import GtpContext, GtpPlayer
from protocol.gtp.interpreter import Interpreter
from protocol.gtp.notices import Notices
from protocol.gtp.wire import Command, Malformed, Silent, parse_line

VERSION = "1.20.0"


class Impatience(threading.Event):
    """Waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0)


class Conversation:
    """An interpreter with a player, and what it told the human. An analysis ends after its first report."""

    def __init__(self, player: GtpPlayer, *, sgf_folder: Path | None = None) -> None:
        self.stderr = io.StringIO()
        self.notices = Notices(self.stderr)
        self.context = GtpContext(
            player=player, name="Tengen", version=VERSION, notices=self.notices, sgf_folder=sgf_folder
        )
        self.interpreter = Interpreter(self.context)

    def answer(self, event: Command | Malformed) -> bytes:
        """The answer, whole."""
        pieces: list[bytes] = []
        if not self.interpreter.gives_way(event):
            self.interpreter.answer(event, pieces.append)
            return b"".join(pieces)
        patience, hurry = self.context.is_hurried, Impatience()
        self.context.is_hurried = hurry

        def write(piece: bytes) -> None:
            pieces.append(piece)
            if piece.startswith(b"info"):
                hurry.set()

        self.interpreter.answer(event, write)
        self.context.is_hurried = patience
        return b"".join(pieces)

    def ask(self, line: str) -> str:
        """The answer to `line`, without the empty line at its end; "" for a line that needs none."""
        event = parse_line(line.encode(errors="surrogateescape"))
        if isinstance(event, Silent):
            return ""
        return self.answer(event).decode().removesuffix("\n\n").rstrip(" ")
