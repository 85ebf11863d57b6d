"""Moves: theirs, ours, taken back, and listed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from engine.analysis import Analysis
from engine.go.diagram import to_diagram
from engine.go.position import Move
from engine.go.rules import BLACK
from engine.go.vertex import to_gtp
from engine.player import RESIGN
from protocol.gtp import arguments as grammar
from protocol.gtp.arguments import Arguments, OffBoard
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import ILLEGAL_MOVE, CommandFailed

NO_MOVE: Final = "no previous move known"


def play(context: GtpContext, arguments: Arguments) -> str:
    """Either colour's move, also twice in a row and after the end; a resignation changes nothing."""
    color = arguments.color()
    if arguments.next_is(grammar.RESIGN):
        arguments.word()
        arguments.end()
        return ""
    try:
        action = arguments.action(context.player.position.size)
    except OffBoard as error:
        raise CommandFailed(ILLEGAL_MOVE, reason=error.reason) from error
    arguments.end()
    context.player.play(color, action)
    return ""


def genmove(context: GtpContext, arguments: Arguments) -> str:
    """Our move for a colour, played."""
    return generate(context, _only_color(arguments), play=True)


def reg_genmove(context: GtpContext, arguments: Arguments) -> str:
    """Our move for a colour, not played."""
    return generate(context, _only_color(arguments), play=False)


def kgs_genmove_cleanup(context: GtpContext, arguments: Arguments) -> str:
    """Our move for a colour, played, and no pass while dead stones of the opponent are on the board."""
    return generate(context, _only_color(arguments), play=True, cleanup=True)


def undo(context: GtpContext, arguments: Arguments) -> str:
    """One move back; handicap and setup stones stay."""
    arguments.end()
    context.player.undo()
    return ""


def last_move(context: GtpContext, arguments: Arguments) -> str:
    """Colour and vertex of the last move, as GNU Go spells it."""
    arguments.end()
    position = context.player.position
    if not position.moves:
        raise CommandFailed(NO_MOVE)
    return _spelt(position.moves[-1], position.size)


def move_history(context: GtpContext, arguments: Arguments) -> str:
    """All moves, the last one first, one a line."""
    arguments.end()
    position = context.player.position
    return "\n".join(_spelt(move, position.size) for move in reversed(position.moves))


def showboard(context: GtpContext, arguments: Arguments) -> str:
    """A diagram of the position."""
    arguments.end()
    return "\n" + to_diagram(context.player.position)


def generate(
    context: GtpContext,
    color: int,
    *,
    play: bool,
    cleanup: bool = False,
    allow: Collection[int] | None = None,
    avoid: Collection[int] = (),
    on_search: Callable[[Analysis], None] | None = None,
) -> str:
    """Our move, spelt; see `engine.player.Player.generate`. Waits for the model, while the controller's clock runs."""
    decision = context.player.generate(
        color,
        play=play,
        cleanup=cleanup,
        allow=allow,
        avoid=avoid,
        on_search=on_search,
        wait=context.wait_for_model,
    )
    if decision.action == RESIGN:
        return grammar.RESIGN
    return to_gtp(decision.action, context.player.position.size)


def _only_color(arguments: Arguments) -> int:
    color = arguments.color()
    arguments.end()
    return color


def _spelt(move: Move, size: int) -> str:
    return f"{'black' if move.color == BLACK else 'white'} {to_gtp(move.action, size)}"


COMMANDS: Final[dict[str, Handler]] = {
    "play": play,
    "genmove": genmove,
    "reg_genmove": reg_genmove,
    "kata-search": reg_genmove,
    "kgs-genmove_cleanup": kgs_genmove_cleanup,
    "undo": undo,
    "last_move": last_move,
    "move_history": move_history,
    "showboard": showboard,
}
