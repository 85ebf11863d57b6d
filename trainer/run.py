"""`Run`: everything that changes while a model is trained, and one round of it.

Everything is counted in positions and steps, never in seconds, so that a run that was stopped and resumed equals one
that was not, bit for bit on a CPU. Knows nothing of files.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from engine.errors import InvalidConfig
from trainer.actor import ActorState, Order, Publisher, Weights
from trainer.actors import Chunk, fresh_states, make_actors
from trainer.checkpoint import Checkpoint, pack_games, unpack_games
from trainer.config import TrainConfig
from trainer.growth import grow
from trainer.learner import Learner, learning_rate
from trainer.named_parts import part_of
from trainer.network import GoNetwork, make_network
from trainer.onnx_graph import ModelBytes
from trainer.prefetch import prefetched
from trainer.quantization import draw_walks, quantize
from trainer.rating import rate
from trainer.reach import reach
from trainer.reanalyze import Reanalyzer
from trainer.record import GameRecord
from trainer.replay import ReplayBuffer
from trainer.run_facts import check_same
from trainer.windows import MixedWindowBuilder, Windows

ACTOR_STREAM, LEARNER_STREAM, RATING_STREAM, RANGE_STREAM = range(4)
"""Random streams of a run, besides its seed."""
LEDGER = ("selfplay_s", "learner_s", "rating_s", "core_s", "gpu_s", "wall_s")
"""Wall seconds of play and of learning, which may overlap, and of ratings; processor seconds of all processes; wall
seconds on an accelerator; wall seconds in all."""
ENVIRONMENT = ("env.id", "env.size")
"""Settings without which games are of no use."""
RANGE_POSITIONS = 64
"""Positions of each board size from which the ranges of 8-bit numbers come, anew in each round."""


class Run:
    """Everything that changes while a model is trained."""

    def __init__(self, config: TrainConfig, *, device: str = "cpu", saved: Checkpoint | None = None) -> None:
        """A run at its beginning, or where `saved` stopped; raises `InvalidConfig` if `saved` does not fit `config`."""
        self.core_counted_s = time.process_time()
        """The processor time of this process up to which it is in `ledger`, or is not this run's."""
        torch.set_num_threads(config.loop.threads)
        torch.manual_seed(config.loop.seed)
        self.config = config
        self._device = device
        self.learn_rng = np.random.default_rng(np.random.SeedSequence((config.loop.seed, LEARNER_STREAM)))
        self.learner = Learner(make_network(config.network), config.learner, device=device)
        self.replay = ReplayBuffer(config.replay)
        self.builder = MixedWindowBuilder(config, device=device)
        self.iteration = 0
        self.windows_used = 0
        """Training windows drawn so far."""
        self.windows_owed = 0.0
        """Windows that the positions made so far pay for and that were not drawn yet. Kept rather than computed, so
        that a run may go on with other settings of the replay buffer."""
        self.ledger = dict.fromkeys(LEDGER, 0.0)
        """Seconds spent so far, see `LEDGER`."""
        self.elo = 0.0
        """Strength of `reference` over the network with which ratings on their present board began."""
        self.reference = copy.deepcopy(self.learner.averaged)
        """The opponent of the next rating: the network that began the stage where that has a gate, else the one of the
        last rating."""
        self.stage = 0
        """Index of the stage in `TrainConfig.stages`."""
        self.left_out = 0
        """Games, saved or of another run, that did not come into the window: this run does not have their boards."""
        self.origin: dict[str, dict[str, Any]] = {}
        """Where the "weights" and the "games" that it began with came from, if anywhere; see `_identity`."""
        if saved is not None:
            self._restore(saved)
        self._reanalyzer: Reanalyzer | None = None
        self._publisher = Publisher(self.learner.averaged, device=device)
        states, ahead = _actor_states(config, saved)
        if ahead is not None:
            ahead = dataclasses.replace(ahead, games=self._on_own_boards(ahead.games))
        self.actors = make_actors(config, self._publish(), states, ahead=ahead, device=device)

    def close(self) -> None:
        """Ends the processes of the run."""
        self.actors.close()

    def _publish(self) -> Weights:
        return self._publisher.publish(self.learner.averaged)

    def _publish_to_actors(self) -> Weights:
        """In the precision of self-play; there are no ranges for 8 bits before the first games."""
        weights = self._publish()
        if self.config.selfplay.precision == "float32" or not self.replay.games or not isinstance(weights, ModelBytes):
            return weights
        rng = np.random.default_rng((self.config.loop.seed, RANGE_STREAM, self.iteration))
        network = self.learner.averaged
        assert isinstance(network, GoNetwork)
        walks = draw_walks(list(self.replay.games), RANGE_POSITIONS, rng, variant=self.config.variant)
        return quantize(weights, network, walks)

    def iterate(
        self, advance: Callable[[float], None] | None = None, *, is_last: Callable[[], bool] = lambda: False
    ) -> dict[str, float]:
        """One round of play and learning; returns its figures. `is_last`, asked once its games are there, says whether
        no other will follow, so that none is played ahead."""
        begin = time.monotonic()
        chunk = self._play(is_last)
        collected = time.monotonic()
        metrics = self.learn(advance)
        learned = time.monotonic()
        self.iteration += 1
        metrics |= self._end_of_round()
        now = time.monotonic()
        spent = {
            "selfplay_s": chunk.seconds,
            "learner_s": learned - collected,
            "rating_s": now - learned if "elo" in metrics else 0.0,
            "core_s": chunk.core_s,
            "gpu_s": 0.0 if torch.device(self._device).type == "cpu" else now - begin,
            "wall_s": now - begin,
        }
        self.ledger = {name: seconds + spent[name] for name, seconds in self.ledger.items()}
        self._count_core()
        rate = {"moves_per_s": chunk.positions / chunk.seconds} if chunk.positions else {}
        lengths, scores = [len(game) for game in chunk.games], [game.score for game in chunk.games]
        return (
            metrics
            | rate
            | {
                "waited_s": collected - begin if self.actors.plays_ahead else 0.0,
                "game_length": float(np.mean(lengths)) if lengths else 0.0,
                "mean_score": float(np.mean(scores)) if scores else 0.0,
            }
            | (reach(chunk.games, discount=self.config.search.discount) if self.config.network.reward else {})
        )

    def _count_core(self) -> None:
        """Adds what this process has computed since the last call to the ledger."""
        before, self.core_counted_s = self.core_counted_s, time.process_time()
        self.ledger["core_s"] += self.core_counted_s - before

    @property
    def _round_windows(self) -> float:
        """Training windows that one round of self-play pays for."""
        return self.config.loop.plies_per_iteration * self.config.replay.windows_per_position

    def _play(self, is_last: Callable[[], bool]) -> Chunk:
        """A round of self-play, and old positions searched again beside it, unless the learner is a whole round behind;
        where actors play ahead and another round will come, that one begins."""
        if self.windows_owed >= self._round_windows:
            return Chunk(games=[])
        if not self.actors.has_begun:
            self.actors.begin(self._order())
        chunk = self.actors.collect()
        self.remember(chunk.games)
        ends = self.learner.step_count + self._steps_due() >= self.config.learner.total_steps
        if self.actors.plays_ahead and not ends and not is_last():
            self.actors.begin(self._order())
        self._reanalyze()
        return chunk

    def _order(self) -> Order:
        """The next round, as far as the run has come."""
        most = self.config.search.num_simulations
        first = self.config.selfplay.first_simulations or most
        simulations = round(first + (most - first) * self._progress)
        sizes = [board.env.size for board in self.config.boards]
        plies = self.config.stages[self.stage].split(self.config.loop.plies_per_iteration, sizes)
        return Order(weights=self._publish_to_actors(), plies=plies, simulations=simulations)

    @property
    def _progress(self) -> float:
        """The part of the run that is over, by optimiser steps, in [0, 1]."""
        return min(1.0, self.learner.step_count / self.config.learner.total_steps)

    def _reanalyze(self) -> None:
        """Searches the share of old positions that a round of new ones asks for."""
        share, plies = self.config.replay.reanalyze_share, self.config.loop.plies_per_iteration
        if not share or not self.replay.games:
            return
        weights = self._publish()
        if self._reanalyzer is None:
            self._reanalyzer = Reanalyzer(self.config, weights, device=self._device)
        self._reanalyzer.refresh(self.replay, weights, positions=round(share * plies), rng=self.learn_rng)

    def _end_of_round(self) -> dict[str, float]:
        """The rating that is due at this iteration, if any, and the next stage where this one is over; returns figures
        of the rating."""
        loop, stage = self.config.loop, self.config.stages[self.stage]
        is_over = self.stage + 1 < len(self.config.stages) and self._progress >= stage.until
        is_due = bool(loop.rate_every) and (self.iteration % loop.rate_every == 0 or is_over)
        figures = self._rate() if is_due and self.config.search.two_player else {}
        if stage.gate is not None:
            is_over |= figures.get("win_rate", 0.0) >= stage.gate
        if figures and (is_over or stage.gate is None):
            self.elo = figures["elo"]
            self.reference = copy.deepcopy(self.learner.averaged)
        self.stage += is_over
        if self.config.stages[self.stage].largest_size != stage.largest_size:
            self.elo = 0.0  # of another board
        return figures

    def ratings_due(self, rounds: int) -> int:
        """Ratings that come with the next `rounds` rounds, but for one that a stage's last round adds."""
        every = self.config.loop.rate_every if self.config.search.two_player else 0
        return (self.iteration + rounds) // every - self.iteration // every if every else 0

    def _rate(self) -> dict[str, float]:
        """A match of the network against `reference`, on the largest board of the stage."""
        loop, size = self.config.loop, self.config.stages[self.stage].largest_size
        board = next(board for board in self.config.boards if board.env.size == size)
        rng = np.random.default_rng((loop.seed, RATING_STREAM, self.iteration))
        weights = self._publish(), self._publisher.publish(self.reference)
        figures = rate(board, *weights, pairs=loop.rating_pairs, device=self._device, rng=rng)
        return {"elo": self.elo + figures["elo_gain"]} | figures

    def _steps_due(self) -> int:
        """Optimiser steps that the positions made so far pay for now, at most those of two rounds of self-play."""
        batch = self.config.learner.batch_size
        return min(int(max(self.windows_owed, 0.0) // batch), max(1, int(2 * self._round_windows / batch)))

    def learn(self, advance: Callable[[float], None] | None = None) -> dict[str, float]:
        """Takes the optimiser steps that are due; returns mean losses and windows per second."""
        start, batch, total = time.monotonic(), self.config.learner.batch_size, self.config.learner.total_steps
        steps = max(0, min(self._steps_due(), total - self.learner.step_count))
        sums: dict[str, float] = {}
        for windows in prefetched(self._draw_windows, steps):
            for name, value in self.learner.step(*windows).items():
                sums[name] = sums.get(name, 0.0) + value
            self.windows_used += batch
            self.windows_owed -= batch
            if advance is not None:
                advance(self.learner.step_count / total)
        rate = {"windows_per_s": steps * batch / (time.monotonic() - start)} if steps else {}
        return {f"loss/{name}": value / steps for name, value in sums.items()} | rate

    def _draw_windows(self) -> list[Windows]:
        """The next batch to learn from, in its parts."""
        drawn = self.replay.sample(self.config.learner.batch_size, self.learn_rng)
        return self.builder.build(drawn, self.learn_rng)

    def adopt(self, weights: Checkpoint | None, games: Checkpoint | None) -> None:
        """Begins a new run with the network of one checkpoint, grown to the size of this run's, or with the games of
        another, or both.

        Every position that is taken over pays for `replay.adopted_windows` training windows, which are learned before
        new games are played. Raises `InvalidConfig` where the network cannot grow to that of `config`, or the games
        are missing, or of another board or environment.
        """
        sources = {"weights": weights, "games": games}
        self.origin = {part: _identity(source) for part, source in sources.items() if source is not None}
        if weights is not None:
            grown = grow(weights.averaged_weights, weights.config.network, self.config.network)
            for network in (self.learner.network, self.learner.averaged, self.reference):
                network.load_state_dict(grown)
        if games is not None:
            check_same(games.config, self.config, ENVIRONMENT)
            if games.replay is None:
                raise InvalidConfig("the checkpoint to take games from has none, or they are damaged")
            window, held_out = (unpack_games(games.replay, prefix=prefix) for prefix in ("games.", "holdout."))
            self.replay.adopt(self._on_own_boards(window), self._on_own_boards(held_out))
            self.windows_owed = self.replay.positions * self.config.replay.adopted_windows

    def _on_own_boards(self, games: list[GameRecord]) -> list[GameRecord]:
        """Those of `games` that are on boards of this run; the others count in `left_out`."""
        sizes = {board.env.size if board.is_go else 0 for board in self.config.boards}
        own = [game for game in games if game.size in sizes]
        self.left_out += len(games) - len(own)
        return own

    def remember(self, games: list[GameRecord]) -> None:
        """Adds games to the window; their positions pay for training windows once the warm-up is over."""
        warmup, before = self.config.replay.warmup_positions, self.replay.total_positions
        self.replay.add(games)
        paying = max(self.replay.total_positions, warmup) - max(before, warmup)
        self.windows_owed += paying * self.config.replay.windows_per_position

    def checkpoint(self, *, with_selfplay: bool = True) -> Checkpoint:
        """The whole state; waits for the round that is being played, and raises `ActorLost` where that never ends.
        Without self-play the games in progress begin anew on resume."""
        replay = self.replay
        states, ahead = self.actors.state() if with_selfplay else ([], None)
        self._count_core()
        progress = {
            "step": self.learner.step_count,
            "iteration": self.iteration,
            "games": replay.total_games,
            "positions": replay.total_positions,
            "windows": self.windows_used,
            "windows_owed": self.windows_owed,
            "ledger": self.ledger | ({} if ahead is None else {"ahead_s": ahead.seconds, "ahead_core_s": ahead.core_s}),
            "actors": [state.rng for state in states],
            "is_ahead": ahead is not None,
            "elo": self.elo,
            "stage": self.stage,
            "origin": self.origin,
            "learn_rng": self.learn_rng.bit_generator.state,
        }
        packed = pack_games(replay.games, prefix="games.") | pack_games(replay.holdout, prefix="holdout.")
        if ahead is not None:
            packed |= pack_games(ahead.games, prefix="ahead.")
        return Checkpoint(
            config=self.config,
            learner=self.learner.state() | {f"reference.{k}": v for k, v in self.reference.state_dict().items()},
            progress=progress,
            replay=packed,
            selfplay={f"{i}.{k}": v for i, state in enumerate(states) for k, v in (state.games or {}).items()},
        )

    def _restore(self, saved: Checkpoint) -> None:
        """Takes over what the learner's side of a checkpoint holds."""
        check_same(saved.config, self.config, (*ENVIRONMENT, "network."))
        progress = saved.progress
        self.learner.load_state(saved.learner, step_count=int(progress["step"]))
        self.iteration, self.windows_used = int(progress["iteration"]), int(progress["windows"])
        self.ledger |= {name: progress["ledger"].get(name, 0.0) for name in LEDGER}
        self.learn_rng.bit_generator.state = progress["learn_rng"]
        self.elo = float(progress.get("elo", 0.0))
        self.stage = min(int(progress.get("stage", 0)), len(self.config.stages) - 1)
        self.origin = progress.get("origin", {})
        self.reference.load_state_dict(part_of(saved.learner, "reference.") or saved.averaged_weights)
        packed = saved.replay or {}
        self.replay.restore(
            self._on_own_boards(unpack_games(packed, prefix="games.")),
            self._on_own_boards(unpack_games(packed, prefix="holdout.")),
            total_games=int(progress["games"]),
            total_positions=int(progress["positions"]),
        )
        if self.replay.total_games and not self.replay.games:  # the window refills first
            self.windows_owed = -self.config.replay.warmup_positions * self.config.replay.windows_per_position
        elif "windows_owed" in progress:
            self.windows_owed = float(progress["windows_owed"])
        else:  # format 1
            before = saved.config.replay
            ready = self.replay.total_positions - before.warmup_positions
            self.windows_owed = max(ready * before.windows_per_position - self.windows_used, 0.0)


def _identity(source: Checkpoint) -> dict[str, Any]:
    """Name, step and counters of a run at a checkpoint; its hours are those of the runs before it as well."""
    progress = source.progress
    before = progress.get("origin", {}).get("weights", {})
    hours = {
        f"{kind}_hours": round(before.get(f"{kind}_hours", 0.0) + progress["ledger"].get(f"{kind}_s", 0.0) / 3600, 3)
        for kind in ("core", "gpu")
    }
    return {
        "name": source.config.name,
        "step": int(progress["step"]),
        "games": int(progress["games"]),
        "positions": int(progress["positions"]),
    } | hours


def _actor_states(config: TrainConfig, saved: Checkpoint | None) -> tuple[list[ActorState], Chunk | None]:
    """Where the actors of `config` go on: as saved, or with new games and random streams where that does not fit."""
    progress = {} if saved is None else saved.progress
    states = fresh_states(config, entropy=(config.loop.seed, ACTOR_STREAM, int(progress.get("iteration", 0))))
    if saved is None:
        return states, None
    is_same = saved.config.selfplay.num_games == config.selfplay.num_games
    if saved.selfplay is not None and is_same and len(progress.get("actors", [])) == len(states):
        parts = [part_of(saved.selfplay, f"{i}.") for i in range(len(states))]
        states = [ActorState(rng=rng, games=part or None) for rng, part in zip(progress["actors"], parts, strict=True)]
    if not progress.get("is_ahead", False):
        return states, None
    seconds, core_s = (progress["ledger"].get(name, 0.0) for name in ("ahead_s", "ahead_core_s"))
    games = unpack_games(saved.replay or {}, prefix="ahead.")
    return states, Chunk(games=games, seconds=seconds, core_s=core_s)


def run_figures(run: Run) -> dict[str, float]:
    """Counters of a run, for logs and cards."""
    return {
        "iteration": run.iteration,
        "step": run.learner.step_count,
        "stage": run.stage + 1,
        "progress": run.learner.step_count / run.config.learner.total_steps,
        "games": run.replay.total_games,
        "positions": run.replay.total_positions,
        "window": run.replay.positions,
        "windows": run.windows_used,
        "learning_rate": learning_rate(run.learner.step_count, run.config.learner),
        "core_hours": run.ledger["core_s"] / 3600,
        "gpu_hours": run.ledger["gpu_s"] / 3600,
        "wall_hours": run.ledger["wall_s"] / 3600,
    }
