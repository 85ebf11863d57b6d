"""How fast this installation is: the measurements behind `tengen bench`, as values.

Whatever is compared is measured in turns, in short slices of one run, so that a machine with other work on it disturbs
both sides alike: the ratio can be trusted where the rates cannot. Knows no protocol and prints nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import TengenError
from engine.go.batch import GoBatch
from engine.go.position import Position
from engine.go.rules import BLACK
from engine.kernel_cache import VARIABLE as CACHE_VARIABLE
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.folder import LoadedModel
from engine.model.interface import INITIAL, RECURRENT
from engine.model.runtime import Graph, GraphOptions
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.roots import RootBatch, masked_softmax, set_roots
from engine.search.search import Search
from engine.search.simulation import Simulations
from engine.search.tree import allocate_tree
from engine.searcher_pool import SearcherPool
from engine.settings import PlayerSettings
from engine.turn import Turn

OVERHEAD_VISITS: Final = 2000
"""Visits of a search that measures the search itself."""
Tell = Callable[[str], None]
"""Takes a line for the user."""
_CONFIG: Final = SearchConfig(algorithm="puct")
_OPENING_PLIES: Final = 6
_START_UP: Final = """
import os
from engine.player import Player
from engine.settings import PlayerSettings
player = Player(board_size={size}, settings=PlayerSettings(model={model!r}, threads=1))
ready = player.ensure_ready()
os.write(2, str(player.ready_error or "").encode())
os._exit(0 if ready else 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpeed:
    """The search of an opening against the bare network: same graph, same batches, as many threads."""

    raw_evals_per_s: float
    """Evaluations a second of the graph alone, in a loop in every thread."""
    search_evals_per_s: float
    """Evaluations a second of the search."""
    ratio: float
    """Search to raw: the median over pairs of neighbouring slices. In (0, about 1]."""
    core_ratio: float
    """The same by processor time, which other programs disturb least; waiting does not show in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOverhead:
    """Microseconds of processor time that a simulation costs without any network, one thread."""

    kernel_us: float
    """Selection, expansion and backup, the way in and out of compiled code included."""
    search_us: float
    """Everything: lock, limits, counters as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """Seconds from the start of a process until a search could begin."""

    first_s: float
    """With every kernel to compile, as right after the installation."""
    warm_s: float
    """With compiled kernels in the cache."""


class NoNetwork:
    """An evaluator that answers at once, always the same, and keeps no hidden states."""

    def __init__(self, num_slots: int, num_actions: int) -> None:
        self.num_slots = num_slots
        logits = np.random.default_rng(0).normal(0.0, 2.0, (1, num_actions)).astype(np.float32)
        nothing = np.zeros(1, np.float32)
        self._root = RootOutput(policy_logits=logits, value=nothing)
        self._step = RecurrentOutput(policy_logits=logits, value=nothing, reward=nothing)

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """The one answer."""
        return self._root

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """The one answer."""
        return self._step


def empty_board(size: int) -> RootBatch:
    """The root of a search of the empty board."""
    return Turn.of(Position(size), BLACK).root()


def opening(size: int, seed: int) -> Turn:
    """The turn after some random moves, others for each `seed`: what one search has seen is of no use to the next."""
    position, rng = Position(size), np.random.default_rng(seed)
    for _ in range(_OPENING_PLIES):
        points = np.flatnonzero(position.legal_mask()[:-1])
        position.play(position.to_play, int(rng.choice(points)))
    return Turn.of(position, position.to_play)


def measure_search(
    pool: SearcherPool, bare: Callable[[], int], *, size: int, settings: PlayerSettings, slices: int, slice_s: float
) -> SearchSpeed:
    """Compares the search as it is played with `settings`, those of `pool`, with the bare network, see `bare_graph`, in
    `slices` pairs of slices of `slice_s` seconds; blocks as long."""

    def search(seed: int) -> int:
        limits = Limits(time_s=slice_s)
        analysis = pool.start(opening(size, seed), limits, model=settings.model, seed=seed, settings=settings)
        return analysis.wait().evaluations

    def pair(seed: int) -> tuple[tuple[float, float], tuple[float, float]]:
        return rate_of(lambda: run_bare(bare, settings.num_threads, slice_s)), rate_of(lambda: search(seed))

    search(slices)  # compiles, and touches the memory
    pairs = [pair(seed) for seed in range(slices)]
    return SearchSpeed(
        raw_evals_per_s=median(raw[0] for raw, _ in pairs),
        search_evals_per_s=median(searched[0] for _, searched in pairs),
        ratio=median(searched[0] / raw[0] for raw, searched in pairs),
        core_ratio=median(searched[1] / raw[1] for raw, searched in pairs),
    )


def bare_graph(
    model: LoadedModel, *, size: int, looks: bool, batch: int, device: str, threads: int
) -> Callable[[], int]:
    """One run of the graph that judges the nodes of a tree, on `batch` positions of zeros; returns `batch`.

    `looks`: the graph that sees a real position, asked for policy and value only; else the one that imagines a move.
    This is the limit: no search can be faster that has every leaf evaluated, up to `batch` of them together.
    """
    options = GraphOptions(board_size=size, device=device, threads=1, callers=threads)
    shape = model.manifest.shape

    def zeros(channels: int) -> NDArray[np.float32]:
        return np.zeros((batch, channels, size, size), np.float32)

    if looks:
        graph, outputs = Graph(model.initial, INITIAL, options), ["policy_logits", "value"]
        inputs = {"observation": zeros(shape.observation_size)}
    else:
        graph, outputs = Graph(model.recurrent, RECURRENT, options), ["next_hidden", "policy_logits", "value"]
        inputs = {"hidden": zeros(shape.hidden_size), "action_planes": zeros(shape.action_size)}

    def run() -> int:
        graph.run(outputs, inputs, batch)
        return batch

    return run


def rate_of(work: Callable[[], int]) -> tuple[float, float]:
    """Of what `work` counts: so many a second, and so many a second of processor time."""
    start_s, start_core_s = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - start_s), count / (time.process_time() - start_core_s)


