"""`ModelManifest`: what a model folder promises, and its JSON form, manifest.json.

Reading is strict about every field that the engine relies on. What a run tells about itself, under "training", is
passed through for cards and listings; nothing is decided by it. Knows neither ONNX nor where models are kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from engine.errors import ModelInvalid
from engine.go.rules import MAX_SIZE, MIN_SIZE

Kind = Literal["go", "vector"]
Precision = Literal["float32", "int8"]

MANIFEST_FORMAT: Final = 1
"""Version of the fields below; the engine reads only this one."""
NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""Every name of a model matches it as a whole, so that none can be a path."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def is_model_name(name: str) -> bool:
    """Whether `name` may be a model's name."""
    return NAME_PATTERN.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The tensors of a model: what initial.onnx and recurrent.onnx take and return."""

    kind: Kind
    """"go": observation and hidden state are planes [B, C, H, W]. "vector": they are vectors [B, D]."""
    observation_size: int
    """Planes, or length, of an observation."""
    hidden_size: int
    """Channels, or length, of a hidden state."""
    action_size: int
    """Planes of an encoded action; for vectors the number of actions, one-hot."""
    has_reward: bool
    """Whether recurrent.onnx returns `reward` [B]."""
    has_ownership: bool
    """Whether initial.onnx returns `ownership` [B, H, W], `score_mean` [B] and `score_stdev` [B]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One ONNX file, identified."""

    size: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """manifest.json of a model folder."""

    name: str
    """The model's name; see `NAME_PATTERN`."""
    shape: ModelShape
    """What its files take and return."""
    environment: str
    """Gymnasium id of the game that it was trained on, such as "tengen/Go-v0"."""
    feature_variant: str = ""
    """Go: the observation planes, "full" or "basic" of engine/go/features.py; "" for vectors."""
    feature_version: int = 0
    """Go: `FEATURE_VERSION` of these planes; 0 for vectors."""
    trained_sizes: tuple[int, ...] = ()
    """Go: board sizes that it was trained on, ascending."""
    playable_sizes: tuple[int, int] = (0, 0)
    """Go: smallest and largest board size on which it may be used at all; (0, 0) for vectors."""
    komi_range: tuple[float, float] | None = None
    """Go: smallest and largest komi of its training games on the largest board."""
    symmetries: bool = False
    """Go: whether it was trained on all images of its positions: 8 symmetries of the board, and colours changed."""
    precision: Precision = "float32"
    """Of the arithmetic of the networks; "int8": a quantised form. Inputs and outputs are float32 in any case."""
    priority: int = 0
    """Of several models that suit a board size, the one with the highest priority is the default."""
    initial: ModelFile
    """initial.onnx."""
    recurrent: ModelFile
    """recurrent.onnx."""
    created: str = ""
    """Date of the export, ISO 8601, UTC."""
    tengen_version: str = ""
    """Version that exported it."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """What is known of its training: games, positions, core_hours, seed, command, ..."""

    def can_play(self, board_size: int) -> bool:
        """Whether the model may be used on `board_size`."""
        return self.playable_sizes[0] <= board_size <= self.playable_sizes[1]

    def misgiving(self, board_size: int, komi: float) -> str:
        """What a user should know who has it play there: what it never met in training; "" if nothing."""
        if board_size not in self.trained_sizes:
            return (
                f"{self.name} was not trained on {board_size}x{board_size}: it plays by the rules there, but not well"
            )
        if self.komi_range is None or board_size < max(self.trained_sizes):
            return ""
        low, high = self.komi_range
        if low <= komi <= high:
            return ""
        return f"{self.name} was trained with komi from {low:g} to {high:g}: with {komi:g} it may misjudge who is ahead"

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that identify the two files together."""
        return hashlib.sha256((self.initial.sha256 + self.recurrent.sha256).encode()).hexdigest()[:12]

    @property
    def identity(self) -> str:
        """`name@digest`, for logs and answers."""
        return f"{self.name}@{self.digest}"


def manifest_to_json(manifest: ModelManifest) -> str:
    """The text of manifest.json."""
    return json.dumps({"format": MANIFEST_FORMAT, **dataclasses.asdict(manifest)}, indent=2, allow_nan=False) + "\n"


