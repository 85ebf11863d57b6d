"""Plays games between our engine and another GTP engine, with our own rules as the referee.

Our engine gets a fixed time for each move, and a move that arrives more than 0.15 s after it counts as late; the
opponent has as long as it likes, up to a limit after which it is taken for hung. A side that hangs, crashes, plays an
illegal move or refuses a legal one loses the game, and its engine is started anew.

After two passes the referee counts what stands on the board as alive, and that is the result. Both engines are asked
for the score too; one that takes dead stones off in its mind, as GNU Go does, then disagrees. Both then play on,
as on KGS, until neither sees dead stones of the other, and are asked again: the figures tell how often they agreed with
the referee, before and after.

With `--opening-plies` a pair of games, one with each colour, begins with the same random stones off the edge: engines
that do not vary would otherwise play few games many times.

Run: python benchmarks/match.py --opponent gnugo --games 100 --time 1 --opening-plies 2 --sgf runs/gnugo
     python benchmarks/match.py --opponent random --size 5 --games 20 --time 0.1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import count
from pathlib import Path
from typing import Any, cast

from benchmarks.referee import Count, Game, draw_opening, play_game
from benchmarks.seats import LETTERS, ROOT, EngineSeat, RandomSeat, Seat
from engine.elo import wilson_interval
from engine.errors import InvalidConfig, TengenError
from engine.go.record import to_sgf
from engine.go.rules import BLACK, WHITE, rules_by_name

OURS = f"{sys.executable} {ROOT / 'tengen.py'} gtp --no-resign --time {{time}}"
GNUGO = (
    "/usr/games/gnugo --mode gtp --chinese-rules --capture-all-dead --positional-superko --never-resign --level {level}"
)
LATE_S = 0.15
"""How much later than its time our move may arrive."""
SMALLEST_WITH_OPENINGS = 5
"""Board on which a few random stones leave a game to play."""


def agreements(games: Sequence[tuple[int, Game]]) -> dict[str, Any]:
    """Of (our colour, game): how often the engines count as the referee, in the games for which they name a score."""

    def share(answers: Sequence[bool | None]) -> str:
        return f"{answers.count(True)}/{len(answers) - answers.count(None)}"

    def both(count: Count) -> bool | None:
        answers = (count.agrees(BLACK), count.agrees(WHITE))
        return None if None in answers else all(answers)

    counted = [(us, game.counts) for us, game in games if game.counts]
    return {
        "our_score_agrees": share([counts[0].agrees(us) for us, counts in counted]),
        "their_score_agrees": share([counts[0].agrees(-us) for us, counts in counted]),
        "both_scores_agree": share([both(counts[0]) for _, counts in counted]),
        "both_agree_after_cleanup": share([both(counts[-1]) for _, counts in counted]),
        "disputed_scores": ["; cleaned up: ".join(map(str, counts)) for _, counts in counted if counts[0].is_disputed],
    }


class Tally:
    """What the games say so far, from our engine's view."""

    def __init__(self, *, move_s: float) -> None:
        """`move_s`: our time for a move."""
        self._move_s = move_s
        self.games: list[tuple[int, Game]] = []
        """(our colour, game) in the order in which they ended."""

    def add(self, our_color: int, game: Game) -> None:
        """One more game."""
        self.games.append((our_color, game))

    def summary(self) -> dict[str, Any]:
        """All figures by name."""
        wins = {color: sum(game.winner == us == color for us, game in self.games) for color in LETTERS}
        played = {color: sum(us == color for us, _ in self.games) for color in LETTERS}
        draws = sum(game.winner == 0 for _, game in self.games)
        margins = [us * game.score for us, game in self.games if game.score is not None]
        seconds = sorted(s for us, game in self.games for s in game.seconds[0 if us == BLACK else 1 :: 2])
        score = wins[BLACK] + wins[WHITE] + draws / 2
        # Draws count as half successes, which makes the interval a little too wide.
        low, high = wilson_interval(score, len(self.games)) if self.games else (0.0, 1.0)
        forfeits = [(us == game.winner, game.forfeit) for us, game in self.games if game.forfeit]
        return {
            "games": len(self.games),
            "distinct_games": len({tuple(game.position.moves) for _, game in self.games}),
            "wins": wins[BLACK] + wins[WHITE],
            "draws": draws,
            "losses": len(self.games) - wins[BLACK] - wins[WHITE] - draws,
            "win_rate": score / max(1, len(self.games)),
            "interval_95": [low, high],
            "wins_as_black": f"{wins[BLACK]}/{played[BLACK]}",
            "wins_as_white": f"{wins[WHITE]}/{played[WHITE]}",
            "margin_mean": statistics.fmean(margins) if margins else None,
            "margin_median": statistics.median(margins) if margins else None,
            "moves_mean": statistics.fmean(len(g.position.moves) for _, g in self.games) if self.games else None,
            "our_moves": len(seconds),
            "late_moves": sum(s > self._move_s + LATE_S for s in seconds),
            "seconds_median": statistics.median(seconds) if seconds else None,
            "seconds_p99": seconds[int(0.99 * (len(seconds) - 1))] if seconds else None,
            "seconds_max": seconds[-1] if seconds else None,
            "our_illegal_moves": sum(not ours_won and "illegal move" in why for ours_won, why in forfeits),
            "our_forfeits": [why for ours_won, why in forfeits if not ours_won],
            "their_forfeits": [why for ours_won, why in forfeits if ours_won],
        } | agreements(self.games)

    def line(self) -> str:
        """The standing in one line."""
        facts = self.summary()
        low, high = facts["interval_95"]
        return (
            f"{facts['wins']} won, {facts['draws']} drawn, {facts['losses']} lost: {facts['win_rate']:.1%} "
            f"[{low:.1%}, {high:.1%}], {facts['late_moves']} late"
        )


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[int, str, str], None]]:
    """Shows games done, the last game and the standing: one live line on a terminal, a line for each game elsewhere."""
    if not sys.stdout.isatty():
        yield lambda done, game, standing: print(f"{done}/{total} {game} | {standing}", flush=True)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (MofNCompleteColumn(), BarColumn(bar_width=20), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, game, standing: bar.update(task, completed=done, description=standing)


class Match:
    """All games, on as many pairs of engines as games are played at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        """See `make_parser` for the options. Raises `InvalidConfig` for an opening on a board that is too small."""
        if options.opening_plies and options.size < SMALLEST_WITH_OPENINGS:
            raise InvalidConfig(f"--opening-plies needs a board of {SMALLEST_WITH_OPENINGS} or more")
        self._options = options
        self._rules = rules_by_name(options.rules)
        self._local = threading.local()
        self._seats: list[Seat] = []
        self._seeds = count(options.seed)
        self.tally = Tally(move_s=options.time)
        """The games that have ended."""

    def run(self) -> dict[str, Any]:
        """Plays; returns the figures. Raises `EngineError` if an engine cannot even begin a game."""
        games = self._options.games
        tally = self.tally
        with progress(games) as show, ThreadPoolExecutor(self._options.jobs) as pool:
            futures = [pool.submit(self._play, number) for number in range(games)]
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    number, our_color, game = future.result()
                    tally.add(our_color, game)
                    self._save(number, our_color, game)
                    colors = "black" if our_color == BLACK else "white"
                    show(done, f"game {number + 1} as {colors} {game.result} {game.forfeit}".rstrip(), tally.line())
            finally:
                for future in futures:
                    future.cancel()
                pool.shutdown(wait=True)
                for seat in self._seats:
                    seat.close()
        return tally.summary()

    def _play(self, number: int) -> tuple[int, int, Game]:
        options = self._options
        ours, theirs = self._pair()
        our_color = {"black": BLACK, "white": WHITE}.get(options.colors, BLACK if number % 2 == 0 else WHITE)
        black, white = (ours, theirs) if our_color == BLACK else (theirs, ours)
        rng = random.Random(f"{options.seed} {number // 2}")
        game = play_game(
            black,
            white,
            size=options.size,
            komi=options.komi,
            rules=self._rules,
            max_moves=options.max_moves or 3 * options.size**2,
            opening=draw_opening(options.opening_plies, size=options.size, rng=rng),
        )
        return number, our_color, game

    def _pair(self) -> tuple[Seat, Seat]:
        """The engines of this thread."""
        if not hasattr(self._local, "pair"):
            self._local.pair = make_seats(self._options, seed=next(self._seeds))
            self._seats += self._local.pair
        return cast(tuple[Seat, Seat], self._local.pair)

    def _save(self, number: int, our_color: int, game: Game) -> None:
        if self._options.sgf is None:
            return
        self._options.sgf.mkdir(parents=True, exist_ok=True)
        black, white = [self._options.name, self._options.opponent][::our_color]
        times = ["opening"] * (len(game.position.moves) - len(game.seconds))
        times += [f"{seconds:.3f} s" for seconds in game.seconds]
        data = to_sgf(game.position, black_name=black, white_name=white, result=game.result, comments=times)
        (self._options.sgf / f"game-{number + 1:04d}.sgf").write_bytes(data)


def make_seats(options: argparse.Namespace, *, seed: int) -> tuple[Seat, Seat]:
    """Our engine and the opponent."""
    command = f"{options.engine} {options.options}".replace("{time}", f"{options.time:g}")
    has_own_time = "{time}" in options.engine + options.options
    ours = EngineSeat(
        command,
        name=options.name,
        move_s=None if has_own_time else options.time,
        timeout_s=options.time + options.timeout,
    )
    if options.opponent == "random":
        return ours, RandomSeat(seed)
    theirs = GNUGO.format(level=options.level) if options.opponent == "gnugo" else options.opponent
    return ours, EngineSeat(theirs, name=options.opponent, move_s=options.opponent_time, timeout_s=options.timeout)


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--engine", default=OURS, help="our command; {time} stands for --time, which else is sent; this source tree")
    add("--options", default="", help="more options for our command, as in --options='--model NAME --threads 1'")
    add("--name", default="tengen", help="our name in reports and files; %(default)s")
    add("--opponent", default="gnugo", help="gnugo, random, or a command; %(default)s")
    add("--level", type=int, default=10, help="of gnugo; %(default)s")
    add("--opponent-time", type=float, help="seconds a move to tell the opponent; by default nothing")
    add("--games", type=int, default=20, help="%(default)s")
    add("--time", type=float, default=1.0, help="our seconds a move; %(default)s")
    add("--timeout", type=float, default=60.0, help="a side is taken for hung after this, seconds; %(default)s")
    add("--colors", choices=("alternate", "black", "white"), default="alternate", help="ours; %(default)s")
    add("--size", type=int, default=9, help="%(default)s")
    add("--komi", type=float, default=7.0, help="%(default)s")
    add("--rules", default="cgos", help="the referee's; %(default)s")
    add("--opening-plies", type=int, default=0, choices=(0, 2, 4, 6), help="random, the same for a pair; %(default)s")
    add("--max-moves", type=int, default=0, help="a game is then counted as it stands; three times the board's points")
    add("--jobs", type=int, default=1, help="games at a time, each with its own engines; %(default)s")
    add("--seed", type=int, default=1, help="of openings and the random opponent; %(default)s")
    add("--sgf", type=Path, metavar="DIR", help="keep the games here")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the match and prints the figures."""
    options = make_parser().parse_args(arguments)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
    try:
        figures = Match(options).run()
    except TengenError as error:
        print(f"match: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
