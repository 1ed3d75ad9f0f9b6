"""Media by address: from named hosts, from public addresses, to the address that was looked at; nothing by default."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fixtures.media import red_or_blue
from fixtures.served import Client, client_of
from plait.data.remote import web as module
from plait.data.remote.web import is_public
from plait.serve.fetch import fetch
from plait.serve.options import ServeOptions
from plait.serve.refusal import Refusal

HOST, OTHER = "photos.example.org", "other.example.org"
PHOTO = red_or_blue(True, 3)


class Site(BaseHTTPRequestHandler):
    """What the hosts of these tests answer."""

    def do_GET(self) -> None:
        assert self.headers["Host"] == HOST and not self.headers["Cookie"]
        name = self.path.strip("/").partition("?")[0]
        if name.startswith("to:"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        body = {"photo": PHOTO, "large": bytes(5000), "endless": b"", "slow": b"", "short": PHOTO[:50]}.get(name)
        self.send_response(200 if body is not None else 404)
        if name == "short":
            self.send_header("Content-Length", str(len(PHOTO)))
        self.end_headers()
        if name == "endless":
            for _ in range(100):
                self.wfile.write(bytes(1000))
        if name == "slow":
            time.sleep(2)
        self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """A site on loopback under public addresses; gives what was connected to."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    made: list[tuple[str, str]] = []

    def connected(address: str, host: str, timeout: float) -> socket.socket:
        made.append((address, host))
        reached = socket.socket()
        reached.settimeout(timeout)
        reached.connect(("127.0.0.1", site.server_port))
        return reached

    monkeypatch.setattr(module, "connected", connected)
    names(monkeypatch, "93.184.216.34")
    yield made
    site.shutdown()
    site.server_close()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""
    monkeypatch.setattr(module, "looked_up", lambda host: list(addresses))


def got(address: str, *, most_bytes: int = 4000, seconds: float = 10) -> bytes:
    return fetch(address, (HOST,), most_bytes=most_bytes, until=time.monotonic() + seconds)


def refused(address: str, **how: Any) -> Refusal:
    with pytest.raises(Refusal) as found:
        got(address, **how)
    assert "photo" not in found.value.message and HOST not in found.value.message
    return found.value


def test_a_named_host_is_asked_at_the_address_that_was_looked_at(asked: list[tuple[str, str]]) -> None:
    assert got(f"https://{HOST}/photo") == PHOTO
    assert got(f"HTTPS://{HOST.upper()}:443/photo?size=2") == PHOTO
    assert got(f"https://{HOST}/to:/to:https://{HOST}/photo") == PHOTO
    assert set(asked) == {("93.184.216.34", HOST)}


@pytest.mark.parametrize(
    "address",
    [
        f"http://{HOST}/photo", f"https://{OTHER}/photo", f"https://{HOST}:8443/photo", f"https://me:word@{HOST}/photo",
        f"https://{HOST}@{OTHER}/photo", f"https://{HOST}.{OTHER}/photo", "https://127.0.0.1/photo", "https://[::1]/photo",
        f"https://{HOST}\\@{OTHER}/photo", f"https://{HOST}/a b", f"https://{HOST}/\r\nHost: x", "https:///photo",
        f"https://{HOST}:99999999/photo", "https://[bad/photo", f"https://{HOST}\u3002/photo",
        f"https://{HOST}/to:https://{OTHER}/photo", f"https://{HOST}/to:http://{HOST}/photo",
        f"https://{HOST}/to:file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_not_allowed(asked: list[tuple[str, str]], address: str) -> None:
    found = refused(address)
    assert (found.status, found.code) == (422, "host_not_allowed")
    assert len(asked) <= 1 and not any(host != HOST for _, host in asked)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["192.168.0.1"], ["172.16.9.9"], ["169.254.169.254"], ["100.64.0.1"], ["0.0.0.0"],
        ["::1"], ["fe80::1%eth0"], ["fd00::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"],
        ["224.0.0.1"], ["255.255.255.255"], ["93.184.216.34", "127.0.0.1"], [],
    ],
)  # fmt: skip
def test_private_addresses_behind_a_name_are_refused(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    names(monkeypatch, *addresses)
    assert refused(f"https://{HOST}/photo").code == "host_not_public" and not asked
    assert not all(map(is_public, addresses)) or not addresses


def test_a_name_that_turns_private_behind_a_redirect_is_refused(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([["93.184.216.34"], ["127.0.0.1"]])
    monkeypatch.setattr(module, "looked_up", lambda host: next(turns))
    assert refused(f"https://{HOST}/to:/photo").code == "host_not_public" and len(asked) == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nothing", 422, "not_fetched"), ("large", 413, "body_too_large"), ("endless", 413, "body_too_large"),
        ("short", 422, "not_fetched"), ("to:/to:/to:/to:/photo", 422, "not_fetched"), ("slow", 504, "fetch_too_slow"),
    ],
)  # fmt: skip
def test_what_cannot_be_had(asked: list[tuple[str, str]], path: str, status: int, code: str) -> None:
    found = refused(f"https://{HOST}/{path}", seconds=0.7 if path == "slow" else 10)
    assert (found.status, found.code) == (status, code)


def test_a_host_that_is_not_there(asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(module, "connected", nobody)
    assert refused(f"https://{HOST}/photo").code == "not_fetched"
    monkeypatch.setattr(module, "looked_up", nobody)
    assert refused(f"https://{HOST}/photo").code == "not_fetched"
    with pytest.raises(Refusal) as late:
        fetch(f"https://{HOST}/photo", (HOST,), most_bytes=10, until=0.0)
    assert late.value.code in ("fetch_too_slow", "not_fetched")


@pytest.mark.parametrize(
    "host", ["", "https://photos.example.org", "Photos.example.org", "localhost", "a b.org", "*.org"]
)
def test_hosts_that_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="name of a host"):
        ServeOptions(fetch_from=(host,))


def test_a_served_row_by_address(
    asked: list[tuple[str, str]], client: Client, fitted: Any, limited: Callable[..., None]
) -> None:
    row = {"text": "it was sunny", "image": f"https://{HOST}/photo"}
    nothing = client.post("/v1/predict", json={"rows": [row]})
    assert nothing.status_code == 422 and nothing.json()["error"]["code"] == "no_file" and not asked
    limited(fetch_from=(HOST,))
    answer = client.post("/v1/predict", json={"rows": [row]}).json()["predictions"][0]
    offline = fitted.predict([{"text": "it was sunny", "image": PHOTO}]).to_pylist()[0]
    assert answer["prediction"] == offline["prediction"]
    assert answer["probability"] == pytest.approx(offline["probability"], abs=1e-6)
    bad = client.post("/v1/predict", json={"rows": [{"image": f"https://{OTHER}/photo"}]}).json()["error"]
    assert (bad["code"], bad["row"], bad["column"]) == ("host_not_allowed", 0, "image")
    assert set(asked) == {("93.184.216.34", HOST)}


def test_the_api_says_where_media_may_lie(fitted: Any) -> None:
    with client_of(fitted, fetch_from=(HOST,)) as client:
        assert f"or an https address of {HOST}" in client.get("/openapi.json").text
