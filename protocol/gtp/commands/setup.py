"""Board size, empty board and komi. Komi and time settings outlive a new board, rules that a file brought do not."""

from __future__ import annotations

from typing import Final

from protocol.gtp.arguments import Arguments
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import UNACCEPTABLE_SIZE, CommandFailed


def boardsize(context: GtpContext, arguments: Arguments) -> str:
    """An empty board of a size; a second number is the height, and has to be the same."""
    width = arguments.integer()
    height = arguments.integer() if arguments.has_more else width
    arguments.end()
    if width != height:
        raise CommandFailed(UNACCEPTABLE_SIZE, reason=f"a board of {width} x {height} is not square")
    context.player.new_game(width)
    return ""


def clear_board(context: GtpContext, arguments: Arguments) -> str:
    """An empty board of the same size; the time left starts anew."""
    arguments.end()
    context.player.new_game()
    return ""


def komi(context: GtpContext, arguments: Arguments) -> str:
    """Any finite komi; the game goes on."""
    points = arguments.number()
    arguments.end()
    context.player.position.komi = points
    return ""


def get_komi(context: GtpContext, arguments: Arguments) -> str:
    """The komi."""
    arguments.end()
    return str(float(context.player.position.komi))


COMMANDS: Final[dict[str, Handler]] = {
    "boardsize": boardsize,
    "clear_board": clear_board,
    "komi": komi,
    "get_komi": get_komi,
}
