"""Values of ``ensemble.json`` that would answer quietly and wrong are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.lazy import lazy

check_ensemble = lazy("plait.ensemble.file_checks", "check_ensemble")
GOOD: dict[str, Any] = {
    "modalities": ["text", "tabular"],
    "patterns": [[True, True], [False, True]],
    "weights": [[0.5, 0.5], [0.0, 1.0]],
    "temperatures": [1.0, 0.9],
    "best": [0, 1],
    "nothing": [0.4, 0.6],
    "members": [
        {"uses": ["text", "tabular"], "models": [{"network": ".", "uses": [0, 1]}]},
        {"uses": ["tabular"], "models": [{"config": {"uses": [1]}}]},
    ],
}


def test_what_is_written_passes() -> None:
    check_ensemble(GOOD, ["text", "tabular"], 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["weights"][0].__setitem__(0, float("nan")), "weights is"),
        (lambda v: v["weights"][0].__setitem__(0, 5), "add up to 1"),
        (lambda v: v["weights"].pop(), "weights is"),
        (lambda v: v["temperatures"].__setitem__(0, 0), "temperatures is"),
        (lambda v: v.update(patterns=[[True, True], [True, True]]), "different lists"),
        (lambda v: v["nothing"].pop(), "expected 2 numbers"),
        (lambda v: v["modalities"].reverse(), "those of the model"),
        (lambda v: v["best"].__setitem__(0, 2), "one of 2 members"),
        (lambda v: v["members"].pop(), "weights is"),
        (lambda v: v["members"][0]["models"][0].update(network="../other"), "a folder of the model"),
        (lambda v: v["members"][0]["models"][0].update(uses=[1, 0]), "the modalities of the member"),
        (lambda v: v["members"][1]["models"][0]["config"].update(uses=[0]), "the modalities of the member"),
    ],
)
def test_what_no_ensemble_writes_is_refused(change: Callable[[Any], Any], words: str) -> None:
    values = copy.deepcopy(GOOD)
    change(values)
    with pytest.raises(ValueError, match=rf"ensemble\.json: .*{words}"):
        check_ensemble(values, ["text", "tabular"], 2)
