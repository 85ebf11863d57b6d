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


class HalvingRounds:
    """Sequential halving, simulation by simulation, for a search whose length may be unknown.

    A search of known, short length is one round. Else rounds follow each other, each twice as long as the one before;
    every round starts from all actions again and counts its own visits only. Every second round considers twice as
    many actions, so that in time the most unlikely one is tried.
    """

    FIRST_BUDGET = 32
    """Simulations of the first round where the length is unknown."""
    LONGEST_SINGLE_ROUND = 64
    """Up to so many simulations, a known length is one round."""

    def __init__(self, *, num_considered: int, num_legal: int, max_simulations: int) -> None:
        self._num_considered = num_considered
        self._num_legal = num_legal
        self.is_single = max_simulations <= self.LONGEST_SINGLE_ROUND
        """Whether there is one round only."""
        self._round = 0
        self._begin(max_simulations if self.is_single else self.FIRST_BUDGET)

    def _begin(self, budget: int) -> None:
        considered = min(self._num_considered << (self._round // 2), self._num_legal)
        self._schedule = considered_visits(considered, budget)
        self._index = 0

    @property
    def considered(self) -> int:
        """Visits in this round that an action must have to be tried next."""
        return self._schedule[self._index]

    def advance(self) -> bool:
        """Counts one simulation; returns whether the next one begins a new round."""
        self._index += 1
        if self._index < len(self._schedule) or self.is_single:
            return False
        self._round += 1
        self._begin(2 * len(self._schedule))
        return True


def anytime_winner(
    visits: NDArray[np.int32], scores: NDArray[np.float32], sigma: NDArray[np.float32], legal_mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Like `winner`, for a search in rounds that may end at any time.

    An action competes from two fifths of the most visits on: one that reaches the final of the last full round for the
    first time has about half the visits of one that has been in every final.
    """
    most = np.where(legal_mask, visits, -1).max(axis=1, keepdims=True)
    competes = legal_mask & (5 * visits.astype(np.int64) >= 2 * most)
    return np.asarray(np.where(competes, scores + sigma, -np.inf).argmax(axis=1), dtype=np.int32)
