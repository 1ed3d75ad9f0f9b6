"""Media by their address, from hosts that whoever runs the server has named; from no others, and from none by default.

How an object is fetched, and what keeps it out of private networks, is :mod:`plait.data.remote.web`.
"""

from __future__ import annotations

from collections.abc import Collection

from plait.data.remote.fault import NotFetchedError
from plait.data.remote.web import fetch_web
from plait.serve.refusal import Refusal

_REFUSALS = {
    "not_allowed": (422, "host_not_allowed"), "not_public": (422, "host_not_public"),
    "not_fetched": (422, "not_fetched"), "too_large": (413, "body_too_large"), "too_slow": (504, "fetch_too_slow"),
}  # fmt: skip


def is_address(value: object) -> bool:
    """Whether a cell is the address of something on the web."""
    return isinstance(value, str) and value[:8].lower().startswith(("http://", "https://"))


def fetch(address: str, hosts: Collection[str], *, most_bytes: int, until: float) -> bytes:
    """The bytes at an address.

    Args:
        address: An https address.
        hosts: Names of the hosts that may be asked, in lower case.
        most_bytes: Most bytes that are taken.
        until: When to give up, on the clock of ``time.monotonic``.

    Raises:
        Refusal: 422, the host is not among them, is not public or does not answer with 200; 413, too many bytes; 504,
            too late. No message repeats the address.
    """
    pieces: list[bytes] = []
    try:
        fetch_web(address, pieces.append, most_bytes=most_bytes, until=until, hosts=hosts)
    except NotFetchedError as error:
        raise Refusal(*_REFUSALS[error.code], str(error)) from error
    return b"".join(pieces)