def manifest_from_json(text: str | bytes, *, source: str = "manifest.json") -> ModelManifest:
    """The inverse of `manifest_to_json`; unknown keys are ignored.

    Raises `ModelInvalid`, one line that begins with `source`, for anything that is missing or wrong.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(f"{source}: no JSON: {error}") from None
    try:
        return _manifest(_Reader(data))
    except _Wrong as wrong:
        raise ModelInvalid(f"{source}: {wrong}") from None


class _Wrong(Exception):
    """What is missing or wrong, with the path of the key."""


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _manifest(reader: _Reader) -> ModelManifest:
    if (version := reader.integer("format")) != MANIFEST_FORMAT:
        raise _Wrong(f"format {version} is not one that this version reads ({MANIFEST_FORMAT})")
    shape = _shape(reader.object("shape"))
    is_go = shape.kind == "go"
    name = reader.text("name")
    if not is_model_name(name):
        raise _Wrong(f"name {name!r} does not match {NAME_PATTERN.pattern}")
    return ModelManifest(
        name=name,
        shape=shape,
        environment=reader.text("environment"),
        feature_variant=reader.text("feature_variant") if is_go else "",
        feature_version=reader.integer("feature_version") if is_go else 0,
        trained_sizes=_trained_sizes(reader) if is_go else (),
        playable_sizes=_playable_sizes(reader) if is_go else (0, 0),
        komi_range=_komi_range(reader),
        symmetries=is_go and reader.boolean("symmetries", default=False),
        precision=_precision(reader),
        priority=reader.integer("priority", default=0),
        initial=_file(reader.object("initial")),
        recurrent=_file(reader.object("recurrent")),
        created=reader.text("created", default=""),
        tengen_version=reader.text("tengen_version", default=""),
        training=reader.object("training").data if "training" in reader.data else {},
    )


def _shape(reader: _Reader) -> ModelShape:
    kind = reader.text("kind")
    if kind not in ("go", "vector"):
        raise _Wrong(f"shape.kind {kind!r} is neither 'go' nor 'vector'")
    return ModelShape(
        kind="go" if kind == "go" else "vector",
        observation_size=reader.integer("observation_size", low=1),
        hidden_size=reader.integer("hidden_size", low=1),
        action_size=reader.integer("action_size", low=1),
        has_reward=reader.boolean("has_reward"),
        has_ownership=reader.boolean("has_ownership"),
    )


def _precision(reader: _Reader) -> Precision:
    precision = reader.text("precision", default="float32")
    if precision not in ("float32", "int8"):
        raise _Wrong(f"precision {precision!r} is neither 'float32' nor 'int8'")
    return "int8" if precision == "int8" else "float32"


def _file(reader: _Reader) -> ModelFile:
    digest = reader.text("sha256")
    if _SHA256.fullmatch(digest) is None:
        raise _Wrong(f"{reader.path}sha256 {digest!r} is not 64 hexadecimal digits")
    return ModelFile(size=reader.integer("size", low=1), sha256=digest)


def _trained_sizes(reader: _Reader) -> tuple[int, ...]:
    sizes = reader.numbers("trained_sizes")
    if list(sizes) != sorted({s for s in sizes if isinstance(s, int) and MIN_SIZE <= s <= MAX_SIZE}):
        raise _Wrong(f"trained_sizes {list(sizes)} are not ascending board sizes in {MIN_SIZE}..{MAX_SIZE}")
    return tuple(int(size) for size in sizes)


def _playable_sizes(reader: _Reader) -> tuple[int, int]:
    sizes = reader.numbers("playable_sizes")
    is_range = (
        len(sizes) == 2 and all(isinstance(s, int) for s in sizes) and MIN_SIZE <= sizes[0] <= sizes[1] <= MAX_SIZE
    )
    if not is_range:
        raise _Wrong(f"playable_sizes {list(sizes)} are not a smallest and a largest size in {MIN_SIZE}..{MAX_SIZE}")
    return int(sizes[0]), int(sizes[1])


def _komi_range(reader: _Reader) -> tuple[float, float] | None:
    if reader.data.get("komi_range") is None:
        return None
    komi = reader.numbers("komi_range")
    if len(komi) != 2 or not -1000 <= komi[0] <= komi[1] <= 1000:
        raise _Wrong(f"komi_range {list(komi)} is not a smallest and a largest komi")
    return float(komi[0]), float(komi[1])


class _Reader:
    """One JSON object whose values are taken out with their type checked."""

    def __init__(self, data: Any, path: str = "") -> None:
        if not isinstance(data, dict):
            raise _Wrong(f"{path.rstrip('.') or 'the top level'} is no JSON object")
        self.data: dict[str, Any] = data
        self.path = path

    def _take(self, key: str, kind: type, default: Any) -> Any:
        value = self.data.get(key, default)
        if value is None:
            raise _Wrong(f"{self.path}{key} is missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _Wrong(f"{self.path}{key} is {json.dumps(value)[:60]}, expected {kind.__name__}")
        return value

    def integer(self, key: str, *, default: int | None = None, low: int = -(2**31)) -> int:
        value: int = self._take(key, int, default)
        if not low <= value < 2**31:
            raise _Wrong(f"{self.path}{key} {value} is out of range")
        return value

    def boolean(self, key: str, *, default: bool | None = None) -> bool:
        return bool(self._take(key, bool, default))

    def text(self, key: str, *, default: str | None = None) -> str:
        return str(self._take(key, str, default))

    def object(self, key: str) -> _Reader:
        return _Reader(self._take(key, dict, None), f"{self.path}{key}.")

    def numbers(self, key: str) -> list[int | float]:
        values = self._take(key, list, None)
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
            raise _Wrong(f"{self.path}{key} {json.dumps(values)[:60]} holds what is no number")
        return list(values)
