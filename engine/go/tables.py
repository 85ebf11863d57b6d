"""Tables of a board size: the neighbours of each point, and the random keys that position hashes are made of."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.go.rules import BLACK, WHITE

_ZOBRIST_SEED: Final = 0x7E46E4


@cache
def point_neighbors(size: int) -> NDArray[np.int32]:
    """[A, 4] int32 neighbours of each point, the missing ones of edge points as -1 at the end of the row."""
    table = np.full((size * size, 4), -1, dtype=np.int32)
    for point in range(size * size):
        row, column = divmod(point, size)
        near = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
        inside = [r * size + c for r, c in near if 0 <= r < size and 0 <= c < size]
        table[point, : len(inside)] = inside
    return table


@cache
def zobrist_keys(size: int) -> NDArray[np.uint64]:
    """[2, A] uint64 keys of Black (row 0) and White (row 1) stones; the same in every process."""
    raw = np.random.PCG64(_ZOBRIST_SEED + size).random_raw(2 * size * size)
    return np.ascontiguousarray(raw, dtype=np.uint64).reshape(2, size * size)


def position_hash(stones: NDArray[np.int8], size: int) -> np.uint64:
    """The hash of the position `stones` [A]: the sum of its stones' keys."""
    is_stone = np.stack([stones == BLACK, stones == WHITE])
    return np.uint64(zobrist_keys(size)[is_stone].sum(dtype=np.uint64))
