"""Addresses that a server may listen on, whether others than this machine can reach them, why one cannot be used."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from engine.errors import InvalidConfig

UNIX_SCHEMES = ("unix:", "unix-abstract:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """A checked listen address."""

    target: str
    """As gRPC takes it: "127.0.0.1:50051", "[::1]:50051", "unix:/run/tengen.sock"."""
    is_local: bool
    """Whether only processes of this machine can connect."""
    host: str | None
    """The host part, brackets kept; None for a Unix socket."""

    def with_port(self, port: int) -> str:
        """The target with the port that was really bound: port 0 asks the system for a free one."""
        return self.target if self.host is None else f"{self.host}:{port}"

    def why_unusable(self) -> str:
        """Why gRPC, which does not say so, could not listen there: what the system tells who tries, and what to do."""
        try:
            family, where = self._for_socket()
            with socket.socket(family) as probe:
                probe.bind(where)
            cause = "gRPC does not say why"
        except OSError as error:
            cause = error.strerror or str(error)
        if self.host is None:
            return f"{cause}; a socket needs a short path, not yet taken, in a folder that exists and is yours to write"
        return f"{cause}; choose another address, or end the program that has this one"

    def _for_socket(self) -> tuple[int, Any]:
        """Family and address as the socket module takes them. Raises `OSError` for an unknown host."""
        if self.host is not None:
            port = self.target.rpartition(":")[2]
            family, *_, where = socket.getaddrinfo(self.host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
            return family, where
        scheme, _, path = self.target.partition(":")
        return socket.AF_UNIX, "\0" + path if scheme == "unix-abstract" else path


def parse_listen_address(text: str) -> ListenAddress:
    """Reads HOST:PORT, [IPV6]:PORT or unix:PATH. Raises `InvalidConfig`, which quotes the text."""
    if text.startswith(UNIX_SCHEMES) and text not in UNIX_SCHEMES:
        return ListenAddress(target=text, is_local=True, host=None)
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise InvalidConfig(f"cannot listen on {text!r}: expected HOST:PORT, such as 127.0.0.1:50051, or unix:PATH")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise InvalidConfig(f"cannot listen on {text!r}: write an IPv6 host in brackets, [::1]:{port}")
    return ListenAddress(target=text, is_local=_is_loopback(host), host=host)


def _is_loopback(host: str) -> bool:
    """Only a literal loopback address or "localhost" counts; any other name may resolve to anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
