"""The rules of a game as data: colours, ko rule, scoring, suicide, handicap compensation, and the named presets.

Knows no board. What the rules mean on a board is in `kernels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from engine.errors import InvalidRules, UnsupportedBoardSize

EMPTY: Final = 0
BLACK: Final = 1
WHITE: Final = -1

MIN_SIZE: Final = 2
MAX_SIZE: Final = 25

HandicapBonus = Literal["0", "N", "N-1"]


class KoRule(IntEnum):
    """Which earlier positions a stone may not bring back. A pass is never banned."""

    SIMPLE = 0
    """The position before the opponent's last move: the classic ko, and nothing else."""
    POSITIONAL = 1
    """Any earlier position of the game."""
    SITUATIONAL = 2
    """Any earlier position of the game with the same player to move."""


class Scoring(IntEnum):
    """How the final position is counted."""

    AREA = 0
    """Stones on the board plus the empty points that only one colour reaches."""
    TERRITORY = 1
    """Surrounded empty points plus prisoners and dead stones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of one game; komi and board size are the game's, not the rules'."""

    ko: KoRule = KoRule.POSITIONAL
    """Which repetitions are banned."""
    scoring: Scoring = Scoring.AREA
    """How the end is counted."""
    suicide: bool = False
    """Whether a move may leave its own chain without liberties (the chain is removed)."""
    handicap_bonus: HandicapBonus = "0"
    """What White receives for N >= 2 handicap stones under area scoring: nothing, N or N-1 points."""

    def __post_init__(self) -> None:
        """Raises `InvalidRules` when a field is not one of its values."""
        if self.ko not in tuple(KoRule) or self.scoring not in tuple(Scoring):
            raise InvalidRules(f"unknown ko rule {self.ko!r} or scoring {self.scoring!r}")
        if self.handicap_bonus not in ("0", "N", "N-1"):
            raise InvalidRules(f"unknown handicap bonus {self.handicap_bonus!r}: expected '0', 'N' or 'N-1'")

    def handicap_compensation(self, num_stones: int) -> int:
        """Points that White receives for `num_stones` handicap stones.

        A single stone is no handicap: Black moved first. Territory rules pay nothing: a stone is no point there.
        """
        if num_stones < 2 or self.handicap_bonus == "0" or self.scoring == Scoring.TERRITORY:
            return 0
        return num_stones if self.handicap_bonus == "N" else num_stones - 1


_CHINESE = RuleSet(ko=KoRule.POSITIONAL, handicap_bonus="N")
_JAPANESE = RuleSet(ko=KoRule.SIMPLE, scoring=Scoring.TERRITORY)
_AGA = RuleSet(ko=KoRule.SITUATIONAL, handicap_bonus="N-1")

RULE_PRESETS: Final[dict[str, RuleSet]] = {
    "tromp-taylor": RuleSet(ko=KoRule.POSITIONAL, suicide=True),
    "cgos": RuleSet(ko=KoRule.POSITIONAL),
    "chinese": _CHINESE,
    "chinese-kgs": _CHINESE,
    "chinese-ogs": _CHINESE,
    "japanese": _JAPANESE,
    "korean": _JAPANESE,
    "aga": _AGA,
    "bga": _AGA,
    "new-zealand": RuleSet(ko=KoRule.SITUATIONAL, suicide=True),
}
"""Rules by name; names are lower case with hyphens."""

DEFAULT_RULES: Final = RULE_PRESETS["cgos"]
"""Area score, positional superko, no suicide: what the models are trained on."""


def rules_by_name(name: str) -> RuleSet:
    """The preset called `name`; case, spaces and underscores do not matter. Raises `InvalidRules`."""
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key not in RULE_PRESETS:
        raise InvalidRules(f"unknown rules {name!r}: expected one of {', '.join(sorted(RULE_PRESETS))}")
    return RULE_PRESETS[key]


def check_size(size: int) -> int:
    """`size` if the rules can be played on it, else raises `UnsupportedBoardSize`."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UnsupportedBoardSize(f"board size {size} is not in {MIN_SIZE}..{MAX_SIZE}")
    return int(size)


def opponent(color: int) -> int:
    """The other colour of `BLACK` and `WHITE`."""
    return -color
