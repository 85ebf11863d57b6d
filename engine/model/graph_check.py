"""What an ONNX file may hold, checked on its bytes before ONNX Runtime parses them.

Walks the protobuf encoding only as far as nodes and tensors go, so that the engine needs no `onnx`. Allowed are
operators whose cost their inputs bound; loops, branches, custom operators, functions and external data are not. Field
numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.errors import ModelInvalid

MAX_MODEL_BYTES: Final = 256 * 2**20
"""Size limit of one ONNX file."""
MAX_NODES: Final = 10_000
"""Limit on the operators of one graph."""
_OPERATORS: Final = """
Abs Add AveragePool BatchNormalization Cast CastLike Clip Concat Constant Conv DequantizeLinear Div Equal Erf
Exp Flatten Gather Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish
Identity LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mish Mul Neg
Not PRelu Pow QuantizeLinear Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Shape
Sigmoid Sign Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze Where
"""
ALLOWED_OPERATORS: Final = frozenset(_OPERATORS.split())
"""Operators of the standard domain that a network may use."""

Field = tuple[int, int | memoryview]
"""Field number, and the value: an integer, or the bytes of a string or message."""

_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE_TENSOR = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS = 5, 10
_ATTRIBUTE_FORBIDDEN = {6: "graph", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"}
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14


def check_graph(data: bytes, name: str) -> None:
    """Raises `ModelInvalid`, with `name` in its message, unless `data` is an ONNX model within these limits."""
    if len(data) > MAX_MODEL_BYTES:
        raise ModelInvalid(f"{name}: {len(data)} bytes, the limit is {MAX_MODEL_BYTES}")
    try:
        nodes = sum(_check_graph_field(field) for graph in _graphs(data) for field in _fields(graph))
    except _Refused as refusal:
        raise ModelInvalid(f"{name}: {refusal}") from None
    except (IndexError, UnicodeDecodeError):
        raise ModelInvalid(f"{name}: damaged, or no ONNX file") from None
    if not 0 < nodes <= MAX_NODES:
        raise ModelInvalid(f"{name}: {nodes} operators, expected 1 to {MAX_NODES}")


class _Refused(Exception):
    """What the model may not hold."""


def _graphs(data: bytes) -> Iterator[memoryview]:
    for number, value in _fields(memoryview(data)):
        if number == _MODEL_GRAPH:
            yield _message(value)
        elif number in (_MODEL_FUNCTIONS, _MODEL_TRAINING):
            raise _Refused("functions and training information are not allowed")


def _check_graph_field(field: Field) -> int:
    """Number of operators in a field of the graph: 0 or 1."""
    number, value = field
    if number == _GRAPH_TENSOR:
        _check_tensor(_message(value))
    elif number == _GRAPH_SPARSE_TENSOR:
        raise _Refused("sparse tensors are not allowed")
    elif number == _GRAPH_NODE:
        _check_node(_message(value))
    return int(number == _GRAPH_NODE)


def _check_node(node: memoryview) -> None:
    operator = ""
    for number, value in _fields(node):
        if number == _NODE_OPERATOR:
            operator = str(_message(value), "utf-8")
        elif number == _NODE_DOMAIN and bytes(_message(value)) not in (b"", b"ai.onnx"):
            raise _Refused(f"operator domain {str(_message(value), 'utf-8')!r} is not allowed")
        elif number == _NODE_ATTRIBUTE:
            for kind, content in _fields(_message(value)):
                if kind in _ATTRIBUTE_FORBIDDEN:
                    raise _Refused(f"an operator with a {_ATTRIBUTE_FORBIDDEN[kind]} inside is not allowed")
                if kind in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    _check_tensor(_message(content))
    if operator not in ALLOWED_OPERATORS:
        raise _Refused(f"operator {operator!r} is not allowed")


def _check_tensor(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            raise _Refused("weights in other files are not allowed")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise IndexError("a number where a message should be")
    return value


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of one protobuf message. Raises `IndexError` where the encoding is broken."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if key > 0xFFFFFFFF:  # readers disagree on these: some drop the high bits
            raise IndexError(f"key {key}")
        wire_type = key & 7
        value: int | memoryview
        if wire_type == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            length, position = _varint(data, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise IndexError(f"wire type {wire_type}")
        value, position = data[position : position + length], position + length
        if position > len(data):
            raise IndexError("past the end")
        yield key >> 3, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """The number that begins at `position`, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise IndexError("a number of more than ten bytes")
