"""A short measurement before a run: how many games in step suit this machine, and what it will do in a second.

On an accelerator a larger batch costs little until it is full, and a preset cannot know where that is. Knows self-play
and the learner; changes nothing of a run but `selfplay.num_games`.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model.contract import PositionEvaluator, RecurrentOutput, RootOutput
from trainer.actor import Publisher, Weights, make_evaluator
from trainer.config import TrainConfig
from trainer.learner import Learner
from trainer.network import make_network
from trainer.record import GameRecord
from trainer.replay import ReplayBuffer
from trainer.selfplay import SelfPlay, make_env
from trainer.windows import MixedWindowBuilder

MOST_GAMES = 8192
WORTH_IT = 1.1
"""Twice the games must make so many times the moves."""
LEARNER_SHARE = 0.25
"""Of the time, at most, for the learner's steps."""
FILLING_GAMES = 64
"""Games to draw the learner's windows from."""

Note = Callable[[str], None]


def probe(config: TrainConfig, *, device: str, budget_s: float, note: Note) -> TrainConfig:
    """`config` with as many games in step as make the most moves a second on its largest board.

    Doubles them from the preset's number while that is worth it and there is time. Tells `note` a line for each number,
    and one for the learner. Random weights and the first plies of games stand for the real ones.
    """
    stop = time.monotonic() + budget_s * (1.0 - LEARNER_SHARE)
    network = make_network(config.network)
    weights = Publisher(network, device=device).publish(network)
    best, best_rate = config.selfplay.num_games, 0.0
    for games in _doubled(config.selfplay.num_games):
        begin = time.monotonic()
        rate, share = _time_selfplay(_with_games(config, games).boards[0], weights, device=device)
        note(f"{games} games in step: {rate:.0f} moves/s, {share:.0%} of the time in the network")
        if rate < WORTH_IT * best_rate:
            break
        best, best_rate = games, rate
        if time.monotonic() + 3 * (time.monotonic() - begin) > stop:
            break
    windows = _time_learner(config, device=device, budget_s=budget_s * LEARNER_SHARE)
    note(f"learner: {windows:.0f} windows/s in batches of {config.learner.batch_size}; {best} games in step are chosen")
    return _with_games(config, best)


def _doubled(games: int) -> Iterator[int]:
    while games <= MOST_GAMES:
        yield games
        games *= 2


def _with_games(config: TrainConfig, games: int) -> TrainConfig:
    return dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, num_games=games))


def _time_selfplay(config: TrainConfig, weights: Weights, *, device: str) -> tuple[float, float]:
    """Moves a second, and the network's share of the time."""
    games = config.selfplay.num_games
    evaluator = _Timed(make_evaluator(weights, config, device=device))
    selfplay = SelfPlay(config, make_env(config, num_envs=games), evaluator, np.random.default_rng(0))
    selfplay.play(games)  # the first ply compiles
    evaluator.seconds, begin = 0.0, time.monotonic()
    plies = 2
    selfplay.play(plies * games)
    seconds = time.monotonic() - begin
    return plies * games / seconds, evaluator.seconds / seconds


def _time_learner(config: TrainConfig, *, device: str, budget_s: float) -> float:
    """Windows a second, their making included."""
    learner, replay = Learner(make_network(config.network), config.learner, device=device), ReplayBuffer(config.replay)
    replay.add(_some_games(config, device=device))
    builder, rng = MixedWindowBuilder(config), np.random.default_rng(0)
    batch, steps, begin = config.learner.batch_size, -1, time.monotonic()
    start = begin
    while steps < 1 or time.monotonic() - begin < budget_s:
        if steps == 0:
            start = time.monotonic()  # the first step compiles
        learner.step(*builder.build(replay.sample(batch, rng), rng))
        steps += 1
    return steps * batch / (time.monotonic() - start)


def _some_games(config: TrainConfig, *, device: str) -> list[GameRecord]:
    """Whole games of hardly any thought."""
    config = _with_games(config, FILLING_GAMES).boards[0]
    config = dataclasses.replace(config, search=dataclasses.replace(config.search, num_simulations=1))
    network = make_network(config.network)
    evaluator = make_evaluator(Publisher(network, device=device).publish(network), config, device=device)
    selfplay = SelfPlay(config, make_env(config, num_envs=FILLING_GAMES), evaluator, np.random.default_rng(0))
    games: list[GameRecord] = []
    while not games:
        games = selfplay.play(FILLING_GAMES * 8)
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
