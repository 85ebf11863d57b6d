"""Plays games between our engine and another GTP engine, with our own rules as the referee.

Our engine gets a fixed time for each move, and a move that arrives more than 0.15 s after it counts as late; the
opponent has as long as it likes, up to a limit after which it is taken for hung. A side that hangs, crashes, plays an
illegal move or refuses a legal one loses the game, and its engine is started anew.

Run: python benchmarks/match.py --opponent gnugo --games 100 --time 1 --sgf runs/gnugo
     python benchmarks/match.py --opponent random --size 5 --games 20 --time 0.1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast

from engine.errors import IllegalMove, InvalidVertex
from engine.go.position import Position
from engine.go.record import to_result, to_sgf
from engine.go.rules import BLACK, WHITE, RuleSet, rules_by_name
from engine.go.tables import point_neighbors
from engine.go.vertex import from_gtp, to_gtp
from protocol.gtp.client import EngineDead, EngineError, EngineProcess

ROOT = Path(__file__).resolve().parents[1]
OURS = f"{sys.executable} {ROOT / 'tengen.py'} gtp --no-resign --time {{time}}"
GNUGO = (
    "/usr/games/gnugo --mode gtp --chinese-rules --capture-all-dead --positional-superko --never-resign --level {level}"
)
LATE_S = 0.15
"""How much later than its time our move may arrive."""
START_TIMEOUT_S = 300.0
"""For the first answers: an engine may load a network and compile kernels."""
COMMAND_TIMEOUT_S = 30.0
LETTERS = {BLACK: "b", WHITE: "w"}


class Seat(Protocol):
    """One side of a match, for one game after the other."""

    name: str

    def begin(self, size: int, komi: float) -> None:
        """A new game."""

    def move(self, color: int) -> tuple[str, float]:
        """Its move, as GTP spells it, and the seconds that it took."""

    def tell(self, color: int, vertex: str) -> None:
        """The other side's move."""

    def close(self) -> None:
        """No more games."""


class EngineSeat:
    """A GTP engine, started when a game begins without a living one."""

    def __init__(self, command: str, *, name: str, move_s: float | None, timeout_s: float) -> None:
        """`move_s`: sent as time settings before each game; None: none are. `timeout_s`: for a move."""
        self.name = name
        self._command = command
        self._move_s = move_s
        self._timeout_s = timeout_s
        self._engine: EngineProcess | None = None

    def begin(self, size: int, komi: float) -> None:
        """Starts the engine if need be, and lets it warm up outside the game."""
        if self._engine is not None and self._engine.is_alive:
            with contextlib.suppress(EngineDead):
                self._set_up(self._engine, size, komi, timeout_s=COMMAND_TIMEOUT_S)
                return
        self._engine = EngineProcess(self._command, name=self.name, cwd=ROOT)
        self._set_up(self._engine, size, komi, timeout_s=START_TIMEOUT_S)
        if "reg_genmove" in self._engine.list_commands():
            self._engine.send("reg_genmove", "b", timeout_s=START_TIMEOUT_S)

    def _set_up(self, engine: EngineProcess, size: int, komi: float, *, timeout_s: float) -> None:
        engine.send("boardsize", size, timeout_s=timeout_s)
        engine.send("clear_board", timeout_s=COMMAND_TIMEOUT_S)
        engine.send("komi", f"{komi:g}", timeout_s=COMMAND_TIMEOUT_S)
        if self._move_s is not None:
            engine.send("time_settings", 0, f"{self._move_s:g}", 1, timeout_s=COMMAND_TIMEOUT_S)

    def move(self, color: int) -> tuple[str, float]:
        """Asks for a move."""
        assert self._engine is not None
        reply = self._engine.send("genmove", LETTERS[color], timeout_s=self._timeout_s)
        return reply.text.strip(), reply.elapsed_s

    def tell(self, color: int, vertex: str) -> None:
        """Plays the other side's move."""
        assert self._engine is not None
        self._engine.send("play", LETTERS[color], vertex, timeout_s=COMMAND_TIMEOUT_S)

    def close(self) -> None:
        """Quits, or kills, the engine."""
        if self._engine is not None:
            self._engine.close()


class RandomSeat:
    """Plays any legal point that its own stones do not surround, and passes when there is no other."""

    name = "random"

    def __init__(self, seed: int) -> None:
        """`seed`: of all games together."""
        self._random = random.Random(seed)
        self._position = Position()

    def begin(self, size: int, komi: float) -> None:
        """An empty board."""
        self._position = Position(size, komi=komi)

    def move(self, color: int) -> tuple[str, float]:
        """A random move."""
        started_s = time.monotonic()
        stones, near = self._position.stones, point_neighbors(self._position.size)
        legal = self._position.legal_mask(color)[:-1].nonzero()[0]
        wanted = [point for point in legal if any(stones[n] != color for n in near[point] if n >= 0)]
        action = int(self._random.choice(wanted)) if wanted else self._position.pass_action
        self._position.play(color, action)
        return to_gtp(action, self._position.size), time.monotonic() - started_s

    def tell(self, color: int, vertex: str) -> None:
        """Follows the game."""
        self._position.play(color, from_gtp(vertex, self._position.size))

    def close(self) -> None:
        """Nothing is left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """One game that has ended."""

    position: Position
    """The last position, with all moves."""
    score: float | None
    """Area score after two passes or the move limit, Black's view; None after a resignation or a forfeit."""
    winner: int
    """`BLACK`, `WHITE`, or 0 for a draw."""
    forfeit: str
    """What the loser did against the rules of the match; empty if nothing."""
    seconds: tuple[float, ...]
    """Time of each move."""

    @property
    def result(self) -> str:
        """As SGF spells it."""
        if self.score is not None:
            return to_result(self.score)
        return f"{'B' if self.winner == BLACK else 'W'}+{'F' if self.forfeit else 'R'}"


