"""How many environment steps a second self-play gets from each vector environment, on one core.

Random legal play, finished games reset at once; drawing the actions is not counted. The limit that each figure is held
against runs in the same process: for the small games a loop over single environments (what Gymnasium gives without a
native vector), for CartPole Gymnasium's own `SyncVectorEnv`, for Go the rules kernel alone (`GoBatch.play` and one
analysis), to which the environment adds observations, scores and terminal values.

Run: python benchmarks/bench_envs.py [--seconds 1.0]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from trainer.envs import make_vector
from trainer.envs.adapter import AdapterVectorEnv

GAMES = 64
CASES: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("tengen/TicTacToe-v0", {}, GAMES),
    ("tengen/ConnectFour-v0", {}, GAMES),
    ("CartPole-v1", {}, GAMES),
    ("tengen/Go-v0", {"size": 5}, 256),
    ("tengen/Go-v0", {"size": 9}, 256),
    ("tengen/Go-v0", {"size": 19}, 256),
)


def random_legal(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    return (rng.random(mask.shape) * mask).argmax(axis=1)


def steps_per_second(env: VectorEnv[Any, Any, Any], *, seconds: float, seed: int = 0) -> float:
    """Steps of single games a second of `step` and partial `reset`, after a warm-up that compiles the kernels."""
    rng = np.random.default_rng(seed)
    _, infos = env.reset(seed=seed)
    everything = np.ones((env.num_envs, int(env.single_action_space.n)), dtype=np.bool_)
    spent, steps, rounds = 0.0, 0, 0
    while spent < seconds or rounds < 20:
        actions = random_legal(infos.get("action_mask", everything), rng)
        start = time.perf_counter()
        _, _, terminated, truncated, infos = env.step(actions)
        over = terminated | truncated
        if over.any():
            _, infos = env.reset(options={"reset_mask": over})
        if rounds >= 10:
            spent += time.perf_counter() - start
            steps += env.num_envs
        rounds += 1
    return steps / spent


def kernel_steps_per_second(*, num_games: int, size: int, seconds: float, seed: int = 0) -> float:
    """The same for the rules kernel alone: play and one exact legal mask."""
    from engine.go.batch import GoBatch

    rng = np.random.default_rng(seed)
    batch = GoBatch(num_games=num_games, size=size)
    spent, steps, rounds = 0.0, 0, 0
    mask = batch.legal_mask()
    while spent < seconds or rounds < 20:
        actions = random_legal(mask, rng).astype(np.int32)
        start = time.perf_counter()
        batch.play(actions)
        if batch.finished.any():
            batch.reset(batch.finished.nonzero()[0])
        mask = batch.legal_mask()
        if rounds >= 10:
            spent += time.perf_counter() - start
            steps += num_games
        rounds += 1
    return steps / spent


def limit_of(env_id: str, kwargs: dict[str, Any], num_envs: int, *, seconds: float) -> tuple[str, float]:
    """What the figure of one case is held against: its name, and its own figure."""
    if env_id == "tengen/Go-v0":
        return "rules kernel alone", kernel_steps_per_second(num_games=num_envs, size=kwargs["size"], seconds=seconds)
    if env_id.startswith("tengen/"):
        loop = AdapterVectorEnv(lambda: gymnasium.make(env_id), num_envs=num_envs)
        return "loop over gymnasium.make", steps_per_second(loop, seconds=seconds)
    vector_kwargs = {"autoreset_mode": AutoresetMode.DISABLED}
    sync = gymnasium.make_vec(env_id, num_envs, vectorization_mode="sync", vector_kwargs=vector_kwargs)
    return "gymnasium SyncVectorEnv", steps_per_second(sync, seconds=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds for each figure")
    seconds = parser.parse_args().seconds
    print(f"{'environment':28} {'games':>5} {'steps/s':>12} {'limit/s':>12} {'ratio':>7}  limit")
    for env_id, kwargs, num_envs in CASES:
        found = steps_per_second(make_vector(env_id, num_envs, **kwargs), seconds=seconds)
        name, limit = limit_of(env_id, kwargs, num_envs, seconds=seconds)
        label = env_id + (f" {kwargs['size']}x{kwargs['size']}" if "size" in kwargs else "")
        print(f"{label:28} {num_envs:5d} {found:12,.0f} {limit:12,.0f} {found / limit:7.2f}  {name}")


if __name__ == "__main__":
    main()
