"""A running search of one position: its threads, when they end, and what they have found so far.

Made by `search.Search` only. One lock guards the tree and every counter; it is held for microseconds at a time, never
during an evaluation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Self

import numpy as np

from engine.model.contract import Evaluator, RootOutput
from engine.search.choice import RootChoice
from engine.search.gumbel import HalvingRounds
from engine.search.limits import Limits
from engine.search.pruning import forget_least_visited
from engine.search.qvalues import RootStatistics, read_root_statistics
from engine.search.result import MAX_VARIATION_LENGTH, SearchResult, StopReason, read_variations
from engine.search.simulation import Simulations
from engine.search.stopping import StopRules
from engine.search.tree import ROOT, UNVISITED, Tree

LEAF_VISITS: Final = 32
"""A thread takes a second leaf at a time after so many simulations, a third after twice as many, and so on."""


class SearchHandle:
    """Watches and stops one search. Any thread may call any method; a context manager that stops and waits."""

    def __init__(
        self,
        evaluator: Evaluator,
        tree: Tree,
        *,
        output: RootOutput,
        choice: RootChoice,
        limits: Limits,
        clock: Callable[[], float],
        started_s: float,
        carried_visits: int = 0,
        leaves: int = 1,
        on_full: Callable[[], None] | None = None,
    ) -> None:
        limits = limits.less(carried_visits)
        self._evaluator = evaluator
        self._tree = tree
        self._output = output
        self._choice = choice
        self._formula = choice.config.formula(pass_action=choice.roots.pass_action)
        self._carried_visits = carried_visits
        self._leaves = leaves
        self._winning_action = int(choice.winning_actions()[0])
        self._clock = clock
        self._on_full = on_full
        self._is_full = False
        self._started_s = started_s
        self._rounds = HalvingRounds(
            num_considered=choice.config.num_considered,
            num_legal=int(choice.roots.legal_mask.sum()),
            max_simulations=limits.max_simulations,
        )
        self._halves = choice.config.algorithm == "gumbel"
        self._rules = StopRules(
            limits,
            choice,
            elapsed_s=lambda: clock() - started_s,
            statistics=lambda: read_root_statistics(tree, self._formula, 1),
            under_way=lambda: int(tree.virtual_visits[0, ROOT]),
        )
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._simulations_begun = 0
        self._evaluations = 1
        self._running = 0
        self._stop_reason: StopReason | None = None
        self._error: BaseException | None = None
        self._final: SearchResult | None = None
        self._finished = threading.Event()

    def begin(self, threads: int) -> None:
        """Starts the threads, or ends at once where there is nothing to search."""
        self._stop_reason = self._rules.reason(0)
        if self._stop_reason is not None:
            self._finish()
            return
        self._running = threads
        for index in range(threads):
            threading.Thread(target=self._work, name=f"search-{index}", daemon=True).start()

    @property
    def has_failed(self) -> bool:
        """Whether an error ended the search; the tree may then hold simulations that never end."""
        return self._error is not None

    @property
    def is_finished(self) -> bool:
        """Whether the search has ended."""
        return self._finished.is_set()

    def stop(self) -> None:
        """Makes the search end within one evaluation; does not wait for it. May be called twice."""
        self._rules.stop_requested = True

    def wait(self, timeout: float | None = None) -> SearchResult:
        """Blocks until the search has ended, or for `timeout` seconds, and returns what is known then.

        Raises the error that ended the search, if one did.
        """
        self._finished.wait(timeout)
        if self._error is not None and self.is_finished:
            raise self._error
        return self.snapshot()

    def snapshot(self) -> SearchResult:
        """What is known now; waits at most for one step of the search, never for an evaluation."""
        variations = np.empty((self._tree.children_index.shape[2], MAX_VARIATION_LENGTH), np.int32)
        with self._changed:
            if self._final is not None:
                return self._final
            statistics = read_root_statistics(self._tree, self._formula, 1)
            read_variations(self._tree, 0, variations)
            total_visits = int(self._tree.node_visits[0, ROOT])
            evaluations = self._evaluations
            is_full = self._is_full
            stop_reason = self._stop_reason if self._running == 0 else None
        output = self._output
        bounds = self._choice.roots.to_play[0] * self._choice.lower_bounds(statistics)[0]
        return SearchResult(
            visits=statistics.visits[0],
            q=statistics.q[0],
            q_bound=np.where(statistics.visits[0] > 0, bounds, np.nan).astype(np.float32),
            prior=self._choice.prior[0],
            policy_target=self._choice.policy(statistics)[0],
            root_value=float(statistics.value[0]),
            raw_value=float(output.value[0]),
            best_action=self._best_action(statistics),
            total_visits=total_visits,
            carried_visits=self._carried_visits,
            is_full=is_full,
            evaluations=evaluations,
            elapsed_s=self._clock() - self._started_s,
            stop_reason=stop_reason,
            ownership=None if output.ownership is None else np.array(output.ownership[0]),
            score_mean=None if output.score_mean is None else float(output.score_mean[0]),
            score_stdev=None if output.score_stdev is None else float(output.score_stdev[0]),
            variations=variations,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._finished.wait()

    def _work(self) -> None:
        """One thread's share: simulations until there is a reason to stop."""
        try:
            simulations = Simulations(self._evaluator, self._tree, self._formula, most=self._leaves)
            while self._advance(simulations):
                simulations.evaluate()
        except BaseException as error:  # surfaces in `wait`
            with self._changed:
                self._error = self._error or error
                self._stop_reason = self._stop_reason or StopReason.STOPPED
                self._changed.notify_all()
        finally:
            with self._changed:
                self._running -= 1
                is_last = self._running == 0
            if is_last:
                self._finish()

    def _advance(self, simulations: Simulations) -> bool:
        """Ends the simulations under way, if any, and begins others; False when the search is to end.

        Waits while all leaves are taken.
        """
        with self._changed:
            if simulations.are_under_way:
                self._evaluations += simulations.finish()
                self._wake()
            while not self._begin(simulations):
                if self._stop_reason is not None:
                    self._wake()
                    return False
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            return True

    def _begin(self, simulations: Simulations) -> int:
        """Begins simulations, fewer in a young tree, which has fewer leaves worth a look; returns how many."""
        wanted = min(simulations.most, 1 + self._simulations_begun // LEAF_VISITS)
        for begun in range(wanted):
            if simulations.is_tree_full:
                simulations.is_tree_full = False
                self._make_room()
            self._stop_reason = self._stop_reason or self._rules.reason(self._simulations_begun)
            if self._stop_reason is not None:
                return begun
            if self._halves:
                self._tree.considered_visits[0] = self._rounds.considered
            if not simulations.begin():
                return begun
            self._simulations_begun += 1
            if self._halves and self._rounds.advance():
                self._begin_round()
        return wanted

    def _make_room(self) -> None:
        """Forgets part of a full tree, and tells of the first time."""
        forget_least_visited(self._tree)
        if not self._is_full:
            self._is_full = True
            if self._on_full is not None:
                self._on_full()

    def _wake(self) -> None:
        """Lets the threads look again that found every leaf taken."""
        if self._waiting:
            self._changed.notify_all()

    def _begin_round(self) -> None:
        """Sequential halving starts again: visits are counted from here, those under way included."""
        children = self._tree.children_index[0, ROOT]
        visits = self._tree.node_visits[0, children] + self._tree.virtual_visits[0, children]
        self._tree.base_visits[0] = np.where(children == UNVISITED, 0, visits)

    def _best_action(self, statistics: RootStatistics) -> int:
        if self._winning_action >= 0:
            return self._winning_action
        return int(self._choice.action(statistics, in_rounds=not self._rounds.is_single)[0])

    def _finish(self) -> None:
        """Keeps the final result: the tree may serve another search from now on."""
        self._final = self.snapshot()
        self._finished.set()
