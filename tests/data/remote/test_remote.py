"""Cells that are addresses: refused without a word from the user, fetched once, kept by content, secrets unsaid."""

from __future__ import annotations

import errno
import io
import os
import socket
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.media import noise_png
from fixtures.remote_site import HOST, Site, site
from plait.data.bad_rows import apply_policy
from plait.data.cell_error import CellError, shown
from plait.data.items import read_rows
from plait.data.media import content_key, read_media
from plait.data.media_folder import MediaFolder
from plait.data.modality import Modality
from plait.data.remote import store as store_module
from plait.data.remote import web
from plait.data.remote.address import address_key, is_remote, without_secrets
from plait.data.remote.objects import RemoteObjects
from plait.data.remote.store import CacheFolderError, ObjectStore
from plait.data.schema import guess_schema
from plait.data.sound import find_sound
from plait.data.table import Table, read_table
from plait.data.vectors import read_vector
from plait.files import DiskFullError

__all__ = ["site"]
IMAGE = [Modality("image", "image", ("image",))]
PHOTO = noise_png(1)
SECRETS = f"https://me:geheim@{HOST}/a.png?X-Amz-Signature=abc'd&token=xyz#frag"


def remote(cells: list[Any], **more: list[Any]) -> Table:
    return read_table({"image": cells, **more}, allow_remote=True)


def contents(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "objects").rglob("*") if p.is_file() and p.suffix != ".json")


