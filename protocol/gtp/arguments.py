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
from engine.go.vertex import from_gtp
from protocol.gtp.errors import SYNTAX_ERROR, CommandFailed

RESIGN: Final = "resign"
_COLORS = {"b": BLACK, "black": BLACK, "w": WHITE, "white": WHITE}
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

    def action(self, size: int) -> int:
        """The action that a vertex or `pass`, in any case, means on a board of `size`. Raises `OffBoard` too."""
        word = self.word()
        if not _VERTEX.fullmatch(word):
            raise _wrong(word, "a vertex or pass")
        try:
            return from_gtp(word, size)
        except InvalidVertex as error:
            raise OffBoard(SYNTAX_ERROR, reason=str(error)) from error

    def next_is(self, word: str) -> bool:
        """Whether the next word is `word`, in any case."""
        return self.has_more and self._words[self._next].lower() == word


def _wrong(word: str, expected: str) -> CommandFailed:
    return CommandFailed(SYNTAX_ERROR, reason=f"{word[:40]!r} where {expected} was expected")
