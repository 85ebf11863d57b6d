"""`tengen train`: learn a game from zero, or go on with a run."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from trainer.config import PRESETS, TrainConfig, change_config, load_config
from trainer.deadline import Deadline
from trainer.loop import Origin, train
from trainer.probe import Note, probe
from trainer.progress import Reporter

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
PROBE_S = 60.0
"""Of measurement before a run on a GPU."""


def parse_duration(text: str) -> float:
    """Seconds of "90", "90s", "9m" or "2.5h"."""
    unit = UNITS.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit is not None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 9m or 2.5h")
    return seconds


def parse_device(text: str) -> str:
    """A device that torch can use here."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch that was built without CUDA
        reason = (str(error).splitlines() or [""])[0]
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used here: {reason}") from None
    return text


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    presets = ", ".join(sorted(path.stem for path in PRESETS.glob("*.toml")))
    parser = argparse.ArgumentParser(
        prog="tengen train", usage="%(prog)s PRESET [options]", description="Learn a game by self-play alone."
    )
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help=f"one of: {presets}; or the path of a .toml file; with --resume its settings are only compared",
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/<preset's name>)")
    parser.add_argument(
        "--resume",
        type=Path,
        nargs="?",
        const=True,
        default=False,
        metavar="FOLDER",
        help="go on with the run in --out, or where that holds none with this run, checkpoint or models/NAME/state, "
        "with the settings that it had, but for those of --set",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="begin a new run at step 0 with this checkpoint's network, which grows if the preset's is larger",
    )
    parser.add_argument(
        "--games", type=Path, metavar="FOLDER", help="begin a new run by learning from this run's games (distillation)"
    )
    parser.add_argument(
        "--time-limit",
        type=parse_duration,
        metavar="9m",
        help="end within this time, probe and all, with everything saved",
    )
    parser.add_argument(
        "--probe",
        type=parse_duration,
        metavar="60s",
        help="measure for so long first, and choose the games in step (cuda: 60s, unless selfplay.num_games is set)",
    )
    parser.add_argument("--device", type=parse_device, default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, as in learner.batch_size=128"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tengen train`; returns the exit status."""
    start = time.monotonic()
    arguments = make_parser().parse_args(argv)
    preset = load_config(arguments.preset)
    if not arguments.resume:
        change_config(preset, arguments.set)  # raises before anything is written
    out = arguments.out or Path("runs") / preset.name
    stop = _StopSignal()
    with Reporter(out, title=preset.name) as reporter:
        train(
            preset,
            out,
            reporter=reporter,
            overrides=arguments.set,
            resume=arguments.resume,
            origin=Origin(weights=arguments.weights, games=arguments.games),
            device=arguments.device,
            probe=make_probe(arguments, note=reporter.note),
            deadline=Deadline(arguments.time_limit, start=start),
            should_stop=stop,
        )
    return 0


def make_probe(arguments: argparse.Namespace, *, note: Note) -> partial[TrainConfig] | None:
    """The measurement before a run, if there is to be one."""
    is_set = any(override.partition("=")[0].strip() == "selfplay.num_games" for override in arguments.set)
    budget_s = arguments.probe
    if budget_s is None and torch.device(arguments.device).type == "cuda" and not is_set:
        budget_s = PROBE_S
    if budget_s is None:
        return None
    return partial(probe, device=arguments.device, budget_s=budget_s, note=note)


class _StopSignal:
    """True after the first SIGINT or SIGTERM, which end the run after its round; a second one kills it."""

    def __init__(self) -> None:
        self._stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _: object) -> None:
        self._stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # an exception, so that the progress bar is taken down
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Not through `sys.stderr`, which this handler may have interrupted in the middle of a line.
        os.write(2, b"\nstopping and saving after this round; once more stops at once, without saving\n")

    def __call__(self) -> bool:
        return self._stopped
