"""Whole runs in miniature: resume, presets, and what a run leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import InvalidConfig
from trainer.checkpoint import list_checkpoints, load_checkpoint
from trainer.config import PRESETS, TrainConfig, load_config
from trainer.loop import CHECKPOINTS, Run, train
from trainer.progress import Reporter

MINIATURE = [
    "selfplay.num_games=8",
    "search.num_simulations=4",
    "search.num_considered=2",
    "network.channels=8",
    "network.representation_blocks=1",
    "network.dynamics_blocks=1",
    "replay.warmup_positions=100",
    "learner.batch_size=32",
    "learner.unroll_steps=2",
    "learner.total_steps=1000",
    "loop.plies_per_iteration=128",
]

TINY_BOARD = ["env.size=3", "env.komi_low=0.5", "env.komi_high=2.5"]


def miniature(preset: str, *more: str) -> TrainConfig:
    go = [*TINY_BOARD, "network.head_channels=8"] if preset.startswith("go") else []
    return load_config(preset, MINIATURE + go + list(more))


def stop_after(iterations: int):
    """A `should_stop` that ends a run after so many iterations."""
    count = iter(range(1, 1000))
    return lambda: next(count) >= iterations


def run_in(folder: Path, config: TrainConfig, iterations: int, *, resume: bool = False) -> Run:
    with Reporter(folder, title="test", sample_every=2) as reporter:
        return train(config, folder, reporter=reporter, resume=resume, should_stop=stop_after(iterations))


@pytest.mark.parametrize("preset", ["go5", "tictactoe"])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, preset: str) -> None:
    """2 + 2 iterations and 4 iterations end with the same weights, moments, games and generators, bit for bit."""
    config = miniature(preset)
    whole = run_in(tmp_path / "whole", config, 4)
    run_in(tmp_path / "halves", config, 2)
    halves = run_in(tmp_path / "halves", config, 2, resume=True)
    assert whole.learner.step_count == halves.learner.step_count > 4
    for name, tensor in whole.learner.state().items():
        assert torch.equal(tensor, halves.learner.state()[name]), name
    a, b = whole.checkpoint(), halves.checkpoint()
    for part in ("replay", "selfplay"):
        for name, array in getattr(a, part).items():
            assert np.array_equal(array, getattr(b, part)[name]), name
    assert {k: v for k, v in a.progress.items() if k != "ledger"} == {
        k: v for k, v in b.progress.items() if k != "ledger"
    }


def test_cartpole_resumes_and_learns_rewards(tmp_path: Path) -> None:
    config = miniature("cartpole")
    run_in(tmp_path, config, 2)
    run = run_in(tmp_path, config, 1, resume=True)
    assert run.iteration == 3
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert lines[-1]["loss/reward"] > 0
    assert lines[-1]["mean_score"] > 5  # a pole stands some steps even at random


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("*.toml")))
def test_every_preset_trains_a_few_steps(tmp_path: Path, preset: str) -> None:
    """The preset's own network and losses, on few games."""
    board = TINY_BOARD if preset.startswith("go") else []
    config = load_config(preset, [s for s in MINIATURE if not s.startswith("network")] + board)
    before = Run(config).learner.state()
    run = run_in(tmp_path, config, 2)
    assert run.learner.step_count >= 2
    assert all(torch.isfinite(t).all() for t in run.learner.state().values())
    assert not torch.equal(
        before["averaged." + _some_weight(run)], run.learner.state()["averaged." + _some_weight(run)]
    )


def _some_weight(run: Run) -> str:
    return next(name for name, p in run.learner.network.named_parameters() if p.dim() > 1)


def test_a_run_leaves_what_a_person_looks_at(tmp_path: Path) -> None:
    run_in(tmp_path, miniature("go5"), 3)
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert lines[-1]["core_hours"] > 0
    assert list((tmp_path / "tensorboard").iterdir())
    games = list((tmp_path / "games").glob("*.sgf"))
    assert games
    assert b"value" in games[0].read_bytes()


def test_weights_alone_are_enough_to_go_on(tmp_path: Path) -> None:
    config = miniature("go5")
    first = run_in(tmp_path, config, 3)
    newest = list_checkpoints(tmp_path / CHECKPOINTS)[0]
    for part in ("replay", "selfplay", "optimizer"):
        (newest / f"{part}.safetensors").unlink()
    again = run_in(tmp_path, config, 1, resume=True)
    assert again.replay.total_games >= first.replay.total_games
    assert again.replay.positions < config.replay.warmup_positions
    assert again.learner.step_count == first.learner.step_count  # the window refills before anything is learned
    assert run_in(tmp_path, config, 3, resume=True).learner.step_count > first.learner.step_count


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature("go5")
    run_in(tmp_path, config, 1)
    run_in(tmp_path, config, 1, resume=True)
    newest, older = list_checkpoints(tmp_path / CHECKPOINTS)[:2]
    (newest / "weights.safetensors").write_bytes(b"nonsense")
    run = run_in(tmp_path, config, 1, resume=True)
    assert run.iteration == load_checkpoint(older).progress["iteration"] + 1
    assert "passing over a damaged checkpoint" in capsys.readouterr().err


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    run_in(tmp_path, miniature("go5"), 1)
    with pytest.raises(InvalidConfig, match="add --resume"):
        run_in(tmp_path, miniature("go5"), 1)
    with pytest.raises(InvalidConfig, match="network"):
        run_in(tmp_path, miniature("go5", "network.channels=16"), 1, resume=True)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with Reporter(tmp_path, title="test") as reporter:
        refused: list[str] = []

        def meanwhile() -> bool:
            with pytest.raises(InvalidConfig, match="in use by another") as error:
                train(miniature("go5"), tmp_path, reporter=reporter, resume=True)
            refused.append(str(error.value))
            return True

        train(miniature("go5"), tmp_path, reporter=reporter, should_stop=meanwhile)
    assert refused
