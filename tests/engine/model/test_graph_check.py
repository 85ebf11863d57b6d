"""The check on ONNX bytes: it passes what networks need and refuses the rest, however the file is broken."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine.errors import ModelInvalid
from engine.model import graph_check
from engine.model.graph_check import check_graph
from tests.support.tiny_models import tiny_go_model

GOOD = tiny_go_model().initial


def add_node(model: onnx.ModelProto, operator: str, *, domain: str = "", **attributes: object) -> None:
    model.graph.node.append(helper.make_node(operator, ["value"], ["unused"], domain=domain, **attributes))


def loop(model: onnx.ModelProto) -> None:
    flag = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    body = helper.make_graph([helper.make_node("Identity", ["go_on"], ["again"])], "body", [flag], [flag])
    add_node(model, "Loop", body=body)


def hidden_branch(model: onnx.ModelProto) -> None:
    """A subgraph in an attribute of an operator that is allowed."""
    body = helper.make_graph([helper.make_node("Loop", [], ["x"])], "body", [], [])
    add_node(model, "Identity", body=body)


def hidden_branches(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Loop", [], ["x"])], "body", [], [])
    add_node(model, "Identity", bodies=[body])


def external_weights(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def external_constant(model: onnx.ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    add_node(model, "Constant", value=tensor)


def sparse_weights(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(dims=[10**9])


def function(model: onnx.ModelProto) -> None:
    model.functions.add(name="Relu", domain="")


def training(model: onnx.ModelProto) -> None:
    model.training_info.add()


HOSTILE: list[tuple[Callable[[onnx.ModelProto], None], str]] = [
    (loop, "graph inside"),
    (lambda m: add_node(m, "If"), "operator 'If'"),
    (lambda m: add_node(m, "Scan"), "operator 'Scan'"),
    (lambda m: add_node(m, "ConstantOfShape"), "operator 'ConstantOfShape'"),
    (lambda m: add_node(m, "RandomNormal"), "operator 'RandomNormal'"),
    (lambda m: add_node(m, "Relu", domain="com.evil"), "domain 'com.evil'"),
    (lambda m: add_node(m, "Relu", domain="com.microsoft"), "domain 'com.microsoft'"),
    (lambda m: add_node(m, ""), "operator ''"),
    (hidden_branch, "graph inside"),
    (hidden_branches, "graph inside"),
    (external_weights, "weights in other files"),
    (external_constant, "weights in other files"),
    (sparse_weights, "sparse tensors"),
    (function, "functions and training"),
    (training, "functions and training"),
]


@pytest.mark.parametrize("model", [GOOD, tiny_go_model().recurrent], ids=["initial", "recurrent"])
def test_networks_pass(model: onnx.ModelProto) -> None:
    check_graph(model.SerializeToString(), "tiny")


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_models_are_refused(change: Callable[[onnx.ModelProto], None], message: str) -> None:
    model = copy.deepcopy(GOOD)
    change(model)
    with pytest.raises(ModelInvalid, match=rf"^bad\.onnx: .*{message}"):
        check_graph(model.SerializeToString(), "bad.onnx")


def test_a_second_graph_in_the_file_is_read_too() -> None:
    """Protobuf merges repeated fields: a reader of the first one alone would be fooled."""
    extra = onnx.ModelProto()
    add_node(extra, "Loop")
    with pytest.raises(ModelInvalid, match="'Loop'"):
        check_graph(GOOD.SerializeToString() + extra.SerializeToString(), "bad.onnx")


def test_a_key_whose_high_bits_other_readers_drop() -> None:
    """The five-byte key of field 7 plus 2^32: skipped as unknown by one reader, taken for the graph by another."""
    extra = onnx.ModelProto()
    add_node(extra, "Loop")
    plain = extra.SerializeToString()
    assert plain[0] == 7 << 3 | 2
    disguised = bytes([plain[0] | 0x80, 0x80, 0x80, 0x80, 0x10]) + plain[1:]
    with pytest.raises(ModelInvalid, match="damaged"):
        check_graph(GOOD.SerializeToString() + disguised, "bad.onnx")


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a model", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 20, b"\x0b\x0c"])
def test_what_is_no_model(data: bytes) -> None:
    with pytest.raises(ModelInvalid, match=r"^x: "):
        check_graph(data, "x")


def test_too_many_bytes_and_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    data = GOOD.SerializeToString()
    monkeypatch.setattr(graph_check, "MAX_NODES", len(GOOD.graph.node) - 1)
    with pytest.raises(ModelInvalid, match="operators, expected 1 to"):
        check_graph(data, "x")
    monkeypatch.setattr(graph_check, "MAX_MODEL_BYTES", len(data) - 1)
    with pytest.raises(ModelInvalid, match="bytes, the limit is"):
        check_graph(data, "x")


def complaint(data: bytes) -> str:
    """What `check_graph` says against `data`; "" if nothing."""
    try:
        check_graph(data, "x")
    except ModelInvalid as error:
        return str(error)
    return ""


def test_every_truncation_ends_in_one_error_or_none() -> None:
    """Cut after every byte of the structure and of the first weights."""
    data = GOOD.SerializeToString()
    for end in [*range(2000), *range(2000, len(data), 37)]:
        assert "\n" not in complaint(data[:end])


def test_random_damage_ends_in_one_error_or_none() -> None:
    rng, data = np.random.default_rng(0), np.frombuffer(GOOD.SerializeToString(), np.uint8)
    refused = 0
    for _ in range(300):
        damaged = data.copy()
        where = rng.integers(0, len(damaged), 3) if rng.random() < 0.5 else rng.integers(0, 600, 3)
        damaged[where] = rng.integers(0, 256, 3)
        refused += complaint(damaged.tobytes()) != ""
    assert refused > 50
