"""Compiled search, second half: `expand_and_backup` over a range of trees.

See `kernels`, whose `select` comes first, for what holds of both.
"""
# mypy: disable-error-code="untyped-decorator, no-any-return, call-overload"

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.model.contract import ILLEGAL_LOGIT
from engine.search.config import PRIOR_FLOOR, Formula
from engine.search.lane import Lane
from engine.search.tree import EXPANDED, NO_LEAF, ROOT, TERMINAL, UNVISITED, Descents, Tree

_entry = njit(cache=True, nogil=True, error_model="numpy")
_inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)  # compiles in half the time


@_inner
def _expand(
    tree: Tree, formula: Formula, b: int, node: int, policy_logits: NDArray[np.float32], value: float, reward: float
) -> None:
    """Stores the network's answer in a pending node. The second of two passes ends the game: that node is terminal."""
    tree.raw_value[b, node] = value
    tree.reward[b, node] = reward
    action = tree.action_from_parent[b, node]
    if action == formula.pass_action and tree.action_from_parent[b, tree.parent[b, node]] == action:
        tree.status[b, node] = TERMINAL
        return
    tree.status[b, node] = EXPANDED
    prior = tree.prior[b, node]
    peak = policy_logits[0]
    for a in range(1, prior.shape[0]):
        peak = max(peak, policy_logits[a])
    total = 0.0
    for a in range(prior.shape[0]):
        prior[a] = math.exp(policy_logits[a] - peak)
        total += prior[a]
    for a in range(prior.shape[0]):
        is_illegal = policy_logits[a] <= ILLEGAL_LOGIT and policy_logits[a] < peak
        prior[a] = 0.0 if is_illegal else max(prior[a] / total, PRIOR_FLOOR)
        tree.children_index[b, node, a] = UNVISITED


@_inner
def _backup(tree: Tree, formula: Formula, b: int, leaf: int) -> None:
    """Adds the leaf's own value to every node up to the root and ends the simulation's virtual visits."""
    node = leaf
    value = float(tree.raw_value[b, leaf])
    while True:
        tree.node_visits[b, node] += 1
        tree.virtual_visits[b, node] -= 1
        tree.value_sum[b, node] += value
        tree.value_squares[b, node] += value * value
        if node == ROOT:
            return
        q = tree.reward[b, node] + formula.discount * tree.value_sum[b, node] / tree.node_visits[b, node]
        tree.value_min[b] = min(tree.value_min[b], q)
        tree.value_max[b] = max(tree.value_max[b], q)
        value = tree.reward[b, node] + formula.discount * value
        node = tree.parent[b, node]


@_entry
def expand_and_backup(
    tree: Tree,
    formula: Formula,
    active: NDArray[np.bool_],
    descents: Descents,
    count: int,
    policy_logits: NDArray[np.float32],
    value: NDArray[np.float32],
    reward: NDArray[np.float32],
) -> None:
    """Ends the simulations that `select` began with the same `active`, and of which `count` need the network.

    Its answers are the first rows of `policy_logits` [>= count, A], `value` and `reward` [>= count], all float32.
    """
    for i in range(count):
        b = descents.tree_index[i]
        _expand(tree, formula, b, descents.leaf[b], policy_logits[i], value[i], reward[i])
    for b in range(active.shape[0]):
        if descents.leaf[b] != NO_LEAF:
            _backup(tree, formula, b, descents.leaf[b])
            descents.leaf[b] = NO_LEAF


@_entry
def finish_lane(lane: Lane, count: int) -> bool:
    """`expand_and_backup` for the one tree of a lane; `count` is what `begin_lane` returned, 0 or 1.

    Returns whether the tree has no room for another node.
    """
    tree, answer = lane.tree, (lane.policy_logits, lane.value, lane.reward)
    expand_and_backup(tree, lane.formula, lane.active, lane.descents, count, *answer)
    return tree.num_nodes[0] == tree.status.shape[1]
