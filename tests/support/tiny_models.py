"""Models small enough to build in a test: hand-made ONNX graphs with a real model's tensors, and folders of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.go.features import FEATURE_VERSION
from engine.model.manifest import ModelFile, ModelManifest, ModelShape, manifest_to_json

PLANES, CHANNELS, ACTION_PLANES = 24, 4, 4
BOARD = ["height", "width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyModel:
    """Two graphs, which tests may change before they become bytes."""

    initial: onnx.ModelProto
    """initial.onnx."""
    recurrent: onnx.ModelProto
    """recurrent.onnx."""

    @property
    def files(self) -> tuple[bytes, bytes]:
        """initial.onnx and recurrent.onnx."""
        return self.initial.SerializeToString(), self.recurrent.SerializeToString()


def tiny_go_model(seed: int = 0, *, scale: float = 0.5) -> TinyModel:
    """A Go model of one convolution a graph, with weights of standard deviation `scale`."""
    rng = np.random.default_rng(seed)
    observation = helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", PLANES, *BOARD])
    hidden = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", CHANNELS, *BOARD])
    planes = helper.make_tensor_value_info("action_planes", TensorProto.FLOAT, ["batch", ACTION_PLANES, *BOARD])
    heads, head_weights = _heads(rng, scale)
    return TinyModel(
        initial=_model(
            [
                helper.make_node("Conv", ["observation", "w_in"], ["encoded"], pads=[1, 1, 1, 1]),
                helper.make_node("Sigmoid", ["encoded"], ["hidden"]),
                *heads("hidden"),
                helper.make_node("Conv", ["hidden", "w_ownership"], ["owners"]),
                helper.make_node("Tanh", ["owners"], ["bounded"]),
                helper.make_node("Squeeze", ["bounded", "one"], ["ownership"]),
                helper.make_node("Mul", ["value", "ten"], ["score_mean"]),
                helper.make_node("Softplus", ["value"], ["score_stdev"]),
            ],
            [observation],
            {"hidden": ["batch", CHANNELS, *BOARD], "ownership": ["batch", *BOARD], "score_mean": ["batch"],
             "score_stdev": ["batch"]},
            {
                **head_weights,
                "w_in": _weights(rng, scale, CHANNELS, PLANES, 3, 3),
                "w_ownership": _weights(rng, scale, 1, CHANNELS, 1, 1),
                "one": np.array([1]),
                "ten": np.float32([10]),
            },
        ),
        recurrent=_model(
            [
                helper.make_node("Concat", ["hidden", "action_planes"], ["both"], axis=1),
                helper.make_node("Conv", ["both", "w_step"], ["stepped"], pads=[1, 1, 1, 1]),
                helper.make_node("Sigmoid", ["stepped"], ["next_hidden"]),
                *heads("next_hidden"),
            ],
            [hidden, planes],
            {"next_hidden": ["batch", CHANNELS, *BOARD]},
            {**head_weights, "w_step": _weights(rng, scale, CHANNELS, CHANNELS + ACTION_PLANES, 3, 3)},
        ),
    )  # fmt: skip


def _heads(rng: np.random.Generator, scale: float):  # type: ignore[no-untyped-def]
    """Policy and value of a hidden state, as a function of its name, and their weights."""
    weights = {
        "w_policy": _weights(rng, scale, 1, CHANNELS, 1, 1),
        "w_pass": _weights(rng, scale, CHANNELS, 1),
        "w_value": _weights(rng, scale, CHANNELS, 1),
        "axis": np.array([1]),
    }

    def nodes(hidden: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("Conv", [hidden, "w_policy"], ["point_planes"]),
            helper.make_node("Flatten", ["point_planes"], ["points"]),
            helper.make_node("GlobalAveragePool", [hidden], ["pooled_planes"]),
            helper.make_node("Flatten", ["pooled_planes"], ["pooled"]),
            helper.make_node("MatMul", ["pooled", "w_pass"], ["passing"]),
            helper.make_node("Concat", ["points", "passing"], ["policy_logits"], axis=1),
            helper.make_node("MatMul", ["pooled", "w_value"], ["judgement"]),
            helper.make_node("Tanh", ["judgement"], ["bounded_value"]),
            helper.make_node("Squeeze", ["bounded_value", "axis"], ["value"]),
        ]

    return nodes, weights


def _weights(rng: np.random.Generator, scale: float, *shape: int) -> np.ndarray:
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: dict[str, list[str | int]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    outputs = {**outputs, "policy_logits": ["batch", "actions"], "value": ["batch"]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def tiny_manifest(
    name: str, files: tuple[bytes, bytes], *, trained: tuple[int, ...] = (5,), playable: tuple[int, int] = (3, 9)
) -> ModelManifest:
    """The manifest of a tiny Go model with these files."""
    initial, recurrent = (ModelFile(size=len(f), sha256=hashlib.sha256(f).hexdigest()) for f in files)
    return ModelManifest(
        name=name,
        shape=ModelShape(
            kind="go",
            observation_size=PLANES,
            hidden_size=CHANNELS,
            action_size=ACTION_PLANES,
            has_reward=False,
            has_ownership=True,
        ),
        environment="tengen/Go-v0",
        feature_variant="full",
        feature_version=FEATURE_VERSION,
        trained_sizes=trained,
        playable_sizes=playable,
        komi_range=(7.0, 7.0),
        initial=initial,
        recurrent=recurrent,
        training={"games": 12},
    )


def write_tiny_model(
    root: Path, name: str, *, trained: tuple[int, ...] = (5,), playable: tuple[int, int] = (3, 9), **changes: object
) -> Path:
    """Writes the folder `root/name` of a working model; `changes` replace fields of its manifest."""
    files = tiny_go_model().files
    manifest = replace(tiny_manifest(name, files, trained=trained, playable=playable), **changes)  # type: ignore[arg-type]
    folder = root / name
    folder.mkdir(parents=True)
    for file, data in zip(("initial.onnx", "recurrent.onnx"), files, strict=True):
        (folder / file).write_bytes(data)
    (folder / "manifest.json").write_text(manifest_to_json(manifest))
    return folder
