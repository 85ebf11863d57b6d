"""The controller's side of GTP: an engine in a child process, asked one command at a time.

An engine may hang, crash, flood its output or print garbage: each is a defined exception within the time limit, after
which the whole process group is gone. Knows nothing of Go.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, NoReturn

from engine.errors import TengenError
from protocol.gtp.wire import MAX_RESPONSE_BYTES, Garbage, Response, ResponseReader, ResponseTooLong, encode_command

DEFAULT_TIMEOUT_S = 60.0
QUIT_TIMEOUT_S = 2.0
_READ_BYTES = 64 * 1024
_JOIN_S = 0.5
_MAX_EARLY = 100
_KEPT_LINES = 200
_KEPT_CHARACTERS = 2000


class EngineError(TengenError):
    """Something between us and the engine went wrong; the text names the engine."""


class EngineRefused(EngineError):
    """The engine answered `?`: it is alive, and the command is not done."""

    def __init__(self, message: str, *, text: str) -> None:
        super().__init__(message)
        self.text = text
        """The text of the engine's answer."""


class EngineDead(EngineError):
    """The engine cannot be used any more, and its process group has been killed."""


class EngineNotStarted(EngineDead):
    """The program could not be run."""


class EngineTimeout(EngineDead):
    """No answer in time."""


class EngineCrashed(EngineDead):
    """The engine closed its output, or ended."""


class EngineBabbled(EngineDead):
    """The engine's output is not GTP: too long, or answers that were not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A successful answer."""

    text: str
    """The text after `=`, without the id; lines separated by newlines."""
    elapsed_s: float
    """Wall-clock seconds from writing the command to reading the end of the answer."""


