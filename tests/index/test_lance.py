"""What only LanceDB does: SQL filters, approximate indexes, and what it refuses."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fixtures.colours import ColourEmbedder, paint
from plait.data.table import BadRow, Table
from plait.index import DamagedIndexError, build_index, open_index
from plait.index.exact import top_k

pytestmark = pytest.mark.skipif(find_spec("lancedb") is None, reason="extra lance")


class Planted(ColourEmbedder):
    """Texts are numbers of rows of a planted matrix of unit vectors."""

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__("ab" * 32)
        self.vectors, self.dim, self.plain_dim = vectors, vectors.shape[1], vectors.shape[1]

    def embed(self, table: Table, modality: str, **how: object) -> tuple[np.ndarray, list[BadRow]]:
        return self.vectors[[int(text) for text in table.column("caption")]], []


def planted(count: int, dim: int = 16) -> np.ndarray:
    made = np.random.default_rng(0).standard_normal((count, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", [None, "ivf_flat", "ivf_pq", "hnsw"])
def test_recall(tmp_path: Path, kind: str | None) -> None:
    """Without an approximate index every answer is exact; with one, looking everywhere finds nearly all."""
    vectors = planted(600)
    texts = {"caption": [str(i) for i in range(600)], "even": [i % 2 == 0 for i in range(600)]}
    index, _ = build_index(Planted(vectors), texts, tmp_path / "i", modality="caption", backend="lance")
    if kind is not None:
        index.build_ann(kind, partitions=4, **({"sub_vectors": 8} if kind == "ivf_pq" else {}))
        index.storage.nprobes, index.storage.refine = 4, 10
    queries = planted(620)[600:]
    wanted = top_k([vectors], queries, 10).positions_QK
    hits = index.search_vectors(queries, k=10)
    found = [[int(h.id.removeprefix("row-")) for h in one] for one in hits]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, wanted.tolist(), strict=True)])
    assert recall == 1.0 if kind in (None, "ivf_flat") else recall >= 0.9
    if kind is None:
        assert found == wanted.tolist()
    for one, query in zip(hits, queries, strict=True):  # scores are exact cosines either way
        for hit in one:
            assert hit.score == pytest.approx(float(vectors[int(hit.metadata["caption"])] @ query), abs=1e-5)
    even = index.search_vectors(queries, k=5, where="even AND caption != '0'")
    assert all(int(h.metadata["caption"]) % 2 == 0 for one in even for h in one) and all(len(one) == 5 for one in even)


def test_many_items_with_one_content(tmp_path: Path, embedder: ColourEmbedder) -> None:
    texts = {"caption": ["red"] * 40 + ["green", "blue"]}
    index, _ = build_index(embedder, texts, tmp_path / "i", modality="caption", backend="lance")
    hits = index.search("red green", k=3)
    assert len(hits) == 3 and {len(h.aliases) for h in hits} == {39, 0}


def test_ids_with_quotes(tmp_path: Path, embedder: ColourEmbedder) -> None:
    names = ["it's", "'); drop table items; --", '"x"', "表"]
    texts = {"caption": ["red", "green", "blue", "grey"], "name": names}
    index, _ = build_index(embedder, texts, tmp_path / "i", modality="caption", backend="lance", id="name")
    assert index.delete([names[1]]) == 1
    assert sorted(index.storage.known()) == sorted([names[0], names[2], names[3]])
    assert len(open_index(tmp_path / "i")) == 3


def test_what_is_refused(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i", backend="lance")
    with pytest.raises(ValueError, match="LanceDB cannot use the filter"):
        index.search("red", where="nope = 'x'")
    with pytest.raises(ValueError, match="the index has 5 items; ivf_pq needs 256"):
        index.build_ann("ivf_pq")
    with pytest.raises(ValueError, match="ivf_flat has no setting 'm'"):
        index.build_ann("ivf_flat", m=3)
    with pytest.raises(ValueError, match="unknown approximate index 'annoy'"):
        index.build_ann("annoy")
    with pytest.raises(ValueError, match="searches on the CPU"):
        index.search("red", device="cuda")
    paint(tmp_path / "x.png", (1, 2, 3))
    with pytest.raises(ValueError, match="column 'folder' is .* here"):
        index.add(pa.table({"image": [str(tmp_path / "x.png")], "folder": pa.array([[1.5]])}), allow_outside=True)
    assert len(index) == 5
    exact, _ = build_index(embedder, photos, tmp_path / "j")
    with pytest.raises(ValueError, match="backend='lance'"):
        exact.build_ann()


def test_another_place_for_the_table(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    uri = str(tmp_path / "elsewhere" / "db")
    build_index(embedder, photos, tmp_path / "i", backend="lance", uri=uri)
    assert [p.name for p in (tmp_path / "i").iterdir() if p.name.startswith("lance")] == []
    assert len(open_index(tmp_path / "i", embedder).search("red")) == 4


def test_without_the_extra(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ImportError, match=r"pip install plait\[lance\]"):
        build_index(ColourEmbedder(), photos, tmp_path / "i", backend="lance")


def files_of(place: Path) -> list[Path]:
    return sorted(p for p in (place / "lance").rglob("*") if p.is_file() and "hint" not in p.name)


def test_every_file_of_the_table_is_held_to_its_checksum(tmp_path: Path, embedder: ColourEmbedder) -> None:
    """A flipped bit in vectors had answered, and without its newest version the table opened as it was before."""
    import shutil

    place = tmp_path / "i"
    index, _ = build_index(embedder, {"caption": ["red", "green", "blue"]}, place, modality="caption", backend="lance")
    index.add({"caption": ["grey"]}, prefix="more-")
    index.delete(["row-1"])
    whole = open_index(place, embedder)
    assert len(whole) == 3 and whole.info(verify=True)["damaged"] == []
    assert {p.relative_to(place / "lance").as_posix() for p in files_of(place)} == set(whole.manifest.table.files)
    for number in range(len(files_of(place))):
        for how in ("flipped", "gone", "a folder"):
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(place, copy)
            file = files_of(copy)[number]
            data = bytearray(file.read_bytes())
            file.unlink()
            if how == "flipped":
                data[len(data) // 2] ^= 16
                file.write_bytes(data)
            elif how == "a folder":
                file.mkdir()
            with pytest.raises(DamagedIndexError, match="of the Lance table"):
                open_index(copy, embedder)
    data = bytearray(files_of(place)[0].read_bytes())
    files_of(place)[0].write_bytes(bytes([data[0] ^ 1, *data[1:]]))
    assert "does not match its checksum" in whole.info(verify=True)["damaged"][0]
    shutil.rmtree(place / "lance")
    with pytest.raises(DamagedIndexError, match="is missing"):
        open_index(place, embedder)


def test_a_table_older_than_its_manifest_is_refused(tmp_path: Path, embedder: ColourEmbedder) -> None:
    """As on object storage, where only the version is compared."""
    import shutil

    place = tmp_path / "i"
    index, _ = build_index(embedder, {"caption": ["red", "green"]}, place, modality="caption", backend="lance")
    shutil.copytree(place / "lance", tmp_path / "old")
    index.add({"caption": ["grey"]}, prefix="more-")
    index.storage._write(index.manifest, with_files=False)
    assert len(open_index(place, embedder)) == 3
    shutil.rmtree(place / "lance")
    shutil.move(tmp_path / "old", place / "lance")
    with pytest.raises(DamagedIndexError, match=r"the Lance table is at version \d+, the manifest says \d+"):
        open_index(place, embedder)
    shutil.rmtree(place / "lance")
    with pytest.raises(DamagedIndexError, match="the Lance table is gone"):
        open_index(place, embedder)


def test_compacting_and_approximate_indexes_keep_the_list_of_files(tmp_path: Path) -> None:
    texts = {"caption": [str(i) for i in range(300)]}
    index, _ = build_index(Planted(planted(300)), texts, tmp_path / "i", modality="caption", backend="lance")
    index.build_ann("ivf_flat", partitions=2)
    assert any("_indices" in name for name in open_index(tmp_path / "i").manifest.table.files)
    index.delete(["row-7"])
    index.compact()
    again = open_index(tmp_path / "i", Planted(planted(300)))
    assert len(again) == 299 and again.info(verify=True)["damaged"] == []
