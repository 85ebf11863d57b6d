"""When the engine resigns."""

from __future__ import annotations

import pytest

from engine.go.rules import BLACK, WHITE
from engine.resignation import Resignation
from engine.settings import PlayerSettings

SETTINGS = PlayerSettings()


def turns(resignation: Resignation, *winrates: float, color: int = BLACK, ply: int = 40) -> list[bool]:
    return [resignation.is_due(color, winrate, ply=ply, area=81, settings=SETTINGS) for winrate in winrates]


def test_three_hopeless_turns_in_a_row() -> None:
    assert turns(Resignation(), 0.04, 0.04, 0.04) == [False, False, True]
    assert turns(Resignation(), 0.04, 0.04, 0.05, 0.04, 0.04, 0.04) == [False] * 5 + [True]


def test_each_colour_counts_its_own() -> None:
    resignation = Resignation()
    assert turns(resignation, 0.0, 0.0) == [False, False]
    assert turns(resignation, 0.0, 0.0, color=WHITE) == [False, False]
    assert turns(resignation, 0.9, color=WHITE) == [False]
    assert turns(resignation, 0.0) == [True]


def test_never_early() -> None:
    resignation = Resignation()
    assert turns(resignation, 0.0, 0.0, 0.0, 0.0, ply=20) == [False] * 4
    assert turns(resignation, 0.0, ply=21) == [True]


def test_a_new_game_forgets() -> None:
    resignation = Resignation()
    turns(resignation, 0.0, 0.0)
    resignation.reset()
    assert turns(resignation, 0.0, 0.0, 0.0) == [False, False, True]


@pytest.mark.parametrize("settings", [PlayerSettings(resign=False), PlayerSettings(resign_winrate=0.0)])
def test_switched_off(settings: PlayerSettings) -> None:
    resignation = Resignation()
    assert not any(resignation.is_due(BLACK, 0.0, ply=60, area=81, settings=settings) for _ in range(9))
