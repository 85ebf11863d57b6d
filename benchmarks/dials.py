"""Which of two settings of our own engine is stronger: paired games in one process, the rules of engine.go as referee.

Every opening, 2 to 6 plies drawn half from the network's bare policy and half from all sensible points, is played with
both colours, under the komi at which the model of side A thinks it most open. Both sides get the same processor time a
move (of the whole process: with one thread other programs do not disturb it; with more it is time on the wall), or the
same visits, which repeats exactly. Nobody resigns; a game that reaches twice the board's points is counted as it
stands. The interval comes from the pairs, whose two games are not independent.

Settings are fields of `PlayerSettings` and `SearchConfig`. `visits` among them is what that side has for every move,
whatever the other has: 1 is the network's policy without a search.

Models are names, or folders that `tengen export` made.

Run: python benchmarks/dials.py --model go5 --a algorithm=gumbel --b algorithm=puct --games 200
     python benchmarks/dials.py --model-a models/my-go9 --model-b go9 --size 9 --visits 64 --games 400
     python benchmarks/dials.py --model go9 --b visits=64    time against visits
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import msgspec
import numpy as np

from benchmarks.match import progress
from engine.analysis import Analysis
from engine.elo import paired_share
from engine.errors import InvalidConfig, TengenError
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.model.manifest import ModelManifest
from engine.model_source import CatalogModels
from engine.search.limits import Limits
from engine.search.result import SearchResult
from engine.searcher import Searcher, imagines
from engine.settings import PlayerSettings
from engine.turn import Turn

OPENING_PLIES = (2, 6)
KOMI_VISITS = 100
"""Visits of the search that judges an opening under one komi."""
DECIDED_PLIES = 6
"""Both sides must be sure of one winner for so many plies in a row."""
LEAST_PAIRS_LOST = 20
"""No match is given up before so many pairs."""
Z99 = 2.575829
"""Standard deviations that hold 99 % of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Where two games begin."""

    actions: tuple[int, ...]
    """Black's and White's in turn."""
    komi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """One game that has ended."""

    winner: int
    """BLACK, WHITE, or 0 for a draw."""
    is_cut: bool
    """Whether both sides' certainty ended it."""
    num_plies: int
    """Its length, opening included."""


class Side:
    """One of the two engines, with its own network and tree."""

    def __init__(self, model: str | None, settings: PlayerSettings, *, size: int, clock: Callable[[], float]) -> None:
        """Loads the model. Raises `ModelError`."""
        self.settings = settings
        self._searcher = Searcher.open(CatalogModels(trusted=model), model, size, settings, clock=clock)
        self._searcher.warm_up(settings)
        self.manifest = self._searcher.manifest
        self.identity = self.manifest.identity
        self.visits: list[int] = []
        """New visits of each move's search, where there was a choice."""
        self.seconds: list[float] = []
        """What those searches took."""

    def search(self, position: Position, limits: Limits, *, goes_on: bool) -> SearchResult:
        """What the engine finds for the player to move."""
        turn = Turn.of(position.copy(), position.to_play)
        handle = self._searcher.start(turn, limits, seed=0, settings=self.settings, goes_on=goes_on)
        return Analysis(handle, turn, model=self.identity, seed=0, imagines=imagines(self.settings)).wait()

    def move(self, position: Position, limits: Limits) -> tuple[int, float]:
        """The engine's move, and its value in [-1, 1], Black's view; `limits` are those of a side without its own."""
        if self.settings.visits is not None:
            limits = Limits(visits=self.settings.visits, early_stop=True)
        result = self.search(position, limits, goes_on=self.settings.reuse_tree)
        if np.count_nonzero(result.prior) > 1:
            self.visits.append(result.total_visits - result.carried_visits)
            self.seconds.append(result.elapsed_s)
        return result.best_action, result.root_value


def trained_komi(manifest: ModelManifest, size: int) -> tuple[float, float]:
    """The lowest and the highest komi of the training on boards of `size`. Raises `InvalidConfig` where the model does
    not say it."""
    env = manifest.training.get("config", {}).get("env", {})
    for board in (env, *env.get("smaller", ())):
        if board.get("size") == size:
            return board["komi_low"], board["komi_high"]
    raise InvalidConfig(f"{manifest.identity} does not say its komi on {size}x{size}: give --komi LOW HIGH")


