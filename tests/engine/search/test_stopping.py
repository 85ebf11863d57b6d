"""When a search ends, from scripted statistics of its root and scripted seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.search.choice import RootChoice
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.qvalues import RootStatistics
from engine.search.result import StopReason
from engine.search.roots import RootBatch
from engine.search.stopping import StopRules

ACTIONS = 3
PRIOR = np.array([[0.5, 0.3, 0.2]], np.float32)


def statistics_of(visits: list[int], q: list[float]) -> RootStatistics:
    return RootStatistics(
        visits=np.array([visits], np.int32),
        q=np.array([q], np.float32),
        variance=np.zeros((1, ACTIONS), np.float32),
        sigma=np.zeros((1, ACTIONS), np.float32),
        value=np.array([np.nanmean(q)], np.float32),
    )


@dataclass
class Script:
    """A search that stands where a test puts it."""

    limits: Limits
    config: SearchConfig = field(default_factory=lambda: SearchConfig(algorithm="puct"))
    to_play: int = 1
    elapsed_s: float = 0.0
    visits: list[int] = field(default_factory=lambda: [0] * ACTIONS)
    q: list[float] = field(default_factory=lambda: [0.0] * ACTIONS)
    under_way: int = 0
    looks: int = 0

    def __post_init__(self) -> None:
        roots = RootBatch(
            observations=np.zeros((1, 1), np.float32),
            legal_mask=np.ones((1, ACTIONS), bool),
            to_play=np.full(1, self.to_play, np.int8),
        )
        logits = np.log(PRIOR)
        choice = RootChoice(config=self.config, roots=roots, policy_logits=logits, prior=PRIOR, scores=logits)
        self.rules = StopRules(
            self.limits,
            choice,
            elapsed_s=lambda: self.elapsed_s,
            statistics=self.look,
            under_way=lambda: self.under_way,
        )

    def look(self) -> RootStatistics:
        self.looks += 1
        return statistics_of(self.visits, self.q)

    def at(self, elapsed_s: float, visits: list[int], q: list[float]) -> StopReason | None:
        """The reason to stop after these visits."""
        self.elapsed_s, self.visits, self.q = elapsed_s, visits, q
        return self.rules.reason(sum(visits) + self.under_way)


PLAYING = Limits(time_s=1.0, extra_s=0.5, early_stop=True)
LEADS = [0.3, 0.1, 0.0]
BETTER_BEHIND = [0.1, 0.3, 0.0]


def test_a_stable_choice_ends_in_time() -> None:
    script = Script(PLAYING)
    assert script.at(0.2, [60, 40, 10], LEADS) is None
    assert script.at(0.9, [150, 130, 20], LEADS) is None
    assert script.at(1.0, [170, 130, 20], LEADS) is StopReason.TIME


@pytest.mark.parametrize("to_play", [1, -1])
def test_a_better_contender_gets_extra_time(to_play: int) -> None:
    behind = [to_play * value for value in BETTER_BEHIND]
    leads = [to_play * value for value in LEADS]
    script = Script(PLAYING, to_play=to_play)
    assert script.at(0.2, [60, 40, 10], leads) is None
    assert script.at(1.0, [170, 130, 20], behind) is None
    assert script.at(1.4, [240, 190, 25], behind) is None
    assert script.at(1.5, [250, 200, 25], behind) is StopReason.TIME


def test_extra_time_ends_when_the_choice_is_stable() -> None:
    script = Script(PLAYING)
    assert script.at(0.2, [60, 40, 10], LEADS) is None
    assert script.at(1.0, [170, 130, 20], BETTER_BEHIND) is None
    assert script.at(1.1, [180, 150, 20], LEADS) is StopReason.TIME


def test_a_new_leader_gets_extra_time_until_it_has_proved_itself() -> None:
    script = Script(PLAYING)
    assert script.at(0.5, [60, 40, 10], LEADS) is None
    assert script.at(1.0, [80, 100, 10], BETTER_BEHIND) is None
    assert script.at(1.2, [90, 160, 20], BETTER_BEHIND) is StopReason.TIME


def test_a_rarely_visited_action_is_no_contender() -> None:
    script = Script(PLAYING)
    assert script.at(0.2, [60, 40, 5], [0.1, 0.0, 0.9]) is None
    assert script.at(1.0, [170, 130, 20], [0.1, 0.0, 0.9]) is StopReason.TIME


@pytest.mark.parametrize(
    ("limits", "config"),
    [
        (Limits(time_s=1.0, early_stop=True), SearchConfig(algorithm="puct")),
        (Limits(time_s=1.0, extra_s=0.5), SearchConfig(algorithm="puct")),
        (PLAYING, SearchConfig(algorithm="gumbel")),
    ],
    ids=["no extra time", "analysis", "gumbel"],
)
def test_no_extra_time(limits: Limits, config: SearchConfig) -> None:
    assert Script(limits, config).at(1.0, [170, 130, 20], BETTER_BEHIND) is StopReason.TIME


def test_looks_get_rarer() -> None:
    script = Script(Limits(visits=10_000, early_stop=True))
    for count in range(6000):
        half = count // 2
        assert script.at(0.0, [half, count - half, 0], LEADS) is None
    assert 50 < script.looks < 200


def test_lcb_is_not_decided_against_a_better_contender() -> None:
    config = SearchConfig(algorithm="puct", choice="lcb")
    for chosen, expected in ((config, None), (SearchConfig(algorithm="puct"), StopReason.DECIDED)):
        script = Script(Limits(visits=200, early_stop=True), chosen)
        assert script.at(0.0, [30, 10, 0], BETTER_BEHIND) is None
        assert script.at(0.0, [150, 25, 0], BETTER_BEHIND) is expected
    script = Script(Limits(visits=200, early_stop=True), config)
    assert script.at(0.0, [30, 10, 0], LEADS) is None
    assert script.at(0.0, [150, 25, 0], LEADS) is StopReason.DECIDED


@pytest.mark.parametrize("under_way", [0, 10])
def test_simulations_under_way_may_still_overtake(under_way: int) -> None:
    for visits, expected in (([100, 60, 0], None), ([101, 59, 0], StopReason.DECIDED)):
        script = Script(Limits(visits=201, early_stop=True), under_way=under_way)
        assert script.at(0.0, visits, LEADS) is expected
