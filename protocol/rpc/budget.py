"""How long one request may search: its own limits, the server's limits and the call's deadline, joined.

Pure arithmetic on seconds; knows neither clock nor gRPC call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import InvalidConfig
from protocol.rpc import failures


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What the server grants at most; clients read it with GetServerInfo."""

    max_concurrent_searches: int = 1
    """Searches at a time; each uses its share of the threads."""
    max_queue_length: int = 100
    """Requests that may wait for a search to end; who would wait past its deadline is refused in any case."""
    default_time_s: float = 10.0
    """Search time of a request with neither limit nor deadline; `max_time_s` if that is less."""
    max_time_s: float = 60.0
    """Longest search time that a request may ask for, or that a deadline or a number of visits may take."""
    max_visits: int = 1_000_000
    """Most visits that a request may ask for."""
    deadline_slack_s: float = 0.04
    """Kept back from a deadline for the answer's way to the client."""
    policy_move_s: float = 0.005
    """Time before the deadline in which the network's first choice can still be sent."""
    max_message_bytes: int = 384 * 1024
    """Largest request."""

    def __post_init__(self) -> None:
        """Caps the default time. Raises `InvalidConfig` for a limit that would let nothing through."""
        for name in ("max_concurrent_searches", "default_time_s", "max_time_s", "max_visits", "max_message_bytes"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidConfig(f"{name} must be positive, not {value}")
        for name in ("max_queue_length", "deadline_slack_s", "policy_move_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidConfig(f"{name} must not be negative: {value}")
        object.__setattr__(self, "default_time_s", min(self.default_time_s, self.max_time_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedLimits:
    """What the client asked for, checked against the server's limits."""

    time_s: float | None = None
    """Search time without waiting, seconds; None: not given."""
    visits: int | None = None
    """Visits of the root, its own evaluation included; None: not given."""
    early_stop: bool = False
    """Whether to end as soon as no other move can become the best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one search gets; the first limit reached ends it."""

    time_s: float
    """Seconds from the start of the search."""
    visits: int | None
    """Visits of the root, its own evaluation included; None: as many as there is time for."""
    is_cut_by_deadline: bool
    """Whether running out of this budget is the deadline's doing, not the request's."""


def plan_budget(
    requested: RequestedLimits, *, remaining_s: float | None, evaluation_s: float, limits: ServerLimits
) -> Budget:
    """The budget of a search that starts now.

    `remaining_s`: time left until the call's deadline, None without one. `evaluation_s`: what one evaluation of the
    network takes. Raises a DEADLINE_EXCEEDED failure when not even a policy move can arrive in time.
    """
    time_s = _wanted_time_s(requested, has_deadline=remaining_s is not None, limits=limits)
    if remaining_s is None:
        return Budget(time_s=time_s, visits=requested.visits, is_cut_by_deadline=False)
    usable_s = remaining_s - limits.deadline_slack_s
    if usable_s >= evaluation_s:
        is_cut = usable_s < time_s
        return Budget(time_s=min(time_s, usable_s), visits=requested.visits, is_cut_by_deadline=is_cut)
    if remaining_s >= limits.policy_move_s:
        return Budget(time_s=max(usable_s, 0.001), visits=1, is_cut_by_deadline=True)
    milliseconds = max(remaining_s, 0.0) * 1000
    raise failures.deadline_exceeded(f"{milliseconds:.1f} ms before the deadline is too late for any move")


def expected_s(
    requested: RequestedLimits, *, remaining_s: float | None, evaluation_s: float, limits: ServerLimits
) -> float:
    """Seconds that the search will take at most, as far as can be foreseen on arrival."""
    time_s = _wanted_time_s(requested, has_deadline=remaining_s is not None, limits=limits)
    if requested.visits is not None:
        time_s = min(time_s, requested.visits * evaluation_s)
    return time_s if remaining_s is None else max(0.0, min(time_s, remaining_s - limits.deadline_slack_s))


def latest_start_s(remaining_s: float | None, *, evaluation_s: float, limits: ServerLimits) -> float:
    """Seconds from now after which a search need not start; negative when only a policy move is left."""
    if remaining_s is None:
        return math.inf
    return remaining_s - limits.deadline_slack_s - evaluation_s


def _wanted_time_s(requested: RequestedLimits, *, has_deadline: bool, limits: ServerLimits) -> float:
    if requested.time_s is not None:
        return min(requested.time_s, limits.max_time_s)
    is_bounded = has_deadline or requested.visits is not None
    return limits.max_time_s if is_bounded else limits.default_time_s
