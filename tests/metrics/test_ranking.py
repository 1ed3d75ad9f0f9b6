"""Retrieval metrics per query: by hand, against every order of the ties, and against outside oracles."""

from __future__ import annotations

import math
import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from plait.metrics.ranking import embedding_query_metrics, query_metrics
from plait.metrics.similarity import cosine_similarity


def plain_metrics(order: list[int], gains: np.ndarray, ks: list[int]) -> dict[str, float]:
    """The textbook definitions for one order of the gallery, written as loops."""
    right = [i for i, item in enumerate(order, start=1) if gains[item] > 0]
    found = {"first_rank": float(right[0]), "reciprocal_rank": 1 / right[0]}
    found["average_precision"] = sum((n + 1) / rank for n, rank in enumerate(right)) / len(right)
    best = sorted(gains, reverse=True)
    for name, depth in [("ndcg", len(order)), *((f"ndcg@{k}", k) for k in ks)]:
        top = sum(gains[item] / math.log2(i + 2) for i, item in enumerate(order[:depth]))
        found[name] = top / sum(g / math.log2(i + 2) for i, g in enumerate(best[:depth]))
    for k in ks:
        inside = sum(rank <= k for rank in right)
        found[f"hit_rate@{k}"], found[f"recall@{k}"] = float(inside > 0), inside / len(right)
    return found


