"""Elo differences from paired games: two games on one opening with colours exchanged, which are not independent.

Formulas as in fishtest and fastchess: the spread comes from the pairs. Knows nothing of games or engines.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Z95: Final = 1.959964
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The mean share of the points that one side won, and its 95 % interval."""

    mean: float
    """In [0, 1]."""
    low: float
    """In [0, mean]."""
    high: float
    """In [mean, 1]."""

    @property
    def elo(self) -> tuple[float, float, float]:
        """The difference in Elo: mean, low, high; infinite where a share is 0 or 1."""
        return to_elo(self.mean), to_elo(self.low), to_elo(self.high)


def paired_share(pairs: Sequence[float], *, z: float = Z95) -> Share:
    """The share of one side from its share of each pair's two points, in [0, 1]; needs one pair at least.

    Where all pairs are alike, which says nothing of their spread, the interval is Wilson's for as many independent
    games as there are pairs.
    """
    count, mean = len(pairs), statistics.fmean(pairs)
    spread = statistics.stdev(pairs) if count > 1 else 0.0
    if spread == 0.0:
        low, high = wilson_interval(mean * count, count, z)
    else:
        half = z * spread / math.sqrt(count)
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Share(mean=mean, low=min(low, mean), high=max(high, mean))


def wilson_interval(successes: float, trials: int, z: float = Z95) -> tuple[float, float]:
    """Of a share of independent trials (Wilson 1927); within [0, 1] and never empty."""
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def to_elo(share: float) -> float:
    """The difference in Elo of which `share` is the expected score; infinite at 0 and 1."""
    if share in (0.0, 1.0):
        return math.copysign(math.inf, share - 0.5)
    return 400.0 * math.log10(share / (1.0 - share))
