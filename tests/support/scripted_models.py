"""Networks with written-down opinions, and a source of them that can be held back: for tests of the player."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.errors import EvaluationError, ModelNotFound, UnsupportedBoardSize
from engine.go.features import FEATURE_VERSION, NUM_ACTION_PLANES, NUM_PLANES
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.manifest import ModelFile, ModelManifest, ModelShape

LOGIT_OF_THE_REST = -4.0


@dataclass(kw_only=True)
class Opinion:
    """What the network thinks; the same of every position. Values and ownership are Black's view."""

    value: float = 0.0
    """Of the root and of every other position, unless its first action is in `values`."""
    values: Mapping[int, float] = field(default_factory=dict)
    """By the first action from the root: the value of all that follows."""
    logits: Mapping[int, float] = field(default_factory=dict)
    """Of actions, everywhere; the rest has `LOGIT_OF_THE_REST`."""
    ownership: np.ndarray | None = None
    """[S, S]; None: the model has no such head."""
    is_broken: bool = False
    """Raise `EvaluationError` from now on."""


class ScriptedEvaluator:
    """An `Evaluator` of one opinion."""

    def __init__(self, size: int, num_slots: int, opinion: Opinion) -> None:
        self.size = size
        self.num_slots = num_slots
        self.opinion = opinion
        self.first_action = np.full(num_slots, -1, np.int64)
        self.observations: list[np.ndarray] = []

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        """See `Evaluator.initial`."""
        self._check()
        self.observations.append(observations.copy())
        self.first_action[slots] = -1
        ownership = self.opinion.ownership
        return RootOutput(
            policy_logits=self._logits(len(slots)),
            value=np.full(len(slots), self.opinion.value, np.float32),
            ownership=None if ownership is None else np.float32(ownership)[None],
        )

    def look(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `PositionEvaluator.look`."""
        self._check()
        count = len(observations)
        return self._logits(count), np.full(count, self.opinion.value, np.float32)

    def recurrent(
        self, parent_slots: np.ndarray, actions: np.ndarray, to_play: np.ndarray, child_slots: np.ndarray
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`."""
        self._check()
        parents = self.first_action[parent_slots]
        first = np.where(parents == -1, actions, parents)
        self.first_action[child_slots] = first
        values = [self.opinion.values.get(int(action), self.opinion.value) for action in first]
        return RecurrentOutput(
            policy_logits=self._logits(len(actions)),
            value=np.float32(values),
            reward=np.zeros(len(actions), np.float32),
        )

    def _logits(self, rows: int) -> np.ndarray:
        logits = np.full((rows, self.size**2 + 1), LOGIT_OF_THE_REST, np.float32)
        for action, logit in self.opinion.logits.items():
            logits[:, action] = logit
        return logits

    def _check(self) -> None:
        if self.opinion.is_broken:
            raise EvaluationError("the network returned NaN")


class ScriptedModels:
    """A `ModelSource` of one model named "scripted" for the sizes given, or of none at all."""

    def __init__(self, *sizes: int, opinion: Opinion | None = None) -> None:
        self.sizes = sizes
        self.opinion = opinion or Opinion()
        self.may_open = threading.Event()
        """Cleared: `open` waits."""
        self.may_open.set()
        self.is_opening = threading.Event()
        """Set by the first `open`."""
        self.opened: list[ScriptedEvaluator] = []

    def find(self, name: str | None, board_size: int) -> ModelManifest:
        """See `ModelSource.find`."""
        if not self.sizes or name not in (None, "scripted"):
            raise ModelNotFound(f"no model {name!r}")
        if board_size not in self.sizes:
            raise UnsupportedBoardSize(f"board size {board_size}: not one of {self.sizes}")
        return scripted_manifest(self.sizes)

    def open(self, name: str | None, board_size: int, *, num_slots: int) -> ScriptedEvaluator:
        """See `ModelSource.open`."""
        self.is_opening.set()
        assert self.may_open.wait(60)
        evaluator = ScriptedEvaluator(board_size, num_slots, self.opinion)
        self.opened.append(evaluator)
        return evaluator

    def board_sizes(self, name: str | None) -> tuple[int, ...]:
        """See `ModelSource.board_sizes`."""
        if not self.sizes:
            raise ModelNotFound("no model")
        return self.sizes


def scripted_manifest(sizes: tuple[int, ...], *, hidden_size: int = 32) -> ModelManifest:
    """The manifest that a scripted model would have."""
    file = ModelFile(size=1, sha256="0" * 64)
    shape = ModelShape(
        kind="go",
        observation_size=NUM_PLANES["full"],
        hidden_size=hidden_size,
        action_size=NUM_ACTION_PLANES,
        has_reward=False,
        has_ownership=True,
    )
    return ModelManifest(
        name="scripted",
        shape=shape,
        environment="tengen/Go-v0",
        feature_variant="full",
        feature_version=FEATURE_VERSION,
        trained_sizes=sizes,
        playable_sizes=(min(sizes), max(sizes)),
        initial=file,
        recurrent=file,
    )
