"""A budget in one word: what presets mean, what a time limit leaves out, what a search adds, and how it resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from plait.settings import RunSettings, merge_values


def rows(count: int = 80) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    mood, size = rng.integers(0, 2, count), rng.normal(size=count)
    return {
        "text": [f"{'great nice' if m else 'poor sad'} thing {rng.integers(9)}" for m in mood],
        "size": [float(s) for s in size],
        "label": ["yes" if m + s > 0.5 else "no" for m, s in zip(mood, size, strict=True)],
    }  # fmt: skip


def fitted(**given: Any) -> Any:
    options = {"text": "text", "numeric": "size", "epochs": 2, "set": ["encoders.text=scratch:text", "fusion.width=8"]}
    return plait.fit(rows(), "label", **{**options, **given})


def resolved(**given: Any) -> RunSettings:
    from plait.training.recipes import Facts, resolve

    facts = Facts("classification", ("text", "tabular"), 1000)
    return resolve(merge_values(RunSettings(), given), facts)


def test_a_limit_alone_is_spent_on_the_preset_best_and_a_search_comes_last() -> None:
    assert resolved().preset == "default" and resolved().ensemble.members == ("linear", "ngrams", "trees")
    limited = resolved(time_limit=600.0)
    assert limited.preset == "best" and limited.search.tries == 9
    assert resolved(time_limit=600.0, preset="fast").search.tries == 0
    assert resolved(preset="best").search.tries == 0
    assert resolved(preset="single", **{"search.tries": 4}).ensemble.members == ()


def test_a_limit_that_is_too_short_still_gives_a_model_and_says_what_was_left_out() -> None:
    made = fitted(time_limit=0.01, epochs=50)
    budget = made.report["budget"]
    assert budget["limit"] == 0.01
    left = {one["what"] for one in budget["left_out"]}
    assert {"further folds (4 of 4)", "networks of a modality alone", "n-grams of text"} <= left
    assert "evaluation with modalities missing" in left and made.report["evaluation"]["missing"] is None
    assert "training" in budget["cut"] and len(made.report["history"]) == 1
    assert any("left no time for" in note for note in made.report["evaluation"]["notes"])
    assert made.predict(rows(4)).num_rows == 4
    board = {one["name"]: one for one in made.leaderboard()}
    assert board["n-grams of text"]["status"] == "left out" and board["n-grams of text"]["validation"] is None
    assert board["n-grams of text"]["reason"].startswith("no time was left")
    assert board["fused"]["status"] == "used" and board["fused"]["reason"] is None


def test_the_network_leaves_time_to_members_that_take_seconds_and_the_cheapest_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from plait.training.deadline import Deadline

    left: list[float] = []
    leaving = Deadline.leaving
    monkeypatch.setattr(Deadline, "leaving", lambda self, share: (left.append(share), leaving(self, share))[1])
    made = fitted(time_limit=600, preset="fast")
    tried = [one["what"] for one in made.report["budget"]["tried"]]
    assert left == [0.4] and [t for t in tried if t.startswith(("trees", "n-grams"))] == [
        "trees of tabular",
        "n-grams of text",
    ]
    fitted(time_limit=600, preset="single")
    assert left == [0.4, 0.0]


def test_tries_of_a_search_answer_together_with_the_network(tmp_path: Path) -> None:
    made = fitted(search=3, output=tmp_path / "m")
    tries = made.report["budget"]["search"]
    assert [t["number"] for t in tries] == [0, 1, 2] and all(t["rungs"] for t in tries)
    networks = [m["name"] for m in made.leaderboard()]
    assert "fused" in networks and sum(", try" in name for name in networks) == 2
    cut = [m for m in made.leaderboard() if m["status"] == "cut"]
    assert len(cut) == sum(t["cut"] is not None for t in tries) == 2
    assert all(m["reason"] == "others were better in rung 1" and m["validation"] is not None for m in cut)
    again = plait.load(tmp_path / "m")
    assert again.predict(rows(9)).equals(made.predict(rows(9)))
    page = (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    assert "Time and search" in page and "the given settings" in page


def test_a_killed_search_goes_on_and_ends_alike(tmp_path: Path) -> None:
    whole = fitted(search=3, output=tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(done: int, total: int, what: str) -> None:
        if what.startswith("searching") and done == 2:
            raise KilledError

    with pytest.raises(KilledError) as error:
        fitted(search=3, output=tmp_path / "again", progress=kill)
    assert "resume=True" in "".join(error.value.__notes__)
    again = fitted(search=3, output=tmp_path / "again", resume=True)
    numbers = [
        [(t["settings"], t["validation"], t["cut"]) for t in m.report["budget"]["search"]] for m in (whole, again)
    ]
    assert numbers[0] == numbers[1]
    assert again.predict(rows(9)).equals(whole.predict(rows(9)))


def test_encoding_that_does_not_fit_stops_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.api import run
    from plait.training.deadline import TimeLimitError

    def slow(opened: Any, *, with_tokens: bool, progress: Any) -> Any:
        progress(0, 10_000, "encoding texts")
        import time

        time.sleep(0.2)
        progress(100, 10_000, "encoding texts")

    monkeypatch.setattr(run, "prepare_run", slow)
    with pytest.raises(TimeLimitError, match="type time_limit="):
        fitted(time_limit=2)


def test_a_time_limit_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="time_limit must be a length of time"):
        plait.fit("no-such-table.csv", "label", time_limit="soon")
