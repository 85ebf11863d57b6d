"""The match runner: agreement with the referee, the figures, pairs of games, and whole matches."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sgfmill.sgf import Sgf_game

from benchmarks.match import Tally, agreements, main
from benchmarks.referee import Game
from engine.go.rules import BLACK, WHITE
from tests.support.fixed_seat import Fixed, game

SCRIPTED = f"{sys.executable} -m tests.support.scripted_engine"


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


def test_both_games_of_a_pair_begin_alike_and_the_next_pair_does_not(tmp_path: Path) -> None:
    engine = ["--engine", SCRIPTED, "--opponent", "random", "--size", "5", "--time", "60", "--games", "4"]
    assert main([*engine, "--max-moves", "6", "--opening-plies", "2", "--sgf", str(tmp_path)]) == 0
    records = [Sgf_game.from_bytes(path.read_bytes()) for path in sorted(tmp_path.iterdir())]
    openings = [[node.get_move() for node in record.get_main_sequence()[1:3]] for record in records]
    assert openings[0] == openings[1] != openings[2] == openings[3]
    comments = [node.get("C") for node in records[0].get_main_sequence()[1:]]
    assert comments[:2] == ["opening", "opening"]
    assert all(comment.endswith(" s") for comment in comments[2:])


def test_openings_need_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--opponent", "random", "--size", "3", "--opening-plies", "2"]) == 1
    assert "5 or more" in capsys.readouterr().err
