"""Moves per core-second of self-play, beside pgx and mctx doing the same work; and where our own time goes.

The work: games of a preset's board in step, the preset's search, and its network with random weights. With
`--set selfplay.reground_every=0` the search imagines (MuZero), with 1 it follows real games (AlphaZero), on both sides.
The other side is `benchmarks.pgx_mctx`: the same network in JAX, compiled by XLA. Both run in this process on one core,
in turns, and are timed by its processor time; the best turn of each counts. The limit is twice the other side's moves.
Where the network takes four fifths of the time on both sides, which of them is faster is a question of ONNX Runtime and
XLA.

The second table is our own time by phase, measured inside one more turn; at most 15 % outside the network are expected.

Run: python -m benchmarks.selfplay [--preset go9] [--games 128] [--int8] (pip install -e '.[benchmarks]')
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import argparse
import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.go.board_forest import BoardForest
from engine.go.features import NUM_ACTION_PLANES
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.model.runtime import Graph
from engine.search import batch_search
from trainer.actor import Publisher, make_evaluator
from trainer.config import TrainConfig, load_config
from trainer.envs.go import GoVectorEnv
from trainer.grounded import GroundedBatch
from trainer.network import GoNetwork, make_network
from trainer.selfplay import SelfPlay, make_env

EXPECTED_SHARE = 0.15
"""Of our time outside the network, at most."""
EXPECTED_RATIO = 2.0
"""Of our moves per core-second to theirs, at least."""
OTHERS = ("jax", "mctx", "pgx")
"""What the comparison needs."""

NETWORK = "network"
RECORDS = "choice of moves, records"
PHASES: tuple[tuple[object, str, str], ...] = (
    (Graph, "run", NETWORK),
    (OnnxEvaluator, "initial", "hidden states in and out"),
    (OnnxEvaluator, "look", "hidden states in and out"),
    (OnnxEvaluator, "recurrent", "hidden states in and out"),
    (batch_search, "select", "search: kernels"),
    (batch_search, "expand_and_backup", "search: kernels"),
    (batch_search, "read_root_statistics", "search: kernels"),
    (batch_search.BatchSearch, "run", "search: the rest"),
    (GoVectorEnv, "step", "rules and observations"),
    (GoVectorEnv, "reset", "rules and observations"),
    (BoardForest, "begin", "rules and observations"),
    (BoardForest, "play", "rules and observations"),
    (BoardForest, "observe", "rules and observations"),
    (BoardForest, "outcomes", "rules and observations"),
    (GroundedBatch, "recurrent", "search: the rest"),
)
"""(owner, function, phase); a call belongs to its phase but for the calls of other phases inside."""


class Side(Protocol):
    """One of the programs."""

    def play(self, plies: int) -> None:
        """Plays so many plies of every game."""
        ...

    def flops(self) -> tuple[float, float]:
        """Of one initial and one recurrent inference; a multiplication and an addition count as two."""
        ...


class OurSelfPlay:
    """`trainer.selfplay` with `OnnxEvaluator`, as an actor of a training run."""

    def __init__(self, config: TrainConfig, *, int8: bool = False) -> None:
        torch.manual_seed(0)
        network = make_network(config.network)
        assert isinstance(network, GoNetwork)
        self._network, self._config = network, config
        files = Publisher(network, device="cpu").publish(network)
        if int8:
            from benchmarks.int8 import random_walk
            from trainer.quantization import quantize

            files = quantize(files, network, [random_walk(config.env.size)])  # type: ignore[arg-type]
        evaluator = make_evaluator(files, config, device="cpu")
        env = make_env(config, num_envs=config.selfplay.num_games)
        self._selfplay = SelfPlay(config, env, evaluator, np.random.default_rng(0))

    def play(self, plies: int) -> None:
        self._selfplay.play(plies * self._config.selfplay.num_games)

    def flops(self) -> tuple[float, float]:
        network, size = self._network, self._config.env.size
        observation = torch.zeros(1, network.config.observation_size, size, size)
        hidden, planes = (
            torch.zeros(1, network.config.channels, size, size),
            torch.zeros(1, NUM_ACTION_PLANES, size, size),
        )
        counts = []
        for inference in (lambda: network.initial(observation), lambda: network.recurrent(hidden, planes)):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                inference()
            counts.append(float(counter.get_total_flops()))
        return counts[0], counts[1]


class Stopwatch:
    """Processor seconds of this process by phase; a phase that begins inside another interrupts it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phases = [RECORDS]
        self._since = time.process_time()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts for `name` until the end of the block."""
        self._switch()
        self._phases.append(name)
        yield
        self._switch()
        self._phases.pop()

    def _switch(self) -> None:
        now = time.process_time()
        self.seconds[self._phases[-1]] = self.seconds.get(self._phases[-1], 0.0) + now - self._since
        self._since = now

    def timed(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """`function`, counted for `phase`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.phase(phase):
                return function(*args, **kwargs)

        return call


