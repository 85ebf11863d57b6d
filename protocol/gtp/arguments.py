"""The words after a command's name, taken one by one with their types.

A word that is missing, left over or of the wrong type raises `CommandFailed("syntax error")`. Whether a move is legal
or a size acceptable is not asked here.
"""

from __future__ import annotations

import math
import re
from typing import Final

from engine.errors import InvalidVertex
from engine.go.rules import BLACK, WHITE
from engine.go.vertex import from_gtp, from_row_column, pass_action, to_row_column
from protocol.gtp.errors import SYNTAX_ERROR, CommandFailed

RESIGN: Final = "resign"
_COLORS = {"b": BLACK, "black": BLACK, "w": WHITE, "white": WHITE}
_BOOLEANS = {"true": True, "false": False}
_VERTEX = re.compile(r"[a-hj-z][0-9]{1,3}|pass", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
_LONGEST_NUMBER = 40


class OffBoard(CommandFailed):
    """A vertex as it should be spelt, but not of this board."""


class Arguments:
    """A cursor over the words; a handler takes what it knows and then calls `end`."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._next = 0

    @property
    def has_more(self) -> bool:
        """Whether a word is left."""
        return self._next < len(self._words)

    @property
    def num_left(self) -> int:
        """How many words are left."""
        return len(self._words) - self._next

    def word(self) -> str:
        """The next word as it is."""
        if not self.has_more:
            raise CommandFailed(SYNTAX_ERROR, reason="an argument is missing")
        self._next += 1
        return self._words[self._next - 1]

    def rest(self) -> tuple[str, ...]:
        """All words that are left."""
        rest = self._words[self._next :]
        self._next = len(self._words)
        return rest

    def end(self) -> None:
        """No word may be left."""
        if self.has_more:
            raise _wrong(self._words[self._next], "no further argument")

    def color(self) -> int:
        """`BLACK` or `WHITE`, spelt b, w, black or white in any case."""
        word = self.word()
        if word.lower() not in _COLORS:
            raise _wrong(word, "a colour")
        return _COLORS[word.lower()]

    def integer(self) -> int:
        """A decimal integer."""
        word = self.word()
        if not _INTEGER.fullmatch(word):
            raise _wrong(word, "an integer")
        return int(word)

    def number(self) -> float:
        """A finite decimal number, with a point whatever the locale."""
        word = self.word()
        if len(word) > _LONGEST_NUMBER or not _NUMBER.fullmatch(word) or not math.isfinite(float(word)):
            raise _wrong(word, "a finite number")
        return float(word)

    def boolean(self) -> bool:
        """`true` or `false`, in any case."""
        word = self.word()
        if word.lower() not in _BOOLEANS:
            raise _wrong(word, "true or false")
        return _BOOLEANS[word.lower()]

    def action(self, size: int) -> int:
        """The action that a vertex or `pass`, in any case, means on a board of `size`. Raises `OffBoard` too."""
        return _to_action(self.word(), size)

    def actions(self, size: int) -> frozenset[int]:
        """The actions of vertices between commas; `A1:C3` are all points of a rectangle. Raises `OffBoard` too."""
        found: set[int] = set()
        for word in self.word().split(","):
            first, colon, last = word.partition(":")
            found |= _rectangle(_to_action(first, size), _to_action(last if colon else first, size), size)
        return frozenset(found)

    def next_is(self, word: str) -> bool:
        """Whether the next word is `word`, in any case."""
        return self.has_more and self._words[self._next].lower() == word

    @property
    def next_is_color(self) -> bool:
        """Whether the next word is a colour."""
        return self.has_more and self._words[self._next].lower() in _COLORS

    @property
    def next_is_number(self) -> bool:
        """Whether the next word is a number, at least in its looks."""
        return self.has_more and bool(_NUMBER.fullmatch(self._words[self._next]))


def _to_action(word: str, size: int) -> int:
    if not _VERTEX.fullmatch(word):
        raise _wrong(word, "a vertex or pass")
    try:
        return from_gtp(word, size)
    except InvalidVertex as error:
        raise OffBoard(SYNTAX_ERROR, reason=str(error)) from error


def _rectangle(first: int, last: int, size: int) -> set[int]:
    """The points of the rectangle between two corners; a pass is one with itself only."""
    if first == last:
        return {first}
    if pass_action(size) in (first, last):
        raise CommandFailed(SYNTAX_ERROR, reason="a pass is no corner of a rectangle")
    rows, columns = zip(to_row_column(first, size), to_row_column(last, size), strict=True)
    return {
        from_row_column(row, column, size)
        for row in range(min(rows), max(rows) + 1)
        for column in range(min(columns), max(columns) + 1)
    }


def _wrong(word: str, expected: str) -> CommandFailed:
    return CommandFailed(SYNTAX_ERROR, reason=f"{word[:40]!r} where {expected} was expected")
