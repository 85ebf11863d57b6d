"""The 8 symmetries of the board, as permutations of points.

Games are augmented before they are replayed, so that every plane, mask and target follows from the rules kernel.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

NUM_SYMMETRIES = 8


@cache
def symmetry_table(size: int) -> NDArray[np.int16]:
    """[8, size * size + 1]: where symmetry s moves each action; pass stays. Row 0 is the identity."""
    points = np.arange(size * size).reshape(size, size)
    table = np.empty((NUM_SYMMETRIES, size * size + 1), np.int16)
    for s in range(NUM_SYMMETRIES):
        image = np.rot90(points, s % 4)
        if s >= 4:
            image = image.T
        table[s, image.ravel()] = np.arange(size * size)
        table[s, -1] = size * size
    table.flags.writeable = False
    return table


@cache
def inverse_table(size: int) -> NDArray[np.int16]:
    """[8, size * size + 1]: the inverse of each row of `symmetry_table`."""
    inverse = np.argsort(symmetry_table(size), axis=1).astype(np.int16)
    inverse.flags.writeable = False
    return inverse
