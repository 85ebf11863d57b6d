"""The texts of failed commands, and the one mapping from Tengen's errors to them.

Controllers compare some of the texts exactly: gomill rejects the opponent's move on "illegal move", and forfeits us on
any other.
"""

from __future__ import annotations

from engine.errors import (
    BoardNotEmpty,
    CannotUndo,
    IllegalMove,
    InvalidHandicap,
    InvalidSgf,
    TengenError,
    UnsupportedBoardSize,
)
from protocol.gtp.wire import SYNTAX_ERROR

UNKNOWN_COMMAND = "unknown command"
ILLEGAL_MOVE = "illegal move"
UNACCEPTABLE_SIZE = "unacceptable size"
CANNOT_UNDO = "cannot undo"
CANNOT_LOAD_FILE = "cannot load file"
CANNOT_SAVE_FILE = "cannot save file"
BOARD_NOT_EMPTY = "board not empty"
INVALID_NUMBER_OF_STONES = "invalid number of stones"
BAD_VERTEX_LIST = "bad vertex list"
CANNOT_SCORE = "cannot score"
INTERNAL_ERROR = "internal error"
INTERRUPTED = "interrupted"

_TEXTS: dict[type[TengenError], str] = {
    IllegalMove: ILLEGAL_MOVE,
    UnsupportedBoardSize: UNACCEPTABLE_SIZE,
    CannotUndo: CANNOT_UNDO,
    BoardNotEmpty: BOARD_NOT_EMPTY,
    InvalidHandicap: INVALID_NUMBER_OF_STONES,
    InvalidSgf: CANNOT_LOAD_FILE,
}


class CommandFailed(TengenError):
    """A command is answered `?` with this text, in one line; nothing else has changed."""

    def __init__(self, text: str, *, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        """What stderr is told, where the answer has to be a standard text; may be empty."""


def to_failure(error: TengenError) -> CommandFailed:
    """The failure that the controller sees for `error`: a standard text where there is one, and the error as reason."""
    if isinstance(error, CommandFailed):
        return error
    reason = " ".join(str(error).split())
    for kind, text in _TEXTS.items():
        if isinstance(error, kind):
            return CommandFailed(text, reason=reason)
    return CommandFailed(reason or INTERNAL_ERROR)


__all__ = [
    "BAD_VERTEX_LIST",
    "BOARD_NOT_EMPTY",
    "CANNOT_LOAD_FILE",
    "CANNOT_SAVE_FILE",
    "CANNOT_SCORE",
    "CANNOT_UNDO",
    "ILLEGAL_MOVE",
    "INTERNAL_ERROR",
    "INTERRUPTED",
    "INVALID_NUMBER_OF_STONES",
    "SYNTAX_ERROR",
    "UNACCEPTABLE_SIZE",
    "UNKNOWN_COMMAND",
    "CommandFailed",
    "to_failure",
]
