"""Media by their address, from hosts that whoever runs the server has named; from no others, and from none by default.

Only https on its own port; a name is resolved once, every address that it has must be a public one, and the connection
goes to the address that was looked at, so that a second answer of the name server changes nothing. Redirects are
followed by hand, each looked at like the first address. Proxies, cookies, names and passwords play no part.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

from plait import __version__
from plait.serve.refusal import Refusal

PORT = 443
MOST_REDIRECTS = 3
SECONDS_OF_SILENCE = 5.0
PIECE = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 inside IPv6: what it leads to is not seen
_HEADERS = {"Accept": "image/*, audio/*", "Accept-Encoding": "identity", "User-Agent": f"plait/{__version__}"}


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
    for _ in range(MOST_REDIRECTS + 1):
        host, path = _checked(address, hosts)
        connection = _Pinned(host, public_address(host), _seconds(until))
        try:
            connection.request("GET", path, headers=_HEADERS)
            with contextlib.closing(connection.getresponse()) as answer:
                if answer.status in REDIRECTS:
                    address = urljoin(address, answer.headers.get("Location") or "")
                    continue
                if answer.status != 200:
                    raise Refusal(422, "not_fetched", f"the host answered {answer.status} to the address")
                return _body(answer, most_bytes, until)
        except TimeoutError as error:
            raise Refusal(504, "fetch_too_slow", "the host of the address did not answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            raise Refusal(422, "not_fetched", "the host of the address cannot be reached over https") from error
        finally:
            connection.close()
    raise Refusal(422, "not_fetched", f"the address leads on more than {MOST_REDIRECTS} times")


def public_address(host: str) -> str:
    """The first address of a name, of which none may lead into a private network.

    Raises:
        Refusal: 422.
    """
    try:
        found = looked_up(host)
    except OSError as error:
        raise Refusal(422, "not_fetched", "the host of the address has no name that can be looked up") from error
    if not found or not all(is_public(one) for one in found):
        raise Refusal(422, "host_not_public", "the host of the address lies in a private network; nothing was fetched")
    return found[0]


def looked_up(host: str) -> list[str]:
    """All IP addresses of a name."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, whatever it is written or wrapped in.

    Example:
        >>> is_public("8.8.8.8"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
        (True, False, False)
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found.sixtofour is not None or found.teredo is not None or found in _TRANSLATED:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _checked(address: str, hosts: Collection[str]) -> tuple[str, str]:
    """Host and path of an address that may be asked."""
    if not address.isascii() or any(ord(letter) <= 32 or letter == "\x7f" for letter in address):
        raise Refusal(422, "host_not_allowed", "the address holds blanks or letters that must be percent-encoded")
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise Refusal(422, "host_not_allowed", "the address cannot be read") from error
    if parts.scheme != "https" or port not in (None, PORT) or "@" in parts.netloc:
        raise Refusal(422, "host_not_allowed", "only https addresses without a port, a name or a password are fetched")
    if host not in hosts:
        raise Refusal(422, "host_not_allowed", "the server does not fetch from the host of this address")
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _seconds(until: float) -> float:
    """How long to wait for the next sign of life."""
    left = until - time.monotonic()
    if left <= 0:
        raise Refusal(504, "fetch_too_slow", "the host of the address did not answer in time")
    return min(SECONDS_OF_SILENCE, left)


def _body(answer: http.client.HTTPResponse, most_bytes: int, until: float) -> bytes:
    parts, size = [], 0
    declared = answer.headers.get("Content-Length", "")
    while True:
        if size > most_bytes or (declared.isdigit() and int(declared) > most_bytes):
            raise Refusal(413, "body_too_large", f"the file at the address has more than {most_bytes:,} bytes")
        _seconds(until)
        piece = answer.read1(PIECE)
        if not piece:
            break
        parts.append(piece)
        size += len(piece)
    if declared.isdigit() and size < int(declared):
        raise Refusal(422, "not_fetched", "the file at the address came cut short")
    return b"".join(parts)


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address, whose certificate must be that of the name."""

    def __init__(self, host: str, address: str, timeout: float) -> None:
        super().__init__(host, PORT, timeout=timeout)
        self._address, self._wait = address, timeout

    def connect(self) -> None:
        """Connect to the address that was looked at."""
        self.sock = connected(self._address, self.host, self._wait)


def connected(address: str, host: str, timeout: float) -> socket.socket:
    """A secured connection to an address, in the name of a host."""
    plain = socket.create_connection((address, PORT), timeout)
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
