"""Talks to the GTP interpreter in the same thread."""

from __future__ import annotations

import io
from pathlib import Path

from protocol.gtp.context import GtpContext, GtpPlayer
from protocol.gtp.interpreter import Interpreter
from protocol.gtp.notices import Notices
from protocol.gtp.wire import Silent, parse_line

VERSION = "1.20.0"


class Conversation:
    """An interpreter with a player, and what it told the human."""

    def __init__(self, player: GtpPlayer, *, sgf_folder: Path | None = None) -> None:
        self.stderr = io.StringIO()
        self.notices = Notices(self.stderr)
        self.context = GtpContext(
            player=player, name="Tengen", version=VERSION, notices=self.notices, sgf_folder=sgf_folder
        )
        self.interpreter = Interpreter(self.context)

    def ask(self, line: str) -> str:
        """The answer to `line`, without the empty line at its end; "" for a line that needs none."""
        event = parse_line(line.encode(errors="surrogateescape"))
        if isinstance(event, Silent):
            return ""
        return self.interpreter.answer(event).to_bytes().decode().removesuffix("\n\n").rstrip(" ")
