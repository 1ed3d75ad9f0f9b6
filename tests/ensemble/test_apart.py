"""Validation rows set apart choose alone where training rows are answered too well to tell anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plait.ensemble.apart import is_worse


def test_a_difference_of_levels_is_told_from_luck() -> None:
    alarms = dict.fromkeys((0.0, 0.5), 0)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        loss, apart = rng.exponential(size=230), np.arange(230) < 50
        for gap in alarms:
            alarms[gap] += is_worse(loss + gap * apart, apart, np.arange(230), 0.0228)
    assert alarms[0.0] <= 10 and alarms[0.5] >= 140
    assert not is_worse(loss - 9 * apart, apart, np.arange(230), 0.0228)  # better is no alarm


def test_rows_of_a_group_are_one_observation() -> None:
    """One of five groups is hard: by rows a clear difference, by groups luck."""
    loss, apart, group = np.zeros(200), np.arange(200) < 50, np.arange(200) // 10
    loss[:10] = 1.0
    loss += np.random.default_rng(0).normal(scale=0.05, size=200)
    assert is_worse(loss, apart, np.arange(200), 0.0228)
    assert not is_worse(loss, apart, group, 0.0228)
    assert not is_worse(loss, apart, apart.astype(int), 0.0228)  # two groups tell nothing


def leaking(names: list[str], leaks: bool) -> dict[str, list[Any]]:
    """Two vectors: one is honest in every row, one was made from the answers of training rows."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, len(names))
    sign = 2.0 * label - 1
    known = np.array([n == "train" for n in names]) & leaks
    leaky = np.stack([4.0 * sign * known + rng.normal(size=len(names)) for _ in range(2)], axis=1)
    honest = np.stack([0.6 * sign + rng.normal(size=len(names)) for _ in range(2)], axis=1)
    return {"leaky": list(leaky), "honest": list(honest), "label": label.tolist(), "split": names}


def fitted(table: dict[str, list[Any]], **changes: Any) -> Any:
    import plait

    options: dict[str, Any] = {
        "vector": ["leaky", "honest"], "task": "classification", "split": "split", "preset": "best", "epochs": 1,
        "set": ["ensemble.folds=3", "fusion.width=8", "judge.missing_rows=0"],
    }  # fmt: skip
    return plait.fit(table, "label", **{**options, **changes})


NAMES = ["train"] * 240 + ["val"] * 60 + ["test"] * 100


def test_features_learned_from_training_rows_do_not_choose() -> None:
    made = fitted(leaking(NAMES, leaks=True))
    told = [n for n in made.report["evaluation"]["notes"] if "they alone choose" in n]
    assert not [n for n in made.report["evaluation"]["notes"] if "the choice is blind" in n]
    assert len(told) == 1 and "worse than held-out training rows" in told[0]
    weight = {m["name"]: m["weight"] for m in made.leaderboard()}
    assert weight["linear of honest"] + weight["honest alone"] > 2 * (weight["linear of leaky"] + weight["leaky alone"])
    assert made.report["evaluation"]["patterns"][0]["best member"] in ("linear of honest", "honest alone")
    assert made.report["evaluation"]["metrics"]["accuracy"]["value"] > 0.7
    assert max(m["validation"] for m in made.leaderboard()) < 0.99  # told of validation rows, not of training rows


@pytest.mark.parametrize(("leaks", "names"), [(False, NAMES), pytest.param(True, None, marks=pytest.mark.slow)])
def test_no_alarm_where_rows_are_alike_or_were_drawn_at_random(leaks: bool, names: list[str] | None) -> None:
    table = leaking(NAMES, leaks)
    if names is None:  # validation rows are drawn by us
        table["split"] = ["test" if n == "test" else "train" for n in NAMES]
    made = fitted(table)
    notes = made.report["evaluation"]["notes"]
    assert not [n for n in notes if "they alone choose" in n]
    assert bool([n for n in notes if "the choice is blind" in n]) == leaks  # the evaluated rows show what chose in vain
