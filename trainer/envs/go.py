"""Go, `tengen/Go-v0`: the rules kernel of `engine.go` as a vector environment, and one game as a plain environment.

Knows no rules: captures, legality, score and observation planes all come from `GoBatch`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InvalidConfig, InvalidInput, InvalidRules
from engine.go.batch import GoBatch
from engine.go.diagram import to_diagram
from engine.go.features import NUM_PLANES, Variant
from engine.go.kernels import NO_MOVE
from engine.go.position import Position
from engine.go.rules import BLACK, DEFAULT_RULES, WHITE, RuleSet, rules_by_name
from trainer.envs.board_game import BoardGameEnv, BoardGameVectorEnv
from trainer.envs.vector_env import Infos, State, checked_array

_KOMI_PER_UNIT = 20.0
"""Points of komi for 1.0 in the komi plane; the only plane that can leave [-1, 1]."""


class GoVectorEnv(BoardGameVectorEnv):
    """G games of Go of one size in step. Action: point = row * size + column from the top left, or pass = size * size.

    Observations float32 [G, P, size, size], the planes of `engine.go.features`. A game ends after two passes in a row
    or `max_plies` moves and is then scored by area, every stone counted as alive. The cap is part of the rules (the net
    sees the ply), so games are terminated, never truncated.

    Infos add to those of every environment here, all Black's view:
    `terminal_values` float32 [G, A], the outcome of an action that ends its game, NaN for other actions;
    `pass_pass_values` float32[G], the outcome if the game ended as it stands; `scores` float32[G], that score in
    points, komi included.
    """

    batch: GoBatch
    reset_options = frozenset({"reset_mask", "komi"})

    def __init__(
        self,
        num_envs: int = 1,
        *,
        size: int = 9,
        rules: RuleSet | str = DEFAULT_RULES,
        komi: float | ArrayLike = 7.0,
        max_plies: int | None = None,
        variant: Variant = "full",
        copy: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """`rules` may be the name of a preset. `komi` is a number or one per game [G], and what games have when `reset`
        gives no `options["komi"]`, itself a number or [G]. `max_plies` defaults to 2 * area.

        Raises `UnsupportedBoardSize`, `InvalidRules` (also for a komi beyond 2 * area) and `InvalidConfig`.
        """
        if variant not in NUM_PLANES:
            raise InvalidConfig(f"variant {variant!r} must be one of {sorted(NUM_PLANES)}")
        if max_plies is not None and max_plies < 1:
            raise InvalidConfig(f"max_plies {max_plies!r} must be at least 1")
        self.rules = rules_by_name(rules) if isinstance(rules, str) else rules
        self.variant = variant
        self.batch = GoBatch(num_games=num_envs, size=size, rules=self.rules, max_plies=max_plies)
        self.default_komi = self._checked_komi(komi, num_envs)
        self.moves = np.full((num_envs, self.batch.max_plies), NO_MOVE, dtype=np.int16)
        """[G, max_plies] the actions of each game from its start, `NO_MOVE` after the last."""
        bound = max(1.0, 2 * self.batch.area / _KOMI_PER_UNIT)
        shape = (NUM_PLANES[variant], size, size)
        space = gymnasium.spaces.Box(-bound, bound, shape=shape, dtype=np.float32)
        self._set_spaces(num_envs=num_envs, observation_space=space, num_actions=self.batch.num_actions)
        self._allocate(copy=copy, render_mode=render_mode)
        self.batch.reset(komi=self.default_komi)
        self._refresh()

    def _checked_komi(self, komi: float | ArrayLike, num_envs: int) -> NDArray[np.float32]:
        """`komi` as float32[G]; raises `InvalidRules` where it is not finite or beyond 2 * area."""
        try:
            values = np.broadcast_to(np.asarray(komi, dtype=np.float32), (num_envs,)).copy()
        except ValueError as error:
            raise InvalidRules(f"komi {komi!r} must be a number or {num_envs} numbers") from error
        if not (np.abs(values) <= 2 * self.batch.area).all():
            raise InvalidRules(f"komi {komi!r} must be within +-{2 * self.batch.area}")
        return values

    def _restart(self, games: NDArray[np.int64], options: dict[str, Any]) -> None:
        komi = self.default_komi
        if options.get("komi") is not None:
            komi = self._checked_komi(options["komi"], self.num_envs)
        self.batch.reset(games, komi=komi[games])
        self.moves[games] = NO_MOVE
        if len(games) == self.num_envs:
            self._refresh()
            return
        # The new games are looked at in a batch of their own: the others have been analysed already and did not change.
        opening = GoBatch(
            num_games=len(games),
            size=self.batch.size,
            rules=self.rules,
            komi=komi[games],
            max_plies=self.batch.max_plies,
        )
        self._observations[games] = opening.observe(variant=self.variant)
        self._action_mask[games] = opening.legal_mask()
        self._terminal_values[games] = opening.terminal_values()
        self._scores[games] = opening.area_scores()
        self._pass_pass_values[games] = np.sign(self._scores[games])

    def _play(self, actions: NDArray[np.int32], active: NDArray[np.bool_]) -> None:
        games = active.nonzero()[0]
        self.moves[games, self.batch.ply[games]] = actions[games]
        self.batch.play(actions, active)

    def _outcomes(self) -> NDArray[np.float32]:
        return self._pass_pass_values

    def _refresh(self) -> None:
        self.batch.observe(out=self._observations, variant=self.variant)
        self._action_mask[...] = self.batch.legal_mask()
        self._terminal_values = self.batch.terminal_values()
        self._scores = self.batch.area_scores()
        self._pass_pass_values = np.sign(self._scores)

    def _extra_infos(self) -> Infos:
        return {
            "terminal_values": self._terminal_values,
            "pass_pass_values": self._pass_pass_values,
            "scores": self._scores,
        }

    def position(self, game: int) -> Position:
        """One game as a `Position`, its moves replayed."""
        position = Position(size=self.batch.size, rules=self.rules, komi=float(self.batch.komi[game]))
        for ply in range(int(self.batch.ply[game])):
            position.play(BLACK if ply % 2 == 0 else WHITE, int(self.moves[game, ply]))
        return position

    def diagram(self, game: int) -> str:
        return to_diagram(self.position(game))

    def state(self) -> State:
        """Moves, komi and which games are over: boards and superko history follow from these."""
        return {
            "moves": self.moves.copy(),
            "komi": self.batch.komi.copy(),
            "finished": self.batch.finished.copy(),
        }

    def set_state(self, state: State) -> None:
        moves = checked_array(state, "moves", self.moves)
        finished = checked_array(state, "finished", self.batch.finished)
        komi = self._checked_komi(checked_array(state, "komi", self.batch.komi), self.num_envs)
        if ((moves < NO_MOVE) | (moves >= self.num_actions)).any():
            raise InvalidInput(f"state holds moves outside 0..{self.num_actions - 1}")
        self.batch.reset(komi=komi)
        self.batch.play_sequences(moves.astype(np.int32))
        self.moves[...] = moves
        # A game that an illegal action ended is over although its moves do not say so.
        self.batch.finished |= finished
        self._illegal[:] = False
        self._refresh()


class GoEnv(BoardGameEnv):
    """One game of Go: the arguments of `GoVectorEnv`, observation float32 [P, size, size].

    Info adds `score`: area score in points as the board stands, komi included, Black's view.
    """

    def __init__(
        self,
        *,
        size: int = 9,
        rules: RuleSet | str = DEFAULT_RULES,
        komi: float = 7.0,
        max_plies: int | None = None,
        variant: Variant = "full",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            GoVectorEnv(
                1, size=size, rules=rules, komi=komi, max_plies=max_plies, variant=variant, render_mode=render_mode
            )
        )

    def _info(self, infos: Infos) -> dict[str, Any]:
        return {**super()._info(infos), "score": float(infos["scores"][0])}
