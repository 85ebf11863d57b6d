"""The int8 form of an exported Go model, and how far it is from the float32 one.

Quantised are the convolutions of the representation and the dynamics network with the additions between them: there a
search spends its time. The heads are little work and decide directly; they stay float32, and so does what reads the
observation. Activations are uint8, weights int8 for each output channel, of which only 7 bits are used: without VNNI
the instruction that multiplies them adds two products in 16 bits. Ranges come from real positions and from hidden
states along the moves of real games.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from engine.errors import InvalidConfig
from engine.go.features import Variant, encode_actions
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.checkpoint import Checkpoint, unpack_games
from trainer.config import TrainConfig
from trainer.network import GoNetwork
from trainer.onnx_graph import ModelBytes
from trainer.positions import draw_positions, play_games, replay_to
from trainer.record import GameRecord

STEPS: Final = 5
"""Imagined moves behind each position."""
CALIBRATION_POSITIONS: Final = 256
COMPARED_POSITIONS: Final = 500
RECENT_GAMES: Final = 500
"""Ranges are taken from the newest so many games that the network learned from."""
PLAYED_GAMES: Final = 64
"""Games that are played where none were kept."""
QUANTISED: Final = ("Conv", "Add", "Relu")
"""Operators that are quantised where they lead to the hidden state."""
_BATCH: Final = 64

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """B positions of real games, and the moves that followed."""

    size: int
    """Of the board."""
    observations: Floats
    """[B, P, S, S]."""
    actions: NDArray[np.int32]
    """[STEPS, B]; random ones past the end of a game."""
    to_play: NDArray[np.int8]
    """[B] player to move at first."""

    def planes(self, step: int) -> Floats:
        """[B, 4, S, S] the moves of one step, encoded."""
        return encode_actions(self.actions[step], self.movers(step), size=self.size)

    def movers(self, step: int) -> NDArray[np.int8]:
        """[B] who makes the moves of one step."""
        return (self.to_play * (-1) ** step).astype(np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationLoss:
    """How far int8 is from float32: means over real positions, and over the moves imagined behind them."""

    positions: int
    """Positions compared, none of which the ranges were taken from."""
    policy_kl: float
    """KL(policy of float32 || policy of int8), nats."""
    value_error: float
    """|difference of the values|, which lie in [-1, 1]."""
    largest_value_error: float
    """The largest of these."""
    best_move: float
    """Share in which both think the same action best."""
    imagined_steps: int
    """Imagined moves behind each position, each going on from the model's own state."""
    imagined_policy_kl: float
    """As `policy_kl`."""
    imagined_value_error: float
    """As `value_error`."""
    imagined_best_move: float
    """As `best_move`."""


def quantize_checkpoint(checkpoint: Checkpoint, files: ModelBytes) -> tuple[ModelBytes, dict[str, Any]]:
    """The int8 form of `files`, the export of a checkpoint, and its loss as figures for the manifest.

    Ranges come from games that the network learned from, the loss from games held out; where the checkpoint has none on
    its largest board, as in the state of a model or before the stages have come there, both come from games that are
    played now. Raises `InvalidConfig` unless it learned Go.
    """
    network = checkpoint.averaged_network()
    if not isinstance(network, GoNetwork):
        raise InvalidConfig(f"the model learned {checkpoint.config.env.id}: only models of Go can be quantised")
    rng, size, variant = np.random.default_rng(0), checkpoint.config.env.size, checkpoint.config.variant
    learned, held_out = unpack_games(checkpoint.replay or {}, prefix="games."), checkpoint.games("holdout")
    source = "held out of training"
    if not checkpoint.games("games") or not held_out:
        played = _play(checkpoint.config, files, rng)
        learned, held_out, source = played[::2], played[1::2], "self-play"
    quantised = quantize(files, network, draw_walks(learned, CALIBRATION_POSITIONS, rng, variant=variant))
    loss = measure_loss(files, quantised, draw_walk(held_out, COMPARED_POSITIONS, size=size, rng=rng, variant=variant))
    return quantised, {"games": source, **dataclasses.asdict(loss)}


def _play(config: TrainConfig, files: ModelBytes, rng: np.random.Generator) -> list[GameRecord]:
    slots = PLAYED_GAMES * (config.search.num_simulations + 1)
    evaluator = OnnxEvaluator(*files, board_size=config.env.size, num_slots=slots)
    return play_games(config, evaluator, count=PLAYED_GAMES, rng=rng)


def draw_walks(games: list[GameRecord], count: int, rng: np.random.Generator, *, variant: Variant) -> list[Walk]:
    """Up to `count` positions of the newest games of each board size among `games`, which must hold one; `variant`: the
    planes that the network sees."""
    sizes = sorted({game.size for game in games})
    chosen = {size: [game for game in games if game.size == size][-RECENT_GAMES:] for size in sizes}
    return [draw_walk(part, count, size=size, rng=rng, variant=variant) for size, part in chosen.items()]


