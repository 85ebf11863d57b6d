"""Games from and to SGF files."""

from __future__ import annotations

from typing import Final

from engine.errors import TengenError
from engine.go.position import Position
from engine.go.record import load_sgf, to_result, to_sgf
from engine.go.rules import Scoring
from protocol.gtp.arguments import Arguments
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import CANNOT_LOAD_FILE, CANNOT_SAVE_FILE, SYNTAX_ERROR, CommandFailed
from protocol.gtp.files import FileRefused, read_sgf, write_sgf

_LONGEST_MOVE_NUMBER: Final = 6
_STDOUT: Final = "-"


def loadsgf(context: GtpContext, arguments: Arguments) -> str:
    """`file [move]`: the position before a move, or at the end of the main line. A name may have single spaces."""
    words = list(arguments.rest())
    move_number = None
    if len(words) > 1 and words[-1].isascii() and words[-1].isdigit():
        if len(words[-1]) > _LONGEST_MOVE_NUMBER:
            raise CommandFailed(SYNTAX_ERROR, reason="the move number is too large")
        move_number = int(words.pop())
    name, position = _file_name(words), context.player.position
    try:
        data = read_sgf(name, context.sgf_folder)
        context.player.position = load_sgf(data, move_number, rules=context.player.rules, komi=position.komi)
    except TengenError as error:
        raise CommandFailed(CANNOT_LOAD_FILE, reason=str(error)) from error
    return ""


def printsgf(context: GtpContext, arguments: Arguments) -> str:
    """`[file]`: the game so far, as the answer or into a file."""
    words = list(arguments.rest())
    data = to_sgf(context.player.position, result=_result(context.player.position))
    if not words or words == [_STDOUT]:
        return data.decode()
    name = _file_name(words)
    try:
        write_sgf(name, data, context.sgf_folder)
    except FileRefused as error:
        raise CommandFailed(CANNOT_SAVE_FILE, reason=str(error)) from error
    return ""


def _file_name(words: list[str]) -> str:
    if not words:
        raise CommandFailed(SYNTAX_ERROR, reason="the name of a file is missing")
    name = " ".join(words)
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name


def _result(position: Position) -> str:
    """The score by the rules, where they alone decide it: territory would need a verdict on the dead stones."""
    is_decided = position.is_over and position.rules.scoring == Scoring.AREA
    return to_result(position.score()) if is_decided else ""


COMMANDS: Final[dict[str, Handler]] = {"loadsgf": loadsgf, "printsgf": printsgf}
