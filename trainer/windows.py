"""Windows of replayed games as the tensors that the learner needs.

Go windows are rebuilt by the rules kernel: the moves of each game are permuted by a random symmetry and perhaps swapped
in colour, then all games are replayed in step, so that every observation, board and legal mask is the kernel's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.go.batch import GoBatch
from engine.go.features import NUM_ACTION_PLANES, encode_actions
from engine.go.kernels import NO_MOVE
from engine.go.rules import WHITE
from engine.go.symmetry import NUM_SYMMETRIES, inverse_table, symmetry_table
from trainer.config import TrainConfig
from trainer.record import GameRecord
from trainer.targets import WindowTargets, window_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTargets:
    """What only Go has to teach; K + 1 states, area points."""

    score: Tensor
    """[B] final score in points, Black's view."""
    ownership: Tensor
    """[B, area] in {-1, 0, 1}."""
    board: Tensor
    """[B, K + 1, area] int64 class of each point: empty 0, Black 1, White 2."""
    legal: Tensor
    """[B, K + 1, area] 1 where the player to move may play."""
    terminal: Tensor
    """[B, K + 1] 1 where the game is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """A batch of B training windows."""

    observation: Tensor
    """[B, ...] at the start."""
    action_planes: Tensor
    """[K, B, ...] encoded actions."""
    policy: Tensor
    """[B, K + 1, A]."""
    policy_weight: Tensor
    """[B, K + 1]; see `WindowTargets`, also 0 once a window has left its game by a branch."""
    value: Tensor
    """[B, K + 1]."""
    value_weight: Tensor
    """[B, K + 1], of value, score and ownership; 0 as `policy_weight` after a branch."""
    reward: Tensor
    """[B, K]."""
    reward_weight: Tensor
    """[B, K]."""
    future_steps: tuple[int, ...]
    """The unrolled states that get a consistency loss."""
    future_observations: Tensor
    """[len(future_steps), B, ...] real observations there."""
    future_weight: Tensor
    """[len(future_steps), B] 0 past the end of the game."""
    go: GoTargets | None = None
    """Board targets; None for other environments."""

    def to(self, device: str) -> Windows:
        """The same windows with every tensor on `device`; does not wait for those that were `pinned`."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Windows:
        """The same windows in page-locked memory, from where a GPU fetches them by itself. CUDA only."""
        return self._changed(Tensor.pin_memory)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Windows:
        """The same windows with every tensor `change`d."""
        go = None if self.go is None else dataclasses.replace(self.go, **_tensors(self.go, change))
        return dataclasses.replace(self, go=go, **_tensors(self, change))


