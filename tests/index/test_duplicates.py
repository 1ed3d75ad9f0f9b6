"""Near duplicates: every pair and no other, against the full matrix; groups worked by hand; planted copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fixtures.colours import ColourEmbedder
from plait.index import build_index
from plait.index.duplicates import DuplicateGroup, near_duplicates
from plait.index.storage import CONTENT, View
from plait.inference.vector_space import VectorSpace
from plait.metrics.trust import near_pairs
from plait.metrics.trust.near_pairs import similar_pairs


def circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def view_of(vectors: np.ndarray, contents: list[int]) -> View:
    items = pa.table({"_id": [f"i{n}" for n in range(len(contents))], CONTENT: pa.array(contents, pa.int64())})
    alive = np.zeros(len(vectors), dtype=bool)
    alive[contents] = True
    return View(items, [vectors], alive, VectorSpace(vectors.shape[1], vectors.shape[1]))


def test_groups_by_hand() -> None:
    """At 0, 10, 20, 90 and 91 degrees with cos(12): a chain of three and a pair; 180 and what is deleted stay out."""
    view = view_of(circle(0, 10, 20, 90, 91, 180, 181), [0, 1, 2, 3, 4, 5, 0])
    first, second = near_duplicates(view, float(np.cos(np.deg2rad(12))))
    assert first.ids == ("i0", "i6", "i1", "i2") and first.contents == 3
    assert first.lowest == pytest.approx(np.cos(np.deg2rad(10)), abs=1e-6)  # 0 and 20 are no pair of their own
    assert second == DuplicateGroup(("i3", "i4"), 2, second.lowest)
    assert second.lowest == pytest.approx(np.cos(np.deg2rad(1)), abs=1e-6)


def test_equal_bytes_are_a_group_at_any_threshold() -> None:
    assert near_duplicates(view_of(circle(0, 50), [0, 1, 1]), 1.0) == [DuplicateGroup(("i1", "i2"), 1, 1.0)]


@pytest.mark.parametrize("rows", [16, 1024])
@pytest.mark.parametrize("threshold", [0.2, 0.8, 1.0])
def test_all_pairs(rows: int, threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs, "ROWS", rows)
    rng = np.random.default_rng(0)
    made = rng.standard_normal((150, 8))
    made[100:] = made[:50] + 0.05 * rng.standard_normal((50, 8)) * rng.integers(0, 2, (50, 1))
    vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    left, right, cosine = similar_pairs(vectors, threshold)
    full = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    wanted = {(i, j) for i in range(150) for j in range(i + 1, 150) if full[i, j] >= threshold - 1e-6}
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == wanted and len(left) == len(wanted) > 10
    np.testing.assert_allclose(cosine, np.minimum(full[left, right], 1), atol=1e-12)


def test_on_an_index(photos: Path, tmp_path: Path, embedder: ColourEmbedder) -> None:
    index, _ = build_index(embedder, photos, tmp_path / "i")
    assert [g.ids for g in index.near_duplicates(0.9999)] == [("warm/copy 🙂.png", "warm/红.png")]
    assert [g.ids for g in index.near_duplicates()] == [("warm/almost.png", "warm/copy 🙂.png", "warm/红.png")]
    for threshold in (-1.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="the threshold is"):
            index.near_duplicates(threshold)
