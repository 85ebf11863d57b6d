"""`EvaluationCache`: what a network has said of real positions, in bounded memory; `CachedEvaluator` looks there first.

A position is known by everything that the network sees of it, its observation: the stones now and some plies before,
what superko bans, komi, rules. Imagined states have no such key and belong to their tree. What is found is what the
network would say again, so a search does the same with and without, only sooner. Knows numbers and no games.
"""
# mypy: disable-error-code="untyped-decorator, no-untyped-call"

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.model.contract import PositionEvaluator, RecurrentOutput, RootOutput

Floats = NDArray[np.float32]

ENTRY_BYTES: Final = 36
"""An entry without its policy: key, value, and four places in the index."""
LOGIT_BYTES: Final = 4
"""An action of an entry."""
_PLACES: Final = 4
"""Places of the index an entry: the more, the seldomer two positions want the same."""
_LANES: Final = 8
"""Hashes that are computed side by side, because one multiplication need not wait for another."""
_ODD, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_NONE: Final = -1


@njit(cache=True, nogil=True)
def _make_keys(words, keys):  # type: ignore[no-untyped-def]
    """Fills `keys` [B, 2] of the observations `words` [B, D], all uint64."""
    lanes = np.empty(_LANES, np.uint64)
    whole = words.shape[1] // _LANES * _LANES
    for row in range(words.shape[0]):
        for lane in range(_LANES):
            lanes[lane] = np.uint64(lane + 1) * _ODD
        for start in range(0, whole, _LANES):
            for lane in range(_LANES):
                mixed = (lanes[lane] ^ words[row, start + lane]) * _ODD
                lanes[lane] = mixed ^ (mixed >> _SHIFT)
        for i in range(whole, words.shape[1]):
            mixed = (lanes[i - whole] ^ words[row, i]) * _ODD
            lanes[i - whole] = mixed ^ (mixed >> _SHIFT)
        for half in range(2):
            key = np.uint64(half)
            for lane in range(_LANES):
                mixed = (key ^ lanes[lane if half else _LANES - 1 - lane]) * _ODD
                key = mixed ^ (mixed >> _SHIFT)
            keys[row, half] = key


@njit(cache=True, nogil=True)
def _find(words, keys, known_keys, known_logits, known_values, index, policy_logits, value, hits):  # type: ignore[no-untyped-def]
    """Fills the keys of the observations `words`, whether they are known into `hits` [B], and what is known into these
    rows of `policy_logits` [B, A] and `value` [B]. Returns the number of hits."""
    _make_keys(words, keys)
    found = 0
    for row in range(words.shape[0]):
        entry = index[np.int64(keys[row, 0] % np.uint64(index.shape[0]))]
        hits[row] = entry != _NONE and known_keys[entry, 0] == keys[row, 0] and known_keys[entry, 1] == keys[row, 1]
        if hits[row]:
            found += 1
            policy_logits[row] = known_logits[entry]
            value[row] = known_values[entry]
    return found


@njit(cache=True, nogil=True)
def _add(first, keys, policy_logits, value, known_keys, known_logits, known_values, index):  # type: ignore[no-untyped-def]
    """Writes the rows into the entries `first` and following, round about. Returns the entry after the last."""
    for row in range(keys.shape[0]):
        known_keys[first] = keys[row]
        known_logits[first] = policy_logits[row]
        known_values[first] = value[row]
        index[np.int64(keys[row, 0] % np.uint64(index.shape[0]))] = first
        first = (first + 1) % known_keys.shape[0]
    return first


class Findings(NamedTuple):
    """What a cache knows of B positions."""

    found: int
    """How many are known."""
    hits: NDArray[np.bool_]
    """[B] which."""
    keys: NDArray[np.uint64]
    """[B, 2] to `add` the others with."""
    policy_logits: Floats
    """[B, A], filled where known."""
    value: Floats
    """[B], filled where known."""


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
        """Positions that were found."""

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return sum(array.nbytes for array in (self._keys, self._policy_logits, self._value, self._index))

    def find(self, observations: Floats) -> Findings:
        """What is known of `observations` [B, ...]."""
        count = len(observations)
        keys, hits = np.empty((count, 2), np.uint64), np.empty(count, np.bool_)
        policy_logits = np.empty((count, self._policy_logits.shape[1]), np.float32)
        value, words = np.empty(count, np.float32), _words(observations.reshape(count, -1))
        known = self._keys, self._policy_logits, self._value, self._index
        with self._lock:
            found = _find(words, keys, *known, policy_logits, value, hits)
            self.lookups += count
            self.hits += found
        return Findings(found, hits, keys, policy_logits, value)

    def add(self, keys: NDArray[np.uint64], policy_logits: Floats, value: Floats) -> None:
        """Keeps `policy_logits` [B, A] and `value` [B] under `keys` [B, 2]."""
        known = self._keys, self._policy_logits, self._value, self._index
        with self._lock:
            self._next = _add(self._next, keys, policy_logits, value, *known)


class CachedEvaluator:
    """A `PositionEvaluator` that asks the one around which it stands only for looks that the cache does not know."""

    def __init__(self, evaluator: PositionEvaluator, cache: EvaluationCache) -> None:
        """`cache`: of the same network and board size, perhaps shared with other evaluators of it."""
        self.num_slots = evaluator.num_slots
        self._evaluator = evaluator
        self._cache = cache

    def look(self, observations: Floats) -> tuple[Floats, Floats]:
        """See `PositionEvaluator.look`."""
        found, hits, keys, policy_logits, value = self._cache.find(observations)
        if not found:
            policy_logits, value = self._evaluator.look(observations)
            self._cache.add(keys, policy_logits, value)
        elif found < len(hits):
            missing = np.flatnonzero(~hits)
            policy_logits[missing], value[missing] = answer = self._evaluator.look(observations[missing])
            self._cache.add(keys[missing], *answer)
        return policy_logits, value

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


def _words(rows: Floats) -> NDArray[np.uint64]:
    """`rows` [B, D] as 64-bit words [B, D / 2], filled up with a zero where D is odd."""
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return np.ascontiguousarray(rows).view(np.uint64)
