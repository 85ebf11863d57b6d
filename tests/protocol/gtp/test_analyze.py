"""What an analysis is asked for and what it says, in one thread: grammar, fields, points of view."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.go.vertex import from_gtp, to_gtp
from engine.player import Player
from engine.settings import PlayerSettings
from protocol.gtp.analysis_options import FLAGS, AnalysisOptions, read_options
from protocol.gtp.arguments import Arguments
from protocol.gtp.commands import HANDLERS
from tests.support.gtp_conversation import Conversation
from tests.support.gtp_line import line
from tests.support.scripted_player import ScriptedPlayer, state_of
from tests.support.tiny_models import write_tiny_model

FAMILY = ["lz-analyze", "kata-analyze", "lz-genmove_analyze", "kata-genmove_analyze", "kata-search_analyze"]
INTEGER, DECIMAL = r"\d+", r"-?\d+\.\d{6}"
VERTEX = r"(?:[A-HJ-T]\d+|pass)"
LZ_MOVE = (
    rf"info move {VERTEX} visits {INTEGER} winrate {INTEGER} prior {INTEGER} lcb {INTEGER}"
    rf" order {INTEGER} pv {VERTEX}(?: {VERTEX})*"
)
KATA_MOVE = (
    rf"info move {VERTEX} visits {INTEGER} edgeVisits {INTEGER} utility {DECIMAL} winrate {DECIMAL}"
    rf" scoreMean {DECIMAL} scoreStdev {DECIMAL} scoreLead {DECIMAL} scoreSelfplay {DECIMAL} prior {DECIMAL}"
    rf" lcb {DECIMAL} utilityLcb {DECIMAL} weight {DECIMAL} order {INTEGER} pv {VERTEX}(?: {VERTEX})*"
)
ROOT_INFO = (
    rf" rootInfo visits {INTEGER} utility {DECIMAL} winrate {DECIMAL} scoreMean {DECIMAL} scoreStdev {DECIMAL}"
    rf" scoreLead {DECIMAL} scoreSelfplay {DECIMAL} weight {DECIMAL}"
)
OWNERSHIP = rf" ownership {DECIMAL}(?: {DECIMAL})*"
LZ_LINE = rf"{LZ_MOVE}(?: {LZ_MOVE})*"
KATA_LINE = rf"{KATA_MOVE}(?: {KATA_MOVE})*"


def options(text: str, *, to_play: int = BLACK, size: int = 9) -> AnalysisOptions:
    position = Position(size)
    position.to_play = to_play
    return read_options(Arguments(tuple(text.split())), position, flags=FLAGS)


def points(*vertices: str) -> frozenset[int]:
    return frozenset(from_gtp(vertex, 9) for vertex in vertices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", AnalysisOptions(color=BLACK)),
        ("w", AnalysisOptions(color=WHITE)),
        ("WHITE 50", AnalysisOptions(color=WHITE, interval_s=0.5)),
        ("50 w", AnalysisOptions(color=WHITE, interval_s=0.5)),
        ("12.5", AnalysisOptions(color=BLACK, interval_s=0.125)),
        ("interval 20 b", AnalysisOptions(color=BLACK, interval_s=0.2)),
        ("0", AnalysisOptions(color=BLACK, interval_s=0.05)),
        ("2147483647", AnalysisOptions(color=BLACK, interval_s=1e6)),
        ("minmoves 3 maxmoves 7", AnalysisOptions(color=BLACK, min_moves=3, max_moves=7)),
        ("rootInfo true ownership TRUE", AnalysisOptions(color=BLACK, root_info=True, ownership=True)),
        ("rootinfo false ownership false", AnalysisOptions(color=BLACK)),
        ("ownership true 30 w", AnalysisOptions(color=WHITE, interval_s=0.3, ownership=True)),
        ("avoid b d4 1", AnalysisOptions(color=BLACK, avoid=points("D4"))),
        ("avoid b D4,pass 1 avoid b E5 30", AnalysisOptions(color=BLACK, avoid=points("D4", "pass", "E5"))),
        ("avoid w D4 1", AnalysisOptions(color=BLACK)),
        ("avoid b D4 1 avoid w E5 1 w", AnalysisOptions(color=WHITE, avoid=points("E5"))),
        ("allow b D4,E5 1 allow w C3 1", AnalysisOptions(color=BLACK, allow=points("D4", "E5"))),
        ("allow b B2:A1 9", AnalysisOptions(color=BLACK, allow=points("A1", "A2", "B1", "B2"))),
        ("avoid b J9:J9,pass:pass 1", AnalysisOptions(color=BLACK, avoid=points("J9", "pass"))),
    ],
)
def test_words_that_are_understood(text: str, expected: AnalysisOptions) -> None:
    assert options(text) == expected


def test_without_a_colour_it_is_the_side_to_move() -> None:
    assert options("50", to_play=WHITE).color == WHITE


@pytest.mark.parametrize("command", FAMILY)
@pytest.mark.parametrize(
    "words",
    [
        *["x", "-1", "1e999", "interval", "interval x", "interval -5", "minmoves", "minmoves -1", "maxmoves 0"],
        *["avoid", "avoid b", "avoid b D4", "avoid b D4 0", "avoid b D4 x", "avoid D4 1", "avoid b D4,,E5 1"],
        *["avoid b T19 1", "avoid b A1:pass 1", "allow b D4 1 allow b E5 1", "allow b D4 1 avoid b E5 1"],
        *["avoid w D4 1 allow b E5 1", "ownershipStdev true", "movesOwnership true", "pvVisits true", "ownership"],
        *["pvEdgeVisits true", "noResultValue true", "rootInfo 1", "rootInfo true true"],
    ],
)
def test_words_that_are_refused(command: str, words: str) -> None:
    conversation = Conversation(ScriptedPlayer())
    before = state_of(conversation.context.player.position)
    assert conversation.ask(f"7 {command} {words}") == "?7 syntax error"
    assert conversation.stderr.getvalue().startswith(f"tengen: {command}: ")
    assert state_of(conversation.context.player.position) == before


@pytest.mark.parametrize("key", ["rootInfo", "ownership"])
def test_what_only_kata_says_is_refused_by_lz(key: str) -> None:
    conversation = Conversation(ScriptedPlayer())
    assert conversation.ask(f"lz-analyze b 10 {key} true") == "? syntax error"
    assert conversation.ask(f"kata-analyze b 10 {key} true").startswith("=\ninfo ")


def test_names_that_would_promise_too_much_are_not_listed() -> None:
    assert {"analyze", "genmove_analyze", "kata-search_cancellable"}.isdisjoint(HANDLERS)
    assert {*FAMILY, "kata-search"} <= {*HANDLERS}


@pytest.mark.parametrize("command", FAMILY)
def test_an_analysis_with_no_move_left_is_refused(command: str) -> None:
    conversation = Conversation(ScriptedPlayer())
    assert conversation.ask(f"{command} b 10 avoid b A1:J9,pass 1").startswith("? no move is left")
    assert conversation.ask(f"{command} b 10 avoid w A1:J9,pass 1").startswith("=\n")


def test_a_model_that_is_known_to_be_broken_is_told_in_the_answer() -> None:
    conversation = Conversation(ScriptedPlayer(model_error="weights.onnx is damaged"))
    for command in FAMILY:
        assert conversation.ask(f"3 {command} b 10") == "?3 weights.onnx is damaged"


def test_the_lines_of_lz() -> None:
    conversation = Conversation(ScriptedPlayer(size=5))
    head, *lines = conversation.ask("12 lz-analyze b 10").splitlines()
    assert head == "=12"
    assert lines == [
        "info move B5 visits 5 winrate 6250 prior 2500 lcb 5625 order 0 pv B5 pass"
        " info move C5 visits 3 winrate 7500 prior 6250 lcb 6875 order 1 pv C5"
        " info move A5 visits 2 winrate 2500 prior 1250 lcb 1875 order 2 pv A5"
    ]


def test_the_lines_of_kata() -> None:
    conversation = Conversation(ScriptedPlayer(size=5))
    for words, blocks in [
        ("", ""),
        ("rootInfo true", ROOT_INFO),
        ("ownership true", OWNERSHIP),
        ("ownership true rootInfo true", ROOT_INFO + OWNERSHIP),
    ]:
        head, line = conversation.ask(f"kata-analyze b 10 {words}").splitlines()
        assert head == "="
        assert re.fullmatch(KATA_LINE + blocks, line), line


def field(line: str, name: str) -> list[float]:
    return [float(number) for number in re.findall(rf" {name} (\S+)", line)]


def test_everything_is_in_the_view_of_the_player_whose_move_is_sought() -> None:
    """The script has Black's value 0.5 and lead 3, and the same winrates for either player's moves."""
    conversation = Conversation(ScriptedPlayer(size=5))
    black = conversation.ask("kata-analyze b 10 rootInfo true ownership true")
    white = conversation.ask("kata-analyze w 10 rootInfo true ownership true")
    assert field(black, "winrate") == [0.625, 0.75, 0.25, 0.75]
    assert field(white, "winrate") == [0.625, 0.75, 0.25, 0.25]
    assert field(black, "lcb") == field(white, "lcb") == [0.5625, 0.6875, 0.1875]
    assert field(black, "scoreLead")[-1] == -field(white, "scoreLead")[-1] > 3.0
    own, theirs = ("1.000000 " * 5).strip(), ("-1.000000 " * 5).strip()
    assert f"ownership {own} " in black
    assert black.endswith(f" {theirs}")
    assert f"ownership {theirs} " in white
    assert white.endswith(f" {own}")


def test_a_move_with_reports_is_played_and_a_search_is_not() -> None:
    conversation = Conversation(ScriptedPlayer(["E5", "C3", "D4", "resign"]))
    head, info, move = conversation.ask("5 kata-genmove_analyze b 50").splitlines()
    assert (head, move) == ("=5", "play E5")
    assert re.fullmatch(KATA_LINE, info)
    head, info, move = conversation.ask("lz-genmove_analyze 50").splitlines()
    assert (head, move) == ("=", "play C3")
    assert re.fullmatch(LZ_LINE, info)
    assert conversation.ask("kata-search_analyze b 50").splitlines()[-1] == "play D4"
    assert conversation.ask("kata-search w") == "= resign"
    assert conversation.ask("move_history") == "= white C3\nblack E5"


def test_restrictions_reach_the_search() -> None:
    player = ScriptedPlayer()
    conversation = Conversation(player)
    for command in FAMILY:
        conversation.ask(f"{command} b 10 allow b D4,E5 1 allow w C3 1")
        assert player.restrictions == (points("D4", "E5"), frozenset())
        conversation.ask(f"{command} w 10 avoid w D4 3")
        assert player.restrictions == (None, points("D4"))


# --- with a network


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    model = str(write_tiny_model(tmp_path_factory.mktemp("models"), "tiny"))
    settings = PlayerSettings(model=model, threads=1, visits=200, max_memory_mib=64, seed=1, resign=False)
    player = Player(settings=settings, board_size=5)
    assert player.ensure_ready(120.0)
    yield player
    player.close()


@pytest.fixture
def conversation(player: Player) -> Conversation:
    player.new_game()
    return Conversation(player)


def moves(line: str) -> list[str]:
    return re.findall(r"info move (\S+)", line)


def test_a_real_search_in_both_spellings(conversation: Conversation) -> None:
    _, lz = conversation.ask("lz-analyze 5").splitlines()
    assert re.fullmatch(LZ_LINE, lz)
    _, kata = conversation.ask("kata-analyze 5 rootInfo true ownership true").splitlines()
    assert re.fullmatch(KATA_LINE + ROOT_INFO + OWNERSHIP, kata)
    assert len(kata.rpartition(" ownership ")[2].split()) == 25
    assert conversation.stderr.getvalue() == ""


def test_ownership_begins_at_the_top_left_and_is_the_mover_s(conversation: Conversation, player: Player) -> None:
    conversation.ask("play b B4")
    conversation.ask("play w D2")
    with player.analyze(WHITE) as analysis:
        expected = -analysis.snapshot().ownership  # type: ignore[operator]
    line = conversation.ask("kata-analyze w 5 ownership true")
    said = [float(number) for number in line.rpartition(" ownership ")[2].split()]
    assert said == pytest.approx(expected.reshape(-1).tolist(), abs=1e-5)
    assert len({round(number, 6) for number in said}) > 3


def test_real_restrictions(conversation: Conversation, player: Player) -> None:
    with player.analyze(BLACK) as analysis:  # looks at everything; what it has found must not come through
        while np.count_nonzero(analysis.snapshot().visits) < 20:
            assert not analysis.is_finished
    assert len(moves(conversation.ask("kata-analyze b 5 minmoves 26"))) == 26
    assert {*moves(conversation.ask("kata-analyze b 5 allow b C3,D4 1"))} <= {"C3", "D4"}
    assert {*moves(conversation.ask("kata-analyze b 5 avoid b A1:E4,pass 1 minmoves 26"))} == {f"{c}5" for c in "ABCDE"}
    *_, move = conversation.ask("kata-genmove_analyze b 5 allow b B2 1").splitlines()
    assert move == "play B2"
    assert len(moves(conversation.ask("lz-analyze w 5 minmoves 9 maxmoves 4"))) == 4


def test_variations_can_be_played(conversation: Conversation, player: Player) -> None:
    line = conversation.ask("lz-analyze b 5 minmoves 5")
    for variation in re.findall(rf"pv ((?:{VERTEX} ?)+)", line):
        board = player.position.copy()
        for vertex in variation.split():
            board.play(board.to_play, from_gtp(vertex, 5))


def test_the_first_move_is_the_one_to_be_played(conversation: Conversation, player: Player) -> None:
    *_, info, move = conversation.ask("lz-genmove_analyze b 5").splitlines()
    assert move == f"play {moves(info)[0]}"
    assert to_gtp(player.position.moves[-1].action, 5) == moves(info)[0]


def test_after_the_end_there_is_the_pass(conversation: Conversation) -> None:
    conversation.ask("play b pass")
    conversation.ask("play w pass")
    assert moves(conversation.ask("lz-analyze 5")) == ["pass"]
    assert moves(conversation.ask("kata-analyze 5 rootInfo true")) == ["pass"]
    assert conversation.ask("kata-genmove_analyze b 5").endswith("\nplay pass")


def test_the_tree_serves_the_next_move(player: Player) -> None:
    player.new_game()
    with line(player) as connection:
        connection.send("kata-analyze b 5\n")
        connection.expect(r"=\n(info [^\n]*\n){2,}")
        connection.send("name\n")
        connection.expect(r"(info [^\n]*\n)*\n= Tengen\n\n")
        assert player.generate(BLACK, play=False).result.carried_visits > 0