class Loss(Exception):
    """The side to move has lost: by resignation without a text, else by breaking the rules of the match."""


def play_game(black: Seat, white: Seat, *, size: int, komi: float, rules: RuleSet, max_moves: int) -> Game:
    """One game, which always has an end. Raises `EngineError` if an engine cannot even begin."""
    position = Position(size, rules, komi)
    seconds: list[float] = []
    for seat in (black, white):
        seat.begin(size, komi)
    color = BLACK
    while not position.is_over and len(position.moves) < max_moves:
        try:
            _take_turn(position, color, black if color == BLACK else white, seconds)
        except Loss as loss:
            return Game(position=position, score=None, winner=-color, forfeit=str(loss), seconds=tuple(seconds))
        color = -color
    score = position.score()
    winner = (score > 0) - (score < 0)
    return Game(position=position, score=score, winner=winner, forfeit="", seconds=tuple(seconds))


def _take_turn(position: Position, color: int, seat: Seat, seconds: list[float]) -> None:
    """Tells the other side's move, asks for one and plays it. Raises `Loss`."""
    try:
        if position.moves:
            seat.tell(-color, to_gtp(position.moves[-1].action, position.size))
        vertex, elapsed_s = seat.move(color)
    except EngineError as error:
        raise Loss(str(error)) from error
    seconds.append(elapsed_s)
    if vertex.lower() == "resign":
        raise Loss
    try:
        position.play(color, from_gtp(vertex, position.size))
    except (IllegalMove, InvalidVertex) as error:
        raise Loss(f"{seat.name}: illegal move {vertex!r}: {error}") from error


def wilson_interval(successes: float, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); draws count as half successes, which makes it a little too wide."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


class Tally:
    """What the games say so far, from our engine's view."""

    def __init__(self, *, move_s: float) -> None:
        """`move_s`: our time for a move."""
        self._move_s = move_s
        self._games: list[tuple[int, Game]] = []

    def add(self, our_color: int, game: Game) -> None:
        """One more game."""
        self._games.append((our_color, game))

    def summary(self) -> dict[str, Any]:
        """All figures by name."""
        wins = {color: sum(game.winner == us == color for us, game in self._games) for color in LETTERS}
        played = {color: sum(us == color for us, _ in self._games) for color in LETTERS}
        draws = sum(game.winner == 0 for _, game in self._games)
        margins = [us * game.score for us, game in self._games if game.score is not None]
        seconds = sorted(s for us, game in self._games for s in game.seconds[0 if us == BLACK else 1 :: 2])
        score = wins[BLACK] + wins[WHITE] + draws / 2
        low, high = wilson_interval(score, len(self._games))
        forfeits = [(us == game.winner, game.forfeit) for us, game in self._games if game.forfeit]
        return {
            "games": len(self._games),
            "distinct_games": len({tuple(game.position.moves) for _, game in self._games}),
            "wins": wins[BLACK] + wins[WHITE],
            "draws": draws,
            "losses": len(self._games) - wins[BLACK] - wins[WHITE] - draws,
            "win_rate": score / max(1, len(self._games)),
            "interval_95": [low, high],
            "wins_as_black": f"{wins[BLACK]}/{played[BLACK]}",
            "wins_as_white": f"{wins[WHITE]}/{played[WHITE]}",
            "margin_mean": statistics.fmean(margins) if margins else None,
            "margin_median": statistics.median(margins) if margins else None,
            "moves_mean": statistics.fmean(len(g.position.moves) for _, g in self._games) if self._games else None,
            "our_moves": len(seconds),
            "late_moves": sum(s > self._move_s + LATE_S for s in seconds),
            "seconds_median": statistics.median(seconds) if seconds else None,
            "seconds_p99": seconds[int(0.99 * (len(seconds) - 1))] if seconds else None,
            "seconds_max": seconds[-1] if seconds else None,
            "our_illegal_moves": sum(not ours_won and "illegal move" in why for ours_won, why in forfeits),
            "our_forfeits": [why for ours_won, why in forfeits if not ours_won],
            "their_forfeits": [why for ours_won, why in forfeits if ours_won],
        }

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
        """See `make_parser` for the options."""
        self._options = options
        self._rules = rules_by_name(options.rules)
        self._local = threading.local()
        self._seats: list[Seat] = []
        self._seeds = count(options.seed)

    def run(self) -> dict[str, Any]:
        """Plays; returns the figures. Raises `EngineError` if an engine cannot even begin a game."""
        games = self._options.games
        tally = Tally(move_s=self._options.time)
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
        max_moves = options.max_moves or 3 * options.size**2
        game = play_game(black, white, size=options.size, komi=options.komi, rules=self._rules, max_moves=max_moves)
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
        times = [f"{seconds:.3f} s" for seconds in game.seconds]
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
    add("--max-moves", type=int, default=0, help="a game is then counted as it stands; three times the board's points")
    add("--jobs", type=int, default=1, help="games at a time, each with its own engines; %(default)s")
    add("--seed", type=int, default=1, help="of the random opponent; %(default)s")
    add("--sgf", type=Path, metavar="DIR", help="keep the games here")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the match and prints the figures."""
    options = make_parser().parse_args(arguments)
    try:
        figures = Match(options).run()
    except EngineError as error:
        print(f"match: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
