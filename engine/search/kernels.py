"""Compiled search, first half: `select` over a batch of trees, and the readings of their roots.

`select` and `backup.expand_and_backup` make one simulation of every tree. They neither raise nor hold the GIL; two
threads may work at once on different trees, never on the same one.

A simulation walks down until it reaches an edge without node, a terminal node, or, in a tree without room for more, a
node that has no child. Simulations under way count as visits but not as values (lc0's form of virtual loss); edges into
pending nodes are passed over.
"""
# mypy: disable-error-code="untyped-decorator, no-any-return, call-overload"

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.config import GUMBEL, LOWEST_SCORE, MINMAX, Formula
from engine.search.lane import Lane
from engine.search.tree import (
    EXPANDED,
    NO_ACTION,
    NO_LEAF,
    NO_PARENT,
    PENDING,
    ROOT,
    TERMINAL,
    UNVISITED,
    Descents,
    Tree,
)

COLLISION: Final = -2
"""Choice at a node whose possible edges all lead to pending nodes."""
COLLIDED: Final = -1
"""`begin_lane`: nothing is under way, for every leaf that could be selected is pending."""
SELF: Final = -3
"""Choice at a node of a full tree that has no children: the node itself is the leaf, again."""

_entry = njit(cache=True, nogil=True, error_model="numpy")
_inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)  # compiles in half the time


class _Scan(NamedTuple):
    """One pass over a node's edges."""

    num_visited: int
    """Edges that count as visited; their actions are listed."""
    max_visits: int
    """Greatest finished visits of an edge."""
    effective_visits: int
    """Sum over all edges of finished and virtual visits."""
    mixed_value: float
    """Value of the node for edges without their own (Danihelka et al. 2022, Appendix D), Black's view."""
    visited_prior: float
    """Prior mass of the visited edges."""
    unvisited_prior: float
    """Prior mass of the others."""
    best_unvisited: int
    """Of the edges without node that may get one, the one with the greatest prior, or NO_ACTION."""


@_inner
def _normalise(tree: Tree, formula: Formula, b: int, to_play: int, q: float) -> float:
    """q01: `q` (Black's view) as a number in [0, 1] that the player `to_play` wants to be high."""
    if formula.value_transform == MINMAX:
        span = max(tree.value_max[b] - tree.value_min[b], formula.minmax_floor)
        distance = q - tree.value_min[b] if to_play > 0 else tree.value_max[b] - q
        return min(max(distance / span, 0.0), 1.0)
    return 0.5 * (1.0 + to_play * q)


@_inner
def _edge_q(tree: Tree, formula: Formula, b: int, child: int) -> float:
    """Q of the edge into `child`, which has been visited; Black's view."""
    return tree.reward[b, child] + formula.discount * tree.value_sum[b, child] / tree.node_visits[b, child]


@_inner
def _edge_visits(tree: Tree, b: int, child: int) -> int:
    """Finished and virtual visits of the edge into `child`."""
    return tree.node_visits[b, child] + tree.virtual_visits[b, child]


@_inner
def _scan(tree: Tree, formula: Formula, b: int, node: int, visited: NDArray[np.int32]) -> _Scan:
    """Reads every edge of a node once and lists the visited actions in `visited` [A]."""
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    has_room = tree.num_nodes[b] < tree.node_visits.shape[1]
    num_visited, sum_visits, max_visits, effective_visits = 0, 0, 0, 0
    visited_prior, unvisited_prior, weighted_q = 0.0, 0.0, 0.0
    best_unvisited, best_prior = NO_ACTION, 0.0
    for action in range(children.shape[0]):
        child = children[action]
        if child == UNVISITED:
            unvisited_prior += prior[action]
            if has_room and prior[action] > best_prior:
                best_unvisited, best_prior = action, prior[action]
            continue
        visits = tree.node_visits[b, child]
        effective_visits += visits + tree.virtual_visits[b, child]
        if visits == 0:
            unvisited_prior += prior[action]
            continue
        visited[num_visited] = action
        num_visited += 1
        sum_visits += visits
        max_visits = max(max_visits, visits)
        visited_prior += prior[action]
        weighted_q += prior[action] * _edge_q(tree, formula, b, child)
    mixed_value = float(tree.raw_value[b, node])
    if num_visited > 0:
        mixed_value = (mixed_value + sum_visits * weighted_q / visited_prior) / (1.0 + sum_visits)
    return _Scan(num_visited, max_visits, effective_visits, mixed_value, visited_prior, unvisited_prior, best_unvisited)


