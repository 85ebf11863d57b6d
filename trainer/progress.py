"""What a person sees of a run: a progress bar on a terminal, plain lines in a log, and files to look at later.

training.jsonl holds every iteration's figures, tensorboard/ the same as scalars, games/ sampled self-play games as SGF.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from torch.utils.tensorboard import SummaryWriter

from trainer.sample_games import write_sample

if TYPE_CHECKING:
    from trainer.run import Run

LOG = "training.jsonl"
SHOWN = ("elo", "loss/policy", "loss/value", "loss/board", "loss/reward", "moves_per_s", "windows_per_s")
"""Figures in the line that a person reads."""
PACE_ROUNDS = 8
"""Rounds by which the time that is left is judged."""


class Reporter:
    """Writes a run's figures; use as a context manager so that bars and files are closed.

    Nothing is written before the first figures. A disk that refuses them is reported and does not end the run.
    """

    def __init__(self, out: Path, *, title: str) -> None:
        """`title` stands beside the bar."""
        self._out = out
        self._files: _Files | None = None
        self._purge_step: int | None = None
        self._complaint = ""
        self._warned: set[str] = set()
        self._pace = Pace()
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            fields = (TextColumn(f"{{task.fields[{name}]}}") for name in ("left", "figures"))
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), *fields)
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(title, total=1.0, left="", figures="first games")
            self._bar.start()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        with self._complaining():
            if self._files is not None:
                self._files.close()

    def advance(self, progress: float) -> None:
        """Moves the bar to `progress` in [0, 1]."""
        if self._bar is not None:
            self._bar.update(self._task, completed=progress)

    def rewind(self, iteration: int, step: int) -> None:
        """Takes back figures of iterations after `iteration`, which a run that was killed will make again.

        Call before the first `report`; `step` is the learner's.
        """
        log, self._purge_step = self._out / LOG, step + 1
        temporary = log.with_suffix(".tmp")
        if not log.is_file():
            return
        with self._complaining():
            temporary.unlink(missing_ok=True)  # left behind by an interrupted rewind
            lines = log.read_text(errors="replace").splitlines(keepends=True)
            kept = [line for line in lines if _iteration(line) <= iteration]
            if len(kept) < len(lines):
                temporary.write_text("".join(kept))
                temporary.replace(log)

    def report(self, figures: dict[str, float], *, status: str = "") -> None:
        """One iteration's figures, to every place. `status` is told where the time left cannot be judged yet."""
        with self._complaining():
            if self._files is None:
                self._files = _Files(self._out, purge_step=self._purge_step)
            self._files.write(figures)
        text = " ".join(f"{name.removeprefix('loss/')} {figures[name]:.3g}" for name in SHOWN if name in figures)
        text = f"games {figures['games']} {text}"
        self._pace.mark(figures["progress"])
        left_s = self._pace.left_s()
        left = status if left_s is None else f"{timedelta(seconds=round(left_s))} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=figures["progress"], left=left, figures=text)
        else:
            parts = (f"{100 * figures['progress']:.1f}%", left, f"step {figures['step']}", text)
            self.note(" ".join(filter(None, parts)))

    def sample(self, run: Run) -> None:
        """The newest game as SGF, after the first iteration and every so many more."""
        every, games = run.config.loop.sample_sgf_every, run.replay.games
        if every and run.config.is_go and (run.iteration - 1) % every == 0 and games:
            with self._complaining():
                folder = self._out / "games"
                folder.mkdir(exist_ok=True)
                write_sample(games[-1], run.config, folder / f"game-{run.replay.total_games:08d}.sgf")

    def note(self, text: str) -> None:
        """One line for the reader, with the time of day."""
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False, soft_wrap=True, markup=False)

    def warn(self, warnings: Mapping[str, str]) -> None:
        """Notes each of `warnings`, unless there was one by its name before."""
        for name, text in warnings.items():
            if name not in self._warned:
                self._warned.add(name)
                self.note(f"warning: {text}")

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Turns an `OSError` into a note, once for each text in a row."""
        try:
            yield
        except OSError as error:
            if str(error) != self._complaint:
                self.note(f"figures could not be written: {error}")
            self._complaint = str(error)


class Pace:
    """How fast a run comes on, play, learning and all else together, by its last rounds since it was started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, float]] = deque(maxlen=PACE_ROUNDS + 1)

    def mark(self, progress: float) -> None:
        """A round has ended at `progress` in [0, 1]."""
        self._marks.append((self._clock(), progress))

    def left_s(self) -> float | None:
        """Seconds until the end at this pace, seen from the last round's end; None before there was any progress."""
        if not self._marks:
            return None
        (begin, before), (end, after) = self._marks[0], self._marks[-1]
        return (1.0 - after) * (end - begin) / (after - before) if after > before else None


class _Files:
    """training.jsonl and tensorboard/ of one run, open for more."""

    def __init__(self, out: Path, *, purge_step: int | None) -> None:
        """TensorBoard forgets what it knew from `purge_step` on."""
        out.mkdir(parents=True, exist_ok=True)
        self._log = (out / LOG).open("a")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=purge_step)

    def write(self, figures: dict[str, float]) -> None:
        """Raises `OSError`, perhaps for figures that came before."""
        self._log.write(json.dumps({"time": round(time.time(), 1)} | _rounded(figures)) + "\n")
        self._log.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, int(figures["step"]))

    def close(self) -> None:
        """Raises `OSError`."""
        with self._log:
            self._board.close()


def _iteration(line: str) -> float:
    """The iteration of a line of training.jsonl; infinity for a line that was cut off."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}
