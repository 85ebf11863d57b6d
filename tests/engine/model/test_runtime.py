"""Devices by name, and the sessions of one graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import EvaluationError, InvalidConfig, ModelInvalid
from engine.model import runtime
from engine.model.runtime import PROVIDERS, Graph, GraphOptions, find_provider
from tests.support.tiny_models import PLANES, tiny_go_model

SIZE = 5
NAMES = ["hidden", "policy_logits", "value"]


def options(**fields: Any) -> GraphOptions:
    return GraphOptions(**({"board_size": SIZE, "device": "cpu", "threads": 1, "callers": 1} | fields))


def observations(batch: int) -> dict[str, np.ndarray]:
    return {"observation": np.random.default_rng(0).random((batch, PLANES, SIZE, SIZE), dtype=np.float32)}


@pytest.fixture
def data() -> bytes:
    return tiny_go_model().files[0]


class TestDevices:
    def test_cpu(self) -> None:
        assert find_provider("cpu") == ("CPUExecutionProvider", {})

    @pytest.mark.parametrize("device", ["gpu", "", "cpu:", "cuda:x", "CPU", "openvino:GPU"])
    def test_unknown_device(self, device: str) -> None:
        with pytest.raises(InvalidConfig, match="is not one of cpu, cuda"):
            find_provider(device)

    @pytest.mark.parametrize("device", ["cpu:0", "openvino:1", "coreml:0"])
    def test_numbers_are_for_devices_of_which_there_are_several(self, device: str) -> None:
        with pytest.raises(InvalidConfig, match="only cuda, tensorrt, migraphx, directml have numbers"):
            find_provider(device)

    @pytest.mark.parametrize("device", PROVIDERS)
    def test_a_missing_provider_names_the_package(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runtime.ort, "get_available_providers", list)
        with pytest.raises(
            InvalidConfig, match=f"'{device}' needs another ONNX Runtime: pip install {PROVIDERS[device][1]}$"
        ):
            find_provider(device)

    @pytest.mark.parametrize("device", PROVIDERS)
    def test_a_provider_that_is_there(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        provider = PROVIDERS[device][0]
        monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: [provider, "CPUExecutionProvider"])
        assert find_provider(device) == (provider, {})

    def test_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
        assert find_provider("cuda:1") == ("CUDAExecutionProvider", {"device_id": "1"})

    def test_every_provider_that_is_here_is_found(self) -> None:
        for device, (provider, _) in PROVIDERS.items():
            if provider in runtime.ort.get_available_providers():
                assert find_provider(device)[0] == provider


class Sessions:
    """Stands in for `onnxruntime.InferenceSession`: keeps what sessions are made with."""

    def __init__(self, *, starts: bool = True) -> None:
        self.providers: list[list[tuple[str, dict[str, str]]]] = []
        self.starts = starts

    def __call__(self, data: bytes, settings: object, *, providers: Any, enable_fallback: int) -> Sessions:
        assert not enable_fallback
        self.providers.append(providers)
        return self

    def get_providers(self) -> list[str]:
        return [name for name, _ in self.providers[-1]] if self.starts else ["CPUExecutionProvider"]


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    sessions = Sessions()
    monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: [name for name, _ in PROVIDERS.values()])
    monkeypatch.setattr(runtime.ort, "InferenceSession", sessions)
    return sessions


class TestOtherDevices:
    def test_the_cpu_takes_what_a_device_cannot(self, sessions: Sessions, data: bytes) -> None:
        Graph(data, "initial.onnx", options(device="cuda:1"))
        assert sessions.providers == [[("CUDAExecutionProvider", {"device_id": "1"}), ("CPUExecutionProvider", {})]]

    def test_openvino_gets_a_stream_for_each_caller(self, sessions: Sessions, data: bytes) -> None:
        """One stream serves one caller at a time, whatever the number of threads."""
        Graph(data, "initial.onnx", options(device="openvino", callers=3))
        wanted = {"device_type": "CPU", "num_of_threads": "3", "num_streams": "3"}
        assert sessions.providers[0][0] == ("OpenVINOExecutionProvider", wanted)

    def test_a_provider_that_does_not_start(self, sessions: Sessions, data: bytes) -> None:
        sessions.starts = False
        with pytest.raises(InvalidConfig, match="'cuda': CUDAExecutionProvider does not start here; its libraries"):
            Graph(data, "initial.onnx", options(device="cuda"))


class TestGraph:
    def test_single_positions_and_batches_give_the_same(self, data: bytes) -> None:
        graph, inputs = Graph(data, "initial.onnx", options()), observations(3)
        together = graph.run(NAMES, inputs, 3)
        for row in range(3):
            alone = graph.run(NAMES, {"observation": inputs["observation"][row : row + 1]}, 1)
            for one, other in zip(alone, together, strict=True):
                np.testing.assert_array_equal(one[0], other[row])

    def test_the_session_for_batches_is_made_once_and_when_needed(
        self, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[bool] = []
        make = runtime._make_session

        def counted(*arguments: Any, is_single: bool) -> Any:
            made.append(is_single)
            return make(*arguments, is_single=is_single)

        monkeypatch.setattr(runtime, "_make_session", counted)
        graph = Graph(data, "initial.onnx", options())
        graph.run(NAMES, observations(1), 1)
        assert made == [True]
        for batch in (2, 5, 2, 1):
            graph.run(NAMES, observations(batch), batch)
        assert made == [True, False]

    def test_failure_is_one_line(self, data: bytes) -> None:
        graph = Graph(data, "initial.onnx", options())
        with pytest.raises(EvaluationError, match="ONNX Runtime failed: ") as caught:
            graph.run(NAMES, {"observation": np.zeros((2, PLANES, 7, 7), np.float32)}, 2)
        assert len(str(caught.value).splitlines()) == 1

    def test_what_is_no_graph(self, data: bytes) -> None:
        with pytest.raises(ModelInvalid, match=r"^initial\.onnx: "):
            Graph(data[:-30], "initial.onnx", options())
