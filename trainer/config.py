"""Every setting of a training run: one frozen dataclass per component, TOML on disk, `a.b=value` as override.

A preset is a TOML file in trainer/presets; whatever it does not say keeps the default below. The whole configuration
goes into every checkpoint and manifest.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from engine.errors import InvalidConfig
from engine.go.features import Variant, variant_of
from engine.go.rules import MAX_SIZE, MIN_SIZE
from engine.search.config import SearchConfig
from trainer.network import NetworkConfig
from trainer.ranges import Count, Positive, Scale, Share, Weight
from trainer.stages import StageConfig, check_stages, with_stages

PRESETS = Path(__file__).parent / "presets"
GO_ID = "tengen/Go-v0"
"""The environment that has boards, komi and scores."""
KOMI_STEP = 0.5
"""Komi is drawn in steps of so many points."""


def komi_steps(low: float, high: float) -> range:
    """Every komi from `low` to `high` that may be drawn, in units of `KOMI_STEP`; may be empty."""
    return range(math.ceil(low / KOMI_STEP), math.floor(high / KOMI_STEP) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """A smaller board that is learned besides; Go only."""

    size: Annotated[int, Meta(ge=MIN_SIZE, le=MAX_SIZE)]
    """Board size."""
    komi_low: float
    """See `EnvConfig.komi_low`."""
    komi_high: float
    """See `EnvConfig.komi_low`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvConfig:
    """The game that is learned."""

    id: str = "tengen/Go-v0"
    """Any Gymnasium id with a discrete action space."""
    size: Annotated[int, Meta(ge=MIN_SIZE, le=MAX_SIZE)] = 9
    """Board size; Go only."""
    komi_low: float = 7.0
    """Go: komi of each game is one of the half and whole points from `komi_low` to `komi_high`, evenly drawn."""
    komi_high: float = 7.0
    """See `komi_low`."""
    smaller: tuple[BoardConfig, ...] = ()
    """Go: boards that are learned besides."""
    stages: tuple[StageConfig, ...] = ()
    """Go: how many positions are played on which board, one stage after another; none: all on the board of `size`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfPlayConfig:
    """How games are made."""

    num_games: Positive = 256
    """Games played in step, by each actor."""
    search_threads: Positive = 1
    """Threads of each actor that search, a part of the games each, so that the network need not wait for the trees: for
    accelerators. Where positions are imagined (`reground_every` is not 1) or the search is "puct", there is one."""
    sampled_plies: Weight = 0.05
    """Moves are drawn from the search's policy over this many plies; for Go, over this share of the area."""
    random_opening_share: Share = 0.25
    """Share of games that begin with random legal moves."""
    random_opening_plies: Positive = 4
    """Such a game begins with 1 to this many random plies."""
    first_simulations: Count = 0
    """Simulations a move at the start of the run, from where they grow evenly to `search.num_simulations` at its end
    (progressive simulation, MiniZero); 0: always `search.num_simulations`."""
    quick_share: Share = 0.0
    """Share of moves, drawn anew for each, that get only `quick_simulations`, no Gumbel noise, and whose policy is not
    learned: more games for the value in the same time (playout cap randomisation, KataGo)."""
    quick_simulations: Count = 8
    """See `quick_share`."""
    decided_value: Weight = 0.95
    """Searches get only `decided_simulations` once |value| stayed above this for three plies, of the same sign; above 1
    means never."""
    decided_simulations: Count = 8
    """See `decided_value`."""
    reground_every: Count = 0
    """Go: plies of a search between looks at the real board, which stands beside every node; legal moves and outcomes
    are then exact too. 1: every position is seen and none imagined (AlphaZero); 0: no boards, only imagination."""
    precision: Literal["float32", "int8"] = "float32"
    """Go: what the networks of self-play compute in on a CPU; see `trainer.quantization`. On an accelerator it is
    `learner.precision`."""
    temperature: Scale = 1.0
    """Exponent 1 / temperature on that policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """What is remembered and how it is drawn."""

    window_scale: Scale = 50_000
    """Positions c of KataGo's power-law window c (1 + b ((N/c)^a - 1) / a), N = positions made so far."""
    window_exponent: Scale = 0.75
    """a of the power law."""
    window_slope: Weight = 0.4
    """b of the power law."""
    windows_per_position: Scale = 1.2
    """Training windows drawn for every new position."""
    adopted_windows: Scale = 3.0
    """Training windows drawn for every position of another run's games that a run begins with."""
    warmup_positions: Count = 10_000
    """No learning before this many positions exist."""
    surprise_weight: Share = 0.5
    """Share of the sampling weight that follows KL(search policy || prior) of the position, within its game."""
    reanalyze_share: Weight = 0.0
    """Go: old positions searched again with the newest network, for every new position; 0 for none."""
    holdout_every: Count = 50
    """Every so many games one is kept for evaluation and never learned from; 0 for none, not 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerConfig:
    """Optimisation and loss weights."""

    batch_size: Positive = 256
    """Windows a step."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What representation and dynamics compute in; heads, losses and weights stay float32. "bfloat16" is for GPUs: on a
    CPU with AVX-512 BF16 it saved 13 % of a step."""
    unroll_steps: Positive = 5
    """K: imagined steps a window."""
    unrolled_share: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    """Share of windows that are unrolled. The others are a fifth of the work, and teach only what the network sees in
    real positions: all that self-play and play use where they look at every position (`reground_every = 1`)."""
    total_steps: Positive = 2_500
    """Length of the run in optimiser steps; the learning-rate schedule ends here."""
    learning_rate: Scale = 1e-3
    """Peak rate of AdamW."""
    warmup_steps: Count = 200
    """Linear warm-up."""
    weight_decay: Weight = 1e-4
    """On weights only, not on biases."""
    clip_norm: Scale = 5.0
    """Gradient norm bound."""
    ema_decay: Share = 0.999
    """Decay of the averaged weights that self-play, evaluation and export use."""
    policy_weight: Weight = 1.0
    """Cross-entropy of the policy against the search's improved policy."""
    value_weight: Weight = 1.0
    """Cross-entropy of the value distribution."""
    reward_weight: Weight = 1.0
    """Cross-entropy of the reward distribution."""
    score_weight: Weight = 0.02
    """Huber loss of the score in points, linear beyond 10 points, divided by 10."""
    ownership_weight: Weight = 1.5
    """Squared error of ownership, mean over points."""
    board_weight: Weight = 0.5
    """Board reconstruction, mean over points."""
    legal_weight: Weight = 0.25
    """Legality, mean over points."""
    terminal_weight: Weight = 0.1
    """End of the game."""
    consistency_weight: Weight = 1.0
    """1 - cosine between projected imagined states and representations of the real positions."""
    consistency_steps: Count = 2
    """Unrolled states, drawn at random for each batch, that get a consistency loss."""
    branch_share: Share = 0.1
    """Share of windows that leave their game by random legal moves and then train only what the rules teach."""
    value_target: Literal["outcome", "n_step"] = "outcome"
    """"outcome" (the final result, board games) or "n_step" (bootstrapped rewards)."""
    td_steps: Positive = 10
    """n of the n-step value."""
    symmetries: bool = True
    """Go: train on the 8 symmetries and the colour swap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """The rhythm of a run."""

    plies_per_iteration: Positive = 8_192
    """Positions made by self-play between two phases of learning."""
    checkpoint_minutes: Weight = 5.0
    """Wall minutes between checkpoints."""
    rate_every: Count = 50
    """Iterations between paired matches of the network, on the largest board of its stage, two-player games only; 0 for
    none. The opponent is the network that began the stage where that has a gate, and the one of the last such match
    where it has none."""
    rating_pairs: Positive = 64
    """Pairs of games of such a match."""
    seed: Count = 1
    """Seed of every random choice."""
    actors: Count = 0
    """Processes that play while this one learns, each with `selfplay.num_games` games; 0: this process does both, in
    turn."""
    threads: Positive = 1
    """Threads of torch and of ONNX Runtime, in each process."""
    sample_sgf_every: Count = 20
    """Iterations between sampled games written as SGF; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A whole run."""

    name: str = "run"
    """Name of the model that comes out."""
    env: EnvConfig = field(default_factory=EnvConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    selfplay: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Raises `InvalidConfig` for settings that contradict each other."""
        for board in (self.env, *self.env.smaller):
            low, high = board.komi_low, board.komi_high
            if not komi_steps(low, high):
                raise InvalidConfig(f"no komi in steps of {KOMI_STEP} from komi_low = {low} to komi_high = {high}")
            if self.is_go and max(-low, high) > 2 * board.size**2:
                raise InvalidConfig(f"komi from {low} to {high} is beyond twice the area of the board")
        sizes = [board.size for board in self.env.smaller]
        if (sizes or self.env.stages) and not self.is_go:
            raise InvalidConfig("env.smaller and env.stages are for Go")
        if len({*sizes, self.env.size}) <= len(sizes) or max(sizes, default=0) > self.env.size:
            raise InvalidConfig(f"env.smaller has sizes {sizes}: expected different ones below {self.env.size}")
        if sizes and not self.env.stages:
            raise InvalidConfig("env.smaller needs env.stages: which share of the positions is played on which board?")
        check_stages(self.stages, [self.env.size, *sizes])
        if not (self.search.two_player and self.loop.rate_every) and any(stage.gate for stage in self.stages):
            raise InvalidConfig("env.stages: a gate needs a game of two players, and loop.rate_every above 0")
        if self.replay.holdout_every == 1:
            raise InvalidConfig("replay.holdout_every = 1 would keep every game from being learned")
        if self.is_go:
            variant_of(self.network.observation_size)  # raises where there is none
        if self.is_go and self.network.reward is not None:
            raise InvalidConfig('network.reward needs network.kind = "vector": Go pays at the end only')
        if self.replay.reanalyze_share and (not self.is_go or self.env.smaller):
            raise InvalidConfig("replay.reanalyze_share is for Go on one board size")
        if self.selfplay.reground_every and not self.is_go:
            raise InvalidConfig("selfplay.reground_every is for Go: no other environment has boards beside the search")
        if self.selfplay.precision == "int8" and not self.is_go:
            raise InvalidConfig('selfplay.precision = "int8" is for Go: other networks are too small to gain by it')
        if self.selfplay.first_simulations > self.search.num_simulations:
            raise InvalidConfig("selfplay.first_simulations is more than search.num_simulations, to which it grows")
        if (self.learner.value_target == "n_step") != (self.network.reward is not None):
            raise InvalidConfig('learner.value_target = "n_step" and network.reward go together: one adds up the other')
        value = self.network.value
        if self.search.value_transform == "fixed" and (value.low < -1.0 or value.high > 1.0):
            raise InvalidConfig('values outside [-1, 1] need search.value_transform = "minmax"')

    @property
    def is_go(self) -> bool:
        """Whether the game is Go, with boards, ownership and scores."""
        return self.network.kind == "go"

    @property
    def variant(self) -> Variant:
        """Go: the planes that the network sees, known by their number."""
        return variant_of(self.network.observation_size)

    @property
    def num_actions(self) -> int:
        """Actions of the game, on the board of `env.size`."""
        return self.env.size**2 + 1 if self.is_go else self.network.num_actions

    @property
    def boards(self) -> tuple[TrainConfig, ...]:
        """A configuration of one board each, that of `env.size` first."""
        alone = dataclasses.replace(self.env, smaller=(), stages=())
        envs = [alone]
        for board in self.env.smaller:
            komi = {"komi_low": board.komi_low, "komi_high": board.komi_high}
            envs.append(dataclasses.replace(alone, size=board.size, **komi))
        return tuple(dataclasses.replace(self, env=env) for env in envs)

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """The stages of the run, one at least."""
        return self.env.stages or (StageConfig(shares={self.env.size: 1.0}),)


