"""Nearest neighbours: votes by hand, ties that no order settles, scikit-learn, planted clusters."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.knn import knn_classify, knn_classify_matrix, majority_vote
from plait.metrics.similarity import cosine_similarity


def test_votes_by_hand() -> None:
    scores = [[0.9, 0.8, 0.7, 0.1]]
    assert knn_classify_matrix(scores, [1, 0, 0, 1], k=1)[0].tolist() == [1]
    prediction, proba = knn_classify_matrix(scores, [1, 0, 0, 1], k=3)
    assert prediction.tolist() == [0] and proba.tolist() == [[2 / 3, 1 / 3]]
    # exp(0), exp(-1) and exp(-2) at temperature 0.1: the nearest outvotes the other two.
    prediction, proba = knn_classify_matrix(scores, [1, 0, 0, 1], k=3, weights="distance", temperature=0.1)
    others = np.exp(-1) + np.exp(-2)
    np.testing.assert_allclose(proba, [[others / (1 + others), 1 / (1 + others)]], rtol=1e-12)
    assert prediction.tolist() == [1]


def test_majority_of_found_neighbours() -> None:
    labels = np.array([[0, 1, 1], [0, 1, -1], [1, 0, -1], [2, 0, 1]])
    scores = np.array([[0.9, 0.5, 0.4], [0.9, 0.8, 0.7], [0.9, 0.8, 0.0], [-0.5, -0.6, -0.7]])
    assert majority_vote(labels, scores, 3).tolist() == [1, 0, 1, 2]


def test_ties_share_the_last_places() -> None:
    """One sure neighbour of class 2; the other two places are shared by four tied items."""
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.5, 0.1]])
    labels = np.array([2, 0, 0, 0, 1, 1])
    prediction, proba = knn_classify_matrix(scores, labels, k=3)
    np.testing.assert_allclose(proba, [[1.5 / 3, 0.5 / 3, 1 / 3]], atol=1e-15)
    assert prediction.tolist() == [0]
    order = np.random.default_rng(0).permutation(6)
    assert np.array_equal(knn_classify_matrix(scores[:, order], labels[order], k=3)[1], proba)
    assert knn_classify_matrix([[0.5, 0.5]], [1, 0], k=2)[0].tolist() == [0]  # of equal classes the first
    flat = knn_classify_matrix(np.zeros((4, 10)), [0] * 7 + [1] * 3, k=2)[1]
    np.testing.assert_allclose(flat, [[0.7, 0.3]] * 4, atol=1e-15)  # a collapsed space gives the class shares


@pytest.mark.oracle
@pytest.mark.parametrize("k", [1, 5, 20])
def test_scikit_learn(k: int) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(k)
    gallery, query = rng.normal(size=(80, 8)), rng.normal(size=(60, 8))
    labels = rng.integers(0, 4, 80)
    oracle = KNeighborsClassifier(k, metric="cosine").fit(gallery, labels)
    prediction, proba = knn_classify(query, gallery, labels, k)
    np.testing.assert_allclose(proba, oracle.predict_proba(query), atol=1e-12)
    assert np.array_equal(prediction, oracle.predict(query))
    soft = KNeighborsClassifier(k, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.2)).fit(gallery, labels)
    prediction, proba = knn_classify(query, gallery, labels, k, weights="distance", temperature=0.2)
    np.testing.assert_allclose(proba, soft.predict_proba(query), atol=1e-6)
    assert np.array_equal(prediction, soft.predict(query))


def test_chunks_and_matrix_give_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    gallery, query, labels = rng.normal(size=(50, 6)), rng.normal(size=(41, 6)), rng.integers(0, 3, 50)
    gallery[25:] = gallery[:25]
    for weights in ("uniform", "distance"):
        whole = knn_classify_matrix(cosine_similarity(query, gallery), labels, 7, weights=weights, chunk=999)
        for chunk in (1, 8, 40):
            parts = knn_classify(query, gallery, labels, 7, weights=weights, chunk=chunk)
            assert np.array_equal(whole[0], parts[0]) and np.array_equal(whole[1], parts[1])


def test_planted_clusters() -> None:
    rng = np.random.default_rng(4)
    centres, labels = np.eye(5) * 4, np.arange(200) % 5
    vectors = centres[labels] + rng.normal(size=(200, 5)) * 0.3
    prediction, _ = knn_classify(vectors[100:], vectors[:100], labels[:100], k=10)
    assert (prediction == labels[100:]).all()
    shuffled, _ = knn_classify(vectors[100:], vectors[:100], rng.permutation(labels[:100]), k=10)
    assert (shuffled == labels[100:]).mean() < 0.5


def test_what_is_refused() -> None:
    scores = np.zeros((2, 3))
    with pytest.raises(ValueError, match="k is 4; expected 1 to 3"):
        knn_classify_matrix(scores, [0, 1, 1], k=4)
    with pytest.raises(ValueError, match="2 entries for 3 items"):
        knn_classify_matrix(scores, [0, 1], k=1)
    with pytest.raises(ValueError, match="holds class 2, expected 0 to 1"):
        knn_classify_matrix(scores, [0, 1, 2], k=1, num_classes=2)
    with pytest.raises(ValueError, match="'uniform' or 'distance'"):
        knn_classify_matrix(scores, [0, 1, 1], k=1, weights="inverse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="temperature is 0"):
        knn_classify_matrix(scores, [0, 1, 1], k=1, weights="distance", temperature=0)
    with pytest.raises(ValueError, match="6 NaN"):
        knn_classify_matrix(scores * np.nan, [0, 1, 1], k=1)
