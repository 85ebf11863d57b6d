"""The training loop: round after round of a `Run`, its checkpoints, and when to stop.

Only checkpoint times and limits look at a clock.
"""

from __future__ import annotations

import dataclasses
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidConfig, ModelInvalid, TengenError
from trainer.checkpoint import (
    CHECKPOINTS,
    Checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
    set_aside,
    sweep,
)
from trainer.config import TrainConfig
from trainer.progress import Reporter
from trainer.run import Run, run_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a new run begins with instead of nothing; each a checkpoint or a run's folder."""

    start: Path | None = None
    """Go on with this one elsewhere: its counters, optimiser and learning rate too."""
    weights: Path | None = None
    """Take this one's network, and begin at step 0."""
    games: Path | None = None
    """Take this one's games, and learn from them first."""


def train(
    config: TrainConfig,
    out: Path,
    *,
    reporter: Reporter,
    resume: bool = False,
    origin: Origin | None = None,
    device: str = "cpu",
    probe: Callable[[TrainConfig], TrainConfig] | None = None,
    time_limit_s: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Trains until the preset's last step, `should_stop`, or the time limit, and leaves a checkpoint behind.

    `origin` is for a run that is new in `out`; one that is resumed has its own. `probe` chooses the games in step,
    unless some are in progress already: they go on, as many as they are.

    It stops between two rounds of play and learning only: before one that would overrun the limit if it took as long as
    the last, but never before the first; the probe's time counts. A checkpoint that cannot be written on the way is
    reported and training goes on; the last one raises `TengenError`.

    Raises `InvalidConfig` if `out` already holds a run and `resume` is false, if that run does not fit `config`, or if
    `out` is in use by another process or cannot be written, and `EvaluationError` when the loss is no longer finite.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_claimed(out))
        run = _open_run(
            config,
            out / CHECKPOINTS,
            reporter,
            resume=resume,
            origin=origin or Origin(),
            device=device,
            probe=probe,
        )
        stack.callback(run.close)
        saved_at = time.monotonic()
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
    config: TrainConfig,
    checkpoints: Path,
    reporter: Reporter,
    *,
    resume: bool,
    origin: Origin,
    device: str,
    probe: Callable[[TrainConfig], TrainConfig] | None,
) -> Run:
    """A new run, or the one in `checkpoints` where it stopped; see `train`."""
    for path in sweep(checkpoints):
        reporter.note(f"removed {path.name}, left behind by an interrupted write")
    saved = _newest(checkpoints, reporter)
    if saved is not None and not resume:
        raise InvalidConfig(
            f"{checkpoints.parent} already holds a run: add --resume to go on with it, or choose another folder"
        )
    is_new = saved is None
    if is_new:
        saved = _load(origin.start)
    if probe is not None and saved is not None and saved.selfplay:
        games = saved.config.selfplay.num_games
        config = dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, num_games=games))
        reporter.note(f"nothing is measured: the {games} games in step of the checkpoint go on")
    elif probe is not None:
        config = probe(config)
    run = Run(config, device=device, saved=saved)
    if is_new:
        run.adopt(_load(origin.weights), _load(origin.games))
    if saved is not None:
        reporter.rewind(run.iteration, run.learner.step_count)
        reporter.note(f"resumed at step {run.learner.step_count}, {run.replay.total_games} games")
    return run


def _load(source: Path | None) -> Checkpoint | None:
    return None if source is None else load_checkpoint(find_checkpoint(source))


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
