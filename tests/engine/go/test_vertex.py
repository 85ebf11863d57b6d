"""Coordinate systems against a table and against each other."""

from __future__ import annotations

import pytest

from engine.errors import InvalidVertex
from engine.go import vertex

SIZES = [2, 9, 13, 19, 25]


@pytest.mark.parametrize(
    ("size", "action", "gtp", "sgf", "row_column", "column_row"),
    [
        (9, 48, "D4", "df", (5, 3), (3, 3)),
        (9, 0, "A9", "aa", (0, 0), (0, 8)),
        (9, 80, "J1", "ii", (8, 8), (8, 0)),
        (19, 60, "D16", "dd", (3, 3), (3, 15)),
        (19, 180, "K10", "jj", (9, 9), (9, 9)),
        (25, 24, "Z25", "ya", (0, 24), (24, 24)),
        (2, 2, "A1", "ab", (1, 0), (0, 0)),
    ],
)
def test_one_point_in_every_system(
    size: int, action: int, gtp: str, sgf: str, row_column: tuple[int, int], column_row: tuple[int, int]
) -> None:
    assert vertex.to_gtp(action, size) == gtp
    assert vertex.to_sgf(action, size) == sgf
    assert vertex.to_row_column(action, size) == row_column
    assert vertex.to_column_row(action, size) == column_row


@pytest.mark.parametrize("size", SIZES)
def test_round_trips(size: int) -> None:
    for action in range(size * size + 1):
        assert vertex.from_gtp(vertex.to_gtp(action, size), size) == action
        assert vertex.from_sgf(vertex.to_sgf(action, size), size) == action
    for point in range(size * size):
        assert vertex.from_row_column(*vertex.to_row_column(point, size), size) == point
        assert vertex.from_column_row(*vertex.to_column_row(point, size), size) == point


def test_passes() -> None:
    assert vertex.to_gtp(81, 9) == "pass"
    assert vertex.from_gtp("PASS", 9) == vertex.from_gtp("Pass", 9) == 81
    assert vertex.to_sgf(81, 9) == ""
    assert vertex.from_sgf("tt", 19) == 361


def test_tt_is_a_point_on_large_boards() -> None:
    assert vertex.from_sgf("tt", 21) == 19 * 21 + 19


def test_gtp_reads_lower_case() -> None:
    assert vertex.from_gtp("d4", 9) == 48


@pytest.mark.parametrize(
    "text", ["", "D", "4", "I5", "K1", "A0", "A10", "A-1", "A+1", "A 1", "AA1", "resign", "A²", "A٣", "A1.0"]
)
def test_gtp_refuses(text: str) -> None:
    with pytest.raises(InvalidVertex, match="not a vertex of the 9x9 board") as caught:
        vertex.from_gtp(text, 9)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["a", "aaa", "ja", "aj", "AA", "a1", "  "])
def test_sgf_refuses(text: str) -> None:
    with pytest.raises(InvalidVertex):
        vertex.from_sgf(text, 9)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (9, 0), (0, 9)])
def test_rows_and_columns_off_the_board_are_refused(place: tuple[int, int]) -> None:
    with pytest.raises(InvalidVertex):
        vertex.from_row_column(*place, 9)
    with pytest.raises(InvalidVertex):
        vertex.from_column_row(*place, 9)


@pytest.mark.parametrize("point", [-1, 82, 1000])
def test_points_off_the_board_are_refused(point: int) -> None:
    with pytest.raises(InvalidVertex):
        vertex.to_gtp(point, 9)
    with pytest.raises(InvalidVertex):
        vertex.to_column_row(point, 9)
