"""The constants of a search: `SearchConfig` for people and files, `Formula` for the compiled kernels.

Knows the papers' constants; knows nothing of trees, evaluators or time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidConfig

GUMBEL = 0
PUCT = 1

FIXED = 0
MINMAX = 1

PRIOR_FLOOR = 1e-30
"""No action that may be tried has a smaller prior."""
LOWEST_SCORE = -1e9
"""As in mctx: a considered root action never scores less, so that it can be told from one that is not considered."""


class Formula(NamedTuple):
    """What the kernels need of a `SearchConfig`, in types that numba takes apart cheaply."""

    algorithm: int
    """GUMBEL or PUCT."""
    value_transform: int
    """FIXED or MINMAX."""
    minmax_floor: float
    discount: float
    two_player: bool
    c_visit: float
    c_scale: float
    puct_init: float
    puct_base: float
    fpu_reduction: float
    pass_action: int
    """The action that passes, or NO_PASS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Settings of a search. The defaults are those of 9x9 Go with Gumbel MuZero."""

    algorithm: Literal["gumbel", "puct"] = "gumbel"
    """"gumbel": sequential halving at the root and a deterministic rule below it (Danihelka et al. 2022); "puct":
    MuZero's formula everywhere."""
    num_simulations: int = 16
    """Most simulations of one batched run; sets how many hidden-state slots a batch of trees needs. >= 1."""
    num_considered: int = 8
    """m: how many root actions sequential halving starts from. Use m <= n / 2, or the search is one ply deep. >= 1."""
    c_visit: float = 50.0
    """Gumbel: sigma(q) = (c_visit + max N) * c_scale * q01."""
    c_scale: float = 1.0
    """Gumbel: see `c_visit`."""
    c_puct_init: float = 0.6
    """PUCT: c(N) = c_puct_init + ln((N + c_puct_base + 1) / c_puct_base) (MuZero, Appendix B, with 1.25, which is
    weaker where every node is seen as it is)."""
    c_puct_base: float = 19652.0
    """PUCT: see `c_puct_init`. > 0."""
    fpu_reduction: float = 0.1
    """PUCT: an unvisited action counts as the parent's q01 - fpu_reduction * sqrt(prior mass visited). >= 0."""
    discount: float = 1.0
    """Q = reward + discount * value of the child. In (0, 1]."""
    two_player: bool = True
    """The player to move alternates; False: one player makes every move."""
    value_transform: Literal["fixed", "minmax"] = "fixed"
    """How Q becomes q01 in [0, 1]. "fixed": (q + 1) / 2, for outcomes in [-1, 1]. "minmax": by the least and greatest Q
    that the tree has seen (MuZero, Appendix B), for rewards of unknown scale."""
    minmax_floor: float = 0.01
    """"minmax" divides by at least this much, so that noise is not stretched to the whole range. > 0."""
    choice: Literal["visits", "lcb"] = "visits"
    """PUCT: the action to play. "visits": the most visited; "lcb": of those with many visits, the one whose value is
    least likely to be bad (KataGo, Leela Zero); for outcomes in [-1, 1]."""
    lcb_stdevs: float = 5.0
    """"lcb": the lower bound is so many standard errors below Q. >= 0."""
    lcb_min_share: float = 0.15
    """"lcb": least share of the most visits that an action needs to be chosen. In (0, 1]."""
    dirichlet_alpha: float = 0.15
    """PUCT: concentration of the noise on the root prior. > 0."""
    dirichlet_fraction: float = 0.0
    """PUCT: share of that noise in the root prior; 0.25 is usual in self-play, 0 when playing to win. In [0, 1]."""

    def __post_init__(self) -> None:
        """Raises `InvalidConfig` for a setting out of range."""
        _require(self.algorithm in ("gumbel", "puct"), "algorithm", self.algorithm, '"gumbel" or "puct"')
        _require(
            self.value_transform in ("fixed", "minmax"), "value_transform", self.value_transform, '"fixed" or "minmax"'
        )
        _require(self.num_simulations >= 1, "num_simulations", self.num_simulations, "at least 1")
        _require(self.num_considered >= 1, "num_considered", self.num_considered, "at least 1")
        _require(0.0 < self.discount <= 1.0, "discount", self.discount, "in (0, 1]")
        _require(0.0 <= self.dirichlet_fraction <= 1.0, "dirichlet_fraction", self.dirichlet_fraction, "in [0, 1]")
        _require(self.choice in ("visits", "lcb"), "choice", self.choice, '"visits" or "lcb"')
        _require(0.0 < self.lcb_min_share <= 1.0, "lcb_min_share", self.lcb_min_share, "in (0, 1]")
        if self.value_transform == "minmax":
            _require(self.choice == "visits", "choice", self.choice, '"visits" where values are no outcomes')
        for name in ("c_puct_base", "minmax_floor", "dirichlet_alpha"):
            _require(
                _is_finite(getattr(self, name)) and getattr(self, name) > 0.0, name, getattr(self, name), "above 0"
            )
        for name in ("c_visit", "c_scale", "c_puct_init", "fpu_reduction", "lcb_stdevs"):
            _require(
                _is_finite(getattr(self, name)) and getattr(self, name) >= 0.0, name, getattr(self, name), "at least 0"
            )

    def with_simulations(self, num_simulations: int) -> SearchConfig:
        """The same for so many simulations, with no more root actions than they can look behind."""
        considered = min(self.num_considered, int(most_considered(num_simulations)))
        return replace(self, num_simulations=num_simulations, num_considered=considered)

    def formula(self, *, pass_action: int) -> Formula:
        """These settings for the kernels."""
        return Formula(
            algorithm=GUMBEL if self.algorithm == "gumbel" else PUCT,
            value_transform=FIXED if self.value_transform == "fixed" else MINMAX,
            minmax_floor=float(self.minmax_floor),
            discount=float(self.discount),
            two_player=bool(self.two_player),
            c_visit=float(self.c_visit),
            c_scale=float(self.c_scale),
            puct_init=float(self.c_puct_init),
            puct_base=float(self.c_puct_base),
            fpu_reduction=float(self.fpu_reduction),
            pass_action=int(pass_action),
        )


def most_considered(num_simulations: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """How many root actions sequential halving may start from if it is to look deeper than one ply: half of the
    simulations, but two at least."""
    return np.maximum(2, np.asarray(num_simulations, np.int64) // 2)


def _is_finite(value: float) -> bool:
    return math.isfinite(value)


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise InvalidConfig(f"search setting {name} = {value!r}: expected {expected}")
