"""The self-play benchmark: phases that add up, and what it says where the other side is not installed."""

from __future__ import annotations

import time

import pytest

from benchmarks import selfplay
from benchmarks.selfplay import RECORDS, Stopwatch, main
from engine.model.runtime import Graph


def test_a_phase_inside_another_interrupts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 7.0, 15.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    watch = Stopwatch()
    inner = watch.timed(lambda x: x + 1, "inner")
    assert watch.timed(inner, "outer")(1) == 2
    assert watch.seconds == {RECORDS: 1.0, "outer": 2.0 + 8.0, "inner": 4.0}


def test_a_small_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(selfplay, "OTHERS", ("numpy", "no_such_package"))
    original = Graph.run
    assert main(["--preset", "go5", "--games", "4", "--channels", "8", "--plies", "1", "--rounds", "1"]) == 0
    assert Graph.run is original
    output = capsys.readouterr().out
    assert "4 games of 5x5, 16 simulations over 8 candidates, 8 channels" in output
    assert "no comparison: no_such_package not installed" in output
    shares = [line.split()[-5] for line in output.splitlines() if line.endswith("us a move")]
    assert len(shares) == 6
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(100.0, abs=0.5)
