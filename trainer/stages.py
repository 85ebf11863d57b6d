"""The stages of a run: which share of the positions is played on which board, and what ends a stage.

Pure data and arithmetic; knows nothing of networks and games.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from engine.errors import InvalidConfig
from trainer.ranges import Share

BOARD = ("size", "komi_low", "komi_high")
"""What a smaller board always had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """A part of a run in which every board keeps its share of the positions."""

    shares: dict[int, Share]
    """Share of the positions by board size; 0 where a size is not named, 1 in all."""
    gate: Annotated[float, Meta(gt=0.5, le=1.0)] | None = None
    """The stage ends once the network wins this share of the points of a rating, a draw being half a one, against the
    network that began the stage; see `LoopConfig.rate_every`. None: the stage lasts until `until`."""
    until: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    """The stage ends here at the latest: a part of the run, by optimiser steps."""

    @property
    def largest_size(self) -> int:
        """The largest board that is played on."""
        return max(size for size, share in self.shares.items() if share > 0.0)

    def split(self, positions: int, sizes: Sequence[int]) -> tuple[int, ...]:
        """`positions` divided among the boards of `sizes`; what is not a whole position goes to a neighbour."""
        shares = [0.0, *(self.shares.get(size, 0.0) for size in sizes)]
        bounds = [round(positions * bound) for bound in itertools.accumulate(shares)]
        return tuple(high - low for low, high in itertools.pairwise(bounds))


def check_stages(stages: Sequence[StageConfig], sizes: Sequence[int]) -> None:
    """Raises `InvalidConfig` for stages, one at least, that boards of `sizes` cannot play, or that do not follow one
    another to the end of the run."""
    for stage in stages:
        if not stage.shares.keys() <= set(sizes):
            raise InvalidConfig(f"env.stages: shares of sizes {[*stage.shares]}; the run has boards of {[*sizes]}")
        if not math.isclose(sum(stage.shares.values()), 1.0, abs_tol=1e-6):
            raise InvalidConfig(f"env.stages: shares {[*stage.shares.values()]}: expected 1 in all")
    *earlier, last = (stage.until for stage in stages)
    if stages[-1].gate is not None or last < 1.0:
        raise InvalidConfig("env.stages: the last stage lasts to the end of the run, without gate or until")
    if any(end >= later for end, later in itertools.pairwise([*earlier, last])):
        raise InvalidConfig(f"env.stages: until = {earlier}: expected each later than the one before, and below 1")


def with_stages(data: dict[str, Any]) -> dict[str, Any]:
    """`data` of a configuration; where it is of before there were stages, with one of the shares that smaller boards
    had at the end of the run."""
    env = data.get("env")
    if not isinstance(env, dict) or "stages" in env or "size" not in env:
        return data
    smaller = env.get("smaller", ())
    if not smaller or not all(isinstance(board, dict) and {*BOARD, "last_share"} <= board.keys() for board in smaller):
        return data
    shares = {board["size"]: board["last_share"] for board in smaller}
    stage = {"shares": {env["size"]: 1.0 - sum(shares.values())} | shares}
    boards = [{name: board[name] for name in BOARD} for board in smaller]
    return data | {"env": env | {"smaller": boards, "stages": [stage]}}
