"""When a running search ends: its limits, and whether the choice is made before they are reached.

Asked before every simulation, so it looks at the tree only now and then. Knows numbers; reads no clock by itself and
never touches a tree.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.search.limits import Limits, is_overtaking_possible, simulations_left
from engine.search.qvalues import RootStatistics
from engine.search.result import StopReason

_DECISION_INTERVAL = 16
"""Simulations between two looks at whether the choice is made, at first."""
_DECISION_SHARE = 32
"""Later, one part in so many of the simulations made."""


class StopRules:
    """The end of one search. Not safe for use from several threads: the search's lock guards it."""

    def __init__(
        self,
        limits: Limits,
        *,
        num_legal: int,
        has_win: bool,
        compares_visits: bool,
        elapsed_s: Callable[[], float],
        statistics: Callable[[], RootStatistics],
    ) -> None:
        """`has_win`: an action wins on the spot. `compares_visits`: the most visited action is the choice.

        `elapsed_s` gives seconds since the start; `statistics` reads the root, a batch of one.
        """
        self._limits = limits
        self._num_legal = num_legal
        self._has_win = has_win
        self._compares_visits = compares_visits
        self._elapsed_s = elapsed_s
        self._statistics = statistics
        self._next_look = _DECISION_INTERVAL
        self.stop_requested = False
        """Set by any thread, without the lock."""

    def reason(self, simulations: int) -> StopReason | None:
        """Why no simulation may follow the `simulations` begun so far, or None."""
        if self.stop_requested:
            return StopReason.STOPPED
        if simulations >= self._limits.max_simulations:
            return StopReason.VISITS
        if self._limits.time_s is not None and self._elapsed_s() >= self._limits.time_s:
            return StopReason.TIME
        if self._limits.early_stop:
            return self._reason_to_stop_early(simulations)
        return None

    def _reason_to_stop_early(self, simulations: int) -> StopReason | None:
        if self._num_legal == 1:
            return StopReason.ONLY_MOVE
        if self._has_win:
            return StopReason.DECIDED
        if not self._compares_visits or simulations < self._next_look:
            return None
        self._next_look = simulations + max(_DECISION_INTERVAL, simulations // _DECISION_SHARE)
        left = simulations_left(self._limits, simulations=simulations, elapsed_s=self._elapsed_s())
        return None if is_overtaking_possible(self._statistics().visits[0], left) else StopReason.DECIDED
