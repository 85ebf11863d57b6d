"""A game in a process of its own: prints the kernels that are compiled, or loaded, after the player is ready.

`python -m tests.support.warm_up_probe FOLDER`, where FOLDER holds models for the 5x5 board.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.go.rules import BLACK, WHITE
from engine.model.catalog import Catalog
from engine.model_source import CatalogModels
from engine.player import Player
from engine.search.config import SearchConfig
from engine.settings import PlayerSettings


def compiled() -> set[str]:
    """Every kernel of the engine with each of its signatures so far."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("engine.")]
    kernels = {
        kernel for module in modules for kernel in vars(module).values() if hasattr(kernel, "nopython_signatures")
    }
    return {f"{kernel.__qualname__} {signature}" for kernel in kernels for signature in kernel.signatures}


def play(player: Player) -> None:
    """Some of all that a controller may ask for."""
    player.generate(BLACK)
    player.play(WHITE, 0)
    player.undo()
    player.generate(WHITE)
    player.final_score()
    player.dead_stones()
    for color in (BLACK, WHITE):
        player.play(color, player.position.pass_action)
    player.final_score()
    player.new_game(komi=0.5)
    player.generate(BLACK)


def main(folder: str) -> None:
    """Waits for the player, plays, prints."""
    models = CatalogModels(Catalog([Path(folder)]))
    settings = PlayerSettings(
        threads=1, algorithm="puct", visits=200, max_memory_mib=16, search=SearchConfig(choice="lcb")
    )
    player = Player(models=models, settings=settings, board_size=5)
    assert player.ensure_ready(), player.ready_error
    before = compiled()
    assert before
    play(player)
    print("\n".join(sorted(compiled() - before)))
    player.close()


if __name__ == "__main__":
    main(sys.argv[1])
