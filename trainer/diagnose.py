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
from engine.model.contract import Evaluator
from trainer.config import TrainConfig
from trainer.diagnosis.candidate import Candidate, open_candidate, with_size
from trainer.diagnosis.certificate import CERTIFICATE, write_certificate
from trainer.diagnosis.drift import Figures, Measurements, measure, summarise
from trainer.diagnosis.komi_sweep import MARGIN, sweep_komi
from trainer.diagnosis.match import equal_time, play_match
from trainer.diagnosis.plots import write_plots
from trainer.diagnosis.positions import at_komi, leave_games, play_opponent
from trainer.diagnosis.tables import LABELS, has_figures, make_tables, print_tables
from trainer.diagnosis.tree_audit import audit_trees
from trainer.evaluate import Agent, RandomAgent, SearchAgent
from trainer.positions import draw_positions, play_games
from trainer.record import GameRecord
from trainer.wording import counted


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
    """Board sizes never trained; None: the two odd or even ones above the largest that was, and 19."""
    unmet_plies: int = 4096
    """Games on such a board, or against such an opponent: as many as fit into so many plies if each is as long as it
    may be, from 2 to 16."""
    unmet_simulations: int = 2
    """Simulations a move in these."""
    simulations: tuple[int, ...] = (16, 64, 256, 1024)
    """Sizes of the trees that are audited."""
    trees: int = 32
    """Trees of each size, at most."""
    tree_nodes: int = 16_384
    """Nodes of all trees of one size, at most."""
    pairs: int = 16
    """Pairs of games between imagination and real boards; 0: none."""
    seed: int = 0
    """Seed of every random choice."""


