"""Whether a search has settled: what it would have found at half its length, and now, come to the same.

V-MCTS (Ye et al., "Spending thinking time wisely", 2022): the visits are extended to the full length without network,
as if every value stayed what it is, and the two distributions are compared. Works on root statistics; knows no tree.
"""
# mypy: disable-error-code="untyped-decorator, no-any-return, call-overload"

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.config import SearchConfig
from engine.search.qvalues import RootStatistics

_MOST_STEPS: Final = 512
"""Virtual visits are handed out in at most so many portions."""
_GROWTH: Final = 2**0.25
"""The search grows by this factor between two looks."""


class Settling:
    """Compares one search with its own past; for PUCT with outcomes in [-1, 1]."""

    def __init__(self, config: SearchConfig, *, prior: NDArray[np.float32], to_play: int) -> None:
        """`prior` [A] float32 of the root, 0 on illegal actions; `to_play` +1 or -1."""
        self._config = config
        self._prior = prior
        self._to_play = to_play
        self._past: list[tuple[int, RootStatistics]] = []
        self._next_look = 0.0
        self._extend(np.zeros(1, np.int32), np.zeros(1), np.zeros(1, np.float32), 0.0)  # compiled here, not on the way

    def has_settled(self, statistics: RootStatistics, left: float) -> bool:
        """Whether the search may end, `left` simulations before its limit; takes note of `statistics`, a batch of one.

        Not before `settle_share` of it is done. Never where `left` is infinite.
        """
        made = int(statistics.visits.sum())
        if made < self._next_look:
            return False
        self._next_look = made * _GROWTH
        self._past.append((made, statistics))
        halves = [past for number, past in self._past if number <= made / 2]
        total = made + left
        if not halves or math.isinf(total) or made < self._config.settle_share * total:
            return False
        moved = np.abs(self._extended(halves[-1], total) - self._extended(statistics, total)).sum()
        return bool(moved < self._config.settle_distance)

    def _extended(self, statistics: RootStatistics, total: float) -> NDArray[np.float64]:
        """[A] shares of the visits after `total` of them, all values staying as they are."""
        visits, q = statistics.visits[0], statistics.q[0]
        q01 = 0.5 * (1.0 + self._to_play * q.astype(np.float64))
        visited_prior = float(self._prior[visits > 0].sum())
        urgency = 0.5 * (1.0 + self._to_play * float(statistics.value[0]))
        urgency = max(0.0, urgency - self._config.fpu_reduction * math.sqrt(visited_prior))
        q01 = np.where(visits > 0, q01, urgency)
        return self._extend(visits, q01, self._prior, total)

    def _extend(
        self, visits: NDArray[np.int32], q01: NDArray[np.float64], prior: NDArray[np.float32], total: float
    ) -> NDArray[np.float64]:
        constants = float(self._config.c_puct_init), float(self._config.c_puct_base)
        shares: NDArray[np.float64] = extend_visits(visits, q01, prior, *constants, float(total))
        return shares


@njit(cache=True)
def extend_visits(
    visits: NDArray[np.int32],
    q01: NDArray[np.float64],
    prior: NDArray[np.float32],
    puct_init: float,
    puct_base: float,
    total: float,
) -> NDArray[np.float64]:
    """[A] shares after PUCT has handed out visits up to `total`; the mover's values `q01` [A] stay as they are."""
    counts = visits.astype(np.float64)
    made = counts.sum()
    portion = max(1.0, (total - made) / _MOST_STEPS)
    while made < total:
        exploration = (puct_init + math.log((made + puct_base + 1.0) / puct_base)) * math.sqrt(made)
        best, best_score = -1, -np.inf
        for action in range(counts.shape[0]):
            if prior[action] > 0.0:
                score = q01[action] + exploration * prior[action] / (1.0 + counts[action])
                if score > best_score:
                    best, best_score = action, score
        if best < 0:
            break
        counts[best] += portion
        made += portion
    return counts / max(made, 1.0)
