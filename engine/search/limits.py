"""When a search of one position ends: `Limits` set beforehand, and whether more simulations could change the choice.

Knows numbers only: no clock is read here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput

MAX_SIMULATIONS: Final = 2**30
"""No search makes more: visits are counted in int32."""
RATE_IS_TRUSTED_S: Final = 0.1
"""After so many seconds the simulations so far tell how many will follow (KataGo)."""
_RATE_MARGIN: Final = 1.25
"""How much faster than so far the rest of the search may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The first limit reached ends the search; with none, only `SearchHandle.stop` does. One visit is always made."""

    time_s: float | None = None
    """Seconds from the start of the search; the evaluations under way then are still awaited. >= 0."""
    visits: int | None = None
    """Visits of the root, its own evaluation and those kept from an earlier search included: 1 asks for the network's
    bare policy. >= 1."""
    playouts: int | None = None
    """Simulations of this search, the evaluation of the root not included. >= 0."""
    extra_s: float = 0.0
    """Seconds after `time_s` that the search may go on while its choice is unstable; with `early_stop`. >= 0."""
    early_stop: bool = False
    """End as soon as the choice is made (StopReason.ONLY_MOVE, DECIDED); for playing, not for analysis."""

    def __post_init__(self) -> None:
        """Raises `InvalidInput` for a limit out of range."""
        if self.time_s is not None and not (math.isfinite(self.time_s) and self.time_s >= 0.0):
            raise InvalidInput(f"time limit {self.time_s!r}: expected a number of seconds, 0 or more")
        if not (math.isfinite(self.extra_s) and self.extra_s >= 0.0):
            raise InvalidInput(f"extra time {self.extra_s!r}: expected a number of seconds, 0 or more")
        if self.visits is not None and self.visits < 1:
            raise InvalidInput(f"visit limit {self.visits!r}: expected 1 or more")
        if self.playouts is not None and self.playouts < 0:
            raise InvalidInput(f"playout limit {self.playouts!r}: expected 0 or more")

    @property
    def max_simulations(self) -> int:
        """Most simulations after the root's evaluation."""
        visits = MAX_SIMULATIONS if self.visits is None else self.visits - 1
        return min(visits, MAX_SIMULATIONS if self.playouts is None else self.playouts, MAX_SIMULATIONS)

    def less(self, visits: int) -> Limits:
        """The limits where `visits` have been made already, by an earlier search."""
        return self if self.visits is None else replace(self, visits=max(1, self.visits - visits))

    @property
    def counts_simulations(self) -> bool:
        """Whether visits or playouts are limited."""
        return self.visits is not None or self.playouts is not None


def simulations_left(limits: Limits, *, simulations: int, elapsed_s: float) -> float:
    """How many more than the `simulations` begun the limits leave room for, at the rate so far; infinite if unknown."""
    left = float(limits.max_simulations - simulations) if limits.counts_simulations else math.inf
    if limits.time_s is not None and elapsed_s >= RATE_IS_TRUSTED_S:
        left = min(left, _RATE_MARGIN * simulations / elapsed_s * max(0.0, limits.time_s - elapsed_s))
    return left


def is_overtaking_possible(visits: NDArray[np.int32], left: float) -> bool:
    """Whether `left` more visits can make another action the most visited of `visits` [A]."""
    if visits.shape[0] < 2:
        return False
    second, first = np.partition(visits, -2)[-2:]
    return bool(second + left >= first)
