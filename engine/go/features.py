"""What a Go model sees: observation planes and action planes, float32 NCHW, absolute colours (Black's view).

Knows the arrays of a batch of boards after analysis, not the rules that made them. Changing the meaning or the order of
a plane changes `FEATURE_VERSION`, because trained models depend on both.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Final, Literal, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.errors import InvalidConfig

Variant = Literal["full", "basic"]

FEATURE_VERSION: Final = 1

FULL_PLANES: Final = (
    "on_board",
    "black_t0",
    "black_t1",
    "black_t2",
    "black_t3",
    "white_t0",
    "white_t1",
    "white_t2",
    "white_t3",
    "last_move_1",
    "last_move_2",
    "superko_banned",
    "legal",
    "chains_1",
    "chains_2",
    "chains_3plus",
    "to_play",
    "last_was_pass",
    "komi",
    "komi_parity",
    "superko_kind",
    "suicide",
    "territory",
    "ply",
)
"""Names of the planes of the variant "full", in order.

0/1 on points: on_board; stones now and one to three plies ago; the last two moves (no point for a pass); points banned
by the ko rule alone; legal points of the player to move; stones of chains with one, two, three or more liberties.
Constant planes: to_play +1 Black, -1 White; last_was_pass 0/1; komi = -komi/20; komi_parity in [-0.5, 0.5] (see
`komi_parity_wave`), 0 under territory rules; superko_kind 0 simple, 0.5 positional, 1 situational; suicide 0/1;
territory 0/1; ply = moves played / (2 * area), at most 1."""

BASIC_PLANES: Final = ("on_board", "black_t0", "white_t0", "to_play", "last_was_pass", "komi")
"""Names of the planes of the variant "basic": the same values, only these planes."""

PLANES: Final[dict[str, tuple[str, ...]]] = {"full": FULL_PLANES, "basic": BASIC_PLANES}
NUM_PLANES: Final[dict[str, int]] = {name: len(planes) for name, planes in PLANES.items()}

ACTION_PLANES: Final = ("black_move", "white_move", "pass", "mover")
"""Black's move and White's move as one point, 1 everywhere for a pass, +1 / -1 everywhere for the player who moves."""
NUM_ACTION_PLANES: Final = len(ACTION_PLANES)


def variant_of(num_planes: int) -> Variant:
    """The variant of so many planes; raises `InvalidConfig` where there is none."""
    for variant, count in NUM_PLANES.items():
        if count == num_planes:
            return cast(Variant, variant)
    raise InvalidConfig(f"no feature variant has {num_planes} planes: {NUM_PLANES}")


_BASIC_INDICES: Final = np.array([FULL_PLANES.index(name) for name in BASIC_PLANES])


@njit(cache=True, nogil=True)
def _komi_parity_wave(komi, area):  # type: ignore[no-untyped-def]
    """`komi_parity_wave` for one game."""
    black_komi = -komi
    parity = area % 2
    delta = black_komi - (np.floor((black_komi - parity) / 2.0) * 2.0 + parity)
    if delta < 0.5:
        return delta
    if delta < 1.5:
        return 1.0 - delta
    return delta - 2.0


def komi_parity_wave(komi: float, area: int) -> float:
    """How far Black's side of the komi is from a komi that allows a draw, as a triangle wave of period 2.

    0 at every whole komi; +0.5 half a point above (for Black) one that can draw on a board of `area` points without
    neutral points, -0.5 half a point below; odd in the colours: negating komi negates the wave. KataGo's encoding
    (Wu 2019, "Accelerating Self-Play Learning in Go", features), seen from Black.
    """
    return float(_komi_parity_wave(float(komi), area))


@njit(cache=True, nogil=True)
def fill_full(  # type: ignore[no-untyped-def]
    recent_stones,
    recent_moves,
    to_play,
    ply,
    komi,
    ko_rule,
    suicide,
    scoring,
    legal,
    banned,
    liberties,
    out,
):
    """Fills `out` [G, 24, A] float32 with the variant "full"."""
    area = recent_stones.shape[2]
    for game in range(recent_stones.shape[0]):
        planes = out[game]
        last = recent_moves[game, 0]
        before_last = recent_moves[game, 1]
        for point in range(area):
            planes[0, point] = 1.0
            for t in range(4):
                stone = recent_stones[game, t, point]
                planes[1 + t, point] = 1.0 if stone > 0 else 0.0
                planes[5 + t, point] = 1.0 if stone < 0 else 0.0
            planes[9, point] = 1.0 if last == point else 0.0
            planes[10, point] = 1.0 if before_last == point else 0.0
            planes[11, point] = 1.0 if banned[game, point] else 0.0
            planes[12, point] = 1.0 if legal[game, point] else 0.0
            count = liberties[game, point]
            planes[13, point] = 1.0 if count == 1 else 0.0
            planes[14, point] = 1.0 if count == 2 else 0.0
            planes[15, point] = 1.0 if count >= 3 else 0.0
        planes[16] = np.float32(to_play[game])
        planes[17] = np.float32(1.0) if last == area else np.float32(0.0)
        planes[18] = np.float32(-komi[game] / 20.0)
        wave = _komi_parity_wave(np.float64(komi[game]), area)
        planes[19] = np.float32(wave) if scoring[game] == 0 else np.float32(0.0)
        planes[20] = np.float32(0.5 * ko_rule[game])
        planes[21] = np.float32(1.0) if suicide[game] else np.float32(0.0)
        planes[22] = np.float32(1.0) if scoring[game] == 1 else np.float32(0.0)
        planes[23] = np.float32(min(1.0, ply[game] / (2.0 * area)))


def fill_observations(
    *,
    recent_stones: NDArray[np.int8],
    recent_moves: NDArray[np.int32],
    to_play: NDArray[np.int8],
    ply: NDArray[np.int32],
    komi: NDArray[np.float32],
    ko_rule: NDArray[np.int8],
    suicide: NDArray[np.bool_],
    scoring: NDArray[np.int8],
    legal: NDArray[np.bool_],
    banned: NDArray[np.bool_],
    liberties: NDArray[np.int16],
    size: int,
    variant: Variant,
    out: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """The observations [G, P, S, S] float32 of a batch, written to `out` if given (C-contiguous).

    `recent_stones` [G, 4, A] and `recent_moves` [G, 2] newest first; the other arrays are [G] or as `kernels.analyze`
    fills them.
    """
    games, area = len(to_play), size * size
    if out is None:
        out = np.empty((games, NUM_PLANES[variant], size, size), dtype=np.float32)
    full = out if variant == "full" else np.empty((games, len(FULL_PLANES), size, size), dtype=np.float32)
    fill_full(
        recent_stones,
        recent_moves,
        to_play,
        ply,
        komi,
        ko_rule,
        suicide,
        scoring,
        legal,
        banned,
        liberties,
        full.reshape(games, len(FULL_PLANES), area),
    )
    if variant == "basic":
        out[:] = seen_by(variant, full)
    return out


def seen_by(variant: Variant, full: NDArray[np.float32]) -> NDArray[np.float32]:
    """The planes of `variant` out of all of them, `full` [G, 24, ...]."""
    return full if variant == "full" else full[:, _BASIC_INDICES]


@njit(cache=True, nogil=True)
def _fill_actions(actions, to_play, out):  # type: ignore[no-untyped-def]
    """Fills `out` [B, 4, A] float32."""
    area = out.shape[2]
    out[:] = 0.0
    for i in range(actions.shape[0]):
        action = actions[i]
        if action == area:
            out[i, 2] = 1.0
        elif 0 <= action < area:
            out[i, 0 if to_play[i] > 0 else 1, action] = 1.0
        out[i, 3] = np.float32(to_play[i])


def encode_actions(actions: NDArray[np.int32], to_play: NDArray[np.int8], *, size: int) -> NDArray[np.float32]:
    """The action planes [B, 4, S, S] float32 of `actions` [B] int32 (pass = size * size) made by `to_play` [B] int8.

    An action outside 0..size*size leaves only the mover's plane; this is not checked further.
    """
    out = np.empty((len(actions), NUM_ACTION_PLANES, size, size), dtype=np.float32)
    _fill_actions(
        np.ascontiguousarray(actions, dtype=np.int32),
        np.ascontiguousarray(to_play, dtype=np.int8),
        out.reshape(len(actions), NUM_ACTION_PLANES, size * size),
    )
    return out
