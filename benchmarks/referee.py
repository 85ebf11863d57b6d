"""A game of Go between two seats under our own rules: who broke them, who won, and what everybody says of the score.

Knows neither how many games there are nor what becomes of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.seats import Seat, score_from_gtp
from engine.errors import IllegalMove, InvalidVertex
from engine.go.position import Position
from engine.go.record import to_result
from engine.go.rules import BLACK, WHITE, RuleSet
from engine.go.vertex import from_gtp, to_gtp
from protocol.gtp.client import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What everybody says of a score after two passes."""

    score: float
    """The referee: area, Black's view."""
    black: str | None
    """Black's engine, as GTP spells it; None: it does not say."""
    white: str | None
    """White's engine."""

    def agrees(self, color: int) -> bool | None:
        """Whether that engine agrees with the referee; None: it does not say."""
        said = self.black if color == BLACK else self.white
        return None if said is None else score_from_gtp(said) == self.score

    @property
    def is_disputed(self) -> bool:
        """Whether an engine disagrees."""
        return False in (self.agrees(BLACK), self.agrees(WHITE))

    def __str__(self) -> str:
        return f"referee {to_result(self.score)}, Black {self.black}, White {self.white}"


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
    """Time of each move behind the opening."""
    counts: tuple[Count, ...] = ()
    """At the end, if both have passed, and once more after a cleanup, if that was disputed."""

    @property
    def result(self) -> str:
        """As SGF spells it."""
        if self.score is not None:
            return to_result(self.score)
        return f"{'B' if self.winner == BLACK else 'W'}+{'F' if self.forfeit else 'R'}"


class Loss(Exception):
    """The side to move has lost: by resignation without a text, else by breaking the rules of the match."""


def draw_opening(plies: int, *, size: int, rng: random.Random) -> list[int]:
    """So many points off the edge, for Black and White in turn; on small boards nearer to it. At most 6, which cannot
    capture each other there; `size` is 5 or more."""
    margin = 2 if size >= 7 else 1
    lines = range(margin, size - margin)
    return [row * size + column for row, column in rng.sample([(r, c) for r in lines for c in lines], plies)]


def play_game(
    black: Seat,
    white: Seat,
    *,
    size: int,
    komi: float,
    rules: RuleSet,
    max_moves: int,
    opening: Sequence[int] = (),
) -> Game:
    """One game behind `opening`, points for Black and White in turn; it always has an end. Raises `EngineError` if an
    engine cannot even begin."""
    position = Position(size, rules, komi)
    seconds: list[float] = []
    for seat in (black, white):
        seat.begin(size, komi)
    for point in opening:
        color = position.to_play
        position.play(color, point)
        for seat in (black, white):
            seat.tell(color, to_gtp(point, size))
    color = position.to_play
    while not position.is_over and len(position.moves) < max_moves:
        try:
            _take_turn(position, color, black if color == BLACK else white, seconds)
        except Loss as loss:
            return Game(position=position, score=None, winner=-color, forfeit=str(loss), seconds=tuple(seconds))
        color = -color
    score = position.score()
    winner = (score > 0) - (score < 0)
    counts = _count(position, black, white) if position.is_over else ()
    return Game(position=position, score=score, winner=winner, forfeit="", seconds=tuple(seconds), counts=counts)


def _take_turn(position: Position, color: int, seat: Seat, seconds: list[float]) -> None:
    """Tells the other side's move, asks for one and plays it. Raises `Loss`."""
    try:
        if seconds:
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


def _count(position: Position, black: Seat, white: Seat) -> tuple[Count, ...]:
    """Tells the last pass to the side that did not make it and asks both for the score, after a cleanup if need be."""
    last = position.moves[-1]
    try:
        (white if last.color == BLACK else black).tell(last.color, to_gtp(last.action, position.size))
        count = Count(score=position.score(), black=black.final_score(), white=white.final_score())
        cleaned = _clean_up(position, black, white) if count.is_disputed else None
    except (EngineError, IllegalMove, InvalidVertex):
        return ()
    if cleaned is None:
        return (count,)
    return count, Count(score=cleaned.score(), black=black.final_score(), white=white.final_score())


def _clean_up(position: Position, black: Seat, white: Seat) -> Position | None:
    """Plays on until both pass again, and returns what then stands; None if that has no end."""
    cleaned = position.copy()
    color = -position.moves[-1].color
    passes = 0
    for _ in range(2 * position.area):
        mover, listener = (black, white) if color == BLACK else (white, black)
        vertex = mover.clean_up(color)
        action = from_gtp(vertex, position.size)
        cleaned.play(color, action)
        listener.tell(color, vertex)
        passes = passes + 1 if action == position.pass_action else 0
        if passes == 2:
            return cleaned
        color = -color
    return None
