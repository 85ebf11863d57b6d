"""The player's settings: what is refused, and what the defaults come to."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InvalidConfig
from engine.search.config import SearchConfig
from engine.settings import PlayerSettings, available_cores


@pytest.mark.parametrize(
    "fields",
    [
        {"algorithm": "minimax"},
        {"time_s": 0},
        {"time_s": float("nan")},
        {"max_time_s": float("inf")},
        {"lag_buffer_s": -1},
        {"resign_winrate": 0.5},
        {"seed": -1},
        {"threads": -1},
        {"visits": 0},
        {"resign_turns": 0},
        {"max_memory_mib": 1},
        {"max_memory_mib": 2**40},
        {"concurrent_searches": 0},
        {"rules_depth": -1},
        {"rules_depth": float("nan")},
        {"reground_every": -1},
        {"reground_every": 256},
        {"cache_share": -0.1},
        {"cache_share": 1},
    ],
)
def test_out_of_range(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(fields))):
        PlayerSettings(**fields)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 1.0),
        ({"time_s": 5}, 5.0),
        ({"time_s": 5, "max_time_s": 2}, 2.0),
        ({"visits": 100}, 60.0),
        ({"visits": 100, "time_s": 3}, 3.0),
    ],
)
def test_time_of_a_move_without_a_clock(fields: dict[str, Any], seconds: float) -> None:
    assert PlayerSettings(**fields).default_time_s == seconds


@pytest.mark.parametrize(
    ("algorithm", "visits", "expected"),
    [
        ("auto", None, "puct"),
        ("auto", 64, "gumbel"),
        ("auto", 65, "puct"),
        ("puct", 10, "puct"),
        ("gumbel", None, "gumbel"),
    ],
)
def test_algorithm(algorithm: Any, visits: int | None, expected: str) -> None:
    assert PlayerSettings(algorithm=algorithm).resolve_algorithm(visits) == expected


@pytest.mark.parametrize(("visits", "considered"), [(None, 16), (1, 2), (8, 4), (16, 8), (400, 16)])
def test_considered_actions(visits: int | None, considered: int) -> None:
    assert PlayerSettings().search_config(visits).num_considered == considered


def test_the_search_s_constants_are_the_settings_own() -> None:
    settings = PlayerSettings(search=SearchConfig(choice="lcb", c_puct_init=0.5))
    assert settings.search_config(None) == SearchConfig(
        algorithm="puct", num_considered=16, choice="lcb", c_puct_init=0.5
    )
    assert settings.search_config(16).algorithm == "gumbel"


def test_threads_are_the_cores_unless_told() -> None:
    assert PlayerSettings(threads=3).num_threads == 3
    assert PlayerSettings().num_threads == min(available_cores(), 16)
    assert available_cores() >= 1
