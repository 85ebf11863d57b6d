"""ONNX Runtime: devices with their packages, and one graph ready to run. The only place that imports onnxruntime.

Knows tensors by name; knows nothing of models, hidden states or games.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# From 1.29 on ONNX Runtime starts its telemetry, two threads and a database in the user's cache folder, when it is
# imported, unless this is set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

from engine.errors import EvaluationError, InvalidConfig, ModelInvalid
from engine.model.graph_check import check_graph
from engine.model.interface import GraphTensors

Floats = NDArray[np.float32]

PROVIDERS: Final = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "migraphx": ("MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
}
"""Names of devices: ONNX Runtime's provider, and the package on PyPI that brings it."""
_NUMBERED: Final = ("cuda", "tensorrt", "migraphx", "directml")
"""Devices of which a machine may have several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """How graphs are run."""

    board_size: int | None
    """Height and width that are fixed in the graph; None for vector models."""
    device: str
    """A key of `PROVIDERS`, for some with a device number: "cuda:1"."""
    threads: int
    """Threads inside one evaluation. With several search threads 1 is best: they then never wait for each other."""
    callers: int
    """Threads that may evaluate at the same time; only OpenVINO needs to know."""


class Graph:
    """One graph; `run` may be called from several threads at once.

    With every dimension known it runs 5 % faster on a CPU, and twice as fast on OpenVINO: single positions have a
    session of their own. That for batches is made when it is first needed.
    """

    def __init__(self, data: bytes, name: str, options: GraphOptions) -> None:
        """`name` is for messages. Raises `ModelInvalid`, and `InvalidConfig` for a device that is not there."""
        check_graph(data, name)
        self._data = data
        self._name = name
        self._options = options
        self._single = _make_session(data, name, options, is_single=True)
        self._batched: ort.InferenceSession | None = None
        self._lock = threading.Lock()

    @property
    def tensors(self) -> GraphTensors:
        """What it takes and returns."""
        return GraphTensors(inputs=self._single.get_inputs(), outputs=self._single.get_outputs())

    def session(self, batch: int) -> ort.InferenceSession:
        """The session for `batch` positions."""
        if batch == 1:
            return self._single
        with self._lock:
            if self._batched is None:
                self._batched = _make_session(self._data, self._name, self._options, is_single=False)
            return self._batched

    def run(self, names: Sequence[str], inputs: Mapping[str, Floats], batch: int) -> list[Floats]:
        """The outputs `names` for `inputs` of `batch` rows each. Raises `EvaluationError`."""
        session = self._single if batch == 1 else self.session(batch)
        try:
            outputs: list[Floats] = session.run(names, inputs)
        except Exception as error:  # ONNX Runtime's own classes have no common base
            raise EvaluationError(f"ONNX Runtime failed: {_first_line(error)}") from error
        return outputs


def find_provider(device: str) -> tuple[str, dict[str, str]]:
    """ONNX Runtime's name and options of a device such as "cpu" or "cuda:1".

    Raises `InvalidConfig` for a device that does not exist, or whose package is not installed, with the package's name.
    """
    name, colon, number = device.partition(":")
    if name not in PROVIDERS or (colon and not number.isdecimal()):
        raise InvalidConfig(f"device {device!r} is not one of {', '.join(PROVIDERS)}")
    if number and name not in _NUMBERED:
        raise InvalidConfig(f"device {device!r}: only {', '.join(_NUMBERED)} have numbers")
    provider, package = PROVIDERS[name]
    if provider not in ort.get_available_providers():
        raise InvalidConfig(f"device {device!r} needs another ONNX Runtime: pip install {package}")
    return provider, {"device_id": number} if number else {}


def _make_session(data: bytes, name: str, options: GraphOptions, *, is_single: bool) -> ort.InferenceSession:
    """A session, with a batch of one or a free one."""
    provider, provider_options = find_provider(options.device)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = 3
    if is_single:
        settings.add_free_dimension_override_by_name("batch", 1)
    if options.board_size is not None:
        settings.add_free_dimension_override_by_name("height", options.board_size)
        settings.add_free_dimension_override_by_name("width", options.board_size)
    if provider == PROVIDERS["openvino"][0]:  # a stream serves one caller at a time
        threads = options.threads * options.callers
        provider_options |= {
            "device_type": "CPU",
            "num_of_threads": str(threads),
            "num_streams": str(options.callers),
        }
    providers = [(provider, provider_options), ("CPUExecutionProvider", {})][: 1 if provider.startswith("CPU") else 2]
    try:
        # Its own fallback would print to stdout, which belongs to GTP.
        session = ort.InferenceSession(data, settings, providers=providers, enable_fallback=0)
    except Exception as error:  # a dozen kinds, UnicodeDecodeError among them
        raise ModelInvalid(f"{name}: ONNX Runtime refuses it: {_first_line(error)}") from error
    if session.get_providers()[0] != provider:
        raise InvalidConfig(f"device {options.device!r}: {provider} does not start here; its libraries are missing")
    return session


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
