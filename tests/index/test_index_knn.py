"""Judging an index by a label: points worked by hand, planted clusters, scikit-learn as an oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fixtures.colours import MODALITIES, ColourEmbedder, paint
from plait.index import build_index
from plait.index.knn import knn_leave_one_out, linear_probe, zero_shot
from plait.index.storage import CONTENT, View
from plait.inference.vector_space import VectorSpace


def view_of(vectors: np.ndarray, labels: list[object], contents: list[int] | None = None) -> View:
    place = list(range(len(vectors))) if contents is None else contents
    items = pa.table({"_id": [str(i) for i in range(len(labels))], CONTENT: place, "label": labels})
    return View(items, [vectors], np.ones(len(vectors), dtype=bool), VectorSpace(vectors.shape[1], vectors.shape[1]))


def unit(made: np.ndarray) -> np.ndarray:
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def clusters(seed: int = 0, count: int = 40) -> tuple[np.ndarray, list[object]]:
    rng = np.random.default_rng(seed)
    centres = np.eye(3, 6)
    labels = rng.integers(0, 3, count)
    return unit(centres[labels] + 0.35 * rng.standard_normal((count, 6))), [f"c{i}" for i in labels]


def test_four_points_by_hand() -> None:
    """Of a, a, b, b on a circle: with one neighbour the lone b near the a's is told wrong."""
    angles = np.deg2rad([0, 10, 25, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    report = knn_leave_one_out(view_of(vectors, ["a", "a", "b", "b"]), "label", 1)
    # 0 -> 10 (a, right); 10 -> 0 (a, right); 25 -> 10 (a, wrong); 90 -> 25 (b, right)
    assert report.accuracy == 0.75 and report.per_label == {"a": [2, 2], "b": [1, 2]} and report.commonest == 0.5
    assert knn_leave_one_out(view_of(vectors, ["a", "a", "b", "b"]), "label", 99).accuracy == 0.0
    assert "75.0% of 4" in report.text()


@pytest.mark.oracle
@pytest.mark.parametrize("k", [1, 3, 7])
def test_agrees_with_scikit_learn(k: int) -> None:
    from sklearn.model_selection import LeaveOneOut, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    vectors, labels = clusters()
    told = cross_val_predict(
        KNeighborsClassifier(k, metric="cosine", algorithm="brute"), vectors, labels, cv=LeaveOneOut()
    )
    if k == 1:
        assert knn_leave_one_out(view_of(vectors, labels), "label", k).accuracy == np.mean(told == np.array(labels))
    else:  # scikit-learn breaks ties of votes otherwise
        assert (
            abs(knn_leave_one_out(view_of(vectors, labels), "label", k).accuracy - np.mean(told == np.array(labels)))
            < 0.06
        )


def test_equal_bytes_do_not_answer_for_themselves() -> None:
    """Random labels on items in equal pairs: counted over items accuracy would be 1, over contents it is chance."""
    rng = np.random.default_rng(1)
    vectors = unit(rng.standard_normal((200, 16)))
    labels = [str(i) for i in rng.integers(0, 2, 200)]
    view = view_of(vectors, [*labels, *labels], [*range(200), *range(200)])
    report = knn_leave_one_out(view, "label", 1)
    assert report.num_judged == 200 and abs(report.accuracy - 0.5) < 0.1


def test_what_is_left_out_is_counted() -> None:
    vectors, _ = clusters(count=6)
    view = view_of(vectors, ["a", "b", None, "a", "b", "a", "b"], [0, 1, 2, 3, 4, 5, 5])
    report = knn_leave_one_out(view, "label", 1)
    assert (report.num_judged, report.unlabelled, report.contradictory) == (4, 1, 1)
    assert "1 without a label" in report.text() and "disagree" in report.text()
    for call, said in (
        (lambda: knn_leave_one_out(view, "lable", 1), "Did you mean 'label'"),
        (lambda: knn_leave_one_out(view, "label", 0), "k is 0"),
        (lambda: knn_leave_one_out(view_of(vectors[:2], ["a", "a"]), "label", 1), "holds 1 different labels"),
        (lambda: knn_leave_one_out(view_of(vectors[:2], [["a"], ["b"]]), "label", 1), "holds a list"),
        (lambda: linear_probe(view, "label", 5), "rarest label has 2"),
        (lambda: zero_shot(view, ColourEmbedder(), MODALITIES[1], "label", "no place"), "needs one"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_linear_probe_finds_planted_clusters_and_nothing_in_noise() -> None:
    vectors, labels = clusters(count=90)
    assert linear_probe(view_of(vectors, labels), "label").accuracy > 0.8
    rng = np.random.default_rng(2)
    noise = linear_probe(view_of(unit(rng.standard_normal((300, 6))), [str(i % 3) for i in range(300)]), "label")
    assert abs(noise.accuracy - 1 / 3) < 0.1


def test_on_an_index_and_a_table(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for number in range(4):
        paint(tmp_path / "p" / "red" / f"{number}.png", (200 + number, 10 * number, 0))
        paint(tmp_path / "p" / "green" / f"{number}.png", (0, 200 + number, 10 * number))
    index, _ = build_index(embedder, tmp_path / "p", tmp_path / "i")
    assert index.knn("folder", k=3).accuracy == 1.0
    report = index.zero_shot("folder", template="a {} photo")
    assert report.accuracy == 1.0 and report.num_judged == 8
    assert index.probe("folder", folds=4).accuracy == 1.0
    paint(tmp_path / "t" / "a.png", (99, 0, 0))
    paint(tmp_path / "t" / "b.png", (0, 9, 90))
    (tmp_path / "t" / "t.csv").write_text("image,folder\na.png,red\nb.png,blue\ngone.png,red\na.png,\n")
    report = index.knn("folder", k=3, table=tmp_path / "t" / "t.csv")
    assert (report.num_judged, report.accuracy, report.unseen, report.unreadable, report.unlabelled) == (
        2,
        0.5,
        1,
        1,
        1,
    )
    assert report.per_label == {"red": [1, 1], "blue": [0, 1]}
