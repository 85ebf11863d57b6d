"""The training loop: play, remember, learn, hand the new weights to self-play, save.

Everything is counted in positions and steps, never in seconds, so that a run that was stopped and resumed equals one
that was not, bit for bit on a CPU. Only checkpoint times and limits look at a clock.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.errors import InvalidConfig, ModelInvalid, TengenError
from trainer.actor import make_actor
from trainer.checkpoint import (
    CHECKPOINTS,
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    pack_games,
    save_checkpoint,
    sweep,
    unpack_games,
)
from trainer.config import TrainConfig
from trainer.learner import Learner, learning_rate
from trainer.network import make_network
from trainer.progress import Reporter
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
        self.actor = make_actor(self.learner.averaged, config, num_actions=env.num_actions, device=device)
        self.selfplay = SelfPlay(config, env, self.actor.evaluator, self.play_rng)
        self.builder = WindowBuilder(config, num_actions=env.num_actions)
        self.iteration = 0
        self.windows_used = 0
        self.ledger = {"selfplay_s": 0.0, "learner_s": 0.0, "core_s": 0.0, "wall_s": 0.0}
        """Seconds spent so far: wall seconds by phase, processor seconds of this process, wall seconds in all."""

    def iterate(self, advance: Callable[[str, float], None] | None = None) -> dict[str, float]:
        """One round of play and learning; returns its figures."""
        clock, cpu = time.monotonic(), time.process_time()
        games = self.selfplay.play(self.config.loop.plies_per_iteration)
        self.replay.add(games)
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

    def learn(self, advance: Callable[[str, float], None] | None = None) -> dict[str, float]:
        """Takes the optimiser steps that the new positions pay for; returns mean losses and windows per second."""
        config, start, sums, steps = self.config, time.monotonic(), {}, 0  # type: tuple[Any, float, dict[str, float], int]
        batch = config.learner.batch_size
        while self.windows_owed() >= batch and self.learner.step_count < config.learner.total_steps:
            windows = self.builder.build(self.replay.sample(batch, self.learn_rng), self.learn_rng)
            for name, value in self.learner.step(windows).items():
                sums[name] = sums.get(name, 0.0) + value
            self.windows_used += batch
            steps += 1
            if advance is not None:
                advance("learning", self.learner.step_count / config.learner.total_steps)
        rate = {"windows_per_s": steps * batch / (time.monotonic() - start)} if steps else {}
        return {f"loss/{name}": value / steps for name, value in sums.items()} | rate

    def windows_owed(self) -> float:
        """Windows that the positions made so far pay for and that were not drawn yet."""
        ready = self.replay.total_positions - self.config.replay.warmup_positions
        return ready * self.config.replay.windows_per_position - self.windows_used

    def checkpoint(self) -> Checkpoint:
        """The whole state."""
        replay, progress = (
            self.replay,
            {
                "step": self.learner.step_count,
                "iteration": self.iteration,
                "games": self.replay.total_games,
                "positions": self.replay.total_positions,
                "windows": self.windows_used,
                "ledger": self.ledger,
                "play_rng": self.play_rng.bit_generator.state,
                "learn_rng": self.learn_rng.bit_generator.state,
            },
        )
        packed = pack_games(replay.games, prefix="games.") | pack_games(replay.holdout, prefix="holdout.")
        return Checkpoint(
            config=self.config,
            learner=self.learner.state(),
            progress=progress,
            replay=packed,
            selfplay=self.selfplay.state(),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Takes over a checkpoint's state; raises `InvalidConfig` if its network does not fit this configuration."""
        if saved.config.network != self.config.network:
            raise InvalidConfig(
                f"the checkpoint's network is {saved.config.network}, the preset's {self.config.network}"
            )
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
        if saved.replay is None:  # the window refills first; what it was worth has been learned from already
            self.windows_used = int(
                (self.replay.total_positions - self.config.replay.warmup_positions)
                * self.config.replay.windows_per_position
            )
        self.actor.load(self.learner.averaged)


def train(
    config: TrainConfig,
    out: Path,
    *,
    reporter: Reporter,
    resume: bool = False,
    device: str = "cpu",
    time_limit_s: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Trains until the preset's last step, the time limit or `should_stop`; always leaves a checkpoint behind.

    Raises `InvalidConfig` if `out` already holds a run and `resume` is false, or is in use by another process.
    """
    checkpoints = out / CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        _claim(lock, out)
        for path in sweep(checkpoints):
            reporter.note(f"removed {path.name}, left behind by an interrupted write")
        run = Run(config, device=device)
        saved = _newest(checkpoints, reporter)
        if saved is not None and not resume:
            raise InvalidConfig(f"{out} already holds a run: add --resume to go on with it, or choose another folder")
        if saved is not None:
            run.restore(saved)
            reporter.note(f"resumed at step {run.learner.step_count}, {run.replay.total_games} games")
        start = saved_at = time.monotonic()
        while run.learner.step_count < config.learner.total_steps:
            metrics = run.iterate(reporter.advance)
            reporter.report(run_figures(run) | metrics)
            reporter.sample(run)
            if time.monotonic() - saved_at > 60 * config.loop.checkpoint_minutes:
                save_run(run, checkpoints)
                saved_at = time.monotonic()
            if should_stop() or (time_limit_s is not None and time.monotonic() - start > time_limit_s):
                reporter.note("stopping early; resume with --resume")
                break
        reporter.note(f"saved {save_run(run, checkpoints)}")
    return run


def save_run(run: Run, checkpoints: Path) -> Path:
    """Saves a checkpoint named after its step and iteration."""
    return save_checkpoint(checkpoints, run.checkpoint(), name=f"step-{run.learner.step_count:08d}-{run.iteration:06d}")


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


def _claim(lock: Any, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InvalidConfig(f"{out} is in use by another training process") from error


def _newest(checkpoints: Path, reporter: Reporter) -> Checkpoint | None:
    """The newest whole checkpoint; damaged ones are reported and passed over."""
    found = list_checkpoints(checkpoints)
    for path in found:
        try:
            return load_checkpoint(path)
        except TengenError as error:
            reporter.note(f"passing over a damaged checkpoint: {error}")
    if found:
        raise ModelInvalid(f"none of the {len(found)} checkpoints in {checkpoints} is whole")
    return None
