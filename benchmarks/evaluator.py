"""Evaluations per core-second of `OnnxEvaluator.recurrent`, as a share of what `session.run` alone reaches.

The difference is what the pool of hidden states, the encoding of actions, the checks for NaN and the output objects
cost. Both sides take turns in short windows of one run and are timed by the processor time of this one thread, so that
other programs on the machine matter little; the best window of each counts. The stated limit is the raw rate; at least
90 % of it is expected. The weights are random: speed does not depend on them.

Run: python -m benchmarks.evaluator [--channels 32] [--repeat 40]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from engine.go.features import encode_actions
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.network import NetworkConfig, make_network
from trainer.onnx_graph import ModelBytes, OnnxExporter

SIZES = (5, 9)
BATCHES = (1, 32, 128)
NODES = 17
"""Slots a tree, as for a search of 16 simulations."""
WINDOW_S = 0.02
EXPECTED = 0.9


def best_rates(calls: list[Callable[[], object]], *, repeat: int) -> list[float]:
    """Calls per core-second of each, from the best of `repeat` windows, taken in turns."""
    rates = [0.0] * len(calls)
    counts = []
    for call in calls:
        call()
        start = time.thread_time()
        call()
        counts.append(max(1, int(WINDOW_S / (time.thread_time() - start))))
    for _ in range(repeat):
        for i, call in enumerate(calls):
            start = time.thread_time()
            for _ in range(counts[i]):
                call()
            rates[i] = max(rates[i], counts[i] / (time.thread_time() - start))
    return rates


def measure(model: ModelBytes, *, size: int, batch: int, repeat: int) -> tuple[float, float]:
    """Evaluations per core-second through the evaluator, and of the session alone."""
    rng = np.random.default_rng(0)
    evaluator = OnnxEvaluator(*model, board_size=size, num_slots=batch * NODES)
    parents = (NODES * np.arange(batch)).astype(np.int32)
    children = parents + 1
    actions = rng.integers(0, size * size + 1, batch).astype(np.int32)
    to_play = rng.choice([-1, 1], batch).astype(np.int8)
    evaluator.initial(rng.random((batch, 24, size, size), dtype=np.float32), parents)
    hidden = rng.random((batch, evaluator.shape.hidden_size, size, size), dtype=np.float32)
    planes = encode_actions(actions, to_play, size=size)
    session = evaluator._sessions.recurrent.session(batch)  # the very session, past everything that is measured
    names, inputs = ["next_hidden", "policy_logits", "value"], {"hidden": hidden, "action_planes": planes}
    through, raw = best_rates(
        [
            lambda: evaluator.recurrent(parents, actions, to_play, children),
            lambda: session.run(names, inputs),
        ],
        repeat=repeat,
    )
    return through * batch, raw * batch


def measure_known_batch(model: ModelBytes, *, size: int, repeat: int) -> float:
    """Single evaluations per core-second of a session that knows the batch to be one, as a multiple of one that does
    not."""
    evaluator = OnnxEvaluator(*model, board_size=size, num_slots=1)
    hidden = np.zeros((1, evaluator.shape.hidden_size, size, size), np.float32)
    planes = np.zeros((1, evaluator.shape.action_size, size, size), np.float32)
    names, inputs = ["next_hidden", "policy_logits", "value"], {"hidden": hidden, "action_planes": planes}
    sessions = [evaluator._sessions.recurrent.session(batch) for batch in (1, 2)]
    known, free = best_rates([lambda s=s: s.run(names, inputs) for s in sessions], repeat=repeat)  # type: ignore[misc]
    return known / free


def main() -> None:
    """Prints one line for each board size and batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=40, help="windows of each side")
    options = parser.parse_args()
    exporter = OnnxExporter(make_network(NetworkConfig(channels=options.channels)))
    start = time.thread_time()
    for _ in range(20):
        model = exporter.export()
    print(f"new weights into both graphs: {1e3 * (time.thread_time() - start) / 20:.2f} ms")
    evaluator = OnnxEvaluator(*model, board_size=9, num_slots=1)
    start = time.thread_time()
    for _ in range(5):
        evaluator.load_bytes(*model)
    print(f"sessions of new weights:      {1e3 * (time.thread_time() - start) / 5:.2f} ms")
    print(f"{'board':>6} {'batch':>6} {'evals/s':>9} {'raw':>9}  share (expected {EXPECTED:.0%})")
    for size in SIZES:
        for batch in BATCHES:
            through, raw = measure(model, size=size, batch=batch, repeat=options.repeat)
            print(f"{size:>4}x{size:<2} {batch:>5} {through:>9.0f} {raw:>9.0f}  {through / raw:.1%}")
        gain = measure_known_batch(model, size=size, repeat=options.repeat)
        print(f"{size:>4}x{size:<2} a batch that is known to be one is {gain:.2f} times as fast as a free one")


if __name__ == "__main__":
    main()
