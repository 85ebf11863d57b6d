"""Search of one position by several threads under limits: `Search` starts it, `SearchHandle` watches and stops it.

Each thread in turn selects a leaf, or a few, has them evaluated together, and backs their values up; the tree is locked
only during the compiled parts. Knows trees, kernels, limits and an `Evaluator`; knows nothing of games, boards or
networks.

Memory is bounded: when `max_nodes` nodes exist, the search forgets what lies behind those that it visits least, and
goes on. Where there is nothing to forget, a leaf that may not get a child gives its own value again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from engine.errors import InvalidConfig, InvalidInput
from engine.model.contract import Evaluator
from engine.search.choice import RootChoice
from engine.search.config import SearchConfig
from engine.search.gumbel import root_scores
from engine.search.handle import SearchHandle
from engine.search.limits import Limits
from engine.search.pruning import add_root_evaluation, find_descendant, keep_subtree
from engine.search.puct import add_dirichlet_noise
from engine.search.result import SearchResult, StopReason
from engine.search.roots import RootBatch, masked_softmax, set_roots, set_rules
from engine.search.tree import ROOT, allocate_tree

__all__ = ["Search", "SearchHandle", "SearchResult", "StopReason"]


class Search:
    """Searches one position at a time with the same memory: a tree of `max_nodes` nodes, slots 0 .. max_nodes - 1.

    `threads` Python threads search; more than one needs an evaluator that releases the GIL to be of use. Each has up to
    `leaves` leaves evaluated together. `clock` gives monotonic seconds. `on_full` is called in each search whose tree
    fills its memory, once, by a thread of the search, which it must neither ask nor hold up.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        num_actions: int,
        config: SearchConfig,
        max_nodes: int,
        threads: int = 1,
        leaves: int = 1,
        clock: Callable[[], float] = time.monotonic,
        on_full: Callable[[], None] | None = None,
    ) -> None:
        if max_nodes < 2 or threads < 1 or leaves < 1:
            raise InvalidConfig(
                f"max_nodes = {max_nodes}, threads = {threads}, leaves = {leaves}: expected at least 2, 1 and 1"
            )
        if evaluator.num_slots < max_nodes:
            raise InvalidConfig(f"evaluator has {evaluator.num_slots} slots: expected {max_nodes} or more")
        self.evaluator = evaluator
        self.num_actions = num_actions
        self.config = config
        self.threads = threads
        self.leaves = leaves
        self._clock = clock
        self._on_full = on_full
        self._tree = allocate_tree(1, max_nodes, num_actions)
        self._handle: SearchHandle | None = None

    def start(
        self,
        root: RootBatch,
        limits: Limits,
        *,
        seed: int = 0,
        config: SearchConfig | None = None,
        path: Sequence[int] | None = None,
    ) -> SearchHandle:
        """Evaluates the root (which blocks for one evaluation), then searches in the background.

        `config` replaces the search's own for this position. `seed` is for the noise on the root prior, if any. `path`:
        the actions that led here from the root of the search before, in the same game; "puct" then keeps what that
        search found behind them, without those actions of the root that `root` says are illegal or have a known
        outcome. Raises what the evaluator raises; raises `RuntimeError` while another search of this object runs.
        """
        started_s = self._clock()
        if self._handle is not None and not self._handle.is_finished:
            raise RuntimeError("the previous search has not ended")
        if root.legal_mask.shape != (1, self.num_actions):
            raise InvalidInput(f"root {root.legal_mask.shape}: expected one position of {self.num_actions} actions")
        config = config or self.config
        carried_visits = 0 if path is None else self._keep(root, config, path)
        self._handle = None  # if the evaluation fails, there is no search before the next one
        output = self.evaluator.initial(root.observations, np.array([ROOT], np.int32))
        prior = masked_softmax(output.policy_logits, root.legal_mask)
        noisy_prior = prior
        if config.algorithm == "puct":
            noisy_prior = add_dirichlet_noise(
                prior,
                root.legal_mask,
                alpha=config.dirichlet_alpha,
                fraction=config.dirichlet_fraction,
                rng=np.random.default_rng(seed),
            )
        scores = root_scores(output.policy_logits, root.legal_mask, np.zeros_like(output.policy_logits))
        if carried_visits:
            set_rules(self._tree, root, prior=noisy_prior, root_scores=scores)
            add_root_evaluation(self._tree, float(output.value[0]))
        else:
            set_roots(self._tree, root, prior=noisy_prior, root_scores=scores, value=output.value)
        handle = SearchHandle(
            self.evaluator,
            self._tree,
            output=output,
            choice=RootChoice(
                config=config, roots=root, policy_logits=output.policy_logits, prior=prior, scores=scores
            ),
            limits=limits,
            clock=self._clock,
            started_s=started_s,
            carried_visits=carried_visits,
            leaves=self.leaves,
            on_full=self._on_full,
        )
        self._handle = handle
        handle.begin(self.threads)
        return handle

    def _keep(self, root: RootBatch, config: SearchConfig, path: Sequence[int]) -> int:
        """Makes what lies behind `path` the tree, if that can be; returns the number of visits kept."""
        if self._handle is None or self._handle.has_failed or config.algorithm != "puct":
            return 0
        node = find_descendant(self._tree, path, int(root.to_play[0]))
        if node is None:
            return 0
        keep_subtree(self._tree, node, root, config.discount)
        return int(self._tree.node_visits[0, ROOT])
