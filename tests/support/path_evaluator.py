"""An `Evaluator` whose answers are a pure function of the path of actions: the hidden state is a hash of the path.

Integer arithmetic on uint32 only, so that numpy and jax agree on every bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.model.contract import RecurrentOutput, RootOutput


def mix(word: Any) -> Any:
    """Scrambles uint32 numbers (murmur3's finaliser); numpy or jax arrays."""
    word = word ^ (word >> np.uint32(16))
    word = word * np.uint32(0x85EBCA6B)
    word = word ^ (word >> np.uint32(13))
    word = word * np.uint32(0xC2B2AE35)
    return word ^ (word >> np.uint32(16))


def step(state: Any, actions: Any) -> Any:
    """[B] uint32 state after `actions` [B] uint32."""
    return mix(state * np.uint32(31) + actions + np.uint32(1))


def to_unit(word: Any) -> Any:
    """float32 in [-1, 1) from uint32."""
    return (word >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)


def logits_of(state: Any, num_actions: int, scale: float = 2.0) -> Any:
    """[B, A] float32 logits in [-scale, scale)."""
    words = mix(state[:, None] ^ mix(np.arange(num_actions, dtype=np.uint32) + np.uint32(77)))
    return to_unit(words) * np.float32(scale)


def value_of(state: Any) -> Any:
    """[B] float32 value in [-1, 1), Black's view."""
    return to_unit(mix(state ^ np.uint32(0x51ED270B)))


def reward_of(state: Any) -> Any:
    """[B] float32 reward in [-0.5, 0.5) of the step into `state`, first player's view."""
    return to_unit(mix(state ^ np.uint32(0x2545F491))) * np.float32(0.5)


def root_state(observations: Any) -> Any:
    """[B] uint32 state of root observations [B, 1], which hold a seed each."""
    return mix(observations[:, 0].astype(np.uint32) + np.uint32(12345))


class PathEvaluator:
    """Answers from the hash; `sign` -1 negates every value and reward; counts its calls and rows."""

    def __init__(self, num_slots: int, num_actions: int, *, with_reward: bool = False, sign: float = 1.0) -> None:
        self.num_slots = num_slots
        self.num_actions = num_actions
        self.with_reward = with_reward
        self.sign = np.float32(sign)
        self.states = np.zeros(num_slots, np.uint32)
        self.calls = 0
        self.rows = 0

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        """See `Evaluator.initial`; observations [B, 1] are seeds."""
        state = root_state(observations)
        self.states[slots] = state
        return RootOutput(policy_logits=logits_of(state, self.num_actions), value=self.sign * value_of(state))

    def recurrent(
        self, parent_slots: np.ndarray, actions: np.ndarray, to_play: np.ndarray, child_slots: np.ndarray
    ) -> RecurrentOutput:
        """See `Evaluator.recurrent`."""
        self.calls += 1
        self.rows += len(actions)
        state = step(self.states[parent_slots], actions.astype(np.uint32))
        self.states[child_slots] = state
        reward = reward_of(state) if self.with_reward else np.zeros(len(actions), np.float32)
        return RecurrentOutput(
            policy_logits=logits_of(state, self.num_actions),
            value=self.sign * value_of(state),
            reward=self.sign * reward,
        )
