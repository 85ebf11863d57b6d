"""The measurement before a run: what it chooses, and what it says."""

from __future__ import annotations

import re

import pytest

from tests.trainer.test_loop import miniature
from trainer import probe as probing
from trainer.config import TrainConfig
from trainer.probe import probe

pytestmark = pytest.mark.usefixtures("traced_once")


def with_rates(monkeypatch: pytest.MonkeyPatch, rates: dict[int, float]) -> TrainConfig:
    """What is chosen where so many games in step make so many moves a second."""
    monkeypatch.setattr(probing, "_time_selfplay", lambda config, *_, **__: (rates[config.selfplay.num_games], 0.5))
    monkeypatch.setattr(probing, "_time_learner", lambda *_, **__: 1.0)
    return probe(miniature("go5"), device="cpu", budget_s=60.0, note=lambda line: None)


def test_games_double_while_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_rates(monkeypatch, {8: 100.0, 16: 190.0, 32: 300.0, 64: 310.0})
    assert config.selfplay.num_games == 32
    assert config.search == miniature("go5").search


def test_the_preset_s_number_stays_where_more_is_not_better(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_rates(monkeypatch, {8: 100.0, 16: 100.0}).selfplay.num_games == 8


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # ONNX Runtime, and torch as on an accelerator
def test_it_measures_and_says_so(device: str) -> None:
    lines: list[str] = []
    config = probe(miniature("go5", "learner.unrolled_share=0.5"), device=device, budget_s=0.5, note=lines.append)
    assert config.selfplay.num_games >= 8
    for line in lines[:-1]:
        found = re.fullmatch(r"(\d+) games in step: (\d+) moves/s, (\d+)% of the time in the network", line)
        assert found
        assert int(found[2]) > 0
        assert 0 < int(found[3]) < 100
    assert re.fullmatch(
        rf"learner: [1-9]\d* windows/s in batches of 32; {config.selfplay.num_games} games in step are chosen",
        lines[-1],
    )
