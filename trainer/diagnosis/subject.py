"""The model under diagnosis: it looks at real positions and imagines moves, from a checkpoint or from a model folder.

A checkpoint shows its hidden states and all its heads; an exported model only what the engine gets to see. Knows
nothing of games or figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.go.features import Variant, seen_by
from engine.model.contract import Evaluator, PositionEvaluator, RootOutput
from trainer.network import GoNetwork, NetworkOutput

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of B Go positions with A actions; None where it cannot say."""

    state: Any
    """What `Subject.imagine` goes on from."""
    policy_logits: Floats
    """[B, A], illegal actions included."""
    value: Floats
    """[B] in [-1, 1], Black's view."""
    ownership: Floats | None = None
    """[B, area] in [-1, 1], Black's view."""
    score: Floats | None = None
    """[B] expected score in points, komi included, Black's view."""
    board: NDArray[np.int64] | None = None
    """[B, area] likeliest class of each point: empty 0, Black 1, White 2."""
    legal: NDArray[np.bool_] | None = None
    """[B, area] which points the player to move may play, by the model's judgement."""
    terminal: NDArray[np.bool_] | None = None
    """[B] whether the game is over, by the model's judgement."""
    hidden: Floats | None = None
    """[B, n] the hidden state, flat."""


class Subject(Protocol):
    """The representation and the dynamics of one model."""

    def look(self, observations: Floats) -> Prediction:
        """Encodes real positions [B, 24, S, S], all planes of them."""
        ...

    def imagine(self, state: Any, action_planes: Floats) -> Prediction:
        """The moves `action_planes` [B, 4, S, S], imagined in the states of an earlier prediction.

        A state holds at least until the second call after the one that made it.
        """
        ...


class NetworkSubject:
    """A network in torch: everything can be seen."""

    def __init__(self, network: GoNetwork, *, variant: Variant = "full") -> None:
        """`variant`: the planes that the network sees."""
        self._network = network.eval()
        self._variant: Variant = variant

    @torch.inference_mode()
    def look(self, observations: Floats) -> Prediction:
        """See `Subject.look`."""
        seen = _tensor(seen_by(self._variant, observations))
        return self._prediction(self._network.initial(seen, auxiliary=True))

    @torch.inference_mode()
    def imagine(self, state: Any, action_planes: Floats) -> Prediction:
        """See `Subject.imagine`."""
        return self._prediction(self._network.recurrent(state, _tensor(action_planes), auxiliary=True))

    def _prediction(self, output: NetworkOutput) -> Prediction:
        assert output.ownership is not None
        assert output.score is not None
        assert output.board_logits is not None
        assert output.legal_logits is not None
        assert output.terminal_logit is not None
        return Prediction(
            state=output.hidden,
            policy_logits=output.policy_logits.numpy(),
            value=self._network.config.value.decode(output.value_logits).numpy(),
            ownership=output.ownership.flatten(1).numpy(),
            score=output.score[:, 0].numpy(),
            board=output.board_logits.argmax(1).flatten(1).numpy(),
            legal=(output.legal_logits > 0).numpy(),
            terminal=(output.terminal_logit > 0).numpy(),
            hidden=output.hidden.flatten(1).numpy(),
        )


class SeenBy:
    """An evaluator of all planes around one of a network that sees those of one variant."""

    def __init__(self, evaluator: PositionEvaluator, variant: Variant) -> None:
        self.num_slots, self.recurrent = evaluator.num_slots, evaluator.recurrent
        self._evaluator = evaluator
        self._variant: Variant = variant

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`."""
        return self._evaluator.initial(np.ascontiguousarray(seen_by(self._variant, observations)), slots)

    def look(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `PositionEvaluator.look`."""
        return self._evaluator.look(np.ascontiguousarray(seen_by(self._variant, observations)))


class EvaluatorSubject:
    """A model behind the engine's contract: policy and value everywhere, ownership and score of real positions only."""

    def __init__(self, make_evaluator: Callable[[int, int], Evaluator]) -> None:
        """`make_evaluator` takes a board size and a number of slots."""
        self._make = make_evaluator
        self._evaluator: Evaluator | None = None
        self._size = 0

    def look(self, observations: Floats) -> Prediction:
        """See `Subject.look`. Its states are in the first third of the slots."""
        count, size = len(observations), observations.shape[-1]
        if self._evaluator is None or self._size != size or self._evaluator.num_slots < 3 * count:
            self._evaluator, self._size = self._make(size, 3 * count), size
        output = self._evaluator.initial(observations, self._slots(0, count))
        return Prediction(
            state=0,
            policy_logits=output.policy_logits,
            value=output.value,
            ownership=None if output.ownership is None else output.ownership.reshape(count, -1),
            score=output.score_mean,
        )

    def imagine(self, state: Any, action_planes: Floats) -> Prediction:
        """See `Subject.imagine`. Its states are in the second and the last third by turns."""
        assert self._evaluator is not None
        count = len(action_planes)
        third = 2 if state == 1 else 1
        actions, to_play = decode_actions(action_planes)
        parents, children = self._slots(state, count), self._slots(third, count)
        output = self._evaluator.recurrent(parents, actions, to_play, children)
        return Prediction(state=third, policy_logits=output.policy_logits, value=output.value)

    def _slots(self, third: int, count: int) -> NDArray[np.int32]:
        assert self._evaluator is not None
        return np.arange(count, dtype=np.int32) + np.int32(third * (self._evaluator.num_slots // 3))


def decode_actions(planes: Floats) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Actions [B] and movers [B] of action planes [B, 4, S, S]: the inverse of `features.encode_actions`."""
    area = planes.shape[-1] ** 2
    points = (planes[:, 0] + planes[:, 1]).reshape(len(planes), area)
    actions = np.where(planes[:, 2, 0, 0] > 0, area, points.argmax(1)).astype(np.int32)
    return actions, planes[:, 3, 0, 0].astype(np.int8)


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
