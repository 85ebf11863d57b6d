"""Real searches, replayed on a real board: how many of the moves that a tree imagines are legal, and how wrong are the
values of its nodes against a fresh look at the position that they stand for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.model.contract import Evaluator
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.tree import EXPANDED, NO_ACTION, ROOT, Tree
from trainer.positions import Position, replay_to
from trainer.selfplay import roots_of

LOOKS_AT_ONCE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Every node of B trees with N nodes, on a real board."""

    legal: NDArray[np.bool_]
    """[B, N] every move from the root to the node is legal."""
    over: NDArray[np.bool_]
    """[B, N] by the rules the game had ended before the node's last move."""
    boards: GoBatch
    """[B * N] games; where `legal` and not `over`, the position of the node."""


def audit_trees(
    evaluator: Evaluator,
    positions: list[Position],
    config: SearchConfig,
    *,
    size: int,
    num_simulations: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Searches every position and compares its tree with the rules. The evaluator needs
    `len(positions) * (num_simulations + 1)` slots."""
    config = dataclasses.replace(config.with_simulations(num_simulations), dirichlet_fraction=0.0)
    boards = replay_to(positions, size)
    search = BatchSearch(evaluator, batch_size=len(positions), num_actions=boards.num_actions, config=config)
    search.run(roots_of(boards), rng=rng, gumbel_scale=0.0)
    paths = find_paths(search.tree)
    replay = replay_paths(positions, paths, size=size)
    errors = _value_errors(evaluator, search.tree, replay)
    return {
        "simulations": num_simulations,
        "positions": len(positions),
        "depths": _by_depth(search.tree, paths, replay, errors),
    }


def find_paths(tree: Tree) -> NDArray[np.int32]:
    """[B, N, D] the actions from the root to each node, NO_MOVE after the last; nodes not in use have none."""
    trees, nodes = tree.parent.shape
    depth = np.zeros((trees, nodes), np.int32)
    paths = np.full((trees, nodes, nodes), NO_MOVE, np.int32)
    rows = np.arange(trees)
    for node in range(ROOT + 1, nodes):  # a parent has a smaller number than its children
        parents = np.where(node < tree.num_nodes, tree.parent[:, node], ROOT)
        actions = np.where(node < tree.num_nodes, tree.action_from_parent[:, node], NO_ACTION)
        paths[:, node] = paths[rows, parents]
        used = rows[actions != NO_ACTION]
        paths[used, node, depth[used, parents[used]]] = actions[used]
        depth[used, node] = depth[used, parents[used]] + 1
    return paths[:, :, : max(1, int(depth.max()))]


def replay_paths(positions: list[Position], paths: NDArray[np.int32], *, size: int) -> Replay:
    """Plays the path of every node from its root position, up to its first illegal move."""
    trees, nodes, longest = paths.shape
    boards = replay_to([position for position in positions for _ in range(nodes)], size)
    moves = paths.reshape(trees * nodes, longest)
    legal, over = np.ones(len(moves), np.bool_), np.zeros(len(moves), np.bool_)
    rows = np.arange(len(moves))
    for step in range(longest):
        actions = moves[:, step]
        moving = actions != NO_MOVE
        over |= moving & legal & boards.finished
        allowed = boards.legal_mask()[rows, actions.clip(min=0)]
        legal &= ~moving | over | allowed
        boards.play(actions, moving & legal & ~over)
    return Replay(legal=legal.reshape(trees, nodes), over=over.reshape(trees, nodes), boards=boards)


def _value_errors(evaluator: Evaluator, tree: Tree, replay: Replay) -> NDArray[np.float32]:
    """[B, N] |value of the node - value of a fresh look|, NaN where there is nothing to compare."""
    used = np.arange(tree.parent.shape[1]) < tree.num_nodes[:, None]
    finished = replay.boards.finished.reshape(used.shape)
    compared = used & replay.legal & ~replay.over & ~finished & (tree.status == EXPANDED)
    rows = np.flatnonzero(compared)
    fresh = np.zeros(len(rows), np.float32)
    for begin in range(0, len(fresh), LOOKS_AT_ONCE):
        part = replay.boards.take(rows[begin : begin + LOOKS_AT_ONCE]).observe()
        slots = np.arange(len(part), dtype=np.int32)  # the search is over, its hidden states may go
        fresh[begin : begin + len(part)] = evaluator.initial(part, slots).value
    errors = np.full(used.shape, np.nan, np.float32)
    errors[compared] = np.abs(fresh - tree.raw_value[compared])
    return errors


def _by_depth(
    tree: Tree, paths: NDArray[np.int32], replay: Replay, errors: NDArray[np.float32]
) -> list[dict[str, float | None]]:
    """Figures of the nodes at each depth, the root's at 0."""
    used = np.arange(tree.parent.shape[1]) < tree.num_nodes[:, None]
    depth = (paths != NO_MOVE).sum(2)
    rows: list[dict[str, float | None]] = []
    for level in range(int(depth[used].max()) + 1):
        here = used & (depth == level)
        visits = tree.node_visits * here
        total = float(visits.sum())
        known = errors[here & ~np.isnan(errors)]
        rows.append(
            {
                "depth": level,
                "nodes": int(here.sum()),
                "visits": int(total),
                "illegal_visits": round(float((visits * ~replay.legal).sum()) / total, 5) if total else None,
                "after_the_end": round(float((visits * replay.over).sum()) / total, 5) if total else None,
                "value_error": round(float(known.mean()), 5) if len(known) else None,
            }
        )
    return rows
