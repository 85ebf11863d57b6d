"""mctx as the numeric reference of the search: the same formulas, values seen by the player to move, discount -1.

Imports jax; import this module only behind `pytest.importorskip("mctx")`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mctx
import numpy as np
from mctx._src import qtransforms

from engine.search.config import SearchConfig
from tests.support import path_evaluator as path


def _recurrent_fn(num_actions: int, config: SearchConfig, with_reward: bool) -> Any:
    flip = -1.0 if config.two_player else 1.0

    def recurrent(params: Any, rng_key: Any, action: Any, embedding: Any) -> Any:
        state = path.step(embedding["state"], action.astype(jnp.uint32))
        mover = embedding["to_play"]
        reward = mover * path.reward_of(state) if with_reward else jnp.zeros_like(mover)
        output = mctx.RecurrentFnOutput(
            reward=reward,
            discount=jnp.full_like(mover, flip * config.discount),
            prior_logits=path.logits_of(state, num_actions),
            value=flip * mover * path.value_of(state),
        )
        return output, {"state": state, "to_play": flip * mover}

    return recurrent


def _puct_qtransform(config: SearchConfig) -> Any:
    """q01 = (q + 1) / 2 of visited actions, reduced parent value for the others."""

    def qtransform(tree: Any, node_index: Any) -> Any:
        visits = tree.children_visits[node_index]
        prior = jax.nn.softmax(tree.children_prior_logits[node_index])
        visited_prior = jnp.sum(jnp.where(visits > 0, prior, 0.0))
        urgency = (tree.node_values[node_index] + 1.0) / 2.0 - config.fpu_reduction * jnp.sqrt(visited_prior)
        return jnp.where(visits > 0, (tree.qvalues(node_index) + 1.0) / 2.0, jnp.maximum(urgency, 0.0))

    return qtransform


def run(
    config: SearchConfig,
    *,
    seeds: np.ndarray,
    legal_mask: np.ndarray,
    to_play: np.ndarray,
    gumbel: np.ndarray,
    with_reward: bool = False,
) -> dict[str, np.ndarray]:
    """Searches the path-evaluator problems `seeds` [B, 1]; values and Q in Black's view."""
    num_actions = legal_mask.shape[1]
    state = path.root_state(seeds)
    mover = to_play.astype(np.float32)
    root = mctx.RootFnOutput(
        prior_logits=jnp.asarray(path.logits_of(state, num_actions)),
        value=jnp.asarray(mover * path.value_of(state)),
        embedding={"state": jnp.asarray(state), "to_play": jnp.asarray(mover)},
    )
    arguments = {
        "params": (),
        "root": root,
        "recurrent_fn": _recurrent_fn(num_actions, config, with_reward),
        "num_simulations": config.num_simulations,
        "invalid_actions": jnp.asarray(~legal_mask, jnp.float32),
    }
    key = jax.random.PRNGKey(0)
    if config.algorithm == "puct":
        output = mctx.muzero_policy(
            rng_key=key,
            qtransform=_puct_qtransform(config),
            dirichlet_fraction=0.0,
            pb_c_init=config.c_puct_init,
            pb_c_base=config.c_puct_base,
            **arguments,
        )
    else:
        output = _with_gumbel(gumbel, config, arguments, key)
    summary = output.search_tree.summary()
    return {
        "visits": np.asarray(summary.visit_counts).astype(np.int32),
        "action_weights": np.asarray(output.action_weights),
        "action": np.asarray(output.action),
        "root_value": np.asarray(summary.value) * mover,
        "q": np.asarray(summary.qvalues) * mover[:, None],
    }


def _with_gumbel(gumbel: np.ndarray, config: SearchConfig, arguments: dict[str, Any], key: Any) -> Any:
    """gumbel_muzero_policy with the given noise in place of its own.

    sigma on (q + 1) / 2 is sigma on q with half the scale, up to a constant that no choice and no softmax sees.
    """

    def qtransform(tree: Any, node_index: Any) -> Any:
        return qtransforms.qtransform_completed_by_mix_value(
            tree, node_index, value_scale=0.5 * config.c_scale, maxvisit_init=config.c_visit, rescale_values=False
        )

    original = jax.random.gumbel
    jax.random.gumbel = lambda *_, **__: jnp.asarray(gumbel)
    try:
        return mctx.gumbel_muzero_policy(
            rng_key=key,
            qtransform=qtransform,
            max_num_considered_actions=config.num_considered,
            gumbel_scale=1.0,
            **arguments,
        )
    finally:
        jax.random.gumbel = original
