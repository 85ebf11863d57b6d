"""What happened on the way from the start of a window to each of its steps: the slices by which drift is told apart."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.go.features import FULL_PLANES
from trainer.windows import Windows

OPEN_VALUE: Final = 0.8
"""A window is open if the value at its start is nearer to 0: elsewhere the game is decided, and most moves will do."""

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def find_slices(windows: Windows, start_value: Floats) -> dict[str, Mask]:
    """[K + 1, B] by name, for windows that hold all planes of all their steps; `start_value` [B] is what the model
    thought of their start."""
    go = windows.go
    assert go is not None
    observations = np.concatenate([windows.observation[None].numpy(), windows.future_observations.numpy()])
    alive = go.terminal.numpy().T == 0
    board = go.board.numpy().transpose(1, 0, 2)
    taken, snapped, passed = np.zeros((3, *alive.shape), np.bool_)
    taken[1:] = ((board[:-1] != 0) & (board[1:] == 0)).any(2)
    snapped[1:] = np.stack([is_snapback(step) for step in observations[1:]]) & alive[1:]
    passed[1:] = windows.action_planes[:, :, 2, 0, 0].numpy() > 0
    kos = np.stack([find_kos(step) for step in observations]) & alive[:, None]
    happened = {
        "captures": taken,
        "snapback": snapped,
        "ko": kos[:, 0],
        "superko": kos[:, 1],
        "pass": passed,
    }
    slices = {name: np.logical_or.accumulate(here) for name, here in happened.items()}
    quiet = ~np.logical_or.reduce(list(slices.values()))
    is_open = np.broadcast_to(np.abs(start_value) < OPEN_VALUE, alive.shape)
    return {"all": np.ones_like(taken), **slices, "quiet": quiet, "open": is_open}


def is_snapback(observations: Floats) -> Mask:
    """[B] whether the last move was played on the point where the move before it had captured a single stone.

    All neighbours of that point are the captor's, so that the move must have captured, and the ko rule lets it only
    where that was more than one stone. `observations` [B, 24, S, S].
    """
    mover = -_plane(observations, "to_play")
    before_that, before, now = (mover * _stones(observations, plies) for plies in (2, 1, 0))
    lost = (before_that > 0) & (before == 0)
    return np.asarray((lost & (now > 0)).any(1) & (lost.sum(1) == 1))


def find_kos(observations: Floats) -> Mask:
    """[2, B] whether the ko rule forbids a move that would bring back the board before the last move (simple ko), and
    whether it forbids one that would bring back an older board (superko). `observations` [B, 24, S, S]."""
    rows, points = np.nonzero(_plane(observations, "superko_banned"))
    found = np.zeros((2, len(observations)), np.bool_)
    if not len(rows):
        return found
    now, before, to_play = _stones(observations, 0), _stones(observations, 1), _plane(observations, "to_play")
    batch = GoBatch(num_games=len(rows), size=observations.shape[-1])
    for game, row in enumerate(rows):
        batch.set_stones(game, now[row], int(to_play[row, 0]))
    batch.play(points)
    is_simple = (batch.stones == before[rows]).all(1) & (now[rows] != before[rows]).any(1)
    found[0, rows[is_simple]] = True
    found[1, rows[~is_simple]] = True
    return found


def _stones(observations: Floats, plies: int) -> NDArray[np.int8]:
    """[B, area] +1 Black, -1 White, so many plies ago."""
    black, white = (_plane(observations, f"{colour}_t{plies}") for colour in ("black", "white"))
    return (black - white).astype(np.int8)


def _plane(observations: Floats, name: str) -> Floats:
    """[B, area]."""
    return observations[:, FULL_PLANES.index(name)].reshape(len(observations), -1)
