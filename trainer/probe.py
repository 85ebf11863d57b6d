"""A short measurement before a run: how many games in step suit this machine, and what it will do in a second.

On an accelerator a larger batch costs little until it is full, and a preset cannot know where that is. Knows self-play
and the learner; changes nothing of a run but `selfplay.num_games`: another `learner.batch_size` would learn otherwise.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidConfig
from engine.model.contract import PositionEvaluator, RecurrentOutput, RootOutput
from trainer.actor import Publisher, Weights, make_evaluator
from trainer.config import TrainConfig
from trainer.learner import Learner
from trainer.network import make_network
from trainer.prefetch import prefetched
from trainer.record import GameRecord
from trainer.replay import ReplayBuffer
from trainer.selfplay import SelfPlay, make_env
from trainer.windows import MixedWindowBuilder

MOST_GAMES = 8192
WORTH_IT = 1.1
"""Twice the games must make so many times the moves."""
LEARNER_SHARE = 0.25
"""Of the time, at most, for the learner's steps."""
MOST_STEPS = 1_000
"""Of the learner."""
FILLING_GAMES = 64
"""Games in step to draw the learner's windows from."""
FILLING_POSITIONS = 4096
"""Positions of them, at least, on all boards."""

Note = Callable[[str], None]


def probe(config: TrainConfig, *, device: str, budget_s: float, note: Note) -> TrainConfig:
    """`config` with as many games in step as make the most moves a second.

    Doubles them from the preset's number while that is worth it and there is time and memory. Tells `note` the lines of
    a table: what each number of games makes, and the learner in the preset's precision and in what the device has
    besides. Every board has its share of the positions at the end of a run. Random weights and the first plies of games
    stand for the real ones. Raises `InvalidConfig` where the preset's own number is too large.
    """
    stop = time.monotonic() + budget_s * (1.0 - LEARNER_SHARE)
    network = make_network(config.network)
    weights = Publisher(network, device=device).publish(network)
    best, best_rate = config.selfplay.num_games, 0.0
    note("games in step  moves/s  in the network")
    for games in _doubled(config.selfplay.num_games):
        begin = time.monotonic()
        try:
            rate, share = _time_selfplay(_with_games(config, games), weights, device=device)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if not best_rate:
                raise InvalidConfig(f"{games} games in step do not fit in memory: lower selfplay.num_games") from error
            note(f"{games:13}  out of memory")
            break
        finally:
            _free()
        note(f"{games:13}  {rate:7.0f}  {share:14.0%}")
        if rate < WORTH_IT * best_rate:
            break
        best, best_rate = games, rate
        if time.monotonic() + 3 * (time.monotonic() - begin) > stop:
            break
    precisions = _precisions(config, device=device)
    note(f"batch of {config.learner.batch_size:>5}  windows/s")
    for precision in precisions:
        learner = dataclasses.replace(config.learner, precision=precision)
        part = budget_s * LEARNER_SHARE / len(precisions)
        windows = time_learner(dataclasses.replace(config, learner=learner), device=device, budget_s=part)
        note(f"{precision:>14}  {windows:9.0f}")
        _free()
    note(f"{best} games in step are chosen")
    return _with_games(config, best)


def _doubled(games: int) -> Iterator[int]:
    while games <= MOST_GAMES:
        yield games
        games *= 2


def _with_games(config: TrainConfig, games: int) -> TrainConfig:
    return dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, num_games=games))


def _boards(config: TrainConfig) -> list[tuple[TrainConfig, float]]:
    """The boards of a run at its end and their shares of the positions."""
    shares = config.stages[-1].shares
    return [(board, shares[board.env.size]) for board in config.boards if shares.get(board.env.size)]


def _precisions(config: TrainConfig, *, device: str) -> list[Literal["float32", "bfloat16"]]:
    """What the learner may compute in: the preset's precision, and the coarser one that a GPU has units for."""
    has_more = torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported()
    precisions = [config.learner.precision]
    return [*precisions, "bfloat16"] if has_more and "bfloat16" not in precisions else precisions


