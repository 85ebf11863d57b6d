"""How limits and deadline are joined: tables of numbers."""

from __future__ import annotations

import math

import grpc
import pytest

from engine.errors import InvalidConfig
from protocol.rpc.budget import Budget, RequestedLimits, ServerLimits, expected_s, latest_start_s, plan_budget
from protocol.rpc.failures import RpcFailure

LIMITS = ServerLimits(default_time_s=10.0, max_time_s=60.0, deadline_slack_s=0.04, policy_move_s=0.005)


def plan(remaining_s: float | None, **requested: float) -> Budget:
    return plan_budget(RequestedLimits(**requested), remaining_s=remaining_s, evaluation_s=0.01, limits=LIMITS)


@pytest.mark.parametrize(
    ("remaining_s", "requested", "time_s", "visits", "is_cut"),
    [
        (None, {}, 10.0, None, False),
        (None, {"time_s": 3.0}, 3.0, None, False),
        (None, {"visits": 50}, 60.0, 50, False),
        (None, {"early_stop": True}, 10.0, None, False),
        (None, {"time_s": 30.0, "visits": 50}, 30.0, 50, False),
        (5.0, {}, 4.96, None, True),
        (100.0, {}, 60.0, None, False),
        (5.0, {"time_s": 3.0}, 3.0, None, False),
        (2.0, {"time_s": 3.0}, 1.96, None, True),
        (5.0, {"visits": 50}, 4.96, 50, True),
        (0.051, {"time_s": 3.0}, 0.011, None, True),
        (0.049, {"time_s": 3.0, "visits": 50}, 0.009, 1, True),
        (0.005, {}, 0.001, 1, True),
    ],
)
def test_budget(
    remaining_s: float | None, requested: dict[str, float], time_s: float, visits: int | None, is_cut: bool
) -> None:
    budget = plan(remaining_s, **requested)
    assert budget.time_s == pytest.approx(time_s)
    assert (budget.visits, budget.is_cut_by_deadline) == (visits, is_cut)


@pytest.mark.parametrize("remaining_s", [0.0049, 0.0, -1.0])
def test_too_late_for_any_move(remaining_s: float) -> None:
    with pytest.raises(RpcFailure) as failure:
        plan(remaining_s)
    assert failure.value.code == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("remaining_s", "requested", "expected"),
    [
        (None, {}, 10.0),
        (None, {"visits": 100}, 1.0),
        (None, {"visits": 3_000}, 30.0),
        (None, {"visits": 10_000}, 60.0),
        (2.0, {}, 1.96),
        (2.0, {"time_s": 1.0}, 1.0),
        (0.01, {}, 0.0),
    ],
)
def test_expected_time(remaining_s: float | None, requested: dict[str, float], expected: float) -> None:
    limits = RequestedLimits(**requested)
    assert expected_s(limits, remaining_s=remaining_s, evaluation_s=0.01, limits=LIMITS) == pytest.approx(expected)


def test_latest_start() -> None:
    assert latest_start_s(None, evaluation_s=0.01, limits=LIMITS) == math.inf
    assert latest_start_s(1.0, evaluation_s=0.01, limits=LIMITS) == pytest.approx(0.95)


def test_the_default_time_is_within_the_longest() -> None:
    limits = ServerLimits(max_time_s=5.0)
    assert limits.default_time_s == 5.0
    assert plan_budget(RequestedLimits(), remaining_s=None, evaluation_s=0.01, limits=limits).time_s == 5.0


@pytest.mark.parametrize("wrong", [{"max_time_s": 0.0}, {"max_visits": -1}, {"deadline_slack_s": float("nan")}])
def test_limits_that_let_nothing_through(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        ServerLimits(**wrong)
