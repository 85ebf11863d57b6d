"""The training loop: round after round of a `Run`, its checkpoints, and when to stop.

Only checkpoint times and the deadline look at a clock.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidConfig, ModelInvalid, TengenError
from trainer.actors import ActorLost
from trainer.checkpoint import (
    CHECKPOINTS,
    Checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    newest,
    save_checkpoint,
    set_aside,
    sweep,
)
from trainer.config import TrainConfig, change_config
from trainer.deadline import Deadline
from trainer.progress import LOG, Reporter
from trainer.reach import cut_off
from trainer.run import Run, run_figures
from trainer.run_facts import changed_settings, describe
from trainer.wording import counted

CHANGES_SHOWN = 12
"""Settings that changed between two parts of a run and are told, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a new run begins with instead of nothing, at step 0; each a checkpoint or a run's folder."""

    weights: Path | None = None
    """Take this one's network."""
    games: Path | None = None
    """Take this one's games, and learn from them first."""


def train(
    config: TrainConfig,
    out: Path,
    *,
    reporter: Reporter,
    overrides: Sequence[str] = (),
    resume: bool | Path = False,
    origin: Origin | None = None,
    device: str = "cpu",
    probe: Callable[[TrainConfig], TrainConfig] | None = None,
    deadline: Deadline | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Trains until the last step, `should_stop`, or the deadline, and leaves a checkpoint behind.

    `resume`: go on with the run in `out`; where a folder is given and `out` holds none, with the newest checkpoint of
    this run's folder, this checkpoint, or this models/NAME/state: its counters, optimiser and learning rate, and its
    configuration; `config` is that of a new run. `overrides` such as `learner.batch_size=128` change either. `origin`
    is for a run that is new; one that is resumed has its own. `probe` chooses the games in step, unless some are in
    progress already, which go on.

    It stops between two rounds of play and learning only: before one that, with its rating and the last checkpoint,
    would overrun the deadline if they took as long as before; the probe's time counts. A checkpoint that cannot be
    written on the way is reported and training goes on; the last one raises `TengenError`. Where a process that plays
    is lost, what was learned is saved without the games in progress, and `ActorLost` raised.

    Raises `InvalidConfig` if `out` already holds a run and `resume` is false, if it holds none and `resume` is true, if
    the run to go on with does not fit `overrides`, if one is to go on from elsewhere and has an `origin` besides, or if
    `out` is in use by another process or cannot be written, `ModelNotFound` if `resume` names a folder without a
    checkpoint that is needed, and `EvaluationError` when the loss is no longer finite.
    """
    core_s = time.process_time()
    with ExitStack() as stack:
        if resume is True and not list_checkpoints(out / CHECKPOINTS):
            raise InvalidConfig(
                f"{out} holds no run to go on with: name its folder with --out, or leave out --resume to begin one"
            )
        stack.enter_context(_claimed(out))
        run = _open_run(
            config,
            out / CHECKPOINTS,
            reporter,
            overrides=overrides,
            resume=resume,
            origin=origin or Origin(),
            device=device,
            probe=probe,
        )
        stack.callback(run.close)
        run.core_counted_s = core_s  # opening and probe are the run's
        _go_on(run, out / CHECKPOINTS, reporter, deadline=deadline or Deadline(), should_stop=should_stop)
    return run


def _go_on(
    run: Run, checkpoints: Path, reporter: Reporter, *, deadline: Deadline, should_stop: Callable[[], bool]
) -> None:
    """Round after round, and the checkpoints; see `train`."""
    config = run.config
    saved_at, saved_iteration = deadline.now(), run.iteration
    is_stopping = False
    try:
        while run.learner.step_count < config.learner.total_steps:
            if is_stopping or not deadline.allows_another(ratings=run.ratings_due(1)):
                is_kept = run.iteration > saved_iteration or list_checkpoints(checkpoints)
                then = "resume with --resume" if is_kept else "the time is too short for a round, and nothing is saved"
                reporter.note(f"stopping early; {then}")
                break
            stage = run.stage
            figures = _timed_round(run, deadline, reporter)
            reporter.report(figures, status=_filling(run))
            reporter.warn(cut_off(figures, config.network))
            if run.stage > stage:
                won = f", {figures['win_rate']:.1%} won" if "win_rate" in figures else ""
                reporter.note(f"stage {run.stage} of {len(config.stages)} is over{won}")
            reporter.sample(run)
            is_stopping = should_stop()
            if deadline.now() - saved_at > 60 * config.loop.checkpoint_minutes:
                saved_at = deadline.now()
                with deadline.saving():
                    if _try_to_save(run, checkpoints, reporter):
                        saved_iteration = run.iteration
        if run.iteration > saved_iteration:
            reporter.note(f"saved {_save_at_last(run, checkpoints)}")
    except ActorLost:
        if run.iteration > saved_iteration:
            saved = _save_at_last(run, checkpoints, with_selfplay=False)
            reporter.note(f"saved {saved}, without the games in progress")
        raise


def _timed_round(run: Run, deadline: Deadline, reporter: Reporter) -> dict[str, float]:
    """One round, which plays ahead only where the deadline allows another; returns its figures."""
    rated_s = run.ledger["rating_s"]
    deadline.begin_round()
    metrics = run.iterate(reporter.advance, is_last=lambda: not deadline.allows_another(ratings=run.ratings_due(2)))
    deadline.end_round(rating_s=run.ledger["rating_s"] - rated_s)
    return run_figures(run) | metrics


def _filling(run: Run) -> str:
    """How far the window is that must fill before anything is learned; empty once it has."""
    replay = run.config.replay
    missing = max(replay.warmup_positions - run.replay.total_positions, -run.windows_owed / replay.windows_per_position)
    there = replay.warmup_positions - round(missing)
    return f"filling the window: {there:,} of {replay.warmup_positions:,} positions" if missing > 0 else ""


def _open_run(
    config: TrainConfig,
    checkpoints: Path,
    reporter: Reporter,
    *,
    overrides: Sequence[str],
    resume: bool | Path,
    origin: Origin,
    device: str,
    probe: Callable[[TrainConfig], TrainConfig] | None,
) -> Run:
    """A new run, or one that goes on where it stopped; see `train`."""
    for path in sweep(checkpoints):
        reporter.note(f"removed {path.name}, left behind by an interrupted write")
    saved = _find_saved(checkpoints, reporter, resume=resume, origin=origin)
    preset, config = config, change_config(config if saved is None else saved.config, overrides)
    reporter.note(
        f"training {config.name} ({describe(config)}); figures go to {checkpoints.parent}/{LOG}, checkpoints to "
        f"{checkpoints}"
    )
    if probe is not None and saved is not None and saved.selfplay:
        reporter.note(f"nothing is measured: the run goes on with {config.selfplay.num_games} games in step")
    elif probe is not None:
        config = probe(config)
    run = Run(config, device=device, saved=saved)
    if saved is None:
        run.adopt(_load(origin.weights, reporter), _load(origin.games, reporter))
    if run.left_out:
        reporter.note(f"{counted(run.left_out, 'game')} left out: this run does not have their boards")
    if saved is not None:
        _note_settings(preset, saved.config, config, reporter)
        reporter.rewind(run.iteration, run.learner.step_count)
        reporter.note(
            f"resumed at step {run.learner.step_count:,} of {config.learner.total_steps:,}, "
            f"{counted(run.replay.total_games, 'game')}"
        )
        if run.learner.step_count >= config.learner.total_steps:
            reporter.note("that was its last step; --set learner.total_steps=N makes the run longer")
    return run


def _find_saved(checkpoints: Path, reporter: Reporter, *, resume: bool | Path, origin: Origin) -> Checkpoint | None:
    """What is to go on; None for a new run. See `train`."""
    out, saved = checkpoints.parent, _newest(checkpoints, reporter)
    if saved is not None and resume is False:
        raise InvalidConfig(f"{out} already holds a run: add --resume to go on with it, or choose another folder")
    if saved is None and isinstance(resume, Path):
        if origin != Origin():
            raise InvalidConfig(
                f"a run that goes on from {resume} has its own beginning: leave out --weights and --games"
            )
        saved = _load(resume, reporter)
    if saved is not None and saved.lost:
        reporter.note(f"going on without what begins anew: {'; '.join(saved.lost)}")
    return saved


def _note_settings(preset: TrainConfig, before: TrainConfig, after: TrainConfig, reporter: Reporter) -> None:
    """A line for each setting that is not the checkpoint's, and one for those that are, but not the preset's."""
    changed = changed_settings(before, after)
    changes = [f"{key}: {old} -> {new}" for key, (old, new) in changed.items()]
    for line in _shortened(changes):
        reporter.note(f"changed since the checkpoint: {line}")
    kept = {key: values for key, values in changed_settings(preset, after).items() if key not in changed}
    if kept:
        differences = ", ".join(_shortened([f"{key}={own} (preset: {other})" for key, (other, own) in kept.items()]))
        reporter.note(f"as in the checkpoint, and not as in the preset (--set changes it): {differences}")


def _shortened(lines: list[str]) -> list[str]:
    """The first `CHANGES_SHOWN`, and how many more there are."""
    hidden = len(lines) - CHANGES_SHOWN
    return [*lines[:CHANGES_SHOWN], *([counted(hidden, "more setting")] if hidden > 0 else [])]


def _load(source: Path | None, reporter: Reporter) -> Checkpoint | None:
    return None if source is None else load_checkpoint(find_checkpoint(source, reporter.note))


def save_run(run: Run, checkpoints: Path, *, with_selfplay: bool = True) -> Path:
    """Saves a checkpoint named after its step and iteration; raises `OSError` and what `Run.checkpoint` does."""
    name = f"step-{run.learner.step_count:08d}-{run.iteration:06d}"
    return save_checkpoint(checkpoints, run.checkpoint(with_selfplay=with_selfplay), name=name)


def _try_to_save(run: Run, checkpoints: Path, reporter: Reporter) -> bool:
    try:
        save_run(run, checkpoints)
    except OSError as error:
        reporter.note(f"{error}; training goes on, older checkpoints are as they were")
        return False
    return True


def _save_at_last(run: Run, checkpoints: Path, *, with_selfplay: bool = True) -> Path:
    try:
        return save_run(run, checkpoints, with_selfplay=with_selfplay)
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
    """The newest whole checkpoint, or else the newest with its weights; those before it are reported and set aside."""
    paths = list_checkpoints(checkpoints)
    found = newest(paths, lambda problem: reporter.note(f"checkpoint: {problem}"))
    if found is None:
        if paths:
            raise ModelInvalid(
                f"none of the {len(paths)} checkpoints in {checkpoints} can be read; begin with another --out, there "
                "perhaps from another run's checkpoint with --resume FOLDER"
            )
        return None
    path, saved = found
    for damaged in paths[: paths.index(path)]:
        set_aside(damaged)
    return saved