@_inner
def _choice(scan: _Scan, best: int) -> int:
    """`best`, or at a node without open edge: wait if it has (pending) children, else be the leaf."""
    if best != NO_ACTION:
        return best
    return COLLISION if scan.effective_visits > 0 else SELF


@_inner
def _choose_gumbel_root(tree: Tree, formula: Formula, b: int, visited: NDArray[np.int32]) -> int:
    """Sequential halving: of the actions with the considered visits, the best `root_scores + sigma(completed Q)`.

    The completed Q of an unvisited action is its exact outcome where it ends the game, else the mixed value.
    If none has that number of visits (a full tree), the best of all open actions.
    """
    scan = _scan(tree, formula, b, ROOT, visited)
    factor = formula.c_scale * (formula.c_visit + scan.max_visits)
    to_play = tree.to_play[b, ROOT]
    unvisited_sigma = factor * _normalise(tree, formula, b, to_play, scan.mixed_value)
    has_room = tree.num_nodes[b] < tree.node_visits.shape[1]
    best, best_score, best_is_considered = NO_ACTION, -np.inf, False
    waits = False
    for action in range(tree.children_index.shape[2]):
        if tree.prior[b, ROOT, action] <= 0.0:
            continue
        child = tree.children_index[b, ROOT, action]
        visits = -tree.base_visits[b, action]
        sigma = unvisited_sigma
        is_open = has_room
        if child == UNVISITED:
            if not math.isnan(tree.terminal_values[b, action]):
                sigma = factor * _normalise(tree, formula, b, to_play, tree.terminal_values[b, action])
        else:
            visits += _edge_visits(tree, b, child)
            is_open = tree.status[b, child] != PENDING
            if is_open:
                sigma = factor * _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, child))
        is_considered = visits == tree.considered_visits[b]
        if not is_open:
            waits = waits or (is_considered and child != UNVISITED)
        elif is_considered or not best_is_considered:
            score = max(tree.root_scores[b, action] + sigma, LOWEST_SCORE)
            if score > best_score or (is_considered and not best_is_considered):
                best, best_score, best_is_considered = action, score, is_considered
    if waits and not best_is_considered:
        return COLLISION
    return _choice(scan, best)


@_inner
def _choose_gumbel(
    tree: Tree, formula: Formula, b: int, node: int, visited: NDArray[np.int32], gains: NDArray[np.float64]
) -> int:
    """Interior rule: argmax of softmax(logits + sigma(completed Q)) - N(a) / (1 + sum N); Danihelka et al., section 5.

    Actions without a Q of their own share the mixed value, so only visited ones need an exponential: with `gains`
    sigma(Q) - sigma(mixed value), the softmax is prior * exp(gains) over its sum.
    """
    scan = _scan(tree, formula, b, node, visited)
    factor = formula.c_scale * (formula.c_visit + scan.max_visits)
    to_play = tree.to_play[b, node]
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    mixed = _normalise(tree, formula, b, to_play, scan.mixed_value)
    peak = 0.0
    for i in range(scan.num_visited):
        q = _edge_q(tree, formula, b, children[visited[i]])
        gains[i] = factor * (_normalise(tree, formula, b, to_play, q) - mixed)
        peak = max(peak, gains[i])
    unvisited_weight = math.exp(-peak)
    total = scan.unvisited_prior * unvisited_weight
    for i in range(scan.num_visited):
        gains[i] = prior[visited[i]] * math.exp(gains[i] - peak)
        total += gains[i]
    best, best_score = scan.best_unvisited, -np.inf
    if best != NO_ACTION:
        best_score = prior[best] * unvisited_weight / total
    for i in range(scan.num_visited):
        visits = _edge_visits(tree, b, children[visited[i]])
        score = gains[i] / total - visits / (1.0 + scan.effective_visits)
        if score > best_score:
            best, best_score = visited[i], score
    return _choice(scan, best)


