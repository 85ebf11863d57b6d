from __future__ import annotations

import dataclasses
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import ModelInvalid, ModelNotFound
from tests.support.go_games import random_games
from trainer import checkpoint as module
from trainer import shards
from trainer.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    pack_games,
    save_checkpoint,
    set_aside,
    sweep,
    unpack_games,
)
from trainer.config import TrainConfig
from trainer.learner import Learner
from trainer.network import NetworkConfig, make_network


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
    assert set(loaded.lost) == {"replay.safetensors", "selfplay.safetensors", "optimizer.safetensors"}


def damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes({"flip": bytes(data), "truncate": bytes(data[: len(data) // 2]), "empty": b""}.get(kind, b""))
    if kind == "missing":
        path.unlink()


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("kind", ["flip", "truncate", "empty"])
def test_damage_is_noticed(tmp_path: Path, name: str, kind: str) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    damage(path / name, kind)
    with pytest.raises(ModelInvalid, match="damaged"):
        load_checkpoint(path)


def test_weights_that_are_missing_are_noticed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    damage(path / "weights.safetensors", "missing")
    with pytest.raises(ModelInvalid, match="is missing or damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("part", ["replay", "selfplay"])
@pytest.mark.parametrize("kind", ["flip", "truncate", "empty", "missing"])
def test_games_that_are_damaged_do_not_cost_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, kind: str
) -> None:
    """One file of several: the part is left out whole, never shortened."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 8)
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    damage(path / f"{part}-1.safetensors", kind)
    loaded = load_checkpoint(path)
    assert loaded.lost == (f"{part}-1.safetensors",)
    assert getattr(loaded, part) is None
    other = {"replay": "selfplay", "selfplay": "replay"}[part]
    assert getattr(loaded, other) is not None
    assert loaded.learner.keys() == make_checkpoint().learner.keys()


def test_a_large_network_goes_into_files_that_can_be_moved_about(tmp_path: Path) -> None:
    network = NetworkConfig(kind="go", channels=128, representation_blocks=5, dynamics_blocks=4)
    config = dataclasses.replace(TrainConfig(), network=network)
    learner = Learner(make_network(network), config.learner)
    for parameter in learner.network.parameters():
        parameter.grad = torch.randn_like(parameter)
    learner.optimizer.step()
    checkpoint = dataclasses.replace(make_checkpoint(), config=config, learner=learner.state())
    path = save_checkpoint(tmp_path, checkpoint, name="step-1")
    sizes = {file.name: file.stat().st_size for file in path.iterdir()}
    assert max(sizes.values()) <= 15.5 * 2**20
    assert {"weights-1.safetensors", "optimizer-1.safetensors"} <= sizes.keys()
    loaded = load_checkpoint(path)
    assert loaded.lost == ()
    assert loaded.learner.keys() == checkpoint.learner.keys()
    assert all(torch.equal(tensor, loaded.learner[name]) for name, tensor in checkpoint.learner.items())
    Learner(make_network(network), config.learner).load_state(loaded.learner, step_count=1)


def test_a_changed_number_in_the_state_is_noticed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    text = (path / "state.json").read_text()
    (path / "state.json").write_text(text.replace('"step": 7', '"step": 8'))
    with pytest.raises(ModelInvalid, match="digest"):
        load_checkpoint(path)


def test_checkpoints_of_the_first_format_load_and_later_ones_do_not(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    state = json.loads((path / "state.json").read_text())
    del state["digest"]
    (path / "state.json").write_text(json.dumps(state | {"format": 1}))
    assert load_checkpoint(path).progress["step"] == 7
    (path / "state.json").write_text(json.dumps(state | {"format": 99}))
    with pytest.raises(ModelInvalid, match="newer version"):
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


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 64 KiB: a disk that is full, for every library."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("part", ["learner", "replay", "progress"])
@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_an_oserror_and_leaves_what_was_there(tmp_path: Path, part: str) -> None:
    save_checkpoint(tmp_path, make_checkpoint(1.0), name="step-1")
    large: Any = {
        "learner": make_checkpoint().learner | {"network.large": torch.ones(100_000)},
        "replay": {"games.large": np.ones(100_000, np.float32)},
        "progress": {"large": "x" * 100_000},
    }[part]
    with pytest.raises(OSError, match=r"step-2 could not be written: .*large"):
        save_checkpoint(tmp_path, dataclasses.replace(make_checkpoint(2.0), **{part: large}), name="step-2")
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]
    assert load_checkpoint(tmp_path / "step-1").averaged_weights["w"][0] == 1.0


def test_stray_files_are_swept_as_well(tmp_path: Path) -> None:
    for name in ("weights.tmp", "training.tmp", "training.jsonl"):
        (tmp_path / name).write_text("")
    assert [path.name for path in sweep(tmp_path, "training.tmp")] == ["training.tmp"]
    assert [path.name for path in sweep(tmp_path)] == ["weights.tmp"]
    assert [path.name for path in tmp_path.iterdir()] == ["training.jsonl"]


def test_damaged_checkpoints_that_were_set_aside_make_no_new_one_drop(tmp_path: Path) -> None:
    for i in (7, 8, 9):
        set_aside(save_checkpoint(tmp_path, make_checkpoint(float(i)), name=f"step-{i}"))
    for i in range(2):
        save_checkpoint(tmp_path, make_checkpoint(float(i)), name=f"step-{i}")
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-1", "step-0"]


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
