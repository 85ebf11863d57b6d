"""What a cache of root evaluations could gain, at most: searches of positions that are all in it, against the same
searches without it.

Only real positions have a key; imagined states belong to one tree. The cache that is tried here is the fastest there
can be: keyed by the bytes of the observation, never full, shared with nobody. Both sides take turns over the same
positions, by processor time of the process; the ratio is searches with to searches without, and the limit it is held
against is 1.1: less than a tenth gained would not pay for the memory and the invalidation.

Run: python -m benchmarks.root_cache [--model go9] [--positions 100] [--visits 1 16 100]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.half_states import make_roots, model_positions
from engine.model.catalog import Catalog
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.folder import load_model
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.search import Search
from trainer.diagnosis.positions import replay_to

REPEATS = 5


class RememberingEvaluator:
    """An evaluator that has seen every root before."""

    def __init__(self, evaluator: OnnxEvaluator) -> None:
        self.num_slots = evaluator.num_slots
        self._evaluator = evaluator
        self._known: dict[bytes, tuple[RootOutput, NDArray[np.float32]]] = {}

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        key, pool = observations.tobytes(), self._evaluator._pool
        if key not in self._known:
            self._known[key] = self._evaluator.initial(observations, slots), pool.gather(slots).copy()
        output, hidden = self._known[key]
        pool.store(slots, hidden, output.policy_logits, output.value)
        return output

    def recurrent(self, *arguments: NDArray[np.int32]) -> RecurrentOutput:
        return self._evaluator.recurrent(*arguments)  # type: ignore[arg-type]


def main() -> None:
    """Prints one line for each model and number of visits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--positions", type=int, default=100)
    parser.add_argument("--visits", type=int, nargs="+", default=[1, 16, 100])
    options = parser.parse_args()
    catalog = Catalog()
    for name in options.model or [n for n, f in catalog.models.items() if f.manifest.shape.kind == "go"]:
        model = load_model(catalog.resolve(name))
        size = max(model.manifest.trained_sizes)
        roots = make_roots(replay_to(model_positions(name, options.positions, seed=1), size))
        evaluator = OnnxEvaluator(model, board_size=size, num_slots=max(options.visits) + 1)
        config = SearchConfig(algorithm="puct")
        searches = [
            Search(e, num_actions=size * size + 1, config=config, max_nodes=e.num_slots)
            for e in (evaluator, RememberingEvaluator(evaluator))
        ]
        for visits in options.visits:
            spent = [[0.0] * len(roots) for _ in searches]
            for repeat in range(REPEATS + 1):
                for i, root in enumerate(roots):
                    for side, search in enumerate(searches):
                        start = time.process_time()
                        search.start(root, Limits(visits=visits)).wait()
                        taken = time.process_time() - start
                        spent[side][i] = taken if repeat == 0 else min(spent[side][i], taken)
            without, cached = (sum(times) for times in spent)
            # The first look of the remembering side is a miss, and never its best time.
            print(
                f"{name} on {size}x{size}, {visits} visits: {1e6 * without / len(roots):.0f} us a search, with every "
                f"root in a cache {without / cached:.2f} times as many"
            )


if __name__ == "__main__":
    main()
