"""`tengen serve`: reads the options, runs the server until it is told to end, and drains it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from engine.settings import PlayerSettings, available_cores
from protocol.rpc.budget import ServerLimits
from protocol.rpc.player_suggester import PlayerSuggester
from protocol.rpc.server import RpcServer
from protocol.rpc.settings import DEFAULT_LISTEN, ServerSettings

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Returns 0 after a drain; raises `InvalidConfig` and `ModelError`."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings, player_settings = _server_settings(arguments), _player_settings(arguments)
    return asyncio.run(_serve(settings, player_settings))


async def _serve(settings: ServerSettings, player_settings: PlayerSettings) -> int:
    told_to_end = asyncio.Event()
    _end_on_signals(told_to_end)
    suggester = PlayerSuggester(player_settings, notify=_tell)
    try:
        server = RpcServer(suggester, settings)
        await server.start()
        _tell(f"listening on {server.target}")
        try:
            if await _load(server, told_to_end):
                _tell("ready")
                await told_to_end.wait()
        finally:
            _tell("draining")
            await server.drain()
    finally:
        suggester.close()
    return 0


async def _load(server: RpcServer, told_to_end: asyncio.Event) -> bool:
    """Loads the models; False if the server was told to end meanwhile. Raises `ModelError`."""
    loading = asyncio.ensure_future(server.load())
    ending = asyncio.ensure_future(told_to_end.wait())
    await asyncio.wait({loading, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not loading.done():
        loading.cancel()
        return False
    await loading
    return True


def _end_on_signals(told_to_end: asyncio.Event) -> None:
    """The first signal sets the event; a second one ends the process at once with 128 + its number."""

    def end(number: int) -> None:
        if told_to_end.is_set():
            os._exit(128 + number)
        told_to_end.set()

    loop = asyncio.get_running_loop()
    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, end, number)


def _tell(line: str) -> None:
    """One line for the user, on stderr; in one piece, for a thread that loads a model tells as well."""
    sys.stderr.write(f"tengen: {line}\n")
    sys.stderr.flush()


def _server_settings(arguments: argparse.Namespace) -> ServerSettings:
    limits = ServerLimits(
        max_concurrent_searches=arguments.concurrent_searches,
        max_queue_length=arguments.max_queue,
        default_time_s=arguments.default_time,
        max_time_s=arguments.max_time,
        max_visits=arguments.max_visits,
        deadline_slack_s=arguments.deadline_slack_ms / 1000,
    )
    return ServerSettings(
        listen=arguments.listen,
        allow_plaintext=arguments.insecure_allow_plaintext,
        reflection=arguments.reflection,
        limits=limits,
        drain_grace_s=arguments.grace,
    )


def _player_settings(arguments: argparse.Namespace) -> PlayerSettings:
    searches = arguments.concurrent_searches
    threads = arguments.threads or max(1, available_cores() // max(1, searches))
    return PlayerSettings(
        model=arguments.model,
        threads=threads,
        seed=arguments.seed,
        concurrent_searches=searches,
        max_memory_mib=arguments.memory,
        device=arguments.device,
    )


def _parser() -> argparse.ArgumentParser:
    limits, settings, player = ServerLimits(), ServerSettings(), PlayerSettings()
    parser = argparse.ArgumentParser(prog="tengen serve", description="Answer gRPC calls: move suggestions and models.")
    add = parser.add_argument
    add("--listen", metavar="ADDRESS", default=DEFAULT_LISTEN, help="HOST:PORT or unix:PATH; %(default)s")
    add("--model", metavar="NAME", help="model name or folder; the installation's choice for each board size")
    add("--concurrent-searches", metavar="N", type=int, default=1, help="searches at a time; %(default)s")
    add("--threads", metavar="N", type=int, default=0, help="threads of one search; its share of the cores")
    add("--device", default=player.device, help="where networks run: cpu, cuda, openvino, ...; %(default)s")
    add("--memory", metavar="MIB", type=int, default=player.max_memory_mib, help="of all search trees; %(default)s")
    add(
        "--max-queue",
        metavar="N",
        type=int,
        default=limits.max_queue_length,
        help="requests that may wait for a search; %(default)s",
    )
    add(
        "--default-time",
        metavar="S",
        type=float,
        default=limits.default_time_s,
        help="seconds of a search with neither limit nor deadline; %(default)s",
    )
    add("--max-time", metavar="S", type=float, default=limits.max_time_s, help="longest search allowed; %(default)s")
    add("--max-visits", metavar="N", type=int, default=limits.max_visits, help="most visits allowed; %(default)s")
    add(
        "--deadline-slack-ms",
        metavar="MS",
        type=float,
        default=limits.deadline_slack_s * 1000,
        help="kept back from a call's deadline for the answer's way; %(default)s",
    )
    add("--seed", metavar="N", type=int, help="of the seeds of searches whose request has none")
    add(
        "--grace",
        metavar="S",
        type=float,
        default=settings.drain_grace_s,
        help="seconds that searches may still run once the server is told to end; %(default)s",
    )
    add("--reflection", action=argparse.BooleanOptionalAction, help="publish the interface; on loopback only")
    add("--insecure-allow-plaintext", action="store_true", help="listen where other machines can connect, unencrypted")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info", help="%(default)s")
    return parser