def make_config(
    *, preset: str, games: int | None = None, channels: int | None = None, overrides: Sequence[str] = ()
) -> TrainConfig:
    """The preset's largest board, with all simulations in every search."""
    config = load_config(preset, list(overrides)).boards[0]
    selfplay = dataclasses.replace(
        config.selfplay, decided_value=2.0, num_games=games or config.selfplay.num_games, random_opening_share=0.0
    )
    network = dataclasses.replace(config.network, channels=channels or config.network.channels)
    return dataclasses.replace(config, selfplay=selfplay, network=network)


def best_times(calls: list[Callable[[int], None]], *, plies: int, rounds: int) -> list[float]:
    """Processor seconds of `plies` plies of each, from the best of `rounds` turns; a first turn compiles."""
    times = [float("inf")] * len(calls)
    for turn in range(rounds + 1):
        for i, call in enumerate(calls):
            begin = time.process_time()
            call(plies)
            if turn > 0:
                times[i] = min(times[i], time.process_time() - begin)
    return times


def time_phases(side: Side, *, plies: int) -> dict[str, float]:
    """Processor seconds of `plies` plies by phase, in the order of PHASES."""
    with ExitStack() as patches:
        watch = Stopwatch()
        for owner, name, phase in PHASES:
            patches.enter_context(mock.patch.object(owner, name, watch.timed(getattr(owner, name), phase)))
        with watch.phase(RECORDS):
            side.play(plies)
    names = dict.fromkeys([phase for _, _, phase in PHASES] + [RECORDS])
    return {name: watch.seconds.get(name, 0.0) for name in names}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="go9", help="whose largest board and network (default: go9)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the preset"
    )
    parser.add_argument("--games", type=int, help="in step, on each side (default: the preset's)")
    parser.add_argument("--channels", type=int, help="of the network (default: the preset's)")
    parser.add_argument("--int8", action="store_true", help="our side also with a quantised network")
    parser.add_argument("--plies", type=int, default=2, help="of every game in one turn (default: 2)")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each side (default: 6)")
    options = parser.parse_args(argv)
    config = make_config(preset=options.preset, games=options.games, channels=options.channels, overrides=options.set)
    sides: dict[str, Side] = {"tengen": OurSelfPlay(config)}
    if options.int8:
        sides["tengen int8"] = OurSelfPlay(config, int8=True)
    calls = [side.play for side in sides.values()]
    missing = [name for name in OTHERS if importlib.util.find_spec(name) is None]
    if not missing:
        from benchmarks.pgx_mctx import PgxSelfPlay

        theirs = PgxSelfPlay(config)
        sides["pgx + mctx"] = theirs
        calls += [theirs.play, theirs.think]
    moves = options.plies * config.selfplay.num_games
    times = best_times(calls, plies=options.plies, rounds=options.rounds)
    size, search = config.env.size, config.search
    print(
        f"{config.selfplay.num_games} games of {size}x{size}, {search.num_simulations} simulations over "
        f"{search.num_considered} candidates, {config.network.channels} channels, "
        f"{'looks at every position' if config.selfplay.reground_every else 'imagination'}"
    )
    print("             moves per core-s  us a move  MFLOP of initial, recurrent inference")
    for (name, side), seconds in zip(sides.items(), times, strict=False):
        initial, recurrent = (count / 1e6 for count in side.flops())
        print(f"{name:11}  {moves / seconds:16.0f}  {1e6 * seconds / moves:9.0f}  {initial:.1f}, {recurrent:.1f}")
    if missing:
        print(f"no comparison: {', '.join(missing)} not installed (pip install -e '.[benchmarks]')")
    else:
        print(f"its network alone              {1e6 * times[-1] / moves:9.0f}")
        ratios = [f"{times[-2] / seconds:.2f}" for seconds in times[:-2]]
        print(f"moves of tengen to those of pgx + mctx: {', '.join(ratios)}, expected at least {EXPECTED_RATIO:g}")
    for name, side in list(sides.items())[: 2 if options.int8 else 1]:
        phases = time_phases(side, plies=2 * options.plies)
        total = sum(phases.values())
        print(f"\n{name}: outside the network {1 - phases[NETWORK] / total:.1%}, expected at most {EXPECTED_SHARE:.0%}")
        for phase, seconds in phases.items():
            print(f"{phase:26}  {seconds / total:6.1%}  {1e6 * seconds / (2 * moves):6.0f} us a move")
    return 0


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    raise SystemExit(main())
