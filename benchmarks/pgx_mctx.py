"""Self-play of Go as pgx 2 (the rules), mctx (the search) and JAX do it; for `benchmarks.selfplay` to compare with.

The network is `GoNetwork` written in JAX with random weights, laid out as XLA likes it (channels last); pgx's 17 planes
are filled up with zeros. Whole plies are compiled as one program. Games are scored as pgx does it. With
`selfplay.reground_every = 0` only the search's root knows which moves are legal, and the rest is imagined; with 1 every
node is a game of pgx, and its position is what the network sees, as in pgx's own example of AlphaZero.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mctx
import numpy as np
from jax import Array, lax
from pgx.experimental import auto_reset
from pgx.go import Go

from engine.errors import InvalidConfig
from engine.go.features import NUM_ACTION_PLANES
from trainer.config import TrainConfig

Weights = dict[str, Array]
Inference = tuple[Array, Array, Array]
"""Hidden states [B, S, S, C], policy logits [B, A], values [B]."""


class PgxSelfPlay:
    """Games in step on one board size, with the search of `config`."""

    def __init__(self, config: TrainConfig) -> None:
        if config.selfplay.reground_every > 1:
            raise InvalidConfig("selfplay.reground_every: only 0 and 1 can be compared")
        self._config = config
        self._is_grounded = config.selfplay.reground_every == 1
        self._games, self._size = config.selfplay.num_games, config.env.size
        for_weights, for_games, self._key = jax.random.split(jax.random.key(0), 3)
        self._weights = self._random_weights(for_weights)
        env = Go(size=self._size)
        self._follow = jax.vmap(env.step)
        self._step = jax.vmap(auto_reset(env.step, env.init))
        self._states = jax.jit(jax.vmap(env.init))(jax.random.split(for_games, self._games))
        self._play = jax.jit(self._plies, static_argnums=3)
        self._think = jax.jit(self._inferences, static_argnums=2)

    def play(self, plies: int) -> None:
        """Plays so many plies of every game; games that end begin again."""
        result = self._play(self._weights, self._states, self._key, plies)
        self._states, self._key = jax.block_until_ready(result)

    def think(self, plies: int) -> None:
        """The network's part of `play` alone."""
        shape = (self._games, self._size, self._size, self._config.network.observation_size)
        jax.block_until_ready(self._think(self._weights, jnp.ones(shape), plies))

    def flops(self) -> tuple[float, float]:
        """Of one initial and one recurrent inference; a multiplication and an addition count as two."""
        counts = {"r": 0.0, "d": 0.0, "h": 0.0}
        for name, weights in self._weights.items():
            counts[name[0]] += 2.0 * weights.size * (self._size**2 if weights.ndim == 4 else 1)
        return counts["r"] + counts["h"], counts["d"] + counts["h"]

    def _random_weights(self, key: Array) -> Weights:
        """The layers of `GoNetwork` that a search uses: r: representation, d: dynamics, h: heads. Biases cost nothing
        and are left out."""
        network = self._config.network
        c, h = network.channels, network.head_channels
        shapes: dict[str, tuple[int, ...]] = {
            "r_in": (3, 3, network.observation_size, c),
            "d_in": (3, 3, c, c),
            "d_action": (3, 3, NUM_ACTION_PLANES, c),
            "h_policy": (1, 1, c, h),
            "h_policy_pooled": (3 * c, h),
            "h_policy_point": (1, 1, h, 1),
            "h_policy_pass": (3 * h, 1),
            "h_value": (1, 1, c, 2 * h),
            "h_value_hidden": (6 * h, 4 * h),
            "h_value_out": (4 * h, network.value.bins),
        }
        for tower, blocks in (("r", network.representation_blocks), ("d", network.dynamics_blocks)):
            for i in range(blocks):
                shapes |= {f"{tower}{i}_1": (3, 3, c, c), f"{tower}{i}_2": (3, 3, c, c)}
                if i % 2 == 1:
                    shapes[f"{tower}{i}_pooled"] = (3 * c, c)
        keys = jax.random.split(key, len(shapes))
        return {
            name: jax.random.normal(k, shape) * float(np.prod(shape[:-1]) / 2.0) ** -0.5
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def _represent(self, weights: Weights, observation: Array) -> Inference:
        """Of observations [B, S, S, planes]."""
        blocks = self._config.network.representation_blocks
        return self._predict(weights, _tower(weights, "r", blocks, _conv(observation, weights["r_in"])))

    def _imagine(self, weights: Weights, hidden: Array, to_play: Array, actions: Array) -> Inference:
        """After `actions` [B] of the players `to_play` [B] in {-1, 1}."""
        area = self._size**2
        point = jax.nn.one_hot(actions, area).reshape(-1, self._size, self._size, 1)
        mover, is_pass = (
            jnp.broadcast_to(x[:, None, None, None], point.shape) for x in (to_play, (actions == area).astype(float))
        )
        planes = jnp.concatenate([point * (mover > 0), point * (mover < 0), is_pass, mover], axis=3)
        x = hidden + _conv(hidden, weights["d_in"]) + _conv(planes, weights["d_action"])
        return self._predict(weights, _tower(weights, "d", self._config.network.dynamics_blocks, x))

    def _predict(self, weights: Weights, hidden: Array) -> Inference:
        bias = (_pooled(hidden) @ weights["h_policy_pooled"])[:, None, None, :]
        planes = jax.nn.relu(_conv(hidden, weights["h_policy"]) + bias)
        points = _conv(planes, weights["h_policy_point"]).reshape(len(hidden), -1)
        logits = jnp.concatenate([points, _pooled(planes) @ weights["h_policy_pass"]], axis=1)
        pooled = _pooled(jax.nn.relu(_conv(hidden, weights["h_value"])))
        bins = jnp.linspace(-1.0, 1.0, self._config.network.value.bins)
        value = jax.nn.softmax(jax.nn.relu(pooled @ weights["h_value_hidden"]) @ weights["h_value_out"]) @ bins
        return hidden, logits, value

    def _search(self, weights: Weights, states: Any, key: Array) -> Array:
        """Actions [B]."""
        to_play = 1.0 - 2.0 * (states._x.step_count % 2)

        def imagine(_: None, __: Array, actions: Array, embedding: tuple[Array, Array]) -> tuple[Any, Any]:
            hidden, mover = embedding
            hidden, logits, value = self._imagine(weights, hidden, mover, actions)
            zero = jnp.zeros_like(value)
            output = mctx.RecurrentFnOutput(reward=zero, discount=zero - 1.0, prior_logits=logits, value=value)
            return output, (hidden, -mover)

        def follow(_: None, __: Array, actions: Array, embedding: Any) -> tuple[Any, Any]:
            mover = embedding.current_player
            embedding = self._follow(embedding, actions)
            _, logits, value = self._represent(weights, self._observe(embedding))
            output = mctx.RecurrentFnOutput(
                reward=jnp.take_along_axis(embedding.rewards, mover[:, None], 1)[:, 0],
                discount=jnp.where(embedding.terminated, 0.0, -1.0),
                prior_logits=jnp.where(embedding.legal_action_mask, logits, jnp.finfo(logits.dtype).min),
                value=jnp.where(embedding.terminated, 0.0, value),
            )
            return output, embedding

        hidden, logits, value = self._represent(weights, self._observe(states))
        embedding = states if self._is_grounded else (hidden, to_play)
        return mctx.gumbel_muzero_policy(
            params=None,
            rng_key=key,
            root=mctx.RootFnOutput(prior_logits=logits, value=value, embedding=embedding),
            recurrent_fn=follow if self._is_grounded else imagine,
            num_simulations=self._config.search.num_simulations,
            max_num_considered_actions=self._config.search.num_considered,
            invalid_actions=~states.legal_action_mask,
        ).action

    def _observe(self, states: Any) -> Array:
        """[B, S, S, planes]"""
        missing = self._config.network.observation_size - states.observation.shape[-1]
        return jnp.pad(states.observation.astype(float), [(0, 0)] * 3 + [(0, missing)])

    def _plies(self, weights: Weights, states: Any, key: Array, plies: int) -> tuple[Any, Array]:
        def ply(carry: tuple[Any, Array], _: None) -> tuple[tuple[Any, Array], None]:
            states, key = carry
            key, for_search, for_reset = jax.random.split(key, 3)
            actions = self._search(weights, states, for_search)
            return (self._step(states, actions, jax.random.split(for_reset, self._games)), key), None

        return lax.scan(ply, (states, key), None, length=plies)[0]

    def _inferences(self, weights: Weights, observation: Array, plies: int) -> Array:
        """A sum of everything that the network says, so that nothing of it is left out."""
        to_play, actions = jnp.ones(self._games), jnp.arange(self._games) % self._size**2

        def imagine(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
            hidden, total = carry
            if self._is_grounded:
                _, logits, value = self._represent(weights, observation + total * 1e-30)
            else:
                hidden, logits, value = self._imagine(weights, hidden, to_play, actions)
            return (hidden, total + logits.sum() + value.sum()), None

        def ply(total: Array, _: None) -> tuple[Array, None]:
            hidden, logits, value = self._represent(weights, observation + total * 1e-30)
            steps = self._config.search.num_simulations
            (_, total), _ = lax.scan(imagine, (hidden, total + logits.sum() + value.sum()), None, length=steps)
            return total, None

        return lax.scan(ply, jnp.zeros(()), None, length=plies)[0]


def _conv(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _pooled(x: Array) -> Array:
    """[B, 3 C] as `trainer.network.pool`."""
    mean = x.mean((1, 2))
    return jnp.concatenate([mean, mean * ((x.shape[2] - 9.0) * 0.1), x.max((1, 2))], axis=1)


def _tower(weights: Weights, name: str, blocks: int, x: Array) -> Array:
    """Residual blocks, then every state scaled to [0, 1]."""
    for i in range(blocks):
        active = jax.nn.relu(x)
        inner = _conv(active, weights[f"{name}{i}_1"])
        if i % 2 == 1:
            inner = inner + (_pooled(active) @ weights[f"{name}{i}_pooled"])[:, None, None, :]
        x = x + _conv(jax.nn.relu(inner), weights[f"{name}{i}_2"])
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    return (x - low) / (high - low + 1e-5)
