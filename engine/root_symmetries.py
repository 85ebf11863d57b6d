"""`SymmetricRoots`: a network whose judgement of a real position is the mean over the board's eight symmetries.

Only roots: imagined positions are judged once, as they come. Knows the shapes of a Go network and nothing of its kind.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.model.contract import Evaluator, RecurrentOutput, RootOutput

NUM_SYMMETRIES: Final = 8

Floats = NDArray[np.float32]


def turned(boards: Floats, symmetry: int) -> Floats:
    """`boards` [..., S, S] after a number of quarter turns, and for 4 to 7 mirrored before."""
    mirrored = boards.swapaxes(-1, -2) if symmetry >= 4 else boards
    return np.rot90(mirrored, symmetry % 4, axes=(-2, -1))


def turned_back(boards: Floats, symmetry: int) -> Floats:
    """The inverse of `turned`."""
    unturned = np.rot90(boards, -(symmetry % 4), axes=(-2, -1))
    return unturned.swapaxes(-1, -2) if symmetry >= 4 else unturned


class SymmetricRoots:
    """An `Evaluator` of single roots around another one, of which it takes seven slots for itself."""

    def __init__(self, evaluator: Evaluator, *, size: int) -> None:
        """`size`: of the board. Raises `InvalidInput` where the other one has too few slots."""
        self.num_slots = evaluator.num_slots - (NUM_SYMMETRIES - 1)
        if self.num_slots < 1:
            raise InvalidInput(f"{evaluator.num_slots} slots: expected {NUM_SYMMETRIES} or more")
        self._evaluator = evaluator
        self._size = size
        self._own_slots = np.arange(self.num_slots, evaluator.num_slots, dtype=np.int32)

    def initial(self, observations: Floats, slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`; of one position. The hidden state is that of the board as it lies.

        Policies are averaged as probabilities, and given back as logarithms.
        """
        if len(slots) != 1:
            raise InvalidInput(f"{len(slots)} positions: expected one")
        images = [turned(observations[0], symmetry) for symmetry in range(NUM_SYMMETRIES)]
        output = self._evaluator.initial(np.stack(images), np.concatenate([slots, self._own_slots]))
        ownership = output.ownership
        if ownership is not None:
            boards = [turned_back(ownership[symmetry], symmetry) for symmetry in range(NUM_SYMMETRIES)]
            ownership = np.stack(boards).mean(axis=0, keepdims=True).astype(np.float32)
        return RootOutput(
            policy_logits=self._mean_policy(output.policy_logits),
            value=_mean(output.value),
            ownership=ownership,
            score_mean=None if output.score_mean is None else _mean(output.score_mean),
            score_stdev=None if output.score_stdev is None else _mean(output.score_stdev),
        )

    def _mean_policy(self, policy_logits: Floats) -> Floats:
        """[1, A] of the images' logits [8, A]."""
        shifted = policy_logits.astype(np.float64) - policy_logits.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        policy = weights / weights.sum(axis=1, keepdims=True)
        size = self._size
        boards = [
            turned_back(policy[symmetry, :-1].reshape(size, size), symmetry) for symmetry in range(NUM_SYMMETRIES)
        ]
        points = np.mean(boards, axis=0).reshape(-1)
        mean = np.append(points, policy[:, -1].mean())
        logits: Floats = np.log(np.maximum(mean, np.finfo(np.float32).tiny)).astype(np.float32)[None]
        return logits

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`."""
        return self._evaluator.recurrent(parent_slots, actions, to_play, child_slots)


def _mean(values: Floats) -> Floats:
    """[1] of the images' values [8]."""
    mean: Floats = values.mean(axis=0, keepdims=True)
    return mean
