"""The search written once more for people: one tree, one object per node, plain Python. Slow; the kernels' referee.

Follows the papers' text rather than the kernels' code: softmaxes over all actions, paths kept in lists. Its world is
the path evaluator's. Everything is Black's view; `mover` turns it where a player chooses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from engine.search.config import SearchConfig
from engine.search.gumbel import considered_visits
from tests.support import path_evaluator as path


@dataclass(slots=True)
class Node:
    """A node with its own evaluation."""

    state: np.ndarray
    to_play: int
    raw_value: float
    prior: np.ndarray
    reward: float = 0.0
    is_terminal: bool = False
    visits: int = 0
    value_sum: float = 0.0
    children: dict[int, Node] = field(default_factory=dict)
    action: int | None = None


class ReferenceSearch:
    """Searches one root of the path evaluator's world."""

    def __init__(
        self,
        config: SearchConfig,
        *,
        seed: float,
        legal: np.ndarray,
        to_play: int,
        gumbel: np.ndarray,
        with_reward: bool = False,
        terminal_values: np.ndarray | None = None,
        pass_pass_value: float = math.nan,
        pass_action: int | None = None,
    ) -> None:
        self.config = config
        self.legal = legal
        self.num_actions = len(legal)
        self.with_reward = with_reward
        self.terminal_values = np.full(self.num_actions, np.nan) if terminal_values is None else terminal_values
        self.pass_pass_value = pass_pass_value
        self.pass_action = pass_action
        state = path.root_state(np.array([[seed]], np.float32))
        logits = path.logits_of(state, self.num_actions)[0].astype(np.float64)
        self.logits = np.where(legal, logits, -np.inf)
        self.scores = gumbel + self.logits - self.logits.max()
        self.root = self._node(state, to_play, self.logits)
        self.root.visits, self.root.value_sum = 1, self.root.raw_value
        self.lowest = self.highest = self.root.raw_value
        self.evaluations = 0

    def run(self) -> np.ndarray:
        """Searches; returns the root's visits [A]."""
        considered = min(self.config.num_considered, int(self.legal.sum()))
        for wanted in considered_visits(considered, self.config.num_simulations):
            nodes = [self.root]
            while not nodes[-1].is_terminal:
                action = self._choose(nodes[-1], wanted)
                child = nodes[-1].children.get(action)
                if child is not None:
                    nodes.append(child)
                    continue
                nodes.append(self._create(nodes, action))
                break
            self._backup(nodes)
        return self._visits_of(self.root)

    def improved_policy(self) -> np.ndarray:
        """[A] softmax(logits + sigma(completed Q))."""
        return _softmax(self.logits + self._sigma(self.root))

    def _node(self, state: np.ndarray, to_play: int, logits: np.ndarray) -> Node:
        return Node(state, to_play, float(path.value_of(state)[0]), _softmax(logits))

    def _create(self, nodes: list[Node], action: int) -> Node:
        """Adds the child of the last node."""
        parent = nodes[-1]
        to_play = -parent.to_play if self.config.two_player else parent.to_play
        is_second_pass = action == self.pass_action and parent.action == action
        outcome = math.nan
        if parent is self.root:
            outcome = float(self.terminal_values[action])
        elif is_second_pass and len(nodes) == 2:
            outcome = self.pass_pass_value
        if math.isnan(outcome):
            self.evaluations += 1
            state = path.step(parent.state, np.array([action], np.uint32))
            child = self._node(state, to_play, path.logits_of(state, self.num_actions)[0].astype(np.float64))
            child.reward = float(path.reward_of(state)[0]) if self.with_reward else 0.0
            child.is_terminal = is_second_pass
        else:
            child = Node(parent.state, to_play, 0.0, parent.prior, reward=outcome, is_terminal=True)
        child.action = action
        parent.children[action] = child
        return child

    def _backup(self, nodes: list[Node]) -> None:
        value = nodes[-1].raw_value
        for node in reversed(nodes):
            node.visits += 1
            node.value_sum += value
            if node is not self.root:
                self.lowest = min(self.lowest, self._q(node))
                self.highest = max(self.highest, self._q(node))
            value = node.reward + self.config.discount * value

    def _q(self, child: Node) -> float:
        return child.reward + self.config.discount * child.value_sum / child.visits

    def _unit(self, q: float, mover: int) -> float:
        if self.config.value_transform == "fixed":
            return (mover * q + 1.0) / 2.0
        span = max(self.highest - self.lowest, self.config.minmax_floor)
        distance = q - self.lowest if mover == 1 else self.highest - q
        return min(1.0, max(0.0, distance / span))

    def _mixed_value(self, node: Node) -> float:
        total = sum(child.visits for child in node.children.values())
        if total == 0:
            return node.raw_value
        mass = sum(node.prior[a] for a in node.children)
        mean = sum(node.prior[a] * self._q(child) for a, child in node.children.items()) / mass
        return (node.raw_value + total * mean) / (1 + total)

    def _sigma(self, node: Node) -> np.ndarray:
        most = max((child.visits for child in node.children.values()), default=0)
        completed = np.full(self.num_actions, self._mixed_value(node))
        if node is self.root:
            completed = np.where(np.isnan(self.terminal_values), completed, self.terminal_values)
        for action, child in node.children.items():
            completed[action] = self._q(child)
        unit = np.array([self._unit(q, node.to_play) for q in completed])
        return (self.config.c_visit + most) * self.config.c_scale * unit

    def _visits_of(self, node: Node) -> np.ndarray:
        return np.array([node.children[a].visits if a in node.children else 0 for a in range(self.num_actions)])

    def _choose(self, node: Node, wanted: int) -> int:
        visits = self._visits_of(node)
        if self.config.algorithm == "puct":
            return self._choose_puct(node, visits)
        if node is self.root:
            total = np.where(self.legal & (visits == wanted), self.scores + self._sigma(node), -np.inf)
            return int(total.argmax())
        with np.errstate(divide="ignore"):
            improved = _softmax(np.log(node.prior) + self._sigma(node))
        return int((improved - visits / (1 + visits.sum())).argmax())

    def _choose_puct(self, node: Node, visits: np.ndarray) -> int:
        base, init = self.config.c_puct_base, self.config.c_puct_init
        factor = (init + math.log((node.visits + base + 1) / base)) * math.sqrt(node.visits)
        mass = sum(node.prior[a] for a in node.children)
        urgency = self._unit(node.value_sum / node.visits, node.to_play) - self.config.fpu_reduction * math.sqrt(mass)
        scores = np.full(self.num_actions, max(0.0, urgency))
        for action, child in node.children.items():
            scores[action] = self._unit(self._q(child), node.to_play)
        scores += factor * node.prior / (1 + visits)
        allowed = self.legal if node is self.root else np.ones(self.num_actions, bool)
        return int(np.where(allowed, scores, -np.inf).argmax())


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
