"""Do torch and the exported model say the same? Measured on positions of real games, over several imagined steps.

The positions come from random legal games with a fixed seed, so that every export is measured on the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelInvalid
from engine.go.batch import GoBatch
from engine.go.features import variant_of
from engine.model.contract import Evaluator, RecurrentOutput, RootOutput
from trainer.network import Network
from trainer.torch_evaluator import TorchEvaluator

TOLERANCE: Final = 1e-4
"""Largest difference allowed, absolute up to 1 and relative above."""
BOARD_SIZES: Final = (5, 9, 13)
"""Go models are compared on these; a model that was traced for one size only would not survive them."""
POSITIONS: Final = 8
"""Positions a board size."""
STEPS: Final = 4
"""Imagined steps after each position."""

MakeEvaluator = Callable[[int | None, int], Evaluator]
"""Makes the exported model's evaluator from a board size (None for vectors) and a number of slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was compared, and how far it was apart."""

    largest: dict[str, float]
    """Largest difference of each output over all positions and steps, absolute up to 1 and relative above."""
    positions: int
    """Positions compared."""
    board_sizes: tuple[int, ...]
    """On boards of these sizes; empty for vectors."""


def check_agreement(network: Network, make_evaluator: MakeEvaluator) -> Agreement:
    """Compares `network` with an exported model; raises `ModelInvalid` for a difference above `TOLERANCE`."""
    is_go = network.config.kind == "go"
    largest: dict[str, float] = {}
    for size in BOARD_SIZES if is_go else (None,):
        observations, actions, to_play = _positions(network, size)
        pairs = zip(
            _walk(TorchEvaluator(network, num_slots=2 * POSITIONS), observations, actions, to_play),
            _walk(make_evaluator(size, 2 * POSITIONS), observations, actions, to_play),
            strict=True,
        )
        for expected, found in pairs:
            for name, difference in _differences(expected, found):
                largest[name] = max(largest.get(name, 0.0), difference)
                if not difference <= TOLERANCE:  # NaN included
                    where = f" on {size}x{size}" if is_go else ""
                    raise ModelInvalid(
                        f"torch and ONNX differ{where} by {difference:.2g} in {name!r}, over {TOLERANCE}"
                    )
    count = POSITIONS * (len(BOARD_SIZES) if is_go else 1)
    return Agreement(largest=largest, positions=count, board_sizes=BOARD_SIZES if is_go else ())


def _walk(
    evaluator: Evaluator, observations: NDArray[np.float32], actions: NDArray[np.int32], to_play: NDArray[np.int8]
) -> Iterator[RootOutput | RecurrentOutput]:
    """The outputs at the positions [B, ...] and after each row of `actions` [STEPS, B]."""
    slots = np.arange(POSITIONS, dtype=np.int32)
    yield evaluator.initial(observations, slots)
    for step in range(STEPS):
        parents, children = (slots + POSITIONS * ((step + i) % 2) for i in (0, 1))
        yield evaluator.recurrent(parents, actions[step], to_play * (-1) ** step, children)


def _differences(
    expected: RootOutput | RecurrentOutput, found: RootOutput | RecurrentOutput
) -> Iterator[tuple[str, float]]:
    for name in ("policy_logits", "value", "reward", "ownership", "score_mean", "score_stdev"):
        one, other = getattr(expected, name, None), getattr(found, name, None)
        if one is not None and other is not None:
            yield name, float((np.abs(one - other) / np.maximum(1.0, np.abs(one))).max())
        elif one is not other:
            raise ModelInvalid(f"torch and ONNX do not both return {name!r}")


def _positions(network: Network, size: int | None) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.int8]]:
    """Observations, actions [STEPS, B] to imagine and players to move [B], the same at every call."""
    rng, config = np.random.default_rng(0), network.config
    if size is None:
        observations = rng.standard_normal((POSITIONS, config.observation_size)).astype(np.float32)
        actions = rng.integers(0, config.num_actions, (STEPS, POSITIONS)).astype(np.int32)
        return observations, actions, np.ones(POSITIONS, np.int8)
    batch = random_games(num_games=POSITIONS, size=size, rng=rng)
    actions = rng.integers(0, size * size + 1, (STEPS, POSITIONS)).astype(np.int32)
    return batch.observe(variant=variant_of(config.observation_size)), actions, batch.to_play.copy()


def random_games(*, num_games: int, size: int, rng: np.random.Generator) -> GoBatch:
    """Games that random legal stones have brought to different stages, up to half the board full."""
    batch = GoBatch(num_games=num_games, size=size, komi=rng.choice([5.5, 7.0, 7.5], num_games))
    lengths = rng.integers(0, size * size // 2 + 1, num_games)
    for ply in range(int(lengths.max())):
        weights = batch.legal_mask()[:, :-1] * rng.random((num_games, size * size))
        batch.play(weights.argmax(1).astype(np.int32), active=lengths > ply)
    return batch