def draw_walk(
    games: list[GameRecord], count: int, *, size: int, rng: np.random.Generator, variant: Variant = "full"
) -> Walk:
    """Up to `count` positions of `games`, which must hold one; raises `InvalidConfig`."""
    positions = draw_positions(games, count, rng)
    if not positions:
        raise InvalidConfig("there are no games to take positions from")
    boards = replay_to(positions, size)
    actions = rng.integers(0, boards.num_actions, (STEPS, len(positions))).astype(np.int32)
    for i, (game, ply) in enumerate(positions):
        known = game.actions[ply : ply + STEPS]
        actions[: len(known), i] = known
    return Walk(size=size, observations=boards.observe(variant=variant), actions=actions, to_play=boards.to_play.copy())


def quantize(files: ModelBytes, network: GoNetwork, walks: Sequence[Walk]) -> ModelBytes:
    """The int8 form of `files`, which were exported from `network`; activation ranges are those of `walks`."""
    from onnxruntime import quantization  # only after `engine.model.runtime`, which turns its telemetry off

    quantised = []
    for graph, inputs, state in (
        (files.initial, _initial_inputs(walks), "hidden"),
        (files.recurrent, _recurrent_inputs(network, walks), "next_hidden"),
    ):
        model = onnx.load_from_string(graph)
        with TemporaryDirectory(prefix="tengen-int8-") as folder, _quiet():
            path = Path(folder) / "model.onnx"
            quantization.quantize_static(
                model,
                path,
                _Reader(inputs),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_quantize=_nodes_to(state, model.graph),
            )
            model = onnx.load(path)
        model.ClearField("metadata_props")
        model.graph.ClearField("value_info")
        quantised.append(model.SerializeToString(deterministic=True))
    return ModelBytes(*quantised)


def measure_loss(files: ModelBytes, quantised: ModelBytes, walk: Walk) -> QuantizationLoss:
    """Compares both as the engine runs them, each going on from its own hidden states."""
    kl, errors, agrees = [], [], []
    for expected, found in zip(_imagine(files, walk), _imagine(quantised, walk), strict=True):
        log_p, log_q = (_log_softmax(output.policy_logits) for output in (expected, found))
        kl.append(float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean()))
        errors.append(np.abs(expected.value - found.value))
        agrees.append(float((log_p.argmax(axis=1) == log_q.argmax(axis=1)).mean()))
    return QuantizationLoss(
        positions=len(walk.to_play),
        policy_kl=kl[0],
        value_error=float(errors[0].mean()),
        largest_value_error=float(errors[0].max()),
        best_move=agrees[0],
        imagined_steps=STEPS,
        imagined_policy_kl=float(np.mean(kl[1:])),
        imagined_value_error=float(np.mean(errors[1:])),
        imagined_best_move=float(np.mean(agrees[1:])),
    )


class _Reader:
    """A `CalibrationDataReader`: the inputs of a graph, batch by batch."""

    def __init__(self, inputs: Iterator[dict[str, Floats]]) -> None:
        self._inputs = inputs

    def get_next(self) -> dict[str, Floats] | None:
        """The next batch; None after the last one."""
        return next(self._inputs, None)


def _initial_inputs(walks: Sequence[Walk]) -> Iterator[dict[str, Floats]]:
    """Of initial.onnx."""
    for walk, part in _batches(walks):
        yield {"observation": walk.observations[part]}


@torch.no_grad()
def _recurrent_inputs(network: GoNetwork, walks: Sequence[Walk]) -> Iterator[dict[str, Floats]]:
    """Of recurrent.onnx, as a search of the positions of the walks would meet them."""
    for walk, part in _batches(walks):
        hidden = network.initial(torch.from_numpy(walk.observations[part])).hidden
        for step in range(STEPS):
            planes = walk.planes(step)[part]
            yield {"hidden": hidden.numpy(), "action_planes": planes}
            hidden = network.recurrent(hidden, torch.from_numpy(planes)).hidden


def _batches(walks: Sequence[Walk]) -> Iterator[tuple[Walk, slice]]:
    for walk in walks:
        for start in range(0, len(walk.to_play), _BATCH):
            yield walk, slice(start, start + _BATCH)


def _nodes_to(state: str, graph: onnx.GraphProto) -> list[str]:
    """Names of the operators to quantise: those on the way to the hidden state `state`, before it is scaled."""
    makers = {output: node for node in graph.node for output in node.output}
    found: dict[str, onnx.NodeProto] = {}
    wanted = [state]
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and node.name not in found:
            found[node.name] = node
            wanted += node.input
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in found.values() if node.op_type in QUANTISED and not _is_fine(node, weights)]


def _is_fine(node: onnx.NodeProto, weights: set[str]) -> bool:
    """Whether an operator reads what 8 bits cannot hold: the observation, where half a point of komi is a fortieth
    (float32 there takes three quarters off the error of the value), or the constant that guards the scaling of a state
    against a division by zero."""
    return "observation" in node.input or (node.op_type == "Add" and bool(weights & set(node.input)))


def _imagine(files: ModelBytes, walk: Walk) -> Iterator[RootOutput | RecurrentOutput]:
    """What a model says at the positions of a walk, and after each of its steps."""
    count = len(walk.to_play)
    slots = np.arange(count, dtype=np.int32)
    evaluator = OnnxEvaluator(*files, board_size=walk.size, num_slots=count)
    yield evaluator.initial(walk.observations, slots)
    for step in range(STEPS):
        yield evaluator.recurrent(slots, walk.actions[step], walk.movers(step), slots)


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the advice to optimise the graph first, which the exporter has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