def _free() -> None:
    """Gives back the memory of what was measured, so that the next has all of it."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _time_selfplay(config: TrainConfig, weights: Weights, *, device: str) -> tuple[float, float]:
    """Moves a second, and the network's share of the time, over all boards."""
    seconds = network = 0.0
    for board, share in _boards(config):
        rate, busy = time_board(board, weights, device=device)
        seconds += share / rate
        network += busy * share / rate
    return 1.0 / seconds, network / seconds


def time_board(config: TrainConfig, weights: Weights, *, device: str) -> tuple[float, float]:
    """Moves a second on the board of `config.env`, and the network's share of the time."""
    games = config.selfplay.num_games
    # Random moves are not searched, and the few plies that are timed would be full of them.
    config = dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, random_opening_share=0.0))
    evaluator = _Timed(make_evaluator(weights, config, device=device))
    selfplay = SelfPlay(config, make_env(config, num_envs=games), evaluator, np.random.default_rng(0))
    selfplay.play(games)  # the first ply compiles
    evaluator.seconds, begin = 0.0, time.monotonic()
    plies = 2
    selfplay.play(plies * games)
    seconds = time.monotonic() - begin
    return plies * games / seconds, evaluator.seconds / seconds


def time_learner(config: TrainConfig, *, device: str, budget_s: float) -> float:
    """Windows a second, their making included."""
    learner, replay = Learner(make_network(config.network), config.learner, device=device), ReplayBuffer(config.replay)
    for board, share in _boards(config):
        replay.add(_some_games(board, positions=round(share * FILLING_POSITIONS), device=device))
    batch, builder, rng = config.learner.batch_size, MixedWindowBuilder(config, device=device), np.random.default_rng(0)
    stop = time.monotonic() + budget_s
    start = 0.0
    for steps, windows in enumerate(prefetched(lambda: builder.build(replay.sample(batch, rng), rng), MOST_STEPS)):
        learner.step(*windows)
        now = time.monotonic()
        if not steps:
            start = now  # the first step compiles
        elif now > stop:
            break
    return steps * batch / (now - start)


def _some_games(config: TrainConfig, *, positions: int, device: str) -> list[GameRecord]:
    """Whole games of hardly any thought, with so many positions or some more."""
    config = _with_games(config, FILLING_GAMES)
    config = dataclasses.replace(config, search=dataclasses.replace(config.search, num_simulations=1))
    network = make_network(config.network)
    evaluator = make_evaluator(Publisher(network, device=device).publish(network), config, device=device)
    selfplay = SelfPlay(config, make_env(config, num_envs=FILLING_GAMES), evaluator, np.random.default_rng(0))
    games: list[GameRecord] = []
    while positions > 0:
        for game in selfplay.play(FILLING_GAMES):
            if positions > 0:
                games.append(game)
                positions -= len(game)
    return games


class _Timed:
    """An evaluator that adds up how long it works, for one thread or for several at once."""

    def __init__(self, evaluator: PositionEvaluator) -> None:
        self._evaluator = evaluator
        self.num_slots = evaluator.num_slots
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._calls, self._since = 0, 0.0

    def initial(self, *arguments: Any) -> RootOutput:
        """See `Evaluator`."""
        with self._timed():
            return self._evaluator.initial(*arguments)

    def look(self, *arguments: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `PositionEvaluator`."""
        with self._timed():
            return self._evaluator.look(*arguments)

    def recurrent(self, *arguments: Any) -> RecurrentOutput:
        """See `Evaluator`."""
        with self._timed():
            return self._evaluator.recurrent(*arguments)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._lock:
            self._count(1)
        try:
            yield
        finally:
            with self._lock:
                self._count(-1)

    def _count(self, change: int) -> None:
        """Notes that so many more calls are under way."""
        now = time.monotonic()
        if self._calls:
            self.seconds += now - self._since
        self._since = now
        self._calls += change
