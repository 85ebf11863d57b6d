"""`OnnxEvaluator`: a model on ONNX Runtime, behind the `Evaluator` contract.

Knows tensors and devices, not files and not games beyond the encoding of actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError, InvalidInput, ModelInvalid
from engine.go.features import encode_actions
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.interface import HEADS, INITIAL, RECURRENT, check_same_shape, read_shape
from engine.model.manifest import ModelShape
from engine.model.pool import HiddenPool, check_finite
from engine.model.runtime import Floats, Graph, GraphOptions

if TYPE_CHECKING:
    from engine.model.folder import LoadedModel

_LOOK_NAMES: Final = ("policy_logits", "value")
"""The outputs of initial.onnx that a look needs. ONNX Runtime computes the others too, but copies nothing of them."""


class OnnxEvaluator:
    """One model for one board size. `initial` and `recurrent` may be called from several threads at once."""

    def __init__(
        self,
        initial: bytes,
        recurrent: bytes,
        *,
        board_size: int | None = None,
        num_slots: int,
        device: str = "cpu",
        threads: int = 1,
        callers: int = 1,
        halves: bool = True,
        expected: ModelShape | None = None,
    ) -> None:
        """An evaluator of two ONNX files in memory, which describe themselves; `expected` is what they should say.
        `board_size` is needed for Go models only; `num_slots` hidden states are kept, as half floats if `halves`.
        `threads` work inside one evaluation, and `callers` may ask for one at a time.

        Raises `ModelInvalid` if the files are not what is expected or do not work, and `InvalidConfig` for a device
        that is not there.
        """
        self._options = GraphOptions(board_size=board_size, device=device, threads=threads, callers=callers)
        self._sessions = _Sessions(initial, recurrent, self._options, expected=expected)
        self.shape = self._sessions.shape
        self.num_slots = num_slots
        self._pool = HiddenPool(num_slots, self._sessions.hidden_shape, halves=halves)
        self._encode: Callable[[NDArray[np.int32], NDArray[np.int8]], Floats]
        if board_size is not None:
            self._encode = lambda actions, to_play: encode_actions(actions, to_play, size=board_size)
        else:
            one_hot = np.eye(self.shape.action_size, dtype=np.float32)
            self._encode = lambda actions, _: one_hot[actions]

    @classmethod
    def from_model(
        cls,
        model: LoadedModel,
        *,
        board_size: int | None = None,
        num_slots: int,
        device: str = "cpu",
        callers: int = 1,
        halves: bool = True,
    ) -> Self:
        """An evaluator of a model folder's files, which are what its manifest promises; see `__init__`."""
        return cls(
            model.initial,
            model.recurrent,
            board_size=board_size,
            num_slots=num_slots,
            device=device,
            callers=callers,
            halves=halves,
            expected=model.manifest.shape,
        )

    def load_bytes(self, initial: bytes, recurrent: bytes) -> None:
        """Takes new weights of the same shape. Calls under way finish with the old ones; the hidden states in the slots
        are still the old network's. Raises `ModelInvalid` and keeps the old weights."""
        self._sessions = _Sessions(initial, recurrent, self._options, expected=self.shape)

    def initial(self, observations: Floats, slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`. Raises `InvalidInput` for observations of another shape."""
        sessions = self._sessions
        hidden, policy_logits, value, *heads = sessions.run_initial(sessions.checked(observations, len(slots)))
        self._pool.store(slots, hidden, policy_logits, value)
        for name, head in zip(HEADS, heads, strict=False):
            check_finite(name, head)
        return RootOutput(policy_logits=policy_logits, value=value, **dict(zip(HEADS, heads, strict=False)))

    def look(self, observations: Floats) -> tuple[Floats, Floats]:
        """See `PositionEvaluator.look`. Raises `InvalidInput` for observations of another shape."""
        sessions = self._sessions
        policy_logits, value = sessions.run_look(sessions.checked(observations, len(observations)))
        check_finite("policy_logits", policy_logits)
        check_finite("value", value)
        return policy_logits, value

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`."""
        planes = self._encode(actions, to_play)
        hidden, policy_logits, value, *rewards = self._sessions.run_recurrent(self._pool.gather(parent_slots), planes)
        self._pool.store(child_slots, hidden, policy_logits, value)
        if not rewards:
            reward = np.zeros(len(child_slots), dtype=np.float32)
            return RecurrentOutput(policy_logits=policy_logits, value=value, reward=reward)
        check_finite("reward", rewards[0])
        return RecurrentOutput(policy_logits=policy_logits, value=value, reward=rewards[0])


class _Sessions:
    """The two graphs of a model, checked against each other and tried once on a single position."""

    def __init__(self, initial: bytes, recurrent: bytes, options: GraphOptions, *, expected: ModelShape | None) -> None:
        self._initial = Graph(initial, INITIAL, options)
        self.recurrent = Graph(recurrent, RECURRENT, options)
        self.shape = read_shape(self._initial.tensors, self.recurrent.tensors)
        if expected is not None:
            check_same_shape(self.shape, expected)
        size, is_go = options.board_size, self.shape.kind == "go"
        if is_go != (size is not None):
            raise InvalidInput(
                "a Go model needs a board size" if is_go else f"board size {size} for a model of no board"
            )
        board = (size, size) if size is not None else ()
        self.observation_shape = (self.shape.observation_size, *board)
        self.hidden_shape = (self.shape.hidden_size, *board)
        self._initial_names = ["hidden", "policy_logits", "value", *(HEADS if self.shape.has_ownership else ())]
        self._recurrent_names = [
            "next_hidden",
            "policy_logits",
            "value",
            *(["reward"] if self.shape.has_reward else []),
        ]
        self._try(board)

    def checked(self, observations: Floats, count: int) -> Floats:
        """`observations` as the graph takes them. Raises `InvalidInput` unless they are `count` of the right shape."""
        observations = np.ascontiguousarray(observations, dtype=np.float32)
        expected = (count, *self.observation_shape)
        if observations.shape != expected:
            raise InvalidInput(f"observations {list(observations.shape)}, expected {list(expected)}")
        return observations

    def run_initial(self, observation: Floats) -> list[Floats]:
        """Outputs in the order of `_initial_names`."""
        return self._initial.run(self._initial_names, {"observation": observation}, len(observation))

    def run_look(self, observation: Floats) -> list[Floats]:
        """Policy logits and value alone."""
        return self._initial.run(_LOOK_NAMES, {"observation": observation}, len(observation))

    def run_recurrent(self, hidden: Floats, action_planes: Floats) -> list[Floats]:
        """Outputs in the order of `_recurrent_names`."""
        inputs = {"hidden": hidden, "action_planes": action_planes}
        return self.recurrent.run(self._recurrent_names, inputs, len(hidden))

    def _try(self, board: tuple[int, ...]) -> None:
        """One evaluation of zeros; raises `ModelInvalid` unless it works and every output has the shape it should."""
        actions = int(np.prod(board)) + 1 if board else self.shape.action_size
        planes = np.zeros((1, self.shape.action_size, *board), dtype=np.float32)
        hidden, predictions = (1, *self.hidden_shape), [(1, actions), (1,)]
        try:
            initial = self.run_initial(np.zeros((1, *self.observation_shape), dtype=np.float32))
            _check_outputs(INITIAL, initial, [hidden, *predictions, (1, *board), (1,), (1,)])
            recurrent = self.run_recurrent(initial[0], planes)
            _check_outputs(RECURRENT, recurrent, [hidden, *predictions, (1,)])
        except EvaluationError as error:
            raise ModelInvalid(f"the model does not run: {error}") from error


def _check_outputs(name: str, outputs: list[Floats], shapes: list[tuple[int, ...]]) -> None:
    for output, shape in zip(outputs, shapes, strict=False):
        if output.shape != shape:
            raise ModelInvalid(f"{name}: returned an array {list(output.shape)}, expected {list(shape)}")
        check_finite(name, output)
