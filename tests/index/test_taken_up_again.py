"""A source that is taken in again: files that changed in place, items that were deleted, rows that were mended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures.colours import ColourEmbedder, paint
from plait.data.cell_error import CellError
from plait.data.picture import memory_reason
from plait.index import build_index, open_index

BLUE = (0, 0, 250)


@pytest.mark.parametrize("verb", ["build", "add"])
def test_a_photo_replaced_in_place(
    photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str, verb: str
) -> None:
    place = tmp_path / "i"
    index, _ = build_index(embedder, photos, place, backend=backend)
    paint(photos / "cold" / "green.png", BLUE)
    paint(photos / "cold" / "broken.png", (9, 255, 9))  # mended
    embedder.embedded.clear()
    report = index.add(photos) if verb == "add" else build_index(embedder, photos, place, backend=backend)[1]
    assert (report.updated, report.added, report.unchanged, report.bad_rows) == (1, 1, 4, [])
    assert "1 added, 1 changed, 4 unchanged" in report.text()
    assert sorted(map(os.path.basename, embedder.embedded)) == ["broken.png", "green.png"]
    for found in (open_index(place, embedder), build_index(embedder, photos, place, backend=backend)[0]):
        assert found.search("green", k=1)[0].id == "cold/broken.png"
        assert {h.id for h in found.search("blue", k=2)} == {"cold/green.png", "cold/أزرق.png"}
        assert found.info()["sources"][0]["unreadable"] == 0


def test_a_copy_with_the_same_time_and_another_size(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    green = photos / "cold" / "green.png"
    time = os.stat(green).st_mtime_ns
    paint(green, BLUE, size=9)
    os.utime(green, ns=(time, time))
    assert index.add(photos).updated == 1 and index.search("green", k=1)[0].score < 0.5


def test_the_same_size_and_time_are_found_by_check(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    green = photos / "cold" / "green.png"
    green.write_bytes(green.read_bytes().ljust(100, b"\0"))  # a PNG ends before the zeros
    index, _ = build_index(embedder, photos, tmp_path / "i")
    time = os.stat(green).st_mtime_ns
    green.write_bytes(paint(tmp_path / "x.png", BLUE).read_bytes().ljust(100, b"\0"))
    os.utime(green, ns=(time, time))
    assert index.add(photos).updated == 0
    assert index.add(photos, check=True).updated == 1
    assert [h.id for h in index.search("blue", k=2)] == ["cold/أزرق.png", "cold/green.png"]
    assert build_index(embedder, photos, tmp_path / "i", check=True)[1].updated == 0


def test_a_new_time_alone_is_hashed_once(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend=backend)
    generation = index.manifest.generation
    assert index.add(photos).unchanged == 5 and index.manifest.generation == generation  # nothing is written
    os.utime(photos / "cold" / "green.png")
    report = index.add(photos)
    assert (report.updated, report.unchanged) == (0, 5) and index.manifest.generation == generation + 1
    assert index.add(photos).unchanged == 5 and index.manifest.generation == generation + 1


def test_a_deleted_item_is_added_again(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend=backend)
    index.delete(["cold/green.png"])
    assert len(index) == 4
    report = index.add(photos)
    assert (report.added, report.unchanged, report.shared, len(index)) == (1, 4, 0, 5)
    assert index.search("green", k=1)[0].id == "cold/green.png"
    index.delete(["warm/红.png"])
    assert build_index(embedder, photos, tmp_path / "i", backend=backend)[1].added == 1


def test_changed_metadata_and_rows_are_taken_up(tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        paint(tmp_path / f"{name}.png", colour)
    table = tmp_path / "t.csv"
    table.write_text("image,label,size\na.png,rot,\nb.png,gruen,1.5\n")
    index, _ = build_index(embedder, table, tmp_path / "i", backend=backend)
    assert index.add(table).unchanged == 2
    table.write_text("image,label,size\nb.png,vert,1.5\na.png,rot,\n")
    report = index.add(table)
    assert (report.retold, report.updated, report.unchanged) == (1, 0, 1)
    assert [(h.row, h.metadata["label"]) for h in index.search("red")] == [(1, "rot"), (0, "vert")]


def test_a_column_of_another_type_becomes_text(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        paint(tmp_path / f"{name}.png", colour)
    (tmp_path / "one.csv").write_text("image,label\na.png,1\n")
    (tmp_path / "two.csv").write_text("image,label\nb.png,x\n")
    index, _ = build_index(embedder, tmp_path / "one.csv", tmp_path / "i")
    assert index.add(tmp_path / "two.csv").added == 1
    for found in (index, open_index(tmp_path / "i", embedder)):
        assert [h.metadata["label"] for h in found.search("red")] == ["1", "x"]
    lists = {"image": [str(tmp_path / "a.png")], "label": [["x"]], "id": ["c"]}
    with pytest.raises(ValueError, match="'label' is .* in two sources; give it one type in both"):
        index.add(lists, allow_outside=True)
    assert len(open_index(tmp_path / "i")) == 2


def test_a_photo_that_breaks_stays_and_is_told(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    (photos / "cold" / "green.png").write_bytes(b"cut off")
    report = index.add(photos)
    assert [why.split(":")[0] for _, why in report.bad_rows] == ["cold/broken.png", "cold/green.png"]
    assert index.search("green", k=1)[0].id == "cold/green.png" and len(index) == 5


def test_rows_refused_for_another_reason_than_their_file_are_looked_at_again(
    tmp_path: Path, embedder: ColourEmbedder
) -> None:
    (tmp_path / "table").mkdir()
    paint(tmp_path / "outside.png", BLUE)
    table = tmp_path / "table" / "t.csv"
    table.write_text("image\n../outside.png\n", encoding="utf-8")
    _, refused = build_index(embedder, table, tmp_path / "i")
    assert "allow_outside=True" in refused.bad_rows[0][1]
    index, report = build_index(embedder, table, tmp_path / "i", allow_outside=True)
    assert (report.added, report.bad_rows, len(index)) == (1, [], 1)
    assert index.info()["sources"][0]["unreadable"] == 0


def test_a_lack_of_memory_is_not_remembered(
    photos: Path, tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise CellError(memory_reason((4, 4)))

    with monkeypatch.context() as patched:
        patched.setattr("fixtures.colours.picture_vector", full)
        assert len(build_index(embedder, photos, tmp_path / "i")[1].bad_rows) == 6
    _, report = build_index(embedder, photos, tmp_path / "i")
    assert report.added == 5 and [why.split(":")[0] for _, why in report.bad_rows] == ["cold/broken.png"]
