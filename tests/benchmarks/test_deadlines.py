"""The benchmark of deadlines: it measures what it says, on an engine that needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import deadlines
from engine.player import Player
from engine.settings import PlayerSettings
from tests.support.scripted_models import ScriptedModels
from tests.support.tiny_models import write_tiny_model


def make_player(**settings: float) -> Player:
    return Player(
        models=ScriptedModels(3),
        settings=PlayerSettings(threads=1, max_memory_mib=16, resign=False, lag_buffer_s=0.0, **settings),  # type: ignore[arg-type]
        board_size=3,
    )


def test_lateness_counts_from_the_end_of_the_budget() -> None:
    player = make_player(time_s=0.02)
    player.ensure_ready(60)
    lateness = deadlines.timed_moves(player, 12)
    assert len(lateness) == 12
    assert min(lateness) >= -0.02
    player.close()


@pytest.mark.parametrize(
    ("lateness", "kept"), [([0.0] * 99 + [0.14], True), ([0.0] * 95 + [0.06] * 5, False), ([0.0] * 999 + [0.2], False)]
)
def test_limits(lateness: list[float], kept: bool) -> None:
    assert deadlines.report(lateness) is kept


@pytest.mark.parametrize("number", range(4))
def test_a_game_without_time_is_lost(number: int) -> None:
    player = make_player(visits=8)
    player.ensure_ready(60)
    assert deadlines.lost_on_time(player, deadlines.systems(1e-6)[number])
    assert not deadlines.lost_on_time(player, deadlines.systems(20.0)[number])
    player.close()


@pytest.mark.slow
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_tiny_model(tmp_path, "tiny"))
    arguments = ["--model", model, "--size", "3", "--moves", "4", "--time", "0.02", "--games", "1", "--main-time", "1"]
    assert deadlines.main([*arguments, "--threads", "1", "--idle"]) in (0, 1)
    assert "games of 1 s a side" in capsys.readouterr().out
