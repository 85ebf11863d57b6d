"""Boards as text, out and in."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidDiagram
from engine.go.diagram import from_diagram, from_rows, to_diagram, to_rows
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.go.vertex import from_gtp

SHOWN = """\
   A B C D E F G
 7 . . . . . . . 7
 6 . . . . . . . 6
 5 . . + . + . . 5
 4 . . .(O)X . . 4
 3 . . + . + . . 3
 2 . . . . . . . 2
 1 X . . . . . . 1
   A B C D E F G
Black to play, 3 moves, komi 6.5, prisoners of Black 0, of White 0"""


def test_what_is_shown() -> None:
    position = Position(7, komi=6.5)
    for color, name in ((BLACK, "E4"), (BLACK, "A1"), (WHITE, "D4")):
        position.play(color, from_gtp(name, 7))
    assert to_diagram(position) == SHOWN


@pytest.mark.parametrize(("name", "row"), [("G7", "7 . . . . . .(X)7"), ("A1", "1(X). . . . . . 1")])
def test_the_last_move_at_the_ends_of_a_row(name: str, row: str) -> None:
    position = Position(7)
    position.play(BLACK, from_gtp(name, 7))
    assert row in to_diagram(position)


def test_a_pass_is_not_marked() -> None:
    position = Position(7)
    position.play(BLACK, position.pass_action)
    assert "(" not in to_diagram(position)


@pytest.mark.parametrize("size", [2, 5, 9, 14, 19, 23, 25])
def test_round_trip(size: int) -> None:
    position = Position(size)
    rng = np.random.default_rng(size)
    for _ in range(3 * size):
        position.play(position.to_play, int(rng.choice(np.flatnonzero(position.legal_mask()))))
    text = to_diagram(position)
    assert "\n\n" not in text
    read = from_diagram(text)
    np.testing.assert_array_equal(read.stones, position.stones)
    assert read.to_play == position.to_play
    np.testing.assert_array_equal(from_rows(to_rows(position.stones, size)), position.stones)


def test_white_to_play_is_read() -> None:
    assert from_diagram(". .\n. .\nWhite to play").to_play == WHITE
    assert from_diagram(". .\n. .\nBlack to play").to_play == BLACK
    assert from_diagram(". .\n. .").to_play == BLACK


def test_other_letters_and_layouts() -> None:
    assert from_rows("#o.\n,+@\nxO.").tolist() == [1, -1, 0, 0, 0, 1, 1, -1, 0]
    assert from_rows("\n   A B\n 2 X . 2\n\n 1 . O 1\n   A B\n").tolist() == [1, 0, 0, -1]
    assert from_rows("|X .|\n|. O|").tolist() == [1, 0, 0, -1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 rows"),
        (".", "1 rows"),
        (". .\n. . .", "3 points on a board of 2 rows"),
        (". .\n. .\n. .", "2 points on a board of 3 rows"),
        (". .\n. Q", "no row"),
        (". .\n12", "no row"),
        (". .\nhello", "no row"),
        ("X X\nX X", "no liberty"),
        ("\n".join(["." * 26] * 26), "26 rows"),
    ],
)
def test_what_is_no_board_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidDiagram, match=reason):
        from_diagram(text)