def load_config(preset: str | Path, overrides: Sequence[str] | None = None) -> TrainConfig:
    """Reads a preset by name or a TOML file by path, then applies overrides such as `learner.batch_size=128`.

    `base = "NAME"` in a file takes everything that it does not say from that preset. Raises `InvalidConfig` for an
    unknown preset, an unknown key, and a value of the wrong type or out of range.
    """
    return _changed(_read(preset), overrides or [])


def _read(preset: str | Path) -> dict[str, Any]:
    """What the file says, and its base."""
    path = Path(preset) if str(preset).endswith(".toml") else PRESETS / f"{preset}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise InvalidConfig(f"no preset {str(preset)!r}; presets are: {known}; or give the path of a .toml file")
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: neither text nor TOML
        raise InvalidConfig(f"{path}: {error}") from error
    base = data.pop("base", None)
    if base is None:
        return data
    begun = _read(Path(str(base)).stem)
    begun.pop("name", None)
    return _merged(begun, data)


def _merged(base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """`base`, but for what `data` says, table by table."""
    tables = {key for key in base.keys() & data.keys() if isinstance(base[key], dict) and isinstance(data[key], dict)}
    return base | data | {key: _merged(base[key], data[key]) for key in tables}


def change_config(config: TrainConfig, overrides: Sequence[str]) -> TrainConfig:
    """`config` but for what `overrides` such as `learner.batch_size=128` say; raises as `load_config` does."""
    return _changed(config_to_dict(config), overrides)


def _changed(data: dict[str, Any], overrides: Sequence[str]) -> TrainConfig:
    for override in overrides:
        _apply(data, override)
    _check_keys(with_stages(data), TrainConfig, prefix="")
    return config_from_dict(data)


def config_from_dict(data: dict[str, Any]) -> TrainConfig:
    """The inverse of `config_to_dict`, which may be of another version: settings that this one does not have are passed
    over. Raises `InvalidConfig` for a value of the wrong type or out of range."""
    try:
        return msgspec.convert(with_stages(data), TrainConfig, str_keys=True)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"configuration: {error}") from error


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Plain dictionaries, fit for JSON and TOML."""
    plain: dict[str, Any] = msgspec.to_builtins(config, str_keys=True)
    return plain


def _apply(data: dict[str, Any], override: str) -> None:
    """Sets one dotted key; the value is read as TOML, and as a plain string where that fails."""
    key, separator, text = override.partition("=")
    if not separator:
        raise InvalidConfig(f"override {override!r}: expected key.sub=value")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        data = data[section]
        if not isinstance(data, dict):
            raise InvalidConfig(f"override {override!r}: cannot set a part of {section!r}, which is a plain value")
    data[last] = value


def _check_keys(data: dict[str, Any], kind: type, *, prefix: str) -> None:
    """Refuses keys that no dataclass field has, so that a typing error never passes silently."""
    hints = get_type_hints(kind)
    for key, value in data.items():
        if key not in hints:
            raise InvalidConfig(f"unknown setting {prefix + key!r}; known here: {', '.join(hints)}")
        alternatives = [hints[key], *get_args(hints[key])]  # X, X | None, or tuple[X, ...]
        parts = [alternative for alternative in alternatives if dataclasses.is_dataclass(alternative)]
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, dict) and parts:
                _check_keys(item, parts[0], prefix=f"{prefix}{key}.")
