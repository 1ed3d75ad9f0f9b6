"""Sources: folders, COCO folders and files, tables, and the ids that items get."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fixtures.colours import MODALITIES, ColourEmbedder, paint
from plait.index import build_index
from plait.index.source import read_source

TEXT, IMAGE = MODALITIES


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    folder = tmp_path / "coco"
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        paint(folder / "val2017" / f"{name}.png", colour)
    (folder / "annotations").mkdir()
    document = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "red 猫"},
            {"id": 2, "image_id": 9, "caption": "green"},
            {"id": 3, "image_id": 7, "caption": "all red"},
        ],
    }
    (folder / "annotations" / "captions_val2017.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("what", ["folder", "file"])
def test_coco(coco: Path, what: str, tmp_path: Path, embedder: ColourEmbedder) -> None:
    source = coco if what == "folder" else coco / "annotations" / "captions_val2017.json"
    lead = "val2017/" if what == "folder" else ""
    photos = read_source(source, IMAGE)
    assert photos.ids == [f"{lead}a.png", f"{lead}b.png"]
    assert photos.table.column("captions") == [["red 猫", "all red"], ["green"]]
    captions = read_source(source, TEXT)
    assert sorted(captions.ids) == ["7#1", "7#2", "9#1"]
    index, report = build_index(embedder, source, tmp_path / what)
    assert report.added == 2
    hit = index.search("red", where="captions contains '猫'")[0]
    assert (hit.id, hit.text()) == (f"{lead}a.png", "red 猫") and hit.metadata["captions"] == ["red 猫", "all red"]
    assert len(index.search("red", where="captions = 'green'")) == 1


def test_ids(tmp_path: Path) -> None:
    def ids(columns: dict, **how: object) -> list[str]:
        return read_source(columns, IMAGE, **how).ids

    assert ids({"image": ["a.png", "b.png"]}) == ["a.png", "b.png"]
    assert ids({"image": ["a.png", "b.png"], "id": [3, 4]}) == ["3", "4"]
    assert ids({"image": ["a.png", "b.png"], "id": [3, 3]}) == ["a.png", "b.png"]
    assert ids({"image": ["a.png", "b.png"], "sku": ["x", "y"]}, id="sku", prefix="shop/") == ["shop/x", "shop/y"]
    assert ids({"image": ["a.png", "a.png", None]}) == ["a.png#0", "a.png#1", "row-2"]
    assert read_source({"caption": ["x", "y"]}, TEXT).ids == ["row-0", "row-1"]
    with pytest.raises(ValueError, match="unknown column 'skew'"):
        ids({"image": ["a.png"], "sku": ["x"]}, id="skew")


def test_rows_that_do_not_parse_are_told(tmp_path: Path, embedder: ColourEmbedder) -> None:
    paint(tmp_path / "a.png", (255, 0, 0))
    lines = ['{"image": "a.png"}', "{broken", '{"image": "gone.png"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    index, report = build_index(embedder, tmp_path / "t.jsonl", tmp_path / "i")
    assert len(index) == 1 and [row for row, _ in report.bad_rows] == [1, 2]
    assert index.info()["sources"][0]["unreadable"] == 2


def test_a_file_name_that_is_no_text_is_left_out_and_told(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name in (b"a.png", b"b\xff.png", "\u732b.png".encode()):
        place = os.path.join(os.fsencode(tmp_path / "p"), name)
        try:
            os.rename(paint(tmp_path / "p" / "x.png", (255, len(name), 0)), place)
        except OSError:  # this file system takes text alone
            pytest.skip("file names must be text here")
    index, report = build_index(embedder, tmp_path / "p", tmp_path / "i")
    assert sorted(index.storage.known()) == ["a.png", "\u732b.png"]
    assert report.bad_rows == [(1, "'b\\udcff.png': the file name is no valid text; rename it")]
    assert [h.row for h in index.search("red")] in ([0, 2], [2, 0])


def test_folders_hide_nothing(tmp_path: Path) -> None:
    paint(tmp_path / "p" / "x" / "y" / "deep.PNG", (1, 2, 3))
    paint(tmp_path / "p" / ".cache" / "hidden.png", (1, 2, 3))
    found = read_source(tmp_path / "p", IMAGE)
    assert found.ids == ["x/y/deep.PNG"] and found.table.column("folder") == ["x/y"]
    with pytest.raises(ValueError, match="needs a table"):
        read_source(tmp_path / "p", TEXT)
    with pytest.raises(ValueError, match="annotations= goes with"):
        read_source({"image": ["a"]}, IMAGE, annotations="x")
