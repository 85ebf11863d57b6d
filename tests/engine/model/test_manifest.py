"""manifest.json: round trip, and one clear line for every way in which it can be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import ModelInvalid
from engine.model.manifest import is_model_name, manifest_from_json, manifest_to_json
from tests.support.tiny_models import tiny_go_model, tiny_manifest

MANIFEST = tiny_manifest("tiny-5x5", tiny_go_model().files, trained=(5, 7), playable=(3, 9))
ABSENT = object()


def changed(key: str, value: object) -> str:
    """The manifest's text with the dotted `key` set to `value`, or taken out."""
    data = json.loads(manifest_to_json(MANIFEST))
    *path, last = key.split(".")
    target: dict[str, Any] = data
    for part in path:
        target = target[part]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return json.dumps(data)


def test_round_trip() -> None:
    assert manifest_from_json(manifest_to_json(MANIFEST)) == MANIFEST


def test_symmetries_are_read() -> None:
    assert manifest_from_json(changed("symmetries", True)).symmetries
    assert not manifest_from_json(changed("symmetries", ABSENT)).symmetries


def test_vector_model_round_trip() -> None:
    data = json.loads(manifest_to_json(MANIFEST))
    data["shape"] |= {"kind": "vector", "has_ownership": False}
    for key in ("feature_variant", "feature_version", "trained_sizes", "playable_sizes", "komi_range"):
        del data[key]
    manifest = manifest_from_json(json.dumps(data))
    assert (manifest.trained_sizes, manifest.playable_sizes, manifest.komi_range) == ((), (0, 0), None)
    assert not any(manifest.can_play(size) for size in range(1, 30))
    assert manifest_from_json(manifest_to_json(manifest)) == manifest


@pytest.mark.parametrize(
    ("board_size", "komi", "told"),
    [
        (7, 6.5, ""),
        (7, 9.5, "komi from 5.5 to 8.5: with 9.5"),
        (6, 6.5, "not trained on 6x6"),
        (5, 24.5, ""),  # what its smaller boards had for komi is not written down
    ],
)
def test_what_a_user_should_know(board_size: int, komi: float, told: str) -> None:
    manifest = replace(MANIFEST, komi_range=(5.5, 8.5))
    assert bool(told) == bool(manifest.misgiving(board_size, komi))
    assert told in manifest.misgiving(board_size, komi)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "format 2 is not one that this version reads"),
        ("format", ABSENT, "format is missing"),
        ("name", ABSENT, "name is missing"),
        ("name", "../etc", "name '../etc' does not match"),
        ("name", 5, "name is 5, expected str"),
        ("environment", None, "environment is missing"),
        ("shape", ABSENT, "shape is missing"),
        ("shape", [], r"shape is \[\], expected dict"),
        ("shape.kind", "chess", "shape.kind 'chess' is neither"),
        ("shape.hidden_size", 0, "shape.hidden_size 0 is out of range"),
        ("shape.hidden_size", 4.0, "shape.hidden_size is 4.0, expected int"),
        ("shape.hidden_size", True, "shape.hidden_size is true, expected int"),
        ("shape.has_reward", 0, "shape.has_reward is 0, expected bool"),
        ("shape.observation_size", 2**40, "out of range"),
        ("feature_version", ABSENT, "feature_version is missing"),
        ("trained_sizes", [9, 5], "not ascending"),
        ("trained_sizes", [5, 5], "not ascending"),
        ("trained_sizes", [1], "not ascending board sizes"),
        ("trained_sizes", ["5"], "holds what is no number"),
        ("trained_sizes", [5.0], "not ascending board sizes"),
        ("playable_sizes", [9, 5], "playable_sizes"),
        ("playable_sizes", [5], "playable_sizes"),
        ("playable_sizes", [5, 99], "playable_sizes"),
        ("komi_range", [7.5], "komi_range"),
        ("komi_range", [8, 7], "komi_range"),
        ("initial.sha256", "abc", "initial.sha256 'abc' is not 64"),
        ("initial.sha256", "A" * 64, "is not 64 hexadecimal"),
        ("recurrent.size", -1, "recurrent.size -1 is out of range"),
        ("recurrent", ABSENT, "recurrent is missing"),
        ("precision", "float16", "precision 'float16' is neither 'float32' nor 'int8'"),
        ("symmetries", 8, "symmetries is 8, expected bool"),
        ("training", "much", "training is"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(key: str, value: object, message: str) -> None:
    with pytest.raises(ModelInvalid, match=message) as caught:
        manifest_from_json(changed(key, value), source="models/x/manifest.json")
    text = str(caught.value)
    assert text.startswith("models/x/manifest.json: ")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"format": NaN}', "[" * 100_000, b"\xff\xfe{"])
def test_what_is_no_manifest(text: str | bytes) -> None:
    with pytest.raises(ModelInvalid, match=r"^manifest\.json: "):
        manifest_from_json(text)


@pytest.mark.parametrize(
    "key", ["symmetries", "precision", "priority", "created", "tengen_version", "training", "komi_range"]
)
def test_optional_fields(key: str) -> None:
    manifest_from_json(changed(key, ABSENT))


def test_unknown_keys_are_left_for_later_versions() -> None:
    assert manifest_from_json(changed("future", 1)) == MANIFEST


def test_digest_tells_models_apart() -> None:
    others = [tiny_manifest("tiny-5x5", tiny_go_model(seed).files) for seed in range(3)]
    assert len({manifest.digest for manifest in others}) == 3
    assert others[0].identity == f"tiny-5x5@{others[0].digest}"


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [("a", True), ("go-9x9_v1.2", True), ("9", True), ("x" * 64, True)]
    + [(name, False) for name in ("", "x" * 65, "A", "-a", ".a", "a/b", "a b", "a\n", "..", "é")],
)
def test_names(name: str, is_valid: bool) -> None:
    assert is_model_name(name) == is_valid
