"""Several board sizes in one run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import InvalidConfig
from tests.support.go_games import random_games
from tests.trainer.test_loop import miniature, run_in
from trainer.actor import Actor, Order, Publisher
from trainer.actors import fresh_states
from trainer.checkpoint import CHECKPOINTS, list_checkpoints, load_checkpoint, pack_games, unpack_games
from trainer.config import TrainConfig, change_config
from trainer.learner import Learner
from trainer.loop import Origin, train
from trainer.network import make_network
from trainer.progress import Reporter
from trainer.windows import MixedWindowBuilder

pytestmark = pytest.mark.usefixtures("traced_once")


SMALLER = "env.smaller=[{size=3, komi_low=-1.0, komi_high=1.0}]"


def mixed(*more: str, small: float = 0.5) -> TrainConfig:
    """3x3 besides 4x4, `small` of the positions."""
    stage = f"env.stages=[{{shares={{4={1 - small}, 3={small}}}}}]"
    return miniature("go5", "env.size=4", SMALLER, stage, *more)


def test_boards_are_configurations_of_their_own() -> None:
    config = mixed()
    assert [board.env.size for board in config.boards] == [4, 3]
    assert [board.env.komi_low for board in config.boards] == [0.5, -1.0]
    assert [board.num_actions for board in config.boards] == [17, 10]
    assert [board.boards for board in config.boards] == [(board,) for board in config.boards]


@pytest.mark.parametrize(
    ("smaller", "message"),
    [
        ("[{size=4, komi_low=0, komi_high=1}]", r"sizes \[4\]: expected different ones below 4"),
        ("[{size=5, komi_low=0, komi_high=1}]", "below 4"),
        ("[{size=3, komi_low=0, komi_high=1}, {size=3, komi_low=0, komi_high=1}]", "different"),
        ("[{size=3, komi_low=1, komi_high=0}]", "no komi"),
        ("[{size=3, komi_low=0, komi_high=30}]", "twice the area"),
        ("[{size=3, komi_low=0, komi_high=1}]", "env.smaller needs env.stages"),
        ("[{size=3, komi_low=0, komi_high=1, shares=1}]", "env.smaller.shares"),
    ],
)  # fmt: skip
def test_boards_that_make_no_sense_are_refused(smaller: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        miniature("go5", "env.size=4", f"env.smaller={smaller}")


def test_games_of_several_sizes_are_packed_together() -> None:
    games = random_games(3, size=3, seed=0) + random_games(2, size=5, seed=1) + random_games(2, size=3, seed=2)
    again = unpack_games(pack_games(games, prefix="x."), prefix="x.")
    assert [game.size for game in again] == [3, 3, 3, 5, 5, 3, 3]
    for game, other in zip(games, again, strict=True):
        assert np.array_equal(game.ownership, other.ownership)  # type: ignore[arg-type]
        assert np.array_equal(game.actions, other.actions)


def test_a_mixed_step_is_the_mean_over_its_windows() -> None:
    """Its gradient is what the sizes' own gradients add up to, weighed by their windows."""
    config = mixed("learner.consistency_weight=0", "learner.branch_share=0", "learner.unrolled_share=1")
    pairs = [(game, 0) for game in random_games(12, size=3, seed=0) + random_games(4, size=4, seed=1)]
    small, large = [(g, p) for g, p in pairs if g.size == 3], [(g, p) for g, p in pairs if g.size == 4]
    builder = MixedWindowBuilder(config)
    parts = builder.build(pairs, np.random.default_rng(0))
    assert [len(part.observation) for part in parts] == [4, 12]  # the largest board first
    torch.manual_seed(0)
    network = make_network(config.network)

    def figures(*windows: object) -> dict[str, float]:
        return Learner(network, config.learner).step(*windows)  # type: ignore[arg-type]

    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = figures(*parts)
    singles = []
    for part in parts:
        network.load_state_dict(state)
        singles.append(figures(part))
    for name in ("policy", "value", "board", "total"):
        assert found[name] == pytest.approx(0.25 * singles[0][name] + 0.75 * singles[1][name], rel=1e-4)
    assert len(small) == 12
    assert len(large) == 4


def test_shares_hold_with_more_games_in_step_than_a_round_has_positions() -> None:
    """One round asks for 96 positions of the larger board and 32 of the smaller, on 64 games each."""
    config = mixed("selfplay.num_games=64", small=0.25)
    weights = Publisher(network := make_network(config.network), device="cpu").publish(network)
    actor, made = Actor(config, weights, fresh_states(config, entropy=(0,))[0], device="cpu"), []
    for _ in range(4):
        actor.play(Order(weights=weights, plies=config.stages[0].split(128, [4, 3]), simulations=1))
        made.append(actor.positions)
    assert [selfplay.positions for *_, selfplay in actor._boards] == [384, 128]
    assert made == [192, 256, 448, 512]


def test_a_run_on_two_boards_resumes_bit_for_bit(tmp_path: Path) -> None:
    config = mixed("replay.warmup_positions=0", "learner.total_steps=40")
    run_in(tmp_path / "whole", config, 4)
    run_in(tmp_path / "halves", config, 2)
    run_in(tmp_path / "halves", config, 2, resume=True)
    a, b = (load_checkpoint(list_checkpoints(tmp_path / name / CHECKPOINTS)[0]) for name in ("whole", "halves"))
    assert {game.size for game in unpack_games(a.replay or {}, prefix="games.")} == {3, 4}
    assert {game.size for game in a.games("games")} == {4}
    for part in ("learner", "replay", "selfplay"):
        wanted, found = getattr(a, part), getattr(b, part)
        assert wanted.keys() == found.keys()
        for name, array in wanted.items():
            assert np.array_equal(array, found[name]), name


def test_games_on_boards_that_are_gone_leave_the_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = run_in(tmp_path / "run", mixed("replay.holdout_every=3", small=0.3), 6)
    games = [*before.replay.games, *before.replay.holdout]
    gone = sum(game.size == 3 for game in games)
    assert 0 < gone < len(games)
    changes = ["env.smaller=[]", "env.stages=[]", "replay.reanalyze_share=0.5"]
    alone = change_config(before.config, changes)
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    with Reporter(tmp_path, title="test") as reporter:
        source = Origin(games=tmp_path / "run")
        student = train(alone, tmp_path / "student", reporter=reporter, origin=source, should_stop=lambda: True)
    for run in (run_in(tmp_path / "again", alone, 1, resume=True, overrides=changes), student):
        assert {game.size for game in [*run.replay.games, *run.replay.holdout]} == {4}
        assert run.left_out == gone
    err = capsys.readouterr().err
    assert err.count(f"{gone} games left out") == 2
    assert "env.smaller: ({'size': 3," in err


def test_a_window_without_games_on_the_boards_of_the_run_fills_again(tmp_path: Path) -> None:
    before = run_in(tmp_path, mixed(small=1.0), 2)
    assert {game.size for game in before.replay.games} == {3}
    run = run_in(tmp_path, before.config, 1, resume=True, overrides=["env.smaller=[]", "env.stages=[]"])
    assert run.learner.step_count == before.learner.step_count
    run = run_in(tmp_path, before.config, 3, resume=True)
    assert run.learner.step_count > before.learner.step_count
    assert {game.size for game in run.replay.games} == {4}
