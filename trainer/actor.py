"""One actor of self-play: its games, its random stream, and the evaluator that it plays with.

A `Publisher` beside the learner turns a network into `Weights`, which an `Actor` takes over, in the same process or in
another. On a CPU they are ONNX graphs for ONNX Runtime; on an accelerator, arrays for torch. Knows nothing of learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.model.contract import Evaluator
from trainer import onnx_graph
from trainer.config import TrainConfig
from trainer.network import Network, make_network
from trainer.onnx_graph import ModelBytes
from trainer.record import GameRecord
from trainer.selfplay import SelfPlay, make_env

Weights = ModelBytes | dict[str, NDArray[np.float32]]
"""A network on its way to an actor; either may be sent to another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorState:
    """What an actor needs to go on as if it had never stopped."""

    rng: dict[str, Any]
    """State of its random stream, as JSON values."""
    games: dict[str, NDArray[Any]] | None = None
    """Its games in progress, `SelfPlay.state()`; None: it begins new ones."""


class Publisher:
    """Makes `Weights` of networks like the one it was built with; on a CPU building takes some seconds."""

    def __init__(self, network: Network, *, device: str) -> None:
        self._exporter = onnx_graph.OnnxExporter(network) if device == "cpu" else None

    def publish(self, network: Network) -> Weights:
        """`network` as it is now. Raises `ModelInvalid` if it holds NaN or infinity."""
        if self._exporter is not None:
            return self._exporter.export(network.state_dict())
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in network.state_dict().items()}


def make_evaluator(weights: Weights, config: TrainConfig, *, device: str) -> Evaluator:
    """An evaluator for self-play of `config`: slots for every tree's root and simulations."""
    slots = config.selfplay.num_games * (config.search.num_simulations + 1)
    if isinstance(weights, ModelBytes):
        from engine.model.onnx_evaluator import OnnxEvaluator

        size = config.env.size if config.is_go else None
        return OnnxEvaluator.from_bytes(*weights, board_size=size, num_slots=slots, threads=config.loop.threads)
    from trainer.torch_evaluator import TorchEvaluator

    evaluator = TorchEvaluator(
        make_network(config.network),
        num_slots=slots,
        device=device,
        precision=getattr(torch, config.learner.precision),
    )
    load_weights(evaluator, weights)
    return evaluator


def load_weights(evaluator: Evaluator, weights: Weights) -> None:
    """Replaces the weights of an evaluator of `make_evaluator`; it stays the same object."""
    if isinstance(weights, ModelBytes):
        evaluator.load_bytes(*weights)  # type: ignore[attr-defined]
    else:
        evaluator.load_arrays(weights)  # type: ignore[attr-defined]


class Actor:
    """Games in step, played with the weights that came last."""

    def __init__(self, config: TrainConfig, weights: Weights, state: ActorState, *, device: str) -> None:
        """Raises `InvalidConfig` where the network or the search of `config` do not fit its environment."""
        self._evaluator = make_evaluator(weights, config, device=device)
        self._rng = np.random.default_rng()
        self._rng.bit_generator.state = state.rng
        env = make_env(config, num_envs=config.selfplay.num_games)
        self._selfplay = SelfPlay(config, env, self._evaluator, self._rng)
        if state.games is not None:
            self._selfplay.load_state(state.games)
            self._rng.bit_generator.state = state.rng  # the games that it would have begun drew from it

    def play(self, weights: Weights, plies: int, simulations: int) -> list[GameRecord]:
        """Makes at least `plies` more positions with `weights`; returns the games that ended."""
        load_weights(self._evaluator, weights)
        return self._selfplay.play(plies, simulations=simulations)

    def state(self) -> ActorState:
        """Everything that changes as it plays."""
        return ActorState(rng=dict(self._rng.bit_generator.state), games=self._selfplay.state())
