"""`tengen diagnose`: how far what a model imagines can be trusted, as tables, plots and certificate.json."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from engine import __version__
from engine.errors import InvalidConfig
from engine.go.rules import MAX_SIZE, MIN_SIZE
from trainer.diagnosis.candidate import Candidate, open_candidate, with_size
from trainer.diagnosis.certificate import CERTIFICATE, write_certificate
from trainer.diagnosis.drift import Figures, Measurements, measure, summarise
from trainer.diagnosis.komi_sweep import MARGIN, sweep_komi
from trainer.diagnosis.plots import write_plots
from trainer.diagnosis.positions import draw_positions, leave_games, play_games
from trainer.diagnosis.tables import LABELS, has_figures, make_tables, print_tables
from trainer.diagnosis.tree_audit import audit_trees
from trainer.record import GameRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseSettings:
    """How much is measured."""

    steps: int = 12
    """K: imagined moves a window."""
    windows: int = 1000
    """Positions from which moves are imagined."""
    games: int = 64
    """The newest so many held-out games, or as many that are played anew where there are none."""
    sizes: tuple[int, ...] | None = None
    """Board sizes never trained; None: the two odd or even ones above the largest that was."""
    size_games: int = 16
    """Games that are played on each of them."""
    size_simulations: int = 4
    """Simulations a move in these."""
    simulations: tuple[int, ...] = (16, 64, 256)
    """Sizes of the trees that are audited."""
    trees: int = 32
    """Trees of each size."""
    seed: int = 0
    """Seed of every random choice."""


class Diagnosis:
    """Measures one candidate, part by part."""

    def __init__(self, candidate: Candidate, settings: DiagnoseSettings, console: Console) -> None:
        self._candidate = candidate
        self._settings = settings
        self._console = console
        self._rng = np.random.default_rng(settings.seed)

    def run(self) -> dict[str, Any]:
        """Everything, as the content of certificate.json."""
        candidate, settings, size = self._candidate, self._settings, self._candidate.config.env.size
        games, source = self._games()
        self._note(f"imagining {settings.steps} moves from positions of {len(games)} games")
        positions = draw_positions(games, settings.windows, self._rng)
        branches = leave_games(positions, steps=settings.steps, size=size, rng=self._rng)
        on_policy, off_policy = (
            measure(candidate.subject, p, candidate.config, steps=settings.steps, rng=self._rng)
            for p in (positions, branches)
        )
        env = candidate.config.env
        sweep = sweep_komi(
            candidate.subject,
            size=size,
            low=max(env.komi_low - MARGIN, -(size**2)),
            high=min(env.komi_high + MARGIN, size**2),
        )
        return {
            "model": {"name": candidate.name, **candidate.identity},
            "tengen_version": __version__,
            "created": dt.datetime.now(dt.UTC).date().isoformat(),
            "seed": settings.seed,
            "games": {"source": source, "count": len(games), "windows": len(positions), "size": size},
            "unroll_steps": candidate.config.learner.unroll_steps,
            "drift": {"on_policy": _slices(on_policy), "off_policy": _slices(off_policy)},
            "not_measured": [name for name in LABELS if not has_figures(summarise(on_policy)["imagined"], name)],
            "komi": sweep,
            "sizes": {str(other): self._other_size(other) for other in self._sizes()},
            "trees": [self._trees(games, simulations) for simulations in settings.simulations],
        }

    def _games(self) -> tuple[list[GameRecord], str]:
        """The games to draw positions from, and where they come from."""
        if self._candidate.held_out:
            return self._candidate.held_out[-self._settings.games :], "held out of training"
        return self._play(self._candidate.config.env.size, self._settings.games, None), "self-play"

    def _play(self, size: int, count: int, num_simulations: int | None) -> list[GameRecord]:
        config = with_size(self._candidate.config, size, num_simulations=num_simulations)
        simulations = config.search.num_simulations
        self._note(f"playing {count} games on {size}x{size} with {simulations} simulations a move")
        evaluator = self._candidate.make_evaluator(size, count * (simulations + 1))
        return play_games(config, evaluator, count=count, rng=self._rng)

    def _sizes(self) -> tuple[int, ...]:
        if self._settings.sizes is not None:
            return self._settings.sizes
        largest, (_, limit) = max(self._candidate.trained_sizes), self._candidate.playable_sizes
        return tuple(size for size in (largest + 2, largest + 4) if size <= limit)

    def _other_size(self, size: int) -> dict[str, Any]:
        settings, config = self._settings, with_size(self._candidate.config, size)
        games = self._play(size, settings.size_games, settings.size_simulations)
        positions = draw_positions(games, settings.windows // 4, self._rng)
        found = measure(self._candidate.subject, positions, config, steps=settings.steps, rng=self._rng)
        return {
            "games": len(games),
            "windows": len(positions),
            "komi": [config.env.komi_low, config.env.komi_high],
            "mean_length": round(float(np.mean([len(game) for game in games])), 1),
            "drift": summarise(found),
        }

    def _trees(self, games: list[GameRecord], simulations: int) -> dict[str, Any]:
        candidate, size = self._candidate, self._candidate.config.env.size
        self._note(f"searching with {simulations} simulations and replaying the trees")
        positions = draw_positions(games, self._settings.trees, self._rng)
        evaluator = candidate.make_evaluator(size, len(positions) * (simulations + 1))
        config = candidate.config.search
        return audit_trees(evaluator, positions, config, size=size, num_simulations=simulations, rng=self._rng)

    def _note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _slices(found: Measurements) -> dict[str, dict[str, Figures]]:
    return {name: summarise(found, name) for name in found.slices}


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    defaults = DiagnoseSettings()
    parser = argparse.ArgumentParser(
        prog="tengen diagnose", description="Measure how far what a model of Go imagines can be trusted."
    )
    parser.add_argument(
        "model", metavar="MODEL_OR_RUN", help="a run's folder, a checkpoint, a model folder or its name"
    )
    parser.add_argument(
        "-o", "--out", type=Path, help="folder for the results (default: <run>/diagnosis, or NAME-diagnosis)"
    )
    parser.add_argument("--steps", type=_count, default=defaults.steps, help="imagined moves (default: %(default)s)")
    parser.add_argument("--windows", type=_count, default=defaults.windows, help="positions (default: %(default)s)")
    parser.add_argument("--games", type=_count, default=defaults.games, help="newest held-out games, or games to play")
    parser.add_argument(
        "--sizes", type=_numbers, metavar="7,9", help="board sizes never trained; none: '' (default: two)"
    )
    parser.add_argument(
        "--simulations", type=_numbers, default=defaults.simulations, metavar="16,64", help="trees to audit; none: ''"
    )
    parser.add_argument(
        "--trees", type=_count, default=defaults.trees, help="trees of each kind (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of every random choice")
    parser.add_argument("--threads", type=_count, default=1, help="threads of torch (default: 1)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_count(part) for part in text.split(",") if part.strip()))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tengen diagnose`; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = make_parser().parse_args(words)
    for size in options.sizes or ():
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise InvalidConfig(f"board size {size} is not in {MIN_SIZE}..{MAX_SIZE}")
    torch.set_num_threads(options.threads)
    settings = DiagnoseSettings(
        steps=options.steps,
        windows=options.windows,
        games=options.games,
        sizes=options.sizes,
        simulations=options.simulations,
        trees=options.trees,
        seed=options.seed,
    )
    candidate = open_candidate(options.model)
    progress, console = Console(stderr=True), Console()
    certificate = Diagnosis(candidate, settings, progress).run()
    certificate["command"] = shlex.join(["tengen", "diagnose", *map(_without_folders, words)])
    out = options.out or _default_folder(options.model, candidate)
    out.mkdir(parents=True, exist_ok=True)
    write_certificate(out / CERTIFICATE, certificate)
    plots = write_plots(certificate, out)
    print_tables(make_tables(certificate), console)
    if certificate["not_measured"]:
        missing = ", ".join(LABELS[name].removesuffix(", %") for name in certificate["not_measured"])
        progress.print(
            f"not in an exported model, diagnose a checkpoint for it: {missing}", highlight=False, soft_wrap=True
        )
    progress.print(
        f"wrote {CERTIFICATE} and {', '.join(p.name for p in plots)} to {out}", highlight=False, soft_wrap=True
    )
    return 0


def _default_folder(model: str, candidate: Candidate) -> Path:
    path = Path(model).expanduser()
    return path / "diagnosis" if candidate.held_out and path.is_dir() else Path(f"{candidate.name}-diagnosis")


def _without_folders(word: str) -> str:
    """Absolute paths are of no use to others."""
    return Path(word).name if Path(word).is_absolute() else word
