"""What may be chosen of a server, each limit with its default; checked before a model is loaded."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields

MB = 2**20
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", re.ASCII)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LEAST = {  # the smallest value of each number that makes sense, and the largest
    "port": (0, 65_535), "workers": (1, 64), "batch_size": (1, 4096), "batch_wait_ms": (0, 10_000),
    "max_queue": (1, 1_000_000), "max_requests": (1, 100_000), "deadline": (0.01, 3600), "max_body_mb": (0.01, 4096),
    "max_rows": (1, 4096), "max_pixels": (1, 10**9), "max_seconds": (0.1, 24 * 3600), "max_text": (1, 10**7),
    "max_hits": (1, 1000), "grace": (0, 3600),
}  # fmt: skip


@dataclass(frozen=True)
class ServeOptions:
    """How a model is served.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0: any free one.
        workers: Processes, each with the model in its memory.
        batch_size: Most rows that the model is given at once.
        batch_wait_ms: Longest wait, in milliseconds, for further rows to fill a batch.
        max_queue: Most rows that wait for the model; more are answered 429.
        max_requests: Most requests held at once, their bodies among them; more are answered 429.
        deadline: Longest time, in seconds, from the arrival of a request to its answer.
        max_body_mb: Largest body of a request, in MiB.
        max_rows: Most rows of one request.
        max_pixels: Most pixels of one picture.
        max_seconds: Longest sound, in seconds.
        max_text: Longest text of one cell, in characters.
        max_hits: Most hits of one search.
        grace: Longest wait, in seconds, for what was taken when the server is told to stop.
        token: Bearer token that requests must carry; None: they need none.
        fetch_from: Names of hosts from which media may be fetched by their https address; none: nothing is fetched.
        allowed_hosts: Names, beside the loopback ones, under which a server without a token is reached.

    Raises:
        ValueError: A number outside its range, or an empty token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    batch_size: int = 32
    batch_wait_ms: float = 4.0
    max_queue: int = 256
    max_requests: int = 128
    deadline: float = 30.0
    max_body_mb: float = 32.0
    max_rows: int = 64
    max_pixels: int = 25_000_000
    max_seconds: float = 120.0
    max_text: int = 20_000
    max_hits: int = 100
    grace: float = 30.0
    token: str | None = field(default=None, repr=False)
    fetch_from: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name in _LEAST:
                low, high = _LEAST[one.name]
                value = getattr(self, one.name)
                if not math.isfinite(value) or not low <= value <= high:
                    raise ValueError(f"{one.name} is {value}; expected {low:,} to {high:,}")
        if self.token is not None and (len(self.token) < 16 or not self.token.isascii() or " " in self.token):
            raise ValueError("the token must be 16 characters of ASCII or more, without spaces")
        for host in self.fetch_from:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"fetch_from is {host!r}; expected the name of a host in lower case, as photos.example.org"
                )
        if not self.host.strip():
            raise ValueError("host is empty; expected an address such as 127.0.0.1")

    @property
    def max_body(self) -> int:
        """Largest body of a request, in bytes."""
        return int(self.max_body_mb * MB)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK
