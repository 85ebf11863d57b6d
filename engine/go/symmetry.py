"""The symmetries of Go: 8 of the board, as permutations of points, each with colours as they are or changed.

Nothing of the rules distinguishes a position from its images, so that training shows a network all of them, and a
search may look at any.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.go.features import FULL_PLANES

NUM_SYMMETRIES: Final = 8
NUM_IMAGES: Final = 2 * NUM_SYMMETRIES
"""Symmetry s with the colours as they are is image s, with changed colours image NUM_SYMMETRIES + s."""

_NEGATED: Final = ("to_play", "komi", "komi_parity")
"""Planes whose sign is that of a colour."""


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


@cache
def _changed_colors() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of which plane each plane [24] of an observation is made when the colours change, and with which sign [24]."""
    other = {"black": "white", "white": "black"}
    source = ["_".join(other.get(word, word) for word in name.split("_")) for name in FULL_PLANES]
    sign = [-1.0 if name in _NEGATED else 1.0 for name in FULL_PLANES]
    return np.array([FULL_PLANES.index(name) for name in source]), np.array(sign, np.float32)


class Images(NamedTuple):
    """What `see_image` and `restore` need to know of a size of board."""

    moved: NDArray[np.int16]
    """[8, A + 1]: `symmetry_table`."""
    inverse: NDArray[np.int16]
    """[8, A + 1]: `inverse_table`."""
    source: NDArray[np.int64]
    """[24] of which plane each is made when the colours change ..."""
    sign: NDArray[np.float32]
    """... [24] and with which sign."""

    @classmethod
    def of(cls, size: int) -> Images:
        """Those of a board of `size`."""
        return cls(symmetry_table(size), inverse_table(size), *_changed_colors())


@njit(cache=True, nogil=True)
def see_image(observation, image, images, out):  # type: ignore[no-untyped-def]
    """Fills `out` [24, A] with what the image `image`, in 0..15, of the position of `observation` [24, A] float32 looks
    like; variant "full". `images`: the `Images` of the board."""
    points = images.inverse[image % NUM_SYMMETRIES]
    changes = image >= NUM_SYMMETRIES
    for plane in range(observation.shape[0]):
        seen = observation[images.source[plane] if changes else plane]
        sign = images.sign[plane] if changes else np.float32(1.0)
        for point in range(observation.shape[1]):
            out[plane, point] = sign * seen[points[point]]


@njit(cache=True, nogil=True)
def restore(policy_logits, value, seen, images):  # type: ignore[no-untyped-def]
    """Turns policy logits [B, A + 1] and values [B], Black's view, of the images `seen` [B] into those of the positions
    themselves."""
    for row in range(policy_logits.shape[0]):
        moved = images.moved[seen[row] % NUM_SYMMETRIES]
        policy_logits[row] = policy_logits[row][moved]
        if seen[row] >= NUM_SYMMETRIES:
            value[row] = -value[row]
