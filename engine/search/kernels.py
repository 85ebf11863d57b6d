"""Compiled search: `select`, `expand_and_backup` and the readings of the root, over a range of trees.

All compiled code is in this one module, because numba's cache notices a change in the function's own file only. Two calls make
one simulation of every tree. Nothing here allocates nodes outside the given arrays, raises or holds the GIL; two threads may
work at once on different trees, never on the same one.

Select (root: see `gumbel` and `puct`): a simulation walks down until it reaches an edge without node, a terminal node, or, in a tree
without room, a node none of whose edges has a node. Simulations under way count as visits but not as values (lc0's virtual loss);
edges into pending nodes are passed over.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.search.config import GUMBEL, MINMAX
from engine.search.tree import EXPANDED, NO_ACTION, NO_LEAF, NO_PARENT, PENDING, ROOT, TERMINAL, UNVISITED

PRIOR_FLOOR = 1e-30
"""No action that may be tried has a smaller prior."""
LOWEST_SCORE = -1e9
"""As in mctx: a considered root action never scores less, so that it can be told from one that is not considered."""
COLLISION = -2
"""Choice at a node whose possible edges all lead to pending nodes."""
SELF = -3
"""Choice at a node of a full tree that has no children: the node itself is the leaf, again."""


@njit(cache=True, nogil=True, error_model="numpy")
def _normalise(tree, formula, b, to_play, q):
    """q01: `q` (Black's view) as a number in [0, 1] that the player `to_play` wants to be high."""
    if formula.value_transform == MINMAX:
        span = max(tree.value_max[b] - tree.value_min[b], formula.minmax_floor)
        distance = q - tree.value_min[b] if to_play > 0 else tree.value_max[b] - q
        return min(max(distance / span, 0.0), 1.0)
    return 0.5 * (1.0 + to_play * q)


@njit(cache=True, nogil=True, error_model="numpy")
def _edge_q(tree, formula, b, child):
    """Q of the edge into `child`, which has been visited."""
    return tree.reward[b, child] + formula.discount * tree.value_sum[b, child] / tree.node_visits[b, child]


@njit(cache=True, nogil=True, error_model="numpy")
def _summarise(tree, formula, b, node, visited):
    """Lists the visited actions of a node in `visited` [A] and sums over them.

    Returns their number, all visits (in flight included), sigma's factor c_scale * (c_visit + max N), the mixed value in Black's view
    (Danihelka et al. 2022, Appendix D) and the prior mass of the actions not visited.
    """
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    num_visited = 0
    sum_visits = 0
    sum_effective_visits = 0
    max_visits = 0
    visited_prior = 0.0
    weighted_q = 0.0
    unvisited_prior = 0.0
    for action in range(children.shape[0]):
        child = children[action]
        visits = 0
        if child >= 0:
            visits = tree.node_visits[b, child]
            sum_effective_visits += visits + tree.virtual_visits[b, child]
        if visits > 0:
            visited[num_visited] = action
            num_visited += 1
            sum_visits += visits
            max_visits = max(max_visits, visits)
            visited_prior += prior[action]
            weighted_q += prior[action] * _edge_q(tree, formula, b, child)
        else:
            unvisited_prior += prior[action]
    mixed_value = float(tree.raw_value[b, node])
    if num_visited > 0:
        mixed_value = (mixed_value + sum_visits * weighted_q / visited_prior) / (1.0 + sum_visits)
    factor = formula.c_scale * (formula.c_visit + max_visits)
    return num_visited, sum_effective_visits, factor, mixed_value, unvisited_prior


@njit(cache=True, nogil=True, error_model="numpy")
def _is_open(tree, b, child, full):
    """Whether a simulation may follow an edge into `child`: not into a pending node, nor to a new one in a full tree."""
    if child == UNVISITED:
        return not full
    return tree.status[b, child] != PENDING


@njit(cache=True, nogil=True, error_model="numpy")
def _nothing_open(tree, b, node):
    """What to do at a node without open edge: wait if some are pending, else be the leaf."""
    children = tree.children_index[b, node]
    for action in range(children.shape[0]):
        if children[action] != UNVISITED:
            return COLLISION
    return SELF


@njit(cache=True, nogil=True, error_model="numpy")
def _choose_gumbel_root(tree, formula, b, full, visited):
    """Sequential halving: the best `root_scores + sigma(completed Q)` among the actions with the considered number of visits.

    If no open action has that number, because the tree is full, the best of all open actions.
    """
    _, _, factor, mixed_value, _ = _summarise(tree, formula, b, ROOT, visited)
    to_play = tree.to_play[b, ROOT]
    best, best_score = NO_ACTION, -np.inf
    fallback, fallback_score = NO_ACTION, -np.inf
    is_considered_pending = False
    for action in range(tree.children_index.shape[2]):
        if tree.prior[b, ROOT, action] <= 0.0:
            continue
        child = tree.children_index[b, ROOT, action]
        q = mixed_value
        visits = -tree.base_visits[b, action]
        if child >= 0:
            visits += tree.node_visits[b, child] + tree.virtual_visits[b, child]
            if tree.node_visits[b, child] > 0:
                q = _edge_q(tree, formula, b, child)
        is_considered = visits == tree.considered_visits[b]
        if not _is_open(tree, b, child, full):
            is_considered_pending |= is_considered and child != UNVISITED
            continue
        score = tree.root_scores[b, action] + factor * _normalise(tree, formula, b, to_play, q)
        score = max(score, LOWEST_SCORE)
        if is_considered and score > best_score:
            best, best_score = action, score
        if score > fallback_score:
            fallback, fallback_score = action, score
    if best != NO_ACTION:
        return best
    if is_considered_pending:
        return COLLISION
    return fallback if fallback != NO_ACTION else _nothing_open(tree, b, ROOT)


@njit(cache=True, nogil=True, error_model="numpy")
def _choose_gumbel(tree, formula, b, node, full, visited):
    """Interior rule: argmax of softmax(logits + sigma(completed Q)) - N(a) / (1 + sum N) (Danihelka et al. 2022, section 5).

    The unvisited actions share one completed Q, so the softmax needs an exponential only for the visited ones.
    """
    num_visited, sum_visits, factor, mixed_value, unvisited_prior = _summarise(tree, formula, b, node, visited)
    to_play = tree.to_play[b, node]
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    mixed = _normalise(tree, formula, b, to_play, mixed_value)
    peak = 0.0
    for i in range(num_visited):
        q = _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, children[visited[i]]))
        peak = max(peak, factor * (q - mixed))
    unvisited_weight = math.exp(-peak)
    total = unvisited_prior * unvisited_weight
    for i in range(num_visited):
        q = _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, children[visited[i]]))
        total += prior[visited[i]] * math.exp(factor * (q - mixed) - peak)
    best, best_score = NO_ACTION, -np.inf
    for action in range(children.shape[0]):
        child = children[action]
        if not _is_open(tree, b, child, full) or prior[action] <= 0.0:
            continue
        if child == UNVISITED:
            score = prior[action] * unvisited_weight / total
        else:
            q = _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, child))
            visits = tree.node_visits[b, child] + tree.virtual_visits[b, child]
            score = prior[action] * math.exp(factor * (q - mixed) - peak) / total - visits / (1.0 + sum_visits)
        if score > best_score:
            best, best_score = action, score
    return best if best != NO_ACTION else _nothing_open(tree, b, node)


