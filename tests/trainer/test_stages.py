"""A run in stages: its boards, the gates between them, and where a resumed run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import InvalidConfig
from tests.trainer.test_boards import SMALLER
from tests.trainer.test_loop import MINIATURE, miniature, run_in
from trainer import run as module
from trainer.actor import Weights
from trainer.checkpoint import CHECKPOINTS, list_checkpoints, load_checkpoint
from trainer.config import PRESETS, TrainConfig, config_from_dict, config_to_dict, load_config
from trainer.run import Run
from trainer.stages import StageConfig

MODELS = PRESETS.parents[1] / "models"
FIRST_SMALL = "env.stages=[{shares={3=1.0}, gate=0.95, until=0.5}, {shares={4=0.75, 3=0.25}}]"


def staged(*more: str, stages: str = FIRST_SMALL) -> TrainConfig:
    """3x3 by itself, then 4x4 with some 3x3; a rating after every second round."""
    settings = ["env.size=4", SMALLER, stages, "loop.rate_every=2", "loop.rating_pairs=4", *more]
    return miniature("go5", *settings)


def test_a_round_is_split_by_shares() -> None:
    assert StageConfig(shares={9: 0.77, 7: 0.15, 5: 0.08}).split(1000, [9, 7, 5]) == (770, 150, 80)
    assert StageConfig(shares={5: 1.0}).split(1000, [9, 7, 5]) == (0, 0, 1000)
    thirds = StageConfig(shares={9: 1 / 3, 7: 1 / 3, 5: 1 / 3}).split(1000, [9, 7, 5])
    assert sum(thirds) == 1000
    assert max(thirds) - min(thirds) <= 1


def test_a_board_without_a_share_is_not_the_largest() -> None:
    assert StageConfig(shares={9: 0.0, 7: 0.5, 5: 0.5}).largest_size == 7


def test_without_stages_the_one_board_has_all_positions() -> None:
    assert miniature("go5").stages == (StageConfig(shares={3: 1.0}),)
    assert len(load_config("cartpole").stages) == 1


def test_stages_survive_json_with_sizes_of_one_and_two_digits() -> None:
    """The keys of its objects are text, and are sorted as such in the digest of a checkpoint's state."""
    smaller = "env.smaller=[{size=9, komi_low=7, komi_high=7}]"
    config = load_config("go5", ["env.size=13", smaller, "env.stages=[{shares={9=0.5, 13=0.5}}]"])
    plain = config_to_dict(config)
    text = json.dumps(plain, sort_keys=True)
    assert json.dumps(json.loads(text), sort_keys=True) == text
    assert config_from_dict(json.loads(text)) == config


@pytest.mark.parametrize("source", ["go5/manifest.json", "go9/manifest.json", "go9/state/state.json"])
def test_configurations_of_shipped_models_are_read(source: str) -> None:
    data = json.loads((MODELS / source).read_text())
    config = config_from_dict(data["config"] if "config" in data else data["training"]["config"])
    expected = load_config("go9" if "go9" in source else "go5")
    assert [board.size for board in config.env.smaller] == [board.size for board in expected.env.smaller]
    [stage] = config.stages  # the shares may be a run's own
    assert stage.shares.keys() == expected.stages[-1].shares.keys()
    assert sum(stage.shares.values()) == pytest.approx(1.0)
    assert (stage.gate, stage.until) == (None, 1.0)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("[{shares={5=1.0}}]", r"shares of sizes \[5\]; the run has boards of \[4, 3\]"),
        ("[{shares={4=0.5, 3=0.4}}]", "expected 1 in all"),
        ("[{shares={}}]", "expected 1 in all"),
        ("[{shares={4=1.5, 3=-0.5}}]", r"env\.stages\[0\]\.shares"),
        ("[{shares={many=1.0}}]", r"env\.stages\[0\]\.shares"),
        ("[{shares={4=1.0}, gate=0.9}]", "last stage"),
        ("[{shares={4=1.0}, until=0.9}]", "last stage"),
        ("[{shares={3=1.0}}, {shares={4=1.0}}]", r"until = \[1\.0\]: .* below 1"),
        ("[{shares={3=1.0}, until=0.5}, {shares={4=1.0}, until=0.5}, {shares={4=1.0}}]", "later than the one before"),
        ("[{shares={3=1.0}, until=0.5, gate=0.5}, {shares={4=1.0}}]", r"env\.stages\[0\]\.gate"),
        ("[{shares={3=1.0}, until=0.5, games=64}, {shares={4=1.0}}]", r"env\.stages\.games"),
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        staged(stages=f"env.stages={stages}")


def test_gates_need_ratings_and_stages_need_go() -> None:
    with pytest.raises(InvalidConfig, match=r"env\.stages: a gate needs .* loop\.rate_every"):
        staged("loop.rate_every=0")
    with pytest.raises(InvalidConfig, match=r"env\.stages: a gate needs a game of two players"):
        staged("search.two_player=false")
    with pytest.raises(InvalidConfig, match=r"env\.stages are for Go"):
        load_config("tictactoe", ["env.stages=[{shares={9=1.0}}]"])


