"""Would concurrent searches gain by sharing their evaluations? Several searches at once, each evaluating alone, against
the same searches meeting for every evaluation: the last one to come evaluates for all.

First what the network alone gains by batches, evaluations per core-second as a multiple of batch 1: the limit. Then the
searches, in turns in one run, visits per second of processor time and per second: what waiting for each other and
waking each other costs is in it. Requests over gRPC come from different games, so their searches share nothing else.

Run: python -m benchmarks.batching [--model go9] [--searches 2 4] [--visits 400]
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluator import best_rates
from engine.model.catalog import Catalog
from engine.model.contract import RecurrentOutput, RootOutput
from engine.model.folder import LoadedModel, load_model
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.search import Search
from engine.speed import empty_board

BATCHES = (2, 4, 8)
REPEATS = 7
CONFIG = SearchConfig(algorithm="puct")


@dataclass
class Meeting:
    """Where the evaluations of several searches come together."""

    evaluator: OnnxEvaluator
    parties: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    requests: list[tuple[NDArray[np.int32], ...]] = field(default_factory=list)
    output: RecurrentOutput | None = None
    round: int = 0

    def recurrent(self, request: tuple[NDArray[np.int32], ...]) -> RecurrentOutput:
        """Waits until every search has asked; answers this one."""
        with self.changed:
            place, mine = len(self.requests), self.round
            self.requests.append(request)
            if len(self.requests) < self.parties:
                self.changed.wait_for(lambda: self.round != mine)
            else:
                self.meet()
            assert self.output is not None
            row = slice(place, place + 1)
            return RecurrentOutput(
                policy_logits=self.output.policy_logits[row],
                value=self.output.value[row],
                reward=self.output.reward[row],
            )

    def meet(self) -> None:
        """Evaluates what has been asked for."""
        if self.requests:
            arguments = [np.concatenate(parts) for parts in zip(*self.requests, strict=True)]
            self.output = self.evaluator.recurrent(*arguments)  # type: ignore[arg-type]
        self.requests.clear()
        self.round += 1
        self.changed.notify_all()

    def leave(self) -> None:
        """One search has ended."""
        with self.changed:
            self.parties -= 1
            if self.parties and len(self.requests) == self.parties:
                self.meet()


class Part:
    """One search's slots of a shared evaluator, alone or through a meeting."""

    def __init__(self, evaluator: OnnxEvaluator, *, first: int, num_slots: int, meeting: Meeting | None) -> None:
        self.num_slots = num_slots
        self._evaluator = evaluator
        self._first = np.int32(first)
        self._meeting = meeting

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        return self._evaluator.initial(observations, slots + self._first)

    def recurrent(self, parents, actions, to_play, children) -> RecurrentOutput:  # type: ignore[no-untyped-def]
        request = parents + self._first, actions.copy(), to_play.copy(), children + self._first
        return self._evaluator.recurrent(*request) if self._meeting is None else self._meeting.recurrent(request)


def run_searches(evaluator: OnnxEvaluator, size: int, *, count: int, visits: int, meet: bool) -> tuple[float, float]:
    """Visits of `count` searches at once, per second and per second of processor time."""
    meeting = Meeting(evaluator, count) if meet else None
    parts = [Part(evaluator, first=i * visits, num_slots=visits, meeting=meeting) for i in range(count)]
    searches = [Search(part, num_actions=size * size + 1, config=CONFIG, max_nodes=visits) for part in parts]
    root = empty_board(size)

    def search(index: int) -> None:
        searches[index].start(root, Limits(visits=visits)).wait()
        if meeting is not None:
            meeting.leave()

    threads = [threading.Thread(target=search, args=(i,)) for i in range(count)]
    start_s, start_core_s = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = count * visits
    return total / (time.perf_counter() - start_s), total / (time.process_time() - start_core_s)


def batch_gains(model: LoadedModel, size: int) -> list[float]:
    """Evaluations per core-second at each of `BATCHES`, as a multiple of batch 1."""
    calls = []
    for batch in (1, *BATCHES):
        evaluator = OnnxEvaluator.from_model(model, board_size=size, num_slots=2 * batch)
        parents, children = np.arange(2 * batch, dtype=np.int32).reshape(2, batch)
        evaluator.initial(np.zeros((batch, evaluator.shape.observation_size, size, size), np.float32), parents)
        arguments = parents, np.zeros(batch, np.int32), np.ones(batch, np.int8), children
        calls.append(lambda e=evaluator, a=arguments: e.recurrent(*a))  # type: ignore[misc]
    alone, *others = best_rates(calls, repeat=20)
    return [batch * rate / alone for batch, rate in zip(BATCHES, others, strict=True)]


def main() -> None:
    """Prints a block for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or folder; every installed Go model")
    parser.add_argument("--searches", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--visits", type=int, default=400)
    options = parser.parse_args()
    catalog, visits = Catalog(), options.visits
    for name in options.model or [n for n, f in catalog.models.items() if f.manifest.shape.kind == "go"]:
        model = load_model(catalog.resolve(name))
        size = max(model.manifest.trained_sizes)
        gains = ", ".join(f"{gain:.2f} at {b}" for b, gain in zip(BATCHES, batch_gains(model, size), strict=True))
        print(f"{name} on {size}x{size}: the network alone, as a multiple of batch 1: {gains}")
        for count in options.searches:
            evaluator = OnnxEvaluator.from_model(model, board_size=size, num_slots=count * visits)
            run_searches(evaluator, size, count=count, visits=50, meet=True)
            pairs = [
                [run_searches(evaluator, size, count=count, visits=visits, meet=meet) for meet in (False, True)]
                for _ in range(REPEATS)
            ]
            per_s, per_core_s = (statistics.median(met[i] / alone[i] for alone, met in pairs) for i in (0, 1))
            print(f"  {count} searches that meet: {per_s:.2f} of those that do not, {per_core_s:.2f} by processor time")


if __name__ == "__main__":
    main()
