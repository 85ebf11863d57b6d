"""What an analysis is asked for: the words of `lz-analyze` and `kata-analyze`, in any order.

    [COLOUR] [CENTISECONDS] {KEY VALUE}
    interval CENTISECONDS | minmoves N | maxmoves N | rootInfo BOOLEAN | ownership BOOLEAN
    avoid COLOUR VERTEX[,VERTEX...] DEPTH | allow COLOUR VERTEX[,VERTEX...] DEPTH

What is said twice holds as said last, but `avoid` adds up. A key that is not known is a failure, because clients find
out in this way what an engine can.

`avoid` and `allow` act on the move to be made now, with any DEPTH from 1 on, and not on what follows it: the search
goes through all replies, also where a client asks to avoid moves for longer, or those of the other colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.go.position import Position
from protocol.gtp.arguments import Arguments
from protocol.gtp.errors import SYNTAX_ERROR, CommandFailed

DEFAULT_INTERVAL_S: Final = 1.0
SHORTEST_S: Final = 0.05
LONGEST_S: Final = 1e6
"""Some clients ask for the greatest integer that they have."""

_CENTISECOND: Final = 0.01
_COUNTS: Final = {"minmoves": "min_moves", "maxmoves": "max_moves"}
_FLAGS: Final = {"rootinfo": "root_info", "ownership": "ownership"}
FLAGS: Final = frozenset(_FLAGS)
"""The keys with a boolean, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisOptions:
    """How to analyse, and what to tell."""

    color: int
    """Whose move is sought."""
    interval_s: float = DEFAULT_INTERVAL_S
    """Seconds between two reports."""
    min_moves: int = 1
    """So many moves at least, where there are so many, also such as have not been tried."""
    max_moves: int | None = None
    """So many moves at most."""
    allow: frozenset[int] | None = None
    """The only moves to consider; None: all."""
    avoid: frozenset[int] = frozenset()
    """Moves not to consider."""
    root_info: bool = False
    """Whether to tell what is thought of the position as a whole."""
    ownership: bool = False
    """Whether to tell who will own each point."""


def read_options(arguments: Arguments, position: Position, *, flags: frozenset[str]) -> AnalysisOptions:
    """All words that are left; `flags`: those of `FLAGS` that are known here."""
    fields: dict[str, Any] = {"color": position.to_play}
    restrictions = _Restrictions(position.size)
    while arguments.has_more:
        if arguments.next_is_color:
            fields["color"] = arguments.color()
        elif arguments.next_is_number:
            fields["interval_s"] = _interval_s(arguments)
        else:
            key = arguments.word().lower()
            if key == "interval":
                fields["interval_s"] = _interval_s(arguments)
            elif key in _COUNTS:
                fields[_COUNTS[key]] = _at_least_1(arguments, key)
            elif key in flags:
                fields[_FLAGS[key]] = arguments.boolean()
            elif key in ("allow", "avoid"):
                restrictions.read(arguments, key)
            else:
                raise _refused(f"{key[:40]!r} is nothing that can be asked for")
    return AnalysisOptions(**fields | restrictions.of(fields["color"]))


class _Restrictions:
    """The lists of `allow` and `avoid`, by key and colour."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lists: dict[tuple[str, int], frozenset[int]] = {}

    def read(self, arguments: Arguments, key: str) -> None:
        """The three words after `key`."""
        color, actions = arguments.color(), arguments.actions(self._size)
        _at_least_1(arguments, "the depth")
        if any(key != other for other, _ in self._lists):
            raise _refused("allow and avoid exclude each other")
        if key == "allow" and (key, color) in self._lists:
            raise _refused("a colour is allowed moves only once")
        self._lists[key, color] = self._lists.get((key, color), frozenset()) | actions

    def of(self, color: int) -> dict[str, Any]:
        """Those of `color`, as fields of `AnalysisOptions`."""
        return {key: actions for (key, whose), actions in self._lists.items() if whose == color}


def _interval_s(arguments: Arguments) -> float:
    seconds = _CENTISECOND * arguments.number()
    if seconds < 0.0:
        raise _refused(f"an interval of {seconds:g} s cannot be")
    return min(max(seconds, SHORTEST_S), LONGEST_S)


def _at_least_1(arguments: Arguments, name: str) -> int:
    number = arguments.integer()
    if number < 1:
        raise _refused(f"{name} is {number}: expected 1 or more")
    return number


def _refused(reason: str) -> CommandFailed:
    return CommandFailed(SYNTAX_ERROR, reason=reason)
