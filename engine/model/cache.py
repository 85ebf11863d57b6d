"""`EvaluationCache`: what a network has said of real positions, in bounded memory; `CachedEvaluator` looks there first.

A position is known by everything that the network sees of it, its observation: the stones now and some plies before,
what superko bans, komi, rules. Imagined states have no such key and belong to their tree. What is found is what the
network would say again, so a search does the same with and without, only sooner. Knows numbers and no games.
"""
# mypy: disable-error-code="untyped-decorator, no-untyped-call"

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.model.contract import PositionEvaluator, RecurrentOutput, RootOutput

Floats = NDArray[np.float32]
Look = Callable[[Floats], tuple[Floats, Floats]]
"""`PositionEvaluator.look`."""

ENTRY_BYTES: Final = 36
"""An entry without its policy: key, value, and four places in the index."""
LOGIT_BYTES: Final = 4
"""An action of an entry."""
_PLACES: Final = 4
"""Places of the index an entry: the more, the seldomer two positions want the same."""
_ODD, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_STARTS = (np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4))
_NONE: Final = -1


@njit(inline="always")
def _mix(hashed, word):  # type: ignore[no-untyped-def]
    """`hashed` with one more `word`, both uint64."""
    product = (hashed ^ word) * _ODD
    return product ^ (product >> _SHIFT)


@njit(cache=True, nogil=True)
def _make_keys(observations, keys):  # type: ignore[no-untyped-def]
    """Fills `keys` [B, 2] uint64 of `observations` [B, ...] float32, of an even number of numbers each.

    Four hashes side by side, because one multiplication need not wait for another.
    """
    words = observations.reshape(-1).view(np.uint64)
    length = words.shape[0] // keys.shape[0]
    whole = length // 4 * 4
    for row in range(keys.shape[0]):
        own = words[row * length : (row + 1) * length]
        a, b, c, d = _STARTS
        for i in range(0, whole, 4):
            a = _mix(a, own[i])
            b = _mix(b, own[i + 1])
            c = _mix(c, own[i + 2])
            d = _mix(d, own[i + 3])
        for i in range(whole, length):
            a = _mix(a, own[i])
        keys[row, 0] = _mix(_mix(_mix(a, b), c), d)
        keys[row, 1] = _mix(_mix(_mix(d, c), b), a)


@njit(cache=True, nogil=True)
def _find(observations, keys, entries, known_keys, index):  # type: ignore[no-untyped-def]
    """Fills `keys` [B, 2] and `entries` [B] int32 of `observations` [B, ...]: where they are, or `_NONE`. Returns how
    many are known."""
    _make_keys(observations, keys)
    found = 0
    for row in range(keys.shape[0]):
        entry = index[np.int64(keys[row, 0] % np.uint64(index.shape[0]))]
        if entry != _NONE and known_keys[entry, 0] == keys[row, 0] and known_keys[entry, 1] == keys[row, 1]:
            entries[row] = entry
            found += 1
        else:
            entries[row] = _NONE
    return found


@njit(cache=True, nogil=True)
def _read(entries, known_logits, known_values, policy_logits, value):  # type: ignore[no-untyped-def]
    """Fills the rows of `policy_logits` [B, A] and `value` [B] whose `entries` [B] there are."""
    for row in range(entries.shape[0]):
        if entries[row] != _NONE:
            policy_logits[row] = known_logits[entries[row]]
            value[row] = known_values[entries[row]]


@njit(cache=True, nogil=True)
def _write(first, keys, policy_logits, value, known_keys, known_logits, known_values, index):  # type: ignore[no-untyped-def]
    """Writes the rows into the entries `first` and following, round about. Returns the entry after the last."""
    for row in range(keys.shape[0]):
        known_keys[first] = keys[row]
        known_logits[first] = policy_logits[row]
        known_values[first] = value[row]
        index[np.int64(keys[row, 0] % np.uint64(index.shape[0]))] = first
        first = (first + 1) % known_keys.shape[0]
    return first


class EvaluationCache:
    """Policy and value of positions; where it is full, a new one takes the place of the oldest. For one network on one
    size of board. Any thread may call it."""

    def __init__(self, max_bytes: int, *, num_actions: int) -> None:
        """As many entries as fit into `max_bytes`, at least one; their memory becomes real when they are written."""
        entries = max(1, max_bytes // (ENTRY_BYTES + LOGIT_BYTES * num_actions))
        self._keys = np.empty((entries, 2), np.uint64)
        self._policy_logits = np.empty((entries, num_actions), np.float32)
        self._value = np.empty(entries, np.float32)
        self._index = np.full(_PLACES * entries, _NONE, np.int32)
        self._next = 0
        self._lock = threading.Lock()
        self.lookups = 0
        """Positions asked for."""
        self.hits = 0
        """Positions that were known."""

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return sum(array.nbytes for array in (self._keys, self._policy_logits, self._value, self._index))

    def clear(self) -> None:
        """Forgets all positions."""
        with self._lock:
            self._index.fill(_NONE)

    def recall(self, observations: Floats, look: Look) -> tuple[Floats, Floats]:
        """Policy logits [B, A] and values [B] of `observations` [B, ...]: what is known, and of the others what `look`
        says of them, which is known from now on."""
        count = len(observations)
        keys, entries = np.empty((count, 2), np.uint64), np.empty(count, np.int32)
        words = _in_words(observations)
        with self._lock:
            found = _find(words, keys, entries, self._keys, self._index)
            self.lookups += count
            self.hits += found
            if found:
                policy_logits = np.empty((count, self._policy_logits.shape[1]), np.float32)
                value = np.empty(count, np.float32)
                _read(entries, self._policy_logits, self._value, policy_logits, value)
        if not found:
            policy_logits, value = look(observations)
            self._add(keys, policy_logits, value)
        elif found < count:
            missing = np.flatnonzero(entries == _NONE)
            policy_logits[missing], value[missing] = answer = look(observations[missing])
            self._add(keys[missing], *answer)
        return policy_logits, value

    def _add(self, keys: NDArray[np.uint64], policy_logits: Floats, value: Floats) -> None:
        known = self._keys, self._policy_logits, self._value, self._index
        with self._lock:
            self._next = _write(self._next, keys, policy_logits, value, *known)


class CachedEvaluator:
    """A `PositionEvaluator` that asks the one around which it stands only for looks that the cache does not know."""

    def __init__(self, evaluator: PositionEvaluator, cache: EvaluationCache) -> None:
        """`cache`: of the same network and board size, perhaps shared with other evaluators of it."""
        self.num_slots = evaluator.num_slots
        self._evaluator = evaluator
        self._cache = cache

    def look(self, observations: Floats) -> tuple[Floats, Floats]:
        """See `PositionEvaluator.look`."""
        return self._cache.recall(observations, self._evaluator.look)

    def initial(self, observations: Floats, slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`."""
        return self._evaluator.initial(observations, slots)

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`."""
        return self._evaluator.recurrent(parent_slots, actions, to_play, child_slots)


def _in_words(observations: Floats) -> Floats:
    """`observations` [B, ...] as whole 64-bit words: with a zero more where their numbers are odd."""
    if observations.shape[0] and (observations.size // observations.shape[0]) % 2:
        return np.pad(observations.reshape(len(observations), -1), ((0, 0), (0, 1)))
    return np.ascontiguousarray(observations)
