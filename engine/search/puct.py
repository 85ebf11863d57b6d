"""MuZero's root: noise on the prior, the policy of the visit counts, the choice by lower bounds.

The formula that grows the tree is `kernels._choose_puct`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def add_dirichlet_noise(
    prior: NDArray[np.float32],
    legal_mask: NDArray[np.bool_],
    *,
    alpha: float,
    fraction: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """[B, A] float32: (1 - fraction) * prior + fraction * Dirichlet(alpha) over the legal actions, 0 elsewhere."""
    if fraction == 0.0:
        return prior
    gamma = np.where(
        legal_mask, np.maximum(rng.standard_gamma(alpha, size=prior.shape), np.finfo(np.float64).tiny), 0.0
    )
    noise = gamma / gamma.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - fraction) * prior + fraction * noise, dtype=np.float32)


def visit_policy(visits: NDArray[np.int32], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """[B, A] float32: shares of the visits; the prior where there is no visit."""
    total = visits.sum(axis=1, keepdims=True)
    return np.where(total > 0, visits / np.maximum(total, 1), prior).astype(np.float32)


def most_visited(
    visits: NDArray[np.int32], prior: NDArray[np.float32], legal_mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """[B] int32: the legal action with the most visits; of equals, the one with the greatest prior."""
    most = np.where(legal_mask, visits, -1).max(axis=1, keepdims=True)
    best = np.where(legal_mask & (visits == most), prior, -1.0).argmax(axis=1)
    return np.asarray(best, dtype=np.int32)


def lower_bounds(
    visits: NDArray[np.int32], q: NDArray[np.float32], variance: NDArray[np.float32], *, stdevs: float
) -> NDArray[np.float64]:
    """[B, A] float64: `q` (of the player to move, in [-1, 1]) less `stdevs` standard errors; -inf where unvisited.

    As KataGo (cpp/search/searchhelpers.cpp, `getSelfUtilityLCBAndRadius`): a prior observation with the variance of the
    whole range and the weight 1 / visits^2 keeps a few equal values from looking certain.
    """
    number = np.maximum(visits, 1).astype(np.float64)
    prior_weight = 1.0 / number**2
    total = number + prior_weight
    spread = (variance * number + prior_weight) / total
    effective_number = total**2 / (number + prior_weight**2)
    return np.where(visits > 0, q - stdevs * np.sqrt(spread / effective_number), -np.inf)


def best_by_lower_bound(
    bounds: NDArray[np.float64], visits: NDArray[np.int32], legal_mask: NDArray[np.bool_], *, min_share: float
) -> NDArray[np.int32]:
    """[B] int32: the legal action with the greatest bound, of those with `min_share` of the most visits."""
    most = np.where(legal_mask, visits, 0).max(axis=1, keepdims=True)
    is_eligible = legal_mask & (visits > 0) & (visits >= min_share * most)
    return np.asarray(np.where(is_eligible, bounds, -np.inf).argmax(axis=1), dtype=np.int32)
