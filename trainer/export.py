"""Checkpoints as model folders that the engine plays with."""

from __future__ import annotations

from trainer.onnx_graph import ModelBytes, OnnxExporter

__all__ = ["ModelBytes", "OnnxExporter"]
