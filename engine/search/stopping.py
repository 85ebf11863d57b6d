"""When a running search ends: its limits, and whether the choice is made before they are reached, or not yet made then.

Asked before every simulation, so it looks at the tree only now and then. Knows numbers; reads no clock by itself and
never touches a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from engine.search.choice import RootChoice
from engine.search.limits import Limits, is_overtaking_possible, simulations_left
from engine.search.qvalues import RootStatistics
from engine.search.result import StopReason

_LOOK_INTERVAL: Final = 16
"""Simulations between two looks at the root, at first."""
_LOOK_SHARE: Final = 32
"""Later, one part in so many of the simulations made."""
_CONTENDER_SHARE: Final = 0.15
"""An action with so many of the leader's visits may still turn out better."""
_YOUNG_SHARE: Final = 0.25
"""A leader that has led for less than so much of the search has not proved itself."""


class StopRules:
    """The end of one search. Not safe for use from several threads: the search's lock guards it."""

    def __init__(
        self,
        limits: Limits,
        choice: RootChoice,
        *,
        elapsed_s: Callable[[], float],
        statistics: Callable[[], RootStatistics],
        under_way: Callable[[], int],
    ) -> None:
        """`elapsed_s` gives seconds since the start; `statistics` reads the root, a batch of one; `under_way` counts
        simulations that have begun and are not in the statistics yet."""
        config = choice.config
        self._limits = limits
        self._to_play = int(choice.roots.to_play[0])
        self._is_only_move = int(choice.roots.legal_mask.sum()) == 1
        self._has_win = bool((choice.winning_actions() >= 0).any())
        self._looks = limits.early_stop and config.algorithm == "puct"
        self._must_be_stable = config.choice == "lcb" or limits.extra_s > 0.0
        self._elapsed_s = elapsed_s
        self._statistics = statistics
        self._under_way = under_way
        self._next_look = _LOOK_INTERVAL
        self._leader = -1
        self._leads_since = 0
        self._is_stable = True
        self.stop_requested = False
        """Set by any thread, without the lock."""

    def reason(self, simulations: int) -> StopReason | None:
        """Why no simulation may follow the `simulations` begun so far, or None."""
        if self.stop_requested:
            return StopReason.STOPPED
        if simulations >= self._limits.max_simulations:
            return StopReason.VISITS
        if self._limits.time_s is not None and self._is_time_up(simulations):
            return StopReason.TIME
        if self._limits.early_stop:
            return self._reason_to_stop_early(simulations)
        return None

    def _is_time_up(self, simulations: int) -> bool:
        """An unstable choice gets the extra time, as long as it stays so."""
        over_s = self._elapsed_s() - (self._limits.time_s or 0.0)
        if over_s < 0.0:
            return False
        if over_s >= self._limits.extra_s or not self._looks:
            return True
        if simulations >= self._next_look:
            self._look(simulations)
        return self._is_stable

    def _reason_to_stop_early(self, simulations: int) -> StopReason | None:
        if self._is_only_move:
            return StopReason.ONLY_MOVE
        if self._has_win:
            return StopReason.DECIDED
        if not self._looks or simulations < self._next_look:
            return None
        statistics = self._look(simulations)
        left = simulations_left(self._limits, simulations=simulations, elapsed_s=self._elapsed_s()) + self._under_way()
        may_decide = self._is_stable or not self._must_be_stable
        if may_decide and not is_overtaking_possible(statistics.visits[0], left):
            return StopReason.DECIDED
        return None

    def _look(self, simulations: int) -> RootStatistics:
        """Reads the root, and judges whether the choice is stable.

        It is where the most visited action is also the best of its contenders, and not only since lately.
        """
        self._next_look = simulations + max(_LOOK_INTERVAL, simulations // _LOOK_SHARE)
        statistics = self._statistics()
        visits, q = statistics.visits[0], statistics.q[0]
        leader = int(visits.argmax())
        if leader != self._leader:
            self._leader, self._leads_since = leader, simulations
        contends = (visits > 0) & (visits >= _CONTENDER_SHARE * visits[leader])
        best = int(np.where(contends, self._to_play * q, -np.inf).argmax())
        is_young = self._leads_since > (1.0 - _YOUNG_SHARE) * simulations
        self._is_stable = best == leader and not is_young
        return statistics
