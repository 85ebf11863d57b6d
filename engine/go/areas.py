"""Area, compiled with numba: whose each point is when the game ends, on batches of boards.

Every stone on the board counts as alive (Tromp-Taylor counting). Conventions as in `kernels.py`.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

_EMPTY: Final = 0


@njit(cache=True, nogil=True)
def _own_area(stones, neighbors, owner, queue, mark):  # type: ignore[no-untyped-def]
    """Fills `owner` [A] of one board with +1 / -1 / 0 and returns their sum: the area score before komi.
    A stone owns its point; an empty region belongs to the colour that alone borders it, else to nobody."""
    area = stones.shape[0]
    stamp = mark[-1] + 1
    mark[-1] = stamp
    score = 0
    for start in range(area):
        if stones[start] != _EMPTY:
            owner[start] = stones[start]
            score += stones[start]
            continue
        if mark[start] == stamp:
            continue
        mark[start] = stamp
        queue[0] = start
        count = 1
        head = 0
        black = False
        white = False
        while head < count:
            point = queue[head]
            head += 1
            for k in range(4):
                near = neighbors[point, k]
                if near < 0:
                    break
                if stones[near] == _EMPTY:
                    if mark[near] != stamp:
                        mark[near] = stamp
                        queue[count] = near
                        count += 1
                elif stones[near] > 0:
                    black = True
                else:
                    white = True
        value = int(black) - int(white)
        for i in range(count):
            owner[queue[i]] = value
        score += value * count
    return score


@njit(cache=True, nogil=True)
def own_areas(stones, neighbors, owner):  # type: ignore[no-untyped-def]
    """Fills `owner` [G, A] int8 with the area ownership of each board, every stone counted as alive."""
    area = stones.shape[1]
    queue = np.empty(area, dtype=np.int32)
    mark = np.zeros(area + 1, dtype=np.int32)
    for game in range(stones.shape[0]):
        _own_area(stones[game], neighbors, owner[game], queue, mark)
