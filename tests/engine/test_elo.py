from __future__ import annotations

import math

import numpy as np
import pytest

from engine.elo import paired_share, to_elo, wilson_interval


def test_elo_of_a_share() -> None:
    """40 losses and 60 wins are 70.4 Elo."""
    assert to_elo(0.6) == pytest.approx(70.43650362)
    assert to_elo(0.4) == pytest.approx(-70.43650362)
    assert to_elo(0.5) == 0.0
    assert to_elo(1.0) == math.inf
    assert to_elo(0.0) == -math.inf


def test_the_interval_comes_from_the_pairs() -> None:
    """fastchess' pentanomial [10789, 19328, 33806, 19402, 10543]: Elo -0.7735773359 +- 1.2775798957."""
    counts = [10789, 19328, 33806, 19402, 10543]
    pairs = [points / 4 for points, count in enumerate(counts) for _ in range(count)]
    elo, low, high = paired_share(pairs).elo
    assert elo == pytest.approx(-0.7735773359, abs=1e-6)
    assert (high - low) / 2 == pytest.approx(1.2775798957, abs=1e-4)


def test_pairs_that_are_all_alike_still_leave_doubt() -> None:
    for value in (0.0, 0.5, 1.0):
        share = paired_share([value] * 20)
        assert share.mean == value
        assert 0.0 <= share.low <= value <= share.high <= 1.0
        assert share.high - share.low > 0.1
    assert paired_share([1.0]).low < 0.5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    truth = 0.6
    pairs = rng.binomial(2, truth, size=(2000, 100)) / 2
    held = np.mean([share.low <= truth <= share.high for share in map(paired_share, pairs.tolist())])
    assert 0.93 < held < 0.97


def test_wilson_interval() -> None:
    """Wilson (1927) as tabulated: 8 of 10 is 0.490 to 0.943."""
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(50, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert wilson_interval(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)
