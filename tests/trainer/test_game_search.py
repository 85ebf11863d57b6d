"""Searches of games in parts by several threads."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.model.contract import RecurrentOutput, RootOutput
from engine.search.batch_search import BatchResult
from tests.trainer.test_grounded import Recorder, played_games
from trainer.config import TrainConfig, load_config
from trainer.game_search import GameSearch
from trainer.selfplay import make_env, make_roots

SETTINGS = [
    "env.size=4",
    "env.komi_low=0.5",
    "env.komi_high=0.5",
    "search.num_simulations=8",
    "search.num_considered=4",
]
GAMES = 24


class Busy(Recorder):
    """Notes the threads that ask it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def initial(self, *arguments: Any) -> RootOutput:
        self.threads.add(threading.get_ident())
        return super().initial(*arguments)

    def look(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.threads.add(threading.get_ident())
        return super().look(observations)

    def recurrent(self, *arguments: Any) -> RecurrentOutput:
        self.threads.add(threading.get_ident())
        return super().recurrent(*arguments)


def searched(config: TrainConfig, evaluator: Recorder, **options: object) -> BatchResult:
    env = make_env(config, num_envs=GAMES)
    env.reset(options={"komi": 0.5})
    env.batch = played_games(3, most=8)  # type: ignore[attr-defined]
    roots = make_roots(config, *env.observe())
    search = GameSearch(config, evaluator, num_games=GAMES, num_actions=17)
    rng = np.random.default_rng(7)
    search.run(roots, env.batch, rng=rng, **options)  # type: ignore[attr-defined,arg-type]
    return search.run(roots, env.batch, rng=rng, **options)  # type: ignore[attr-defined,arg-type]


def options_of(kind: str) -> dict[str, object]:
    rng = np.random.default_rng(0)
    return {
        "plain": {},
        "each its own": {
            "num_simulations": rng.integers(1, 9, size=GAMES),
            "gumbel_scale": (rng.random(GAMES) < 0.5).astype(np.float32),
        },
        "without noise": {"gumbel_scale": np.zeros(GAMES, np.float32)},
    }[kind]


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("kind", ["plain", "each its own", "without noise"])
def test_parts_find_what_one_search_of_all_games_finds(threads: int, kind: str) -> None:
    configs = [load_config("go5", [*SETTINGS, f"selfplay.search_threads={count}"]) for count in (1, threads)]
    evaluators = [Busy(), Busy()]
    wanted, found = (
        searched(config, evaluator, **options_of(kind)) for config, evaluator in zip(configs, evaluators, strict=True)
    )
    assert evaluators[0].threads == {threading.get_ident()}
    assert threading.get_ident() not in evaluators[1].threads
    for field in dataclasses.fields(BatchResult):
        np.testing.assert_allclose(getattr(found, field.name), getattr(wanted, field.name), atol=1e-5)
    assert len(np.unique(wanted.policy_target.round(4), axis=0)) > GAMES // 2


@pytest.mark.parametrize("setting", ["selfplay.reground_every=3", 'search.algorithm="puct"'])
def test_one_thread_searches_where_parts_would_share_states_or_noise(setting: str) -> None:
    config = load_config("go5", [*SETTINGS, "selfplay.search_threads=4", setting])
    evaluator = Busy()
    searched(config, evaluator)
    assert evaluator.threads == {threading.get_ident()}
