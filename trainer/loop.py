"""The training loop: play, remember, learn, hand the new weights to self-play, save.

Everything is counted in positions and steps, never in seconds, so that a run that was stopped and resumed equals one
that was not, bit for bit on a CPU. Only checkpoint times and limits look at a clock.
"""

from __future__ import annotations

import dataclasses
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from engine.errors import InvalidConfig, ModelInvalid, TengenError
from trainer.actor import make_actor
from trainer.checkpoint import (
    CHECKPOINTS,
    Checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    pack_games,
    save_checkpoint,
    set_aside,
    sweep,
    unpack_games,
)
from trainer.config import TrainConfig
from trainer.learner import Learner, learning_rate
from trainer.network import NetworkConfig, make_network
from trainer.progress import Reporter
from trainer.record import GameRecord
from trainer.replay import ReplayBuffer
from trainer.selfplay import SelfPlay, make_env
from trainer.windows import WindowBuilder


class Run:
    """Everything that changes while a model is trained."""

    def __init__(self, config: TrainConfig, *, device: str = "cpu") -> None:
        torch.set_num_threads(config.loop.threads)
        torch.manual_seed(config.loop.seed)
        play_seed, learn_seed = np.random.SeedSequence(config.loop.seed).spawn(2)
        self.config = config
        self.play_rng, self.learn_rng = np.random.default_rng(play_seed), np.random.default_rng(learn_seed)
        self.learner = Learner(make_network(config.network), config.learner, device=device)
        self.replay = ReplayBuffer(config.replay)
        env = make_env(config, num_envs=config.selfplay.num_games)
        self.actor = make_actor(self.learner.averaged, config, device=device)
        self.selfplay = SelfPlay(config, env, self.actor.evaluator, self.play_rng)
        self.builder = WindowBuilder(config, num_actions=env.num_actions)
        self.iteration = 0
        self.windows_used = 0
        """Training windows drawn so far."""
        self.windows_owed = 0.0
        """Windows that the positions made so far pay for and that were not drawn yet. Kept rather than computed, so
        that a run may go on with other settings of the replay buffer."""
        self.ledger = {"selfplay_s": 0.0, "learner_s": 0.0, "core_s": 0.0, "wall_s": 0.0}
        """Seconds spent so far: wall seconds by phase, processor seconds of this process, wall seconds in all."""

    def iterate(self, advance: Callable[[float], None] | None = None) -> dict[str, float]:
        """One round of play and learning; returns its figures."""
        clock, cpu = time.monotonic(), time.process_time()
        games = self.selfplay.play(self.config.loop.plies_per_iteration)
        self.remember(games)
        played = time.monotonic()
        metrics = self.learn(advance)
        self.actor.load(self.learner.averaged)
        self.iteration += 1
        now = time.monotonic()
        self.ledger["selfplay_s"] += played - clock
        self.ledger["learner_s"] += now - played
        self.ledger["wall_s"] += now - clock
        self.ledger["core_s"] += time.process_time() - cpu
        lengths = [len(game) for game in games]
        return metrics | {
            "moves_per_s": self.config.loop.plies_per_iteration / (played - clock),
            "game_length": float(np.mean(lengths)) if lengths else 0.0,
            "mean_score": float(np.mean([game.score for game in games])) if games else 0.0,
        }

    def learn(self, advance: Callable[[float], None] | None = None) -> dict[str, float]:
        """Takes the optimiser steps that the new positions pay for; returns mean losses and windows per second."""
        start, batch, total = time.monotonic(), self.config.learner.batch_size, self.config.learner.total_steps
        sums: dict[str, float] = {}
        steps = 0
        while self.windows_owed >= batch and self.learner.step_count < total:
            windows = self.builder.build(self.replay.sample(batch, self.learn_rng), self.learn_rng)
            for name, value in self.learner.step(windows).items():
                sums[name] = sums.get(name, 0.0) + value
            self.windows_used += batch
            self.windows_owed -= batch
            steps += 1
            if advance is not None:
                advance(self.learner.step_count / total)
        rate = {"windows_per_s": steps * batch / (time.monotonic() - start)} if steps else {}
        return {f"loss/{name}": value / steps for name, value in sums.items()} | rate

    def remember(self, games: list[GameRecord]) -> None:
        """Adds games to the window; their positions pay for training windows once the warm-up is over."""
        warmup, before = self.config.replay.warmup_positions, self.replay.total_positions
        self.replay.add(games)
        paying = max(self.replay.total_positions, warmup) - max(before, warmup)
        self.windows_owed += paying * self.config.replay.windows_per_position

    def checkpoint(self) -> Checkpoint:
        """The whole state."""
        replay = self.replay
        progress = {
            "step": self.learner.step_count,
            "iteration": self.iteration,
            "games": replay.total_games,
            "positions": replay.total_positions,
            "windows": self.windows_used,
            "windows_owed": self.windows_owed,
            "ledger": self.ledger,
            "play_rng": self.play_rng.bit_generator.state,
            "learn_rng": self.learn_rng.bit_generator.state,
        }
        packed = pack_games(replay.games, prefix="games.") | pack_games(replay.holdout, prefix="holdout.")
        return Checkpoint(
            config=self.config,
            learner=self.learner.state(),
            progress=progress,
            replay=packed,
            selfplay=self.selfplay.state(),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Takes over a checkpoint's state; raises `InvalidConfig` if its games or weights do not fit."""
        _check_fits(saved.config, self.config)
        progress = saved.progress
        self.learner.load_state(saved.learner, step_count=int(progress["step"]))
        self.iteration, self.windows_used = int(progress["iteration"]), int(progress["windows"])
        self.ledger |= progress["ledger"]
        self.play_rng.bit_generator.state = progress["play_rng"]
        self.learn_rng.bit_generator.state = progress["learn_rng"]
        if saved.selfplay is not None:
            self.selfplay.load_state(saved.selfplay)
        packed = saved.replay or {}
        self.replay.restore(
            unpack_games(packed, prefix="games."),
            unpack_games(packed, prefix="holdout."),
            total_games=int(progress["games"]),
            total_positions=int(progress["positions"]),
        )
        if saved.replay is None:  # the window refills first
            self.windows_owed = -self.config.replay.warmup_positions * self.config.replay.windows_per_position
        elif "windows_owed" in progress:
            self.windows_owed = float(progress["windows_owed"])
        else:  # format 1
            before = saved.config.replay
            ready = self.replay.total_positions - before.warmup_positions
            self.windows_owed = max(ready * before.windows_per_position - self.windows_used, 0.0)
        self.actor.load(self.learner.averaged)


def train(
    config: TrainConfig,
    out: Path,
    *,
    reporter: Reporter,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    time_limit_s: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Trains until the preset's last step, `should_stop`, or the time limit, and leaves a checkpoint behind.

    `start`, a checkpoint or a run's folder, is what a run that is new in `out` goes on from instead of zero.

    It stops between two rounds of play and learning only: before one that would overrun the limit if it took as long as
    the last, but never before the first. A checkpoint that cannot be written on the way is reported and training goes
    on; the last one raises `TengenError`.

    Raises `InvalidConfig` if `out` already holds a run and `resume` is false, if that run does not fit `config`, or if
    `out` is in use by another process or cannot be written, and `EvaluationError` when the loss is no longer finite.
    """
    with _claimed(out):
        run = _open_run(config, out / CHECKPOINTS, reporter, resume=resume, start=start, device=device)
        begin = saved_at = time.monotonic()
        saved_iteration = run.iteration
        while run.learner.step_count < config.learner.total_steps:
            round_begin = time.monotonic()
            metrics = run.iterate(reporter.advance)
            reporter.report(run_figures(run) | metrics)
            reporter.sample(run)
            now = time.monotonic()
            if now - saved_at > 60 * config.loop.checkpoint_minutes:
                if _try_to_save(run, out / CHECKPOINTS, reporter):
                    saved_iteration = run.iteration
                saved_at = now
            if should_stop() or (time_limit_s is not None and 2 * now - round_begin - begin > time_limit_s):
                reporter.note("stopping early; resume with --resume")
                break
        if run.iteration > saved_iteration:
            reporter.note(f"saved {_save_at_last(run, out / CHECKPOINTS)}")
    return run


def _open_run(
    config: TrainConfig, checkpoints: Path, reporter: Reporter, *, resume: bool, start: Path | None, device: str
) -> Run:
    """A new run, or the one in `checkpoints` where it stopped; see `train`."""
    for path in sweep(checkpoints):
        reporter.note(f"removed {path.name}, left behind by an interrupted write")
    saved = _newest(checkpoints, reporter)
    if saved is not None and not resume:
        raise InvalidConfig(
            f"{checkpoints.parent} already holds a run: add --resume to go on with it, or choose another folder"
        )
    if saved is None and start is not None:
        saved = load_checkpoint(find_checkpoint(start))
    run = Run(config, device=device)
    if saved is not None:
        run.restore(saved)
        reporter.rewind(run.iteration, run.learner.step_count)
        reporter.note(f"resumed at step {run.learner.step_count}, {run.replay.total_games} games")
    return run


def save_run(run: Run, checkpoints: Path) -> Path:
    """Saves a checkpoint named after its step and iteration; raises `OSError`."""
    return save_checkpoint(checkpoints, run.checkpoint(), name=f"step-{run.learner.step_count:08d}-{run.iteration:06d}")


def _try_to_save(run: Run, checkpoints: Path, reporter: Reporter) -> bool:
    try:
        save_run(run, checkpoints)
    except OSError as error:
        reporter.note(f"{error}; training goes on, older checkpoints are as they were")
        return False
    return True


def _save_at_last(run: Run, checkpoints: Path) -> Path:
    try:
        return save_run(run, checkpoints)
    except OSError as error:
        older = list_checkpoints(checkpoints)
        kept = f"the newest checkpoint is {older[0].name}" if older else "there is no older checkpoint"
        raise TengenError(f"{error}; {kept}") from error


def run_figures(run: Run) -> dict[str, float]:
    """Counters of a run, for logs and cards."""
    return {
        "iteration": run.iteration,
        "step": run.learner.step_count,
        "progress": run.learner.step_count / run.config.learner.total_steps,
        "games": run.replay.total_games,
        "positions": run.replay.total_positions,
        "window": run.replay.positions,
        "windows": run.windows_used,
        "learning_rate": learning_rate(run.learner.step_count, run.config.learner),
        "core_hours": run.ledger["core_s"] / 3600,
        "wall_hours": run.ledger["wall_s"] / 3600,
    }


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Holds the lock of the run's folder, which is made if need be."""
    try:
        (out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        lock = (out / "lock").open("w")
    except OSError as error:
        raise InvalidConfig(f"{out} cannot be written: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidConfig(f"{out} is in use by another training process") from error
        yield


def _newest(checkpoints: Path, reporter: Reporter) -> Checkpoint | None:
    """The newest whole checkpoint; damaged ones before it are reported and set aside."""
    found = list_checkpoints(checkpoints)
    for index, path in enumerate(found):
        try:
            saved = load_checkpoint(path)
        except TengenError as error:
            reporter.note(f"passing over a damaged checkpoint: {error}")
            continue
        for damaged in found[:index]:
            set_aside(damaged)
        return saved
    if found:
        raise ModelInvalid(f"none of the {len(found)} checkpoints in {checkpoints} is whole")
    return None


def _check_fits(saved: TrainConfig, config: TrainConfig) -> None:
    """Raises `InvalidConfig` where games or weights saved under `saved` are of no use to `config`."""
    pairs = [
        ("selfplay.num_games", saved.selfplay.num_games, config.selfplay.num_games),
        ("env.id", saved.env.id, config.env.id),
        ("env.size", saved.env.size, config.env.size),
    ]
    names = [field.name for field in dataclasses.fields(NetworkConfig)]
    pairs += [(f"network.{name}", getattr(saved.network, name), getattr(config.network, name)) for name in names]
    for name, before, now in pairs:
        if before != now:
            raise InvalidConfig(f"the checkpoint has {name} = {before!r}, this run {now!r}: it cannot go on with it")
