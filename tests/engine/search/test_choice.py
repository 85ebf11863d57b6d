"""The action of a PUCT search, by visits or by lower bounds, for either player."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidConfig
from engine.search.choice import RootChoice
from engine.search.config import SearchConfig
from engine.search.qvalues import RootStatistics
from engine.search.roots import RootBatch

ACTIONS = 3


def choose(config: SearchConfig, *, to_play: int, visits: list[int], q: list[float], variance: list[float]) -> int:
    roots = RootBatch(
        observations=np.zeros((1, 1), np.float32),
        legal_mask=np.ones((1, ACTIONS), bool),
        to_play=np.full(1, to_play, np.int8),
    )
    even = np.full((1, ACTIONS), 1.0 / ACTIONS, np.float32)
    zeros = np.zeros((1, ACTIONS), np.float32)
    statistics = RootStatistics(
        visits=np.array([visits], np.int32),
        q=np.array([q], np.float32),
        variance=np.array([variance], np.float32),
        sigma=zeros,
        value=np.zeros(1, np.float32),
    )
    choice = RootChoice(config=config, roots=roots, policy_logits=zeros, prior=even, scores=even * [[1, 2, 1]])
    return int(choice.action(statistics)[0])


VISITS = SearchConfig(algorithm="puct")
LCB = SearchConfig(algorithm="puct", choice="lcb")


@pytest.mark.parametrize("to_play", [1, -1])
def test_a_certain_better_value_beats_a_few_more_visits(to_play: int) -> None:
    q = [to_play * 0.1, to_play * 0.3, 0.0]
    position = {"to_play": to_play, "visits": [1000, 900, 5], "q": q}
    assert choose(VISITS, **position, variance=[0.01, 0.01, 0.0]) == 0  # type: ignore[arg-type]
    assert choose(LCB, **position, variance=[0.01, 0.01, 0.0]) == 1  # type: ignore[arg-type]
    assert choose(LCB, **position, variance=[0.01, 4.0, 0.0]) == 0  # type: ignore[arg-type]


def test_without_visits_the_network_decides() -> None:
    nothing = [np.nan] * ACTIONS
    assert choose(LCB, to_play=1, visits=[0, 0, 0], q=nothing, variance=nothing) == 1


def test_bounds_are_for_outcomes() -> None:
    with pytest.raises(InvalidConfig, match="choice"):
        SearchConfig(algorithm="puct", choice="lcb", value_transform="minmax")
