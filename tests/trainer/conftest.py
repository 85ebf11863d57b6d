"""Tracing a network costs seconds, swapping its weights milliseconds: runs in miniature share one trace a shape."""

from __future__ import annotations

from functools import cache

import pytest

from trainer import onnx_graph
from trainer.network import Network, NetworkConfig, make_network

trace = cache(lambda config: _Exporter(make_network(config)))
_Exporter = onnx_graph.OnnxExporter


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-play on a CPU traces each shape of network once for all tests; weights are its own as ever."""

    def exporter(network: Network) -> onnx_graph.OnnxExporter:
        config: NetworkConfig = network.config
        return trace(config)

    monkeypatch.setattr(onnx_graph, "OnnxExporter", exporter)