def draw_opening(side: Side, *, size: int, komi: tuple[float, float], rng: np.random.Generator) -> Opening:
    """A few plies, and the most open komi of those from the first to the second in steps of a point."""
    position = Position(size, komi=sum(komi) / 2)
    for _ in range(rng.integers(OPENING_PLIES[0], OPENING_PLIES[1] + 1)):
        prior = side.search(position, Limits(visits=1), goes_on=False).prior.astype(np.float64)
        prior[-1] = 0.0
        weights = prior if rng.random() < 0.5 else (prior > 0).astype(np.float64)
        position.play(position.to_play, int(rng.choice(len(weights), p=weights / weights.sum())))
    imbalance = {}
    for candidate in np.arange(komi[0], komi[1] + 0.5):
        position.komi = float(candidate)
        imbalance[abs(side.search(position, Limits(visits=KOMI_VISITS), goes_on=False).root_value)] = float(candidate)
    return Opening(actions=tuple(move.action for move in position.moves), komi=imbalance[min(imbalance)])


def play_game(black: Side, white: Side, opening: Opening, limits: Limits, *, size: int, decided: float) -> Game:
    """One game to two passes or the limit of plies, or until both sides are sure of one winner for `DECIDED_PLIES`:
    both see an outcome of at least `decided`."""
    position = Position(size, komi=opening.komi)
    for action in opening.actions:
        position.play(position.to_play, action)
    sure_of, sure_plies = 0.0, 0
    while not position.is_over and len(position.moves) < 2 * position.area:
        side = black if position.to_play == BLACK else white
        action, value = side.move(position, limits)
        position.play(position.to_play, action)
        winner = math.copysign(1.0, value) if abs(value) >= decided else 0.0
        sure_plies = sure_plies + 1 if winner == sure_of else 1
        sure_of = winner
        if sure_of and sure_plies >= DECIDED_PLIES:
            return Game(winner=int(sure_of), is_cut=True, num_plies=len(position.moves))
    return Game(winner=int(np.sign(position.score())), is_cut=False, num_plies=len(position.moves))


@dataclass(slots=True)
class Tally:
    """What the games say so far, from side A's view."""

    pairs: list[float] = field(default_factory=list)
    """Share of each pair's two points."""
    results: list[tuple[int, float]] = field(default_factory=list)
    """Of each game: A's colour, and A's points: 1, 0.5 or 0."""
    games: list[Game] = field(default_factory=list)
    """In the order played."""

    def add(self, games: dict[int, Game]) -> None:
        """One more pair: by A's colour, its games."""
        points = {color: 0.5 + 0.5 * color * game.winner for color, game in games.items()}
        self.pairs.append(sum(points.values()) / len(points))
        self.results += points.items()
        self.games += games.values()

    @property
    def is_lost(self) -> bool:
        """Whether A is the weaker side, almost certainly."""
        return len(self.pairs) >= LEAST_PAIRS_LOST and paired_share(self.pairs, z=Z99).high < 0.5

    def summary(self) -> dict[str, Any]:
        """All figures by name."""
        points = [value for _, value in self.results]
        share = paired_share(self.pairs)
        elo, *elo_interval = share.elo
        by_color = {color: [value for own, value in self.results if own == color] for color in (BLACK, WHITE)}
        return {
            "games": len(points),
            "wins": points.count(1.0),
            "draws": points.count(0.5),
            "losses": points.count(0.0),
            "share": round(share.mean, 4),
            "interval_95": [round(share.low, 4), round(share.high, 4)],
            "elo": round(elo, 1),
            "elo_interval_95": [round(bound, 1) for bound in elo_interval],
            "share_as_black": round(statistics.fmean(by_color[BLACK]), 4),
            "share_as_white": round(statistics.fmean(by_color[WHITE]), 4),
            "pairs_split": sum(pair == 0.5 for pair in self.pairs),
            "games_cut": sum(game.is_cut for game in self.games),
            "plies_mean": round(statistics.fmean(game.num_plies for game in self.games), 1),
        }

    def line(self) -> str:
        """The standing in one line."""
        facts = self.summary()
        low, high = facts["elo_interval_95"]
        games = f"{facts['wins']}-{facts['draws']}-{facts['losses']}"
        return f"A {games} {facts['share']:.1%} Elo {facts['elo']} [{low}, {high}]"


def parse_settings(words: Sequence[str], *, threads: int) -> PlayerSettings:
    """Settings of words such as "algorithm=puct" and "c_puct_init=0.6". Raises `InvalidConfig`."""
    own: dict[str, Any] = {"threads": threads, "resign": False}
    search: dict[str, Any] = {}
    defaults = PlayerSettings()
    for word in words:
        name, separator, text = word.partition("=")
        if separator and hasattr(defaults, name) and name != "search":
            own[name] = _parse_value(text)
        elif separator and hasattr(defaults.search, name):
            search[name] = _parse_value(text)
        else:
            raise InvalidConfig(f"{word!r} is no NAME=VALUE of a field of PlayerSettings or SearchConfig")
    return PlayerSettings(**own, search=dataclasses.replace(defaults.search, **search))


