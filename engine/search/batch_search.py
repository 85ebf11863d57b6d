"""Search of many positions in step, for self-play: one network call per simulation for the whole batch.

Knows trees, kernels and an `Evaluator`; knows nothing of games, boards or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidConfig, InvalidInput
from engine.model.contract import Evaluator, RootOutput
from engine.search import gumbel as gumbel_root
from engine.search import puct as puct_root
from engine.search.backup import expand_and_backup
from engine.search.choice import RootChoice
from engine.search.config import Formula, SearchConfig, most_considered
from engine.search.kernels import select
from engine.search.qvalues import read_root_statistics
from engine.search.roots import RootBatch, masked_softmax, set_roots
from engine.search.tree import allocate_descents, allocate_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What a search of B roots found; values are Black's view."""

    visits: NDArray[np.int32]
    """[B, A] visits of the root actions; each row sums to the tree's number of simulations."""
    q: NDArray[np.float32]
    """[B, A] value of the root actions, NaN where unvisited."""
    policy_target: NDArray[np.float32]
    """[B, A] what the policy should have been, exactly 0 on illegal actions: softmax(logits + sigma(completed Q)) for
    "gumbel", shares of the visits for "puct"."""
    root_value: NDArray[np.float32]
    """[B] mean of the values backed up to the root, its own evaluation included."""
    raw_value: NDArray[np.float32]
    """[B] the network's value of the root."""
    action: NDArray[np.int32]
    """[B] the winner of sequential halving, or the most visited action for "puct"."""
    policy_logits: NDArray[np.float32]
    """[B, A] the network's logits, unmasked, without noise."""


class BatchSearch:
    """Runs searches of up to `batch_size` roots with `config.num_simulations` simulations at most.

    Uses the evaluator's slots 0 .. batch_size * (config.num_simulations + 1) - 1. One `run` at a time.
    """

    def __init__(self, evaluator: Evaluator, *, batch_size: int, num_actions: int, config: SearchConfig) -> None:
        self.evaluator = evaluator
        self.config = config
        self.batch_size = batch_size
        self.num_actions = num_actions
        self.nodes_per_tree = config.num_simulations + 1
        if evaluator.num_slots < batch_size * self.nodes_per_tree:
            raise InvalidConfig(
                f"evaluator has {evaluator.num_slots} slots: expected {batch_size} * {self.nodes_per_tree} or more"
            )
        self.tree = allocate_tree(batch_size, self.nodes_per_tree, num_actions)
        self._descents = allocate_descents(batch_size)
        self._policy_logits = np.zeros((batch_size, num_actions), np.float32)
        self._value = np.zeros(batch_size, np.float32)
        self._reward = np.zeros(batch_size, np.float32)

    def run(
        self,
        roots: RootBatch,
        *,
        rng: np.random.Generator,
        num_simulations: int | NDArray[np.int64] | None = None,
        gumbel_scale: float | NDArray[np.float32] = 1.0,
        gumbel: NDArray[np.float32] | None = None,
    ) -> BatchResult:
        """Searches every root; blocks.

        `num_simulations` (one number, or one per root) defaults to the configuration's and may not exceed it; 0 gives
        the network's own policy. Where it is less, no more than `most_considered` root actions are. `gumbel_scale` (one
        number, or one per root) multiplies the Gumbel noise drawn from `rng`; `gumbel` [B, A] replaces the product.
        "puct" draws Dirichlet noise instead. Raises what the evaluator raises.
        """
        simulations = self._checked_simulations(roots, num_simulations)
        output = self._evaluate_roots(roots)
        formula = self.config.formula(pass_action=roots.pass_action)
        if gumbel is None:
            gumbel = np.zeros_like(output.policy_logits)
            scale = np.asarray(gumbel_scale).reshape(-1, 1)
            if self.config.algorithm == "gumbel" and scale.any():
                gumbel = (scale * rng.gumbel(size=output.policy_logits.shape)).astype(np.float32)
        prior = masked_softmax(output.policy_logits, roots.legal_mask)
        if self.config.algorithm == "puct":
            alpha, fraction = self.config.dirichlet_alpha, self.config.dirichlet_fraction
            prior = puct_root.add_dirichlet_noise(prior, roots.legal_mask, alpha=alpha, fraction=fraction, rng=rng)
        scores = gumbel_root.root_scores(output.policy_logits, roots.legal_mask, gumbel)
        set_roots(self.tree, roots, prior=prior, root_scores=scores, value=output.value)
        table = gumbel_root.considered_table(self._num_considered(roots, simulations), simulations)
        for i in range(table.shape[0]):
            self.tree.considered_visits[: roots.size] = table[i]
            self._simulate(formula, simulations > i)
        choice = RootChoice(
            config=self.config, roots=roots, policy_logits=output.policy_logits, prior=prior, scores=scores
        )
        return self._result(choice, formula, output)

    def _checked_simulations(
        self, roots: RootBatch, num_simulations: int | NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        if roots.size > self.batch_size or roots.legal_mask.shape[1] != self.num_actions:
            raise InvalidInput(
                f"roots {roots.legal_mask.shape}: expected at most {self.batch_size} of {self.num_actions} actions"
            )
        wanted = self.config.num_simulations if num_simulations is None else num_simulations
        simulations = np.broadcast_to(np.asarray(wanted, np.int64), (roots.size,))
        if simulations.min(initial=0) < 0 or simulations.max(initial=0) > self.config.num_simulations:
            raise InvalidInput(f"num_simulations {wanted!r}: expected 0 to {self.config.num_simulations}")
        return simulations

    def _num_considered(self, roots: RootBatch, simulations: NDArray[np.int64]) -> NDArray[np.int64]:
        considered: NDArray[np.int64] = np.minimum(self.config.num_considered, roots.legal_mask.sum(axis=1))
        is_short = simulations < self.config.num_simulations
        return np.where(is_short, np.minimum(considered, most_considered(simulations)), considered)

    def _evaluate_roots(self, roots: RootBatch) -> RootOutput:
        slots = np.arange(roots.size, dtype=np.int32) * np.int32(self.nodes_per_tree)
        return self.evaluator.initial(roots.observations, slots)

    def _simulate(self, formula: Formula, active: NDArray[np.bool_]) -> None:
        """One simulation in each active tree."""
        descents = self._descents
        count = select(self.tree, formula, active, descents)
        if count:
            rows = slice(0, count)
            output = self.evaluator.recurrent(
                descents.parent_slots[rows], descents.actions[rows], descents.to_play[rows], descents.child_slots[rows]
            )
            self._policy_logits[rows] = output.policy_logits
            self._value[rows] = output.value
            self._reward[rows] = output.reward
        answers = self._policy_logits, self._value, self._reward
        expand_and_backup(self.tree, formula, active, descents, count, *answers)

    def _result(self, choice: RootChoice, formula: Formula, output: RootOutput) -> BatchResult:
        statistics = read_root_statistics(self.tree, formula, choice.roots.size)
        return BatchResult(
            visits=statistics.visits,
            q=statistics.q,
            policy_target=choice.policy(statistics),
            root_value=statistics.value,
            raw_value=np.array(output.value, dtype=np.float32),
            action=choice.action(statistics),
            policy_logits=np.array(output.policy_logits, dtype=np.float32),
        )