@njit(cache=True, nogil=True, error_model="numpy")
def _choose_puct(tree, formula, b, node, full):
    """MuZero's PUCT (Appendix B) with KataGo's first-play urgency; root and interior alike."""
    children = tree.children_index[b, node]
    prior = tree.prior[b, node]
    to_play = tree.to_play[b, node]
    visited_prior = 0.0
    for action in range(children.shape[0]):
        child = children[action]
        if child >= 0 and tree.node_visits[b, child] > 0:
            visited_prior += prior[action]
    node_visits = tree.node_visits[b, node] + tree.virtual_visits[b, node] - 1  # less the simulation that asks
    exploration = formula.puct_init + math.log((node_visits + formula.puct_base + 1.0) / formula.puct_base)
    exploration *= math.sqrt(node_visits)
    node_value = tree.value_sum[b, node] / tree.node_visits[b, node]
    urgency = _normalise(tree, formula, b, to_play, node_value) - formula.fpu_reduction * math.sqrt(visited_prior)
    urgency = max(urgency, 0.0)
    best, best_score = NO_ACTION, -np.inf
    for action in range(children.shape[0]):
        child = children[action]
        if not _is_open(tree, b, child, full) or prior[action] <= 0.0:
            continue
        score = urgency
        visits = 0
        if child != UNVISITED:
            visits = tree.node_visits[b, child] + tree.virtual_visits[b, child]
            score = _normalise(tree, formula, b, to_play, _edge_q(tree, formula, b, child))
        score += exploration * prior[action] / (1.0 + visits)
        if score > best_score:
            best, best_score = action, score
    return best if best != NO_ACTION else _nothing_open(tree, b, node)


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(tree, formula, b, node, full, visited):
    """The action to follow from an expanded node, or COLLISION, or SELF."""
    if formula.algorithm == GUMBEL:
        if node == ROOT:
            return _choose_gumbel_root(tree, formula, b, full, visited)
        return _choose_gumbel(tree, formula, b, node, full, visited)
    return _choose_puct(tree, formula, b, node, full)


