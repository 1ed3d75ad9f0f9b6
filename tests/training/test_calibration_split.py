"""The fourth part: rows that are kept for calibration, marked or cut by whole groups, and never trained on."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.split import carve_calibration, read_split
from plait.data.split_time import split_by_time


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


def test_in_time_calibration_comes_just_before_the_test() -> None:
    times = np.random.default_rng(0).permutation(100).tolist()
    made = split_by_time(times, calibration=0.1)
    order = made[np.argsort(times)].tolist()
    assert order == ["train"] * 70 + ["val"] * 10 + ["calibration"] * 10 + ["test"] * 10
    assert split_by_time(times).tolist().count("train") == 80
    with pytest.raises(ValueError, match="cannot be split by time into four parts"):
        split_by_time([1, 2, 3, 3], calibration=0.1)
