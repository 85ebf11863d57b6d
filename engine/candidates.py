"""What a search says of single moves, for whoever shows it: in order, and in the view of the player to move.

Also the score of a move, which is an estimate: networks judge only that of the position on the board. Knows results and
positions; nothing of how they are shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.go.position import Position
from engine.search.result import MAX_VARIATION_LENGTH, SearchResult
from engine.turn import to_winrate

STDEVS_PER_VALUE: Final = math.sqrt(math.pi / 2)
"""Times `score_stdev` that a unit of value is worth in an even game, points: with a normal distribution the value is
2 Phi(mean / stdev) - 1, whose slope is sqrt(2 / pi) / stdev. What networks made here call so is a mean absolute error,
and yet it fits them: go9's score rises by 1.21 times it a unit of value, in 38 even positions over komi."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One move. Winrates and scores are those of the player to move."""

    action: int
    """The move."""
    visits: int
    """Finished simulations through it; 0: the search has not tried it, and its winrate is that of the position."""
    prior: float
    """The network's probability of it, in [0, 1]."""
    winrate: float
    """The search's judgement, in [0, 1]."""
    winrate_bound: float
    """What the winrate is hardly less than, see `SearchResult.q_bound`; 0 where the move has not been tried."""
    score_lead: float
    """Points ahead at the end, see `estimate_score`."""
    variation: list[int]
    """The most visited line that begins with the move."""


def read_candidates(
    result: SearchResult,
    position: Position,
    *,
    imagines: bool,
    least: int = 1,
    most: int | None = None,
    max_length: int = MAX_VARIATION_LENGTH,
) -> list[Candidate]:
    """The move to play, then the others that were tried, by visits and by the search's own preference.

    `position` is the one that was searched, with the player to move who is asked about. `least`: what was not tried
    fills them up to so many, by prior; `most`: no more than so many. `imagines`: variations end before what is illegal.
    """
    order = rank_actions(result)
    if len(order) < least:
        untried = np.flatnonzero((result.prior > 0.0) & (result.visits == 0)).tolist()
        order += sorted(set(untried) - set(order), key=lambda action: -result.prior[action])[: least - len(order)]
    return [_candidate(result, position, action, imagines, max_length) for action in order[:most]]


def rank_actions(result: SearchResult) -> list[int]:
    """The move to play, then the others that were tried, by visits and by the search's own preference."""
    best = result.best_action
    return sorted(
        {best, *np.flatnonzero(result.visits).tolist()},
        key=lambda action: (action != best, -result.visits[action], -result.policy_target[action]),
    )


def estimate_score(result: SearchResult, position: Position, value: float) -> float:
    """Points by which Black leads at the end, komi included, where the search judges `value` (Black's view).

    The network's score of the position, and for what the search judges above or below the network's own value
    `STDEVS_PER_VALUE` times the network's `score_stdev` a unit. That is the slope in an even game; where one side is
    far ahead, differences between moves come out too small. Never beyond what the board can give. Without a score head
    the score of an even position is 0.
    """
    mean = 0.0 if result.score_mean is None else result.score_mean
    network_value = 0.0 if result.score_mean is None else result.raw_value
    score = mean + STDEVS_PER_VALUE * score_stdev(result, position) * (value - network_value)
    area, komi = position.area, position.effective_komi
    return min(max(score, -area - komi), area - komi)


def score_stdev(result: SearchResult, position: Position) -> float:
    """How far off the network's score will be, points, see `RootOutput`; the board's width without a score head."""
    return float(position.size) if result.score_stdev is None else result.score_stdev


def _candidate(result: SearchResult, position: Position, action: int, imagines: bool, max_length: int) -> Candidate:
    color = position.to_play
    is_tried = result.visits[action] > 0 and not math.isnan(result.q[action])
    value = float(result.q[action]) if is_tried else result.root_value
    variation = result.principal_variation(action, max_length)
    return Candidate(
        action=action,
        visits=int(result.visits[action]),
        prior=float(result.prior[action]),
        winrate=to_winrate(value, color),
        winrate_bound=to_winrate(float(result.q_bound[action]), color) if is_tried else 0.0,
        score_lead=color * estimate_score(result, position, value),
        variation=_legal_prefix(position, variation) if imagines else variation,
    )


def _legal_prefix(position: Position, variation: list[int]) -> list[int]:
    """The part of `variation` that can be played; to find it takes 10 us a move."""
    board = position.copy()
    for length, action in enumerate(variation):
        if not board.is_legal(board.to_play, action):
            return variation[:length]
        board.play(board.to_play, action)
    return variation
