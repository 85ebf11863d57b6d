"""Every legal position of a small board and every move between them, by rules of their own, which can judge the engine.

Suicide is forbidden; superko, which looks at a whole game, is left to whoever walks the graph. A position is what is on
the board, who is to move, and whether the last move was a pass. 3x3 has 12,675 boards and 50,700 positions. 4x4 has
24,318,165 boards, a hundred million positions of seventeen moves each: too many for arrays made within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

ILLEGAL = -1
"""In place of a successor: the point is occupied, or the move is suicide."""
END = -2
"""In place of a successor: the game is over, and scored as the board stands."""

Boards = NDArray[np.int8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionGraph:
    """P boards of A points and their 4 P positions: position = 4 * board + 2 * (White to move) + (last was a pass)."""

    size: int
    """Points on a side."""
    stones: Boards
    """[P, A] 0 empty, +1 Black, -1 White; every chain has a liberty."""
    scores: NDArray[np.int8]
    """[P] area score, Black - White, before komi."""
    successors: NDArray[np.int32]
    """[4 P, A + 1] the position after each action (the pass last), ILLEGAL or END."""
    board_of_code: NDArray[np.int32]
    """[3 ** A] board by its code, ILLEGAL where a chain has no liberty."""

    def board(self, stones: ArrayLike) -> int:
        """The board with `stones` [A]."""
        board = int(self.board_of_code[_codes(np.asarray(stones))])
        assert board != ILLEGAL, f"a chain of {stones} has no liberty"
        return board

    def position(self, stones: ArrayLike, *, to_play: int, after_pass: bool = False) -> int:
        """The position with `stones` [A] and `to_play` (+1 or -1) to move."""
        return 4 * self.board(stones) + 2 * (to_play < 0) + after_pass


def board_of(position: int) -> int:
    """The board of a position."""
    return position >> 2


def to_play(position: int) -> int:
    """+1 where Black is to move, else -1."""
    return -1 if position & 2 else 1


@cache
def position_graph(size: int) -> PositionGraph:
    """The graph of a board of `size` 2 or 3, in about a quarter of a second."""
    assert size in (2, 3), f"size {size}: only 2 and 3 fit"
    area, near = size * size, _near(size)
    every = np.arange(3**area)[:, None] // 3 ** np.arange(area) % 3
    every = np.where(every == 2, -1, every).astype(np.int8)
    is_legal = (_has_liberty(every, near) == (every != 0)).all(axis=1)
    stones = every[is_legal]
    board_of_code = np.full(3**area, ILLEGAL, np.int32)
    board_of_code[is_legal] = np.arange(len(stones))
    successors = np.full((len(stones), 2, 2, area + 1), ILLEGAL, np.int32)
    for side, color in enumerate((1, -1)):
        for point in range(area):
            boards = np.flatnonzero(stones[:, point] == 0)
            after = board_of_code[_codes(_played(stones[boards], point, color, near))]
            moved = np.where(after == ILLEGAL, ILLEGAL, 4 * after + 2 * (1 - side))
            successors[boards, side, :, point] = moved[:, None]
        successors[:, side, 0, area] = 4 * np.arange(len(stones)) + 2 * (1 - side) + 1
        successors[:, side, 1, area] = END
    return PositionGraph(
        size=size,
        stones=stones,
        scores=_area_scores(stones, near),
        successors=successors.reshape(-1, area + 1),
        board_of_code=board_of_code,
    )


def _codes(stones: NDArray[np.int8]) -> NDArray[np.int64]:
    """[...] number in base 3 of `stones` [..., A]; White is the digit 2."""
    digits = stones.astype(np.int64) % 3
    return np.asarray(digits @ 3 ** np.arange(stones.shape[-1]))


def _near(size: int) -> NDArray[np.int64]:
    """[A, 4] the neighbours of each point, A in place of those off the board."""
    grid = np.pad(np.arange(size * size).reshape(size, size), 1, constant_values=size * size)
    around = [grid[:-2, 1:-1], grid[2:, 1:-1], grid[1:-1, :-2], grid[1:-1, 2:]]
    return np.stack([part.ravel() for part in around], axis=1)


def _is_beside(marked: Mask, near: NDArray[np.int64]) -> Mask:
    """[P, A] whether a neighbour of the point is marked."""
    return np.asarray(np.pad(marked, ((0, 0), (0, 1)))[:, near].any(axis=2))


def _spread(seeds: Mask, within: Mask, near: NDArray[np.int64]) -> Mask:
    """[P, A] `seeds` and all that is joined to them by points of `within`."""
    while True:
        grown = seeds | within & _is_beside(seeds, near)
        if (grown == seeds).all():
            return seeds
        seeds = grown


def _has_liberty(stones: Boards, near: NDArray[np.int64]) -> Mask:
    """[P, A] where there is a stone of a chain with a liberty."""
    is_free = _is_beside(stones == 0, near)
    own = [stones == color for color in (1, -1)]
    return _spread(own[0] & is_free, own[0], near) | _spread(own[1] & is_free, own[1], near)


def _played(stones: Boards, point: int, color: int, near: NDArray[np.int64]) -> Boards:
    """[P, A] boards after `color` played on the empty `point`; a suicide leaves its chain without liberty."""
    after = stones.copy()
    after[:, point] = color
    after[(after == -color) & ~_has_liberty(after, near)] = 0
    return after


def _area_scores(stones: Boards, near: NDArray[np.int64]) -> NDArray[np.int8]:
    empty = stones == 0
    sees = [_spread(empty & _is_beside(stones == color, near), empty, near) for color in (1, -1)]
    return np.asarray(stones.sum(1) + (sees[0] & ~sees[1]).sum(1) - (sees[1] & ~sees[0]).sum(1), dtype=np.int8)
