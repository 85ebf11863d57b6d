"""Random finished games of Go as the replay buffer keeps them."""

from __future__ import annotations

import numpy as np

from engine.go.batch import GoBatch
from trainer.record import GameRecord, top_policy


def random_games(count: int, *, size: int, seed: int, komi: float = 0.5) -> list[GameRecord]:
    """`count` games of random legal moves with random policy targets."""
    rng = np.random.default_rng(seed)
    batch = GoBatch(num_games=count, size=size, komi=komi)
    plies: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    while not batch.finished.all():
        noise = rng.random((count, batch.num_actions)) * batch.legal_mask()
        noise[:, -1] *= 0.3
        actions = noise.argmax(1).astype(np.int32)
        for game in np.flatnonzero(~batch.finished):
            plies[game].append((int(actions[game]), int(batch.to_play[game])))
        batch.play(actions)
    scores, ownership = batch.area_scores(), batch.area_ownership()
    return [
        _record(plies[game], float(scores[game]), ownership[game].copy(), komi, batch.num_actions, rng)
        for game in range(count)
    ]


def _record(
    plies: list[tuple[int, int]],
    score: float,
    ownership: np.ndarray,
    komi: float,
    num_actions: int,
    rng: np.random.Generator,
) -> GameRecord:
    length = len(plies)
    policy = rng.random((length, num_actions)).astype(np.float32) ** 4
    policy_actions, policy_probabilities = top_policy(policy / policy.sum(1, keepdims=True))
    return GameRecord(
        actions=np.array([a for a, _ in plies], np.int16),
        to_play=np.array([c for _, c in plies], np.int8),
        rewards=np.zeros(length, np.float32),
        policy_actions=policy_actions,
        policy_probabilities=policy_probabilities,
        root_values=rng.uniform(-1, 1, length).astype(np.float32),
        surprise=rng.random(length).astype(np.float32),
        komi=komi,
        score=score,
        ownership=ownership,
    )
