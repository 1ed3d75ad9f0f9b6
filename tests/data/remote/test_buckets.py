"""Objects of buckets: through fsspec, whatever serves them; a real S3 server where its packages are installed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from fixtures.media import noise_png
from fixtures.s3_server import s3_server
from plait.data.items import read_rows
from plait.data.media import content_key
from plait.data.modality import Modality
from plait.data.remote import objects
from plait.data.rows import Rows
from plait.data.table import Table, read_table

IMAGE = [Modality("image", "image", ("image",))]


def read(cells: list[str]) -> tuple[Table, Rows]:
    table = read_table({"image": cells}, allow_remote=True)
    return table, read_rows(table, IMAGE)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Buckets of every scheme in memory."""
    system = fsspec.filesystem("memory", skip_instance_cache=True)
    monkeypatch.setattr(objects, "file_system", lambda scheme: system)
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.01)
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_objects_of_buckets_are_fetched_once(bucket: Any, cache: Path) -> None:
    bucket.pipe("/b/a.png", noise_png(1))
    bucket.pipe("/b/none.png", b"")
    cells = [
        "s3://b/a.png",
        "gs://b/a.png",
        "hf://b/a.png",
        "s3://b/gone.png",
        "s3://b",
        "s3://b/none.png",
        "gs://key:hush@b/a.png",
    ]
    table, rows = read(cells)
    assert [bad.row for bad in rows.bad] == [3, 4, 5, 6]
    for bad, said in zip(rows.bad[:3], ("there is no such object", "it is a folder", "it is empty"), strict=True):
        assert f"{cells[bad.row]!r} cannot be fetched: {said}" in bad.reason
    assert rows.items["image"].keys == [content_key(noise_png(1))]
    assert table.remote is not None and table.remote.counts == {"fetched": 3, "failed": 4}
    assert "holds a name or a password" in rows.bad[3].reason and "hush" not in rows.bad[3].reason
    again, _ = read(cells[:3])
    assert again.remote is not None and again.remote.counts == {"unchanged": 3}
    bucket.pipe("/b/a.png", noise_png(2))
    changed, rows = read(cells[:1])
    assert changed.remote is not None and changed.remote.counts == {"fetched": 1}
    assert rows.items["image"].keys == [content_key(noise_png(2))]


def test_what_a_library_raises_becomes_a_bad_row_without_its_words(
    bucket: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/b/a.png", noise_png(1))
    read(["s3://b/a.png"])
    raised: list[Exception] = [PermissionError("secret"), ConnectionError("secret")]

    def info(path: str) -> Any:
        raise raised[0]

    monkeypatch.setattr(bucket, "info", info)
    _, rows = read(["s3://b/a.png"])
    assert "may not be read (PermissionError); credentials are those of" in rows.bad[0].reason
    del raised[0]
    with pytest.warns(UserWarning, match="objects of s3://b cannot be reached now"):
        _, rows = read(["s3://b/a.png", "s3://b/new.png"])
    assert [bad.row for bad in rows.bad] == [1] and "secret" not in rows.bad[0].reason
    assert "its library says ConnectionError (tried 3 times)" in rows.bad[0].reason


def test_a_missing_library_names_the_extra(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ImportError, match=r"need fsspec and s3fs; type pip install 'plait\[remote\]'"):
        read(["s3://b/a.png"])


def test_a_real_s3_server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="extra remote")
    with s3_server(monkeypatch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            system = fsspec.filesystem("s3", skip_instance_cache=True)
            system.mkdir("photos")
            for number in range(3):
                system.pipe(f"photos/{number}.png", noise_png(number))
            cells = [f"s3://photos/{number}.png" for number in range(4)]
            table, rows = read(cells)
            assert [bad.row for bad in rows.bad] == [3] and "there is no such object" in rows.bad[0].reason
            assert rows.items["image"].keys == [content_key(noise_png(number)) for number in range(3)]
            system.pipe("photos/1.png", noise_png(7))
            again, rows = read(cells[:3])
        assert again.remote is not None and again.remote.counts == {"unchanged": 2, "fetched": 1}
        assert content_key(noise_png(7)) in rows.items["image"].keys
