"""Rule sets, their names and the handicap compensation."""

from __future__ import annotations

import pytest

from engine.errors import InvalidRules, UnsupportedBoardSize
from engine.go.rules import (
    DEFAULT_RULES,
    MAX_SIZE,
    MIN_SIZE,
    RULE_PRESETS,
    KoRule,
    RuleSet,
    Scoring,
    check_size,
    rules_by_name,
)


@pytest.mark.parametrize(
    ("name", "ko", "scoring", "suicide", "bonus"),
    [
        ("tromp-taylor", KoRule.POSITIONAL, Scoring.AREA, True, "0"),
        ("cgos", KoRule.POSITIONAL, Scoring.AREA, False, "0"),
        ("chinese", KoRule.POSITIONAL, Scoring.AREA, False, "N"),
        ("japanese", KoRule.SIMPLE, Scoring.TERRITORY, False, "0"),
        ("korean", KoRule.SIMPLE, Scoring.TERRITORY, False, "0"),
        ("aga", KoRule.SITUATIONAL, Scoring.AREA, False, "N-1"),
        ("New_Zealand", KoRule.SITUATIONAL, Scoring.AREA, True, "0"),
        (" Tromp Taylor ", KoRule.POSITIONAL, Scoring.AREA, True, "0"),
    ],
)
def test_preset(name: str, ko: KoRule, scoring: Scoring, suicide: bool, bonus: str) -> None:
    rules = rules_by_name(name)
    assert (rules.ko, rules.scoring, rules.suicide, rules.handicap_bonus) == (ko, scoring, suicide, bonus)


def test_the_default_is_what_the_models_are_trained_on() -> None:
    expected = RuleSet(ko=KoRule.POSITIONAL, scoring=Scoring.AREA, suicide=False, handicap_bonus="0")
    assert expected == DEFAULT_RULES


def test_unknown_names_are_quoted_and_the_known_ones_listed() -> None:
    with pytest.raises(InvalidRules, match="'calvinball'") as caught:
        rules_by_name("calvinball")
    assert all(name in str(caught.value) for name in RULE_PRESETS)


@pytest.mark.parametrize("field", [{"ko": 3}, {"scoring": 2}, {"handicap_bonus": "N+1"}])
def test_values_outside_the_enumerations_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(InvalidRules, match="unknown"):
        RuleSet(**field)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bonus", "scoring", "stones", "points"),
    [
        ("0", Scoring.AREA, 4, 0),
        ("N", Scoring.AREA, 4, 4),
        ("N-1", Scoring.AREA, 4, 3),
        ("N", Scoring.AREA, 2, 2),
        ("N-1", Scoring.AREA, 2, 1),
        ("N", Scoring.AREA, 1, 0),
        ("N", Scoring.AREA, 0, 0),
        ("N", Scoring.TERRITORY, 4, 0),
    ],
)
def test_handicap_compensation(bonus: str, scoring: Scoring, stones: int, points: int) -> None:
    rules = RuleSet(handicap_bonus=bonus, scoring=scoring)  # type: ignore[arg-type]
    assert rules.handicap_compensation(stones) == points


@pytest.mark.parametrize("size", [-1, 0, 1, 26, 1000])
def test_sizes_without_rules_are_refused(size: int) -> None:
    with pytest.raises(UnsupportedBoardSize, match=str(size)):
        check_size(size)


def test_every_size_with_rules_is_accepted() -> None:
    assert [check_size(size) for size in range(MIN_SIZE, MAX_SIZE + 1)] == list(range(2, 26))
