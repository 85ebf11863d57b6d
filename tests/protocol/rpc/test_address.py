"""Listen addresses: what is read, what is refused, who can connect."""

from __future__ import annotations

import pytest

from engine.errors import InvalidConfig
from protocol.rpc.address import parse_listen_address


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("127.0.0.1:50051", True),
        ("127.9.9.9:0", True),
        ("localhost:1", True),
        ("[::1]:50051", True),
        ("unix:/run/tengen.sock", True),
        ("unix-abstract:tengen", True),
        ("0.0.0.0:50051", False),
        ("[::]:50051", False),
        ("192.168.1.2:50051", False),
        ("localhost.example.org:50051", False),
        ("engine:65535", False),
    ],
)
def test_who_can_connect(text: str, is_local: bool) -> None:
    address = parse_listen_address(text)
    assert address.target == text
    assert address.is_local == is_local


@pytest.mark.parametrize(
    "text", ["", "50051", ":50051", "host:", "host:http", "host:65536", "host:-1", "::1:50051", "h:1²", "unix:"]
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        parse_listen_address(text)
    assert repr(text) in str(error.value)


def test_bound_port() -> None:
    assert parse_listen_address("[::1]:0").with_port(4711) == "[::1]:4711"
    assert parse_listen_address("unix:/x").with_port(1) == "unix:/x"
