"""Building and changing an index: both backends give the same answers; nothing is lost, doubled or silently dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fixtures.colours import MODALITIES, ColourEmbedder, paint
from plait.data.modality import Modality
from plait.index import build_index, open_index


def test_a_folder_of_pictures(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    index, report = build_index(embedder, photos, tmp_path / "i", backend=backend, block=2)
    assert (report.num_rows, report.added, report.embedded, report.shared, report.missing) == (6, 5, 4, 1, 0)
    assert len(report.bad_rows) == 1 and "cold/broken.png" in report.bad_rows[0][1]
    assert report.notes == ["1 file that is no image was passed over"]
    assert len(embedder.embedded) == 5  # four contents and the broken one: the copy was never looked at
    info = open_index(tmp_path / "i").info(verify=True)
    assert (info["items"], info["contents"], info["complete"], info["damaged"]) == (5, 4, True, [])
    assert info["sources"][0]["unreadable"] == 1 and "broken" in info["sources"][0]["unreadable_rows"][0]["reason"]

    hits = index.search("red", k=3)
    assert [h.id for h in hits] == ["warm/copy 🙂.png", "warm/almost.png", hits[2].id]
    assert hits[0].aliases == ("warm/红.png",)
    assert hits[0].score == pytest.approx(1.0, abs=1e-4) and hits[1].score == pytest.approx(0.99935, abs=1e-4)
    assert hits[0].path == str(photos / "warm" / "copy 🙂.png") and hits[0].metadata["folder"] == "warm"
    assert index.search("blue", k=1)[0].id == "cold/أزرق.png"
    assert [h.id for h in index.search("red", where="folder = 'cold'", k=9)] == ["cold/green.png", "cold/أزرق.png"]
    assert len(index.search("red", k=100)) == 4
    assert open_index(tmp_path / "i", embedder).search("红 🙂 أحمر", k=1)


def test_typed_again_it_does_nothing(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    build_index(embedder, photos, tmp_path / "i", backend=backend)
    again = ColourEmbedder()
    index, report = build_index(again, photos, tmp_path / "i", backend=backend)
    assert (report.added, report.embedded, report.resumed_at, len(index)) == (0, 0, 6, 5) and not again.embedded


def test_stopped_and_typed_again(photos: Path, tmp_path: Path, backend: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_index(ColourEmbedder(fail_after=3), photos, tmp_path / "i", backend=backend, block=2)
    half = open_index(tmp_path / "i")
    assert not half.info()["complete"] and 0 < len(half) < 5
    index, report = build_index(ColourEmbedder(), photos, tmp_path / "i", backend=backend, block=2)
    assert report.resumed_at == 2 and len(index) == 5 and index.info()["complete"]
    assert index.info()["sources"][0]["unreadable"] == 1


def test_add_update_delete(photos: Path, tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend=backend)
    paint(tmp_path / "more" / "yellow.png", (255, 255, 0))
    paint(tmp_path / "more" / "red too.png", (255, 0, 0))
    report = index.add(tmp_path / "more")
    assert (report.added, report.embedded, report.shared) == (2, 1, 1)
    assert index.search("red", k=1)[0].aliases == ("warm/红.png", "red too.png")
    assert index.add(tmp_path / "more").added == 0

    paint(photos / "cold" / "green.png", (0, 0, 250))  # changed
    (photos / "cold" / "أزرق.png").unlink()  # gone
    paint(photos / "cold" / "new.png", (9, 255, 9))  # new
    report = index.update(photos)
    assert (report.updated, report.added, report.gone, report.deleted, report.unchanged) == (1, 1, 1, 0, 3)
    assert [h.id for h in index.search("green", k=1)] == ["cold/new.png"]
    assert {h.id for h in index.search("blue", k=2)} == {"cold/green.png", "cold/أزرق.png"}
    report = index.update(photos, prune=True)
    assert (report.deleted, report.gone, report.updated, len(index)) == (1, 0, 0, 7)
    assert "yellow.png" in {h.id for h in index.search("red", k=9)}  # another source is never pruned

    assert index.delete(["red too.png"]) == 1 and index.search("red", k=1)[0].aliases == ("warm/红.png",)
    assert index.delete(where="folder = 'warm'") == 3
    assert [h.id for h in index.search("red", k=9)][0] == "yellow.png"
    before = index.search("green", k=9)
    index.compact()
    assert index.search("green", k=9) == before == open_index(tmp_path / "i", embedder).search("green", k=9)
    with pytest.raises(ValueError, match="'nobody' for one; nothing was deleted"):
        index.delete(["yellow.png", "nobody"])
    with pytest.raises(ValueError, match="nothing is named"):
        index.delete()
    with pytest.raises(ValueError, match="no source of this index"):
        index.update(tmp_path)
    index.delete(list(index.storage.known()))
    assert len(index) == 0 and index.search("red") == [] and index.near_duplicates() == []
    assert index.add(tmp_path / "more", prefix="again/").added == 2
    assert index.search("red", k=1)[0].id == "again/red too.png"


def test_a_table_with_metadata(tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0)), ("c", (0, 0, 255))):
        paint(tmp_path / f"{name}.png", colour)
    table = tmp_path / "t.csv"
    rows = ["image,label,year", "a.png,rot,2019", "b.png,grün,2020", "c.png,,2021", "missing.png,x,2022", ",y,2023"]
    table.write_text("\n".join(rows), encoding="utf-8")
    index, report = build_index(embedder, table, tmp_path / "i", backend=backend)
    assert (report.added, report.missing) == (3, 1)
    assert report.bad_rows[0][0] == 3 and "missing.png" in report.bad_rows[0][1]
    hits = index.search("green", where="year >= 2020")
    assert [h.id for h in hits] == ["b.png", "c.png"] and hits[0].metadata == {
        "image": "b.png", "label": "grün", "year": 2020,
    }  # fmt: skip
    assert "label" not in hits[1].metadata
    table.write_text("\n".join([*rows[:2], "b.png,vert,2020", *rows[3:]]), encoding="utf-8")
    embedder.embedded.clear()
    report = index.update(table)
    assert (report.retold, report.updated, report.embedded) == (1, 0, 0) and not embedder.embedded
    assert index.search("green", k=1)[0].metadata["label"] == "vert" and len(index) == 3
    with pytest.raises(ValueError, match="1 row of .* cannot be read"):
        build_index(embedder, table, tmp_path / "j", backend=backend, on_bad_row="error")


def test_captions_are_items_of_a_text_index(tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    table = {"caption": ["red", "green", "red", None, "  "], "n": [0, 1, 2, 3, 4]}
    index, report = build_index(embedder, table, tmp_path / "i", modality="caption", backend=backend)
    assert (report.added, report.embedded, report.missing) == (3, 2, 2)
    paint(tmp_path / "g.png", (0, 255, 0))
    hit = index.search(image=tmp_path / "g.png", k=1)[0]
    assert (hit.id, hit.path, hit.text()) == ("row-1", None, "green")
    assert index.search("red", k=1)[0].aliases == ("row-2",)


def test_text_and_picture_together(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    green = photos / "cold" / "green.png"
    both = index.search("red", image=green, k=9)
    scores = {h.id: h.score for h in both}
    assert scores["cold/green.png"] == pytest.approx(0.5, abs=1e-3)  # none of the text, all of the picture
    assert scores["warm/copy 🙂.png"] == pytest.approx(0.5, abs=1e-3)  # and the other way round
    leaning = {h.id: h.score for h in index.search("red", image=green, k=9, weight=0.8)}
    assert leaning["warm/copy 🙂.png"] == pytest.approx(0.8, abs=1e-3)
    assert index.search("red", image=green, weight=0.0, k=1)[0].id == "cold/green.png"
    for how, said in (
        ({}, "no query"),
        ({"text": " "}, "empty"),
        ({"text": "red", "weight": 1.5}, "expected 0"),
        ({"image": tmp_path / "no.png"}, "the query picture"),
        ({"image": photos / "cold" / "broken.png"}, "the query picture"),
        ({"text": "red", "k": 0}, "k is 0"),
        ({"text": "red", "where": "nope = 1"}, "unknown column"),
        ({"text": "red", "text_modality": "tittle"}, "unknown modality"),
    ):
        with pytest.raises(ValueError, match=said):
            index.search(**how)
    with pytest.raises(ValueError, match=r"needs \[Q, 8\]"):
        index.search_vectors(np.ones((1, 3)))


def test_another_model_is_refused(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    build_index(embedder, photos, tmp_path / "i")
    other = ColourEmbedder("de" * 32)
    with pytest.raises(ValueError, match=r"built with model c0c0c0c0c0c0, the model given is dededededede: build the"):
        open_index(tmp_path / "i", other).search("red")
    with pytest.raises(ValueError, match="with model="):
        build_index(other, photos, tmp_path / "i")
    with pytest.raises(ValueError, match="does not know where its model lies"):
        open_index(tmp_path / "i").search("red")
    with pytest.raises(ValueError, match="needs a retrieval model"):
        build_index(object(), photos, tmp_path / "j")


def test_refusals(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    build_index(embedder, photos, tmp_path / "i")
    paint(tmp_path / "clash" / "warm" / "红.png", (1, 2, 3))
    embedder.embedded.clear()
    with pytest.raises(ValueError, match="'warm/红.png' for one"):
        open_index(tmp_path / "i", embedder).add(tmp_path / "clash")
    assert not embedder.embedded  # refused before anything was embedded
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").write_text("mine")
    (tmp_path / "empty").mkdir()
    for source, output, how, said in (
        (photos, "other", {}, "holds other files"),
        (photos, "i", {"modality": "caption"}, "indexes 'image', not 'caption'"),
        (photos, "i", {"backend": "lance"}, "has the backend 'exact'"),
        (photos, "k", {"backend": "lanse"}, "unknown backend 'lanse'"),
        (photos, "k", {"uri": "s3://b/x"}, "uri= goes with"),
        (photos, "k", {"modality": "sound"}, "unknown modality"),
        (photos, "k", {"on_bad_row": "ignore"}, "expected one of skip, error"),
        (photos, "k", {"block": 0}, "block=0; expected 1 or more"),
        (tmp_path / "clash", "i", {}, "plait index add"),
        (tmp_path / "empty", "k", {}, "holds no image file"),
        ({"text": ["x"]}, "k", {}, "column="),
        ({"image": ["a.png"], "_id": [1]}, "k", {}, "keeps for itself"),
        ({"image": ["a.png", "b.png"], "n": ["1", "1"]}, "k", {"id": "n"}, "stands in row 0 and in row 1"),
        ({"image": ["a.png", "b.png"], "n": ["1", None]}, "k", {"id": "n"}, "names no item in row 1"),
    ):
        with pytest.raises(ValueError, match=said):
            build_index(embedder, source, tmp_path / output, **how)
    with pytest.raises(FileNotFoundError, match="plait index build"):
        open_index(tmp_path / "nowhere")


def test_a_picture_of_100_megapixels_is_left_out(tmp_path: Path, embedder: ColourEmbedder) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    paint(tmp_path / "red.png", (255, 0, 0))
    index, report = build_index(embedder, tmp_path, tmp_path / ".i")
    assert len(index) == 1 and "too many pixels (10000 x 10000, the limit is 64,000,000" in report.bad_rows[0][1]


def test_a_model_that_breaks_its_contract(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    class Long(ColourEmbedder):
        def embed(self, *given: object, **how: object) -> object:
            vectors, bad = super().embed(*given, **how)
            return vectors * 2, bad

    with pytest.raises(ValueError, match="of length 2; an index needs unit vectors"):
        build_index(Long(), photos, tmp_path / "i")

    class Narrow(ColourEmbedder):
        def embed(self, *given: object, **how: object) -> object:
            vectors, bad = super().embed(*given, **how)
            return vectors[:, :3], bad

    with pytest.raises(ValueError, match=r"gave vectors \(\d, 3\); expected"):
        build_index(Narrow(), photos, tmp_path / "j")


def test_repeated_paths_and_bytes_in_cells(tmp_path: Path, embedder: ColourEmbedder) -> None:
    data = paint(tmp_path / "a.png", (255, 0, 0)).read_bytes()
    table = tmp_path / "t.csv"
    table.write_text("image,say\na.png,one\na.png,two\n")
    index, report = build_index(embedder, table, tmp_path / "i")
    assert (report.added, report.embedded, len(embedder.embedded)) == (2, 1, 1)
    assert index.search("red")[0].aliases == ("a.png#1",)
    cells = pa.table({"image": pa.array([data, data], pa.binary()), "n": [1, 2]})
    index, report = build_index(embedder, cells, tmp_path / "j")
    hit = index.search("red")[0]
    assert (hit.id, hit.aliases, hit.path, hit.metadata) == ("row-0", ("row-1",), None, {"n": 1})
    assert report.notes == ["raw contents of image are not kept in the index"]


def test_sources_with_other_columns_and_names(tmp_path: Path, embedder: ColourEmbedder, backend: str) -> None:
    paint(tmp_path / "a.png", (255, 0, 0))
    paint(tmp_path / "b.png", (0, 255, 0))
    (tmp_path / "one.csv").write_text("photo,label\na.png,x\n")
    (tmp_path / "two.csv").write_text("image,year\nb.png,2020\n")
    index, _ = build_index(embedder, tmp_path / "one.csv", tmp_path / "i", backend=backend, column="photo")
    index.add(tmp_path / "two.csv")
    assert [h.metadata for h in index.search("green")] == [
        {"image": "b.png", "year": 2020}, {"image": "a.png", "label": "x"},
    ]  # fmt: skip
    assert index.update(tmp_path / "one.csv").unchanged == 1  # the column's name is remembered
    assert [h.id for h in index.search("green", where="year is null")] == ["a.png"]


def test_two_image_modalities_need_a_name(photos: Path, tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    embedder.modalities = (*MODALITIES, Modality("kitchen", "image", ("kitchen",)))
    with pytest.raises(ValueError, match="name one"):
        build_index(embedder, photos, tmp_path / "i")
    assert build_index(embedder, photos, tmp_path / "i", modality="image")[1].added == 5
