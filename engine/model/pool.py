"""`HiddenPool`: hidden states by slot, in one array. Knows nothing of what they mean or who computes them."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.errors import EvaluationError, InvalidInput

TOUCHED_BYTES: Final = 64 * 2**20
"""So much of a pool is written when it is made: to get a page of memory at its first use costs a search up to a third
of its speed on some systems. Slots are used again before new ones are, so later moves seldom need more."""
_FINITE, _NOT_FINITE, _NO_SUCH_SLOT = 0, 1, 2


@njit(cache=True, nogil=True)
def _store(states, policy_logits, value, slots, pool):  # type: ignore[no-untyped-def]
    """Copies `states` [B, D] into the rows `slots` [B] of `pool` [N, D], and says whether every number that came with
    them, `policy_logits` [B, A] and `value` [B], is finite: one call, because calls cost more than the work."""
    is_bad = 0
    for row in range(slots.shape[0]):
        slot = slots[row]
        if slot < 0 or slot >= pool.shape[0]:
            return _NO_SUCH_SLOT
        is_bad |= value[row] - value[row] != 0
        for action in range(policy_logits.shape[1]):
            is_bad |= policy_logits[row, action] - policy_logits[row, action] != 0
        for i in range(pool.shape[1]):
            number = states[row, i]
            pool[slot, i] = number
            is_bad |= number - number != 0  # true of NaN and infinity only
    return _NOT_FINITE if is_bad else _FINITE


@njit(cache=True, nogil=True)
def _is_finite(values):  # type: ignore[no-untyped-def]
    """Whether `values` [N] hold neither NaN nor infinity."""
    is_bad = 0
    for i in range(values.shape[0]):
        is_bad |= values[i] - values[i] != 0
    return is_bad == 0


def check_finite(name: str, values: NDArray[np.float32]) -> None:
    """Raises `EvaluationError` if `values`, any shape, hold NaN or infinity."""
    if not _is_finite(values.reshape(-1)):
        raise EvaluationError(f"the network returned NaN or infinity in {name!r}")


class HiddenPool:
    """N hidden states of one shape, float32. Disjoint slots may be used from several threads at once."""

    def __init__(self, num_slots: int, shape: Sequence[int]) -> None:
        """Reserves N * prod(shape) * 4 bytes; those past TOUCHED_BYTES become real as slots are first written."""
        if num_slots < 1:
            raise InvalidInput(f"num_slots {num_slots} is not positive")
        self.num_slots = num_slots
        self.shape = tuple(shape)
        self._states = np.empty((num_slots, *self.shape), dtype=np.float32)
        self._rows = self._states.reshape(num_slots, -1)
        self._states.reshape(-1)[: TOUCHED_BYTES // self._states.itemsize] = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return self._states.nbytes

    def gather(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """The states [B, ...] of `slots` [B]: for B = 1 a view of the pool, else a copy."""
        if len(slots) == 1:
            slot = int(slots[0])
            return self._states[slot : slot + 1]
        return self._states[slots]

    def store(
        self,
        slots: NDArray[np.int32],
        states: NDArray[np.float32],
        policy_logits: NDArray[np.float32],
        value: NDArray[np.float32],
    ) -> None:
        """Writes `states` [B, ...] into `slots` [B] and checks them, `policy_logits` [B, A] and `value` [B].

        Raises `InvalidInput` for a slot outside the pool and `EvaluationError` for NaN or infinity.
        """
        outcome = _store(states.reshape(len(slots), -1), policy_logits, value, slots, self._rows)
        if outcome == _NOT_FINITE:
            raise EvaluationError("the network returned NaN or infinity")
        if outcome == _NO_SUCH_SLOT:
            raise InvalidInput(f"slots {slots.tolist()} are not all within 0..{self.num_slots - 1}")
