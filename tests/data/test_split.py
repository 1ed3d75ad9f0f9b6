"""Splits: shares, groups, strata, and the leakage alarm."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from plait.data.split import Leak, carve_validation, find_leakage, read_split, split_rows


def count(split: np.ndarray) -> dict[str, int]:
    return dict(Counter(split.tolist()))


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (10, {"train": 8, "val": 1, "test": 1}),
        (100, {"train": 80, "val": 10, "test": 10}),
        (1000, {"train": 800, "val": 100, "test": 100}),
    ],
)
def test_shares(n: int, expected: dict[str, int]) -> None:
    for seed in range(5):
        assert count(split_rows(n, seed=seed)) == expected


def test_seed_decides() -> None:
    assert split_rows(200, seed=1).tolist() == split_rows(200, seed=1).tolist()
    assert split_rows(200, seed=1).tolist() != split_rows(200, seed=2).tolist()


def test_stratified_by_class() -> None:
    target = ["a"] * 700 + ["b"] * 200 + ["c"] * 100
    split = split_rows(1000, target=target, seed=3)
    for label, n in (("a", 700), ("b", 200), ("c", 100)):
        counts = Counter(s for s, t in zip(split, target, strict=True) if t == label)
        assert abs(counts["val"] - n / 10) <= 1 and abs(counts["test"] - n / 10) <= 1, label


def test_every_class_stays_in_train() -> None:
    for seed in range(20):
        target = [str(i % 7) for i in range(10)] + ["lonely"]
        split = split_rows(len(target), target=target, seed=seed)
        assert {t for t, s in zip(target, split, strict=True) if s == "train"} == set(target)
        lists = [["x", "y"], ["x"], ["y", "z"], ["x"], ["x", "y"], ["only"], [], ["x"]]
        split = split_rows(8, target=lists, seed=seed)
        assert {c for t, s in zip(lists, split, strict=True) if s == "train" for c in t} == {
            "x",
            "y",
            "z",
            "only",
        }


def test_numbers_are_stratified_by_quantile() -> None:
    target = np.random.default_rng(0).lognormal(size=500).tolist()
    means = []
    for seed in range(10):
        split = split_rows(500, target=target, seed=seed)
        assert count(split) == {"train": 400, "val": 50, "test": 50}
        means.append(np.median([t for t, s in zip(target, split, strict=True) if s == "test"]))
    assert np.std(means) < 0.1
    assert count(split_rows(500, target=[None, *target[1:]])) == {"train": 400, "val": 50, "test": 50}


@pytest.mark.parametrize("stratify", [None, False, True])
def test_groups_stay_together(stratify: bool | None) -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 60, 300).tolist()
    target = [g % 3 for g in group]
    split = split_rows(300, target=target, group=group, seed=4, stratify=stratify)
    for g in set(group):
        assert len({s for s, other in zip(split, group, strict=True) if other == g}) == 1
    counts = count(split)
    assert 220 <= counts["train"] <= 260 and 15 <= counts["val"] <= 45 and 15 <= counts["test"] <= 45


def test_five_captions_a_photo_are_dealt_exactly() -> None:
    group = [f"photo{i // 5}" for i in range(500)]
    assert count(split_rows(500, group=group)) == {"train": 400, "val": 50, "test": 50}


def test_shared_content_ties_groups_into_one_component() -> None:
    group = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    image = [None] * 16
    text = [None] * 16
    image[1] = image[2] = "p"  # groups 0 and 1
    text[3] = text[4] = "q"  # groups 1 and 2
    for seed in range(20):
        split = split_rows(
            16, group=group, content={"image": image, "text": text}, seed=seed, fractions=(0.5, 0.25, 0.25)
        )
        assert len(set(split[:6])) == 1
        assert find_leakage(split, {"image": image, "text": text, "group": [str(g) for g in group]}) == []


def test_missing_groups_tie_nothing() -> None:
    assert count(split_rows(100, group=[None] * 50 + [float("nan")] * 50)) == {
        "train": 80,
        "val": 10,
        "test": 10,
    }


def test_one_giant_component_warns_and_stays_in_train() -> None:
    with pytest.warns(UserWarning, match="95 of 100 rows"):
        split = split_rows(100, group=[0] * 95 + list(range(1, 6)))
    assert set(split[:95]) == {"train"} and set(split) == {"train", "val", "test"}


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5, 0.5), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1), (0.8, 0.2), (float("nan"), 0, 0)]
)
def test_wrong_shares(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        split_rows(10, fractions=fractions)  # type: ignore[arg-type]


def test_wrong_lengths() -> None:
    for arguments in ({"target": [1]}, {"group": [1]}, {"content": ["x"]}):
        with pytest.raises(ValueError, match="expected one a row"):
            split_rows(5, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        split_rows(0)
    with pytest.raises(ValueError, match="needs a target"):
        split_rows(5, stratify=True)


def test_shares_of_zero_get_nothing() -> None:
    assert count(split_rows(10, fractions=(1.0, 0.0, 0.0))) == {"train": 10}
    assert count(split_rows(10, fractions=(0.9, 0.1, 0.0))) == {"train": 9, "val": 1}


def test_read_split() -> None:
    given = [" Training", "VALID", "validation", "dev", "test", "val", "testing"]
    assert read_split(given).tolist() == ["train", "val", "val", "val", "test", "val", "test"]
    for wrong in ("holdout", None, 3, ""):
        with pytest.raises(ValueError, match="row 1 has the split"):
            read_split(["train", wrong])


def test_carving_takes_from_train_alone() -> None:
    split = ["train"] * 80 + ["test"] * 20
    made = carve_validation(split, fraction=0.1)
    assert made[80:].tolist() == ["test"] * 20
    assert count(made) == {"train": 72, "val": 8, "test": 20}
    grouped = carve_validation(split, group=[i // 8 for i in range(100)], content=[None] * 100, fraction=0.2)
    assert all(len(set(grouped[i : i + 8])) == 1 for i in range(0, 80, 8))
    assert count(carve_validation(["train", "test"])) == {"train": 1, "test": 1}
    with pytest.raises(ValueError, match="validation rows already"):
        carve_validation(["train", "dev"])
    with pytest.raises(ValueError, match="no train rows"):
        carve_validation(["test"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        carve_validation(split, fraction=1.0)


def test_leakage_names_column_and_rows() -> None:
    split = ["train", "train", "test", "val", "test"]
    leaks = find_leakage(split, {"image": ["a", "a", "a", None, "b"], "text": ["x", "y", "z", "y", None]})
    assert leaks == [
        Leak("image", "a", {"train": (0, 1), "test": (2,)}),
        Leak("text", "y", {"train": (1,), "val": (3,)}),
    ]
    with pytest.raises(ValueError, match="expected one a row"):
        find_leakage(split, {"image": ["a"]})
