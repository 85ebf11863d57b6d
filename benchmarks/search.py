"""What the search itself costs, without a network: microseconds per simulation of the compiled parts, on one core.

A fake evaluator answers at once from a table of random policies and small values. Only the time inside `select` and
`expand_and_backup` is counted, as CPU time of the thread, since other programs may run beside it. The limit that it is
held against in the same process is what two calls cost that find nothing to do (every tree inactive): the price of
entering compiled code from Python, shared by the batch. A second table times whole searches of one position, threads
and locks included, against the same network-free evaluator.

Run: python benchmarks/search.py [--actions 82] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from numpy.typing import NDArray

from engine.model.contract import RecurrentOutput, RootOutput
from engine.search.backup import expand_and_backup
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.kernels import select
from engine.search.limits import Limits
from engine.search.roots import RootBatch, set_roots
from engine.search.search import Search
from engine.search.tree import ROOT, allocate_descents

TABLE = 8192
CASES = (("gumbel", 1, 200), ("gumbel", 256, 16), ("gumbel", 256, 64), ("puct", 1, 200), ("puct", 1, 3200))
CASES += (("puct", 256, 16), ("puct", 256, 64))
POSITION_CASES = (("gumbel", 200), ("puct", 200), ("puct", 3200))


class TableEvaluator:
    """Answers with consecutive rows of a random table."""

    def __init__(self, num_slots: int, num_actions: int) -> None:
        rng = np.random.default_rng(0)
        self.num_slots = num_slots
        self.policy_logits = rng.normal(0.0, 2.0, (TABLE, num_actions)).astype(np.float32)
        self.value = rng.normal(0.0, 0.15, TABLE).clip(-1, 1).astype(np.float32)
        self.reward = np.zeros(TABLE, np.float32)
        self.next = 0

    def rows(self, count: int) -> slice:
        self.next = (self.next + count) % (TABLE - count)
        return slice(self.next, self.next + count)

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        rows = self.rows(len(slots))
        return RootOutput(policy_logits=self.policy_logits[rows], value=self.value[rows])

    def recurrent(self, *arguments: NDArray[np.int32]) -> RecurrentOutput:
        rows = self.rows(len(arguments[0]))
        return RecurrentOutput(policy_logits=self.policy_logits[rows], value=self.value[rows], reward=self.reward[rows])


def make_roots(batch: int, num_actions: int) -> RootBatch:
    return RootBatch(
        observations=np.zeros((batch, 1), np.float32),
        legal_mask=np.ones((batch, num_actions), np.bool_),
        to_play=np.ones(batch, np.int8),
        pass_action=num_actions - 1,
    )


def mean_depth(search: BatchSearch, batch: int) -> float:
    """Mean depth of the leaves, which are the nodes in order of creation."""
    depth = np.zeros(search.tree.parent.shape[:2], np.int32)
    for node in range(1, search.nodes_per_tree):
        depth[:, node] = depth[np.arange(batch), search.tree.parent[:, node]] + 1
    return float(depth[:, 1:].mean())


def time_kernels(algorithm: str, batch: int, simulations: int, num_actions: int) -> tuple[float, float, float]:
    """CPU microseconds of one simulation of one tree, the same with nothing to do, and the mean depth."""
    config = SearchConfig(algorithm=algorithm, num_simulations=simulations)  # type: ignore[arg-type]
    evaluator = TableEvaluator(batch * (simulations + 1), num_actions)
    search = BatchSearch(evaluator, batch_size=batch, num_actions=num_actions, config=config)
    roots = make_roots(batch, num_actions)
    search.run(roots, rng=np.random.default_rng(0))  # a whole search first: it compiles and warms the caches
    depth = mean_depth(search, batch)
    output = evaluator.initial(roots.observations, np.arange(batch, dtype=np.int32))
    prior = np.exp(output.policy_logits) / np.exp(output.policy_logits).sum(axis=1, keepdims=True)
    set_roots(search.tree, roots, prior=prior, root_scores=output.policy_logits, value=output.value)
    formula = config.formula(pass_action=num_actions - 1)
    descents = allocate_descents(batch)
    spent = []
    for active in (np.zeros(batch, np.bool_), np.ones(batch, np.bool_)):
        total = 0.0
        for i in range(simulations):
            search.tree.considered_visits[:] = i // config.num_considered
            begin = time.thread_time()
            count = select(search.tree, formula, active, descents)
            total += time.thread_time() - begin
            rows = evaluator.rows(batch)
            answers = evaluator.policy_logits[rows], evaluator.value[rows], evaluator.reward[rows]
            begin = time.thread_time()
            expand_and_backup(search.tree, formula, active, descents, count, *answers)
            total += time.thread_time() - begin
        spent.append(1e6 * total / simulations / batch)
    assert (search.tree.node_visits[:, ROOT] == simulations + 1).all()
    return spent[1], spent[0], depth


def time_position(algorithm: str, visits: int, num_actions: int) -> float:
    """CPU microseconds per visit of a whole search of one position with one thread."""
    config = SearchConfig(algorithm=algorithm)  # type: ignore[arg-type]
    search = Search(TableEvaluator(visits, num_actions), num_actions=num_actions, config=config, max_nodes=visits)
    root = make_roots(1, num_actions)
    begin = time.process_time()
    search.start(root, Limits(visits=visits)).wait()
    return 1e6 * (time.process_time() - begin) / visits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=82)
    parser.add_argument("--repeats", type=int, default=5, help="the best of so many is reported")
    options = parser.parse_args()
    print(f"compiled parts, A = {options.actions}, best of {options.repeats}")
    print("algorithm  batch  simulations  depth  us/simulation  of which calls  us/level")
    for algorithm, batch, simulations in CASES:
        runs = [time_kernels(algorithm, batch, simulations, options.actions) for _ in range(options.repeats)]
        spent, calls, depth = (min(column) for column in zip(*runs, strict=True))
        per_level = (spent - calls) / max(depth, 1.0)
        shape = f"{algorithm:9}  {batch:5}  {simulations:11}  {depth:5.1f}"
        print(f"{shape}  {spent:13.2f}  {calls:14.2f}  {per_level:8.2f}")
    print("\none position, one thread, everything but the network")
    print("algorithm  visits  us/visit")
    for algorithm, visits in POSITION_CASES:
        best = min(time_position(algorithm, visits, options.actions) for _ in range(options.repeats))
        print(f"{algorithm:9}  {visits:6}  {best:8.1f}")


if __name__ == "__main__":
    main()
