from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import ModelInvalid, ModelNotFound
from tests.support.go_games import random_games
from trainer import checkpoint as module
from trainer.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    pack_games,
    save_checkpoint,
    sweep,
    unpack_games,
)
from trainer.config import TrainConfig


def make_checkpoint(value: float = 1.0) -> Checkpoint:
    return Checkpoint(
        config=TrainConfig(),
        learner={"averaged.w": torch.full((3,), value), "network.w": torch.ones(3), "optimizer.0.step": torch.ones(())},
        progress={"step": 7, "rng": {"state": 2**100}},
        replay=pack_games(random_games(3, size=3, seed=0), prefix="games."),
        selfplay={"komi": np.array([6.5, 7.0])},
    )


def test_round_trip(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    loaded = load_checkpoint(path)
    assert loaded.config == TrainConfig()
    assert loaded.progress["rng"]["state"] == 2**100
    assert loaded.averaged_weights["w"].tolist() == [1, 1, 1]
    assert "optimizer.0.step" in loaded.learner
    assert loaded.selfplay is not None
    assert loaded.selfplay["komi"].tolist() == [6.5, 7.0]


def test_games_survive_packing() -> None:
    games = random_games(5, size=3, seed=4)
    for game, again in zip(games, unpack_games(pack_games(games, prefix="x."), prefix="x."), strict=True):
        for name in game.__dataclass_fields__:
            assert np.array_equal(getattr(game, name), getattr(again, name)), name
            if isinstance(getattr(game, name), np.ndarray):
                assert getattr(game, name).dtype == getattr(again, name).dtype


def test_resuming_needs_only_the_weights(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    for part in ("replay", "selfplay", "optimizer"):
        (path / f"{part}.safetensors").unlink()
    loaded = load_checkpoint(path)
    assert loaded.replay is None
    assert loaded.selfplay is None
    assert set(loaded.learner) == {"averaged.w", "network.w"}


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "replay.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damage_is_noticed(tmp_path: Path, name: str, damage: str) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    data = bytearray((path / name).read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0x55
    (path / name).write_bytes({"flip": bytes(data), "truncate": bytes(data[: len(data) // 2]), "empty": b""}[damage])
    if name == "state.json" and damage == "flip":
        with pytest.raises((ModelInvalid, ValueError)):
            load_checkpoint(path)
    else:
        with pytest.raises(ModelInvalid, match="damaged"):
            load_checkpoint(path)


def test_an_interrupted_write_leaves_the_old_checkpoint_and_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, make_checkpoint(1.0), name="step-1")

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_digest", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, make_checkpoint(2.0), name="step-2")
    monkeypatch.undo()
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-1"]
    assert [p.name for p in sweep(tmp_path)] == ["step-2.tmp"]
    assert load_checkpoint(list_checkpoints(tmp_path)[0]).averaged_weights["w"][0] == 1.0


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for i in range(5):
        save_checkpoint(tmp_path, make_checkpoint(float(i)), name=f"step-{i}")
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-4", "step-3", "step-2"]


def test_no_checkpoint_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_state_is_readable_json(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    state = json.loads((path / "state.json").read_text())
    assert state["config"]["learner"]["batch_size"] == 256
