"""The measurement before a run: what it chooses, and what it says."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.errors import InvalidConfig
from tests.trainer.test_loop import miniature
from trainer import probe as probing
from trainer.actor import Publisher
from trainer.config import TrainConfig
from trainer.network import make_network
from trainer.probe import probe
from trainer.selfplay import SelfPlay

pytestmark = pytest.mark.usefixtures("traced_once")


def with_rates(monkeypatch: pytest.MonkeyPatch, rates: dict[int, float]) -> TrainConfig:
    """What is chosen where so many games in step make so many moves a second; more have no room."""

    def time_selfplay(config: TrainConfig, *_: object, **__: object) -> tuple[float, float]:
        if config.selfplay.num_games not in rates:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rates[config.selfplay.num_games], 0.5

    monkeypatch.setattr(probing, "_time_selfplay", time_selfplay)
    monkeypatch.setattr(probing, "time_learner", lambda *_, **__: 1.0)
    return probe(miniature("go5"), device="cpu", budget_s=60.0, note=lambda line: None)


def test_games_double_while_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_rates(monkeypatch, {8: 100.0, 16: 190.0, 32: 300.0, 64: 310.0})
    assert config.selfplay.num_games == 32
    assert config.search == miniature("go5").search


def test_the_preset_s_number_stays_where_more_is_not_better(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_rates(monkeypatch, {8: 100.0, 16: 100.0}).selfplay.num_games == 8


def test_a_full_device_ends_the_doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_rates(monkeypatch, {8: 100.0, 16: 190.0}).selfplay.num_games == 16
    with pytest.raises(InvalidConfig, match=r"8 games in step do not fit .* lower selfplay\.num_games"):
        with_rates(monkeypatch, {})


def test_boards_count_by_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 positions 75 take 0.75 s, half of it in the network, and 25 take 0.05 s, all of it."""
    figures = {4: (100.0, 0.5), 3: (500.0, 1.0)}
    monkeypatch.setattr(probing, "time_board", lambda config, *_, **__: figures[config.env.size])
    board, stage = "env.smaller=[{size=3, komi_low=-1.0, komi_high=1.0}]", "env.stages=[{shares={4=0.75, 3=0.25}}]"
    config = miniature("go5", "env.size=4", board, stage)
    rate, share = probing._time_selfplay(config, {}, device="cpu")
    assert rate == pytest.approx(100 / 0.8)
    assert share == pytest.approx((0.375 + 0.05) / 0.8)


def test_moves_that_need_no_search_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Games begin with them, and only their first plies are played."""
    shares: list[float] = []

    def play(config: TrainConfig, *arguments: Any) -> SelfPlay:
        shares.append(config.selfplay.random_opening_share)
        return SelfPlay(config, *arguments)

    monkeypatch.setattr(probing, "SelfPlay", play)
    config = miniature("tictactoe")
    network = make_network(config.network)
    probing.time_board(config, Publisher(network, device="cpu").publish(network), device="cpu")
    assert shares == [0.0]


def test_calls_at_once_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([1.0, 2.0, 5.0, 6.0, 10.0, 12.0])
    monkeypatch.setattr(probing.time, "monotonic", lambda: next(now))
    timed = probing._Timed(SimpleNamespace(num_slots=1))  # type: ignore[arg-type]
    with timed._timed(), timed._timed():  # 1 to 6
        pass
    with timed._timed():  # 10 to 12
        pass
    assert timed.seconds == 7.0


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # ONNX Runtime, and torch as on an accelerator
def test_it_measures_and_says_so(device: str) -> None:
    lines: list[str] = []
    settings = ["learner.unrolled_share=0.5", "selfplay.search_threads=2"]
    config = probe(miniature("go5", *settings), device=device, budget_s=0.5, note=lines.append)
    assert config.selfplay.num_games >= 8
    head, *rows = lines[:-3]
    assert head == "games in step  moves/s  in the network"
    assert rows
    for row in rows:
        found = re.fullmatch(r" +(\d+) +(\d+) +(\d+)%", row)
        assert found
        assert len(row) == len(head)
        assert int(found[2]) > 0
        assert 0 < int(found[3]) <= 100
    assert lines[-3] == "batch of    32  windows/s"
    assert re.fullmatch(r" +float32 +[1-9]\d*", lines[-2])
    assert lines[-1] == f"{config.selfplay.num_games} games in step are chosen"
