"""A model folder on disk: manifest.json, initial.onnx and recurrent.onnx, read and verified. Knows no ONNX Runtime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import ModelInvalid, ModelNotFound
from engine.model.graph_check import MAX_MODEL_BYTES
from engine.model.interface import INITIAL, RECURRENT
from engine.model.manifest import ModelFile, ModelManifest, manifest_from_json

MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model that could be loaded: its manifest is read, its weights are not."""

    path: Path
    """The folder."""
    manifest: ModelManifest
    """Its manifest.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in memory, byte for byte what its manifest says."""

    manifest: ModelManifest
    """Its manifest.json."""
    initial: bytes
    """initial.onnx."""
    recurrent: bytes
    """recurrent.onnx."""


def read_folder(path: Path) -> ModelFolder:
    """Reads the manifest only. Raises `ModelNotFound` where there is none, and `ModelInvalid`."""
    file = path / MANIFEST
    if not file.is_file():
        raise ModelNotFound(f"{path} is no model folder: it has no {MANIFEST}")
    return ModelFolder(path=path, manifest=manifest_from_json(_read(file, MAX_MANIFEST_BYTES), source=str(file)))


def load_model(folder: ModelFolder) -> LoadedModel:
    """Reads the weights and verifies size and sha256, and that this version's features are the model's.

    Raises `ModelInvalid`, or `ModelNotFound` where a file is missing.
    """
    manifest = folder.manifest
    if manifest.shape.kind == "go":
        check_features(manifest)
    return LoadedModel(
        manifest=manifest,
        initial=_read_verified(folder.path / INITIAL, manifest.initial),
        recurrent=_read_verified(folder.path / RECURRENT, manifest.recurrent),
    )


def check_features(manifest: ModelManifest) -> None:
    """Raises `ModelInvalid` unless the engine makes the planes that this Go model was trained on."""
    from engine.go.features import (
        FEATURE_VERSION,
        NUM_ACTION_PLANES,
        NUM_PLANES,
    )  # numba, which a listing does not need

    name, variant, shape = manifest.name, manifest.feature_variant, manifest.shape
    if manifest.feature_version != FEATURE_VERSION:
        raise ModelInvalid(
            f"model {name}: made for feature version {manifest.feature_version}, this version has {FEATURE_VERSION}"
        )
    if variant not in NUM_PLANES:
        raise ModelInvalid(f"model {name}: unknown feature variant {variant!r}, expected {' or '.join(NUM_PLANES)}")
    for what, found, expected in (
        ("observation", shape.observation_size, NUM_PLANES[variant]),
        ("action", shape.action_size, NUM_ACTION_PLANES),
    ):
        if found != expected:
            raise ModelInvalid(f"model {name}: takes {found} {what} planes, {variant!r} has {expected}")


def _read_verified(path: Path, expected: ModelFile) -> bytes:
    data = _read(path, MAX_MODEL_BYTES)
    if len(data) != expected.size:
        raise ModelInvalid(f"{path}: {len(data)} bytes, the manifest says {expected.size}")
    if (digest := hashlib.sha256(data).hexdigest()) != expected.sha256:
        raise ModelInvalid(f"{path}: damaged: sha256 {digest[:12]}..., the manifest says {expected.sha256[:12]}...")
    return data


def _read(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes."""
    try:
        if not path.is_file():
            raise ModelNotFound(f"{path} is missing")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ModelInvalid(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise ModelInvalid(f"{path}: more than {limit} bytes")
    return data
