"""A conversation through pipes: order, bursts, and every way in which it can end."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.go.rules import BLACK
from tests.support.gtp_conversation import Conversation
from tests.support.gtp_line import PATIENCE_S, Line, line
from tests.support.scripted_player import ScriptedPlayer

QUIT_S = 0.5
"""A controller does not wait longer for the end."""


@contextmanager
def thinking() -> Iterator[Line]:
    """A session in the middle of a move; what is sent now is a new burst."""
    with line(ScriptedPlayer(["E5", "C3"], thinks=True)) as connection:
        connection.send("genmove b\n")
        assert connection.player.is_thinking.wait(PATIENCE_S)
        yield connection


def test_commands_are_answered_in_order() -> None:
    with line(ScriptedPlayer(["E5"])) as connection:
        connection.send("\n# hello\nboardsize 9\r\ngenmove b\nunknown\nlast")
        assert [connection.answer() for _ in range(3)] == ["", "E5", "? unknown command"]
        connection.send("_move\nquit\nname\n")
        assert [connection.answer() for _ in range(2)] == ["black E5", ""]
        assert connection.end() == 0


def test_a_pipelined_burst_is_fast() -> None:
    with line() as connection:
        moves = [f"play {'bw'[i % 2]} {'ABCDEFGHJ'[i % 9]}{1 + i // 9}\n" for i in range(60)]
        connection.send("play b A1\nclear_board\n")
        assert [connection.answer() for _ in range(2)] == ["", ""]
        started_s = time.monotonic()
        connection.send("".join(moves))
        answers = [connection.answer() for _ in moves]
        assert time.monotonic() - started_s < 1.0
        assert set(answers) <= {"", "? illegal move"}


def test_the_end_of_the_input_is_a_quit_and_completes_the_last_line() -> None:
    with line() as connection:
        connection.send("name")
        connection.hang_up()
        assert connection.answer() == "Tengen"
        assert connection.end() == 0


def test_quit_cuts_a_thought_short() -> None:
    with thinking() as connection:
        connection.send("quit\n")
        assert connection.end(within_s=QUIT_S) == 0
        assert [connection.answer(), connection.answer()] == ["E5", ""]


def test_the_end_of_the_input_cuts_a_thought_short() -> None:
    with thinking() as connection:
        connection.hang_up()
        assert connection.end(within_s=QUIT_S) == 0
        assert connection.answer() == "E5"


def test_commands_that_wait_behind_a_cut_thought_are_answered() -> None:
    with thinking() as connection:
        connection.send("genmove w\nname\nquit\n")
        assert connection.answer() == "E5"
        connection.player.is_thinking.wait(PATIENCE_S)
        connection.player.abort()
        assert [connection.answer() for _ in range(3)] == ["C3", "Tengen", ""]
        assert connection.end() == 0


def test_a_script_through_a_pipe_gets_its_thoughts() -> None:
    with line(ScriptedPlayer(["E5"], thinks=True), burst_gap_s=math.inf) as connection:
        connection.send("genmove b\nquit\n")
        connection.hang_up()
        assert connection.player.is_thinking.wait(PATIENCE_S)
        connection.end(within_s=0.2, must=False)
        assert connection.player.num_aborts == 0
        connection.player.abort()
        assert [connection.answer(), connection.answer()] == ["E5", ""]
        assert connection.end() == 0


def test_ordinary_input_does_not_disturb_a_thought_but_gogui_s_comment_does() -> None:
    with thinking() as connection:
        connection.send("name\n# hello\n\n")
        connection.send("# interrupt\n")
        assert [connection.answer(), connection.answer()] == ["E5", "Tengen"]
        assert connection.player.num_aborts >= 1


def test_gogui_s_comment_ends_a_wait_for_the_model_and_no_later_one() -> None:
    with line(ScriptedPlayer(["E5"], is_loading=True)) as connection:
        connection.send("genmove b\n# interrupt\n")
        assert connection.answer() == "? interrupted"
        connection.send("genmove b\n")
        connection.player.load()
        assert connection.answer() == "E5"


def test_gogui_s_comment_holds_for_all_that_came_before_it_and_nothing_after() -> None:
    with line(ScriptedPlayer(["E5", "C3", "G7"], thinks=True)) as connection:
        connection.send("genmove b\ngenmove w\n# interrupt\n")
        assert [connection.answer(), connection.answer()] == ["E5", "C3"]
        connection.send("genmove b\n")
        assert connection.player.is_thinking.wait(PATIENCE_S)
        aborts = connection.player.num_aborts
        time.sleep(0.1)
        assert connection.player.num_aborts == aborts
        connection.player.abort()
        assert connection.answer() == "G7"


def test_the_clock_runs_while_a_move_waits_for_the_model() -> None:
    with line(ScriptedPlayer(["E5"], is_loading=True)) as connection:
        connection.send("time_settings 60 0 0\ngenmove b\n")
        assert connection.answer() == ""
        time.sleep(0.2)
        connection.player.load()
        assert connection.answer() == "E5"
        left = connection.player.clock.time_left(BLACK)
        assert left is not None
        assert left.main_s <= 59.8


def test_pondering_begins_when_the_answer_is_out() -> None:
    answers_before: list[bool] = []

    class Pondering(ScriptedPlayer):
        def ponder(self) -> None:
            answers_before.append(bool(select.select([connection._output_read], [], [], 0)[0]))

    with line(Pondering(["E5"])) as connection:
        connection.send("genmove b\n")
        while not answers_before:
            time.sleep(0.01)
        assert connection.answer() == "E5"
    assert answers_before == [True]


def test_a_signal_cuts_a_thought_short() -> None:
    with thinking() as connection:
        connection.session.end(15)
        assert connection.end(within_s=QUIT_S) == 128 + 15


def test_a_signal_ends_an_idle_session() -> None:
    with line() as connection:
        connection.send("name\n")
        assert connection.answer() == "Tengen"
        connection.session.end(2)
        assert connection.end(within_s=QUIT_S) == 128 + 2


def test_a_closed_output_ends_the_session_quietly() -> None:
    with line() as connection:
        connection.stop_listening()
        connection.send("name\n")
        assert connection.end(within_s=QUIT_S) == 0
        assert "nobody reads" in connection.stderr.getvalue()
        assert "Traceback" not in connection.stderr.getvalue()


def test_administration_answers_while_the_model_loads_and_a_move_waits_for_it() -> None:
    with line(ScriptedPlayer(["E5"], is_loading=True)) as connection:
        connection.send("name\nboardsize 9\nplay b D4\ngenmove w\n")
        assert [connection.answer() for _ in range(3)] == ["Tengen", "", ""]
        connection.player.load()
        assert connection.answer() == "E5"


def test_quit_does_not_wait_for_the_model() -> None:
    with line(ScriptedPlayer(["E5"], is_loading=True)) as connection:
        connection.send("name\ngenmove b\n")
        assert connection.answer() == "Tengen"
        connection.send("quit\n")
        assert connection.end(within_s=QUIT_S) == 0
        assert [connection.answer(), connection.answer()] == ["? interrupted", ""]


def test_a_broken_model_fails_moves_and_nothing_else() -> None:
    with line(ScriptedPlayer(model_error="weights.onnx is damaged")) as connection:
        connection.send("genmove b\nfinal_score\nplay b E5\nundo\nquit\n")
        answers = [connection.answer() for _ in range(5)]
        assert answers == ["? weights.onnx is damaged", "? cannot score", "", "", ""]
        assert "final_score: weights.onnx is damaged" in connection.conversation.stderr.getvalue()


def test_an_endless_line_is_answered_when_it_ends() -> None:
    with line() as connection:
        for _ in range(64):
            connection.send(b"x" * 65536)
        connection.send(b"\nname\n")
        assert [connection.answer(), connection.answer()] == ["? line too long", "Tengen"]


@pytest.mark.parametrize("prefix", ["", "7 "])
def test_a_handler_that_breaks_is_answered_and_reported(prefix: str) -> None:
    class Broken(ScriptedPlayer):
        def undo(self) -> None:
            raise ZeroDivisionError("secret")

    conversation = Conversation(Broken())
    assert conversation.ask(f"{prefix}undo") == f"?{prefix or ' '}internal error"
    assert conversation.ask("name") == "= Tengen"
    lines = conversation.stderr.getvalue().splitlines()
    assert any("secret" in text for text in lines)
    assert all(text.startswith("tengen: ") for text in lines)
