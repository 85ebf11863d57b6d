"""An examination in 2x2 or 3x3 Go: what a network and its search say of positions of games, beside what is true.

The truth is that of the game in which the position came up: its komi, the boards that superko forbids, and the plies
that are left until self-play cuts a game off and scores it.

Run: python -m tests.support.small_board_exam [--seed 1] [--set learner.total_steps=2000 ...] trains on 3x3 and prints
the figures; about five minutes of one core.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.search.batch_search import BatchResult, BatchSearch
from engine.search.roots import RootBatch
from tests.support.small_board_graph import position_graph
from tests.support.small_board_solver import UNKNOWN, solver
from trainer.config import TrainConfig, load_config
from trainer.network import Network
from trainer.record import GameRecord
from trainer.run import Run
from trainer.torch_evaluator import TorchEvaluator

SETTINGS = (
    "name=go3",
    "env.size=3",
    "env.komi_low=2.5",
    "env.komi_high=9.5",
    "selfplay.num_games=128",
    "replay.warmup_positions=5000",
    "learner.total_steps=2000",
    "loop.plies_per_iteration=4096",
    "loop.rate_every=0",
)
"""Where 3x3 differs from the preset go5."""
MAX_STEPS = 30_000
"""Of the solver for one position; openings take about 10,000."""

Paper = tuple[GameRecord, int]
"""A position: a game at a half-point komi, and the ply that is to be played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One position, what was answered, and what is true; values are Black's view."""

    diagram: str
    """The board, for people."""
    to_play: int
    """+1 or -1."""
    winner: int
    """+1 or -1 with best play, UNKNOWN where the solver gave up."""
    winners_after: dict[int, int]
    """The same after every legal action."""
    raw_value: float
    """Of the network."""
    q: float
    """Of the search for its action."""
    action: int
    """The search's, without noise."""
    is_after_pass: bool
    """Whether the last move was a pass."""
    plies_left: int
    """Until the game is cut off."""
    num_forbidden: int
    """Points that only superko forbids."""

    @property
    def has_choice(self) -> bool:
        """Whether the player to move wins, but not with every action."""
        return self.winner == self.to_play and -self.to_play in self.winners_after.values()

    @property
    def is_move_right(self) -> bool:
        """Whether no action is better for the player to move."""
        return self.winner != self.to_play or self.winners_after[self.action] == self.to_play


def draw_papers(games: list[GameRecord], count: int, *, seed: int) -> list[Paper]:
    """`count` positions (or all, if there are fewer) of the `games` that cannot be drawn."""
    papers = [(game, ply) for game in games if game.komi % 1 == 0.5 for ply in range(len(game))]
    order = np.random.default_rng(seed).permutation(len(papers))[:count]
    return [papers[i] for i in order.tolist()]


def examine(config: TrainConfig, network: Network, papers: list[Paper], *, simulations: int = 64) -> list[Answer]:
    """What `network` answers; positions whose truth the solver does not find are left out."""
    batch, histories = _replay(papers, size=config.env.size)
    result = _search(config, network, batch, simulations=simulations)
    answers = [_answer(batch, histories[row], result, row) for row in range(len(papers))]
    return [answer for answer in answers if answer.winner != UNKNOWN]


def figures(answers: list[Answer]) -> dict[str, float]:
    """Counts, and shares of right answers."""
    choices = [answer for answer in answers if answer.has_choice]
    return {
        "positions": len(answers),
        "choices": len(choices),
        "value_sign": _mean([answer.raw_value * answer.winner > 0 for answer in answers]),
        "search_sign": _mean([answer.q * answer.winner > 0 for answer in answers]),
        "moves": _mean([answer.is_move_right for answer in answers]),
        "moves_with_choice": _mean([answer.is_move_right for answer in choices]),
    }


def _mean(hits: list[bool]) -> float:
    return float(np.mean(hits)) if hits else float("nan")


def _replay(papers: list[Paper], *, size: int) -> tuple[GoBatch, list[int]]:
    """The positions, and the boards of their games up to there as sets of bits."""
    graph = position_graph(size)
    batch = GoBatch(num_games=len(papers), size=size, komi=np.array([game.komi for game, _ in papers]))
    histories = [0] * len(papers)
    for ply in range(max(ply for _, ply in papers) + 1):
        moves = np.full(len(papers), NO_MOVE, np.int32)
        for row, (game, last) in enumerate(papers):
            if ply <= last:
                histories[row] |= 1 << graph.board(batch.stones[row])
            if ply < last:
                moves[row] = game.actions[ply]
        batch.play(moves)
    return batch, histories


