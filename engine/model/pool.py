"""`HiddenPool`: hidden states by slot, in one array. Knows nothing of what they mean or who computes them.

States are kept as half floats (IEEE 754 binary16) unless asked otherwise: half the memory, rounded by one part in 2048.
numba has no such type, so they are packed and unpacked as integers; the compiler makes vector instructions of it.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.errors import EvaluationError, InvalidInput

TOUCHED_BYTES: Final = 64 * 2**20
"""So much of a pool is written when it is made: to get a page of memory at its first use costs a search up to a third
of its speed on some systems. Slots are used again before new ones are, so later moves seldom need more."""
_FINITE, _NOT_FINITE, _NO_SUCH_SLOT, _TOO_LARGE = 0, 1, 2, 3

LARGEST_HALF: Final = 65504.0
"""No half float is larger."""
_TO_HALF_EXPONENT, _FROM_HALF_EXPONENT = np.float32(2.0**-112), np.float32(2.0**112)
"""Factors between the exponent of a float32 and that of the half float with the same bits, 13 places further left."""
# Typed, for numba takes a plain number for 64 bits wide, and a vector then holds half as many.
_SHIFT, _SIGN_SHIFT, _ONE = np.uint32(13), np.uint32(16), np.uint32(1)
_MAGNITUDE, _HALF_MAGNITUDE, _HALF_SIGN = np.uint32(0x7FFFFFFF), np.uint32(0x7FFF), np.uint32(0x8000)
_BELOW_HALF = np.uint32(0xFFF)


@njit(cache=True, nogil=True)
def _is_finite(values):  # type: ignore[no-untyped-def]
    """Whether `values` [N] hold neither NaN nor infinity."""
    is_bad = 0
    for i in range(values.shape[0]):
        is_bad |= values[i] - values[i] != 0
    return is_bad == 0


@njit(cache=True, nogil=True)
def _store(states, policy_logits, value, slots, pool):  # type: ignore[no-untyped-def]
    """Copies `states` [B, D] into the rows `slots` [B] of `pool` [N, D], and says whether every number that came with
    them, `policy_logits` [B, A] and `value` [B], is finite: one call, because calls cost more than the work."""
    is_bad = 0
    for row in range(slots.shape[0]):
        slot = slots[row]
        if slot < 0 or slot >= pool.shape[0]:
            return _NO_SUCH_SLOT
        for i in range(pool.shape[1]):
            number = states[row, i]
            pool[slot, i] = number
            is_bad |= number - number != 0  # true of NaN and infinity only
    is_good = is_bad == 0 and _is_finite(value) and _is_finite(policy_logits.reshape(-1))
    return _FINITE if is_good else _NOT_FINITE


@njit(cache=True, nogil=True)
def _store_halves(states, policy_logits, value, slots, pool):  # type: ignore[no-untyped-def]
    """`_store` for a `pool` [N, D] uint16 of half floats, rounded to the nearest, of two to the even one."""
    is_bad, is_large = 0, 0
    for row in range(slots.shape[0]):
        slot = slots[row]
        if slot < 0 or slot >= pool.shape[0]:
            return _NO_SUCH_SLOT
        for i in range(pool.shape[1]):
            number = states[row, i]
            bits = np.float32(number * _TO_HALF_EXPONENT).view(np.uint32)
            magnitude = bits & _MAGNITUDE
            rounded = (magnitude + _BELOW_HALF + ((magnitude >> _SHIFT) & _ONE)) >> _SHIFT
            pool[slot, i] = rounded | ((bits >> _SIGN_SHIFT) & _HALF_SIGN)
            is_bad |= number - number != 0
            is_large |= abs(number) > LARGEST_HALF
    if is_bad or not (_is_finite(value) and _is_finite(policy_logits.reshape(-1))):
        return _NOT_FINITE
    return _TOO_LARGE if is_large else _FINITE


@njit(cache=True, nogil=True)
def _load_halves(pool, slots, states):  # type: ignore[no-untyped-def]
    """Writes the rows `slots` [B] of `pool` [N, D] uint16, half floats, into `states` [B, D] float32."""
    for row in range(slots.shape[0]):
        halves = pool[slots[row]]
        for i in range(halves.shape[0]):
            half = np.uint32(halves[i])
            bits = np.uint32(((half & _HALF_MAGNITUDE) << _SHIFT) | ((half & _HALF_SIGN) << _SIGN_SHIFT))
            states[row, i] = bits.view(np.float32) * _FROM_HALF_EXPONENT


def check_finite(name: str, values: NDArray[np.float32]) -> None:
    """Raises `EvaluationError` if `values`, any shape, hold NaN or infinity."""
    if not _is_finite(values.reshape(-1)):
        raise EvaluationError(f"the network returned NaN or infinity in {name!r}")


class HiddenPool:
    """N hidden states of one shape. Disjoint slots may be used from several threads at once."""

    def __init__(self, num_slots: int, shape: Sequence[int], *, halves: bool = True) -> None:
        """Reserves N * prod(shape) * 2 bytes, or 4 where states are not to be kept as half floats; those past
        TOUCHED_BYTES become real as slots are first written."""
        if num_slots < 1:
            raise InvalidInput(f"num_slots {num_slots} is not positive")
        self.num_slots = num_slots
        self.shape = tuple(shape)
        self._halves = halves
        self._rows: NDArray[Any] = np.empty(
            (num_slots, int(np.prod(self.shape))), dtype=np.uint16 if halves else np.float32
        )
        self._rows.reshape(-1)[: TOUCHED_BYTES // self._rows.itemsize] = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return self._rows.nbytes

    def gather(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """The states [B, ...] of `slots` [B]; not to be written to."""
        if self._halves:
            states: NDArray[np.float32] = np.empty((len(slots), self._rows.shape[1]), dtype=np.float32)
            _load_halves(self._rows, slots, states)
        elif len(slots) == 1:
            slot = int(slots[0])
            states = self._rows[slot : slot + 1]
        else:
            states = self._rows[slots]
        return states.reshape(-1, *self.shape)

    def store(
        self,
        slots: NDArray[np.int32],
        states: NDArray[np.float32],
        policy_logits: NDArray[np.float32],
        value: NDArray[np.float32],
    ) -> None:
        """Writes `states` [B, ...] into `slots` [B] and checks them, `policy_logits` [B, A] and `value` [B].

        Raises `InvalidInput` for a slot outside the pool and `EvaluationError` for NaN, infinity, or a state that half
        floats cannot hold.
        """
        store = _store_halves if self._halves else _store
        outcome = store(states.reshape(len(slots), -1), policy_logits, value, slots, self._rows)
        if outcome == _NOT_FINITE:
            raise EvaluationError("the network returned NaN or infinity")
        if outcome == _TOO_LARGE:
            raise EvaluationError(f"the network returned a hidden state with numbers beyond {LARGEST_HALF:.0f}")
        if outcome == _NO_SUCH_SLOT:
            raise InvalidInput(f"slots {slots.tolist()} are not all within 0..{self.num_slots - 1}")
