"""Limits and the question whether the choice is made."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import InvalidConfig, InvalidInput
from engine.search.config import SearchConfig
from engine.search.limits import MAX_SIMULATIONS, Limits, is_overtaking_possible, simulations_left


def test_most_simulations() -> None:
    assert Limits(visits=1).max_simulations == 0
    assert Limits(visits=10).max_simulations == 9
    assert Limits(playouts=10).max_simulations == 10
    assert Limits(visits=10, playouts=3).max_simulations == 3
    assert Limits().max_simulations == MAX_SIMULATIONS


@pytest.mark.parametrize(
    "wrong", [{"time_s": -0.1}, {"time_s": math.nan}, {"time_s": math.inf}, {"visits": 0}, {"playouts": -1}]
)
def test_impossible_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=r"expected"):
        Limits(**wrong)


def test_simulations_left() -> None:
    assert simulations_left(Limits(), simulations=5, elapsed_s=9.0) == math.inf
    assert simulations_left(Limits(playouts=20), simulations=5, elapsed_s=9.0) == 15
    # 100 a second for one more second, and a margin.
    assert simulations_left(Limits(time_s=2.0), simulations=100, elapsed_s=1.0) == pytest.approx(125)
    assert simulations_left(Limits(time_s=2.0), simulations=100, elapsed_s=0.05) == math.inf
    assert simulations_left(Limits(time_s=2.0), simulations=100, elapsed_s=3.0) == 0


def test_overtaking() -> None:
    visits = np.array([3, 20, 11, 0], np.int32)
    assert is_overtaking_possible(visits, 9)
    assert not is_overtaking_possible(visits, 8)
    assert is_overtaking_possible(visits, math.inf)
    assert not is_overtaking_possible(np.array([7], np.int32), math.inf)


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "minimax"},
        {"value_transform": "none"},
        {"num_simulations": 0},
        {"num_considered": 0},
        {"discount": 0.0},
        {"dirichlet_fraction": 1.5},
        {"c_puct_base": 0.0},
        {"c_visit": math.nan},
        {"fpu_reduction": -0.1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    name = next(iter(wrong))
    with pytest.raises(InvalidConfig, match=name):
        SearchConfig(**wrong)  # type: ignore[arg-type]
