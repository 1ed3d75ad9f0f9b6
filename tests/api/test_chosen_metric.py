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
    found = re.search(r"By the metric that chose the epoch, f1_macro: ([\d.]+)", model.report["verdict"])
    assert found is not None and found[1] == f"{entry['value']:.3f}" and model.report["chosen_metric"] == "f1_macro"
    for member in model.leaderboard():
        if member["metrics"]:
            told = member["chosen_metric"]
            assert (told["name"], told["value"]) == ("f1_macro", member["metrics"]["f1_macro"])
            assert told["low"] <= told["value"] <= told["high"]
    assert any(member["metrics"] for member in model.leaderboard())
