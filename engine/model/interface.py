"""The tensors that the two graphs of a model must have, and the `ModelShape` that they add up to.

Go models: initial.onnx takes `observation` [B, P, H, W] and returns `hidden` [B, C, H, W], `policy_logits`
[B, H * W + 1], `value` [B], and optionally `ownership` [B, H, W], `score_mean` [B], `score_stdev` [B]. recurrent.onnx
takes `hidden` and `action_planes` [B, 4, H, W] and returns `next_hidden`, `policy_logits`, `value`, and optionally
`reward` [B]. Vector models are the same without H and W, and with one-hot actions. All float32; B, H and W are free.
Knows no ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Protocol

from engine.errors import ModelInvalid
from engine.model.manifest import ModelShape

INITIAL: Final = "initial.onnx"
RECURRENT: Final = "recurrent.onnx"
HEADS: Final = ("ownership", "score_mean", "score_stdev")
"""Optional outputs of initial.onnx, all or none."""
_WITH_CHANNELS: Final = ("observation", "hidden", "next_hidden", "action_planes")


class TensorInfo(Protocol):
    """A graph's input or output, as ONNX Runtime describes it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> list[int | str | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTensors:
    """The tensors of one graph."""

    inputs: Sequence[TensorInfo]
    """What it takes."""
    outputs: Sequence[TensorInfo]
    """What it returns."""


def read_shape(initial: GraphTensors, recurrent: GraphTensors) -> ModelShape:
    """What the graphs say of themselves; raises `ModelInvalid` where they contradict the interface or each other."""
    rank = len(_find(initial.inputs, "observation", INITIAL).shape)
    if rank not in (2, 4):
        raise ModelInvalid(f"{INITIAL}: 'observation' has {rank} dimensions, expected 4 (planes) or 2 (vector)")
    has_ownership = {tensor.name for tensor in initial.outputs} >= set(HEADS)
    has_reward = "reward" in {tensor.name for tensor in recurrent.outputs}
    predictions = {"policy_logits": 2, "value": 1}
    heads = dict(zip(HEADS, (rank - 1, 1, 1), strict=True)) if has_ownership else {}
    rewards = {"reward": 1} if has_reward else {}
    first = _read_channels(INITIAL, initial, {"observation": rank}, {"hidden": rank, **predictions, **heads})
    step = _read_channels(
        RECURRENT, recurrent, {"hidden": rank, "action_planes": rank}, {"next_hidden": rank, **predictions, **rewards}
    )
    if not first["hidden"] == step["hidden"] == step["next_hidden"]:
        raise ModelInvalid(f"{INITIAL} and {RECURRENT} differ in the channels of the hidden state")
    return ModelShape(
        kind="go" if rank == 4 else "vector",
        observation_size=first["observation"],
        hidden_size=first["hidden"],
        action_size=step["action_planes"],
        has_reward=has_reward,
        has_ownership=has_ownership,
    )


def check_same_shape(found: ModelShape, expected: ModelShape) -> None:
    """Raises `ModelInvalid` that names the first difference."""
    for item in fields(ModelShape):
        is_value, promised = getattr(found, item.name), getattr(expected, item.name)
        if is_value != promised:
            raise ModelInvalid(f"the model has {item.name} {is_value!r}, expected {promised!r}")


def _read_channels(file: str, graph: GraphTensors, inputs: dict[str, int], outputs: dict[str, int]) -> dict[str, int]:
    """Checks names, ranks and element types; returns the channels of the tensors that have them."""
    if extra := {tensor.name for tensor in graph.inputs} - set(inputs):
        raise ModelInvalid(f"{file}: unexpected input {min(extra)!r}")
    channels = {}
    for tensors, ranks in ((graph.inputs, inputs), (graph.outputs, outputs)):
        for name, rank in ranks.items():
            tensor = _find(tensors, name, file)
            if tensor.type != "tensor(float)":
                raise ModelInvalid(f"{file}: {name!r} is a {tensor.type}, expected tensor(float)")
            if len(tensor.shape) != rank:
                raise ModelInvalid(f"{file}: {name!r} has {len(tensor.shape)} dimensions, expected {rank}")
            if name in _WITH_CHANNELS:
                size = tensor.shape[1]
                if not isinstance(size, int):
                    raise ModelInvalid(f"{file}: {name!r} leaves its number of channels open")
                channels[name] = size
    return channels


def _find(tensors: Sequence[TensorInfo], name: str, file: str) -> TensorInfo:
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    raise ModelInvalid(f"{file}: no tensor {name!r}; it has {', '.join(repr(t.name) for t in tensors)}")
