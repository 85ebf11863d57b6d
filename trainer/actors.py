"""All actors of a run: one in the learner's own process, or several in processes of their own.

The learner asks for positions with `begin` and gets the finished games from `collect`. `LocalActors` plays in
`collect`. `ProcessActors` plays from `begin` on, while the learner learns from the games before: its weights are one
round older, and the games are the same whatever the speed of either side.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np
import torch

from engine.errors import TengenError
from trainer.actor import Actor, ActorState, Order, Weights
from trainer.config import TrainConfig
from trainer.record import GameRecord

JOIN_S = 5.0
"""A process that does not end by itself within this time is ended."""


class ActorLost(TengenError):
    """A process that plays has ended before it was told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What one round of self-play brought."""

    games: list[GameRecord]
    """The games that ended."""
    positions: int = 0
    """Positions made, by all actors."""
    seconds: float = 0.0
    """Wall seconds of play, the slowest actor's."""
    core_s: float = 0.0
    """Processor seconds that other processes than the learner's spent."""


class Actors(Protocol):
    """Self-play as the training loop sees it. `begin` and `collect` alternate."""

    plays_ahead: bool
    """Whether games are made between `begin` and `collect`."""
    has_begun: bool
    """Whether `collect` is due."""

    def begin(self, order: Order) -> None:
        """The next round is `order`, of all actors together."""
        ...

    def collect(self) -> Chunk:
        """The games of the round that has begun; blocks. Raises `ActorLost`, and what an actor raised."""
        ...

    def state(self) -> tuple[list[ActorState], Chunk | None]:
        """Every actor's state, and the round that was played ahead of the learner, if any; blocks until it ends."""
        ...

    def close(self) -> None:
        """Ends the actors."""
        ...


def fresh_states(config: TrainConfig, *, entropy: Sequence[int]) -> list[ActorState]:
    """A new random stream for each actor of `config`."""
    seeds = np.random.SeedSequence(entropy).spawn(max(1, config.loop.actors))
    return [ActorState(rng=dict(np.random.default_rng(seed).bit_generator.state)) for seed in seeds]


def make_actors(
    config: TrainConfig, weights: Weights, states: list[ActorState], *, ahead: Chunk | None = None, device: str
) -> Actors:
    """The actors that `config` asks for, going on from `states`; `ahead` is a round that was played before."""
    if config.loop.actors == 0:
        return LocalActors(config, weights, states[0], ahead=ahead, device=device)
    return ProcessActors(config, weights, states, ahead=ahead, device=device)


class LocalActors:
    """One actor in this process; it plays while the learner waits."""

    plays_ahead = False

    def __init__(
        self, config: TrainConfig, weights: Weights, state: ActorState, *, ahead: Chunk | None, device: str
    ) -> None:
        self._actor = Actor(config, weights, state, device=device)
        self._ahead = ahead
        self._order: Order | None = None

    @property
    def has_begun(self) -> bool:
        """See `Actors`."""
        return self._order is not None or self._ahead is not None

    def begin(self, order: Order) -> None:
        """See `Actors`."""
        self._order = order

    def collect(self) -> Chunk:
        """See `Actors`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        assert self._order is not None
        order, self._order = self._order, None
        return _play(self._actor, order)

    def state(self) -> tuple[list[ActorState], Chunk | None]:
        """See `Actors`."""
        return [self._actor.state()], self._ahead

    def close(self) -> None:
        """See `Actors`."""


class ProcessActors:
    """Actors in processes of their own, spawned, never forked; each makes its share of the positions of a round."""

    plays_ahead = True

    def __init__(
        self, config: TrainConfig, weights: Weights, states: list[ActorState], *, ahead: Chunk | None, device: str
    ) -> None:
        self._ahead = ahead
        self._is_playing = False
        context = multiprocessing.get_context("spawn")
        self._processes, self._pipes = [], []
        try:
            with _signals_held():  # they are for the learner, which then asks the actors for their state
                for index, state in enumerate(states):
                    ours, theirs = context.Pipe()
                    self._pipes.append(ours)
                    arguments = theirs, config, weights, state, device
                    process = context.Process(target=_serve, args=arguments, name=f"actor-{index}", daemon=True)
                    process.start()
                    self._processes.append(process)
                    theirs.close()
        except BaseException:
            self.close()  # nothing else would end those that have started
            raise

    @property
    def has_begun(self) -> bool:
        """See `Actors`."""
        return self._is_playing or self._ahead is not None

    def begin(self, order: Order) -> None:
        """See `Actors`."""
        count = len(self._pipes)
        part = dataclasses.replace(order, plies=tuple(-(-plies // count) for plies in order.plies))
        for index in range(count):
            self._send(index, part)
        self._is_playing = True

    def collect(self) -> Chunk:
        """See `Actors`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        parts: list[Chunk] = [self._receive(index) for index in range(len(self._pipes))]
        self._is_playing = False
        return Chunk(
            games=[game for part in parts for game in part.games],
            positions=sum(part.positions for part in parts),
            seconds=max(part.seconds for part in parts),
            core_s=sum(part.core_s for part in parts),
        )

    def state(self) -> tuple[list[ActorState], Chunk | None]:
        """See `Actors`."""
        if self._is_playing:
            self._ahead = self.collect()
        for index in range(len(self._pipes)):
            self._send(index, None)
        return [self._receive(index) for index in range(len(self._pipes))], self._ahead

    def close(self) -> None:
        """See `Actors`."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(JOIN_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _send(self, index: int, message: object) -> None:
        try:
            self._pipes[index].send(message)
        except OSError as error:
            raise self._lost(index) from error

    def _receive(self, index: int) -> Any:
        try:
            answer = self._pipes[index].recv()
        except (EOFError, OSError) as error:
            raise self._lost(index) from error
        if isinstance(answer, TengenError):
            raise answer
        return answer

    def _lost(self, index: int) -> ActorLost:
        process = self._processes[index]
        process.join(JOIN_S)
        return ActorLost(
            f"self-play process {process.name} ended with exit code {process.exitcode}; "
            "go on from the last checkpoint with --resume"
        )


def _serve(pipe: Connection, config: TrainConfig, weights: Weights, state: ActorState, device: str) -> None:
    """The main function of an actor's process: answers until the learner hangs up.

    An `Order` asks for a `Chunk`, None for an `ActorState`; a `TengenError` that is sent instead of an answer is the
    last thing that is sent.
    """
    torch.set_num_threads(config.loop.threads)
    core_s = 0.0
    try:
        actor = Actor(config, weights, state, device=device)
        while True:
            with _until_hung_up():
                request = pipe.recv()
            answer = actor.state() if request is None else _play(actor, request)
            if isinstance(answer, Chunk):  # also what starting and answering took since the last one
                before, core_s = core_s, time.process_time()
                answer = dataclasses.replace(answer, core_s=core_s - before)
            with _until_hung_up():
                pipe.send(answer)
    except TengenError as error:
        with _until_hung_up():
            pipe.send(error)


def _play(actor: Actor, order: Order) -> Chunk:
    """One round of one actor."""
    start, before = time.monotonic(), actor.positions
    games = actor.play(order)
    return Chunk(games=games, positions=actor.positions - before, seconds=time.monotonic() - start)


@contextmanager
def _until_hung_up() -> Iterator[None]:
    """For what goes through the pipe: ends the process quietly where the learner has gone."""
    try:
        yield
    except (EOFError, OSError):
        sys.exit(0)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Processes that start inside ignore SIGINT and SIGTERM for good."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # comes with the first process and would let both through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
