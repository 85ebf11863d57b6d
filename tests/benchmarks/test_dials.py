"""The match between two settings: how they are spelt, the figures of pairs, and games that repeat."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dials import Game, Opening, Side, Tally, draw_opening, main, parse_settings, play_game, trained_komi
from engine.errors import InvalidConfig
from engine.go.rules import BLACK, WHITE
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.settings import PlayerSettings
from tests.support.tiny_models import tiny_manifest, write_tiny_model

SIZE = 3


def game(winner: int) -> Game:
    return Game(winner=winner, is_cut=False, num_plies=10)


def make_side(tmp_path: Path) -> Side:
    folder = tmp_path / "tiny"
    if not folder.exists():
        write_tiny_model(tmp_path, "tiny", trained=(SIZE,))
    return Side(str(folder), parse_settings(["max_memory_mib=16"], threads=1), size=SIZE, clock=lambda: 0.0)


def test_settings_are_fields_of_either_kind() -> None:
    words = ["algorithm=puct", "ponder=true", "c_puct_init=0.6", "choice=lcb"]
    assert parse_settings(words, threads=2) == PlayerSettings(
        threads=2,
        resign=False,
        algorithm="puct",
        ponder=True,
        search=SearchConfig(c_puct_init=0.6, choice="lcb"),
    )
    for wrong in ("c_puct_init", "speed=3", "search=1"):
        with pytest.raises(InvalidConfig, match=wrong):
            parse_settings([wrong], threads=1)


def test_points_are_those_of_the_first_side_and_the_interval_is_that_of_pairs() -> None:
    tally = Tally()
    for black, white in [(BLACK, WHITE), (BLACK, BLACK), (0, WHITE), (WHITE, BLACK)]:
        tally.add({BLACK: game(black), WHITE: game(white)})
    assert tally.pairs == [1.0, 0.5, 0.75, 0.0]
    facts = tally.summary()
    assert (facts["wins"], facts["draws"], facts["losses"]) == (4, 1, 3)
    assert (facts["share"], facts["share_as_black"], facts["share_as_white"]) == (0.5625, 0.625, 0.5)
    half = 1.959964 * np.std(tally.pairs, ddof=1) / 2
    assert facts["interval_95"] == pytest.approx([0.5625 - half, 0.5625 + half], abs=1e-4)


def test_a_lost_match_is_seen() -> None:
    tally = Tally()
    for _ in range(20):
        assert not tally.is_lost
        tally.add({BLACK: game(WHITE), WHITE: game(BLACK)})
    assert tally.is_lost


def test_komi_is_what_the_model_learned_on_that_board() -> None:
    def komi(size: int, **training: object) -> tuple[float, float]:
        return trained_komi(dataclasses.replace(tiny_manifest("tiny", (b"", b"")), training=training), size)

    env = {"size": 9, "komi_low": 5.5, "komi_high": 8.5, "smaller": [{"size": 5, "komi_low": 14.5, "komi_high": 25.5}]}
    assert komi(9, config={"env": env}) == (5.5, 8.5)
    assert komi(5, config={"env": env}) == (14.5, 25.5)
    for size, training in ((7, {"config": {"env": env}}), (9, {})):
        with pytest.raises(InvalidConfig, match=rf"{size}x{size}: give --komi LOW HIGH"):
            komi(size, **training)


def test_openings_are_legal_and_their_komi_is_in_the_range(tmp_path: Path) -> None:
    side, rng = make_side(tmp_path), np.random.default_rng(3)
    openings = [draw_opening(side, size=SIZE, komi=(0.5, 2.5), rng=rng) for _ in range(6)]
    assert all(2 <= len(set(opening.actions)) == len(opening.actions) <= 6 for opening in openings)
    assert {opening.komi for opening in openings} <= {0.5, 1.5, 2.5}
    assert len(set(openings)) > 3


def test_a_game_ends_early_where_both_sides_are_sure(tmp_path: Path) -> None:
    black, white = make_side(tmp_path), make_side(tmp_path)
    opening = Opening(actions=(4,), komi=0.5)
    whole = play_game(black, white, opening, Limits(visits=4), size=SIZE, decided=2.0)
    cut = play_game(black, white, opening, Limits(visits=4), size=SIZE, decided=0.0)
    assert not whole.is_cut
    assert cut.is_cut
    assert 7 <= cut.num_plies < whole.num_plies <= 2 * SIZE**2


def test_a_match_of_visits_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_model(tmp_path, "tiny", trained=(SIZE,))
    model = [
        "--model",
        str(tmp_path / "tiny"),
        "--komi",
        "0.5",
        "0.5",
        "--json",
        str(tmp_path / "new" / "figures.json"),
    ]
    for _ in range(2):
        assert main([*model, "--a", "algorithm=gumbel", "--games", "4", "--visits", "4"]) == 0
    first, second = map(json.loads, (tmp_path / "new" / "figures.json").read_text().splitlines())
    assert first["games"] == first["wins"] + first["draws"] + first["losses"] == 4
    assert first["visits_mean"][0] > 1
    assert {**first, "seconds_mean": []} == {**second, "seconds_mean": []}
    assert "share" in capsys.readouterr().out
    assert main([*model, "--a", "visits=1", "--games", "2", "--visits", "8"]) == 0
    uneven = json.loads((tmp_path / "new" / "figures.json").read_text().splitlines()[-1])
    assert uneven["visits_mean"][0] <= 1 < uneven["visits_mean"][1]
    assert main([*model, "--a", "nonsense=1"]) == 1
    assert "nonsense" in capsys.readouterr().err
