"""Live analysis through pipes: framing byte for byte, what ends it and what does not, and all at the wrong time."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.go.rules import BLACK
from tests.support.gtp_line import PATIENCE_S, Line, line
from tests.support.scripted_player import ScriptedPlayer

QUIT_S = 0.5
"""A controller does not wait longer for the end."""
ANALYSES = ["lz-analyze", "kata-analyze"]
MOVES = ["lz-genmove_analyze", "kata-genmove_analyze", "kata-search_analyze"]
REPORT = "info move B9 visits 5 winrate 6250 prior 2500 lcb 5625 order 0 pv B9 pass\n"
INFO = r"info [^\n]*\n"


@contextmanager
def analysing(command: str = "lz-analyze b 5 maxmoves 1") -> Iterator[Line]:
    """A session in the middle of an analysis."""
    with line() as connection:
        connection.send(f"7 {command}\n")
        connection.expect(rf"=7\n({INFO})+")
        yield connection


@contextmanager
def seeking_a_move(command: str = "lz-genmove_analyze b 5") -> Iterator[Line]:
    """A session in the middle of a move, with reports."""
    with line(ScriptedPlayer(["E5", "C3"], thinks=True)) as connection:
        connection.send(f"7 {command}\n")
        connection.expect(rf"=7\n({INFO})+")
        assert connection.player.is_thinking.is_set()
        yield connection


def test_the_response_byte_for_byte() -> None:
    with line() as connection:
        connection.send("7 lz-analyze b 5 maxmoves 1\n")
        connection.expect(f"=7\n({REPORT}){{2,}}")
        connection.send("\n")
        connection.expect(f"({REPORT})*\n")
        connection.send("8 name\n")
        connection.expect("=8 Tengen\n\n")


@pytest.mark.parametrize("command", ANALYSES)
@pytest.mark.parametrize(
    ("end", "answer"),
    [
        ("\n", ""),
        ("\r\n", ""),
        ("# hello\n", ""),
        ("# interrupt\n", ""),
        ("8 name\n", "=8 Tengen\n\n"),
        ("stop\n", "= \n\n"),
        ("nonsense\n", "? unknown command\n\n"),
        ("13\n", "?13 syntax error\n\n"),
        ("play b E5\n", "= \n\n"),
        ("quit\n", "= \n\n"),
    ],
)
def test_whatever_follows_ends_it_and_is_answered(command: str, end: str, answer: str) -> None:
    with analysing(f"{command} b 5") as connection:
        connection.send(end)
        connection.expect(rf"({INFO})*\n{re.escape(answer)}")
        assert connection.receive(0.1) == ""
        assert connection.player.search is not None
        assert connection.player.search.is_finished


def test_an_unfinished_line_ends_nothing() -> None:
    with analysing() as connection:
        connection.send("na")
        connection.expect(f"({REPORT}){{3,}}")
        connection.send("me\n")
        connection.expect(f"({REPORT})*\n= Tengen\n\n")


@pytest.mark.parametrize("command", ANALYSES)
def test_the_end_of_the_input_ends_it(command: str) -> None:
    with analysing(f"{command} b 5") as connection:
        connection.hang_up()
        assert connection.end(within_s=QUIT_S) == 0
        connection.expect(rf"({INFO})*\n")


@pytest.mark.parametrize("way", ["quit", "signal", "nobody listens"])
def test_it_does_not_hold_up_the_end(way: str) -> None:
    with analysing() as connection:
        if way == "quit":
            connection.send("quit\n")
        elif way == "signal":
            connection.session.end(15)
        else:
            connection.stop_listening()
        assert connection.end(within_s=QUIT_S) == (128 + 15 if way == "signal" else 0)
        assert "Traceback" not in connection.conversation.stderr.getvalue()


@pytest.mark.parametrize("command", [*ANALYSES, *MOVES])
def test_the_response_begins_before_the_model_is_there(command: str) -> None:
    with line(ScriptedPlayer(["E5"], is_loading=True)) as connection:
        connection.send(f"7 {command} b 5\n")
        connection.expect("=7\n")
        assert connection.receive(0.1) == ""
        connection.player.load()
        connection.expect(rf"({INFO})+" if command in ANALYSES else rf"({INFO})+play E5\n\n")


@pytest.mark.parametrize("end", ["\n", "name\n", "quit\n"])
def test_waiting_for_the_model_can_be_ended(end: str) -> None:
    with line(ScriptedPlayer(is_loading=True)) as connection:
        connection.send("kata-analyze b 5\n")
        connection.expect("=\n")
        connection.send(end)
        connection.expect({"\n": "\n", "name\n": "\n= Tengen\n\n", "quit\n": "\n= \n\n"}[end])
        connection.hang_up()
        assert connection.end(within_s=QUIT_S) == 0
        assert connection.conversation.stderr.getvalue() == ""


def test_a_network_that_fails_ends_the_response() -> None:
    with analysing() as connection:
        assert connection.player.search is not None
        connection.player.search.break_down()
        connection.expect(f"({REPORT})*\n")
        assert connection.conversation.stderr.getvalue() == "tengen: lz-analyze: the network returned NaN\n"
        connection.send("name\n")
        connection.expect("= Tengen\n\n")


def test_a_model_that_turns_out_to_be_broken_ends_the_response() -> None:
    with line(ScriptedPlayer(is_loading=True, model_error="weights.onnx is damaged")) as connection:
        connection.send("kata-genmove_analyze b 5\n")
        connection.expect("=\n")
        connection.player.load()
        connection.expect("\n")
        assert "kata-genmove_analyze: weights.onnx is damaged" in connection.conversation.stderr.getvalue()


def test_reports_go_on_when_the_search_has_ended() -> None:
    with analysing() as connection:
        assert connection.player.search is not None
        connection.player.search.stop()
        connection.expect(f"({REPORT}){{3,}}")


def test_what_is_left_in_a_burst_is_not_hurried() -> None:
    """The analysis ends because something follows; the move after it takes its time."""
    with line(ScriptedPlayer(["E5"], thinks=True)) as connection:
        connection.send("kata-analyze b 5\n\ngenmove b\n")
        connection.expect("=\n\n")
        assert connection.player.is_thinking.wait(PATIENCE_S)
        aborts = connection.player.num_aborts
        assert connection.receive(0.1) == ""
        assert connection.player.num_aborts == aborts
        connection.player.abort()
        connection.expect("= E5\n\n")


@pytest.mark.parametrize("command", MOVES)
def test_ordinary_input_does_not_end_the_search_for_a_move(command: str) -> None:
    with seeking_a_move(f"{command} b 5") as connection:
        connection.send("\n# hello\nname\n")
        connection.expect(rf"({INFO}){{3,}}")
        assert connection.player.num_aborts == 0
        connection.send("# interrupt\n")
        connection.expect(rf"({INFO})+play E5\n\n= Tengen\n\n")


@pytest.mark.parametrize("end", ["quit\n", ""])
def test_quit_and_the_end_of_the_input_end_the_search_for_a_move(end: str) -> None:
    with seeking_a_move() as connection:
        if end:
            connection.send(end)
        else:
            connection.hang_up()
        assert connection.end(within_s=QUIT_S) == 0
        connection.expect(rf"({INFO})+play E5\n\n" + ("= \n\n" if end else ""))


def test_there_is_a_report_of_the_whole_search_however_long_the_interval() -> None:
    with line(ScriptedPlayer(["E5"])) as connection:
        connection.send("kata-genmove_analyze b 100000\n")
        connection.expect(rf"=\n{INFO}play E5\n\n")


def test_an_analysis_takes_no_time_from_the_clock_and_a_move_does() -> None:
    def main_s(connection: Line) -> float:
        left = connection.player.clock.time_left(BLACK)
        assert left is not None
        return left.main_s

    with line(ScriptedPlayer(["E5", "C3"], thinks=True)) as connection:
        connection.send("time_settings 60 0 0\nkata-analyze b 5\n")
        connection.expect(rf"= \n\n=\n({INFO})+")
        connection.send("kata-search_analyze b 5\n")
        connection.expect(rf"({INFO})*\n=\n({INFO})+")
        connection.send("# interrupt\n")
        connection.expect(rf"({INFO})+play E5\n\n")
        assert main_s(connection) == 60.0
        connection.send("kata-genmove_analyze b 5\n")
        connection.expect(rf"=\n({INFO}){{2,}}")
        connection.send("# interrupt\n")
        connection.expect(rf"({INFO})+play C3\n\n")
        assert main_s(connection) <= 59.9


def test_a_thousand_commands_in_any_order() -> None:
    """As many responses as commands, in order, each with its lines and one empty line at its end."""
    rng = random.Random(8)
    names = ["lz-analyze b 5 maxmoves 1", "kata-analyze 5 maxmoves 1", "name", "kata-genmove_analyze maxmoves 1", "no"]
    sent = [f"{number} {rng.choices(names, [6, 6, 2, 1, 1])[0]}\n" for number in range(1000)]
    received = ""
    with line(ScriptedPlayer(size=19)) as connection:
        waiting = list(sent)
        while waiting:
            burst = [waiting.pop(0) for _ in range(min(len(waiting), rng.choice([1, 1, 1, 2, 5])))]
            blanks = ["", "\n", "\n\n", "# a comment\n"]
            connection.send("".join(command + rng.choice(blanks) for command in burst))
            received += connection.receive(rng.choice([0.0, 0.0, 0.001, 0.1 if rng.random() < 0.1 else 0.0]))
        connection.send("quit\n")
        while not received.endswith("\n= \n\n"):
            received += connection.receive()
        assert connection.end() == 0
    response = re.compile(rf"=(\d+)\n({INFO})*(play \S+\n)?\n|[=?](\d+) [^\n]+\n\n|= \n\n")
    answers = list(response.finditer(received))
    assert "".join(answer[0] for answer in answers) == received
    assert [answer[1] or answer[4] for answer in answers] == [*map(str, range(1000)), None]
    for command, answer in zip(sent, answers, strict=False):
        assert (answer[1] is not None) == ("analyze" in command), (command, answer[0])