@njit(cache=True, nogil=True, error_model="numpy")
def _exact_value(tree, formula, b, node, action):
    """The known outcome of an edge (Black's view), or NaN: root actions that end the game, and pass, pass from the root."""
    if node == ROOT:
        return tree.terminal_values[b, action]
    if action == formula.pass_action and tree.action_from_parent[b, node] == action and tree.parent[b, node] == ROOT:
        return tree.pass_pass_values[b]
    return np.float32(np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _create(tree, formula, b, node, action):
    """Appends the child of `node` by `action`; terminal if its value is known, else pending. Returns its number."""
    child = tree.num_nodes[b]
    tree.num_nodes[b] = child + 1
    tree.children_index[b, node, action] = child
    tree.parent[b, child] = node
    tree.action_from_parent[b, child] = action
    to_play = tree.to_play[b, node]
    tree.to_play[b, child] = -to_play if formula.two_player else to_play
    tree.node_visits[b, child] = 0
    tree.virtual_visits[b, child] = 0
    tree.value_sum[b, child] = 0.0
    tree.raw_value[b, child] = 0.0
    value = _exact_value(tree, formula, b, node, action)
    is_known = not np.isnan(value)
    tree.reward[b, child] = value if is_known else 0.0
    tree.status[b, child] = TERMINAL if is_known else PENDING
    return child


@njit(cache=True, nogil=True, error_model="numpy")
def _release(tree, b, node):
    """Takes back the virtual visits of a simulation, from `node` up to the root."""
    while node != NO_PARENT:
        tree.virtual_visits[b, node] -= 1
        node = tree.parent[b, node]


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(tree, formula, b, visited):
    """One simulation's way down, marked by virtual visits. Returns the leaf, or NO_LEAF after a collision."""
    full = tree.num_nodes[b] >= tree.node_visits.shape[1]
    node = ROOT
    tree.virtual_visits[b, ROOT] += 1
    while tree.status[b, node] == EXPANDED:
        action = _choose(tree, formula, b, node, full, visited)
        if action == SELF:
            return node
        if action == COLLISION:
            _release(tree, b, node)
            return NO_LEAF
        child = tree.children_index[b, node, action]
        node = child if child != UNVISITED else _create(tree, formula, b, node, action)
        tree.virtual_visits[b, node] += 1
    return node


@njit(cache=True, nogil=True, error_model="numpy")
def select(tree, formula, active, descents, begin, end):
    """Starts one simulation in each tree b of begin <= b < end with `active[b]`.

    Writes `descents.leaf[begin:end]` and the rows begin, begin + 1, ... of the other arrays of `descents`, one for each leaf that
    needs the network. Returns the number of those rows.
    """
    visited = np.empty(tree.children_index.shape[2], np.int32)
    num_nodes = tree.node_visits.shape[1]
    row = begin
    for b in range(begin, end):
        descents.leaf[b] = NO_LEAF
        if not active[b]:
            continue
        leaf = _descend(tree, formula, b, visited)
        descents.leaf[b] = leaf
        if leaf != NO_LEAF and tree.status[b, leaf] == PENDING:
            parent = tree.parent[b, leaf]
            descents.parent_slots[row] = b * num_nodes + parent
            descents.actions[row] = tree.action_from_parent[b, leaf]
            descents.to_play[row] = tree.to_play[b, parent]
            descents.child_slots[row] = b * num_nodes + leaf
            descents.tree_index[row] = b
            row += 1
    return row - begin


@njit(cache=True, nogil=True, error_model="numpy")
def _expand(tree, formula, b, node, policy_logits, value, reward):
    """Stores the network's answer in a pending node. The second of two passes ends the game: such a node is terminal."""
    tree.raw_value[b, node] = value
    tree.reward[b, node] = reward
    action = tree.action_from_parent[b, node]
    if action == formula.pass_action and tree.action_from_parent[b, tree.parent[b, node]] == action:
        tree.status[b, node] = TERMINAL
        return
    tree.status[b, node] = EXPANDED
    num_actions = policy_logits.shape[0]
    prior = tree.prior[b, node]
    peak = policy_logits[0]
    for a in range(1, num_actions):
        peak = max(peak, policy_logits[a])
    total = 0.0
    for a in range(num_actions):
        weight = math.exp(policy_logits[a] - peak)
        prior[a] = weight
        total += weight
    for a in range(num_actions):
        prior[a] = max(prior[a] / total, PRIOR_FLOOR)
        tree.children_index[b, node, a] = UNVISITED


@njit(cache=True, nogil=True, error_model="numpy")
def _backup(tree, formula, b, leaf):
    """Adds the leaf's own value to every node up to the root and ends the simulation's virtual visits."""
    node = leaf
    value = float(tree.raw_value[b, leaf])
    while True:
        tree.node_visits[b, node] += 1
        tree.virtual_visits[b, node] -= 1
        tree.value_sum[b, node] += value
        if node == ROOT:
            return
        q = _edge_q(tree, formula, b, node)
        tree.value_min[b] = min(tree.value_min[b], q)
        tree.value_max[b] = max(tree.value_max[b], q)
        value = tree.reward[b, node] + formula.discount * value
        node = tree.parent[b, node]


@njit(cache=True, nogil=True, error_model="numpy")
def expand_and_backup(tree, formula, descents, begin, end, count, policy_logits, value, reward):
    """Ends the simulations that `select` began in the trees begin <= b < end.

    The network's answers to the rows begin, ..., begin + count - 1 of `descents` are rows 0, ..., count - 1 of `policy_logits` [>= count, A],
    `value` and `reward` [>= count], all float32.
    """
    for i in range(count):
        b = descents.tree_index[begin + i]
        _expand(tree, formula, b, descents.leaf[b], policy_logits[i], value[i], reward[i])
    for b in range(begin, end):
        if descents.leaf[b] != NO_LEAF:
            _backup(tree, formula, b, descents.leaf[b])
            descents.leaf[b] = NO_LEAF


@njit(cache=True, nogil=True, error_model="numpy")
def read_roots(tree, formula, num_trees, visits, q, sigma):
    """Writes, for the roots of the first `num_trees` trees, [num_trees, A] each: `visits` int32, `q` float32 (Black's view, NaN where
    unvisited) and `sigma` float32, sigma(completed Q) for the player to move."""
    num_actions = tree.children_index.shape[2]
    visited = np.empty(num_actions, np.int32)
    for b in range(num_trees):
        _, _, factor, mixed_value, _ = _summarise(tree, formula, b, ROOT, visited)
        to_play = tree.to_play[b, ROOT]
        for action in range(num_actions):
            child = tree.children_index[b, ROOT, action]
            completed_q = mixed_value
            visits[b, action] = 0
            q[b, action] = np.nan
            if child >= 0 and tree.node_visits[b, child] > 0:
                completed_q = _edge_q(tree, formula, b, child)
                visits[b, action] = tree.node_visits[b, child]
                q[b, action] = completed_q
            sigma[b, action] = factor * _normalise(tree, formula, b, to_play, completed_q)
