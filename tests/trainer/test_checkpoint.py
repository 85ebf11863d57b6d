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
from trainer.config import LearnerConfig, TrainConfig
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
    games = [dataclasses.replace(game, opening_plies=i) for i, game in enumerate(random_games(5, size=3, seed=4))]
    for game, again in zip(games, unpack_games(pack_games(games, prefix="x."), prefix="x."), strict=True):
        for name in game.__dataclass_fields__:
            assert np.array_equal(getattr(game, name), getattr(again, name)), name
            if isinstance(getattr(game, name), np.ndarray):
                assert getattr(game, name).dtype == getattr(again, name).dtype


def test_games_of_before_their_openings_were_kept_have_the_plies_without_a_policy() -> None:
    games = random_games(3, size=3, seed=4)
    games[1].policy_probabilities[:2] = 0
    games[2].policy_probabilities[:] = 0
    packed = pack_games(games, prefix="x.")
    del packed["x.opening_plies"]
    assert [game.opening_plies for game in unpack_games(packed, prefix="x.")] == [0, 2, len(games[2])]


def test_resuming_needs_only_the_weights(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    for part in ("replay", "selfplay", "optimizer"):
        (path / f"{part}.safetensors").unlink()
    loaded = load_checkpoint(path)
    assert loaded.replay is None
    assert loaded.selfplay is None
    assert set(loaded.learner) == {"averaged.w", "network.w"}
    assert [text.partition(":")[0] for text in loaded.lost] == ["optimizer", "replay", "selfplay"]


def test_no_file_of_a_large_network_is_over_the_bound(tmp_path: Path) -> None:
    """Small files can be carried about one by one: many places refuse large ones."""
    network = make_network(NetworkConfig(channels=128, representation_blocks=5, dynamics_blocks=4))
    learner = Learner(network, LearnerConfig())
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    learner.optimizer.step()  # makes the moments
    saved = Checkpoint(config=TrainConfig(network=network.config), learner=learner.state(), progress={})
    path = save_checkpoint(tmp_path, saved, name="step-1")
    sizes = [file.stat().st_size for file in path.iterdir()]
    assert max(sizes) <= 15.5 * 2**20 < sum(sizes)
    again = load_checkpoint(path).learner
    assert again.keys() == saved.learner.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in saved.learner.items())


@pytest.mark.parametrize("damage", ["flip", "missing"])
@pytest.mark.parametrize("part", ["optimizer", "replay", "selfplay"])
def test_a_lost_part_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, damage: str) -> None:
    """Nor is what is left of it taken for the whole."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 100)
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    last = sorted(path.glob(f"{part}*"))[-1]
    if damage == "flip":
        last.write_bytes(last.read_bytes()[:-1] + b"x")
    else:
        last.unlink()
    loaded = load_checkpoint(path)
    assert [text.partition(":")[0] for text in loaded.lost] == [part]
    assert last.name in loaded.lost[0]
    assert loaded.averaged_weights["w"].tolist() == [1, 1, 1]
    assert (loaded.replay is None) == (part == "replay")
    assert (loaded.selfplay is None) == (part == "selfplay")
    assert ("optimizer.0.step" in loaded.learner) == (part != "optimizer")


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damage_is_noticed(tmp_path: Path, name: str, damage: str) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(), name="step-1")
    data = bytearray((path / name).read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0x55
    (path / name).write_bytes({"flip": bytes(data), "truncate": bytes(data[: len(data) // 2]), "empty": b""}[damage])
    with pytest.raises(ModelInvalid, match="damaged"):
        load_checkpoint(path)


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
    (tmp_path / "state.json.tmp").write_text("{")
    assert sorted(p.name for p in sweep(tmp_path)) == ["state.json.tmp", "step-2.tmp"]
    assert not list(tmp_path.glob("*.tmp"))
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