def strict_first_rank(similarity: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """What many libraries do: one more than the number of items that score strictly higher."""
    best = np.where(relevant, similarity, -np.inf).max(axis=1, keepdims=True)
    return 1 + (similarity > best).sum(axis=1)


def test_by_hand() -> None:
    scores = [[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]]
    found = query_metrics(scores, [[False, True, False, True], [True, True, False, False]], ks=[1, 2, 3])
    assert found["first_rank"].tolist() == [2.0, 3.0]
    assert found["reciprocal_rank"].tolist() == [0.5, 1 / 3]
    np.testing.assert_allclose(found["average_precision"], [(1 / 2 + 2 / 4) / 2, (1 / 3 + 2 / 4) / 2], atol=1e-15)
    assert found["hit_rate@1"].tolist() == [0, 0] and found["hit_rate@2"].tolist() == [1, 0]
    assert found["hit_rate@3"].tolist() == [1, 1] and found["recall@3"].tolist() == [0.5, 0.5]
    ideal = 1 + 1 / math.log2(3)
    np.testing.assert_allclose(found["ndcg"][0], (1 / math.log2(3) + 1 / math.log2(5)) / ideal, atol=1e-15)
    np.testing.assert_allclose(found["ndcg@3"][1], 0.5 / ideal, atol=1e-15)
    assert found["num_relevant"].tolist() == [2, 2]


def test_ties_by_hand() -> None:
    """One better item, then three tied of which one is right: ranks 2, 3 and 4 with a third each."""
    found = query_metrics([[0.9, 0.5, 0.5, 0.5, 0.1]], [[0, 0, 1, 0, 0]], ks=[1, 2, 3, 4])
    assert found["first_rank"].tolist() == [3.0]
    np.testing.assert_allclose(found["reciprocal_rank"], (1 / 2 + 1 / 3 + 1 / 4) / 3, atol=1e-15)
    np.testing.assert_allclose([found[f"hit_rate@{k}"][0] for k in (1, 2, 3, 4)], [0, 1 / 3, 2 / 3, 1], atol=1e-15)


def test_every_order_of_the_ties() -> None:
    """The closed forms are the means over all 720 orders of six items, for random blocks of ties and grades."""
    rng = np.random.default_rng(0)
    for _ in range(25):
        scores = rng.integers(0, 3, size=6).astype(float)
        grades = rng.integers(0, 3, size=6) * (rng.random(6) < 0.7)
        if not grades.any():
            continue
        gain = ("linear", "exponential")[int(rng.integers(2))]
        gains = grades.astype(float) if gain == "linear" else 2.0**grades - 1
        orders = {tuple(sorted(p, key=lambda item: -scores[item])) for p in permutations(range(6))}
        each = [plain_metrics(list(order), gains, [1, 2, 4]) for order in orders]
        found = query_metrics(scores[None], grades[None], ks=[1, 2, 4], gain=gain)
        for name in each[0]:
            assert found[name][0] == pytest.approx(np.mean([one[name] for one in each]), abs=1e-12), name


def test_collapsed_model_scores_chance() -> None:
    """100 photos, five captions each, all scores equal; a strict rank reports 100 per cent, for NaN as well."""
    photos, captions = np.arange(100), np.repeat(np.arange(100), 5)
    flat = np.full((500, 100), 0.3)
    to_image = query_metrics(flat, query_groups=captions, gallery_groups=photos)
    to_text = query_metrics(flat.T, query_groups=photos, gallery_groups=captions)
    for k in (1, 5, 10):
        np.testing.assert_allclose(to_image[f"hit_rate@{k}"], k / 100, atol=1e-12)
        miss = math.comb(495, k) / math.comb(500, k)
        np.testing.assert_allclose(to_text[f"hit_rate@{k}"], 1 - miss, atol=1e-12)
        np.testing.assert_allclose(to_text[f"recall@{k}"], k / 500, atol=1e-12)
    assert set(to_image["first_rank"]) == {50.5} and set(to_text["first_rank"]) == {501 / 6}
    relevant = captions[:, None] == photos
    assert (strict_first_rank(flat, relevant) == 1).all()
    assert (strict_first_rank(np.full_like(flat, np.nan), relevant) == 1).all()


def test_collapsed_embeddings_score_chance() -> None:
    """Vectors that differ by less than float32 can hold are one vector."""
    rng = np.random.default_rng(1)
    same = np.tile(rng.normal(size=16), (40, 1))
    noisy = same + 1e-12 * rng.normal(size=same.shape)
    found = embedding_query_metrics(noisy, same * rng.uniform(0.5, 2, size=(40, 1)), np.arange(40), np.arange(40))
    np.testing.assert_allclose(found["hit_rate@10"], 0.25, atol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_raise(bad: float) -> None:
    scores = np.zeros((3, 4))
    scores[1, 2] = scores[2, 0] = bad
    counts = "2 NaN and 0 infinite" if math.isnan(bad) else "0 NaN and 2 infinite"
    with pytest.raises(ValueError, match=f"{counts} of 12 values, first in row 1"):
        query_metrics(scores, np.ones((3, 4), dtype=bool))
    with pytest.raises(ValueError, match=f"query holds {counts}"):
        embedding_query_metrics(scores, np.ones((2, 4)), [0, 1, 2], [0, 1])


def test_hit_rate_is_not_recall() -> None:
    """Five right captions, one first: hit 1, recall .2."""
    found = query_metrics([[9.0, 1, 2, 3, 4, 5]], [[1, 1, 1, 1, 1, 0]], ks=[1, 5, 99])
    assert found["hit_rate@1"].tolist() == [1.0] and found["recall@1"].tolist() == [0.2]
    assert found["recall@5"].tolist() == [0.8]  # the distractor stands second
    assert found["hit_rate@99"].tolist() == found["recall@99"].tolist() == [1.0]


def test_ndcg_goldens() -> None:
    """Gains 3, 2, 3, 0, 1, 2 in that order, then all tied."""
    falling, grades = [[6.0, 5, 4, 3, 2, 1]], [[3, 2, 3, 0, 1, 2]]
    assert query_metrics(falling, grades)["ndcg"][0] == pytest.approx(0.9608082, abs=1e-7)
    assert query_metrics(falling, grades, gain="exponential")["ndcg"][0] == pytest.approx(0.9488107, abs=1e-7)
    assert query_metrics(np.zeros((1, 6)), grades)["ndcg"][0] == pytest.approx(0.8484188, abs=1e-7)


def test_query_without_anything_to_find() -> None:
    found = query_metrics([[0.5, 0.4], [0.5, 0.4]], [[1, 0], [0, 0]])
    assert found["first_rank"].tolist() == [1, 3] and found["num_relevant"].tolist() == [1, 0]
    assert all(found[name][1] == 0 for name in found if name != "first_rank")
    grouped = query_metrics([[0.5, 0.4]] * 3, query_groups=["a", None, math.nan], gallery_groups=["a", None])
    assert grouped["num_relevant"].tolist() == [1, 0, 0]  # an empty id matches nothing, not even another empty one


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_give_the_same_bits(dtype: type) -> None:
    rng = np.random.default_rng(2)
    query, gallery = rng.normal(size=(97, 33)).astype(dtype), rng.normal(size=(61, 33)).astype(dtype)
    gallery[40:] = gallery[:21]  # exact ties
    ids, other = rng.integers(0, 20, 97), rng.integers(0, 20, 61)
    whole = query_metrics(cosine_similarity(query, gallery), query_groups=ids, gallery_groups=other)
    for chunk in (1, 7, 96, 97, 1000):
        parts = embedding_query_metrics(query, gallery, ids, other, chunk=chunk)
        again = query_metrics(cosine_similarity(query, gallery), query_groups=ids, gallery_groups=other, chunk=chunk)
        for name in whole:
            assert np.array_equal(whole[name], parts[name]) and np.array_equal(whole[name], again[name]), name


def test_exact_cosine() -> None:
    """The grid costs 1e-8 at most, and what it leaves has no rounding: parts and wholes agree to the bit."""
    rng = np.random.default_rng(3)
    query, gallery = rng.normal(size=(50, 512)), rng.normal(size=(70, 512)) * 1e200
    exact = cosine_similarity(query, gallery)
    scaled = gallery / 1e200
    plain = query @ scaled.T / np.outer(np.linalg.norm(query, axis=1), np.linalg.norm(scaled, axis=1))
    np.testing.assert_allclose(exact, plain, atol=3e-8)
    one_by_one = [[cosine_similarity(q[None], g[None])[0, 0] for g in gallery[:9]] for q in query]
    assert np.array_equal(exact[:, :9], one_by_one)
    order = rng.permutation(512)  # even the order in which the terms are added
    on_grid = np.rint(query / np.linalg.norm(query, axis=1, keepdims=True) * 2.0**26) / 2.0**26
    assert np.array_equal(on_grid @ on_grid.T, on_grid[:, order] @ on_grid[:, order].T)


def test_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    for _ in range(10):
        scores = rng.integers(0, 6, size=(8, 15)) / 5
        ids, other = rng.integers(0, 4, 8), rng.integers(0, 4, 15)
        found = query_metrics(scores, query_groups=ids, gallery_groups=other)
        rows, columns = rng.permutation(8), rng.permutation(15)
        moved = query_metrics(scores[rows][:, columns], query_groups=ids[rows], gallery_groups=other[columns].tolist())
        rising = query_metrics(np.exp(3 * scores), query_groups=ids, gallery_groups=other)
        for name in found:
            assert np.array_equal(found[name][rows], moved[name]), name
            assert np.array_equal(found[name], rising[name]), name  # only the order of scores counts


def test_counting_equals_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ways to find a rank, chosen by the number of relevant items: the same bits."""
    rng = np.random.default_rng(8)
    scores, grades = rng.integers(0, 30, size=(20, 60)) / 7, rng.integers(0, 3, size=(20, 60))
    monkeypatch.setattr("plait.metrics.tied_ranks._FEW", 0)
    by_sorting = query_metrics(scores, grades)
    monkeypatch.setattr("plait.metrics.tied_ranks._FEW", 60)
    by_counting = query_metrics(scores, grades)
    assert all(np.array_equal(by_sorting[name], by_counting[name]) for name in by_sorting)


def test_random_metrics_keep_their_bounds() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        n, m = rng.integers(1, 9, size=2)
        relevant = rng.random((n, m)) < 0.4
        relevant[0, 0] = True
        found = query_metrics(rng.integers(0, 4, size=(n, m)), relevant, ks=[1, 3, 20])
        for name, values in found.items():
            if name not in ("first_rank", "num_relevant"):
                assert (values >= 0).all() and (values <= 1 + 1e-12).all(), name
        assert (found["hit_rate@1"] <= found["hit_rate@3"] + 1e-12).all()
        assert (found["recall@3"] <= found["hit_rate@3"] + 1e-12).all()
        assert (found["hit_rate@20"] == relevant.any(axis=1)).all()
        best = query_metrics(relevant.astype(float), relevant)  # what a perfect model scores
        seen = relevant.any(axis=1)
        for name in ("hit_rate@1", "reciprocal_rank", "average_precision", "ndcg"):
            np.testing.assert_allclose(best[name], seen, atol=1e-12, err_msg=name)


def test_what_is_refused() -> None:
    scores, relevant = np.zeros((2, 3)), np.ones((2, 3), dtype=bool)
    with pytest.raises(ValueError, match="either relevant_NM or both"):
        query_metrics(scores)
    with pytest.raises(ValueError, match="either relevant_NM or both"):
        query_metrics(scores, relevant, query_groups=[0, 1], gallery_groups=[0, 1, 2])
    with pytest.raises(ValueError, match=r"shape \(3, 2\); expected \[2, 3\]"):
        query_metrics(scores, relevant.T)
    with pytest.raises(ValueError, match="gallery_groups has 2 entries for 3 rows"):
        query_metrics(scores, query_groups=[0, 1], gallery_groups=[0, 1])
    with pytest.raises(ValueError, match="the number 1 is not the text '1'"):
        query_metrics(scores, query_groups=["1", "2"], gallery_groups=[1, 2, 2])
    with pytest.raises(ValueError, match="6 negative grades"):
        query_metrics(scores, -np.ones((2, 3)))
    with pytest.raises(ValueError, match="depths of 1 and more"):
        query_metrics(scores, relevant, ks=[0])
    with pytest.raises(ValueError, match="'linear' or 'exponential'"):
        query_metrics(scores, relevant, gain="square")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk is 0"):
        query_metrics(scores, relevant, chunk=0)
    with pytest.raises(ValueError, match="1 of 2 vectors are all zeros, first in row 1"):
        embedding_query_metrics([[1.0, 2], [0, 0]], [[1.0, 1]], [0, 1], [0])
    with pytest.raises(ValueError, match="2 wide but gallery vectors 3"):
        embedding_query_metrics([[1.0, 2]], [[1.0, 1, 1]], [0], [0])


@pytest.mark.oracle
def test_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, ndcg_score

    rng = np.random.default_rng(6)
    scores = rng.normal(size=(30, 40))
    relevant = rng.random((30, 40)) < 0.15
    relevant[:, 0] = True
    found = query_metrics(scores, relevant)
    for i in range(30):
        one = average_precision_score(relevant[i], scores[i])
        assert found["average_precision"][i] == pytest.approx(one, abs=1e-12)
    mean = label_ranking_average_precision_score(relevant, scores)
    assert found["average_precision"].mean() == pytest.approx(mean, abs=1e-12)
    grades = rng.integers(0, 4, size=(30, 40))
    tied = rng.integers(0, 7, size=(30, 40)).astype(float)
    for s, k in [(scores, None), (tied, None), (scores, 10), (tied, 10)]:
        ours = query_metrics(s, grades)["ndcg" if k is None else "ndcg@10"].mean()
        assert ours == pytest.approx(ndcg_score(grades, s, k=k), abs=1e-12)


@pytest.mark.oracle
@pytest.mark.slow
def test_ranx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ranx compiles for half a minute the first time; it also makes folders in the home unless told otherwise."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    rng = np.random.default_rng(7)
    scores = rng.permutation(30 * 40).reshape(30, 40) / 1200  # no ties
    grades = rng.integers(0, 4, size=(30, 40)) * (rng.random((30, 40)) < 0.2)
    grades[:, 0] = 1
    names = {f"{kind}@{k}": f"{kind}@{k}" for kind in ("hit_rate", "recall", "ndcg") for k in (1, 5, 10)}
    names |= {"reciprocal_rank": "mrr", "average_precision": "map", "ndcg": "ndcg"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own warnings: escapes in strings, casts in compiled code
        from ranx import Qrels, Run, evaluate

        truth = {str(i): {str(j): int(grades[i, j]) for j in np.flatnonzero(grades[i])} for i in range(30)}
        run = {str(i): {str(j): float(scores[i, j]) for j in range(40)} for i in range(30)}
        theirs = evaluate(Qrels(truth), Run(run), [*names.values(), "ndcg_burges"])
    ours = query_metrics(scores, grades)
    for name, their_name in names.items():
        assert ours[name].mean() == pytest.approx(theirs[their_name], abs=1e-9), name
    steep = query_metrics(scores, grades, gain="exponential")["ndcg"].mean()
    assert steep == pytest.approx(theirs["ndcg_burges"], abs=1e-9)
