"""SGF in and out."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from sgfmill.sgf import Sgf_game

from engine.errors import InvalidSgf, TengenError, UnsupportedBoardSize
from engine.go.position import Move, Position, Setup, fixed_handicap_points
from engine.go.record import (
    MAX_NODES,
    MAX_SGF_BYTES,
    GameRecord,
    load_sgf,
    rules_from_sgf,
    rules_to_sgf,
    to_result,
    to_sgf,
)
from engine.go.rules import BLACK, RULE_PRESETS, WHITE, KoRule, RuleSet, Scoring, rules_by_name
from engine.go.vertex import from_gtp

HANDICAP_GAME = """(;GM[1]FF[4]CA[UTF-8]AP[CGoban:3]SZ[9]KM[0.50]RU[Chinese]HA[2]PB[Ann]PW[Bo]RE[W+R]
AB[gc][cg];W[ee]C[tengen];B[];W[cc](;B[gg];W[tt])(;B[dd]C[another line]))"""


def moves(text: str, size: int = 9) -> list[Move]:
    colors = {"B": BLACK, "W": WHITE}
    return [Move(colors[move[0]], from_gtp(move[1:], size)) for move in text.split()]


def load_sgf_nodes(data: bytes) -> list[object]:
    return list(Sgf_game.from_bytes(data).main_sequence_iter())


def random_position(size: int, seed: int, rules: RuleSet, handicap: int) -> Position:
    position = Position(size, rules, komi=-3.75)
    if handicap:
        position.place_handicap(fixed_handicap_points(size, handicap))
    rng = np.random.default_rng(seed)
    for _ in range(3 * size):
        position.play(position.to_play, int(rng.choice(np.flatnonzero(position.legal_mask()))))
    return position


def test_the_main_line_is_played() -> None:
    position = load_sgf(HANDICAP_GAME)
    assert position.size == 9
    assert position.moves == moves("WE5 Bpass WC7 BG3 Wpass")
    assert position.setup == Setup(black=(24, 56), to_play=WHITE, handicap=2)
    assert position.komi == 0.5
    assert position.effective_komi == 2.5
    assert position.rules == rules_by_name("chinese")


@pytest.mark.parametrize(
    ("number", "expected", "to_play"),
    [
        (1, "", WHITE),
        (2, "WE5", BLACK),
        (4, "WE5 Bpass WC7", BLACK),
        (5, "WE5 Bpass WC7 BG3", WHITE),
        (6, "WE5 Bpass WC7 BG3 Wpass", BLACK),
        (99, "WE5 Bpass WC7 BG3 Wpass", BLACK),
    ],
)
def test_the_position_before_a_move(number: int, expected: str, to_play: int) -> None:
    position = load_sgf(HANDICAP_GAME, number)
    assert position.moves == moves(expected)
    assert position.to_play == to_play


def test_before_its_first_move_the_player_of_that_move_is_to_play() -> None:
    assert load_sgf("(;SZ[9];W[aa];B[bb])", 1).to_play == WHITE


def test_facts_of_the_file() -> None:
    record = GameRecord.from_sgf(HANDICAP_GAME)
    assert (record.black_name, record.white_name, record.result, record.size) == ("Ann", "Bo", "W+R", 9)
    assert record.komi == 0.5
    assert record.rules == rules_by_name("chinese")


def test_absent_facts() -> None:
    record = GameRecord.from_sgf("(;SZ[9];B[aa])")
    assert (record.black_name, record.white_name, record.result, record.komi, record.rules) == ("", "", "", None, None)
    position = record.position(rules=rules_by_name("aga"), komi=5.5)
    assert (position.komi, position.rules) == (5.5, rules_by_name("aga"))


def test_variations_comments_and_unknown_properties_survive() -> None:
    text = HANDICAP_GAME.replace("GM[1]", "GM[1]XX[mystery]")
    written = GameRecord.from_sgf(text).to_sgf()
    again = Sgf_game.from_bytes(written)
    branch = again.get_root()[0][0][0]
    assert len(branch) == 2
    assert branch[1].get("C") == "another line"
    assert again.get_root()[0].get("C") == "tengen"
    assert again.get_root().get_raw("XX") == b"mystery"


@pytest.mark.parametrize("rules", [*RULE_PRESETS.values(), RuleSet(ko=KoRule.SIMPLE, suicide=True)])
@pytest.mark.parametrize(("size", "handicap"), [(9, 0), (9, 5), (19, 2), (21, 3)])
def test_round_trip(rules: RuleSet, size: int, handicap: int) -> None:
    position = random_position(size, size, rules, handicap)
    read = load_sgf(to_sgf(position))
    assert read.moves == position.moves
    assert read.setup == position.setup
    assert read.komi == position.komi
    assert read.rules == position.rules
    np.testing.assert_array_equal(read.stones, position.stones)


@pytest.mark.parametrize("to_play", [BLACK, WHITE])
def test_setup_round_trip(to_play: int) -> None:
    position = Position(9)
    position.set_stones([0, 1, 40], [80, 79], to_play)
    read = load_sgf(to_sgf(position))
    assert read.setup == position.setup
    assert read.to_play == to_play
    np.testing.assert_array_equal(read.stones, position.stones)


def test_two_moves_in_a_row_by_one_player_round_trip() -> None:
    position = Position(9)
    for color, action in moves("WA1 WB1 BC1 BD1"):
        position.play(color, action)
    assert load_sgf(to_sgf(position)).moves == position.moves


def test_one_handicap_stone_round_trips_as_a_setup() -> None:
    position = Position(9)
    position.place_handicap([40])
    read = load_sgf(to_sgf(position))
    assert read.stones[40] == BLACK
    assert read.to_play == WHITE


def test_names_comments_and_result_are_written() -> None:
    position = Position(9)
    for color, action in moves("BE5 WC3 BG7"):
        position.play(color, action)
    written = to_sgf(
        position,
        black_name="Tengen [9x9]",
        white_name="weiß",
        result="B+3.5",
        comments=["value +0.1", "", "a \\ b ] c"],
        game_name="one",
        date="2024-01-31",
    )
    game = Sgf_game.from_bytes(written)
    root = game.get_root()
    assert [root.get(name) for name in ("PB", "PW", "RE", "GN", "DT")] == [
        "Tengen [9x9]",
        "weiß",
        "B+3.5",
        "one",
        "2024-01-31",
    ]
    comments = [node.get("C") if node.has_property("C") else None for node in game.get_main_sequence()]
    assert comments == [None, "value +0.1", None, "a \\ b ] c"]


def test_empty_facts_are_left_out() -> None:
    written = to_sgf(Position(9))
    assert not any(name in written for name in (b"PB", b"PW", b"RE", b"GN", b"DT", b"HA", b"AB", b"PL"))


def test_setup_in_a_later_node_starts_again() -> None:
    position = load_sgf("(;SZ[9];B[aa];W[bb];AB[cc]AE[aa]PL[W];W[dd])")
    assert position.moves == moves("WD6")
    assert position.setup == Setup(black=(20,), white=(10,), to_play=WHITE)


def test_setup_in_the_second_node() -> None:
    position = load_sgf("(;SZ[9]HA[2];AB[cc][gg];W[ee])")
    assert position.setup == Setup(black=(20, 60), to_play=WHITE, handicap=2)


def test_black_stones_without_a_handicap_are_a_setup() -> None:
    position = load_sgf("(;SZ[9]RU[Chinese]KM[0]AB[cc][gg])")
    assert position.setup.handicap == 0
    assert position.effective_komi == 0


def test_rectangles_of_points() -> None:
    assert load_sgf("(;SZ[9]AB[aa:bb])").setup.black == (0, 1, 9, 10)


@pytest.mark.parametrize("text", ["(;SZ[9];B[tt])", "(;SZ[9];B[])"])
def test_both_ways_to_write_a_pass(text: str) -> None:
    assert load_sgf(text).moves == [Move(BLACK, 81)]


def test_latin_1_is_the_encoding_of_files_that_do_not_say() -> None:
    assert GameRecord.from_sgf(b"(;SZ[9]PB[wei\xdf])").black_name == "weiß"


def test_a_broken_encoding_costs_a_name_not_the_game() -> None:
    record = GameRecord.from_sgf(b"(;SZ[9]CA[UTF-8]PB[wei\xdf];B[aa])")
    assert record.black_name.startswith("wei")
    assert len(record.position().moves) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no SGF"),
        ("(", "no SGF"),
        ("hello", "no SGF"),
        ("(;SZ[9];B[aa]", "end of SGF"),
        ("(;GM[2]SZ[9])", r"GM\[2\] is not Go"),
        ("(;SZ[9:13])", "SZ"),
        ("(;SZ[30])", "size"),
        ("(;SZ[x])", "SZ"),
        ("(;SZ[9]KM[much])", r"KM\[much\]"),
        ("(;SZ[9]KM[1e400])", "finite"),
        ("(;SZ[9]KM[nan])", "finite"),
        ("(;SZ[9];B[zz])", "node 1 after move 0"),
        ("(;SZ[9];B[a])", "node 1"),
        ("(;SZ[9];B[aa];W[aa])", "A9 is occupied"),
        ("(;SZ[9];AB[ab][ba];W[aa])", "A9 is suicide"),
        ("(;SZ[9]AB[ab][ba]AW[aa])", "A9 has no liberty"),
        ("(;SZ[9]AB[aj])", "node 0"),
        ("(;SZ[9]PL[green])", "node 0"),
        (f"(;SZ[9]{';B[]' * (MAX_NODES + 1)})", f"more than {MAX_NODES} nodes"),
        ("(;SZ[9]C[" + "x" * MAX_SGF_BYTES + "])", "longer than"),
        ("(;B[aa]" * 50_000, "end of SGF"),
        ("(;SZ[9]C[\ud800])", "not an SGF game"),
    ],
)
def test_what_is_no_game_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidSgf, match=reason):
        load_sgf(text)


@pytest.mark.parametrize("number", [0, -1])
def test_moves_count_from_one(number: int) -> None:
    with pytest.raises(InvalidSgf, match="from 1"):
        load_sgf(HANDICAP_GAME, number)


def test_a_size_without_rules() -> None:
    with pytest.raises(UnsupportedBoardSize, match="1"):
        load_sgf("(;SZ[1])")


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(InvalidSgf, match="nonsense"):
        load_sgf(b"(;SZ[9]CA[nonsense])")


def test_deep_variations_are_no_problem() -> None:
    depth = 20_000
    record = GameRecord.from_sgf("(;SZ[9]" + "(;B[]" * depth + "(;W[])" + ")" * depth + ")")
    assert len(load_sgf_nodes(record.to_sgf())) == depth + 2
    with pytest.raises(InvalidSgf, match="nodes"):
        record.position()


def test_damaged_files_never_raise_anything_else() -> None:
    original = to_sgf(random_position(9, 3, rules_by_name("aga"), 3), comments=["one", "two"])
    rng = np.random.default_rng(4)
    for _ in range(400):
        data = bytearray(original)
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(len(data)))
            data[place : place + int(rng.integers(0, 3))] = bytes(
                rng.integers(0, 256, size=int(rng.integers(0, 3))).tolist()
            )
        with contextlib.suppress(TengenError):
            record = GameRecord.from_sgf(bytes(data))
            record.position()
            record.position(3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Chinese", "chinese"),
        ("japanese", "japanese"),
        ("AGA", "aga"),
        ("NZ", "new-zealand"),
        ("GOE", "chinese"),
        ("Tromp-Taylor", "tromp-taylor"),
        (" Korean ", "korean"),
    ],
)
def test_rules_of_other_programs(text: str, name: str) -> None:
    assert rules_from_sgf(text) == rules_by_name(name)


@pytest.mark.parametrize("text", ["", "unknown", "koNONE", "chinese rules of 1988"])
def test_unknown_rules(text: str) -> None:
    assert rules_from_sgf(text) is None


def test_every_rule_set_round_trips() -> None:
    for ko in KoRule:
        for scoring in Scoring:
            for suicide in (False, True):
                for bonus in ("0", "N", "N-1"):
                    rules = RuleSet(ko=ko, scoring=scoring, suicide=suicide, handicap_bonus=bonus)  # type: ignore[arg-type]
                    assert rules_from_sgf(rules_to_sgf(rules)) == rules


@pytest.mark.parametrize(
    ("score", "text"), [(3.5, "B+3.5"), (-0.5, "W+0.5"), (0.0, "0"), (-0.0, "0"), (12.0, "B+12"), (-361.0, "W+361")]
)
def test_results(score: float, text: str) -> None:
    assert to_result(score) == text
