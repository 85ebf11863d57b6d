"""Sequential halving: schedules, winners, rounds of unknown number, the improved policy."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.gumbel import (
    HalvingRounds,
    anytime_winner,
    considered_table,
    considered_visits,
    improved_policy,
    root_scores,
    winner,
)

LEGAL = np.ones((1, 4), bool)


@pytest.mark.parametrize(
    ("considered", "simulations", "expected"),
    [
        (1, 4, (0, 1, 2, 3)),
        (2, 5, (0, 0, 1, 1, 2)),
        (4, 8, (0, 0, 0, 0, 1, 1, 2, 2)),
        (4, 3, (0, 0, 0)),
        # m = n: one ply deep but for nothing left to halve.
        (16, 16, (0,) * 16),
        # m = 8, n = 16: phases of 8 * 1, 4 * 1, 2 * 2.
        (8, 16, (0,) * 8 + (1,) * 4 + (2, 2, 3, 3)),
        # Survivors: 3 -> max(2, 1) = 2.
        (3, 12, (0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4)),
    ],
)
def test_schedule(considered: int, simulations: int, expected: tuple[int, ...]) -> None:
    assert considered_visits(considered, simulations) == expected


@pytest.mark.parametrize("considered", [1, 2, 3, 5, 8, 16])
def test_schedule_is_always_possible(considered: int) -> None:
    """Some action always has the considered number of visits."""
    for simulations in (1, 7, 50, 333):
        visits = [0] * considered
        for wanted in considered_visits(considered, simulations):
            visits[visits.index(wanted)] += 1
        assert sum(visits) == simulations


def test_table_has_one_column_per_tree() -> None:
    table = considered_table(np.array([4, 2, 1, 4]), np.array([8, 3, 0, 8]))
    assert table.shape == (8, 4)
    assert table[:, 0].tolist() == table[:, 3].tolist() == list(considered_visits(4, 8))
    assert table[:, 1].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert not table[:, 2].any()


def test_winner_is_the_best_of_the_most_visited() -> None:
    visits = np.array([[3, 4, 4, 1]], np.int32)
    scores = np.array([[9.0, 1.0, 2.0, 9.0]], np.float32)
    sigma = np.array([[9.0, 2.0, 0.0, 9.0]], np.float32)
    assert winner(visits, scores, sigma, LEGAL) == 1
    legal = np.array([[True, False, True, True]])
    assert winner(visits, scores, sigma, legal) == 2


def test_winner_without_visits_is_legal() -> None:
    zeros = np.zeros((1, 4), np.int32)
    scores = np.array([[5.0, 0.0, 1.0, 2.0]], np.float32)
    assert winner(zeros, scores, np.zeros_like(scores), np.array([[False, True, True, False]])) == 2


def test_anytime_winner_lets_a_newcomer_of_half_the_visits_win() -> None:
    visits = np.array([[100, 48, 30, 0]], np.int32)
    sigma = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    assert anytime_winner(visits, np.zeros_like(sigma), sigma, LEGAL) == 1


def test_improved_policy_is_zero_on_illegal_actions_only() -> None:
    logits = np.array([[0.0, 1.0, 400.0, -1.0]], np.float32)
    legal = np.array([[True, True, False, True]])
    policy = improved_policy(logits, np.array([[0.0, 2.0, 0.0, 1.0]], np.float32), legal)
    weights = np.exp([0.0, 3.0, -np.inf, 0.0])
    np.testing.assert_allclose(policy[0], weights / weights.sum(), rtol=1e-6)
    assert policy[0, 2] == 0.0


def test_root_scores_peak_at_zero_among_legal_actions() -> None:
    logits = np.array([[5.0, 7.0, 9.0]], np.float32)
    scores = root_scores(logits, np.array([[True, True, False]]), np.zeros_like(logits))
    assert scores[0, :2].tolist() == [-2.0, 0.0]


def test_rounds_double_and_widen() -> None:
    rounds = HalvingRounds(num_considered=4, num_legal=10, max_simulations=10_000)
    lengths, widths, length, width = [], [], 0, 0
    while len(lengths) < 5:
        length += 1
        width += rounds.considered == 0
        if rounds.advance():
            lengths.append(length)
            widths.append(width)
            length = width = 0
    assert lengths == [32, 64, 128, 256, 512]
    assert widths == [4, 4, 8, 8, 10]


def test_a_short_search_is_one_round() -> None:
    rounds = HalvingRounds(num_considered=4, num_legal=10, max_simulations=8)
    seen = []
    for _ in range(8):
        seen.append(rounds.considered)
        assert not rounds.advance()
    assert tuple(seen) == considered_visits(4, 8)
