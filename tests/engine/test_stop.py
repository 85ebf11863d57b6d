"""How soon a search ends that is told to: by the clock on the wall, with a network and a tree that is full."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import pytest

from engine.player import Player
from engine.search.result import StopReason
from engine.settings import PlayerSettings
from tests.support.tiny_models import write_tiny_model

STOPS_S = 0.02
READY_S = 120.0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("reground_every", [1, 0], ids=["looks", "imagines"])
def test_stops_within_20_ms(tmp_path: Path, threads: int, reground_every: int) -> None:
    """The median of some stops, for other programs may run beside it."""
    model = str(write_tiny_model(tmp_path, "tiny", trained=(19,), playable=(19, 19)))
    settings = PlayerSettings(
        model=model, threads=threads, reground_every=reground_every, max_memory_mib=16, reuse_tree=False
    )
    player = Player(settings=settings, board_size=19)
    assert player.ensure_ready(READY_S), player.ready_error
    waits_s = []
    for visits in range(100, 4000, 350):
        analysis = player.analyze()
        while analysis.snapshot().total_visits < visits:
            assert not analysis.wait(0.001).stop_reason
        start_s = time.monotonic()
        analysis.stop()
        result = analysis.wait()
        waits_s.append(time.monotonic() - start_s)
        assert result.stop_reason is StopReason.STOPPED
        assert result.visits.sum() == result.total_visits - 1
    assert result.is_full
    assert median(waits_s) < STOPS_S
    player.close()
