"""Ready vectors, sets of images and npz archives out of tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.data.checks.check import check_table
from plait.data.imageset import looks_like_image_set, read_image_set
from plait.data.items import read_rows
from plait.data.media import CellError
from plait.data.modality import Modality
from plait.data.schema import guess_schema
from plait.data.table import read_table
from plait.data.vectors import far_vectors, read_vector


def test_vectors_of_every_form_are_equal(tmp_path: Path) -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.5]])
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", only=array)
    for cell in (array, array.tolist(), "[[1, 2], [3, 4.5]]", "a.npy", "b.npz"):
        found = read_vector(cell, tmp_path)
        assert found is not None and found.dtype == np.float32 and found.tolist() == array.tolist()
    assert read_vector(None) is None and read_vector(" ") is None
    assert read_vector([True, False]).tolist() == [1.0, 0.0]  # type: ignore[union-attr]


@pytest.mark.parametrize(("cell", "message"), [
    ([1.0, None], "1 of 2 numbers are missing"), ([[1.0], [1.0, 2.0]], "equally long"), ([], "list is empty"),
    ([1e39], "beyond float32"), (["a"], "expected numbers"), ("[1, ", "broken JSON"), ("word", "JSON list of numbers"),
    ("gone.npy", "no such file"), ([[[1.0]]], "shape"), (3.5, "got float"), ("[1, NaN]", "1 of 2"),
])  # fmt: skip
def test_what_is_no_vector_says_why(cell: object, message: str) -> None:
    with pytest.raises(CellError, match=message):
        read_vector(cell, Path("."))


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=np.array([{}, 1], dtype=object))
    with pytest.raises(CellError, match="no numpy file of numbers"):
        read_vector("a.npy", tmp_path)
    with pytest.raises(ValueError, match="never read"):
        read_table(tmp_path / "b.npz")


def test_an_archive_is_a_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.arange(6, dtype=np.float32).reshape(3, 2), seq=np.zeros((3, 4, 5)),
             y=np.array([0, 1, 0]), word=np.array(["a", "b", "ä"]))  # fmt: skip
    table = read_table(tmp_path / "f.npz")
    assert table.column("x")[2] == [4.0, 5.0] and table.column("word") == ["a", "b", "ä"]
    kinds = {c.name: c.kind for c in guess_schema(table, target="y").columns}
    assert kinds["x"] == kinds["seq"] == "vector" and table.column("y") == [0, 1, 0]
    np.savez(tmp_path / "g.npz", x=np.zeros((3, 2)), y=np.zeros(4))
    with pytest.raises(ValueError, match="one entry a row"):
        read_table(tmp_path / "g.npz")


def test_parts_of_an_archive_become_splits(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x_tr=np.ones((3, 2)), y_tr=np.arange(3), x_te=np.zeros((2, 2)), y_te=np.arange(2),
             names=np.array(["left", "right"]))  # fmt: skip
    with pytest.warns(UserWarning, match="left out names"):
        table = read_table(tmp_path / "f.npz")
    assert table.column("split") == ["train"] * 3 + ["test"] * 2 and table.column("x")[3] == [0.0, 0.0]
    assert guess_schema(table, target="y").split == "split"


def test_image_sets_of_every_form(tmp_path: Path) -> None:
    (tmp_path / "a;b.jpg").write_bytes(b"x")
    assert read_image_set("a;b.jpg", tmp_path) == ["a;b.jpg"]  # a file that is there is one image
    assert read_image_set("c.jpg | d.jpg", tmp_path) == ["c.jpg", "d.jpg"]
    assert read_image_set([b"1", b"2"]) == [b"1", b"2"] and read_image_set([]) == [] == read_image_set("")
    with pytest.raises(CellError, match="image 1 of the set is empty"):
        read_image_set(["a.jpg", None])
    assert looks_like_image_set("a.jpg;b.png") and not looks_like_image_set("a.jpg")


def test_check_names_vectors_of_another_width() -> None:
    vectors: list[list[float] | None] = [[float(i), 1.0] for i in range(60)]
    vectors[5], vectors[8] = [1.0, 2.0, 3.0], None
    report = check_table(read_table({"v": vectors, "label": ["a", "b"] * 30}), target="label")
    assert report.finding("P037").rows == [5] and "has 3 numbers, most have 2" in report.finding("P037").detail
    assert report.finding("P038").rows == [8]


@pytest.mark.real
def test_published_features_are_tables(shared_data: Path) -> None:
    mosi = read_table(shared_data / "published" / "mosi_poria2017.npz")
    assert len(mosi) == 1447 + 752 and len(mosi.column("audio")[0]) == 73
    modalities = {m.name: m.kind for m in guess_schema(mosi, target="y").modalities}
    assert {modalities[n] for n in ("text", "audio", "video")} == {"vector"} and modalities["transcript"] == "text"
    wiki = read_table(shared_data / "published" / "wiki_rasiwasia2010.npz")
    assert len(wiki) == 2866 and wiki.column("split").count("test") == 693
    with pytest.warns(UserWarning, match="mrna_featname"):
        rosmap = read_table(shared_data / "published" / "rosmap_mogonet.npz")
    assert len(rosmap) == 351 and len(rosmap.column("mirna")[0]) == 200


def test_a_vector_far_from_the_others_is_named_and_ones_that_only_vary_are_not() -> None:
    rng = np.random.default_rng(0)
    vectors = [rng.standard_t(2, size=4) for _ in range(200)]  # heavy tails
    assert far_vectors(vectors) == []
    vectors[17] = np.array([0.0, 0.0, 9e4, 0.0])
    vectors[40] = np.stack([vectors[40], vectors[17]])  # in one place of a sequence
    assert far_vectors(vectors) == [17, 40]
    assert far_vectors(vectors[10:20]) == []  # too few to tell
    assert far_vectors([np.zeros(2)] * 30 + [np.ones(2)]) == []  # most are the same
    quiet = [
        rng.normal(scale=1e-3 if i % 5 else 1.0, size=4) for i in range(200)
    ]  # a fifth of them a thousand times as far
    money = [np.round(rng.pareto(1.1, size=1) + 1) for _ in range(3000)]
    assert far_vectors(quiet) == far_vectors(money) == []
    assert far_vectors([*money, np.array([3e38], np.float32)]) == [3000]


def test_the_doctor_and_the_rows_name_a_far_vector() -> None:
    rng = np.random.default_rng(0)
    cells = [rng.normal(size=4).tolist() for _ in range(40)]
    cells[23] = [0.0, 5e3, 0.0, 0.0]
    table = read_table({"v": cells, "y": ["a", "b"] * 20})
    finding = check_table(table, target="y").finding("P045")
    assert (finding.severity, finding.rows) == ("warning", [23])
    rows = read_rows(table, [Modality("v", "vector", ("v",))])
    assert len(rows.doubts) == 1 and "(row 23)" in rows.doubts[0] and "outweighs all others" in rows.doubts[0]
