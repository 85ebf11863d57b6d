"""What a search might have found, written down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.go.position import Position
from engine.search.result import SearchResult, StopReason
from engine.search.tree import NO_ACTION


def scripted_result(
    position: Position, reason: StopReason | None, legal_mask: NDArray[np.bool_] | None = None
) -> SearchResult:
    """The first three legal actions (of `legal_mask`) got 2, 5 and 3 visits; the second is the best, the third looks
    a little better.

    Black's value is 0.5, Black leads by 3 points and owns the top row, White the bottom row. The variation behind the
    best is a move, a pass, and the same move again, which is illegal.
    """
    actions = position.area + 1
    tried = np.flatnonzero(position.legal_mask() if legal_mask is None else legal_mask)[:3]
    visits, q = np.zeros(actions, np.int32), np.full(actions, np.nan, np.float32)
    visits[tried] = [2, 5, 3][: len(tried)]
    q[tried] = np.float32(position.to_play) * np.array([-0.5, 0.25, 0.5], np.float32)[: len(tried)]
    q_bound = q - np.float32(0.125 * position.to_play)
    prior = np.zeros(actions, np.float32)
    prior[tried] = [0.125, 0.25, 0.625][: len(tried)]
    ownership = np.zeros((position.size, position.size), np.float32)
    ownership[0], ownership[-1] = 1.0, -1.0
    best_action = int(tried[min(1, len(tried) - 1)])
    variations = np.full((actions, 3), NO_ACTION, np.int32)
    variations[tried, 0] = tried
    variations[best_action] = [best_action, position.pass_action, best_action]
    return SearchResult(
        visits=visits,
        q=q,
        q_bound=q_bound,
        prior=prior,
        policy_target=prior,
        root_value=0.5,
        raw_value=0.25,
        best_action=best_action,
        total_visits=11,
        evaluations=11,
        elapsed_s=0.01,
        stop_reason=reason,
        ownership=ownership,
        score_mean=3.0,
        score_stdev=8.0,
        variations=variations,
    )
