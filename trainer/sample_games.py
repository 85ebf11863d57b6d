"""Self-play games as SGF, with the search's value in every comment."""

from __future__ import annotations

from pathlib import Path

from engine.go.position import Position
from engine.go.record import to_result, to_sgf
from trainer.config import TrainConfig
from trainer.record import GameRecord


def write_sample(game: GameRecord, config: TrainConfig, path: Path) -> None:
    """Writes one self-play game of Go."""
    position = Position(game.size, komi=game.komi)
    for colour, action in zip(game.to_play, game.actions, strict=True):
        position.play(int(colour), int(action))
    comments = [f"value {value:+.3f} (Black's view)" for value in game.root_values]
    names = {"black_name": config.name, "white_name": config.name}
    path.write_bytes(to_sgf(position, result=to_result(game.score), comments=comments, **names))