def test_an_address_is_refused_unless_asked_for_and_others_always(site: Site, cache: Path) -> None:
    site.files["/a.png"] = PHOTO
    for cell in (site.address("/a.png"), "s3://b/a.png", "gs://b/a.png", "hf://datasets/u/d/a.png"):
        for read in (read_media, find_sound):
            with pytest.raises(CellError, match="is an address, and nothing is fetched.*allow_remote=True"):
                read(cell, MediaFolder(None))
    allowed = MediaFolder(None, remote=RemoteObjects())
    for cell in ("http://x.org/a.png", "ftp://x.org/a.png", "gopher://x.org/a.png", "memory://a.png"):
        with pytest.raises(CellError, match="never fetched; expected a path, or one of s3://, gs://, hf://, https://"):
            read_media(cell, allowed)
    with pytest.raises(CellError, match="outside"):
        read_media("file:///etc/passwd", allowed)
    assert not site.asked and not cache.exists() and not is_remote("http://x.org/a.png")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fe80::1"]
)
def test_private_addresses_are_refused(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    site.files |= {"/a.png": PHOTO, "/to.png": b"https://inside.example.org/a.png"}
    site.status["/to.png"] = [302]
    monkeypatch.setattr(
        web, "looked_up", lambda host: ["93.184.216.34"] if host == HOST else ["93.184.216.34", address]
    )
    written = f"https://[{address}]/a.png" if ":" in address else f"https://{address}/a.png"
    rows = read_rows(
        remote([site.address("/a.png"), "https://inside.example.org/a.png", site.address("/to.png")]), IMAGE
    )
    assert [bad.row for bad in rows.bad] == [1, 2] and all("private network" in bad.reason for bad in rows.bad)
    monkeypatch.setattr(web, "looked_up", lambda host: [host])
    (bad,) = read_rows(remote([written]), IMAGE).bad
    assert "private network" in bad.reason
    assert [path for path, _ in site.asked] == ["/a.png", "/to.png"] or len(site.asked) == 2


def test_a_second_run_fetches_nothing_and_a_change_is_fetched(site: Site, cache: Path) -> None:
    site.files |= {"/a.png": PHOTO, "/b.png": noise_png(2), "/again": PHOTO}
    table = [site.address(path) for path in ("/a.png", "/b.png", "/again", "/a.png")]
    steps: list[tuple[int, int, str]] = []
    first = remote(table)
    rows = read_rows(first, IMAGE, lambda *step: steps.append(step))
    assert rows.items["image"].keys == [content_key(PHOTO), content_key(noise_png(2))] and not rows.bad
    assert rows.items["image"].index_N.tolist() == [0, 1, 0, 0]
    assert steps == [(n, 3, "fetching") for n in (1, 2, 3)] and site.fetched() == 3
    assert contents(cache) == sorted({content_key(PHOTO), content_key(noise_png(2))})
    assert read_media(table[1], first.media_folder) == noise_png(2) and site.fetched() == 3
    second = remote(table)
    read_rows(second, IMAGE)
    assert second.remote is not None and second.remote.counts == {"unchanged": 3} and site.fetched() == 3
    site.files["/b.png"] = noise_png(3)
    third = remote(table)
    assert read_rows(third, IMAGE).items["image"].keys == [content_key(PHOTO), content_key(noise_png(3))]
    assert third.remote is not None and third.remote.counts == {"unchanged": 2, "fetched": 1}


def test_a_host_that_never_answers_is_given_up(site: Site, cache: Path) -> None:
    site.is_down = True
    remote = RemoteObjects()
    addresses = [site.address(f"/{number}.jpg") for number in range(60)]
    remote.bring(addresses, 1000)
    reasons = []
    for address in addresses:
        with pytest.raises(CellError) as raised:
            remote.find(address, 1000)
        reasons.append(str(raised.value))
    tried = sum("tried 3 times" in reason for reason in reasons)
    assert 3 <= tried <= 3 + 8 and len(reasons) - tried == sum("it was not asked again" in one for one in reasons)
    assert remote.counts == {"failed": 60}


def test_offline_what_was_fetched_is_used_and_that_is_said(site: Site, cache: Path) -> None:
    site.files |= {"/a.png": PHOTO, "/b.png": noise_png(2)}
    cells = [site.address("/a.png"), site.address("/b.png")]
    read_rows(remote(cells), IMAGE)
    site.is_down = True
    with pytest.warns(UserWarning, match=f"objects of https://{HOST} cannot be reached now; their copies"):
        rows = read_rows(remote([*cells, site.address("/c.png")]), IMAGE)
    assert [bad.row for bad in rows.bad] == [2] and "cannot be reached over https (tried 3 times)" in rows.bad[0].reason
    assert len(rows.items["image"].keys) == 2


def test_a_busy_host_is_asked_again_and_a_missing_object_is_not(site: Site, cache: Path) -> None:
    site.files["/a.png"] = PHOTO
    site.status["/a.png"] = [503, 429]
    rows = read_rows(remote([site.address("/a.png"), site.address("/gone.png")]), IMAGE)
    assert site.asked == {("/a.png", 503): 1, ("/a.png", 429): 1, ("/a.png", 200): 1, ("/gone.png", 404): 1}
    (bad,) = rows.bad
    assert bad.row == 1 and "the host answered 404" in bad.reason
    kept = {policy: apply_policy(rows, policy).tolist() for policy in ("missing", "skip")}
    assert kept == {"missing": [0, 1], "skip": [0]}
    with pytest.raises(ValueError, match=r"row 1.*cannot be fetched"):
        apply_policy(rows, "error")


def test_too_large_and_empty_objects(site: Site, cache: Path) -> None:
    site.files |= {"/a": b"x" * 101, "/none": b""}
    folder = MediaFolder(None, remote=RemoteObjects())
    with pytest.raises(CellError, match="more than 100 bytes"):
        read_media(site.address("/a"), folder, max_bytes=100)
    with pytest.raises(CellError, match="empty"):
        read_media(site.address("/none"), folder)
    assert not contents(cache)


def test_secrets_are_never_said_or_written(site: Site, cache: Path) -> None:
    site.files["/a.png"] = PHOTO
    for said in (shown(SECRETS), without_secrets(f"see {SECRETS} there"), without_secrets(repr(SECRETS))):
        assert HOST in said and not any(word in said for word in ("me:", "geheim", "abc", "xyz", "frag"))
    signed = [f"{site.address('/a.png')}?X-Amz-Signature={n}&X-Amz-Date={n}&v=1" for n in ("one", "two")]
    assert address_key(signed[0]) == address_key(signed[1]) != address_key(f"{site.address('/a.png')}?v=2")
    rows = read_rows(
        remote([signed[0], SECRETS, f"{site.address('/no.png')}?sig=hush", f"https://key:hush@{HOST}/a.png"]), IMAGE
    )
    assert [bad.row for bad in rows.bad] == [1, 2, 3]
    written = "".join(p.read_text() for p in (cache / "objects" / "index").rglob("*.json"))
    names = "".join(map(str, (cache / "objects").rglob("*")))
    for text in (*(bad.reason for bad in rows.bad), written, names):
        assert not any(word in text for word in ("hush", "geheim", "abc", "xyz", "=one"))
    assert HOST not in written + names
    again = remote([signed[1]])
    read_rows(again, IMAGE)
    assert again.remote is not None and again.remote.counts == {"unchanged": 1}


def test_nothing_half_is_left_or_taken(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/a.png"] = PHOTO
    address = site.address("/a.png")

    def killed(write: Any) -> Any:
        write(PHOTO[:50])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ObjectStore().write(address, killed)
    assert not contents(cache) and ObjectStore().known(address) is None
    read_rows(remote([address]), IMAGE)
    (kept,) = contents(cache)
    place = cache / "objects" / kept[:2] / kept
    place.write_bytes(PHOTO[:-1] + b"x")  # of a disk that lost power, say
    assert ObjectStore().known(address) is None
    assert not read_rows(remote([address]), IMAGE).bad and place.read_bytes() == PHOTO
    left = cache / "objects" / "tmp-1-x"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    ObjectStore().sweep()
    assert not left.exists()


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, DiskFullError, "the disk is full.*PLAIT_CACHE"),
        (errno.EROFS, CacheFolderError, "Read-only.*PLAIT_CACHE"),
    ],
)
def test_a_disk_that_takes_nothing_ends_the_run_with_one_sentence(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], said: str
) -> None:
    site.files |= {"/a.png": PHOTO, "/b.png": noise_png(2)}
    read_rows(remote([site.address("/a.png")]), IMAGE)

    def refused() -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store_module, "temporary_name", refused)
    assert not read_rows(remote([site.address("/a.png")]), IMAGE).bad  # what is there needs no room
    with pytest.raises(kind, match=said):
        read_rows(remote([site.address("/b.png")]), IMAGE)


