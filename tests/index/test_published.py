"""An index as one Lance table: in a folder, and on a real S3 server of this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fixtures.colours import ColourEmbedder
from fixtures.json_output import only_json
from fixtures.s3_server import s3_server
from plait.index import DamagedIndexError, Index, build_index, is_published, open_index, publish_index

pytestmark = pytest.mark.skipif(find_spec("lancedb") is None, reason="extra lance")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 server that the environment names."""
    boto3 = pytest.importorskip("boto3", reason="extra dev")
    with s3_server(monkeypatch) as address:
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="photos")
        yield "s3://photos"


def same_answers(one: Index, other: Index) -> None:
    queries = np.random.default_rng(0).standard_normal((6, one.manifest.dim)).astype(np.float32)
    for how in ({"k": 2}, {"k": 9}, {"k": 3, "where": "folder = 'cold'"}):
        for mine, theirs in zip(one.search_vectors(queries, **how), other.search_vectors(queries, **how), strict=True):
            assert [(hit.id, hit.aliases, hit.metadata) for hit in mine] == [
                (hit.id, hit.aliases, hit.metadata) for hit in theirs
            ]
            assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], abs=1e-6)


def test_on_object_storage(
    photos: Path, tmp_path: Path, embedder: ColourEmbedder, bucket: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setattr("plait.api.load", lambda place: ColourEmbedder(("de" if "other" in str(place) else "c0") * 32))
    index, _ = build_index(embedder, photos, tmp_path / "i")
    index.delete(["warm/almost.png"])
    place = f"{bucket}/below/photos.lance"
    code, _, err = run("index", "publish", tmp_path / "i", place)
    assert code == 2 and f"{place} is an address; add --allow-remote" in err
    code, out, err = run("index", "publish", tmp_path / "i", place, "--allow-remote")
    assert (code, out) == (0, f"{place}: 4 items\n"), err
    opened = open_index(place, embedder, allow_remote=True)
    assert len(opened) == 4 and opened.info()["contents"] == 3
    same_answers(index, opened)
    found = only_json(run("search", place, "red", "--model", tmp_path / "model", "--allow-remote", "--json")[1])
    assert found["items"] == 4 and found["hits"][0]["id"] == index.search("red")[0].id
    refused = {
        ("search", place, "red"): "add --allow-remote",
        ("search", place, "red", "--model", tmp_path / "other", "--allow-remote"): "this index was built with model",
        ("search", f"{bucket}/none.lance", "red", "--allow-remote"): "there is no published index at s3://photos/none",
        ("search", f"{bucket}/photos", "red", "--allow-remote"): "must end in .lance",
        ("search", "ftp://x/photos.lance", "red", "--allow-remote"): "type s3://BUCKET/NAME.lance",
        ("index", "publish", tmp_path / "i", place, "--allow-remote"): "add --overwrite",
    }
    for typed, said in refused.items():
        code, _, err = run(*typed)
        assert code != 0 and said in err and "hush" not in err, err
    assert run("index", "publish", tmp_path / "i", place, "--allow-remote", "--overwrite")[0] == 0


def test_in_a_folder(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend="lance")
    place = tmp_path / "photos.lance"
    assert not is_published(tmp_path / "i") and publish_index(index, str(place)) == 5
    opened = open_index(place, embedder)
    same_answers(index, opened)
    assert opened.info(verify=True)["damaged"] == [] and opened.info()["bytes"] > 0
    assert set(opened.storage.known()) == set(index.storage.known())
    with pytest.raises(ValueError, match="not changed in place"):
        opened.delete(["warm/almost.png"])
    with pytest.raises(FileNotFoundError, match="plait index publish"):
        open_index(tmp_path / "none.lance", embedder)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        publish_index(index, str(place))
    index.delete(list(index.storage.known()))
    with pytest.raises(ValueError, match="is empty"):
        publish_index(index, str(tmp_path / "empty.lance"))


def test_what_publishing_does_not_touch(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    mine = tmp_path / "mine.lance"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds other files \('thesis.txt'\)"):
        publish_index(index, str(mine), overwrite=True)
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]
    (tmp_path / "file.lance").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        publish_index(index, str(tmp_path / "file.lance"))
    place = tmp_path / "a.lance"
    publish_index(index, str(place))
    with pytest.raises(ValueError, match="lies inside the Lance table"):
        publish_index(index, str(place / "b.lance"))
    with pytest.raises(FileExistsError, match="add overwrite=True to"):
        publish_index(index, str(place))
    assert publish_index(index, str(place), overwrite=True) == len(index)
    with pytest.raises(ValueError, match="holds credentials"):
        publish_index(index, "s3://me:hush@bucket/a.lance", allow_remote=True)


def test_what_is_written_over(
    photos: Path, tmp_path: Path, embedder: ColourEmbedder, capfd: pytest.CaptureFixture[str]
) -> None:
    """A place where nothing is yet, one that has an index, one whose rows are broken: Lance says nothing of them."""
    index, _ = build_index(embedder, photos, tmp_path / "i")
    place = tmp_path / "a.lance"
    for breaks in (False, True, False):
        assert publish_index(index, str(place), overwrite=True) == len(index) == len(open_index(place, embedder))
        for file in (place / "data").iterdir() if breaks else ():
            file.write_bytes(b"x")
    assert capfd.readouterr().err == ""


def test_names_that_no_lance_table_takes(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    view = index.storage.view()
    for name in ("a.b", "_distance", "`tick`"):
        items = view.items.append_column(name, view.items.column("_id"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(index.storage, "view", lambda items=items: replace(view, items=items))
            with pytest.raises(ValueError, match="cannot stand in a Lance table; rename it"):
                publish_index(index, str(tmp_path / "a.lance"))
    assert not (tmp_path / "a.lance").exists()


def test_filters_and_damage_of_a_published_index(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    place = tmp_path / "a.lance"
    publish_index(index, str(place))
    other = open_index(place, embedder)
    query = np.ones((1, index.manifest.dim), np.float32)
    wanted = index.search_vectors(query, k=1)[0][0].id
    for where in (f"id = '{wanted}'", f"\"id\" = '{wanted}'"):
        (found,) = other.search_vectors(query, k=9, where=where)
        assert wanted in [name for hit in found for name in (hit.id, *hit.aliases)]
    for where in ("lower(folder) = 'cold'", "folder", "nope = 1", "folder = 3", "folder = 'cold' -- c", " "):
        said = []
        for one in (index, other):
            with pytest.raises(ValueError) as refused:
                one.search_vectors(query, where=where)
            said.append(str(refused.value))
        assert said[0] == said[1]
    for where in ("folder = 'cold'; drop table items", "folder = 'cold' -- c", " "):
        with pytest.raises(ValueError, match="the filter"):
            other.search_vectors(query, where=where)
    for data in (place / "data").iterdir():
        data.write_bytes(data.read_bytes()[:9])
    broken = open_index(place, embedder)
    with pytest.raises(DamagedIndexError, match="cannot be read") as caught:
        broken.search_vectors(query)
    assert "cargo" not in str(caught.value)
    assert broken.storage.verify()


def test_an_endpoint_where_nobody_listens(
    photos: Path, tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    began = time.monotonic()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        for ask in (
            lambda: open_index("s3://photos/a.lance", embedder, allow_remote=True),
            lambda: publish_index(index, "s3://photos/a.lance", allow_remote=True),
        ):
            with pytest.raises(OSError, match=f"nobody answers at {address}"):
                ask()
    assert time.monotonic() - began < 5


def test_a_table_of_another_kind_is_named(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    import lancedb

    index, _ = build_index(embedder, photos, tmp_path / "i")
    publish_index(index, str(tmp_path / "a.lance"))
    database = lancedb.connect(tmp_path)
    whole = database.open_table("a").to_arrow()
    for name, table, reason in (
        ("b", whole.drop_columns(["_key"]), "lacks the column '_key'"),
        ("c", whole.replace_schema_metadata({b"plait.manifest": whole.schema.metadata[b"plait.manifest"]}), "contents"),
    ):
        database.create_table(name, table)
        with pytest.raises(DamagedIndexError, match=reason):
            open_index(tmp_path / f"{name}.lance", embedder)
