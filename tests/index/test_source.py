"""Sources: folders, COCO folders and files, tables, and the ids that items get."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


def test_coco_files_with_photos_elsewhere(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name in ("val2017/a", "images/b", "images/val2014/c"):
        paint(tmp_path / f"{name}.png", (255, 0, 0))
    notes = tmp_path / "annotations"
    notes.mkdir()
    for file, name, found in (
        ("captions_val2017", "val2017/a.png", "a.png"),
        ("captions_mine", "val2017/a.png", "val2017/a.png"),
        ("captions_other", "b.png", "b.png"),
    ):
        document = {"images": [{"id": 7, "file_name": name}], "annotations": [{"image_id": 7, "caption": "red"}]}
        (notes / f"{file}.json").write_text(json.dumps(document))
        made = read_source(notes / f"{file}.json", IMAGE)
        assert made.ids == [found] and (made.table.root or tmp_path).joinpath(found).is_file()
    split = {"filepath": "val2014", "filename": "c.png", "cocoid": 9, "split": "test", "sentences": [{"raw": "red"}]}
    (notes / "dataset_coco.json").write_text(json.dumps({"images": [split]}))
    assert read_source(notes / "dataset_coco.json", IMAGE).ids == ["images/val2014/c.png"]
    assert build_index(embedder, notes / "dataset_coco.json", tmp_path / "i")[1].added == 1


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


def test_ids_keep_their_spelling(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="extra dev")
    images = ["a.png", "b.png", "c.png"]

    def ids(source: object, **how: object) -> list[str]:
        return read_source(source, IMAGE, **how).ids

    def csv(*cells: str) -> Path:
        lines = [f"{cell},{image}" for cell, image in zip(cells, images, strict=True)]
        (tmp_path / "t.csv").write_text("\n".join(["id,image", *lines]))
        return tmp_path / "t.csv"

    frame = pandas.DataFrame({"id": [1, 2, float("nan")], "image": images}).iloc[:2]  # NaN made them 1.0, 2.0
    assert ids(frame) == ["1", "2"]
    assert ids({"id": [1.0, 2.5, 1e20], "image": images}) == ["1", "2.5", "100000000000000000000"]
    assert ids({"id": ["1.0", "1", "01"], "image": images}) == ["1.0", "1", "01"]
    assert ids(csv("1", "2", "3")) == ["1", "2", "3"]
    assert ids(csv("1.0", "1.00", "1")) == ["1.0", "1.00", "1"]  # as the file spells them
    assert ids(csv("007", "010", "11")) == ["007", "010", "11"]
    table = pa.table({"id": pa.array([1, None, 3], pa.float64()), "image": images})
    pq.write_table(table.slice(0, 1), tmp_path / "t.parquet")
    assert ids(tmp_path / "t.parquet", id="id") == ["1"]
    for values, said in (
        ([1.0, 2.0, 1.0], "the id '1' stands in row 0 and in row 2; ids must differ"),
        ([1.0, float("nan"), None], "it names no item in rows 1, 2"),
        ([1, 1, 1], "stands in row 0 and in row 1, and 1 more rows repeat ids"),
    ):
        with pytest.raises(ValueError, match=said):
            ids({"id": values, "image": images}, id="id")
        made = read_source({"id": values, "image": images}, IMAGE)
        assert made.ids == images and said in made.notes[0]  # told, not silent


def test_ids_are_found_as_they_are_seen(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name, red in (("a", 255), ("b", 90)):
        paint(tmp_path / f"{name}.png", (red, 60, 0))
    images = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    index, _ = build_index(embedder, {"id": [1.0, 2.0], "image": images}, tmp_path / "i", allow_outside=True)
    assert [h.id for h in index.search("red")] == ["1", "2"]
    assert index.delete("1") == 1 and index.delete(["2.0"]) == 1
    index, _ = build_index(embedder, {"id": ["1.0", "1"], "image": images}, tmp_path / "j", allow_outside=True)
    assert index.delete("1.0") == 1 and list(index.storage.known()) == ["1"]
    with pytest.raises(ValueError, match="'3' for one"):
        index.delete("3")


def test_the_column_of_ids_is_remembered(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name in "ab":
        paint(tmp_path / f"{name}.png", (255, ord(name), 0))
    table = tmp_path / "t.csv"
    table.write_text("sku,image\n1,a.png\n2,b.png\n")
    index, _ = build_index(embedder, table, tmp_path / "i", id="sku")
    for again in (index.update, index.add, lambda source: build_index(embedder, source, tmp_path / "i")[1]):
        assert (report := again(table)).added == 0 and report.unchanged == 2
    assert sorted(index.storage.known()) == ["1", "2"]


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
