"""The benchmark of an accelerator, rehearsed on a CPU."""

from __future__ import annotations

import re

import pytest

from benchmarks.gpu import main

SETTINGS = {
    "env.size": 4,
    "env.smaller": "[{size=3, komi_low=0.5, komi_high=0.5}]",
    "env.stages": "[{shares={4=0.7, 3=0.3}}]",
    "network.channels": 8,
    "network.representation_blocks": 1,
    "network.head_channels": 8,
    "search.num_considered": 2,
    "selfplay.num_games": 8,
    "selfplay.search_threads": 2,
    "learner.batch_size": 32,
}


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # ONNX Runtime, and torch as on an accelerator
def test_it_prints_rates_and_ratios(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    assert main(["--device", device, "--simulations", "2", "4", "--seconds", "0.2", *settings]) == 0
    head, columns, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{device}: 8 games of 4x4, network 8/1/2, self-play in bfloat16, batch of 32 windows")
    assert columns.startswith("simulations  threads  moves/s")
    rows = [re.fullmatch(r" +(\d+) +(\d+) +[1-9]\d* +(\d+)% +60%", line) for line in lines[:4]]
    assert [(row[1], row[2]) for row in rows if row] == [("2", "1"), ("2", "2"), ("4", "1"), ("4", "2")]
    assert all(0 < int(row[3]) <= 100 for row in rows if row)
    assert lines[4] == "precision  windows/s  ratio"
    assert re.fullmatch(r"  float32 +[1-9]\d* +1\.00", lines[5])
    assert re.fullmatch(r" bfloat16 +[1-9]\d* +\d+\.\d\d", lines[6])
