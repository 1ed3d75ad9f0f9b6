"""Which file a cell names: inside the table's folder, ordinary, and found in every Unicode spelling."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.media import encoded
from plait.data.coco.photos import missing_photos
from plait.data.items import read_rows
from plait.data.media import CellError, read_media
from plait.data.media_folder import MediaFolder, is_file
from plait.data.modality import Modality
from plait.data.sound import find_sound
from plait.data.table import read_table
from plait.data.vectors import read_vector

RED = encoded(Image.new("RGB", (8, 8), "red"))
NFC, NFD = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.png").write_bytes(RED)
    inside = tmp_path / "table"
    inside.mkdir()
    (inside / "in.png").write_bytes(RED)
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (inside / "within.png").symlink_to("in.png")
    (inside / "up").symlink_to(tmp_path)
    return inside


def test_what_lies_outside_is_refused_without_a_look(folder: Path) -> None:
    confined = MediaFolder(folder)
    outside = ["../secret.png", str(folder.parent / "secret.png"), "link.png", "up/secret.png", "/etc/passwd",
               "/no/such/file.png", (folder.parent / "secret.png").as_uri(), f"{folder}-beside/x.png"]  # fmt: skip
    for cell in outside:
        for read in (read_media, find_sound):
            with pytest.raises(CellError, match=r"outside the folder.*allow_outside=True"):
                read(cell, confined)
        assert not is_file(cell, confined)
    with pytest.raises(CellError, match="outside"):
        read_vector("../v.npy", confined)
    for cell in ("in.png", str(folder / "in.png"), "within.png", "./up/../in.png", (folder / "in.png").as_uri()):
        if "up" not in cell:
            assert read_media(cell, confined) == RED
    assert read_media("../secret.png", MediaFolder(folder, allow_outside=True)) == RED


def test_a_table_counts_the_rows_that_name_files_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "t.csv").write_text("image\nin.png\n../secret.png\n/proc/kmsg\n")
    image = [Modality("image", "image", ("image",))]
    rows = read_rows(read_table(folder / "t.csv"), image)
    assert [bad.row for bad in rows.bad] == [1, 2] and all("outside" in bad.reason for bad in rows.bad)
    allowed = read_rows(read_table(folder / "t.csv", allow_outside=True), image)
    assert [(bad.row, "empty" in bad.reason or "no such" in bad.reason) for bad in allowed.bad] == [(2, True)]
    in_memory = {"image": [str(folder / "in.png"), str(folder.parent / "secret.png")]}
    monkeypatch.chdir(folder)
    rows = read_rows(read_table(in_memory), image)
    assert [bad.row for bad in rows.bad] == [1] and "current folder" in rows.bad[0].reason
    assert not read_rows(read_table(in_memory, allow_outside=True), image).bad
    kept = read_table(in_memory, allow_outside=True).take([1, 0])
    assert not read_rows(kept, image).bad


def test_only_ordinary_files_that_hold_something_are_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "none.png").write_bytes(b"")
    for name, message in (("pipe.png", "not an ordinary file"), ("none.png", "empty"), ("up", "outside")):
        with pytest.raises(CellError, match=message):
            read_media(name, MediaFolder(folder))
    for name in ("/dev/zero", "/dev/stdin", "/proc/self/environ"):
        with pytest.raises(CellError, match="not an ordinary file|empty|no such"):
            read_media(name, None)


@pytest.mark.parametrize(
    ("stored", "named"),
    [(NFC, NFD), (NFD, NFC), ("a.png", "a\u200b.png"), ("\ufeffa.png", "a.png"), (f"x{NFD}", f"x{NFC}")],
)
def test_names_that_look_alike_are_the_same(tmp_path: Path, stored: str, named: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / stored).write_bytes(RED)
    assert read_media(f"d/{named}", MediaFolder(tmp_path)) == RED


def test_look_alikes_in_folders_and_links(tmp_path: Path) -> None:
    place = tmp_path / unicodedata.normalize("NFD", "été")
    place.mkdir()
    (place / NFC).write_bytes(RED)
    (place / unicodedata.normalize("NFD", "ü.png")).symlink_to("/etc/passwd")
    assert read_media(f"été/{NFD}", MediaFolder(tmp_path)) == RED
    with pytest.raises(CellError, match="outside"):
        read_media("été/ü.png", MediaFolder(tmp_path))


def test_photos_of_annotations_are_there_in_the_other_spelling(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / NFD).write_bytes(RED)
    assert missing_photos([f"val/{NFC}", f"val/{NFD}", "val/no.png"], tmp_path) == ["val/no.png"]


def test_the_exact_name_comes_first_and_two_others_are_an_error(tmp_path: Path) -> None:
    blue = encoded(Image.new("RGB", (8, 8), "blue"))
    (tmp_path / NFC).write_bytes(RED)
    (tmp_path / NFD).write_bytes(blue)
    assert (read_media(NFC, tmp_path), read_media(NFD, tmp_path)) == (RED, blue)
    with pytest.raises(CellError, match="2 names differ"):
        read_media("é\u200b.png", tmp_path)


def test_a_miss_names_what_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "IMG 1.JPG").write_bytes(RED)
    for named in ("img 1.jpg", "IMG\u202f1.JPG", "IMG 1.JPG "):
        with pytest.raises(CellError, match=r"no such file.*did you mean 'IMG 1\.JPG'"):
            read_media(named, tmp_path)


def test_vectors_in_files_are_confined_too(folder: Path) -> None:
    np.save(folder / "v.npy", np.ones(3))
    found = read_vector("v.npy", MediaFolder(folder))
    assert found is not None and found.tolist() == [1, 1, 1]
