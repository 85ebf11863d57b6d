"""What a run can tell about itself, for manifests and model cards: counters, cost, command, learning curve.

Only what was recorded: a figure that a checkpoint does not hold is left out, never estimated.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import InvalidConfig
from trainer.checkpoint import Checkpoint
from trainer.config import PRESETS, TrainConfig, config_to_dict, load_config
from trainer.network import Network
from trainer.wording import counted

CURVE_COLUMNS: Final = {
    "games": "games",
    "positions": "positions",
    "core_hours": "core-hours",
    "gpu_hours": "GPU-hours",
    "elo": "Elo",
    "loss/policy": "policy loss",
    "loss/value": "value loss",
    "loss/reward": "reward loss",
    "loss/board": "board loss",
    "loss/ownership": "ownership loss",
    "mean_score": "mean score",
}
"""Figures of a run that the curve shows, where it has them, and their headings."""


def describe(config: TrainConfig) -> str:
    """A few words on a configuration."""
    game = f"{config.env.size}x{config.env.size} Go" if config.is_go else config.env.id
    network = config.network
    shape = f"{network.channels}/{network.representation_blocks}/{network.dynamics_blocks}"
    return f"{game}, network {shape}, {counted(config.search.num_simulations, 'simulation')}"


def training_facts(checkpoint: Checkpoint, network: Network) -> dict[str, Any]:
    """What the checkpoint knows of its run; the generators' states stay out."""
    progress, config = checkpoint.progress, checkpoint.config
    ledger = progress.get("ledger", {})
    facts: dict[str, Any] = {key: progress.get(key) for key in ("games", "positions", "windows", "step", "iteration")}
    facts |= {
        "core_hours": round(ledger["core_s"] / 3600, 3) if "core_s" in ledger else None,
        "gpu_hours": round(ledger["gpu_s"] / 3600, 3) if ledger.get("gpu_s") else None,
        "wall_hours": round(ledger["wall_s"] / 3600, 3) if "wall_s" in ledger else None,
        "seed": config.loop.seed,
        "origin": progress.get("origin") or None,
        "command": train_command(config, progress.get("origin", {})),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "config": config_to_dict(config),
    }
    return {key: value for key, value in facts.items() if value is not None}


def train_command(config: TrainConfig, origin: Iterable[str] = ()) -> str | None:
    """The command line that trains with `config`: its preset and what differs from it; None where it has no preset.

    `origin`: what the run took from another, "weights" or "games", whose folder is called RUN.
    """
    if not (PRESETS / f"{config.name}.toml").is_file():
        return None
    changed = {key: value for key, (_, value) in changed_settings(load_config(config.name), config).items()}
    return " ".join(["tengen train", config.name, *(f"--{part} RUN" for part in origin), *_set_options(changed)])


def check_same(saved: TrainConfig, config: TrainConfig, sections: tuple[str, ...]) -> None:
    """Raises `InvalidConfig` where settings of `sections` differ, without which what was saved is of no use."""
    wanted, own = (
        {key: value for key, (_, value) in changed_settings(*pair).items() if key.startswith(sections)}
        for pair in ((config, saved), (saved, config))
    )
    strange = ", ".join(key for key in own if key not in wanted)
    needs = [*_set_options(wanted), *([f"to be without {strange}"] if strange else [])]
    if needs:
        raise InvalidConfig(f"to go on with this checkpoint a run needs {' '.join(needs)}")


def _set_options(settings: Mapping[str, Any]) -> list[str]:
    """What sets them on the command line."""
    return [f"--set {shlex.quote(f'{key}={_to_toml(value)}')}" for key, value in settings.items()]


def changed_settings(before: TrainConfig, after: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Dotted names of the settings of `after` that differ from `before`, each with both values."""
    old, new = (_flat(config_to_dict(config)) for config in (before, after))
    return {key: (old.get(key), value) for key, value in new.items() if old.get(key) != value}


def _to_toml(value: Any) -> str:
    """A setting as `--set` reads it; what is None in a table keeps its default."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_to_toml(item)}" for key, item in value.items() if item is not None) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_to_toml, value))}]"
    return json.dumps(value)


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def read_curve(path: Path) -> list[dict[str, float]]:
    """The figures of a run's training.jsonl that cards show; lines that cannot be read are passed over."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            figures = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        if isinstance(figures, dict):
            rows.append({k: figures[k] for k in ("step", *CURVE_COLUMNS) if isinstance(figures.get(k), int | float)})
    return rows


def thin(rows: list[dict[str, float]], count: int) -> list[dict[str, float]]:
    """At most `count` rows, evenly spaced, the last one among them."""
    if len(rows) <= count:
        return rows
    return [rows[round((i + 1) * len(rows) / count) - 1] for i in range(count)]
