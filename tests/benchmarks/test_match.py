"""The match runner: refereeing, blame, and the figures."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.match import Count, Game, Tally, agreements, draw_opening, main, play_game
from benchmarks.seats import EngineSeat, RandomSeat, score_from_gtp
from engine.go.position import Position
from engine.go.rules import BLACK, DEFAULT_RULES, WHITE
from engine.go.vertex import from_gtp, to_gtp
from protocol.gtp.client import EngineCrashed

SCRIPTED = f"{sys.executable} -m tests.support.scripted_engine"


class Fixed:
    """Plays these vertices; an exception is raised instead."""

    def __init__(
        self, *moves: str | Exception, name: str = "fixed", score: str | None = None, cleanup: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.score_after_cleanup = score
        self._score = score
        self._cleanup = list(cleanup)
        self.heard: list[str] = []
        self._moves = list(moves)

    def begin(self, size: int, komi: float) -> None:
        self.heard.append(f"begin {size} {komi:g}")

    def move(self, color: int) -> tuple[str, float]:
        move = self._moves.pop(0)
        if isinstance(move, Exception):
            raise move
        return move, 0.5

    def tell(self, color: int, vertex: str) -> None:
        self.heard.append(f"{color:+d} {vertex}")

    def final_score(self) -> str | None:
        self.heard.append("final_score")
        return self._score

    def clean_up(self, color: int) -> str:
        self._score = self.score_after_cleanup
        return self._cleanup.pop(0) if self._cleanup else "pass"

    def close(self) -> None:
        pass


def game(black: Fixed, white: Fixed, *, max_moves: int = 99) -> Game:
    return play_game(black, white, size=3, komi=0.5, rules=DEFAULT_RULES, max_moves=max_moves)


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
    ended = play_game(
        black,
        white,
        size=3,
        komi=0.5,
        rules=DEFAULT_RULES,
        max_moves=99,
        opening=[from_gtp("B2", 3), from_gtp("A1", 3)],
    )
    assert [(move.color, to_gtp(move.action, 3)) for move in ended.position.moves][:2] == [(BLACK, "B2"), (WHITE, "A1")]
    assert ended.seconds == (0.5, 0.5)
    assert black.heard[:4] == ["begin 3 0.5", "+1 B2", "-1 A1", "-1 pass"]
    assert white.heard[:4] == ["begin 3 0.5", "+1 B2", "-1 A1", "+1 pass"]


def test_openings_lie_off_the_edge_and_differ() -> None:
    openings = {tuple(draw_opening(2, size=9, rng=random.Random(seed))) for seed in range(100)}
    assert len(openings) > 80
    for first, second in openings:
        assert first != second
        assert all(2 <= line <= 6 for point in (first, second) for line in divmod(point, 9))
    assert len(set(draw_opening(6, size=3, rng=random.Random(1)))) == 6


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


def test_scores_are_compared_with_the_referee() -> None:
    def counted(black: str | None, white: str | None) -> Game:
        return game(Fixed("B2", "pass", score=black), Fixed("pass", score=white))

    games = [
        (BLACK, counted("B+8.5", "b+8.50")),
        (WHITE, counted("B+7.5", "B+8.5")),
        (WHITE, counted(None, "B+8.5")),
        (BLACK, game(Fixed("B2"), Fixed("resign"))),
    ]
    disputed = "referee B+8.5, Black B+7.5, White B+8.5"
    assert agreements(games) == {
        "our_score_agrees": "3/3",
        "their_score_agrees": "1/2",
        "both_scores_agree": "1/2",
        "both_agree_after_cleanup": "1/2",
        "disputed_scores": [f"{disputed}; cleaned up: {disputed}"],
    }


def test_after_a_dispute_both_play_on_until_no_dead_stones_are_left() -> None:
    """White's stone in the corner has one liberty; Black passes with it on the board, and White counts it as dead."""
    black = Fixed("B2", "B1", "pass", score="B+0.5", cleanup=["A2"])
    white = Fixed("A1", "pass", score="B+8.5", cleanup=["pass"])
    black.score_after_cleanup = "B+8.5"
    ended = game(black, white)
    assert (ended.result, ended.score) == ("B+0.5", 0.5)
    assert [str(count) for count in ended.counts] == [
        "referee B+0.5, Black B+0.5, White B+8.5",
        "referee B+8.5, Black B+8.5, White B+8.5",
    ]
    assert white.heard[-4:] == ["final_score", "+1 A2", "+1 pass", "final_score"]
    assert len(ended.position.moves) == 5
    assert agreements([(BLACK, ended)])["both_agree_after_cleanup"] == "1/1"


@pytest.mark.parametrize(
    ("text", "score"), [("B+3.5", 3.5), (" w+12", -12.0), ("0", 0.0), ("Draw", 0.0), ("B+R", None), ("", None)]
)
def test_scores_as_engines_spell_them(text: str, score: float | None) -> None:
    assert score_from_gtp(text) == score


def test_the_figures() -> None:
    tally = Tally(move_s=0.3)
    tally.add(BLACK, game(Fixed("B2", "pass"), Fixed("pass")))
    tally.add(WHITE, game(Fixed("B2", "pass"), Fixed("pass")))
    tally.add(WHITE, game(Fixed("B2"), Fixed("B2")))
    tally.add(BLACK, game(Fixed("B2"), Fixed("resign")))
    facts = tally.summary()
    assert (facts["games"], facts["wins"], facts["losses"], facts["draws"]) == (4, 2, 2, 0)
    assert facts["distinct_games"] == 2
    assert (facts["wins_as_black"], facts["wins_as_white"]) == ("2/2", "0/2")
    assert (facts["margin_mean"], facts["our_illegal_moves"]) == (0.0, 1)
    assert (facts["our_moves"], facts["late_moves"]) == (2 + 1 + 1 + 1, 5)
    assert "50.0%" in tally.line()
    assert Tally(move_s=1).summary()["games"] == 0
    assert Tally(move_s=1).summary()["interval_95"] == [0.0, 1.0]


def test_a_match_of_real_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = ["--engine", SCRIPTED, "--opponent", "random", "--size", "5", "--time", "60", "--games", "2"]
    assert main([*engine, "--max-moves", "20", "--sgf", str(tmp_path), "--json", str(tmp_path / "new" / "f.json")]) == 0
    assert "distinct_games: 2" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["game-0001.sgf", "game-0002.sgf", "new"]
    assert b"PB[tengen]PW[random]" in (tmp_path / "game-0001.sgf").read_bytes()
    assert b"PB[random]PW[tengen]" in (tmp_path / "game-0002.sgf").read_bytes()


def test_an_engine_that_cannot_start_ends_the_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--engine", "false", "--opponent", "random", "--games", "3"]) == 1
    assert "tengen" in capsys.readouterr().err


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
