"""The evaluator that self-play runs on: ONNX Runtime on a CPU, torch on an accelerator."""

from __future__ import annotations

from typing import Protocol

from engine.model.contract import Evaluator
from trainer.config import TrainConfig
from trainer.network import Network


class Actor(Protocol):
    """An evaluator whose weights can be replaced."""

    evaluator: Evaluator
    """What the search calls; stays the same object for good."""

    def load(self, network: Network) -> None:
        """Takes over the weights of `network`, of the same shape as before."""
        ...


def make_actor(network: Network, config: TrainConfig, *, device: str) -> Actor:
    """An actor for self-play of `config`: slots for every tree's root and simulations."""
    slots = config.selfplay.num_games * (config.search.num_simulations + 1)
    if device == "cpu":
        return OnnxActor(network, config, num_slots=slots)
    return TorchActor(network, num_slots=slots, device=device)


class OnnxActor:
    """Exports once, then swaps weights inside the exported graphs."""

    def __init__(self, network: Network, config: TrainConfig, *, num_slots: int) -> None:
        from engine.model.onnx_evaluator import OnnxEvaluator
        from trainer.onnx_graph import OnnxExporter

        self._exporter = OnnxExporter(network)
        initial, recurrent = self._exporter.export(network.state_dict())
        self.evaluator = OnnxEvaluator.from_bytes(
            initial,
            recurrent,
            board_size=config.env.size if config.is_go else None,
            num_slots=num_slots,
            threads=config.loop.threads,
        )

    def load(self, network: Network) -> None:
        """See `Actor.load`."""
        self.evaluator.load_bytes(*self._exporter.export(network.state_dict()))


class TorchActor:
    """Shares the network's device."""

    def __init__(self, network: Network, *, num_slots: int, device: str) -> None:
        from trainer.torch_evaluator import TorchEvaluator

        self.evaluator = TorchEvaluator(network, num_slots=num_slots, device=device)

    def load(self, network: Network) -> None:
        """See `Actor.load`."""
        self.evaluator.load(network.state_dict())
