"""What the cache of evaluations gains: the same searches with and without it, in turns, by processor time.

Three uses of it: a game with the tree kept from move to move, where only transpositions are known; the positions of the
same game searched one after another without a tree, as a gRPC client does that analyses a game; and those once more.
The ratio is the time without the cache to the time with it; the limit it is held against is 1: the game must not lose.
Both sides must find the same, to the last bit.

Run: python -m benchmarks.evaluation_cache [--model go9] [--visits 100 800] [--plies 30]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from engine.model.cache import EvaluationCache
from engine.model.catalog import Catalog
from engine.model_source import CatalogModels
from engine.player import Player
from engine.search.limits import Limits
from engine.search.result import SearchResult
from engine.settings import PlayerSettings


class Side:
    """A player with or without a cache, and the seconds of processor time that it has spent since the last `take`."""

    def __init__(self, name: str, size: int, cache_share: float) -> None:
        settings = PlayerSettings(
            model=name, threads=1, algorithm="puct", temperature=1.0, seed=3, resign=False, cache_share=cache_share
        )
        self.player = Player(models=CatalogModels(trusted=name), board_size=size, settings=settings)
        assert self.player.ensure_ready(), self.player.ready_error
        self.cache: EvaluationCache | None = self.player._pool._searchers[0][1].cache
        self.spent_s = 0.0

    def time(self, work: Callable[[Player], SearchResult]) -> SearchResult:
        start = time.process_time()
        result = work(self.player)
        self.spent_s += time.process_time() - start
        return result

    def take(self) -> tuple[float, float]:
        """Seconds, and the share of evaluations that were known; counts from zero again."""
        spent_s, known = self.spent_s, 0.0
        self.spent_s = 0.0
        if self.cache is not None:
            known = self.cache.hits / max(1, self.cache.lookups)
            self.cache.hits = self.cache.lookups = 0
        return spent_s, known


def run_both(sides: list[Side], work: Callable[[Player], SearchResult], *, ply: int) -> None:
    """In turns who is first. Both must find the same."""
    one, other = (side.time(work) for side in (sides if ply % 2 else sides[::-1]))
    np.testing.assert_array_equal(one.visits, other.visits)
    np.testing.assert_array_equal(one.q, other.q)


def report(label: str, sides: list[Side]) -> None:
    (without_s, _), (with_s, known) = (side.take() for side in sides)
    print(f"  {label}: {without_s / with_s:.2f} times as fast with the cache, {100 * known:.1f} % known", flush=True)


def measure(name: str, size: int, *, visits: int, plies: int) -> None:
    """Prints one line for each use."""
    limits = Limits(visits=visits)
    sides = [Side(name, size, share) for share in (0.0, PlayerSettings().cache_share)]
    for ply in range(plies):
        if sides[0].player.position.is_over:
            break
        run_both(sides, lambda player: player.generate(player.position.to_play, limits=limits).result, ply=ply)
    report("a game, tree kept", sides)
    game = sides[0].player.position
    for side in sides:
        side.player.close()
    sides = [Side(name, size, share) for share in (0.0, PlayerSettings().cache_share)]
    for label in ("its positions, no tree kept", "the same again"):
        position = game.copy()
        for _ in range(len(game.moves)):
            position.undo()
        for ply, move in enumerate(game.moves):
            run_both(sides, lambda player: player.suggest(position.copy(), limits, seed=1).wait(), ply=ply)  # noqa: B023
            position.play(move.color, move.action)
        report(label, sides)
    for side in sides:
        side.player.close()


def main() -> None:
    """Each Go model on the largest board that it was trained on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--visits", type=int, nargs="+", default=[100, 800])
    parser.add_argument("--plies", type=int, default=30)
    options = parser.parse_args()
    catalog = Catalog()
    for name in options.model or [n for n, f in catalog.models.items() if f.manifest.shape.kind == "go"]:
        size = max(catalog.resolve(name).manifest.trained_sizes)
        for visits in options.visits:
            print(f"{name} on {size}x{size}, {visits} visits a move")
            measure(name, size, visits=visits, plies=options.plies)


if __name__ == "__main__":
    main()
