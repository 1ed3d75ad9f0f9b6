"""Exact search: equal to sorting every score, whatever the blocks; ties by position; masks; faults."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plait.index import exact
from plait.index.exact import top_k


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    made = rng.standard_normal(shape)
    return (made / np.linalg.norm(made, axis=-1, keepdims=True)).astype(np.float32)


def sorted_all(vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """The oracle: every score in float64, sorted stably."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("num_queries", [1, 5, 64])
def test_threads_change_nothing(num_queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "SCORES_BATCH", 1)
    monkeypatch.setattr(exact, "MOST_ROWS", 1024)
    rng = np.random.default_rng(6)
    vectors, queries = unit(rng, 20_000, 24), unit(rng, num_queries, 24)
    vectors[15_000:] = vectors[:5_000]  # ties are told by position, whichever thread finds them first
    allowed = rng.random(20_000) < 0.6
    alone = top_k([vectors], queries, 12, allowed=allowed)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        for _ in range(3):
            found = top_k([vectors[:9_000], vectors[9_000:]], queries, 12, allowed=allowed)
            assert np.array_equal(found.positions_QK, sorted_all(vectors, queries, 12, allowed))
            assert np.array_equal(found.scores_QK, alone.scores_QK)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_fault_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "MOST_ROWS", 1024)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: list[int] = []
    real = exact._scan

    def failing(found: object, scorer: object, part: tuple[np.ndarray, int], allowed: object) -> object:
        seen.append(part[1])
        if part[1] > 2000:
            raise MemoryError("no room")
        return real(found, scorer, part, allowed)  # type: ignore[arg-type]

    monkeypatch.setattr(exact, "_scan", failing)
    try:
        with pytest.raises(MemoryError, match="no room"):
            top_k([unit(np.random.default_rng(0), 9_000, 8)], np.ones((1, 8), dtype=np.float32), 3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_worked_by_hand() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], dtype=np.float32)
    found = top_k([vectors], np.array([[1, 0], [0, -1]], dtype=np.float32), 4)
    assert found.positions_QK.tolist() == [[0, 1, 2, 3], [0, 3, 1, 2]]
    np.testing.assert_allclose(found.scores_QK, [[1, 0.6, 0, -1], [0, 0, -0.8, -1]], atol=1e-7)


@pytest.mark.parametrize("num_queries", [1, 2, 7, 64, 65])
@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3000, 3001], [2500, 2500]])
@pytest.mark.parametrize("small", [False, True])
def test_equals_sorting(num_queries: int, cuts: list[int], small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if small:
        monkeypatch.setattr(exact, "SCORES_BATCH", 1)  # blocks of 1,024 rows
    rng = np.random.default_rng(0)
    vectors, queries = unit(rng, 5000, 48), unit(rng, num_queries, 48)
    blocks = np.split(vectors, cuts)
    found = top_k(blocks, queries, 10)
    assert (found.positions_QK == sorted_all(vectors, queries, 10)).all()
    exactly = np.take_along_axis(queries.astype(np.float64) @ vectors.T.astype(np.float64), found.positions_QK, axis=1)
    np.testing.assert_allclose(found.scores_QK, exactly, atol=1e-12)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.6, 1.0])
def test_masks(share: float) -> None:
    rng = np.random.default_rng(1)
    vectors, queries = unit(rng, 4000, 16), unit(rng, 3, 16)
    allowed = rng.random(4000) < share
    allowed[7] = True
    found = top_k([vectors[:1500], vectors[1500:]], queries, 20, allowed=allowed)
    k = min(20, int(allowed.sum()))
    assert found.positions_QK.shape == (3, k)
    assert (found.positions_QK == sorted_all(vectors, queries, k, allowed)).all()


def test_ties_come_in_order_of_position_and_stay_bounded() -> None:
    """Ten thousand equal vectors: the first k, from any blocks, though all of them pass the threshold."""
    rng = np.random.default_rng(2)
    one = unit(rng, 1, 24)
    vectors = np.repeat(one, 10_000, axis=0)
    vectors[5000] = unit(rng, 24)
    for blocks in ([vectors], np.split(vectors, [17, 4000, 9000])):
        found = top_k(blocks, np.concatenate([one, -one]), 5)
        assert found.positions_QK[0].tolist() == [0, 1, 2, 3, 4]
        assert found.positions_QK[1].tolist() == [5000, 0, 1, 2, 3]
        assert len(set(found.scores_QK[0])) == 1


def test_near_ties_below_float32_are_told_apart() -> None:
    """Scores that differ by less than float32 can tell are sorted by their float64 values."""
    base = np.zeros((3, 400), dtype=np.float32)
    base[:, 0], base[:, 1:] = 1.0, np.float32(1e-9)
    base[1, 1:] = np.float32(3e-9)
    base[2, 1:] = np.float32(2e-9)
    query = np.full((1, 400), 0.05, dtype=np.float32)
    assert top_k([base], query, 3).positions_QK.tolist() == [[1, 2, 0]]


def test_tensors_and_more_than_there_are() -> None:
    rng = np.random.default_rng(3)
    vectors, queries = unit(rng, 12, 8), unit(rng, 2, 8)
    found = top_k([torch.from_numpy(vectors)], queries, 100)
    assert (found.positions_QK == sorted_all(vectors, queries, 12)).all()
    assert top_k([], queries, 3).positions_QK.shape == (2, 0)
    assert top_k([vectors], queries, 3, allowed=np.zeros(12, dtype=bool)).scores_QK.shape == (2, 0)


@pytest.mark.oracle
def test_agrees_with_faiss() -> None:
    faiss = pytest.importorskip("faiss", reason="extra dev")
    rng = np.random.default_rng(4)
    vectors, queries = unit(rng, 3000, 32), unit(rng, 9, 32)
    index = faiss.IndexFlatIP(32)
    index.add(vectors)
    scores, positions = index.search(queries, 15)
    found = top_k([vectors], queries, 15)
    assert (found.positions_QK == positions).all()
    np.testing.assert_allclose(found.scores_QK, scores, atol=1e-6)


def test_faults_say_what_to_do() -> None:
    vectors = np.eye(4, dtype=np.float32)
    with pytest.raises(ValueError, match="widths differ"):
        top_k([vectors], np.ones((1, 3), dtype=np.float32), 1)
    with pytest.raises(ValueError, match="k is 0"):
        top_k([vectors], np.ones((1, 4), dtype=np.float32), 0)
    with pytest.raises(ValueError, match="NaN"):
        top_k([vectors], np.full((1, 4), np.nan, dtype=np.float32), 1)
    with pytest.raises(ValueError, match=r"bool\[4\]"):
        top_k([vectors], np.ones((1, 4), dtype=np.float32), 1, allowed=np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match=r"\[Q, D\]"):
        top_k([vectors], np.ones(4, dtype=np.float32), 1)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    rng = np.random.default_rng(5)
    vectors, queries = unit(rng, 20_000, 64), unit(rng, 5, 64)
    found = top_k([vectors], queries, 10, device="cuda")
    assert (found.positions_QK == sorted_all(vectors, queries, 10)).all()
