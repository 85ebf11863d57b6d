"""Gymnasium environments: Go, TicTacToe, Connect Four, and the vector interface that self-play drives.

Importing this package registers the `tengen/...` ids, as Gymnasium expects of a package of environments; Gymnasium 1.x
has no plugin loader, so `gymnasium.make("trainer.envs:tengen/Go-v0")` is the one-line form that needs no import before.
No rules, numba kernel or network is loaded until an environment is made.
"""

from __future__ import annotations

from trainer.envs.registration import ENV_IDS, make_vector, register
from trainer.envs.vector_env import TrainerVectorEnv

__all__ = ["ENV_IDS", "TrainerVectorEnv", "make_vector", "register"]

register()
