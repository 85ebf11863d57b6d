"""MuZero's root: noise and visit policies."""

from __future__ import annotations

import numpy as np

from engine.search.puct import add_dirichlet_noise, most_visited, visit_policy

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
