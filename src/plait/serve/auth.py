"""Who may ask: a bearer token compared in constant time, and no page of another site."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from plait.serve.options import LOOPBACK, ServeOptions
from plait.serve.refusal import Refusal


class Doorkeeper:
    """Checks the headers of a request before its body is read.

    A server without a token that listens on this machine only answers under the names of this machine only: a page of
    another site whose name was pointed at 127.0.0.1 (DNS rebinding) gets nothing. A request that says which site it
    comes from must come from the server's own pages: there is no CORS.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._digest = None if options.token is None else _digest(options.token)
        self._names = {*LOOPBACK, *map(str.lower, options.allowed_hosts)}
        self._checks_names = options.token is None and options.is_local

    def check(self, headers: Mapping[str, str], *, needs_token: bool) -> None:
        """Let a request in.

        Args:
            headers: By names in small letters.
            needs_token: Whether its path is one that a token protects.

        Raises:
            Refusal: 401, 403 or 421.
        """
        host = headers.get("host", "")
        if self._checks_names and _name(host) not in self._names:
            raise Refusal(421, "wrong_host", "the server does not answer under this name; its keeper can allow it")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refusal(403, "other_site", "pages of other sites may not use this server")
        if needs_token and self._digest is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            is_right = hmac.compare_digest(_digest(given.strip()), self._digest)
            if scheme.lower() != "bearer" or not is_right:
                raise Refusal(401, "no_token", "send the header Authorization: Bearer TOKEN")


def _digest(token: str) -> bytes:
    """Of one length whatever the token, so that a comparison tells nothing of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _name(host: str) -> str:
    """The name or address in a Host header, without the port."""
    name = host.lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