class Diagnosis:
    """Measures one candidate, part by part."""

    def __init__(
        self, candidate: Candidate, settings: DiagnoseSettings, console: Console, opponents: Sequence[Candidate] = ()
    ) -> None:
        """`opponents`: models that it plays for positions that it would not reach alone, besides a random mover."""
        self._candidate = candidate
        self._settings = settings
        self._console = console
        self._opponents = opponents
        self._rng = np.random.default_rng(settings.seed)

    def run(self) -> dict[str, Any]:
        """Everything, as the content of certificate.json."""
        candidate, size = self._candidate, self._candidate.config.env.size
        games, source = self._games(size)
        board = self._board(size, games, source)
        imagined = board["drift"]["on_policy"]["all"]["imagined"]
        return {
            "model": {"name": candidate.name, **candidate.identity},
            "tengen_version": __version__,
            "created": dt.datetime.now(dt.UTC).date().isoformat(),
            "seed": self._settings.seed,
            "unroll_steps": candidate.config.learner.unroll_steps,
            "not_measured": [name for name in LABELS if not has_figures(imagined, name)],
            **board,
            "boards": {str(s): self._board(s, *self._games(s)) for s in self._other_sizes(size)},
            "sizes": {str(s): self._unmet(s, self._short_games(s)) for s in self._sizes()},
            "komis": {f"{komi:g}": self._unmet(size, at_komi(games, komi)) for komi in self._komis(size)},
            "opponents": self._meet_opponents(size),
        }

    def _board(self, size: int, games: list[GameRecord], source: str) -> dict[str, Any]:
        """All that is measured on each board of the training."""
        candidate, settings, config = self._candidate, self._settings, with_size(self._candidate.config, size)
        steps, sources = counted(settings.steps, "move"), counted(len(games), "game")
        self._note(f"imagining {steps} from positions of {sources} on {size}x{size}")
        positions = draw_positions(games, settings.windows, self._rng)
        branches = leave_games(positions, steps=settings.steps, size=size, rng=self._rng)
        on_policy, off_policy = (
            measure(candidate.subject, p, config, steps=settings.steps, rng=self._rng) for p in (positions, branches)
        )
        low, high = self._komi_range(size)
        return {
            "games": {"source": source, "count": len(games), "windows": len(positions), "size": size},
            "drift": {"on_policy": _slices(on_policy), "off_policy": _slices(off_policy)},
            "komi": sweep_komi(candidate.subject, size=size, low=low, high=high),
            "trees": [self._trees(games, size, simulations) for simulations in settings.simulations],
            "matches": self._matches(games, config) if settings.pairs else [],
        }

    def _games(self, size: int) -> tuple[list[GameRecord], str]:
        """The games to draw positions from, and where they come from."""
        held_out = [game for game in self._candidate.held_out if game.size == size]
        if held_out:
            return held_out[-self._settings.games :], "held out of training"
        return self._play(with_size(self._candidate.config, size), self._settings.games), "self-play"

    def _short_games(self, size: int) -> list[GameRecord]:
        config = with_size(self._candidate.config, size, num_simulations=self._settings.unmet_simulations)
        return self._play(config, self._unmet_games(size))

    def _unmet_games(self, size: int) -> int:
        return min(max(self._settings.unmet_plies // (2 * size * size), 2), 16)

    def _play(self, config: TrainConfig, count: int) -> list[GameRecord]:
        size, simulations = config.env.size, config.search.num_simulations
        self._note(
            f"playing {counted(count, 'game')} on {size}x{size} with {counted(simulations, 'simulation')} a move"
        )
        evaluator = self._candidate.make_evaluator(size, count * (simulations + 1))
        return play_games(config, evaluator, count=count, rng=self._rng)

    def _other_sizes(self, size: int) -> list[int]:
        """The other boards of the training, the largest first."""
        return sorted(set(self._candidate.trained_sizes) - {size}, reverse=True)

    def _sizes(self) -> tuple[int, ...]:
        if self._settings.sizes is not None:
            return self._settings.sizes
        largest, (_, limit) = max(self._candidate.trained_sizes), self._candidate.playable_sizes
        others = sorted({largest + 2, largest + 4, 19})
        return tuple(size for size in others if largest < size <= limit)

    def _komi_range(self, size: int) -> tuple[float, float]:
        """From some points below the komi of training to as many above, but not beyond the area."""
        env = with_size(self._candidate.config, size).env
        return max(env.komi_low - MARGIN, -(size**2)), min(env.komi_high + MARGIN, size**2)

    def _komis(self, size: int) -> list[float]:
        env = self._candidate.config.env
        return [komi for komi in self._komi_range(size) if not env.komi_low <= komi <= env.komi_high]

    def _meet_opponents(self, size: int) -> dict[str, Any]:
        """Figures at positions of games against players that it never met in training."""
        simulations, pairs = self._settings.unmet_simulations, max(1, self._unmet_games(size) // 2)

        def agent(candidate: Candidate) -> SearchAgent:
            evaluator = candidate.make_evaluator(size, pairs * (simulations + 1))
            config = with_size(candidate.config, size, num_simulations=simulations)
            return SearchAgent(evaluator, config, num_games=pairs, num_actions=size * size + 1)

        opponents: dict[str, Agent] = {"random mover": RandomAgent(avoid_last=True, seed=self._settings.seed)}
        opponents |= {opponent.name: agent(opponent) for opponent in self._opponents}
        config, found = with_size(self._candidate.config, size), {}
        for name, opponent in opponents.items():
            self._note(f"playing {2 * pairs} games against {name}")
            seed = self._settings.seed
            games = play_opponent(config, agent(self._candidate), opponent, pairs=pairs, seed=seed)
            found[name] = self._unmet(size, games)
        return found

    def _unmet(self, size: int, games: list[GameRecord]) -> dict[str, Any]:
        """Figures where it was not trained."""
        settings, config = self._settings, with_size(self._candidate.config, size)
        positions = draw_positions(games, -(-settings.windows // 4), self._rng)
        found = measure(self._candidate.subject, positions, config, steps=settings.steps, rng=self._rng)
        return {
            "games": len(games),
            "windows": len(positions),
            "komi": [min(game.komi for game in games), max(game.komi for game in games)],
            "mean_length": round(float(np.mean([len(game) for game in games])), 1),
            "drift": summarise(found),
        }

    def _trees(self, games: list[GameRecord], size: int, simulations: int) -> dict[str, Any]:
        candidate, settings = self._candidate, self._settings
        self._note(f"searching with {counted(simulations, 'simulation')} on {size}x{size} and replaying the trees")
        trees = min(settings.trees, max(1, settings.tree_nodes // simulations))
        positions = draw_positions(games, trees, self._rng)
        evaluator = candidate.make_evaluator(size, len(positions) * (simulations + 1))
        config = candidate.config.search
        return audit_trees(evaluator, positions, config, size=size, num_simulations=simulations, rng=self._rng)

    def _matches(self, games: list[GameRecord], config: TrainConfig) -> list[dict[str, Any]]:
        """Imagination against real boards, at equal simulations and at equal time."""
        settings, size, own = self._settings, config.env.size, config.search.num_simulations

        def make(slots: int) -> Evaluator:
            return self._candidate.make_evaluator(size, slots)

        seed, positions = settings.seed, draw_positions(games, settings.pairs, self._rng)
        found = []
        for equal in ("simulations", "time"):
            simulations = (own, own) if equal == "simulations" else equal_time(config, make, positions)
            self._note(f"playing imagination against real boards on {size}x{size} at equal {equal}")
            match = play_match(config, make, simulations, pairs=settings.pairs, seed=seed)
            found.append({"equal": equal, **match})
        return found

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
        "--sizes", type=_numbers, metavar="7,9", help="board sizes never trained; none: '' (default: two, and 19)"
    )
    parser.add_argument(
        "--simulations", type=_numbers, default=defaults.simulations, metavar="16,64", help="trees to audit; none: ''"
    )
    parser.add_argument(
        "--opponent",
        action="append",
        default=[],
        metavar="MODEL",
        dest="opponents",
        help="another model to play, for unfamiliar positions",
    )
    parser.add_argument(
        "--pairs", type=_count_or_none, default=defaults.pairs, help="pairs of games with real boards; none: 0"
    )
    parser.add_argument(
        "--trees", type=_count, default=defaults.trees, help="trees of each kind, at most (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of every random choice")
    parser.add_argument("--threads", type=_count, default=1, help="threads of torch (default: 1)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


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
        pairs=options.pairs,
        seed=options.seed,
    )
    candidate = open_candidate(options.model)
    progress, console = Console(stderr=True), Console()
    opponents = [open_candidate(other) for other in options.opponents]
    certificate = Diagnosis(candidate, settings, progress, opponents).run()
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
