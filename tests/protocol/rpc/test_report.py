"""A search result as messages, where the whole server is more than the test needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.search.search import SearchResult, StopReason
from protocol.rpc.budget import Budget, RequestedLimits
from protocol.rpc.query import Query
from protocol.rpc.report import to_response
from protocol.rpc.search_task import Outcome
from protocol.v1 import engine_pb2 as pb
from tests.support.scripted_result import scripted_result


def query(*, color: int = BLACK, visits: int | None = None, max_pv_length: int = 1) -> Query:
    position = Position(5)
    position.to_play = color
    return Query(
        position=position,
        size=5,
        to_play=color,
        limits=RequestedLimits(visits=visits),
        model=None,
        seed=None,
        max_candidates=10,
        max_pv_length=max_pv_length,
        include_policy=True,
        include_ownership=True,
        request_id="",
    )


def outcome(result: SearchResult, *, visits: int | None = None, is_cut: bool = False, imagines: bool = True) -> Outcome:
    budget = Budget(time_s=1.0, visits=visits, is_cut_by_deadline=is_cut)
    return Outcome(
        result=result,
        imagines=imagines,
        seed=2**64 - 1,
        model="net@12ab",
        budget=budget,
        queue_s=0.25,
        search_s=1.5,
    )


def result(reason: StopReason = StopReason.VISITS) -> SearchResult:
    return scripted_result(Position(5), reason)


def bare_policy() -> SearchResult:
    """What a search of one visit knows: the root's evaluation."""
    actions = 26
    return replace(result(), visits=np.zeros(actions, np.int32), q=np.full(actions, np.nan, np.float32), total_visits=1)


@pytest.mark.parametrize(("color", "win_rate"), [(BLACK, 0.75), (WHITE, 0.25)])
def test_bare_policy_has_one_candidate_with_the_value_of_the_root(color: int, win_rate: float) -> None:
    response = to_response(query(color=color), outcome(bare_policy()))
    [candidate] = response.analysis.candidates
    assert candidate.action == response.action
    assert (candidate.visits, candidate.win_rate, response.analysis.visits) == (0, win_rate, 1)


def test_times_seed_and_model() -> None:
    analysis = to_response(query(), outcome(result())).analysis
    assert (analysis.queue_time.ToMilliseconds(), analysis.search_time.ToMilliseconds()) == (250, 1500)
    assert (analysis.seed, analysis.model) == (2**64 - 1, "models/net@12ab")


def test_a_model_without_score_and_ownership_says_nothing_of_them() -> None:
    silent = replace(result(), ownership=None, score_mean=None, score_stdev=None)
    analysis = to_response(query(), outcome(silent)).analysis
    assert not analysis.HasField("root_score_lead")
    assert list(analysis.ownership) == []


@pytest.mark.parametrize(("imagines", "length"), [(True, 2), (False, 3)])
def test_only_what_is_imagined_is_checked_by_the_rules(imagines: bool, length: int) -> None:
    """The third move of the script's best variation is illegal."""
    best, *_ = to_response(query(max_pv_length=15), outcome(result(), imagines=imagines)).analysis.candidates
    assert len(best.principal_variation) == length


@pytest.mark.parametrize("value", [1.0 + 1e-6, -1.0 - 1e-6])
def test_win_rates_stay_in_their_range(value: float) -> None:
    analysis = to_response(query(), outcome(replace(result(), root_value=value))).analysis
    assert analysis.root_win_rate in (0.0, 1.0)


@pytest.mark.parametrize(
    ("reason", "asked", "granted", "is_cut", "expected"),
    [
        (StopReason.VISITS, 5, 5, True, pb.STOP_REASON_VISITS),
        (StopReason.VISITS, 5, 1, True, pb.STOP_REASON_DEADLINE),
        (StopReason.VISITS, None, 1, True, pb.STOP_REASON_DEADLINE),
        (StopReason.TIME, None, None, True, pb.STOP_REASON_DEADLINE),
        (StopReason.TIME, None, None, False, pb.STOP_REASON_TIME),
        (StopReason.DECIDED, None, None, True, pb.STOP_REASON_DECIDED),
        (StopReason.ONLY_MOVE, None, None, True, pb.STOP_REASON_ONLY_MOVE),
        (StopReason.STOPPED, None, None, False, pb.STOP_REASON_SERVER_DRAIN),
    ],
)
def test_stop_reason(reason: StopReason, asked: int | None, granted: int | None, is_cut: bool, expected: int) -> None:
    response = to_response(query(visits=asked), outcome(result(reason), visits=granted, is_cut=is_cut))
    assert response.analysis.stop_reason == expected
