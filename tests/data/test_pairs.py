"""Pairs: exact balance, no false negatives, and an oracle for when balanced pairs exist."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plait.data.coco.folder import read_coco_folder
from plait.data.pairs import derange, make_pairs
from plait.data.table import Table


def table_of(**columns: list[Any]) -> Table:
    return Table(arrow=pa.table(columns), root=None, source="test")


def captions(num_photos: int, each: int = 5, words: int | None = None, seed: int = 0) -> Table:
    """Captions of photos; with `words`, drawn from so few texts that many repeat across photos."""
    rng = np.random.default_rng(seed)
    rows = num_photos * each
    texts = [f"text {i if words is None else int(rng.integers(words))}" for i in range(rows)]
    photos = np.repeat(np.arange(num_photos), each)
    order = rng.permutation(rows)
    return table_of(
        image=[f"{photos[i]}.jpg" for i in order],
        caption=[texts[i] for i in order],
        image_id=[str(photos[i]) for i in order],
        split=["train" if photos[i] % 4 else "val" for i in order],
    )


def check_balance(table: Table, pairs: Table) -> None:
    rows = pairs.arrow.to_pylist()
    assert len(rows) == 2 * len(table)
    by_photo: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    by_text: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    true = defaultdict(set)
    for row in table.arrow.to_pylist():
        true[row["image_id"], row.get("split")].add(row["caption"])
    splits = {(row["caption"], row.get("split")) for row in table.arrow.to_pylist()}
    for row in rows:
        by_photo[row["image_id"], row.get("split")][row["match"]] += 1
        by_text[row["caption"], row.get("split")][row["match"]] += 1
        assert (row["caption"] in true[row["image_id"], row.get("split")]) == bool(row["match"])
        assert (row["caption"], row.get("split")) in splits, "a caption left its split"
    for counts in [*by_photo.values(), *by_text.values()]:
        assert counts[0] == counts[1]


@pytest.mark.parametrize("words", [None, 3000, 60])
def test_every_photo_and_caption_is_balanced(words: int | None) -> None:
    table = captions(600, words=words)
    check_balance(table, make_pairs(table, seed=1))


def test_row_order_is_kept() -> None:
    table = captions(10)
    pairs = make_pairs(table).arrow.to_pydict()
    assert pairs["match"] == [1, 0] * 50
    assert pairs["caption"][::2] == table.arrow.column("caption").to_pylist()
    assert pairs["image"][::2] == pairs["image"][1::2] == table.arrow.column("image").to_pylist()
    assert list(pairs) == ["image", "caption", "image_id", "match", "split"]


def test_seed_decides_and_splits_are_independent() -> None:
    table = captions(100)
    assert make_pairs(table, seed=4).arrow.equals(make_pairs(table, seed=4).arrow)
    assert not make_pairs(table, seed=4).arrow.equals(make_pairs(table, seed=5).arrow)
    is_val = pa.array([name == "val" for name in table.arrow.column("split").to_pylist()])
    alone = make_pairs(Table(arrow=table.arrow.filter(is_val), root=None, source="val"), seed=4).arrow.to_pylist()
    together = make_pairs(table, seed=4).arrow.to_pylist()
    assert alone == [row for row in together if row["split"] == "val"]


def test_texts_that_read_the_same_are_never_wrong_pairs() -> None:
    table = table_of(
        image=["a", "b", "c", "d"],
        caption=["A  dog", "a dog ", "Two cats", "a tree"],
        image_id=["1", "2", "3", "4"],
    )
    for seed in range(30):
        for row in make_pairs(table, seed=seed).arrow.to_pylist():
            if row["match"] == 0 and row["image_id"] in "12":
                assert row["caption"] in ("Two cats", "a tree")


def test_one_photo_under_two_ids_is_one_photo() -> None:
    table = table_of(image=["a", "a", "b", "c"], caption=["p", "q", "r", "s"], image_id=["1", "2", "3", "4"])
    for seed in range(20):
        wrong = [row for row in make_pairs(table, seed=seed).arrow.to_pylist() if row["match"] == 0]
        assert all(row["caption"] in "rs" for row in wrong if row["image"] == "a")


def test_images_as_bytes_without_ids() -> None:
    table = table_of(image=[b"a", b"a", b"b", b"b"], caption=["p", "q", "r", "s"])
    pairs = make_pairs(table).arrow.to_pylist()
    assert [row["caption"] in "rs" for row in pairs if row["image"] == b"a"] == [False, True] * 2
    assert "image_id" not in pairs[0]


def test_tight_case_is_solved_exactly() -> None:
    """One photo holds half of the captions: only an exact search finds the pairs surely."""
    table = table_of(
        image=["big"] * 50 + [f"s{i}" for i in range(50)],
        caption=[f"c{i}" for i in range(100)],
        image_id=["big"] * 50 + [f"s{i}" for i in range(50)],
    )
    for seed in range(5):
        check_balance(table, make_pairs(table, seed=seed))


def test_impossible_cases_say_why() -> None:
    with pytest.raises(ValueError, match="do not exist in test.*more photos"):
        make_pairs(table_of(image=["a"], caption=["x"], image_id=["1"]))
    with pytest.raises(ValueError, match="do not exist"):
        make_pairs(table_of(image=["a", "b"], caption=["x", "X"], image_id=["1", "2"]))
    with pytest.raises(ValueError, match="do not exist"):
        make_pairs(table_of(image=list("aaab"), caption=list("wxyz"), image_id=list("1112")))
    lone = captions(8).arrow.to_pylist()
    lone.append({"image": "z", "caption": "z", "image_id": "z", "split": "test"})
    with pytest.raises(ValueError, match="split 'test'"):
        make_pairs(Table(arrow=pa.Table.from_pylist(lone), root=None, source="test"))


def test_oracle_every_small_case() -> None:
    """Against brute force over all permutations: pairs are found exactly when they exist."""
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(300):
        count = int(rng.integers(1, 7))
        photos = rng.integers(0, rng.integers(1, 9), count).astype(np.int64)
        texts = rng.integers(0, rng.integers(4, 20), count).astype(np.int64)
        true = set(zip(photos.tolist(), texts.tolist(), strict=True))
        exists = any(
            all((photos[i], texts[j]) not in true for i, j in enumerate(order))
            for order in itertools.permutations(range(count))
        )
        outcomes.append(exists)
        if exists:
            takes = derange(photos, texts, rng)
            assert sorted(takes) == list(range(count))
            assert all((photos[i], texts[j]) not in true for i, j in enumerate(takes))
        else:
            with pytest.raises(ValueError, match="do not exist"):
                derange(photos, texts, rng)
    assert 50 < sum(outcomes) < 250  # both answers were really tried


def test_wrong_captions_are_drawn_evenly() -> None:
    """Four photos, one caption each: the nine derangements come about equally often."""
    table = table_of(image=list("abcd"), caption=list("wxyz"), image_id=list("1234"))
    seen: dict[str, int] = defaultdict(int)
    for seed in range(900):
        seen["".join(make_pairs(table, seed=seed).column("caption")[1::2])] += 1
    assert len(seen) == 9
    assert min(seen.values()) > 50 and max(seen.values()) < 200


@pytest.mark.parametrize(
    ("columns", "arguments", "says"),
    [
        ({"image": ["a"], "caption": ["x"]}, {"text": "captoin"}, "captoin"),
        ({"image": ["a", None], "caption": ["x", "y"]}, {}, "'image' is empty in 1 of 2 rows, row 1"),
        ({"image": ["a", "b"], "caption": [None, "y"]}, {}, "'caption' is empty in 1 of 2 rows, row 0"),
        ({"image": ["a", "b"], "caption": [1, 2]}, {}, "'caption' holds no text in 2 rows"),
        ({"image": ["a", "b"], "caption": ["x", "y"], "split": ["train", None]}, {}, "'split' is empty"),
        ({"image": ["a", "b"], "caption": ["x", "y"]}, {"seed": -1}, "seed is -1"),
        ({"image": ["a", "b"], "caption": ["x", "y"]}, {"image": "caption"}, "different columns"),
        ({"image": ["a", "b"], "match": ["x", "y"]}, {"text": "match"}, "none called 'match'"),
    ],
)
def test_bad_input(columns: dict[str, list[Any]], arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_pairs(table_of(**columns), **arguments)


def test_no_rows() -> None:
    empty = pa.table({"image": pa.array([], pa.string()), "caption": pa.array([], pa.string())})
    with pytest.raises(ValueError, match="has no rows"):
        make_pairs(Table(arrow=empty, root=None, source="test"))


def test_the_impossible_is_refused_at_once() -> None:
    rows = np.arange(200_000)
    start = time.process_time()
    with pytest.raises(ValueError, match="one photo .* needs 200000 wrong partners and only 0"):
        derange(np.zeros_like(rows), rows, np.random.default_rng(0))
    with pytest.raises(ValueError, match="one caption text .* needs 150000 wrong partners and only 50000"):
        derange(rows, np.maximum(rows - 149_999, 0), np.random.default_rng(0))
    assert time.process_time() - start < 3.0


def test_twenty_thousand_captions_are_fast() -> None:
    table = captions(4000, words=9000)
    start = time.process_time()
    pairs = make_pairs(table)
    assert time.process_time() - start < 5.0
    check_balance(table, pairs)


@pytest.mark.real
def test_real_captions(shared_data: Path) -> None:
    for notes in ("annotations", "annotations-zh"):
        folder = shared_data / "flickr8k-2k"
        table = read_coco_folder(folder, annotations=folder / notes, task="captions")
        check_balance(table, make_pairs(table, seed=0))