class EngineProcess:
    """One running engine. Use it from one thread, as a context manager; leaving it quits the engine, or kills it."""

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        name: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
        on_stderr: Callable[[str], None] | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """Starts `command` (a string is split as a shell would) in a process group of its own.

        `environment` is added to ours; `on_stderr` is called with each line of stderr, from another thread.
        Raises `EngineNotStarted`.
        """
        words = shlex.split(command) if isinstance(command, str) else list(command)
        if not words:
            raise EngineNotStarted("the command that should start an engine is empty")
        self.name = name if name is not None else os.path.basename(words[0])
        self._process = _start(self.name, words, cwd=cwd, environment=environment)
        self._stdin, self._stdout, self._stderr = _pipes(self._process)
        os.set_blocking(self._stdin.fileno(), False)
        self._responses: queue.SimpleQueue[Response | EngineDead] = queue.SimpleQueue()
        self._garbage: deque[str] = deque(maxlen=_KEPT_LINES)
        self._last_words: deque[str] = deque(maxlen=_KEPT_LINES)
        self._death: EngineDead | None = None
        self._threads = [
            threading.Thread(
                target=self._read_stdout, args=(max_response_bytes,), name=f"{self.name} stdout", daemon=True
            ),
            threading.Thread(target=self._read_stderr, args=(on_stderr,), name=f"{self.name} stderr", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def process_id(self) -> int:
        """Id of the process, and of its group."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether commands can still be sent."""
        return self._death is None

    @property
    def garbage(self) -> list[str]:
        """The last lines of stdout that were not GTP; tolerated, as GUIs differ in this."""
        return list(self._garbage)

    @property
    def stderr_lines(self) -> list[str]:
        """The last lines of stderr."""
        return list(self._last_words)

    def send(self, name: str, *arguments: object, timeout_s: float = DEFAULT_TIMEOUT_S) -> Reply:
        """Sends a command and waits for its answer.

        Raises `EngineRefused` on `?`, and a kind of `EngineDead`, after killing the engine, when no answer comes in
        `timeout_s`, the engine ends, or what it writes cannot be trusted. ValueError if a word fits into no command.
        """
        line = encode_command(name, *arguments)
        if self._death is not None:
            raise self._death
        self._refuse_early_answer(name)
        started = time.monotonic()
        self._write(line, deadline=started + timeout_s)
        try:
            response = self._responses.get(timeout=max(0.0, started + timeout_s - time.monotonic()))
        except queue.Empty:
            self._die(EngineTimeout(f"{self.name}: no answer to {name!r} within {timeout_s:g} s"))
        elapsed_s = time.monotonic() - started
        if isinstance(response, EngineDead):
            self._die(response)
        if not response.is_success:
            raise EngineRefused(f"{self.name}: {name!r} refused: {response.text}", text=response.text)
        return Reply(text=response.text, elapsed_s=elapsed_s)

    def list_commands(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> frozenset[str]:
        """What the engine says it can do."""
        return frozenset(line.strip() for line in self.send("list_commands", timeout_s=timeout_s).text.splitlines())

    def close(self, *, timeout_s: float = QUIT_TIMEOUT_S) -> int | None:
        """Asks the engine to quit and waits `timeout_s` for its end, then kills what is left of its group.

        Returns the exit status, None if it had to be killed. Safe to call twice.
        """
        if self._death is None:
            with contextlib.suppress(EngineDead):
                self._write(encode_command("quit"), deadline=time.monotonic() + timeout_s)
            self._death = self._death or EngineDead(f"{self.name}: closed")
        with contextlib.suppress(OSError):
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        status = self._process.returncode
        self.kill()
        return status

    def kill(self) -> None:
        """Kills the whole process group at once, also what a dead engine has left behind. Safe to call twice."""
        self._death = self._death or EngineDead(f"{self.name}: killed")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for thread in self._threads:
            thread.join(_JOIN_S)
        if not any(thread.is_alive() for thread in self._threads):
            for pipe in (self._stdin, self._stdout, self._stderr):
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._death is None and (kind is None or issubclass(kind, EngineRefused)):
            self.close()
        else:
            self.kill()

    def _refuse_early_answer(self, name: str) -> None:
        """An answer that lies there before its question means that all later ones would be mismatched."""
        try:
            early = self._responses.get_nowait()
        except queue.Empty:
            return
        if isinstance(early, EngineDead):
            self._die(early)
        self._die(EngineBabbled(f"{self.name}: an answer that was not asked for before {name!r}: {early.text[:80]!r}"))

    def _write(self, line: bytes, *, deadline: float) -> None:
        descriptor = self._stdin.fileno()
        while line:
            try:
                line = line[os.write(descriptor, line) :]
            except BlockingIOError:
                if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                    self._die(EngineTimeout(f"{self.name}: does not read its input"))
            except OSError:
                self._die(EngineCrashed(f"{self.name}: has ended"))

    def _die(self, death: EngineDead) -> NoReturn:
        self._death = death
        self.kill()
        if self._last_words and isinstance(death, EngineCrashed):
            self._death = EngineCrashed(f"{death}; its last words: {self._last_words[-1]}")
        raise self._death

    def _read_stdout(self, max_response_bytes: int) -> None:
        reader = ResponseReader(max_bytes=max_response_bytes)
        try:
            while data := os.read(self._stdout.fileno(), _READ_BYTES):
                for event in reader.feed(data):
                    if isinstance(event, Garbage):
                        self._garbage.append(event.text[:_KEPT_CHARACTERS])
                    else:
                        self._responses.put(event)
                if self._responses.qsize() > _MAX_EARLY:
                    self._responses.put(EngineBabbled(f"{self.name}: answers that were not asked for"))
                    return
            self._responses.put(EngineCrashed(f"{self.name}: has ended"))
        except ResponseTooLong as error:
            self._responses.put(EngineBabbled(f"{self.name}: {error}"))
        except OSError as error:
            self._responses.put(EngineCrashed(f"{self.name}: {error}"))

    def _read_stderr(self, on_line: Callable[[str], None] | None) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := os.read(self._stderr.fileno(), _READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[:_KEPT_CHARACTERS]
                for line in lines:
                    self._take_stderr_line(line, on_line)
        if rest:
            self._take_stderr_line(rest, on_line)

    def _take_stderr_line(self, line: bytes, on_line: Callable[[str], None] | None) -> None:
        text = line[:_KEPT_CHARACTERS].decode(errors="replace").rstrip()
        self._last_words.append(text)
        if on_line is not None:
            on_line(text)


def _start(
    name: str, words: list[str], *, cwd: str | os.PathLike[str] | None, environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise EngineNotStarted(f"{name}: cannot be started: {error}") from error


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr
