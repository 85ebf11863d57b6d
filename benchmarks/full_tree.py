"""What a search is worth whose tree has filled its memory.

The same PUCT search of many positions, one thread, four times: with room for every node; with room for a few, where it
forgets what lies behind the nodes it visits least; with as few, where nothing is forgotten, so that leaves repeat their
values (as before there was forgetting); and one that ends when those few are there. The judge is a search with room for
every node of the position after each choice: printed is how much value, in [-1, 1], the choices lose against the best
of the four, in the mean with its standard error, and how often a choice is that of the first search. Before that, what
forgetting costs: milliseconds for a tree of so many nodes, spent once in an eighth of as many simulations.

Run: python -m benchmarks.full_tree [--model go9] [--positions 200] [--visits 2000] [--nodes 150]
"""

from __future__ import annotations

import argparse
import time
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.half_states import make_roots, model_positions
from benchmarks.search import TableEvaluator
from engine.model.catalog import Catalog
from engine.model.folder import load_model
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.pruning import forget_least_visited
from engine.search.roots import RootBatch
from engine.search.search import Search
from trainer.positions import Position, replay_to

CONFIG = SearchConfig(algorithm="puct")
TREES = (10_000, 100_000)


def choose(evaluator: OnnxEvaluator, roots: list[RootBatch], *, nodes: int, visits: int) -> NDArray[np.int32]:
    """[B] the choices of searches with trees of `nodes` nodes."""
    num_actions = roots[0].legal_mask.shape[1]
    search = Search(evaluator, num_actions=num_actions, config=CONFIG, max_nodes=nodes)
    return np.array([search.start(root, Limits(visits=visits)).wait().best_action for root in roots], np.int32)


def judge(evaluator: OnnxEvaluator, positions: list[Position], choices: NDArray[np.int32], *, size: int) -> list[float]:
    """[B] what each position is worth to the player who makes the choice there, in [-1, 1]."""
    boards = replay_to(positions, size)
    to_play, outcomes = boards.to_play.copy(), boards.terminal_values()
    boards.play(choices)
    search = Search(evaluator, num_actions=boards.num_actions, config=CONFIG, max_nodes=evaluator.num_slots)
    roots = iter(make_roots(boards))
    values = []
    for i, action in enumerate(choices):
        if boards.finished[i]:
            values.append(float(to_play[i] * outcomes[i, action]))
        else:
            result = search.start(next(roots), Limits(visits=evaluator.num_slots - 1)).wait()
            values.append(float(to_play[i] * result.root_value))
    return values


def time_forgetting(nodes: int, num_actions: int) -> float:
    """Milliseconds of one look at a full tree; the best of five."""
    best = np.inf
    for _ in range(5):
        search = Search(TableEvaluator(nodes, num_actions), num_actions=num_actions, config=CONFIG, max_nodes=nodes)
        root = RootBatch(
            observations=np.zeros((1, 1), np.float32),
            legal_mask=np.ones((1, num_actions), np.bool_),
            to_play=np.ones(1, np.int8),
        )
        search.start(root, Limits(visits=nodes - 1)).wait()
        start = time.thread_time()
        forget_least_visited(search._tree)
        best = min(best, 1e3 * (time.thread_time() - start))
    return float(best)


def compare(name: str, options: argparse.Namespace) -> None:
    """Prints the block of one model."""
    model = load_model(Catalog().resolve(name))
    size, visits, nodes = max(model.manifest.trained_sizes), options.visits, options.nodes
    positions = model_positions(name, options.positions, seed=options.seed)
    positions = [p for p, over in zip(positions, replay_to(positions, size).finished, strict=True) if not over]
    roots = make_roots(replay_to(positions, size))
    evaluator = OnnxEvaluator.from_model(model, board_size=size, num_slots=visits + 1)
    choices = {
        "has room": choose(evaluator, roots, nodes=visits + 1, visits=visits),
        "forgets": choose(evaluator, roots, nodes=nodes, visits=visits),
        "ends": choose(evaluator, roots, nodes=nodes, visits=nodes),
    }
    with mock.patch("engine.search.handle.forget_least_visited", return_value=0):
        choices["repeats"] = choose(evaluator, roots, nodes=nodes, visits=visits)
    differs = np.flatnonzero(np.any([c != choices["has room"] for c in choices.values()], axis=0))
    losses = {what: np.zeros(len(positions)) for what in choices}
    if differs.size:
        disputed = [positions[i] for i in differs]
        values = {w: np.array(judge(evaluator, disputed, c[differs], size=size)) for w, c in choices.items()}
        for what, found in values.items():
            losses[what][differs] = np.max(list(values.values()), axis=0) - found
    print(f"{model.manifest.identity} on {size}x{size}, {visits} visits, {nodes} nodes, {len(positions)} positions")
    for what, chosen in choices.items():
        loss, error = losses[what].mean(), losses[what].std() / np.sqrt(len(positions))
        print(f"  {what:9} loses {loss:.4f} +- {error:.4f}; {np.mean(chosen == choices['has room']):.1%} the same")
    difference = losses["repeats"] - losses["forgets"]
    error = difference.std() / np.sqrt(len(positions))
    print(f"  forgetting gains {difference.mean():+.4f} +- {error:.4f} over repeating")


def main() -> None:
    """Prints one block for each model, and what forgetting costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--positions", type=int, default=20)
    parser.add_argument("--visits", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for nodes in TREES:
        print(f"forgetting in a tree of {nodes} nodes: {time_forgetting(nodes, 82):.2f} ms")
    for name in options.model or [n for n, f in Catalog().models.items() if f.manifest.shape.kind == "go"]:
        compare(name, options)


if __name__ == "__main__":
    main()
