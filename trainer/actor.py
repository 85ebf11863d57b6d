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

from engine.model.contract import PositionEvaluator
from trainer import onnx_graph
from trainer.config import TrainConfig
from trainer.named_parts import part_of
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
    """Its games in progress: `SelfPlay.state()` of every board; what is missing begins anew."""


class Publisher:
    """Makes `Weights` of networks like the one it was built with; on a CPU building takes some seconds."""

    def __init__(self, network: Network, *, device: str) -> None:
        self._exporter = onnx_graph.OnnxExporter(network) if device == "cpu" else None

    def publish(self, network: Network) -> Weights:
        """`network` as it is now. Raises `ModelInvalid` if it holds NaN or infinity."""
        if self._exporter is not None:
            return self._exporter.export(network.state_dict())
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in network.state_dict().items()}


def make_evaluator(weights: Weights, config: TrainConfig, *, device: str) -> PositionEvaluator:
    """An evaluator for self-play of `config`: slots for every tree's root and simulations."""
    slots = config.selfplay.num_games * (config.search.num_simulations + 1)
    if isinstance(weights, ModelBytes):
        from engine.model.onnx_evaluator import OnnxEvaluator

        size = config.env.size if config.is_go else None
        return OnnxEvaluator(*weights, board_size=size, num_slots=slots, threads=config.loop.threads)
    from trainer.torch_evaluator import TorchEvaluator

    evaluator = TorchEvaluator(
        make_network(config.network),
        num_slots=slots,
        device=device,
        precision=getattr(torch, config.learner.precision),
    )
    load_weights(evaluator, weights)
    return evaluator


def load_weights(evaluator: PositionEvaluator, weights: Weights) -> None:
    """Replaces the weights of an evaluator of `make_evaluator`; it stays the same object."""
    if isinstance(weights, ModelBytes):
        evaluator.load_bytes(*weights)  # type: ignore[attr-defined]
    else:
        evaluator.load_arrays(weights)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a round of self-play is to be."""

    weights: Weights
    """The network."""
    plies: tuple[int, ...]
    """Positions to make, on each of `TrainConfig.boards`; see `SelfPlay.play`."""
    simulations: int
    """Simulations a move, at most."""


class Actor:
    """Games in step on every board of a configuration, played with the weights that came last."""

    def __init__(self, config: TrainConfig, weights: Weights, state: ActorState, *, device: str) -> None:
        """Raises `InvalidConfig` where the network or the search of `config` do not fit its environment."""
        self._rng = np.random.default_rng()
        self._rng.bit_generator.state = state.rng
        self._boards: list[tuple[str, PositionEvaluator, SelfPlay]] = []
        for board in config.boards:
            evaluator = make_evaluator(weights, board, device=device)
            selfplay = SelfPlay(board, make_env(board, num_envs=board.selfplay.num_games), evaluator, self._rng)
            self._boards.append((f"{board.env.size}/", evaluator, selfplay))
        for name, _, selfplay in self._boards:
            games = part_of(state.games or {}, name)
            if games:
                selfplay.load_state(games)
        if state.games:
            self._rng.bit_generator.state = state.rng  # the games that it would have begun drew from it

    def play(self, order: Order) -> list[GameRecord]:
        """Makes the positions that `order` asks for; returns the games that ended."""
        ended: list[GameRecord] = []
        for (_, evaluator, selfplay), plies in zip(self._boards, order.plies, strict=True):
            if plies:
                load_weights(evaluator, order.weights)
                ended += selfplay.play(plies, simulations=order.simulations)
        return ended

    @property
    def positions(self) -> int:
        """Positions made since it was built, on all boards."""
        return sum(selfplay.positions for *_, selfplay in self._boards)

    def state(self) -> ActorState:
        """Everything that changes as it plays."""
        games = {name + k: v for name, _, selfplay in self._boards for k, v in (selfplay.state() or {}).items()}
        return ActorState(rng=dict(self._rng.bit_generator.state), games=games or None)
