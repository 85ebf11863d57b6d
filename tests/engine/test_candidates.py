"""The moves of a search in order, in the view of the player to move, and the scores that are estimated for them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.candidates import STDEVS_PER_VALUE, Candidate, estimate_score, rank_actions, read_candidates, score_stdev
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.search.result import SearchResult
from tests.support.scripted_result import scripted_result

SIZE = 5
BEST, SECOND, THIRD = 1, 2, 0
"""The actions of `scripted_result` on an empty board, in order."""


def position(color: int = BLACK, *, komi: float = 0.0) -> Position:
    board = Position(SIZE, komi=komi)
    board.to_play = color
    return board


def candidates(color: int = BLACK, **options: object) -> list[Candidate]:
    board = position(color)
    return read_candidates(scripted_result(board, None), board, **{"imagines": True, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("color", [BLACK, WHITE])
def test_best_first_then_by_visits_and_in_the_view_of_the_player_to_move(color: int) -> None:
    moves = candidates(color)
    assert [(move.action, move.visits) for move in moves] == [(BEST, 5), (SECOND, 3), (THIRD, 2)]
    assert [(move.winrate, move.winrate_bound) for move in moves] == [(0.625, 0.5625), (0.75, 0.6875), (0.25, 0.1875)]
    assert [move.prior for move in moves] == [0.25, 0.625, 0.125]


def test_equal_visits_are_ordered_by_the_search_s_policy() -> None:
    result = scripted_result(position(), None)
    equal = np.where(result.visits > 0, np.int32(4), np.int32(0))
    assert rank_actions(replace(result, visits=equal)) == [BEST, SECOND, THIRD]
    assert rank_actions(replace(result, visits=equal, best_action=THIRD)) == [THIRD, SECOND, BEST]


def test_no_more_than_the_most_and_untried_moves_up_to_the_least() -> None:
    assert [move.action for move in candidates(most=2)] == [BEST, SECOND]
    prior = np.zeros(SIZE * SIZE + 1, np.float32)
    prior[[3, 7, 9]] = [0.1, 0.5, 0.2]
    result = replace(scripted_result(position(), None), prior=prior)
    padded = read_candidates(result, position(), imagines=True, least=5)
    assert [move.action for move in padded] == [BEST, SECOND, THIRD, 7, 9]
    untried = padded[3]
    assert (untried.visits, untried.winrate, untried.winrate_bound, untried.variation) == (0, 0.75, 0.0, [7])
    assert len(read_candidates(result, position(), imagines=True, least=99)) == 6


@pytest.mark.parametrize(("imagines", "length"), [(True, 2), (False, 3)])
def test_imagined_variations_end_before_what_is_illegal(imagines: bool, length: int) -> None:
    best, *_ = candidates(imagines=imagines)
    assert len(best.variation) == length
    assert len(candidates(imagines=imagines, max_length=1)[0].variation) == 1


def judged(*, score: float | None = 3.0, stdev: float | None = 8.0, raw_value: float = 0.25) -> SearchResult:
    result = scripted_result(position(), None)
    return replace(result, score_mean=score, score_stdev=stdev, raw_value=raw_value)


def test_a_score_is_the_network_s_shifted_by_what_the_search_found() -> None:
    assert estimate_score(judged(), position(), 0.25) == 3.0
    assert estimate_score(judged(), position(), 0.5) == pytest.approx(3.0 + 0.25 * 8.0 * STDEVS_PER_VALUE)
    assert next(move.score_lead for move in candidates(WHITE)) == pytest.approx(-3.0 + 0.5 * 8.0 * STDEVS_PER_VALUE)


def test_the_slope_is_that_of_a_normal_distribution_at_an_even_score() -> None:
    stdev, points = 8.0, 0.01
    value = math.erf(points / stdev / math.sqrt(2.0))  # 2 Phi(x) - 1
    assert estimate_score(judged(score=0.0, raw_value=0.0), position(), value) == pytest.approx(points, rel=1e-3)


def test_no_score_is_beyond_what_the_board_can_give() -> None:
    board = position(komi=7.0)
    assert estimate_score(judged(stdev=1000.0), board, 1.0) == SIZE * SIZE - 7.0
    assert estimate_score(judged(stdev=1000.0), board, -1.0) == -SIZE * SIZE - 7.0


def test_without_a_score_head_the_value_alone_tells() -> None:
    silent = judged(score=None, stdev=None, raw_value=0.5)
    assert score_stdev(silent, position()) == SIZE
    assert estimate_score(silent, position(), 0.0) == 0.0
    assert estimate_score(silent, position(), 0.5) == pytest.approx(0.5 * SIZE * STDEVS_PER_VALUE)
