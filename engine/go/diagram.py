"""Boards as text: what `showboard` prints, and the ASCII diagrams of tests and bug reports.

Black is X, White is O, an empty point a dot, an empty star point a plus; the last move stands in parentheses. Reading
is more lenient than writing: labels, parentheses and spaces are optional.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidDiagram, UnsupportedBoardSize
from engine.go.handicap import star_points
from engine.go.position import Position
from engine.go.rules import BLACK, DEFAULT_RULES, EMPTY, WHITE, RuleSet, check_size
from engine.go.vertex import COLUMN_LETTERS

COLOR_NAMES: Final = {BLACK: "Black", WHITE: "White"}

_STONES_BY_LETTER: Final = {
    **dict.fromkeys("Xx#@", BLACK),
    **dict.fromkeys("Oo", WHITE),
    **dict.fromkeys(".+,", EMPTY),
}
_LETTERS_BY_STONE: Final = {BLACK: "X", WHITE: "O", EMPTY: "."}
_TO_PLAY: Final = re.compile(r"\s*(Black|White) to play\b")


def to_diagram(position: Position) -> str:
    """The board with coordinates, and a last line: player to move, number of moves, komi, prisoners. No empty lines."""
    last = position.moves[-1].action if position.moves else position.pass_action
    facts = (
        f"{COLOR_NAMES[position.to_play]} to play, {len(position.moves)} moves, komi {position.effective_komi:g}, "
        f"prisoners of Black {position.captures(BLACK)}, of White {position.captures(WHITE)}"
    )
    return "\n".join([*_board_lines(position.stones, position.size, last), facts])


def _board_lines(stones: NDArray[np.int8], size: int, last: int) -> list[str]:
    """The board's rows between two lines of column letters, `last` in parentheses."""
    letters = "   " + " ".join(COLUMN_LETTERS[:size])
    stars = star_points(size)
    lines = [letters]
    for row in range(size):
        text = ""
        for column in range(size):
            point = row * size + column
            is_star = stones[point] == EMPTY and point in stars
            letter = "+" if is_star else _LETTERS_BY_STONE[int(stones[point])]
            before = "(" if point == last else ")" if column and point - 1 == last else " "
            text += before + letter
        closing = ")" if last == row * size + size - 1 else " "
        lines.append(f"{size - row:2}{text}{closing}{size - row}")
    return [*lines, letters]


def to_rows(stones: NDArray[np.int8], size: int) -> str:
    """The bare rows of [A] `stones`: "X . O" a line, no labels."""
    board = stones.reshape(size, size)
    return "\n".join(" ".join(_LETTERS_BY_STONE[int(stone)] for stone in row) for row in board)


def from_rows(text: str) -> NDArray[np.int8]:
    """[A] int8 stones of a diagram with or without labels. Raises `InvalidDiagram` unless its rows form a square that
    the rules allow."""
    rows = _stone_rows(text)
    size = len(rows)
    for row in rows:
        if len(row) != size:
            raise InvalidDiagram(f"row {row!r} has {len(row)} points on a board of {size} rows")
    try:
        check_size(size)
    except UnsupportedBoardSize as error:
        raise InvalidDiagram(f"a diagram with {size} rows: {error}") from error
    return np.array([_STONES_BY_LETTER[letter] for row in rows for letter in row], dtype=np.int8)


def _stone_rows(text: str) -> list[str]:
    """The rows that hold points, each without labels and spaces."""
    rows = []
    for line in text.splitlines():
        letters = re.sub(r"[\s()|]", "", line)
        is_header = len(letters) >= 2 and letters == COLUMN_LETTERS[: len(letters)]
        if not letters or is_header or _TO_PLAY.match(line):
            continue
        points = letters.strip("0123456789")
        unknown = set(points) - set(_STONES_BY_LETTER)
        if unknown or not points:
            raise InvalidDiagram(f"line {line!r} is no row of X, O and dots")
        rows.append(points)
    return rows


def from_diagram(text: str, *, rules: RuleSet = DEFAULT_RULES, komi: float = 7.0) -> Position:
    """A position with the stones of a diagram and no moves; Black moves unless a line begins with "White to play".

    Raises `InvalidDiagram` for what is no square board, also when a chain in it has no liberty.
    """
    stones = from_rows(text)
    named = [match[1] for match in map(_TO_PLAY.match, text.splitlines()) if match]
    to_play = WHITE if named[:1] == [COLOR_NAMES[WHITE]] else BLACK
    position = Position(round(len(stones) ** 0.5), rules, komi)
    try:
        position.set_stones(np.flatnonzero(stones == BLACK).tolist(), np.flatnonzero(stones == WHITE).tolist(), to_play)
    except ValueError as error:
        raise InvalidDiagram(f"not a Go position: {error}") from error
    return position
