"""Rows dealt into folds: by class where classes have the rows for it, never across groups."""

from __future__ import annotations

from dataclasses import make_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plait.ensemble.folds import fold_plans
from plait.settings import RunSettings

Rows = make_dataclass("Rows", ["target", "train", "val", "group_N", "task", "settings"])


@pytest.mark.parametrize("target", [np.arange(20), np.arange(20) // 2, np.arange(20) % 2], ids=["20", "10", "2"])
def test_any_number_of_classes_is_dealt(target: np.ndarray) -> None:
    one_class = SimpleNamespace(family=SimpleNamespace(one_class=True))
    plan: Any = Rows(target, np.arange(16), np.arange(16, 20), np.arange(20) // 2, one_class, RunSettings())
    folds = fold_plans(plan, 5)
    assert sorted(np.concatenate([f.val for f in folds]).tolist()) == list(range(20)) and len(folds) == 5
    for fold in folds:
        assert not set(fold.train) & set(fold.val) and len(fold.val) > 0
        assert not set(plan.group_N[fold.train]) & set(plan.group_N[fold.val])
