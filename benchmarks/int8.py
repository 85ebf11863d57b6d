"""Evaluations per core-second of the int8 form of both graphs, as a multiple of the float32 one.

Both sides, and every batch, take turns in short windows of one run and are timed by the processor time of this one
thread; the best window of each counts. The weights and the inputs are random: speed does not depend on them. The stated
limit is 2: what instructions for 8 bits gain on convolutions alone, where AVX2 is all there is; with VNNI it is higher.

Run: python -m benchmarks.int8 [--channels 32 64] [--repeat 40]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.evaluator import best_rates
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.model.runtime import ort
from trainer.network import GoNetwork, NetworkConfig, make_network
from trainer.onnx_graph import OnnxExporter
from trainer.quantization import STEPS, Walk, quantize

SIZES = (5, 9)
BATCHES = (1, 4, 128)


def random_walk(size: int, *, positions: int = 64) -> Walk:
    """Positions that no game leads to; they do for timing."""
    rng = np.random.default_rng(0)
    return Walk(
        size=size,
        observations=rng.random((positions, 24, size, size), dtype=np.float32),
        actions=rng.integers(0, size * size + 1, (STEPS, positions)).astype(np.int32),
        to_play=rng.choice([-1, 1], positions).astype(np.int8),
    )


def main() -> None:
    """Prints one line for each network and board size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--repeat", type=int, default=40, help="windows of each side")
    options = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}")
    print(
        "channels  board  graph      float32 at batch 1  int8 to float32: "
        + "  ".join(f"batch {batch}" for batch in BATCHES)
    )
    for channels in options.channels:
        network = make_network(NetworkConfig(channels=channels)).eval()
        assert isinstance(network, GoNetwork)
        files = OnnxExporter(network).export()
        for size in SIZES:
            walk = random_walk(size)
            forms = [OnnxEvaluator(*form, board_size=size, num_slots=1)
                     for form in (files, quantize(files, network, [walk]))]  # fmt: skip
            hidden = np.random.default_rng(0).random((max(BATCHES), channels, size, size), dtype=np.float32)
            calls: dict[str, list[Callable[[], object]]] = {"initial": [], "recurrent": []}
            for batch in BATCHES:
                looks, states, planes = walk.observations[:batch], hidden[:batch], walk.planes(0)[:batch]
                for form in forms:
                    calls["initial"].append(partial(form._sessions.run_initial, looks))
                    calls["recurrent"].append(partial(form._sessions.run_recurrent, states, planes))
            for graph, runs in calls.items():
                rates = best_rates(runs, repeat=options.repeat)
                ratios = "  ".join(f"{rates[i + 1] / rates[i]:7.2f}" for i in range(0, len(rates), 2))
                print(
                    f"{channels:8}  {size}x{size:<3}  {graph:9}  {1e6 / rates[0]:15.0f} us  {'':17}{ratios}", flush=True
                )


if __name__ == "__main__":
    main()
