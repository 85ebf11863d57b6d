"""The handicap layouts of the GTP specification, and our own choice for free placement."""

from __future__ import annotations

import pytest

from engine.errors import InvalidHandicap
from engine.go.handicap import fixed_handicap_points, free_handicap_points, max_fixed_handicap, star_points
from engine.go.vertex import to_gtp


def names(points: list[int], size: int) -> str:
    return " ".join(to_gtp(point, size) for point in points)


@pytest.mark.parametrize(
    ("size", "num_stones", "expected"),
    [
        (19, 2, "D4 Q16"),
        (19, 3, "D4 Q16 D16"),
        (19, 4, "D4 Q16 D16 Q4"),
        (19, 5, "D4 Q16 D16 Q4 K10"),
        (19, 6, "D4 Q16 D16 Q4 D10 Q10"),
        (19, 7, "D4 Q16 D16 Q4 D10 Q10 K10"),
        (19, 8, "D4 Q16 D16 Q4 D10 Q10 K4 K16"),
        (19, 9, "D4 Q16 D16 Q4 D10 Q10 K4 K16 K10"),
        (13, 5, "D4 K10 D10 K4 G7"),
        (9, 5, "C3 G7 C7 G3 E5"),
        (9, 8, "C3 G7 C7 G3 C5 G5 E3 E7"),
        (7, 4, "C3 E5 C5 E3"),
        (8, 4, "C3 F6 C6 F3"),
        (12, 2, "C3 K10"),
    ],
)
def test_fixed_layout(size: int, num_stones: int, expected: str) -> None:
    assert names(fixed_handicap_points(size, num_stones), size) == expected


@pytest.mark.parametrize(("size", "most"), [(2, 0), (6, 0), (7, 4), (8, 4), (9, 9), (10, 4), (19, 9), (24, 4), (25, 9)])
def test_most_stones_of_the_fixed_layout(size: int, most: int) -> None:
    assert max_fixed_handicap(size) == most


@pytest.mark.parametrize(("size", "num_stones"), [(9, 1), (9, 10), (9, 0), (9, -2), (8, 5), (7, 5), (6, 2), (5, 2)])
def test_fixed_layout_refuses(size: int, num_stones: int) -> None:
    with pytest.raises(InvalidHandicap, match=str(num_stones)):
        fixed_handicap_points(size, num_stones)


@pytest.mark.parametrize("size", range(4, 26))
@pytest.mark.parametrize("num_stones", [2, 5, 9, 30])
def test_free_placement_returns_at_least_two_and_at_most_what_was_asked(size: int, num_stones: int) -> None:
    points = free_handicap_points(size, num_stones)
    assert 2 <= len(points) <= num_stones
    assert len(set(points)) == len(points)
    assert all(0 <= point < size * size for point in points)


@pytest.mark.parametrize(("size", "num_stones"), [(9, 1), (9, 0), (3, 2), (2, 2)])
def test_free_placement_refuses(size: int, num_stones: int) -> None:
    with pytest.raises(InvalidHandicap):
        free_handicap_points(size, num_stones)


@pytest.mark.parametrize(("size", "count"), [(5, 0), (7, 4), (9, 9), (19, 9)])
def test_star_points(size: int, count: int) -> None:
    assert len(star_points(size)) == count