@_inner
def _choose_puct(tree: Tree, formula: Formula, b: int, node: int, visited: NDArray[np.int32]) -> int:
    """MuZero's PUCT (Appendix B) with KataGo's first-play urgency; root and interior alike."""
    scan = _scan(tree, formula, b, node, visited)
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    to_play = tree.to_play[b, node]
    node_visits = scan.effective_visits + 1  # its own evaluation
    exploration = formula.puct_init + math.log((node_visits + formula.puct_base + 1.0) / formula.puct_base)
    exploration *= math.sqrt(node_visits)
    best, best_score = scan.best_unvisited, -np.inf
    if best != NO_ACTION:
        node_value = tree.value_sum[b, node] / tree.node_visits[b, node]
        urgency = _normalise(tree, formula, b, to_play, node_value)
        urgency -= formula.fpu_reduction * math.sqrt(scan.visited_prior)
        best_score = max(urgency, 0.0) + exploration * prior[best]
    for i in range(scan.num_visited):
        action = visited[i]
        child = children[action]
        score = _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, child))
        score += exploration * prior[action] / (1.0 + _edge_visits(tree, b, child))
        if score > best_score:
            best, best_score = action, score
    return _choice(scan, best)


@_inner
def _exact_value(tree: Tree, formula: Formula, b: int, node: int, action: int) -> float:
    """Known outcome of an edge, Black's view, or NaN: root actions that end the game, and two passes from the root."""
    if node == ROOT:
        return float(tree.terminal_values[b, action])
    if action == formula.pass_action and tree.action_from_parent[b, node] == action and tree.parent[b, node] == ROOT:
        return float(tree.pass_pass_values[b])
    return np.nan


@_inner
def _create(tree: Tree, formula: Formula, b: int, node: int, action: int) -> int:
    """Makes the child of `node` by `action`: terminal if its outcome is known, else pending. Returns its number."""
    child = tree.free_nodes[b, tree.num_nodes[b]]
    tree.num_nodes[b] += 1
    tree.children_index[b, node, action] = child
    tree.parent[b, child] = node
    tree.action_from_parent[b, child] = action
    to_play = tree.to_play[b, node]
    tree.to_play[b, child] = -to_play if formula.two_player else to_play
    tree.node_visits[b, child] = 0
    tree.virtual_visits[b, child] = 0
    tree.value_sum[b, child] = 0.0
    tree.value_squares[b, child] = 0.0
    tree.raw_value[b, child] = 0.0
    outcome = _exact_value(tree, formula, b, node, action)
    is_known = not math.isnan(outcome)
    tree.reward[b, child] = outcome if is_known else 0.0
    tree.status[b, child] = TERMINAL if is_known else PENDING
    return child


@_inner
def _release(tree: Tree, b: int, node: int) -> None:
    """Takes back the virtual visits of a simulation, from `node` up to the root."""
    while node != NO_PARENT:
        tree.virtual_visits[b, node] -= 1
        node = tree.parent[b, node]