def _parse_value(text: str) -> Any:
    """true, false, null and numbers as in JSON; anything else is text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


class Dials:
    """One match."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Loads both sides; see `make_parser` for the options. Raises `TengenError`."""
        self._options = options
        clock = time.process_time if options.threads == 1 else time.monotonic
        self._sides = [
            Side(
                model or options.model,
                parse_settings(words, threads=options.threads),
                size=options.size,
                clock=clock,
            )
            for model, words in ((options.model_a, options.a), (options.model_b, options.b))
        ]
        self.identities = [side.identity for side in self._sides]
        time_s = None if options.visits is not None else options.time
        self._komi = options.komi or trained_komi(self._sides[0].manifest, options.size)
        self._limits = Limits(time_s=time_s, visits=options.visits, early_stop=True)
        self.tally = Tally()

    def run(self) -> None:
        """Plays; an interrupt ends the match early."""
        options, tally = self._options, self.tally
        first, second = self._sides
        rng = np.random.default_rng(options.seed)
        with progress(options.games) as show:
            try:
                for number in range(options.games // 2):
                    opening = draw_opening(first, size=options.size, komi=self._komi, rng=rng)
                    games = {
                        color: play_game(
                            *(first, second)[::color],
                            opening,
                            self._limits,
                            size=options.size,
                            decided=options.decided,
                        )
                        for color in (BLACK, WHITE)
                    }
                    tally.add(games)
                    winners = " ".join(f"{game.winner:+d} after {game.num_plies}" for game in games.values())
                    show(2 * number + 2, f"komi {opening.komi:g}: {winners}", tally.line())
                    if options.give_up and tally.is_lost:
                        break
            except KeyboardInterrupt:
                pass

    def figures(self) -> dict[str, Any]:
        """All of the match."""
        options = self._options
        return {
            "a": options.a,
            "b": options.b,
            "models": self.identities,
            "size": options.size,
            "komi": list(self._komi),
            "time_s": None if options.visits is not None else options.time,
            "visits": options.visits,
            "threads": options.threads,
            "decided": options.decided,
            "seed": options.seed,
            **self.tally.summary(),
            "visits_mean": [round(statistics.fmean(side.visits or [0]), 1) for side in self._sides],
            "seconds_mean": [round(statistics.fmean(side.seconds or [0]), 4) for side in self._sides],
        }


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--a", nargs="*", default=[], metavar="NAME=VALUE", help="settings of side A, beside the defaults")
    add("--b", nargs="*", default=[], metavar="NAME=VALUE", help="settings of side B")
    add("--model", help="name or folder of both sides' model; the installation's choice for the size")
    add("--model-a", metavar="NAME", help="side A's own")
    add("--model-b", metavar="NAME", help="side B's own")
    add("--size", type=int, help="of the board; that on which side A's model was trained")
    add("--games", type=int, default=200, help="%(default)s")
    add("--time", type=float, default=0.1, help="seconds a move; %(default)s")
    add("--visits", type=int, help="visits a move, instead of time")
    add("--threads", type=int, default=1, help="of each search; %(default)s")
    add(
        "--komi",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="komi to choose from; those of A's training on this size",
    )
    add("--decided", type=float, default=2.0, metavar="V", help="cut games when both see an outcome of V; %(default)s")
    add("--give-up", action="store_true", help="end as soon as A is almost certainly weaker")
    add("--seed", type=int, default=1, help="of the openings; %(default)s")
    add("--json", type=Path, metavar="FILE", help="append the last line to this file too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the match and prints the figures."""
    options = make_parser().parse_args(arguments)
    try:
        if options.size is None:
            options.size = _trained_size(options.model_a or options.model)
        dials = Dials(options)
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
    except TengenError as error:
        print(f"dials: {error}", file=sys.stderr)
        return 1
    dials.run()
    if not dials.tally.pairs:
        return 1
    figures = dials.figures()
    for name, value in figures.items():
        print(f"{name}: {value}")
    line = msgspec.json.encode(figures).decode()  # what is infinite becomes null
    print(line)
    if options.json is not None:
        with options.json.open("a") as file:
            file.write(line + "\n")
    return 0


def _trained_size(model: str | None) -> int:
    """The largest board that the model was trained on. Raises `ModelError`, and `InvalidConfig` without a model."""
    if model is None:
        raise InvalidConfig("no model: --size or --model is needed")
    return max(CatalogModels(trusted=model).catalog.resolve(model).manifest.trained_sizes)


if __name__ == "__main__":
    raise SystemExit(main())
