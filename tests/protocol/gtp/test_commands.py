"""What commands do beyond their answers: clocks, scores, files, and what outlives what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.go.rules import BLACK, WHITE, rules_by_name
from engine.search.time_settings import TimeSettings
from protocol.gtp.commands.score import spell_score
from tests.support.gtp_conversation import Conversation
from tests.support.scripted_player import ScriptedPlayer, state_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("time_settings 600 0 0", TimeSettings.absolute(600)),
        ("time_settings 600 60 25", TimeSettings.canadian(600, 60, 25)),
        ("time_settings 1 1 0", TimeSettings.none()),
        ("kgs-time_settings none", TimeSettings.none()),
        ("kgs-time_settings absolute 300", TimeSettings.absolute(300)),
        ("kgs-time_settings byoyomi 600 30 5", TimeSettings.byo_yomi(600, 30, 5)),
        ("kgs-time_settings canadian 600 300 25", TimeSettings.canadian(600, 300, 25)),
        ("kata-time_settings fischer 60 2.5", TimeSettings.fischer(60, 2.5)),
        ("kata-time_settings fischer-capped 60 2 -1 10", TimeSettings.fischer(60, 2, max_move_s=10)),
        ("kata-time_settings fischer-capped 60 2 90 -1", TimeSettings.fischer(60, 2, max_main_s=90)),
    ],
)
def test_time_settings(line: str, expected: TimeSettings) -> None:
    conversation = Conversation(ScriptedPlayer())
    assert conversation.ask(line) == "="
    assert conversation.context.player.clock.settings == expected


def test_time_left() -> None:
    conversation = Conversation(ScriptedPlayer())
    clock = conversation.context.player.clock
    conversation.ask("time_settings 600 30 5")
    assert conversation.ask("time_left white 17.5 0") == "="
    assert conversation.ask("time_left b 12 3") == "="
    white, black = clock.time_left(WHITE), clock.time_left(BLACK)
    assert white is not None
    assert (white.main_s, white.in_overtime) == (17.5, False)
    assert black is not None
    assert (black.period_s, black.stones) == (12.0, 3)


def test_komi_and_time_settings_outlive_a_new_game_and_the_time_left_does_not() -> None:
    conversation = Conversation(ScriptedPlayer())
    for line in ["komi 0.5", "time_settings 600 0 0", "time_left b 3 0", "boardsize 13", "clear_board"]:
        assert conversation.ask(line) == "="
    player = conversation.context.player
    assert player.position.komi == 0.5
    assert player.clock.settings == TimeSettings.absolute(600)
    left = player.clock.time_left(BLACK)
    assert left is not None
    assert left.main_s == 600


def test_a_refused_size_is_explained_and_keeps_the_game() -> None:
    conversation = Conversation(ScriptedPlayer(max_size=9))
    conversation.ask("play b D4")
    before = state_of(conversation.context.player.position)
    assert conversation.ask("boardsize 13") == "? unacceptable size"
    assert conversation.stderr.getvalue() == "tengen: boardsize: no model for 13x13\n"
    assert state_of(conversation.context.player.position) == before


@pytest.mark.parametrize(
    ("points", "text"),
    [(0.0, "0"), (-0.0, "0"), (3.5, "B+3.5"), (-0.5, "W+0.5"), (8.0, "B+8.0"), (-7.25, "W+7.25"), (1.0001, "B+1.0001")],
)
def test_spelling_scores(points: float, text: str) -> None:
    assert spell_score(points) == text


def test_the_score_is_estimated_before_and_exact_after_two_passes() -> None:
    conversation = Conversation(ScriptedPlayer(estimate=-3.5))
    conversation.ask("play b E5")
    assert conversation.ask("final_score") == "= W+3.5"
    conversation.ask("play w pass")
    conversation.ask("play b pass")
    assert conversation.ask("final_score") == "= B+74.0"


def test_chains_by_status() -> None:
    conversation = Conversation(ScriptedPlayer(dead=["A1", "A2"]))
    for line in ["play b A1", "play b A2", "play w B1", "play w D4", "play w D5", "play w E5"]:
        assert conversation.ask(line) == "="
    assert conversation.ask("final_status_list dead") == "= A2 A1"
    assert conversation.ask("final_status_list alive") == "= D5 E5 D4\nB1"
    assert conversation.ask("final_status_list seki") == "="


def test_a_game_goes_into_a_file_and_comes_back(tmp_path: Path) -> None:
    conversation = Conversation(ScriptedPlayer(), sgf_folder=tmp_path)
    for line in ["komi 5.5", "fixed_handicap 2", "play w D4", "play b pass", "play w J9", "printsgf my game.sgf"]:
        assert conversation.ask(line).startswith("=")
    game = state_of(conversation.context.player.position)
    conversation.ask("boardsize 13")
    assert conversation.ask("loadsgf my game.sgf") == "="
    assert state_of(conversation.context.player.position) == game
    assert conversation.ask('loadsgf "my game.sgf" 2') == "="
    assert conversation.ask("move_history") == "= white D4"
    assert conversation.ask(f"loadsgf {tmp_path / 'my game.sgf'} 1") == "="
    assert conversation.ask("move_history") == "="
    assert conversation.ask("genmove w").startswith("= ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my game.sgf"]


def test_moves_for_the_cleanup_and_moves_not_played() -> None:
    player = ScriptedPlayer(["E5", "C3", "D4"])
    conversation = Conversation(player)
    assert conversation.ask("reg_genmove b") == "= E5"
    assert not player.asked_for_cleanup
    assert conversation.ask("kgs-genmove_cleanup w") == "= C3"
    assert player.asked_for_cleanup
    assert conversation.ask("genmove w") == "= D4"
    assert not player.asked_for_cleanup
    assert conversation.ask("move_history") == "= white D4\nwhite C3"


def test_a_file_brings_its_komi_and_rules_and_keeps_ours_where_it_has_none(tmp_path: Path) -> None:
    (tmp_path / "japanese.sgf").write_text("(;SZ[9]KM[6.5]RU[Japanese];B[ee];W[];B[])")
    (tmp_path / "plain.sgf").write_text("(;SZ[9];B[ee])")
    conversation = Conversation(ScriptedPlayer(), sgf_folder=tmp_path)
    assert conversation.ask("loadsgf japanese.sgf") == "="
    position = conversation.context.player.position
    assert (position.rules, position.komi) == (rules_by_name("japanese"), 6.5)
    assert "RE[" not in conversation.ask("printsgf")
    assert conversation.ask("loadsgf plain.sgf") == "="
    assert conversation.context.player.position.rules == conversation.context.player.rules != position.rules
    conversation.ask("loadsgf japanese.sgf")
    conversation.ask("clear_board")
    assert conversation.context.player.position.rules == conversation.context.player.rules
    assert conversation.context.player.position.komi == 6.5


def test_what_a_search_left_is_ended_and_forgotten_when_asked() -> None:
    player = ScriptedPlayer()
    conversation = Conversation(player)
    assert conversation.ask("stop") == "="
    assert conversation.ask("clear_cache") == "="
    assert player.calls == ["end_pondering", "forget"]


def test_an_exact_score_needs_no_model() -> None:
    conversation = Conversation(ScriptedPlayer(is_loading=True))
    for line in ["play b E5", "play w pass", "play b pass"]:
        conversation.ask(line)
    conversation.context.is_hurried.set()
    assert conversation.ask("final_score") == "= B+74.0"
    conversation.ask("undo")
    assert conversation.ask("final_score") == "? interrupted"


def test_a_move_that_is_interrupted_while_the_model_loads_is_none() -> None:
    player = ScriptedPlayer(is_loading=True)
    conversation = Conversation(player)
    conversation.ask("kata-time_settings fischer 60 10")
    conversation.context.is_hurried.set()
    assert conversation.ask("genmove b") == "? interrupted"
    left = player.clock.time_left(BLACK)
    assert left is not None
    assert left.main_s < 60.0
    assert player.clock.elapsed_s(BLACK) == 0.0
    assert player.position.moves == []


def test_files_that_must_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    (tmp_path / "outside.sgf").write_text("(;SZ[9];B[aa])")
    (folder / "link.sgf").symlink_to(tmp_path / "outside.sgf")
    (folder / "broken.sgf").write_bytes(b"(;SZ[9];B[zz\xff")
    (folder / "illegal.sgf").write_text("(;SZ[9];B[aa];W[aa])")
    (folder / "large.sgf").write_bytes(b"(;SZ[9]C[" + b"x" * 5_000_000 + b"])")
    (folder / "size.sgf").write_text("(;SZ[26])")
    (folder / "seven.sgf").write_text("(;SZ[21])")
    os.mkfifo(folder / "pipe.sgf")
    conversation = Conversation(ScriptedPlayer(), sgf_folder=folder)
    conversation.ask("play b E5")
    before = state_of(conversation.context.player.position)
    names = ["link", "broken", "illegal", "large", "size", "pipe", "missing", "../outside", f"{tmp_path}/outside"]
    for name in names:
        assert conversation.ask(f"loadsgf {name}.sgf") == "? cannot load file", name
    for name in ["/dev/zero", "/etc/passwd", "..", ".", "illegal.sgf/x"]:
        assert conversation.ask(f"loadsgf {name}") == "? cannot load file", name
    assert state_of(conversation.context.player.position) == before


def test_files_that_must_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    (tmp_path / "outside.sgf").write_text("mine")
    (folder / "link.sgf").symlink_to(tmp_path / "outside.sgf")
    (folder / "folder.sgf").mkdir()
    conversation = Conversation(ScriptedPlayer(), sgf_folder=folder)
    for name in ["../outside.sgf", "link.sgf", "folder.sgf", "no/such.sgf", "profile", ".sgf/x", f"{tmp_path}/new.sgf"]:
        assert conversation.ask(f"printsgf {name}") == "? cannot save file", name
    assert (tmp_path / "outside.sgf").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["folder.sgf", "link.sgf"]


def test_an_unexpected_argument_is_named_on_stderr() -> None:
    conversation = Conversation(ScriptedPlayer())
    assert conversation.ask("3 undo twice") == "?3 syntax error"
    assert conversation.stderr.getvalue() == "tengen: undo: 'twice' where no further argument was expected\n"


def test_no_line_of_stderr_looks_like_the_protocol() -> None:
    conversation = Conversation(ScriptedPlayer())
    conversation.notices.say("= x\n? y\n\ninfo move\nplay D4")
    conversation.notices.report(ValueError("= z\nplay"))
    conversation.notices.say_ready()
    lines = conversation.stderr.getvalue().splitlines()
    assert lines.pop() == "GTP ready"
    assert all(line.startswith("tengen: ") and line != "tengen: " for line in lines)
