"""Gumbel MuZero at the root: which visit counts sequential halving considers, its winner, the improved policy.

Danihelka et al., "Policy improvement by planning with Gumbel" (2022). Works on arrays of root statistics; knows nothing
of trees. The choice itself, action by action, is `kernels._choose_gumbel_root`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.search.config import LOWEST_SCORE
from engine.search.roots import masked_softmax


@lru_cache(maxsize=4096)
def considered_visits(num_considered: int, num_simulations: int) -> tuple[int, ...]:
    """The visit count that a root action must have to be considered, for each of `num_simulations` simulations.

    Phase by phase, each of k survivors gets max(1, floor(n / (ceil(log2 m) * k))) visits; then k halves, down to 2.
    """
    if num_considered <= 1:
        return tuple(range(num_simulations))
    num_phases = math.ceil(math.log2(num_considered))
    sequence: list[int] = []
    visits = 0
    survivors = num_considered
    while len(sequence) < num_simulations:
        for _ in range(max(1, num_simulations // (num_phases * survivors))):
            sequence.extend([visits] * survivors)
            visits += 1
        survivors = max(2, survivors // 2)
    return tuple(sequence[:num_simulations])


def considered_table(num_considered: NDArray[np.int64], num_simulations: NDArray[np.int64]) -> NDArray[np.int32]:
    """[n, B] int32: `considered_visits` of B trees as columns, n the greatest number; 0 past a column's end."""
    table = np.zeros((int(num_simulations.max(initial=0)), num_simulations.shape[0]), np.int32)
    for considered, simulations in set(zip(num_considered.tolist(), num_simulations.tolist(), strict=True)):
        columns = (num_considered == considered) & (num_simulations == simulations)
        table[:simulations, columns] = np.array(considered_visits(considered, simulations), np.int32)[:, None]
    return table


def root_scores(
    policy_logits: NDArray[np.float32], legal_mask: NDArray[np.bool_], gumbel: NDArray[np.float32]
) -> NDArray[np.float32]:
    """[B, A] float32: Gumbel noise + logits, shifted so that the greatest legal logit is 0."""
    peak = np.where(legal_mask, policy_logits, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(gumbel + (policy_logits - peak), dtype=np.float32)


def winner(
    visits: NDArray[np.int32], scores: NDArray[np.float32], sigma: NDArray[np.float32], legal_mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """[B] int32: of the most visited legal actions of a row, the best by `scores + sigma`; arguments [B, A]."""
    most = np.where(legal_mask, visits, -1).max(axis=1, keepdims=True)
    total = np.maximum(scores + sigma, LOWEST_SCORE)
    best = np.where(legal_mask & (visits == most), total, -np.inf).argmax(axis=1)
    return np.asarray(best, dtype=np.int32)


def improved_policy(
    policy_logits: NDArray[np.float32], sigma: NDArray[np.float32], legal_mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """[B, A] float32: softmax(logits + sigma(completed Q)) over the legal actions, exactly 0 elsewhere."""
    return masked_softmax(policy_logits + sigma, legal_mask)