def run_bare(bare: Callable[[], int], threads: int, seconds: float) -> int:
    """Calls `bare` in `threads` threads for that long; returns the sum of what it returns."""
    deadline = time.monotonic() + seconds
    counts = [0] * threads

    def loop(index: int) -> None:
        while time.monotonic() < deadline:
            counts[index] += bare()

    workers = [threading.Thread(target=loop, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts)


def measure_overhead(*, size: int, repeats: int) -> SearchOverhead:
    """The search of a board of `size` without a network; the best of `repeats`."""
    num_actions = size * size + 1
    evaluator = NoNetwork(OVERHEAD_VISITS + 1, num_actions)
    search = Search(evaluator, num_actions=num_actions, config=_CONFIG, max_nodes=OVERHEAD_VISITS + 1)
    root = empty_board(size)
    search.start(root, Limits(visits=50)).wait()
    kernel_us, search_us = [], []
    for _ in range(repeats):
        start = time.process_time()
        search.start(root, Limits(visits=OVERHEAD_VISITS)).wait()
        search_us.append(1e6 * (time.process_time() - start) / OVERHEAD_VISITS)
        kernel_us.append(_time_kernels(evaluator, root))
    return SearchOverhead(kernel_us=min(kernel_us), search_us=min(search_us))


def _time_kernels(evaluator: NoNetwork, root: RootBatch) -> float:
    """Microseconds of processor time a simulation, from the root alone to a tree of OVERHEAD_VISITS nodes."""
    output = evaluator.initial(root.observations, np.zeros(1, np.int32))
    tree = allocate_tree(1, evaluator.num_slots, output.policy_logits.shape[1])
    prior = masked_softmax(output.policy_logits, root.legal_mask)
    set_roots(tree, root, prior=prior, root_scores=output.policy_logits, value=output.value)
    simulations = Simulations(evaluator, tree, _CONFIG.formula(pass_action=root.pass_action))
    total = 0.0
    for _ in range(OVERHEAD_VISITS):
        start = time.thread_time()
        simulations.begin()
        total += time.thread_time() - start
        simulations.evaluate()
        start = time.thread_time()
        simulations.finish()
        total += time.thread_time() - start
    return 1e6 * total / OVERHEAD_VISITS


def measure_rules(*, size: int, games: int = 256, plies: int = 40) -> float:
    """Moves a second on one core: exact legal mask and play, in random games; drawing the moves is not counted."""
    batch = GoBatch(num_games=games, size=size)
    rng = np.random.default_rng(size)
    played, spent_s = 0, 0.0
    for ply in range(plies + 1):
        start = time.thread_time()
        legal = batch.legal_mask()
        masked_s = time.thread_time() - start
        weights = rng.random(legal.shape, dtype=np.float32) * legal
        weights[:, -1] = 1e-9
        actions = weights.argmax(axis=1).astype(np.int32)
        running = int(np.count_nonzero(~batch.finished))
        start = time.thread_time()
        batch.play(actions)
        if ply:  # the first ply may compile
            spent_s += masked_s + time.thread_time() - start
            played += running
    return played / spent_s


def measure_start(model: str, *, size: int) -> StartUp:
    """Starts two processes after each other with a kernel cache of their own, empty at first. Takes half a minute.

    Raises `TengenError` with what such a process says when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="tengen-bench-") as cache:
        first_s, warm_s = (_time_process(model, size=size, cache=cache) for _ in range(2))
    return StartUp(first_s=first_s, warm_s=warm_s)


def _time_process(model: str, *, size: int, cache: str) -> float:
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, CACHE_VARIABLE: cache, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _START_UP.format(size=size, model=model)]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    elapsed_s = time.perf_counter() - start
    if done.returncode:
        raise TengenError(f"the engine does not start: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return elapsed_s
