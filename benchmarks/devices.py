"""The installed devices against the CPU of the same ONNX Runtime: speed of single evaluations, and what they answer.

`--callers` threads evaluate initial.onnx at batch 1, as the threads of a search do. All devices take turns in short
slices of one run; counted is the processor time of the whole process, which is what a device costs that computes on the
same cores, so the ratio means nothing for a device with processors of its own. The stated limit is the CPU provider.
Differences are the largest over positions of random games and four imagined moves, absolute up to 1 and relative above.

Run: python -m benchmarks.devices [--device openvino] [--model go9] [--callers 1 2]
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np

from engine.model.catalog import Catalog
from engine.model.folder import LoadedModel, load_model
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.model.runtime import PROVIDERS, ort
from engine.speed import bare_graph, rate_of, run_bare

SLICES = 9
SLICE_S = 0.2
STEPS = 4
POSITIONS = 8


def walk(evaluator: OnnxEvaluator, size: int) -> list[np.ndarray]:
    """What a device says of some inputs, and of four moves imagined after each."""
    rng = np.random.default_rng(0)
    outputs = []
    for row in range(POSITIONS):
        slots = np.array([row], np.int32)
        observation = rng.integers(0, 2, (1, evaluator.shape.observation_size, size, size)).astype(np.float32)
        root = evaluator.initial(observation, slots)
        outputs += [root.policy_logits, root.value]
        for _ in range(STEPS):
            action = rng.integers(0, size * size + 1, 1).astype(np.int32)
            step = evaluator.recurrent(slots, action, np.ones(1, np.int8), slots)
            outputs += [step.policy_logits, step.value]
    return outputs


def compare(model: LoadedModel, devices: list[str], *, callers: int) -> None:
    """Prints one line for each device."""
    size = max(model.manifest.trained_sizes)
    evaluators = [
        OnnxEvaluator.from_model(
            model, board_size=size, num_slots=POSITIONS, device=device, callers=callers, halves=False
        )
        for device in ("cpu", *devices)
    ]
    expected, *found = (walk(evaluator, size) for evaluator in evaluators)
    graphs = [
        bare_graph(model, size=size, looks=True, batch=1, device=device, threads=callers)
        for device in ("cpu", *devices)
    ]
    rates: list[list[float]] = [[] for _ in graphs]
    for _ in range(SLICES):
        for rate, bare in zip(rates, graphs, strict=True):
            rate.append(rate_of(lambda bare=bare: run_bare(bare, callers, SLICE_S))[1])  # type: ignore[misc]
    for device, outputs, rate in zip(devices, found, rates[1:], strict=True):
        ratio = statistics.median(other / cpu for other, cpu in zip(rate, rates[0], strict=True))
        apart = max((np.abs(a - b) / np.maximum(1.0, np.abs(a))).max() for a, b in zip(expected, outputs, strict=True))
        print(
            f"{model.manifest.name} on {size}x{size}, {callers} callers: {device} {ratio:.2f} of cpu "
            f"({statistics.median(rates[0]):.0f} evaluations a core-second), outputs at most {apart:.1e} apart"
        )


def main() -> None:
    """Prints a block for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", help="all that are installed")
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    installed = [d for d, (p, _) in PROVIDERS.items() if d != "cpu" and p in ort.get_available_providers()]
    devices, catalog = options.device or installed, Catalog()
    print(f"ONNX Runtime {ort.__version__}, devices: {', '.join(['cpu', *devices])}")
    if devices:
        for name in options.model or [n for n, f in catalog.models.items() if f.manifest.shape.kind == "go"]:
            for callers in options.callers:
                compare(load_model(catalog.resolve(name)), devices, callers=callers)


if __name__ == "__main__":
    main()
