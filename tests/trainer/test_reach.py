"""How far rewards and returns reach, and what of them a network cannot learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.go_games import random_games
from trainer.network import NetworkConfig
from trainer.reach import cut_off, reach
from trainer.record import GameRecord
from trainer.support import Support


def game(*rewards: float, bootstrap: float = 0.0) -> GameRecord:
    [record] = random_games(1, size=3, seed=0)
    return dataclasses.replace(record, rewards=np.array(rewards, np.float32), bootstrap=bootstrap)


def network(value: Support, reward: Support | None = None) -> NetworkConfig:
    return NetworkConfig(kind="vector", num_actions=2, value=value, reward=reward)


def test_returns_are_discounted_and_end_in_what_would_have_come() -> None:
    found = reach([game(1.0, 0.0, 8.0), game(-2.0, bootstrap=-4.0)], discount=0.5)
    assert found == {"reward_low": -2.0, "reward_high": 8.0, "value_low": -4.0, "value_high": 8.0}
    assert reach([game(1.0, 1.0, 1.0)], discount=1.0)["value_high"] == 3.0
    assert reach([], discount=1.0) == {}


def test_what_is_beyond_a_support_is_named_with_the_setting_to_change() -> None:
    figures = reach([game(2.0, 210.0)], discount=1.0)
    cut = cut_off(figures, network(Support(low=0.0, high=100.0), Support(low=2.5, high=210.0)))
    assert list(cut) == ["network.value.high", "network.reward.low"]
    assert cut["network.value.high"].startswith("returns reach 212, but network.value.high is 100: ")
    assert cut["network.value.high"].endswith("begin a new run with --set network.value.high=212 or further out")
    assert "rewards reach 2, but network.reward.low is 2.5: " in cut["network.reward.low"]
    assert not cut_off(figures, network(Support(low=0.0, high=212.0)))  # no rewards to learn
    assert not cut_off({}, network(Support(high=0.0)))


def test_what_is_compressed_is_compared_as_such() -> None:
    support = Support(low=0.0, high=10.0, compress=True)
    assert not cut_off({"value_high": 117.0}, network(support))  # sqrt(118) - 1 + 0.117 = 9.98
    assert cut_off({"value_high": 255.0}, network(support))["network.value.high"].startswith(
        "returns reach 255 (compressed 15.26), but network.value.high is 10: "
    )


@pytest.mark.parametrize("number", [0.1, 1.0, 0.7])
def test_what_rounding_does_is_not_beyond(number: float) -> None:
    figures = reach([game(*[number] * 3)], discount=1.0)
    fitting = Support(low=-3 * number, high=3 * number)
    assert not cut_off(figures, network(fitting, Support(low=0.0, high=number)))
