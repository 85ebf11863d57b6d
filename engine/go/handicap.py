"""Where handicap stones go: the fixed layout of GTP, and a choice of our own for free placement.

Knows board sizes and points, no position; `Position.place_handicap` puts the stones down.
"""

from __future__ import annotations

from engine.errors import InvalidHandicap


def max_fixed_handicap(size: int) -> int:
    """The most stones that GTP's fixed layout has on this size: 9, 4 (even sizes and 7), or 0 below 7."""
    if size < 7:
        return 0
    return 9 if size % 2 == 1 and size >= 9 else 4


def fixed_handicap_points(size: int, num_stones: int) -> list[int]:
    """The points of GTP's `fixed_handicap` (GTP 2 specification, section 4.1.1), in its order.

    Raises `InvalidHandicap` unless 2 <= `num_stones` <= `max_fixed_handicap(size)`.
    """
    most = max_fixed_handicap(size)
    if not 2 <= num_stones <= most:
        allowed = f"2 to {most}" if most else "none"
        raise InvalidHandicap(f"{num_stones} fixed handicap stones on {size}x{size}: allowed are {allowed}")
    return _layout(size, num_stones, edge=2 if size < 13 else 3)


def free_handicap_points(size: int, num_stones: int) -> list[int]:
    """At least 2 and up to `num_stones` good points for Black, as many as the fixed layout has.

    Boards of 4 to 6, without a fixed layout, use the second line. Raises `InvalidHandicap` for fewer than 2 stones or a
    smaller board.
    """
    if num_stones < 2 or size < 4:
        raise InvalidHandicap(f"{num_stones} free handicap stones on {size}x{size}: expected 2 or more, on 4x4 or more")
    most = max_fixed_handicap(size)
    if most:
        return fixed_handicap_points(size, min(num_stones, most))
    return _layout(size, min(num_stones, 5 if size % 2 == 1 else 4), edge=1)


def _layout(size: int, num_stones: int, *, edge: int) -> list[int]:
    """The first `num_stones` star points, `edge` lines in from the first line; odd counts above 4 take the centre."""
    low, middle, high = size - 1 - edge, size // 2, edge
    left, right = edge, size - 1 - edge
    corners = [(low, left), (high, right), (high, left), (low, right)]
    sides = [(middle, left), (middle, right), (low, middle), (high, middle)]
    has_centre = num_stones > 4 and num_stones % 2 == 1
    places = (corners + sides)[: num_stones - has_centre]
    if has_centre:
        places.append((middle, middle))
    return [row * size + column for row, column in places]


def star_points(size: int) -> frozenset[int]:
    """The points that a board marks with a dot; none below 7."""
    most = max_fixed_handicap(size)
    return frozenset(fixed_handicap_points(size, most)) if most else frozenset()
