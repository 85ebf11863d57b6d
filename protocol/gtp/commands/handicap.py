"""Handicap stones: Black's, on an empty board, no moves and not to be undone; White moves next."""

from __future__ import annotations

from typing import Final

from engine.errors import BoardNotEmpty, InvalidHandicap
from engine.go.handicap import fixed_handicap_points, free_handicap_points
from engine.go.vertex import to_gtp
from protocol.gtp.arguments import Arguments, OffBoard
from protocol.gtp.context import GtpContext, Handler
from protocol.gtp.errors import BAD_VERTEX_LIST, BOARD_NOT_EMPTY, CommandFailed


def fixed_handicap(context: GtpContext, arguments: Arguments) -> str:
    """`n` stones on the star points of the specification."""
    num_stones = arguments.integer()
    arguments.end()
    return _place(context, fixed_handicap_points(context.player.position.size, num_stones))


def place_free_handicap(context: GtpContext, arguments: Arguments) -> str:
    """At most `n` stones, at least 2, where we want them."""
    num_stones = arguments.integer()
    arguments.end()
    return _place(context, free_handicap_points(context.player.position.size, num_stones))


def set_free_handicap(context: GtpContext, arguments: Arguments) -> str:
    """The stones listed: all or none of them. A single stone is accepted, because a client asks so whether we can."""
    if not arguments.has_more:
        raise CommandFailed(BAD_VERTEX_LIST)
    size = context.player.position.size
    try:
        points = [arguments.action(size) for _ in range(arguments.num_left)]
        _place(context, points)
    except OffBoard as error:
        raise CommandFailed(BAD_VERTEX_LIST, reason=error.reason) from error
    except InvalidHandicap as error:
        raise CommandFailed(BAD_VERTEX_LIST, reason=str(error)) from error
    return ""


def _place(context: GtpContext, points: list[int]) -> str:
    position = context.player.position
    try:
        position.place_handicap(points)
    except BoardNotEmpty as error:
        raise CommandFailed(BOARD_NOT_EMPTY) from error
    return " ".join(to_gtp(point, position.size) for point in points)


COMMANDS: Final[dict[str, Handler]] = {
    "fixed_handicap": fixed_handicap,
    "place_free_handicap": place_free_handicap,
    "set_free_handicap": set_free_handicap,
}
