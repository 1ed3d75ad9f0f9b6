"""Successive halving on planted tables: what is drawn, what goes on, and what a stopped search comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.planted_plan import planted_plan
from plait.settings import RunSettings, SearchSettings, TrainSettings

draw_tries, search, best_tries = lazy("plait.training.search", "draw_tries", "search", "best_tries")
FUSIONS = ("concat", "gated", "product", "weighted_sum")


def planted(tries: int = 6, *, flip_test: bool = False, eta: int = 2, epochs: int = 4) -> Any:
    plan, _ = planted_plan(np.logical_xor, rows=48, epochs=epochs, flip_test=flip_test)
    settings = replace(plan.settings, search=SearchSettings(tries, eta, 2, FUSIONS))
    return replace(plan, settings=settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Records of a search that nothing stopped."""
    return search(planted(), RunSettings(), tmp_path_factory.mktemp("whole"))  # type: ignore[no-any-return]


def test_the_first_try_is_the_given_settings_and_none_comes_twice() -> None:
    tries = draw_tries(planted(12), RunSettings())
    assert tries[0] == {} and len(tries) == 12
    assert len({json.dumps(t, sort_keys=True) for t in tries}) == 12
    assert tries == draw_tries(planted(12), RunSettings())


def test_what_the_user_set_is_not_varied() -> None:
    asked = RunSettings(train=TrainSettings(learning_rate=0.01, ogm=0.5))
    tries = draw_tries(planted(30), asked)
    paths = {path for t in tries for path in t}
    assert "train.learning_rate" not in paths and "train.ogm" not in paths and "fusion.name" in paths


def test_rungs_train_longer_and_the_better_go_on(whole: list[dict[str, Any]]) -> None:
    records = whole
    assert [len(records[n]["rungs"]) for n in range(6)].count(1) == 3  # of six tries three are cut after rung 1
    first = [r["rungs"][0]["validation"] for r in records]
    going = [r for r in records if r["cut"] != 1]
    assert min(r["rungs"][0]["validation"] for r in going) >= sorted(first)[-3]
    assert [rung["epochs"] for rung in max(records, key=lambda r: len(r["rungs"]))["rungs"]] == [1, 2, 4]
    assert sum(r["cut"] is None for r in records) == 1
    best = best_tries(planted(), records)
    assert len(best) == 2 and all(r["number"] > 0 for r in best)
    assert len(best[0]["rungs"]) >= len(best[1]["rungs"])


def test_a_stopped_search_ends_as_it_would_have(tmp_path: Path, whole: list[dict[str, Any]]) -> None:

    class StoppedError(Exception):
        pass

    calls = []

    def stop(done: int, total: int, what: str) -> None:
        calls.append(what)
        if len(calls) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        search(planted(), RunSettings(), tmp_path / "again", progress=stop)
    kept = sorted(p.name for p in (tmp_path / "again").glob("try-*.json"))
    assert len(kept) == 4
    (tmp_path / "again" / kept[0]).write_text('{"key": "hal', encoding="utf-8")  # half a file
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "again").glob("try-*.json")}
    again = search(planted(), RunSettings(), tmp_path / "again")
    untouched = {n: (tmp_path / "again" / n).stat().st_mtime_ns for n in kept[1:]}
    assert untouched == {n: before[n] for n in kept[1:]}, "a finished try was trained again"
    assert _without_seconds(again) == _without_seconds(whole)


def test_answers_of_test_rows_change_nothing(tmp_path: Path, whole: list[dict[str, Any]]) -> None:
    flipped = search(planted(flip_test=True), RunSettings(), tmp_path / "b")
    assert _without_seconds(whole) == _without_seconds(flipped)


def test_a_try_that_fails_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plait.training.search as room

    real = room.fit_model

    def broken(plan: Any, *given: Any, **options: Any) -> Any:
        if plan.settings.fusion.name == "product":
            raise ValueError("this table does not suit it")
        return real(plan, *given, **options)

    monkeypatch.setattr(room, "fit_model", broken)
    records = search(planted(8, epochs=2), RunSettings(), tmp_path / "s")
    failed = [r for r in records if r.get("reason")]
    assert failed and all(r["reason"] == "this table does not suit it" and r["cut"] == 1 for r in failed)
    assert all(r["settings"]["fusion.name"] == "product" for r in failed)
    assert sum(r["cut"] is None for r in records) >= 1


def _without_seconds(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **{k: v for k, v in r.items() if k != "seconds"},
            "rungs": [(g["epochs"], g["validation"]) for g in r["rungs"]],
        }
        for r in records
    ]
