"""One game: refereeing, blame, openings, and what everybody says of the score."""

from __future__ import annotations

import random
import sys

import pytest

from benchmarks.referee import Count, draw_opening, play_game
from benchmarks.seats import EngineSeat, RandomSeat, score_from_gtp
from engine.go.position import Position
from engine.go.rules import BLACK, DEFAULT_RULES, WHITE
from engine.go.vertex import from_gtp, to_gtp
from protocol.gtp.client import EngineCrashed
from tests.support.fixed_seat import Fixed, game

SCRIPTED = f"{sys.executable} -m tests.support.scripted_engine"


def test_a_game_that_is_counted() -> None:
    black, white = Fixed("B2", "pass", score="B+8.5"), Fixed("pass")
    ended = game(black, white)
    assert (ended.winner, ended.score, ended.result, ended.forfeit) == (BLACK, 8.5, "B+8.5", "")
    assert ended.seconds == (0.5, 0.5, 0.5)
    assert black.heard == ["begin 3 0.5", "-1 pass", "final_score"]
    assert white.heard == ["begin 3 0.5", "+1 B2", "+1 pass", "final_score"]
    assert ended.counts == (Count(score=8.5, black="B+8.5", white=None),)


def test_an_opening_is_told_to_both_and_costs_nobody_time() -> None:
    black, white = Fixed("pass"), Fixed("pass")
    ended = game(black, white, opening=[from_gtp("B2", 3), from_gtp("A1", 3)])
    assert [(move.color, to_gtp(move.action, 3)) for move in ended.position.moves][:2] == [(BLACK, "B2"), (WHITE, "A1")]
    assert ended.seconds == (0.5, 0.5)
    assert black.heard[:4] == ["begin 3 0.5", "+1 B2", "-1 A1", "-1 pass"]
    assert white.heard[:4] == ["begin 3 0.5", "+1 B2", "-1 A1", "+1 pass"]


@pytest.mark.parametrize(("size", "low", "high"), [(5, 1, 3), (6, 1, 4), (7, 2, 4), (9, 2, 6), (19, 2, 16)])
def test_openings_lie_off_the_edge_and_differ(size: int, low: int, high: int) -> None:
    openings = {tuple(draw_opening(2, size=size, rng=random.Random(seed))) for seed in range(100)}
    assert len(openings) > 40
    for first, second in openings:
        assert first != second
        assert all(low <= line <= high for point in (first, second) for line in divmod(point, size))
    assert len(set(draw_opening(6, size=size, rng=random.Random(1)))) == 6


def test_a_resignation() -> None:
    ended = game(Fixed("b2"), Fixed("Resign"))
    assert (ended.winner, ended.result, ended.forfeit) == (BLACK, "B+R", "")


@pytest.mark.parametrize("move", ["B2", "D1", "nonsense", ""])
def test_an_illegal_move_loses(move: str) -> None:
    ended = game(Fixed("B2"), Fixed(move))
    assert (ended.winner, ended.result) == (BLACK, "B+F")
    assert "illegal move" in ended.forfeit


def test_an_engine_that_dies_loses() -> None:
    ended = game(Fixed("B2", EngineCrashed("has ended")), Fixed("A1"))
    assert (ended.winner, ended.result, ended.forfeit) == (WHITE, "W+F", "has ended")


def test_a_game_without_end_is_counted_as_it_stands() -> None:
    ended = game(Fixed("B2", "B1"), Fixed("A1", "C3"), max_moves=2)
    assert ended.score == 0.5 - 1.0
    assert ended.winner == WHITE
    assert ended.counts == ()


@pytest.mark.parametrize(
    ("text", "score"), [("B+3.5", 3.5), (" w+12", -12.0), ("0", 0.0), ("Draw", 0.0), ("B+R", None), ("", None)]
)
def test_scores_as_engines_spell_them(text: str, score: float | None) -> None:
    assert score_from_gtp(text) == score


def test_a_dead_engine_is_started_anew_for_the_next_game() -> None:
    ours = EngineSeat(SCRIPTED, name="ours", move_s=None, timeout_s=60)
    try:
        ours.begin(5, 7)
        assert ours._engine is not None
        first = ours._engine.process_id
        ours._engine.kill()
        ended = play_game(ours, RandomSeat(1), size=5, komi=7, rules=DEFAULT_RULES, max_moves=4)
        assert isinstance(ended.position, Position)
        assert ended.forfeit == ""
        assert ours._engine.process_id != first
    finally:
        ours.close()
