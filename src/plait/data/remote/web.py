"""One object by its https address, from the open internet alone: no address may lead into a private network.

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
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urljoin, urlsplit

from plait.data.remote.fault import NotFetchedError

PORT = 443
MOST_REDIRECTS = 3
SECONDS_OF_SILENCE = 5.0
PIECE = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
NOT_CHANGED = 304
BUSY = (408, 425, 429, 500, 502, 503, 504)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 inside IPv6: what it leads to is not seen
_HEADERS = {"Accept": "image/*, audio/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "plait"}
_UNTRUSTED = (
    "the host of the address shows a certificate that is not trusted here (unknown authority, another name, or out of "
    "date); SSL_CERT_FILE names a file of authorities of one's own"
)
_LATE = "the host of the address did not answer in time"


def fetch_web(
    address: str, write: Callable[[bytes], object], *, most_bytes: int, until: float,
    hosts: Collection[str] | None = None, known: Mapping[str, str] | None = None,
) -> dict[str, str] | None:  # fmt: skip
    """Fetch an object, piece by piece.

    Args:
        address: An https address.
        write: Takes each piece. What it raises is handed on.
        most_bytes: Most bytes that are taken.
        until: When to give up, on the clock of ``time.monotonic``.
        hosts: Names of the only hosts that may be asked, in lower case; None: all that are public.
        known: What was returned when the object was fetched before; asked along, so that it need not come again.

    Returns:
        By what a changed object is noticed: ``etag`` and ``modified``, as far as the host says them. None where the
        object is still what ``known`` says; nothing is written then.

    Raises:
        NotFetchedError: The address is none that is asked, its host is not public or does not answer with 200, there
            are too many bytes, or it took too long. No message repeats the address.
    """
    headers = dict(_HEADERS)
    for name, fact in (("If-None-Match", "etag"), ("If-Modified-Since", "modified")):
        if known and fact in known:
            headers[name] = known[fact]
    for _ in range(MOST_REDIRECTS + 1):
        host, path = _checked(address, hosts)
        connection = _Pinned(host, public_address(host), _seconds(until))
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise NotFetchedError("too_slow", _LATE, is_passing=True) from error
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise NotFetchedError("not_fetched", _UNTRUSTED) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            why = "the host of the address cannot be reached over https"
            raise NotFetchedError("not_fetched", why, is_passing=not isinstance(error, ssl.SSLError)) from error
        with contextlib.closing(connection), contextlib.closing(answer):
            if answer.status in REDIRECTS:
                address = urljoin(address, answer.headers.get("Location") or "")
                continue
            if answer.status == NOT_CHANGED and known:
                return None
            if answer.status != 200:
                why = f"the host answered {answer.status} to the address"
                raise NotFetchedError("not_fetched", why, is_passing=answer.status in BUSY)
            _copy(answer, write, most_bytes, until)
            facts = {"etag": answer.headers.get("ETag"), "modified": answer.headers.get("Last-Modified")}
            return {name: value for name, value in facts.items() if value}
    raise NotFetchedError("not_fetched", f"the address leads on more than {MOST_REDIRECTS} times")


def public_address(host: str) -> str:
    """The first address of a name, of which none may lead into a private network.

    Raises:
        NotFetchedError: One does, or there is none.
    """
    try:
        found = looked_up(host)
    except (OSError, UnicodeError) as error:
        why = "the host of the address has no name that can be looked up"
        raise NotFetchedError("not_fetched", why, is_passing=True) from error
    if not found or not all(is_public(one) for one in found):
        raise NotFetchedError("not_public", "the host of the address lies in a private network; nothing was fetched")
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


def _checked(address: str, hosts: Collection[str] | None) -> tuple[str, str]:
    """Host and path of an address that may be asked."""
    if not address.isascii() or any(ord(letter) <= 32 or letter == "\x7f" for letter in address):
        raise NotFetchedError("not_allowed", "the address holds blanks or letters that must be percent-encoded")
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise NotFetchedError("not_allowed", "the address cannot be read") from error
    if parts.scheme != "https" or port not in (None, PORT) or "@" in parts.netloc or not host:
        raise NotFetchedError("not_allowed", "only https addresses without a port, a name or a password are fetched")
    if hosts is not None and host not in hosts:
        raise NotFetchedError("not_allowed", "the server does not fetch from the host of this address")
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _seconds(until: float) -> float:
    """How long to wait for the next sign of life."""
    left = until - time.monotonic()
    if left <= 0:
        raise NotFetchedError("too_slow", _LATE, is_passing=True)
    return min(SECONDS_OF_SILENCE, left)


def _copy(
    answer: http.client.HTTPResponse, write: Callable[[bytes], object], most_bytes: int, until: float
) -> None:  # fmt: skip
    size = 0
    declared = answer.headers.get("Content-Length", "")
    while True:
        if size > most_bytes or (declared.isdigit() and int(declared) > most_bytes):
            raise NotFetchedError("too_large", f"the file at the address has more than {most_bytes:,} bytes")
        _seconds(until)
        piece = _piece(answer)
        if not piece:
            break
        write(piece)
        size += len(piece)
    if declared.isdigit() and size < int(declared):
        raise NotFetchedError("not_fetched", "the file at the address came cut short", is_passing=True)


def _piece(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(PIECE)
    except TimeoutError as error:
        raise NotFetchedError("too_slow", _LATE, is_passing=True) from error
    except (OSError, http.client.HTTPException) as error:
        why = "the host of the address cannot be reached over https"
        raise NotFetchedError("not_fetched", why, is_passing=True) from error


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
