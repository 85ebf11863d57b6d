"""What a person sees of a run: a progress bar on a terminal, plain lines in a log, and files to look at later.

training.jsonl holds every iteration's figures, tensorboard/ the same as scalars, games/ sampled self-play games as SGF.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from trainer.sample_games import write_sample

if TYPE_CHECKING:
    from trainer.loop import Run

SHOWN = ("loss/policy", "loss/value", "loss/board", "loss/reward", "moves_per_s", "windows_per_s")
"""Figures in the line that a person reads."""


class Reporter:
    """Writes a run's figures; use as a context manager so that bars and files are closed."""

    def __init__(self, out: Path, *, title: str, sample_every: int = 0) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        self._sample_every = sample_every
        self._log = (out / "training.jsonl").open("a")
        self._board = SummaryWriter(str(out / "tensorboard"))
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[figures]}"), console=self._console)
            self._task = self._bar.add_task(title, total=1.0, figures="first games")
            self._bar.start()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._log.close()
        self._board.close()

    def advance(self, phase: str, progress: float) -> None:
        """Moves the bar to `progress` in [0, 1]."""
        if self._bar is not None:
            self._bar.update(self._task, completed=progress)

    def report(self, figures: dict[str, float]) -> None:
        """One iteration's figures, to every place."""
        self._log.write(json.dumps({"time": round(time.time(), 1)} | _rounded(figures)) + "\n")
        self._log.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, int(figures["step"]))
        text = " ".join(f"{name.removeprefix('loss/')} {figures[name]:.3g}" for name in SHOWN if name in figures)
        if self._bar is not None:
            self._bar.update(self._task, completed=figures["progress"], figures=f"{figures['games']} games {text}")
        else:
            percent = f"{100 * figures['progress']:.1f}%"
            self.note(f"{percent} step {figures['step']} games {figures['games']} {text}")

    def sample(self, run: Run) -> None:
        """Every so many iterations, the newest game as SGF."""
        if self._sample_every and run.config.is_go and run.iteration % self._sample_every == 1 and run.replay.games:
            folder = self._out / "games"
            folder.mkdir(exist_ok=True)
            write_sample(run.replay.games[-1], run.config, folder / f"game-{run.replay.total_games:08d}.sgf")

    def note(self, text: str) -> None:
        """One line for the reader, with the time of day."""
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False, soft_wrap=True, markup=False)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}
