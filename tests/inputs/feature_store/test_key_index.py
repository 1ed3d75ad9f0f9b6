"""The index of keys beside a plain dictionary, and how much memory it takes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from plait.inputs.feature_store import FeatureStore, key_index
from plait.inputs.feature_store.key_index import KeyIndex
from plait.inputs.feature_store.segment import MAPPED_FROM, Segment


def segment_of(keys: np.ndarray) -> Segment:
    return Segment(None, keys, np.zeros((len(keys), 1), dtype=np.float32))


@pytest.mark.parametrize("alike", [0, 30])
@pytest.mark.parametrize("waiting", [1, 40, 10_000])
def test_it_finds_what_a_dictionary_finds(waiting: int, alike: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of all sizes that share keys, hold keys twice or leave rows out; many keys fold alike."""
    monkeypatch.setattr(key_index, "FEWEST_WAITING", waiting)
    draw = np.random.default_rng(waiting)
    pool = draw.integers(0, 256, (400, 32), dtype=np.uint8)
    words = pool.view(np.uint64)
    if alike:
        words[:, 3] = words[:, 0] ^ words[:, 1] ^ words[:, 2] ^ draw.integers(0, alike, 400).astype(np.uint64)
    index, known, places, start = KeyIndex(), {}, {}, 0
    for number, size in enumerate(draw.integers(0, 60, 20).tolist()):
        keys = pool[draw.integers(0, 300, size)]
        without = np.flatnonzero(draw.random(size) < 0.1)
        index.add(f"s{number}", segment_of(keys), without)
        for row in range(size):
            if row not in without:
                known.setdefault(keys[row].tobytes(), start + row)
            places[start + row] = [number, row]
        start += size
        wanted = np.array([known.get(key.tobytes(), -1) for key in pool])
        assert len(index) == len(known)
        np.testing.assert_array_equal(index.find(pool), wanted)
        located = index.located(wanted)
        assert located.tolist() == [places.get(int(row), [-1, -1]) for row in wanted]
    assert list(index.segments()) == [f"s{number}" for number in range(20)]
    assert next(iter(known)) in index and pool[399].tobytes() not in index


def test_many_keys_take_twelve_bytes_each_and_their_file_is_mapped(tmp_path: Path) -> None:
    count = 70_000
    assert count * 32 > MAPPED_FROM
    keys = [f"{number * 2654435761:064x}" for number in range(count)]
    FeatureStore(tmp_path).space("f", {}).put(keys, np.arange(count, dtype=np.float32)[:, None])
    space = FeatureStore(tmp_path).space("f", {})
    assert space.missing([keys[5], "0" * 63 + "1"]) == [1] and len(space) == count
    index = space._index
    assert not index._waiting and index._folded.nbytes + index._rows.nbytes == 12 * count
    if os.path.exists("/proc/self/maps"):
        assert "/keys.npy" in Path("/proc/self/maps").read_text("utf-8")
    wanted = [keys[number] for number in range(0, count, 997)]
    found = space.gather(wanted).take(np.arange(len(wanted)))["vector_BD"][:, 0]
    assert found.int().tolist() == list(range(0, count, 997))
    assert space.put([keys[9], "f" * 64], np.ones((2, 1))) == 1 and space.missing(["f" * 64]) == []