def test_kinds_are_told_by_the_ending_or_by_a_few_objects(site: Site, cache: Path) -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000), file.writeframes(bytes(1600))
    vector = io.BytesIO()
    np.save(vector, np.arange(4.0))
    site.files |= {f"/{kind}/{i}": body for i in range(20) for kind, body in
                   (("p", PHOTO), ("s", sound.getvalue()), ("v", vector.getvalue()))}  # fmt: skip
    columns = {"named": [site.address(f"/x/{i}.jpg?sig=1") for i in range(20)]}
    columns |= {kind: [site.address(f"/{kind}/{i}") for i in range(20)] for kind in "psv"}
    table = read_table({**columns, "y": [0, 1] * 10}, allow_remote=True)
    kinds = {column.name: column.kind for column in guess_schema(table, target="y").columns}
    assert kinds == {"named": "image", "p": "image", "s": "audio", "v": "vector", "y": "categorical"}
    assert site.fetched() == 15 and not any(path.startswith("/x") for path, _ in site.asked)
    found = read_vector(columns["v"][0], table.media_folder)
    assert found is not None and found.tolist() == [0, 1, 2, 3]
    assert isinstance(find_sound(columns["s"][0], table.media_folder), Path)


def test_sets_of_addresses(site: Site, cache: Path) -> None:
    site.files |= {f"/{i}.png": noise_png(i) for i in range(3)}
    both = ";".join(site.address(f"/{i}.png") for i in (0, 1))
    table = read_table({"image": [both, f'["{site.address("/2.png")}"]']}, allow_remote=True)
    rows = read_rows(table, [Modality("image", "image_set", ("image",))])
    assert not rows.bad and rows.items["image"].parts is not None and len(rows.items["image"].parts.keys) == 3
    assert site.fetched() == 3


def test_texts_that_are_addresses_are_texts(site: Site, cache: Path) -> None:
    cells = [f"{site.address('/page')} is a page about thing {i}" for i in range(20)]
    table = read_table({"text": cells}, allow_remote=True)
    rows = read_rows(table, [Modality("text", "text", ("text",))])
    assert rows.items["text"].cells == cells and not rows.bad and not site.asked


def test_nothing_is_resolved_twice(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers otherwise the second time changes nothing: the connection goes where was looked."""
    made: list[tuple[Any, ...]] = []
    monkeypatch.undo()
    monkeypatch.setattr(web, "looked_up", lambda host: ["93.184.216.34"])
    monkeypatch.setattr(socket, "create_connection", lambda place, timeout: made.append(place) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        web.fetch_web("https://photos.example.org/a", print, most_bytes=10, until=float("inf"))
    assert made == [("93.184.216.34", 443)]
