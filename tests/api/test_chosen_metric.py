"""The metric that somebody chose epochs by stands in the verdict and the leaderboard, with its interval."""

from __future__ import annotations

import re

import plait
from fixtures.lazy import lazy

numbers = lazy("fixtures.small_model", "numbers")


def test_the_chosen_metric_is_told() -> None:
    model = plait.fit(
        numbers(60, ("rain", "sun")), "label", preset="fast", epochs=1,
        set={"task.select_by": "f1_macro", "train.threads": 1, "judge.missing_rows": 0, "train.baselines": False},
    )  # fmt: skip
    entry = model.report["evaluation"]["metrics"]["f1_macro"]
    told = re.search(r"By the metric that chose the epoch, f1_macro: ([\d.]+)", model.report["verdict"])
    assert told is not None and told[1] == f"{entry['value']:.3f}" and model.report["chosen_metric"] == "f1_macro"
    for member in model.leaderboard():
        if member["metrics"]:
            assert member["chosen_metric"] == {"name": "f1_macro", "value": member["metrics"]["f1_macro"]}
    assert any(member["metrics"] for member in model.leaderboard())
