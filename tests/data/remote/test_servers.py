"""Objects of real local servers: Google's JSON API, a hub, and https with certificates that are checked.

The servers stand on loopback, which ``gs://`` and ``hf://`` may reach, since their endpoint is the user's setting. For
``https://`` the guard against private networks stays as it is: a name leads to a public address, and the test carries
the connection to that address over to its server, as a network would.
"""

from __future__ import annotations

import datetime
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fixtures.hub_site import TOKEN, Hub, hub
from fixtures.lazy import lazy
from fixtures.media import noise_png
from plait.data.items import read_rows
from plait.data.media import content_key
from plait.data.modality import Modality
from plait.data.remote import objects, web
from plait.data.rows import Rows
from plait.data.table import Table, read_table

__all__ = ["hub"]
trustme = lazy("trustme")
IMAGE = [Modality("image", "image", ("image",))]
HOST, PUBLIC = "photos.example.org", "93.184.216.34"


def read(cells: list[str]) -> tuple[Table, Rows]:
    table = read_table({"image": cells}, allow_remote=True)
    return table, read_rows(table, IMAGE)


def counts(table: Table) -> Counter[str]:
    assert table.remote is not None
    return table.remote.counts


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of Google's JSON API, as ``STORAGE_EMULATOR_HOST`` names one; what writes into it."""
    pytest.importorskip("gcsfs", reason="extra remote")
    server_module = pytest.importorskip("gcp_storage_emulator.server", reason="extra dev")
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.01)
    server = server_module.create_server("127.0.0.1", 0, in_memory=True, default_bucket="photos")
    server.start()
    http = server._api._httpd
    monkeypatch.setattr(http, "handle_error", lambda *_: None)  # gcsfs closes a connection that it needs no more
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{http.server_address[1]}")
    from gcsfs.core import GCSFileSystem

    yield GCSFileSystem(token="anon", skip_instance_cache=True)
    server.stop()


def test_a_server_of_google_storage(google: Any, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["a.png", "below/b c.png", "below/é.png"]
    for number, name in enumerate(names):
        google.pipe(f"photos/{name}", noise_png(number))
    cells = [f"gs://photos/{name}" for name in names]
    table, rows = read([*cells, "gs://photos/none.png", "gs://nobody/a.png", "gs://photos", "gs://photos/below"])
    assert rows.items["image"].keys == [content_key(noise_png(number)) for number in range(3)]
    reasons = [(bad.row, bad.reason.partition("fetched: ")[2]) for bad in rows.bad]
    assert reasons[:2] == [(3, "there is no such object"), (4, "there is no such object")]
    assert [(row, "it is a folder" in why) for row, why in reasons[2:]] == [(5, True), (6, True)]
    assert counts(table) == {"fetched": 3, "failed": 4}
    google.pipe("photos/a.png", noise_png(7))
    again, rows = read(cells)
    assert counts(again) == {"unchanged": 2, "fetched": 1}
    assert content_key(noise_png(7)) in rows.items["image"].keys
    assert not [record for record in caplog.records if record.name.startswith("gcsfs")], caplog.text


def test_a_hub(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files["me/photos"] = {"a.png": noise_png(0), "below/b c.png": noise_png(1)}
    hub.files["me/closed"] = {"a.png": noise_png(2)}
    hub.private.add("me/closed")
    cells = ["hf://datasets/me/photos/a.png", "hf://datasets/me/photos@main/below/b c.png"]
    missing = ["hf://datasets/me/photos/none.png", "hf://datasets/me/nothing/a.png", "hf://datasets/me/photos/below"]
    private = "hf://datasets/me/closed/a.png"
    table, rows = read([*cells, *missing, private])
    assert rows.items["image"].keys == [content_key(noise_png(0)), content_key(noise_png(1))]
    assert [bad.row for bad in rows.bad] == [2, 3, 4, 5] and counts(table) == {"fetched": 2, "failed": 4}
    said = ("there is no such object", "there is no such object", "it is a folder", "there is no such object")
    assert all(why in bad.reason for why, bad in zip(said, rows.bad, strict=True)), [bad.reason for bad in rows.bad]
    before = dict(hub.asked)
    again, _ = read(cells)
    assert counts(again) == {"unchanged": 2} and dict(hub.asked) == before
    hub.files["me/photos"]["a.png"] = noise_png(3)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    changed, rows = read([*cells, private])
    assert counts(changed) == {"unchanged": 1, "fetched": 2} and not rows.bad
    assert content_key(noise_png(2)) in rows.items["image"].keys


class Secured:
    """A server that is trusted by its certificate alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.asked = monkeypatch, 0
        self.authority = trustme.CA()
        held = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                held.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(noise_png(1))))
                self.end_headers()
                self.wfile.write(noise_png(1))

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused by the other side
        self.plain = self.server.socket

    def show(self, certificate: Any) -> None:
        """Answer with a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self.server.socket = context.wrap_socket(self.plain, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def trust(self, authority: Any, folder: Path) -> None:
        """Let this machine trust an authority, as a user does."""
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        self.monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))


@pytest.fixture
def secured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Secured]:
    pytest.importorskip("trustme", reason="extra dev")
    made = Secured(monkeypatch)
    connect = web.socket.create_connection

    def carried(address: tuple[str, int], timeout: float) -> Any:
        assert address == (PUBLIC, web.PORT), "only what was looked at is connected to"
        return connect(made.server.server_address[:2], timeout)

    monkeypatch.setattr(web.socket, "create_connection", carried)
    monkeypatch.setattr(web, "looked_up", lambda host: [PUBLIC])
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.01)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_https_with_a_certificate_that_is_trusted(secured: Secured, cache: Path, tmp_path: Path) -> None:
    secured.show(secured.authority.issue_cert(HOST))
    secured.trust(secured.authority, tmp_path)
    table, rows = read([f"https://{HOST}/a.png"])
    assert not rows.bad and rows.items["image"].keys == [content_key(noise_png(1))] and counts(table) == {"fetched": 1}


@pytest.mark.parametrize("fault", ["unknown authority", "another name", "expired"])
def test_https_with_a_certificate_that_is_not(fault: str, secured: Secured, cache: Path, tmp_path: Path) -> None:
    ended = {"not_after": datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)}
    ended["not_before"] = ended["not_after"] - datetime.timedelta(days=9)
    name = "others.example.org" if fault == "another name" else HOST
    secured.show(secured.authority.issue_cert(name, **(ended if fault == "expired" else {})))
    secured.trust(trustme.CA() if fault == "unknown authority" else secured.authority, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table, rows = read([f"https://{HOST}/a.png?token=hush"])
    (bad,) = rows.bad
    assert "shows a certificate that is not trusted" in bad.reason and "SSL_CERT_FILE" in bad.reason
    assert "tried" not in bad.reason and "hush" not in bad.reason  # it is no better a moment later
    assert secured.asked == 0 and counts(table) == {"failed": 1}
