"""The fourth part: rows that are kept for calibration, marked or cut by whole groups, and never trained on."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.split import carve_calibration, read_split, split_rows
from plait.data.split_time import split_by_time
from plait.metrics.trust.conformal import conformal_quantile

Rows = tuple[np.ndarray, np.ndarray]


def test_calibration_is_a_name_of_a_split() -> None:
    assert read_split(["Calibration", "calib", "train"]).tolist() == ["calibration", "calibration", "train"]


def test_whole_groups_are_cut_out_of_train_alone() -> None:
    split = np.array(["train"] * 80 + ["val"] * 10 + ["test"] * 10)
    group = np.arange(100) // 5
    made = carve_calibration(split, group=group.tolist(), fraction=0.2, seed=3)
    assert (made == "calibration").sum() == 20 and (made[80:] == split[80:]).all()
    parts = [set(made[group == g]) for g in range(20)]
    assert all(len(part) == 1 for part in parts)
    assert made.tolist() == carve_calibration(split, group=group.tolist(), fraction=0.2, seed=3).tolist()
    with pytest.raises(ValueError, match=r"calibration=0\.8 of 100 rows is more than the 80 train rows can give"):
        carve_calibration(split, fraction=0.8)
    with pytest.raises(ValueError, match="has calibration rows already"):
        carve_calibration(made, fraction=0.1)


def test_sets_of_many_small_classes_hold_as_often_as_promised() -> None:
    """Calibration rows that follow the training rows class by class would look easier than new rows are."""
    centre_CD = np.random.default_rng(7).normal(size=(200, 24))
    covered = []
    for seed in range(50):
        rng = np.random.default_rng(seed)

        def draw(count: int, rng: np.random.Generator = rng) -> Rows:
            label = rng.choice(200, count)
            return centre_CD[label] + 0.9 * rng.normal(size=(count, 24)), label

        rows, label = draw(1000)
        split = carve_calibration(
            split_rows(1000, target=[f"c{c}" for c in label], seed=seed), fraction=0.15, seed=seed
        )
        known = rows[split == "train"], label[split == "train"]
        limit = conformal_quantile(
            score_of_truth(known, (rows[split == "calibration"], label[split == "calibration"])), 0.9
        )
        covered.append((score_of_truth(known, draw(500)) <= limit).mean())
    error = np.std(covered) / len(covered) ** 0.5
    assert 0.9 - 2 * error < np.mean(covered) < 0.95


def score_of_truth(known: Rows, asked: Rows) -> np.ndarray:
    """1 less the probability of the true class by the distance to class means; infinite for an unknown class."""
    (rows, label), (given, truth) = known, asked
    count_C = np.bincount(label, minlength=200)
    mean_CD = np.stack([rows[label == c].mean(0) if count_C[c] else np.zeros(24) for c in range(200)])
    logit_NC = -((given[:, None] - mean_CD) ** 2).sum(2) / (1.62 * (1 + 1 / np.maximum(count_C, 1)))
    logit_NC += np.log(np.maximum(count_C, 1e-300))  # a class of many training rows is likelier
    odds_NC = np.exp(logit_NC - logit_NC.max(1, keepdims=True))
    score_N = 1 - odds_NC[np.arange(len(truth)), truth] / odds_NC.sum(1)
    return np.where(count_C[truth] == 0, np.inf, score_N)


def test_in_time_calibration_comes_just_before_the_test() -> None:
    times = np.random.default_rng(0).permutation(100).tolist()
    made = split_by_time(times, calibration=0.1)
    order = made[np.argsort(times)].tolist()
    assert order == ["train"] * 70 + ["val"] * 10 + ["calibration"] * 10 + ["test"] * 10
    assert split_by_time(times).tolist().count("train") == 80
    with pytest.raises(ValueError, match="cannot be split by time into four parts"):
        split_by_time([1, 2, 3, 3], calibration=0.1)
