"""Files that lie elsewhere now: paths are rewritten, nothing is embedded again, what is missing is named."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from fixtures.colours import MODALITIES, ColourEmbedder, paint
from plait.data.modality import Modality
from plait.index import IndexFolderError, build_index, folder, lance, missing_note, open_index
from plait.index.lock import write_lock
from plait.index.move import MoveReport, _moved_cell


def test_a_folder_that_moved(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend=backend)
    before = index.search("red", k=9)
    new = tmp_path / "elsewhere" / "photos"
    new.parent.mkdir()
    photos.rename(new)
    (new / "cold" / "green.png").unlink()
    dead = index.search("red", k=9)
    assert all(hit.is_missing for hit in dead)
    assert missing_note(dead, "the index") == (
        f"4 of 4 files are no longer there, {before[0].path} for one; where their folder moved, type: "
        "plait index move 'the index' OLD NEW"
    )
    assert index.info()["sources"][0]["is_missing"]
    dry = index.move(photos, new, dry_run=True)
    assert (dry.sources, dry.items, dry.found, dry.missing) == (1, 5, 4, [str(new / "cold" / "green.png")])
    assert (
        "would be moved (dry_run=True)" in dry.text() and open_index(tmp_path / "i").info()["sources"][0]["is_missing"]
    )
    report = index.move(photos, new)
    assert (report.sources, report.items, report.found, report.missing) == (1, 5, 4, dry.missing)
    for found in (index, open_index(tmp_path / "i", embedder)):
        after = found.search("red", k=9)
        assert [(h.id, h.score, h.aliases) for h in after] == [(h.id, h.score, h.aliases) for h in before]
        assert [h.path for h in after] == [str(new / Path(h.path or "").relative_to(photos)) for h in before]
        assert [h.id for h in after if h.is_missing] == ["cold/green.png"]
        assert found.info(verify=True)["damaged"] == []
    embedder.embedded.clear()
    assert index.update(new, prune=True).deleted == 1 and embedder.embedded == ["cold/broken.png"]  # the same source


def test_a_table_of_absolute_paths(tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        paint(old / f"{name}.png", colour)
    paint(tmp_path / "older" / "c.png", (0, 0, 255))  # begins alike, lies elsewhere
    cells = [str(old / "a.png"), str(old / "b.png"), str(old / "b.png"), str(tmp_path / "older" / "c.png")]
    index, _ = build_index(
        embedder, {"image": cells, "n": [0, 1, 2, 3]}, tmp_path / "i", backend=backend, allow_outside=True
    )
    shutil.move(old, new)
    report = index.move(old, new)
    assert (report.sources, report.items, report.found) == (0, 3, 3)
    moved = [cell.replace(str(old) + "/", str(new) + "/") for cell in cells]
    found = open_index(tmp_path / "i", embedder)
    assert sorted(found.storage.known()) == sorted([moved[0], f"{moved[1]}#1", f"{moved[1]}#2", moved[3]])
    assert [h.path for h in found.search("green", k=9)] == [moved[1], moved[0], moved[3]]
    assert found.search("green", k=1)[0].aliases == (f"{moved[1]}#2",)
    report = found.add({"image": moved, "n": [0, 1, 2, 3]}, allow_outside=True)
    assert (report.added, report.unchanged) == (0, 4)


def test_refusals(photos: Path, tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    (tmp_path / "empty").mkdir()
    generation = index.manifest.generation
    for old, new, said in (
        (photos, photos, "are both"),
        (photos, tmp_path / "nowhere", "does not exist; expected the folder that"),
        (tmp_path / "photo", tmp_path, "nothing of this index lies under .*photo; its sources: .*photos"),
        (photos, tmp_path / "empty", "none of the 5 items has its file under .*empty.*nothing was changed"),
    ):
        with pytest.raises(ValueError, match=said):
            index.move(old, new)
    with write_lock(tmp_path / "i"), pytest.raises(IndexFolderError, match="another process"):
        index.move(photos, tmp_path)
    assert open_index(tmp_path / "i").manifest.generation == generation
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").rename(tmp_path / "pictures")
    assert index.move("photos", "pictures").found == 5  # relative, as it is typed


def test_the_model_moves_along(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.api.load", lambda folder: ColourEmbedder())
    work = tmp_path / "work"
    (work / "model").mkdir(parents=True)
    photos.rename(work / "photos")
    build_index(work / "model", work / "photos", work / "i")
    work.rename(tmp_path / "home")
    report = open_index(tmp_path / "home" / "i").move(work, tmp_path / "home")
    assert report.model == str(tmp_path / "home" / "model") and report.found == 5
    assert not any(hit.is_missing for hit in open_index(tmp_path / "home" / "i").search("red"))


def test_added_where_it_lies_now_is_told(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    photos.rename(tmp_path / "moved")
    report = index.add(tmp_path / "moved")
    assert report.added == 0
    assert f"5 items are in the index from {photos}, which is no longer there; if it moved, type plait" in report.text()


@pytest.mark.parametrize(
    ("cell", "moved"),
    [
        ("/a/x.png;/b/y.png", "/n/x.png;/b/y.png"),
        ('["/a/x;1.png", "z.png"]', '["/n/x;1.png", "z.png"]'),
        (["/a/x.png", "/ab/x.png"], ["/n/x.png", "/ab/x.png"]),
        ("x.png; y.png", "x.png; y.png"),
        (None, None),
    ],
)
def test_cells_of_sets(cell: object, moved: object) -> None:
    sets = Modality("photos", "image_set", ("photos",))
    report = MoveReport("/a", "/n")
    assert _moved_cell(cell, Path("/r"), Path("/r"), sets, report) == moved


def test_cells_of_one_file(tmp_path: Path) -> None:
    report, image = MoveReport("/a", "/n"), MODALITIES[1]
    for cell, old, new, moved in (
        ("x.png", "/a", "/n", "x.png"),  # counts from a folder that moved along
        ("a b/x.png", "/a/t", "/n/t", "a b/x.png"),
        ("sub/x.png", "/a", "/a2", "/n/sub/x.png"),
        ("file:///a/x%20y.png", "/r", "/r", "file:///n/x%20y.png"),
        ("/ab/x.png", "/r", "/r", "/ab/x.png"),
    ):
        assert _moved_cell(cell, Path(old), Path(new), image, report) == moved
    here = MoveReport("/r/photos", "/r/pics")
    assert _moved_cell("photos/x.png", Path("/r"), Path("/r"), image, here) == "pics/x.png"


def test_dead_paths_reach_the_page(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    query = index.query("red")
    assert "plait index move" not in index.hits_page(index.search("red"), query)
    photos.rename(tmp_path / "moved")
    hits = index.search("red")
    assert "4 of 4 files are no longer there" in index.hits_page(hits, query)
    assert "plait index move i OLD NEW" in index.duplicates_page(index.near_duplicates(0.9), 0.9)
    assert json.loads(json.dumps(hits[0].to_json()))["is_missing"] is True


@pytest.mark.parametrize("failing", ["_write_items", "_write_array", "write_manifest"])
def test_a_move_that_is_cut_short_changes_nothing(
    tmp_path: Path, embedder: ColourEmbedder, backend: str, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    cells = [str(paint(old / f"{name}.png", (red, 90, 0))) for name, red in (("a", 255), ("b", 50))]
    index, _ = build_index(embedder, {"image": cells}, tmp_path / "i", backend=backend, allow_outside=True)
    whole, _ = build_index(embedder, {"image": cells}, tmp_path / "whole", backend=backend, allow_outside=True)
    old.rename(new)

    def full(*given: object, **how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if backend == "lance":  # its table is written before the manifest; the next move finishes
            patched.setattr(lance, "write_manifest", full)
        else:
            patched.setattr(folder, failing, full)
        with pytest.raises(IndexFolderError, match="No space left on device. What was committed before is whole"):
            index.move(old, new)
    half = open_index(tmp_path / "i", embedder)
    assert len(half) == 2
    if backend == "exact":
        assert sorted(half.storage.known()) == cells and not list((tmp_path / "i").glob("tmp-*"))
        half.move(old, new)
    whole.move(old, new)
    found = [
        [(h.id, h.path, h.score) for h in open_index(place, embedder).search("red")]
        for place in (tmp_path / "i", tmp_path / "whole")
    ]
    assert found[0] == found[1] and [path for _, path, _ in found[0]] == [str(new / "a.png"), str(new / "b.png")]
