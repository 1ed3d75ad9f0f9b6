"""Thresholds that were tuned for a rare class turn decisions, and not what guessing gets or which metrics there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import plait


@pytest.fixture(scope="module")
def model() -> Any:
    rng = np.random.default_rng(0)
    kinds = rng.choice(["often", "sometimes", "rare"], 240, p=[0.7, 0.24, 0.06])
    words = {"often": "good", "sometimes": "bad", "rare": "odd"}
    table = {
        "text": [f"{words[k]} thing" if rng.random() < 0.5 else "some thing" for k in kinds],
        "x": rng.normal(size=240).tolist(), "y": kinds.tolist(),
    }  # fmt: skip
    chosen = ["encoders.text=scratch:text", "train.threads=1", "train.baselines=false", "judge.missing_rows=0"]
    fitted = plait.fit(table, "y", preset="single", epochs=2, seed=1, set=chosen)
    fitted.labels = replace(fitted.labels, thresholds=(0.9, 0.2, 0.02))
    return fitted, table


def test_nothing_is_what_guessing_gets_and_not_the_rarest_class(model: Any) -> None:
    fitted, table = model
    found = fitted.explain(table, rows="test")
    assert found["empty"]["answer"] == "often" and found["empty"]["by"] == "the training prior"
    assert found["subsets"][0]["metric"]["value"] == pytest.approx(found["chance"])
    assert found["empty"]["model"]["answer"] != "often", "the model's own answer to nothing is turned by its thresholds"


@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy", "auroc"])
def test_other_metrics_of_three_classes_are_shared_out(model: Any, metric: str) -> None:
    fitted, table = model
    found = fitted.explain(table, rows="test", metric=metric)
    assert found["metric"]["name"] == metric and np.isfinite(found["subsets"][-1]["metric"]["value"])
    with pytest.raises(ValueError, match="Did you mean 'f1_macro'"):
        fitted.explain(table, rows="test", metric="f1_makro")