class Ratings:
    """Stands in for `trainer.rating.rate`: results as given, and what was asked for."""

    def __init__(self, *results: float) -> None:
        self._results = iter(results)
        self.sizes: list[int] = []
        self.opponents: list[Weights] = []

    def __call__(self, config: TrainConfig, newer: Weights, older: Weights, **_: Any) -> dict[str, float]:
        self.sizes.append(config.env.size)
        self.opponents.append(older)
        return {"win_rate": next(self._results), "elo_gain": 100.0, "elo_error": 1.0}


@pytest.fixture
def rated(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Ratings:
    ratings = Ratings(*request.param)
    monkeypatch.setattr(module, "rate", ratings)
    return ratings


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("rated", [(0.9, 0.95, 0.5, 0.5)], indirect=True)
def test_a_stage_ends_when_its_gate_is_passed_and_not_before(
    tmp_path: Path, rated: Ratings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_in(tmp_path, staged("replay.warmup_positions=0"), 8)
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == [1, 1, 1, 2, 2, 2, 2, 2]
    assert [line.get("win_rate") for line in lines] == [None, 0.9, None, 0.95, None, 0.5, None, 0.5]
    # Of the first stage the gain counts once, against its first network; then every rating adds its own, from zero on
    # the other board.
    assert [line["elo"] for line in lines if "elo" in line] == [100.0, 100.0, 100.0, 200.0]
    assert rated.sizes == [3, 3, 4, 4]
    assert rated.opponents[0] == rated.opponents[1] != rated.opponents[2] != rated.opponents[3]
    assert "stage 1 of 2 is over, 95.0% won" in capsys.readouterr().err
    assert {game.size for game in run.replay.games} == {3, 4}


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("rated", [(0.5, 0.5)], indirect=True)
def test_a_stage_ends_at_its_latest_with_a_rating(rated: Ratings) -> None:
    run = Run(staged("replay.warmup_positions=0", "loop.rate_every=1000"))
    orders: list[tuple[int, ...]] = []
    begin = run.actors.begin
    run.actors.begin = lambda order: orders.append(order.plies) or begin(order)  # type: ignore[method-assign]
    run.iterate()
    assert run.stage == 0
    run.learner.step_count = 500  # of 1000
    figures = run.iterate()
    assert (run.stage, figures["win_rate"]) == (1, 0.5)
    assert all(torch.equal(v, run.learner.averaged.state_dict()[k]) for k, v in run.reference.state_dict().items())
    run.learner.step_count = 1000
    assert "win_rate" not in run.iterate()
    assert run.stage == 1
    assert orders == [(0, 128), (0, 128), (96, 32)]


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("cut", [3, 5])
def test_a_run_in_stages_resumes_bit_for_bit(tmp_path: Path, cut: int) -> None:
    """In the first stage after a gate that was not passed, and at the beginning of the second."""
    # 25 of the 1000 steps are over in the fifth round.
    config = staged("replay.warmup_positions=0", "loop.actors=1", stages=FIRST_SMALL.replace("0.5", "0.025"))
    run_in(tmp_path / "whole", config, 6)
    run_in(tmp_path / "halves", config, cut)
    between = load_checkpoint(list_checkpoints(tmp_path / "halves" / CHECKPOINTS)[0])
    run_in(tmp_path / "halves", config, 6 - cut, resume=True)
    a, b = (load_checkpoint(list_checkpoints(tmp_path / name / CHECKPOINTS)[0]) for name in ("whole", "halves"))
    assert (between.progress["stage"], a.progress["stage"]) == (int(cut == 5), 1)
    assert {k: v for k, v in a.progress.items() if k != "ledger"} == {
        k: v for k, v in b.progress.items() if k != "ledger"
    }
    for part in ("learner", "replay", "selfplay"):
        wanted, found = getattr(a, part), getattr(b, part)
        assert wanted.keys() == found.keys()
        for name, array in wanted.items():
            assert (torch.as_tensor(array) == torch.as_tensor(found[name])).all(), name


@pytest.mark.usefixtures("traced_once")
def test_a_run_goes_on_with_fewer_stages_in_its_last() -> None:
    config = staged("replay.warmup_positions=0")
    run = Run(config)
    run.iterate()
    run.stage = 1
    assert Run(config, saved=run.checkpoint()).stage == 1
    assert Run(staged(stages="env.stages=[{shares={4=1.0}}]"), saved=run.checkpoint()).stage == 0


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("rated", [(0.5, 1.0, 0.95, 0.5)], indirect=True)
def test_the_preset_for_7x7_goes_by_way_of_5x5(rated: Ratings) -> None:
    """In miniature, on its own boards and with its own stages and self-play, 8 bits among it."""
    few = ["network.head_channels=8", "loop.rate_every=1", "loop.plies_per_iteration=1024"]
    run = Run(load_config("go7", MINIATURE + few))
    for _ in range(3):
        run.iterate()
    assert run.stage == 2
    assert {game.size for game in run.replay.games} == {5}
    run.iterate()
    assert {game.size for game in run.replay.games} == {5, 7}
    assert rated.sizes == [5, 5, 5, 7]
    assert run.learner.step_count > 0