def _tensors(windows: Windows | GoTargets, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The fields that are tensors, `change`d."""
    values = {field.name: getattr(windows, field.name) for field in dataclasses.fields(windows)}
    return {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}


class WindowBuilder:
    """Turns sampled (game, ply) pairs into `Windows`."""

    def __init__(self, config: TrainConfig, *, num_actions: int) -> None:
        self._config = config
        self._num_actions = num_actions
        self._batch: GoBatch | None = None

    def build(self, windows: list[tuple[GameRecord, int]], rng: np.random.Generator) -> Windows:
        """Builds one batch; every random choice (symmetries, branches, padding actions) comes from `rng`."""
        learner, search = self._config.learner, self._config.search
        steps = learner.unroll_steps
        targets = window_targets(
            windows,
            steps=steps,
            num_actions=self._num_actions,
            value_target=learner.value_target,
            td_steps=learner.td_steps,
            discount=search.discount,
        )
        chosen = rng.permutation(steps)[: learner.consistency_steps if learner.consistency_weight else 0] + 1
        future = tuple(sorted(int(k) for k in chosen))
        if self._config.is_go:
            return self._build_go(windows, targets, future, rng)
        return self._build_vector(windows, targets, future, rng)

    def _build_vector(
        self,
        windows: list[tuple[GameRecord, int]],
        targets: WindowTargets,
        future: tuple[int, ...],
        rng: np.random.Generator,
    ) -> Windows:
        steps = self._config.learner.unroll_steps
        count = len(windows)
        actions = rng.integers(self._num_actions, size=(count, steps))
        shape = windows[0][0].observations.shape[1:]  # type: ignore[union-attr]
        observation = np.empty((count, *shape), np.float32)
        ahead = np.zeros((len(future), count, *shape), np.float32)
        ahead_weight = np.zeros((len(future), count), np.float32)
        for i, (game, start) in enumerate(windows):
            assert game.observations is not None
            kept = game.actions[start : start + steps]
            actions[i, : len(kept)] = kept
            observation[i] = game.observations[start]
            for j, k in enumerate(future):
                if start + k <= len(game):
                    ahead[j, i] = game.observations[start + k]
                    ahead_weight[j, i] = 1.0
        planes = np.eye(self._num_actions, dtype=np.float32)[actions.T]
        return _to_tensors(targets, observation, planes, future, ahead, ahead_weight, None)

    def _build_go(
        self,
        windows: list[tuple[GameRecord, int]],
        targets: WindowTargets,
        future: tuple[int, ...],
        rng: np.random.Generator,
    ) -> Windows:
        learner = self._config.learner
        batch, variant = self._go_batch(len(windows)), self._config.variant
        replay = _GoReplay(batch, windows, rng, symmetries=learner.symmetries)
        replay.seek()
        observation = batch.observe(variant=variant)
        branch_at = _draw_branches(len(windows), learner.unroll_steps, learner.branch_share, rng)
        boards, legal, terminal, planes, ahead, alive = [], [], [], [], [], []
        for k in range(learner.unroll_steps + 1):
            mask = batch.legal_mask()
            boards.append(_classes(batch.stones))
            legal.append(mask[:, :-1].astype(np.float32))
            terminal.append(batch.finished.astype(np.float32))
            if k in future:
                ahead.append(batch.observe(variant=variant))
                alive.append(1.0 - terminal[-1])
            if k < learner.unroll_steps:
                planes.append(replay.step(k, mask, branch_at <= k, rng))
        left = np.arange(learner.unroll_steps + 1) > branch_at[:, None]
        go = GoTargets(
            score=torch.from_numpy(replay.score),
            ownership=torch.from_numpy(replay.ownership),
            board=torch.from_numpy(np.stack(boards, 1)),
            legal=torch.from_numpy(np.stack(legal, 1)),
            terminal=torch.from_numpy(np.stack(terminal, 1)),
        )
        augmented = WindowTargets(
            policy=replay.permute_policy(targets.policy),
            policy_weight=targets.policy_weight * ~left,
            value=targets.value * replay.colour[:, None],
            value_weight=targets.value_weight * ~left,
            reward=targets.reward * replay.colour[:, None],
            reward_weight=targets.reward_weight * ~left[:, 1:],
        )
        shape = (len(future), *observation.shape)
        planes_shape = (len(planes), len(windows), NUM_ACTION_PLANES, *observation.shape[2:])
        return _to_tensors(
            augmented,
            observation,
            np.array(planes, np.float32).reshape(planes_shape),
            future,
            np.array(ahead, np.float32).reshape(shape),
            np.array(alive, np.float32).reshape(shape[:2]),
            go,
        )

    def _go_batch(self, count: int) -> GoBatch:
        """A scratch batch of `count` games, reused while the count stays the same."""
        if self._batch is None or self._batch.num_games != count:
            self._batch = GoBatch(num_games=count, size=self._config.env.size)
        return self._batch


class MixedWindowBuilder:
    """Turns sampled (game, ply) pairs into batches of one board size and one number of unrolled steps each."""

    def __init__(self, config: TrainConfig, *, device: str = "cpu") -> None:
        """`device` of the learner: for CUDA the windows come `pinned`."""
        self._is_pinned = torch.device(device).type == "cuda"
        self._unrolled_share = config.learner.unrolled_share
        looks = dataclasses.replace(config, learner=dataclasses.replace(config.learner, unroll_steps=0))
        self._unrolled, self._looks = (
            {
                board.env.size if board.is_go else 0: WindowBuilder(board, num_actions=board.num_actions)
                for board in form.boards
            }
            for form in (config, looks)
        )

    def build(self, windows: list[tuple[GameRecord, int]], rng: np.random.Generator) -> list[Windows]:
        """As `WindowBuilder.build`, the first windows unrolled and the others not; sizes in the order of
        `TrainConfig.boards`, those without windows left out."""
        split = round(self._unrolled_share * len(windows))
        batches = []
        for builders, some in ((self._unrolled, windows[:split]), (self._looks, windows[split:])):
            parts = {size: [pair for pair in some if pair[0].size == size] for size in builders}
            batches += [builders[size].build(part, rng) for size, part in parts.items() if part]
        return [batch.pinned() for batch in batches] if self._is_pinned else batches


class _GoReplay:
    """Replays the games of a batch of windows, each under its own symmetry and colours."""

    def __init__(
        self, batch: GoBatch, windows: list[tuple[GameRecord, int]], rng: np.random.Generator, *, symmetries: bool
    ) -> None:
        count = len(windows)
        self.batch = batch
        self.symmetry = rng.integers(NUM_SYMMETRIES, size=count) if symmetries else np.zeros(count, np.int64)
        swap = rng.random(count) < 0.5 if symmetries else np.zeros(count, bool)
        self.colour = np.where(swap, -1, 1).astype(np.float32)
        self._starts = np.array([start for _, start in windows])
        self._lengths = np.array([len(game) for game, _ in windows])
        self._actions = np.full((count, int(self._lengths.max())), batch.area, np.int32)
        table = symmetry_table(batch.size)
        for i, (game, _) in enumerate(windows):
            self._actions[i, : len(game)] = table[self.symmetry[i]][game.actions]
        komi = np.array([game.komi for game, _ in windows], np.float32) * self.colour
        self.score = np.array([game.score for game, _ in windows], np.float32) * self.colour
        ownership = np.stack([game.ownership for game, _ in windows]).astype(np.float32)  # type: ignore[arg-type]
        points = inverse_table(batch.size)[self.symmetry][:, :-1].astype(np.int64)
        self.ownership = np.take_along_axis(ownership, points, 1) * self.colour[:, None]
        batch.reset(np.arange(count), komi=komi)
        for swapped in np.flatnonzero(swap).tolist():
            batch.set_to_play(swapped, WHITE)  # in the superko history too
        self._idle = np.zeros(count, np.int64)

    def seek(self) -> None:
        """Replays every game to the start of its window."""
        last = int(self._starts.max())
        before = np.arange(last) < self._starts[:, None]
        self.batch.play_sequences(np.where(before, self._actions[:, :last], NO_MOVE).astype(np.int32))

    def step(
        self, k: int, mask: NDArray[np.bool_], branched: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Plays ply k of the windows and returns its action planes [B, 4, S, S].

        Windows in `branched` play a random legal action; past the end the action is random and changes nothing, and
        the players go on taking turns, as they do in a search.
        """
        ply = self._starts + k
        rows = np.arange(len(ply))
        actions = self._actions[rows, ply.clip(max=self._actions.shape[1] - 1)].copy()
        noise = rng.random(mask.shape)
        actions[branched] = np.argmax(noise[branched] * mask[branched], axis=1)
        over = (ply >= self._lengths) & ~branched | self.batch.finished
        actions[over] = np.argmax(noise[over], axis=1)
        movers = np.where(self._idle % 2 == 1, -self.batch.to_play, self.batch.to_play)
        planes = encode_actions(actions.astype(np.int32), movers.astype(np.int8), size=self.batch.size)
        self.batch.play(actions.astype(np.int32), ~over)
        self._idle += over
        return planes

    def permute_policy(self, policy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Policies [B, K + 1, A] under each window's symmetry."""
        inverse = inverse_table(self.batch.size)[self.symmetry].astype(np.int64)
        return np.take_along_axis(policy, inverse[:, None, :], axis=2)


def _draw_branches(count: int, steps: int, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """[count] the step at which each window leaves its game; `steps` or more means never."""
    at = rng.integers(max(steps, 1), size=count)
    return np.where((rng.random(count) < share) & (steps > 0), at, steps + 1)


def _classes(stones: NDArray[np.int8]) -> NDArray[np.int64]:
    """Classes 0 empty, 1 Black, 2 White of stones in {0, 1, -1}."""
    return np.where(stones < 0, 2, stones).astype(np.int64)


def _to_tensors(
    targets: WindowTargets,
    observation: NDArray[np.float32],
    planes: NDArray[np.float32],
    future: tuple[int, ...],
    ahead: NDArray[np.float32],
    ahead_weight: NDArray[np.float32],
    go: GoTargets | None,
) -> Windows:
    return Windows(
        observation=torch.from_numpy(observation),
        action_planes=torch.from_numpy(planes),
        policy=torch.from_numpy(targets.policy),
        policy_weight=torch.from_numpy(targets.policy_weight.astype(np.float32)),
        value=torch.from_numpy(targets.value.astype(np.float32)),
        value_weight=torch.from_numpy(targets.value_weight.astype(np.float32)),
        reward=torch.from_numpy(targets.reward.astype(np.float32)),
        reward_weight=torch.from_numpy(targets.reward_weight.astype(np.float32)),
        future_steps=future,
        future_observations=torch.from_numpy(ahead),
        future_weight=torch.from_numpy(ahead_weight),
        go=go,
    )
