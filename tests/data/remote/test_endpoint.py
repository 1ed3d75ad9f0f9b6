"""An endpoint where nobody listens is told at once, with its address; one that answers, or a proxy, is left alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.remote import objects
from plait.data.remote.endpoint import check_endpoint
from plait.data.remote.fault import NotFetchedError
from plait.data.table import read_table


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address of this machine where nobody listens, named as the endpoint of S3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # held, but not listened on: no other process takes it
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for name in ("AWS_ENDPOINT_URL_S3", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield address


def test_nobody_there(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFetchedError, match=r"nobody answers at .*refused\), which AWS_ENDPOINT_URL names") as caught:
        check_endpoint("s3")
    assert nobody in str(caught.value) and caught.value.is_passing
    check_endpoint("az")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    check_endpoint("s3")  # a proxy is asked instead
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://me:hush@127.0.0.1:99999/x")
    with pytest.raises(NotFetchedError, match="AWS_ENDPOINT_URL_S3 is https://127.0.0.1:99999/x, which is no address"):
        check_endpoint("s3")


def test_somebody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{server.getsockname()[1]}")
        check_endpoint("gs")


def test_cells_of_an_endpoint_where_nobody_listens(nobody: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tried three times, and no library is asked at all."""
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(objects, "file_system", lambda scheme: None)
    table = read_table({"image": [f"s3://photos/{number}.png" for number in range(12)]}, allow_remote=True)
    rows = read_rows(table, [Modality("image", "image", ("image",))])
    assert len(rows.bad) == 12 and f"nobody answers at {nobody}" in rows.bad[0].reason
    assert any("was not asked again" in bad.reason for bad in rows.bad)
