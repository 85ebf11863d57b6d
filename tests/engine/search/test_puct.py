"""MuZero's root: noise and visit policies."""

from __future__ import annotations

import numpy as np

from engine.search.puct import add_dirichlet_noise, best_by_lower_bound, lower_bounds, most_visited, visit_policy

PRIOR = np.array([[0.5, 0.3, 0.2, 0.0]], np.float32)
LEGAL = np.array([[True, True, True, False]])


def test_noise_is_a_distribution_over_legal_actions() -> None:
    rng = np.random.default_rng(0)
    noisy = add_dirichlet_noise(PRIOR, LEGAL, alpha=0.3, fraction=0.25, rng=rng)
    np.testing.assert_allclose(noisy.sum(axis=1), 1.0, rtol=1e-6)
    assert noisy[0, 3] == 0.0
    assert (noisy >= 0.75 * PRIOR - 1e-6).all()
    assert not np.allclose(noisy, PRIOR)


def test_no_noise_draws_no_random_number() -> None:
    rng = np.random.default_rng(0)
    assert add_dirichlet_noise(PRIOR, LEGAL, alpha=0.3, fraction=0.0, rng=rng) is PRIOR
    assert rng.random() == np.random.default_rng(0).random()


def test_noise_survives_a_tiny_alpha() -> None:
    noisy = add_dirichlet_noise(PRIOR, LEGAL, alpha=1e-4, fraction=1.0, rng=np.random.default_rng(1))
    np.testing.assert_allclose(noisy.sum(axis=1), 1.0, rtol=1e-6)


def test_visit_policy_falls_back_to_the_prior() -> None:
    np.testing.assert_allclose(visit_policy(np.array([[1, 0, 3, 0]], np.int32), PRIOR)[0], [0.25, 0, 0.75, 0])
    np.testing.assert_allclose(visit_policy(np.zeros((1, 4), np.int32), PRIOR), PRIOR)


def test_most_visited_breaks_ties_by_prior() -> None:
    assert most_visited(np.array([[2, 5, 5, 9]], np.int32), PRIOR, LEGAL) == 1


def bounds_of(visits: list[int], q: list[float], variance: list[float], stdevs: float = 5.0) -> np.ndarray:
    arrays = np.array([visits], np.int32), np.array([q], np.float32), np.array([variance], np.float32)
    return lower_bounds(*arrays, stdevs=stdevs)[0]


def test_lower_bound_is_standard_errors_below_the_mean() -> None:
    bound = bounds_of([10_000], [0.2], [0.04])[0]
    assert np.isclose(bound, 0.2 - 5.0 * 0.2 / 100.0, atol=1e-5)
    assert bounds_of([0], [np.nan], [np.nan])[0] == -np.inf
    assert np.isclose(bounds_of([7], [0.3], [0.1], stdevs=0.0)[0], 0.3)


def test_equal_values_are_not_certain_while_they_are_few() -> None:
    bounds = bounds_of([1, 4, 16, 64], [0.5] * 4, [0.0] * 4)
    assert (np.diff(bounds) > 0).all()
    assert bounds[0] < -1.0
    assert bounds[3] > 0.48


def test_best_bound_needs_a_share_of_the_visits_and_must_be_legal() -> None:
    visits, bounds = np.array([[100, 20, 10, 90]], np.int32), np.array([[0.1, 0.2, 0.9, 0.95]])
    assert best_by_lower_bound(bounds, visits, LEGAL, min_share=0.15) == 1
    assert best_by_lower_bound(bounds, visits, LEGAL, min_share=0.25) == 0
    assert best_by_lower_bound(bounds, visits, LEGAL, min_share=0.1) == 2
