"""Observation and action planes by name."""

from __future__ import annotations

import numpy as np
import pytest

from engine.go.batch import GoBatch
from engine.go.diagram import from_diagram, from_rows
from engine.go.features import (
    ACTION_PLANES,
    BASIC_PLANES,
    FULL_PLANES,
    NUM_PLANES,
    PLANES,
    encode_actions,
    komi_parity_wave,
)
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE, KoRule, RuleSet, Scoring, rules_by_name
from engine.go.vertex import from_gtp

KO = """
    . . . . .
    . X O . .
    X O . O .
    . X O . .
    . . . . ."""

SWAPPED_PLANES = {f"black_t{t}": f"white_t{t}" for t in range(4)} | {f"white_t{t}": f"black_t{t}" for t in range(4)}
NEGATED_PLANES = {"to_play", "komi", "komi_parity"}


def planes(position: Position) -> dict[str, np.ndarray]:
    """[A] of each plane of the variant "full"."""
    return dict(zip(FULL_PLANES, position.observation().reshape(len(FULL_PLANES), -1), strict=True))


def points(plane: np.ndarray) -> list[int]:
    assert set(np.unique(plane)) <= {0.0, 1.0}
    return np.flatnonzero(plane).tolist()


def constant(plane: np.ndarray) -> float:
    assert (plane == plane[0]).all()
    return float(plane[0])


def at(names: str, size: int) -> list[int]:
    return sorted(from_gtp(name, size) for name in names.split())


def test_numbers_of_planes() -> None:
    assert NUM_PLANES == {"full": 24, "basic": 6}
    assert len(set(FULL_PLANES)) == 24
    assert set(BASIC_PLANES) < set(FULL_PLANES)


def test_shapes_and_types() -> None:
    batch = GoBatch(num_games=3, size=7)
    for variant in ("full", "basic"):
        found = batch.observe(variant=variant)  # type: ignore[arg-type]
        assert found.shape == (3, NUM_PLANES[variant], 7, 7)
        assert found.dtype == np.float32
    assert Position(7).observation().shape == (24, 7, 7)


def test_an_empty_board() -> None:
    found = planes(Position(5, komi=7.0))
    ones = {"on_board", "legal", "to_play"}
    for name, plane in found.items():
        expected = {"komi": -0.35, "superko_kind": 0.5}.get(name, float(name in ones))
        assert constant(plane) == pytest.approx(expected), name


def test_moves_and_boards_of_the_past() -> None:
    position = Position(5)
    for color, name in ((BLACK, "A1"), (WHITE, "B2"), (BLACK, "C3"), (WHITE, "pass"), (BLACK, "D4")):
        position.play(color, from_gtp(name, 5))
    found = planes(position)
    assert points(found["black_t0"]) == at("A1 C3 D4", 5)
    assert points(found["black_t1"]) == points(found["black_t2"]) == at("A1 C3", 5)
    assert points(found["black_t3"]) == at("A1", 5)
    assert all(points(found[f"white_t{t}"]) == at("B2", 5) for t in range(4))
    assert points(found["last_move_1"]) == at("D4", 5)
    assert points(found["last_move_2"]) == []
    assert constant(found["last_was_pass"]) == 0.0
    assert constant(found["to_play"]) == -1.0
    assert constant(found["ply"]) == pytest.approx(5 / 50)


def test_after_a_pass() -> None:
    position = Position(5)
    position.play(BLACK, from_gtp("C3", 5))
    position.play(WHITE, position.pass_action)
    found = planes(position)
    assert constant(found["last_was_pass"]) == 1.0
    assert points(found["last_move_1"]) == []
    assert points(found["last_move_2"]) == at("C3", 5)


def test_ko_legality_and_liberties() -> None:
    position = from_diagram(KO)
    position.play(BLACK, from_gtp("C3", 5))
    found = planes(position)
    assert points(found["superko_banned"]) == at("B3", 5)
    assert points(found["legal"]) == np.flatnonzero(position.legal_mask()[:-1]).tolist()
    assert points(found["chains_1"]) == at("C3", 5)
    assert points(found["chains_2"]) == at("C4 C2", 5)
    assert points(found["chains_3plus"]) == at("A3 B4 B2 D3", 5)


def test_liberties_belong_to_the_whole_chain() -> None:
    found = planes(from_diagram("X X . .\nO X O .\n. O . .\n. . . ."))
    assert points(found["chains_1"]) == at("A4 B4 A3 B3", 4)
    assert points(found["chains_2"]) == []


@pytest.mark.parametrize(
    ("name", "kind", "suicide", "territory"),
    [("japanese", 0.0, 0, 1), ("tromp-taylor", 0.5, 1, 0), ("aga", 1.0, 0, 0), ("new-zealand", 1.0, 1, 0)],
)
def test_rules(name: str, kind: float, suicide: int, territory: int) -> None:
    found = planes(Position(5, rules_by_name(name)))
    assert constant(found["superko_kind"]) == kind
    assert constant(found["suicide"]) == suicide
    assert constant(found["territory"]) == territory