@_inner
def _descend(tree: Tree, formula: Formula, b: int, visited: NDArray[np.int32], gains: NDArray[np.float64]) -> int:
    """One simulation's way down, marked by virtual visits. Returns the leaf, or NO_LEAF after a collision."""
    node = ROOT
    tree.virtual_visits[b, ROOT] += 1
    while tree.status[b, node] == EXPANDED:
        if formula.algorithm != GUMBEL:
            action = _choose_puct(tree, formula, b, node, visited)
        elif node == ROOT:
            action = _choose_gumbel_root(tree, formula, b, visited)
        else:
            action = _choose_gumbel(tree, formula, b, node, visited, gains)
        if action == SELF:
            return node
        if action == COLLISION:
            _release(tree, b, node)
            return NO_LEAF
        child = tree.children_index[b, node, action]
        node = child if child != UNVISITED else _create(tree, formula, b, node, action)
        tree.virtual_visits[b, node] += 1
    return node


@_entry
def select(tree: Tree, formula: Formula, active: NDArray[np.bool_], descents: Descents) -> int:
    """Starts one simulation in each tree b with `active[b]`.

    Writes `descents.leaf` of as many trees as `active` has, and the first rows of the other arrays of `descents`, one
    for each leaf that needs the network. Returns the number of those rows.
    """
    visited = np.empty(tree.children_index.shape[2], np.int32)
    gains = np.empty(tree.children_index.shape[2], np.float64)
    row = 0
    for b in range(active.shape[0]):
        descents.leaf[b] = NO_LEAF
        if not active[b]:
            continue
        leaf = _descend(tree, formula, b, visited, gains)
        descents.leaf[b] = leaf
        if leaf != NO_LEAF and tree.status[b, leaf] == PENDING:
            parent = tree.parent[b, leaf]
            descents.parent_slots[row] = b * tree.status.shape[1] + parent
            descents.actions[row] = tree.action_from_parent[b, leaf]
            descents.to_play[row] = tree.to_play[b, parent]
            descents.child_slots[row] = b * tree.status.shape[1] + leaf
            descents.tree_index[row] = b
            row += 1
    return row


@_entry
def begin_lane(lane: Lane) -> int:
    """`select` for the one tree of a lane. Returns COLLIDED, or how many leaves need the network: 1 or 0."""
    descents = lane.descents
    count = select(lane.tree, lane.formula, lane.active, descents)
    return COLLIDED if descents.leaf[0] == NO_LEAF else count


@_entry
def read_roots(
    tree: Tree,
    formula: Formula,
    num_trees: int,
    visits: NDArray[np.int32],
    q: NDArray[np.float32],
    variance: NDArray[np.float32],
    sigma: NDArray[np.float32],
) -> None:
    """Writes statistics of the roots of the first `num_trees` trees, [num_trees, A] each.

    `visits` int32; `q` float32, Black's view, and `variance` float32 of the values behind it, NaN where unvisited;
    `sigma` float32, sigma(completed Q) for the player to move.
    """
    num_actions = tree.children_index.shape[2]
    visited = np.empty(num_actions, np.int32)
    for b in range(num_trees):
        scan = _scan(tree, formula, b, ROOT, visited)
        factor = formula.c_scale * (formula.c_visit + scan.max_visits)
        to_play = tree.to_play[b, ROOT]
        visits[b] = 0
        q[b] = np.nan
        variance[b] = np.nan
        unvisited_sigma = factor * _normalise(tree, formula, b, to_play, scan.mixed_value)
        for action in range(num_actions):
            outcome = tree.terminal_values[b, action]
            is_known = not math.isnan(outcome)
            sigma[b, action] = factor * _normalise(tree, formula, b, to_play, outcome) if is_known else unvisited_sigma
        for i in range(scan.num_visited):
            action = visited[i]
            child = tree.children_index[b, ROOT, action]
            visits[b, action] = tree.node_visits[b, child]
            q[b, action] = _edge_q(tree, formula, b, child)
            mean = tree.value_sum[b, child] / visits[b, action]
            spread = max(0.0, tree.value_squares[b, child] / visits[b, action] - mean * mean)
            variance[b, action] = formula.discount * formula.discount * spread
            sigma[b, action] = factor * _normalise(tree, formula, b, to_play, q[b, action])
