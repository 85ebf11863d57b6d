"""Everything that configures one server, as one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.errors import InvalidConfig
from protocol.rpc.address import parse_listen_address
from protocol.rpc.budget import ServerLimits

DEFAULT_LISTEN = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of `RpcServer`."""

    listen: str = DEFAULT_LISTEN
    """HOST:PORT (port 0: any free one) or unix:PATH."""
    allow_plaintext: bool = False
    """Whether to listen, unencrypted, where other machines can connect."""
    reflection: bool | None = None
    """Whether clients may read the interface from the server; None: only where others cannot connect."""
    limits: ServerLimits = field(default_factory=ServerLimits)
    """What requests may ask for."""
    max_concurrent_calls: int = 1024
    """Calls in progress, of any kind, searching or not; more are refused with RESOURCE_EXHAUSTED."""
    drain_grace_s: float = 30.0
    """How long searches may still run after the server was told to end."""

    def __post_init__(self) -> None:
        """Raises `InvalidConfig`, also for an address that is not to be served in plaintext."""
        if not (parse_listen_address(self.listen).is_local or self.allow_plaintext):
            raise InvalidConfig(
                f"refusing to listen on {self.listen!r}: others could read and use the engine over the network;"
                " listen on 127.0.0.1 or pass --insecure-allow-plaintext"
            )
        if self.max_concurrent_calls <= 0:
            raise InvalidConfig(f"max_concurrent_calls must be positive, not {self.max_concurrent_calls}")
        if not (math.isfinite(self.drain_grace_s) and self.drain_grace_s >= 0):
            raise InvalidConfig(f"drain_grace_s must be a time in seconds, not {self.drain_grace_s}")