def _search(config: TrainConfig, network: Network, batch: GoBatch, *, simulations: int) -> BatchResult:
    search = dataclasses.replace(config.search, num_simulations=simulations)
    evaluator = TorchEvaluator(network, num_slots=batch.num_games * (simulations + 1))
    roots = RootBatch(
        observations=batch.observe(),
        legal_mask=batch.legal_mask(),
        to_play=batch.to_play,
        terminal_values=batch.terminal_values(),
        pass_pass_values=batch.pass_pass_values(),
        pass_action=batch.area,
    )
    searcher = BatchSearch(evaluator, batch_size=batch.num_games, num_actions=batch.num_actions, config=search)
    return searcher.run(roots, rng=np.random.default_rng(0), gumbel_scale=0.0)


def _answer(batch: GoBatch, history: int, result: BatchResult, row: int) -> Answer:
    stones, to_play = batch.stones[row], int(batch.to_play[row])
    is_after_pass, plies_left = bool(batch.passes[row]), batch.max_plies - int(batch.ply[row])
    position = position_graph(batch.size).position(stones, to_play=to_play, after_pass=is_after_pass)
    winner, winners_after = _truth(batch.size, float(batch.komi[row]), position, history, plies_left)
    assert sorted(winners_after) == np.flatnonzero(batch.legal_mask()[row]).tolist()
    action = int(result.action[row])
    lines = ("".join(".XO"[stone] for stone in line) for line in stones.reshape(batch.size, -1))
    return Answer(
        diagram="\n".join(lines),
        to_play=to_play,
        winner=winner,
        winners_after=winners_after,
        raw_value=float(result.raw_value[row]),
        q=float(result.q[row, action]),
        action=action,
        is_after_pass=is_after_pass,
        plies_left=plies_left,
        num_forbidden=int(batch.banned_mask()[row].sum()),
    )


@cache
def _truth(size: int, komi: float, position: int, history: int, plies_left: int) -> tuple[int, dict[int, int]]:
    """The winner, and the winner after every legal action."""
    solved = solver(size, komi)
    after = solved.winners_after(position, history=history, plies_left=plies_left, max_steps=MAX_STEPS)
    return solved.winner(position, history=history, plies_left=plies_left, max_steps=MAX_STEPS), after


def make_config(*, seed: int = 1, overrides: list[str] | None = None) -> TrainConfig:
    """The preset go5, made smaller; `overrides` as `load_config` takes them."""
    return load_config("go5", [*SETTINGS, f"loop.seed={seed}", *(overrides or [])])


def train(config: TrainConfig) -> Run:
    """A whole run from zero; nothing is written."""
    run = Run(config)
    while run.learner.step_count < config.learner.total_steps:
        run.iterate()
    run.close()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the run (default: 1)")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the run, as for tengen train")
    parser.add_argument("--positions", type=int, default=800, help="examined (default: 800)")
    options = parser.parse_args()
    run = train(make_config(seed=options.seed, overrides=options.set))
    print(f"{run.replay.total_games} games, {run.windows_used} windows, {run.ledger['core_s']:.0f} core-seconds")
    papers = draw_papers(list(run.replay.holdout), options.positions, seed=0)
    answers = examine(run.config, run.learner.averaged, papers)
    print(f"{len(papers) - len(answers)} of {len(papers)} positions not solved")
    slices = {
        "all": answers,
        "after a pass": [answer for answer in answers if answer.is_after_pass],
        "at most 4 plies left": [answer for answer in answers if answer.plies_left <= 4],
        "superko forbids a move": [answer for answer in answers if answer.num_forbidden],
    }
    for name, part in slices.items():
        print(f"{name:24}" + "  ".join(f"{key} {value:.4g}" for key, value in figures(part).items()))
    for answer in answers:
        if not answer.is_move_right:
            print(f"\n{answer.diagram}\n{dataclasses.replace(answer, diagram='')}")


if __name__ == "__main__":
    main()
