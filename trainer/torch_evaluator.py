"""`TorchEvaluator`: a network in torch behind the engine's `Evaluator` contract, hidden states on its device.

Self-play and evaluation use it on an accelerator; on a CPU ONNX Runtime is faster. A look at real positions is one
transfer to the device, one launch and one transfer back; so is a step of imagination, but for the launch. Knows nothing
of the learner.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.errors import EvaluationError, InvalidInput
from engine.go.features import NUM_ACTION_PLANES
from engine.model.contract import RecurrentOutput, RootOutput
from trainer.network import GoNetwork, Network, NetworkOutput, in_fast_layout
from trainer.recorded_work import RecordedWork, padded


class TorchEvaluator:
    """A copy of one network and a pool of hidden states; a Go evaluator serves the board size of its first call."""

    def __init__(
        self, network: Network, *, num_slots: int, device: str = "cpu", precision: torch.dtype = torch.float32
    ) -> None:
        """Copies `network` to `device`; later changes to it show only after `load`.

        Representation, dynamics and hidden states are of `precision`, the heads of float32.
        """
        self.num_slots = num_slots
        self._precision = precision
        self._device = torch.device(device)
        self._network = copy.deepcopy(network).to(self._device).eval().requires_grad_(False)
        if self._device.type == "cuda":
            self._network.to(memory_format=torch.channels_last)
        self._is_go = isinstance(network, GoNetwork)
        self._pool: Tensor | None = None
        self._judges: dict[tuple[int, ...], RecordedWork] = {}
        self._turn = threading.Lock()
        self._spare: dict[tuple[int, ...], list[Tensor]] = {}

    def load(self, state_dict: Mapping[str, Tensor]) -> None:
        """Takes new weights of the same shape; hidden states in the slots are still the old network's."""
        self._network.load_state_dict(state_dict)

    def load_arrays(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """`load` of plain arrays."""
        self.load({name: torch.from_numpy(array) for name, array in arrays.items()})

    @torch.inference_mode()
    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        """See `Evaluator.initial`. Raises `InvalidInput` for a board size other than the first call's."""
        batch = torch.from_numpy(np.ascontiguousarray(observations, dtype=np.float32)).to(self._device)
        output = _see(self._network, batch, self._precision, auxiliary=self._is_go)
        self._store(torch.from_numpy(slots.astype(np.int64)).to(self._device), output.hidden)
        value = self._network.config.value.decode(output.value_logits)
        columns = [output.policy_logits, value[:, None]]
        if output.ownership is None or output.score is None:
            policy, values = self._fetch(output.hidden, columns)
            return RootOutput(policy_logits=policy, value=values[:, 0])
        policy, values, score, ownership = self._fetch(
            output.hidden, [*columns, output.score, output.ownership.flatten(1)]
        )
        return RootOutput(
            policy_logits=policy,
            value=values[:, 0],
            ownership=ownership.reshape(output.ownership.shape),
            score_mean=score[:, 0],
            score_stdev=score[:, 1],
        )

    @torch.inference_mode()
    def look(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `PositionEvaluator.look`. Threads take turns on the device, not in preparing what they send there."""
        rows = len(observations)
        shape = (padded(rows), *observations.shape[1:])
        host = self._take(shape)
        try:
            # In the precision of the network, which would round it so anyway.
            host[:rows].copy_(torch.from_numpy(np.ascontiguousarray(observations, dtype=np.float32)))
            with self._turn:
                if shape not in self._judges:
                    work = partial(_judge, self._network, self._precision)
                    self._judges[shape] = RecordedWork(work, shape, dtype=self._precision, device=self._device)
                packed = self._judges[shape](host[:rows]).cpu().numpy()
        finally:
            self._spare[shape].append(host)
        if not np.isfinite(packed).all():
            raise EvaluationError("the network returned NaN or infinity")
        return np.array(packed[:, :-1]), np.array(packed[:, -1])

    def _take(self, shape: tuple[int, ...]) -> Tensor:
        """Memory [*shape] of the host that no other thread has; on CUDA page-locked, for transfers at full speed."""
        spare = self._spare.setdefault(shape, [])
        try:
            return spare.pop()
        except IndexError:
            return torch.zeros(shape, dtype=self._precision, pin_memory=self._device.type == "cuda")

    @torch.inference_mode()
    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`. Raises `InvalidInput` before the first `initial`."""
        if self._pool is None:
            raise InvalidInput("recurrent before any initial: there is no hidden state yet")
        config = self._network.config
        sent = np.stack([parent_slots, actions, to_play, child_slots]).astype(np.int64)
        parents, moves, movers, children = torch.from_numpy(sent).to(self._device)
        hidden = self._pool[parents]
        if self._is_go:
            planes = encode_actions(moves, movers, size=hidden.shape[-1])
        else:
            planes = F.one_hot(moves, config.num_actions).float()
        with _coarse(self._device, self._precision):
            imagined = self._network.imagine(hidden, planes)
        output = self._network.predict(imagined.float())
        self._store(children, output.hidden)
        columns = [output.policy_logits, config.value.decode(output.value_logits)[:, None]]
        if config.reward is None:
            policy, values = self._fetch(output.hidden, columns)
            return RecurrentOutput(policy_logits=policy, value=values[:, 0], reward=np.zeros_like(values[:, 0]))
        logits = self._network.reward(torch.cat([hidden, planes], 1).float())  # type: ignore[operator,union-attr]
        reward = config.reward.decode(logits)
        policy, values, rewards = self._fetch(output.hidden, [*columns, reward[:, None]])
        return RecurrentOutput(policy_logits=policy, value=values[:, 0], reward=rewards[:, 0])

    def _store(self, slots: Tensor, hidden: Tensor) -> None:
        if self._pool is None:
            shape = (self.num_slots, *hidden.shape[1:])
            self._pool = torch.zeros(shape, device=self._device, dtype=self._precision)
        if self._pool.shape[1:] != hidden.shape[1:]:
            raise InvalidInput(f"hidden state {list(hidden.shape[1:])}, the pool has {list(self._pool.shape[1:])}")
        self._pool[slots] = hidden.to(self._precision)

    @staticmethod
    def _fetch(hidden: Tensor, columns: list[Tensor]) -> list[NDArray[Any]]:
        """`columns`, each [B, n], as arrays, in one transfer; raises `EvaluationError` if they or `hidden` hold NaN or
        infinity."""
        has_bad_state = (~torch.isfinite(hidden)).flatten(1).any(1, keepdim=True).float()
        packed = torch.cat([*columns, has_bad_state], dim=1).cpu().numpy()
        if packed[:, -1].any() or not np.isfinite(packed).all():
            raise EvaluationError("the network returned NaN or infinity")
        ends = np.cumsum([column.shape[1] for column in columns])
        return [np.ascontiguousarray(part) for part in np.split(packed[:, :-1], ends[:-1], axis=1)]


def _coarse(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """What is computed inside on `device` is computed in `precision`."""
    return nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision)


def _see(network: Network, batch: Tensor, precision: torch.dtype, *, auxiliary: bool) -> NetworkOutput:
    """The network's output for observations [B, ...]; its representation is computed in `precision`."""
    with _coarse(batch.device, precision):
        hidden = network.represent(in_fast_layout(batch))
    return network.predict(hidden.float(), auxiliary=auxiliary)


def _judge(network: Network, precision: torch.dtype, batch: Tensor) -> Tensor:
    """[B, A + 1] float32 policy logits and value of observations [B, ...]."""
    output = _see(network, batch, precision, auxiliary=False)
    return torch.cat([output.policy_logits, network.config.value.decode(output.value_logits)[:, None]], 1)


def encode_actions(actions: Tensor, to_play: Tensor, *, size: int) -> Tensor:
    """The action planes [B, 4, size, size] float32 of engine/go/features.py, made on the device of `actions` [B] int64;
    `to_play` [B] int64 is +1 or -1."""
    batch, area = len(actions), size * size
    is_pass = actions == area
    planes = torch.zeros((batch, NUM_ACTION_PLANES, area), device=actions.device)
    rows = torch.arange(batch, device=actions.device)
    mover_plane = torch.where(to_play > 0, 0, 1)
    planes[rows, mover_plane, actions.clamp(max=area - 1)] = (~is_pass).float()
    planes[:, 2] = is_pass.float()[:, None]
    planes[:, 3] = to_play.float()[:, None]
    return planes.view(batch, NUM_ACTION_PLANES, size, size)
