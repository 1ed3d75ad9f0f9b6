"""Validation rows of a model with folds trained most of its members, and whoever judges it on them is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plait

QUICK = ["train.threads=1", "judge.missing_rows=0", "fusion.width=8"]


def table(parts: tuple[str, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(90, 3))
    return {
        **{f"x{i}": x[:, i].tolist() for i in range(3)}, "label": ["up" if v > 0 else "down" for v in x[:, 0]],
        "split": [parts[i % len(parts)] for i in range(90)],
    }  # fmt: skip


@pytest.mark.parametrize(("folds", "said"), [(2, "trained the model"), (1, "also chose the epoch")])
def test_validation_rows_of_folds_are_training_rows(folds: int, said: str) -> None:
    rows = table(("train", "train", "val", "test"))
    model = plait.fit(rows, "label", split="split", preset="fast", epochs=2, set=[*QUICK, f"ensemble.folds={folds}"])
    assert model.ensemble is not None and model.ensemble.has_folds == (folds > 1)
    judged = model.evaluate(rows, rows="val")
    assert f"Judged on {'22 rows' if folds > 1 else 'the validation rows, which'}" in judged["verdict"]
    assert said in judged["verdict"]
    assert "trained the model" not in model.evaluate(rows, rows="test")["verdict"]


def test_a_fit_without_test_rows_says_so_too() -> None:
    model = plait.fit(
        table(("train", "train", "val")), "label", split="split", preset="fast", epochs=2,
        set=[*QUICK, "ensemble.folds=2", "data.test=false"],
    )  # fmt: skip
    assert "Judged on 30 rows that trained the model" in model.report["verdict"]
