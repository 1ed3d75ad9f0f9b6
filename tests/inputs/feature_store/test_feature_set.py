"""Batches from a feature set against hand-worked answers, in memory and from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plait.inputs.feature_store import FeatureSet, FeatureStore

KEYS = [letter * 64 for letter in "abcdef"]
ROWS = [[1, 2, 3, 4, 5, 6], [7, 8], [], [9, 10, 11, 12]]
TOKENS = [np.array(rows, dtype=np.float16).reshape(-1, 2) for rows in ROWS]
VECTORS = np.array([[1, 10, 100], [2, 20, 200], [3, 30, 300], [4, 40, 400]], dtype=np.float32)


@pytest.fixture(params=[2 * 1024**3, 0], ids=["memory", "disk"])
def features(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureSet:
    """Items a, b, absent, c, d, a again; over two segments."""
    space = FeatureStore(tmp_path, ram_limit=request.param).space("s", {})
    space.put([KEYS[3], KEYS[0]], VECTORS[[3, 0]], [TOKENS[3], TOKENS[0]])
    space.put(KEYS[1:3], VECTORS[1:3], TOKENS[1:3])
    found = space.gather([KEYS[0], KEYS[1], None, KEYS[2], KEYS[3], KEYS[0]])
    assert found.is_in_memory == (request.param > 0)
    return found


def test_ragged_tokens_are_padded_to_the_longest_in_the_batch(features: FeatureSet) -> None:
    assert (len(features), features.vector_dim, features.token_dim, features.num_bytes) == (
        6,
        3,
        2,
        4 * 12 + 6 * 4,
    )
    batch = features.take(np.array([4, 1, -1, 3, 4]))
    assert batch["vector_BD"].tolist() == [[4, 40, 400], [2, 20, 200], [0, 0, 0], [3, 30, 300], [4, 40, 400]]
    last, none = [[9, 10], [11, 12]], [[0, 0], [0, 0]]
    assert batch["tokens_BTD"].tolist() == [last, [[7, 8], [0, 0]], none, none, last]
    assert batch["mask_BT"].int().tolist() == [[1, 1], [1, 0], [0, 0], [0, 0], [1, 1]]
    assert [batch[name].dtype for name in ("vector_BD", "tokens_BTD", "mask_BT")] == [
        torch.float32,
        torch.float32,
        torch.bool,
    ]
    longer = features.take(np.array([1, 5]))
    assert longer["tokens_BTD"].tolist() == [[[7, 8], [0, 0], [0, 0]], [[1, 2], [3, 4], [5, 6]]]


def test_equal_lengths_need_no_padding(features: FeatureSet) -> None:
    batch = features.take(np.array([0, 5]))
    assert batch["tokens_BTD"].tolist() == [[[1, 2], [3, 4], [5, 6]]] * 2 and bool(batch["mask_BT"].all())


@pytest.mark.parametrize("index", [[-1, -1], [2], [3], []])
def test_nothing_there_still_has_a_width(features: FeatureSet, index: list[int]) -> None:
    batch = features.take(np.array(index, dtype=np.int64))
    assert batch["tokens_BTD"].shape == (len(index), 1, 2) and not batch["mask_BT"].any()
    assert not batch["tokens_BTD"].any()


def test_select_drops_tokens(features: FeatureSet) -> None:
    plain = features.select(has_tokens=False)
    assert features.has_tokens and not plain.has_tokens and plain.token_dim is None
    batch = plain.take(np.array([5, -1, 2, 3, 5]))
    assert sorted(batch) == ["mask_BT", "vector_BD"]
    assert batch["vector_BD"][:, 0].tolist() == [1, 0, 0, 3, 1]
    assert batch["mask_BT"].tolist() == [[True], [False], [False], [True], [True]]
    assert features.select(has_tokens=True) is features
    assert plain.select(has_tokens=True).take(np.array([1]))["tokens_BTD"].tolist() == [[[7, 8]]]
    with pytest.raises(ValueError, match="no tokens"):
        FeatureSet.from_arrays(VECTORS).select(has_tokens=True)


def test_is_present_and_bad_positions(features: FeatureSet) -> None:
    assert features.is_present().tolist() == [True, True, False, True, True, True]
    assert features.is_present(np.array([-1, 2, 0])).tolist() == [False, False, True]
    with pytest.raises(IndexError, match="there are 6 items"):
        features.take(np.array([6]))
    with pytest.raises(IndexError):
        features.take(np.array([-2]))
    with pytest.raises(TypeError, match="whole numbers"):
        features.take(np.array([0.5]))


def test_batches_do_not_share_memory_with_the_set(features: FeatureSet) -> None:
    for name in ("vector_BD", "tokens_BTD"):
        features.take(np.array([0, 0]))[name].fill_(-1)
    assert features.take(np.array([0]))["vector_BD"].tolist() == [[1, 10, 100]]
    assert features.take(np.array([0]))["tokens_BTD"][0, 0].tolist() == [1, 2]


def test_memory_and_disk_agree_on_random_batches(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keys = [f"{number:064x}" for number in range(300)]
    vectors = rng.normal(size=(300, 5)).astype(np.float32)
    tokens = [rng.normal(size=(rng.integers(0, 7), 4)).astype(np.float16) for _ in keys]
    space = FeatureStore(tmp_path).space("s", {})
    for start in range(0, 300, 70):
        space.put(keys[start : start + 70], vectors[start : start + 70], tokens[start : start + 70])
    order = rng.permutation(300)
    memory = space.gather([keys[i] for i in order])
    disk = FeatureStore(tmp_path, ram_limit=100).space("s", {}).gather([keys[i] for i in order])
    direct = FeatureSet.from_arrays(vectors[order], [tokens[i] for i in order])
    assert memory.is_in_memory and not disk.is_in_memory
    for _ in range(20):
        index = rng.integers(-1, 300, size=33)
        batches = [features.take(index) for features in (memory, disk, direct)]
        for name, values in batches[0].items():
            assert all(torch.equal(values, other[name]) for other in batches[1:])
        for row, position in enumerate(index):
            if position >= 0:
                own = batches[0]["tokens_BTD"][row][batches[0]["mask_BT"][row]]
                assert np.array_equal(own.numpy(), tokens[order[position]].astype(np.float32))


def test_empty_set() -> None:
    features = FeatureSet([], np.empty((0, 2), dtype=np.int64))
    assert len(features) == 0 and features.take(np.array([-1]))["mask_BT"].tolist() == [[False]]
