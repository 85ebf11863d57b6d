"""Model folders on disk: only what the manifest promises, byte for byte, gets as far as ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError, ModelInvalid, ModelNotFound
from engine.model import folder as folder_module
from engine.model.folder import load_model, read_folder
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.searcher import STATE_NUMBER_BYTES
from tests.support.tiny_models import tiny_go_model, write_tiny_model

FILES = ("initial.onnx", "recurrent.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path, "tiny")


def test_load(folder: Path) -> None:
    model = load_model(read_folder(folder))
    assert (model.initial, model.recurrent) == tiny_go_model().files
    evaluator = OnnxEvaluator.from_model(model, board_size=5, num_slots=1)
    assert evaluator._pool.nbytes == 4 * 25 * STATE_NUMBER_BYTES


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelNotFound, match=name):
        load_model(read_folder(folder))


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_not_a_regular_file(folder: Path, name: str) -> None:
    """A FIFO would block a reader for ever."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelNotFound, match=name):
        load_model(read_folder(folder))


@contextmanager
def one_line_or_fine() -> Iterator[None]:
    """Lets a `ModelError` of one line pass, and nothing else."""
    try:
        yield
    except ModelError as error:
        if len(str(error).splitlines()) != 1:
            raise


def mutants(data: bytes, seed: int, count: int) -> list[bytes]:
    """Truncations, flipped bits, deleted and inserted bytes, at the beginning as often as anywhere."""
    rng, found = np.random.default_rng(seed), []
    for i in range(count):
        where = int(rng.integers(0, 200 if i % 2 else len(data)))
        kind = i % 4
        if kind == 0:
            found.append(data[:where])
        elif kind == 1:
            found.append(data[:where] + bytes([data[where] ^ (1 << int(rng.integers(8)))]) + data[where + 1 :])
        elif kind == 2:
            found.append(data[:where] + data[where + int(rng.integers(1, 9)) :])
        else:
            found.append(data[:where] + rng.bytes(3) + data[where:])
    return found


@pytest.mark.parametrize("name", FILES)
def test_damaged_weights_are_refused_before_they_are_parsed(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    for mutant in mutants(data, seed=1, count=40):
        (folder / name).write_bytes(mutant)
        with pytest.raises(ModelInvalid, match=rf"{name}: (\d+ bytes, the manifest says|damaged: sha256)"):
            load_model(read_folder(folder))


def test_damaged_manifests_never_load_something_else(folder: Path) -> None:
    """A mutant is refused, or it changed nothing that the engine relies on."""
    file = folder / "manifest.json"
    data, original = file.read_bytes(), read_folder(folder).manifest
    for mutant in mutants(data, seed=2, count=100):
        file.write_bytes(mutant)
        with one_line_or_fine():
            model = load_model(read_folder(folder))
            OnnxEvaluator.from_model(model, board_size=5, num_slots=1)
            assert (model.manifest.initial, model.manifest.recurrent) == (original.initial, original.recurrent)


@pytest.mark.parametrize("seed", range(4))
def test_damage_without_checksums_crashes_nothing(seed: int) -> None:
    """What a hostile manifest would vouch for: ONNX Runtime sees it, and either works or is refused in one line."""
    initial, recurrent = tiny_go_model().files
    for mutant in mutants(initial, seed=seed, count=24):
        with one_line_or_fine():
            OnnxEvaluator(mutant, recurrent, board_size=5, num_slots=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_version": 99}, "made for feature version 99, this version has"),
        ({"feature_variant": "rich"}, "unknown feature variant 'rich'"),
        ({"feature_variant": "basic"}, "takes 24 observation planes, 'basic' has 6"),
    ],
)
def test_features_of_another_version(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_tiny_model(tmp_path, "other", **changes)
    with pytest.raises(ModelInvalid, match=f"model other: {message}"):
        load_model(read_folder(path))


def test_giant_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(ModelInvalid, match="more than 100 bytes"):
        read_folder(folder)


def test_unreadable_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelInvalid, match=r"manifest\.json cannot be read: Permission denied"):
        read_folder(folder)
