"""Retrieval both ways: summaries by hand, directions by name, policies, and intervals by groups of queries."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.ranking import query_metrics
from plait.metrics.retrieval import (
    matrix_retrieval_metrics,
    retrieval_intervals,
    retrieval_metrics,
    retrieval_summary,
)
from plait.metrics.similarity import cosine_similarity

PHOTOS, CAPTIONS = ["p", "q"], ["p", "p", "q", "q"]
# Captions x photos: the third caption prefers the wrong photo; photo q finds caption 1 first, then its own.
SCORES = np.array([[0.9, 0.1], [0.8, 0.7], [0.6, 0.5], [0.2, 0.4]])


def both_ways() -> dict[str, dict[str, float]]:
    return matrix_retrieval_metrics(
        SCORES, rows="text", columns="image", row_groups=CAPTIONS, column_groups=PHOTOS, ks=[1, 2]
    )


def test_both_ways_by_hand() -> None:
    found = both_ways()
    to_image, to_text = found["text_to_image"], found["image_to_text"]
    assert to_image["hit_rate@1"] == to_image["recall@1"] == 0.75 and to_image["hit_rate@2"] == 1.0
    assert to_image["mrr"] == to_image["map"] == (3 + 0.5) / 4 and to_image["median_rank"] == 1.0
    assert (to_image["queries"], to_image["gallery"], to_image["no_relevant"]) == (4, 2, 0)
    # p: captions 0 (.9), 1 (.8) first. q: 1 (.7) wrong, then 2 (.5) and 3 (.4).
    assert to_text["hit_rate@1"] == 0.5 and to_text["recall@1"] == 0.25
    assert to_text["hit_rate@2"] == 1.0 and to_text["recall@2"] == 0.75
    assert to_text["median_rank"] == 1.5 and to_text["mrr"] == 0.75
    assert to_text["map"] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    assert found["rsum"] == pytest.approx(100 * (0.75 + 1 + 0.5 + 1))


def test_embeddings_equal_the_matrix_and_names_rule() -> None:
    rng = np.random.default_rng(0)
    vectors = {"sound": rng.normal(size=(12, 5)), "photo": rng.normal(size=(20, 5)), "text": rng.normal(size=(7, 5))}
    groups = {name: rng.integers(0, 5, len(v)) for name, v in vectors.items()}
    found = retrieval_metrics(vectors, groups, chunk=3)
    assert set(found) == {f"{a}_to_{b}" for a in vectors for b in vectors if a != b} | {"rsum"}
    turned = retrieval_metrics(dict(reversed(vectors.items())), groups)
    assert turned == found  # no meaning by the order of a dict
    pair = matrix_retrieval_metrics(
        cosine_similarity(vectors["sound"], vectors["photo"]),
        rows="sound",
        columns="photo",
        row_groups=groups["sound"],
        column_groups=groups["photo"],
    )
    assert pair["sound_to_photo"] == found["sound_to_photo"] and pair["photo_to_sound"] == found["photo_to_sound"]


def test_planted_space() -> None:
    """Captions near their photo are found; turned by one place none is."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(30, 24))
    text = np.repeat(image, 5, axis=0) + 0.1 * rng.normal(size=(150, 24))
    groups = {"image": np.arange(30), "text": np.repeat(np.arange(30), 5)}
    found = retrieval_metrics({"image": image, "text": text}, groups)
    assert found["rsum"] == 600.0 and found["image_to_text"]["map"] == 1.0
    assert found["image_to_text"]["recall@1"] == pytest.approx(0.2)
    wrong = retrieval_metrics({"image": np.roll(image, 1, axis=0), "text": text}, groups)
    assert wrong["text_to_image"]["hit_rate@1"] == 0.0


def test_queries_without_a_relevant_item() -> None:
    found = query_metrics([[0.9, 0.1], [0.1, 0.9], [0.5, 0.4]], [[1, 0], [1, 0], [0, 0]], ks=[1])
    zero, left = retrieval_summary(found), retrieval_summary(found, no_relevant="leave_out")
    assert zero["no_relevant"] == left["no_relevant"] == 1 and zero["queries"] == left["queries"] == 3
    assert zero["mrr"] == pytest.approx(1.5 / 3) and left["mrr"] == pytest.approx(1.5 / 2)
    assert zero["median_rank"] == 2.0 and left["median_rank"] == 1.5
    nothing = retrieval_summary({name: a[2:] for name, a in found.items()}, no_relevant="leave_out")
    assert nothing["mrr"] is None and nothing["queries"] == 1
    with pytest.raises(ValueError, match="'zero' or 'leave_out'"):
        retrieval_summary(found, no_relevant="drop")  # type: ignore[arg-type]


def test_intervals_by_group() -> None:
    """Five captions that succeed or fail together are one observation: the interval of 20 photos, not of 100."""
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random(20) < 0.6, 5)
    scores = np.where(np.eye(20, dtype=bool)[np.repeat(np.arange(20), 5)], right[:, None], 0.5)
    photo = np.repeat(np.arange(20), 5)
    found = query_metrics(scores, query_groups=photo, gallery_groups=np.arange(20), ks=[1])
    assert found["hit_rate@1"].tolist() == right.tolist()
    by_photo = retrieval_intervals(found, groups=photo, resamples=400)["hit_rate@1"]
    by_row = retrieval_intervals(found, resamples=400)["hit_rate@1"]
    share = right.mean()
    assert by_photo["value"] == by_row["value"] == share
    wide, narrow = by_photo["high"] - by_photo["low"], by_row["high"] - by_row["low"]  # type: ignore[operator]
    assert wide == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 20), rel=0.15)
    assert wide / narrow == pytest.approx(np.sqrt(5), rel=0.15)


def test_certainty_is_not_claimed() -> None:
    perfect = retrieval_intervals(query_metrics(np.eye(10), np.eye(10)), resamples=50)
    for name in ("hit_rate@1", "recall@1", "mrr", "map", "ndcg"):
        assert perfect[name]["value"] == perfect[name]["high"] == 1.0
        assert perfect[name]["low"] == pytest.approx(1 / (1 + 1.96**2 / 10), abs=1e-3)  # Wilson for 10 of 10
    assert perfect["median_rank"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert "queries" not in perfect and "no_relevant" not in perfect


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"vectors are of \['image'\] and groups of \['image', 'text'\]"):
        retrieval_metrics({"image": np.eye(2)}, {"image": [0, 1], "text": [0, 1]})
    with pytest.raises(ValueError, match="both named 'text'"):
        matrix_retrieval_metrics(np.eye(2), np.eye(2), rows="text", columns="text")
