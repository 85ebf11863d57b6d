"""Hidden states as half floats against float32: speed, error of what is imagined, and agreement of the chosen moves.

Positions come from games that the model plays against itself as in training. Speed is that of `OnnxEvaluator.recurrent`
at batch 1 and of self-play's batch, both sides in turns in short windows of one run, by processor time, the best window
of each; the ratio is half to float32. The error is the largest and the mean difference of value (in [-1, 1]) and policy
(sum of differences of the probabilities) after so many imagined moves, each made by the float32 side's policy.
Agreement: the same PUCT search of each position, one thread, on both sides; where they choose differently, how much
the float32 side thinks is lost by the other's choice.

Run: python -m benchmarks.half_states [--model go9] [--positions 500] [--visits 200]
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluator import best_rates
from engine.go.batch import GoBatch
from engine.model.catalog import Catalog
from engine.model.folder import LoadedModel, load_model
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.result import SearchResult
from engine.search.roots import RootBatch
from engine.search.search import Search
from trainer.diagnosis.candidate import open_candidate
from trainer.positions import Position, draw_positions, play_games, replay_to
from trainer.selfplay import roots_of

DEPTHS = (1, 2, 4, 8, 16)
BATCHES = (1, 128)
GAMES = 64


def model_positions(name: str, count: int, *, seed: int) -> list[Position]:
    """`count` positions from games of the model against itself, without repetition."""
    candidate, rng = open_candidate(name), np.random.default_rng(seed)
    evaluator = candidate.make_evaluator(
        candidate.config.env.size, GAMES * (candidate.config.search.num_simulations + 1)
    )
    games = play_games(candidate.config, evaluator, count=GAMES, rng=rng)
    return draw_positions(games, count, rng)


def make_roots(boards: GoBatch) -> list[RootBatch]:
    """Each board as a search takes it; games that are over are left out."""
    roots = roots_of(boards)
    arrays = {f.name: getattr(roots, f.name) for f in dataclasses.fields(roots) if f.name != "pass_action"}
    return [
        RootBatch(**{name: array[i : i + 1] for name, array in arrays.items()}, pass_action=boards.area)
        for i in np.flatnonzero(~boards.finished)
    ]


def compare_speed(model: LoadedModel, size: int, *, batch: int, repeat: int) -> float:
    """Evaluations per core-second of half floats, as a multiple of float32."""
    rng = np.random.default_rng(0)
    calls = []
    for halves in (False, True):
        evaluator = OnnxEvaluator.from_model(model, board_size=size, num_slots=2 * batch, halves=halves)
        parents, children = np.arange(2 * batch, dtype=np.int32).reshape(2, batch)
        evaluator.initial(rng.random((batch, *evaluator._sessions.observation_shape), dtype=np.float32), parents)
        actions = rng.integers(0, size * size + 1, batch).astype(np.int32)
        to_play = rng.choice([-1, 1], batch).astype(np.int8)
        arguments = parents, actions, to_play, children
        calls.append(lambda e=evaluator, a=arguments: e.recurrent(*a))  # type: ignore[misc]
    full, half = best_rates(calls, repeat=repeat)
    return half / full


def compare_lines(model: LoadedModel, boards: GoBatch, *, seed: int) -> None:
    """Prints how far the two sides are apart after each number of imagined moves."""
    count, rng = boards.num_games, np.random.default_rng(seed)
    slots, to_play = np.arange(count, dtype=np.int32), boards.to_play.copy()
    sides = [
        OnnxEvaluator.from_model(model, board_size=boards.size, num_slots=count, halves=halves)
        for halves in (False, True)
    ]
    logits, _ = (side.initial(boards.observe(), slots).policy_logits for side in sides)
    print("  depth  value: mean, largest  policy: mean, largest")
    for depth in range(1, DEPTHS[-1] + 1):
        actions = (logits + rng.gumbel(size=logits.shape)).argmax(1).astype(np.int32)
        full, half = (side.recurrent(slots, actions, to_play, slots) for side in sides)
        logits, to_play = full.policy_logits, -to_play
        if depth in DEPTHS:
            value = np.abs(full.value - half.value)
            policy = np.abs(softmax(full.policy_logits) - softmax(half.policy_logits)).sum(1)
            print(f"  {depth:5}  {value.mean():.1e}, {value.max():.1e}     {policy.mean():.1e}, {policy.max():.1e}")


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities [B, A]."""
    weights = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    probabilities: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return probabilities


def search_all(evaluator: OnnxEvaluator, roots: list[RootBatch], *, size: int, visits: int) -> list[SearchResult]:
    """The same search of every position, with one thread."""
    config = SearchConfig(algorithm="puct")
    search = Search(evaluator, num_actions=size * size + 1, config=config, max_nodes=visits + 1)
    return [search.start(root, Limits(visits=visits)).wait() for root in roots]


def compare_choices(full: list[SearchResult], half: list[SearchResult], roots: list[RootBatch]) -> str:
    """Share of the positions where both sides choose the same action, and what the others cost."""
    losses, surely_lost = [], 0
    for one, other, root in zip(full, half, roots, strict=True):
        if one.best_action != other.best_action:
            loss = float(root.to_play[0] * (one.q[one.best_action] - one.q[other.best_action]))
            losses.append(loss)
            surely_lost += loss > 0.05
    share = 1.0 - len(losses) / len(roots)
    values = np.abs([a.root_value - b.root_value for a, b in zip(full, half, strict=True)])
    return (
        f"same choice in {share:.1%} of {len(roots)}; the others lose {np.mean(losses or [0]):+.4f} in value by the "
        f"first side's judgement, {surely_lost} more than 0.05; root values {values.mean():.1e} apart, at most "
        f"{values.max():.1e}"
    )


def main() -> None:
    """Prints one block for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--positions", type=int, default=100)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=40, help="windows of each side")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    catalog = Catalog()
    for name in options.model or [n for n, f in catalog.models.items() if f.manifest.shape.kind == "go"]:
        model = load_model(catalog.resolve(name))
        size = max(model.manifest.trained_sizes)
        boards = replay_to(model_positions(name, options.positions, seed=options.seed), size)
        roots = make_roots(boards)
        ratios = [compare_speed(model, size, batch=batch, repeat=options.repeat) for batch in BATCHES]
        speeds = ", ".join(f"{ratio:.3f} at batch {batch}" for ratio, batch in zip(ratios, BATCHES, strict=True))
        print(f"{model.manifest.identity} on {size}x{size}\n  speed, half to float32: {speeds}")
        compare_lines(model, boards, seed=options.seed)
        results = [
            search_all(
                OnnxEvaluator.from_model(model, board_size=size, num_slots=options.visits + 1, halves=halves),
                roots,
                size=size,
                visits=options.visits,
            )
            for halves in (False, True)
        ]
        print(f"  {options.visits} visits: {compare_choices(*results, roots)}")


if __name__ == "__main__":
    main()