def test_the_ply_plane_stops_at_one() -> None:
    position = Position(2)
    for _ in range(20):
        position.play(BLACK, position.pass_action)
    assert constant(planes(position)["ply"]) == 1.0


@pytest.mark.parametrize(
    ("komi", "area", "wave"),
    [
        (0.0, 25, 0.0),
        (7.0, 81, 0.0),
        (7.5, 81, -0.5),
        (6.5, 81, 0.5),
        (8.0, 81, 0.0),
        (6.5, 36, -0.5),
        (7.5, 36, 0.5),
        (6.25, 36, -0.25),
        (-7.5, 81, 0.5),
        (100.5, 81, 0.5),
    ],
)
def test_komi_parity_wave(komi: float, area: int, wave: float) -> None:
    assert komi_parity_wave(komi, area) == pytest.approx(wave)
    assert komi_parity_wave(-komi, area) == pytest.approx(-wave)


def test_the_parity_wave_is_zero_under_territory_rules() -> None:
    assert constant(planes(Position(9, RuleSet(scoring=Scoring.AREA), 7.5))["komi_parity"]) == -0.5
    assert constant(planes(Position(9, RuleSet(scoring=Scoring.TERRITORY), 7.5))["komi_parity"]) == 0.0


def test_handicap_counts_as_komi() -> None:
    position = Position(9, rules_by_name("chinese"), 0.5)
    position.place_handicap(at("C3 G7", 9))
    assert constant(planes(position)["komi"]) == pytest.approx(-2.5 / 20)


def test_colours_exchanged() -> None:
    """The same game with the colours exchanged: boards swap, to_play and komi negate, everything else stays."""
    rng = np.random.default_rng(11)
    for size, ko in ((4, KoRule.SITUATIONAL), (5, KoRule.POSITIONAL)):
        one, other = Position(size, RuleSet(ko=ko), 6.5), Position(size, RuleSet(ko=ko), -6.5)
        other.to_play = WHITE
        for _ in range(60):
            action = int(rng.choice(np.flatnonzero(one.legal_mask())))
            one.play(one.to_play, action)
            other.play(other.to_play, action)
            found, expected = planes(other), planes(one)
            for name, plane in expected.items():
                twin = found[SWAPPED_PLANES.get(name, name)]
                np.testing.assert_array_equal(twin, -plane if name in NEGATED_PLANES else plane, err_msg=name)


def test_basic_is_a_part_of_full() -> None:
    batch = GoBatch(num_games=2, size=5, komi=[1.0, 2.0])
    batch.play([3, 25])
    full, basic = batch.observe(), batch.observe(variant="basic")
    for index, name in enumerate(PLANES["basic"]):
        np.testing.assert_array_equal(basic[:, index], full[:, FULL_PLANES.index(name)])


def test_out_is_filled_and_returned() -> None:
    batch = GoBatch(num_games=2, size=5)
    batch.play([3, 25])
    for variant in ("full", "basic"):
        out = np.full((2, NUM_PLANES[variant], 5, 5), np.nan, dtype=np.float32)
        assert batch.observe(out, variant=variant) is out  # type: ignore[arg-type]
        np.testing.assert_array_equal(out, batch.observe(variant=variant))  # type: ignore[arg-type]


def test_rows_of_the_planes_are_rows_of_the_diagram() -> None:
    position = from_diagram("X . .\n. . O\n. . .")
    observation = position.observation()
    assert observation[FULL_PLANES.index("black_t0"), 0, 0] == 1.0
    assert observation[FULL_PLANES.index("white_t0"), 1, 2] == 1.0
    assert observation[FULL_PLANES.index("black_t3"), 0, 0] == 1.0
    assert from_rows("X . .\n. . O\n. . .").tolist() == position.stones.tolist()


def test_action_planes() -> None:
    found = encode_actions(np.array([4, 7, 9, 9], np.int32), np.array([1, -1, 1, -1], np.int8), size=3)
    assert found.shape == (4, len(ACTION_PLANES), 3, 3)
    assert found.dtype == np.float32
    flat = found.reshape(4, 4, 9)
    assert points(flat[0, 0]) == [4]
    assert points(flat[1, 1]) == [7]
    assert [float(flat[i, 0].sum()) for i in range(4)] == [1, 0, 0, 0]
    assert [float(flat[i, 1].sum()) for i in range(4)] == [0, 1, 0, 0]
    assert [constant(flat[i, 2]) for i in range(4)] == [0, 0, 1, 1]
    assert [constant(flat[i, 3]) for i in range(4)] == [1, -1, 1, -1]
