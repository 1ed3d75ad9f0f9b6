"""What of an evaluation is made under a time limit, decided by what one measurement and one pass took."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.lazy import lazy

in_time = lazy("plait.evaluation.in_time")
effort = lazy("plait.evaluation.effort")
limits = lazy("plait.training.deadline")


def given(left: float, *, modalities: int = 2) -> Any:
    """Rows to evaluate with so many seconds left before saving."""
    deadline = limits.Deadline(100.0, 0.0, clock=lambda: 95.0 - left)
    config = SimpleNamespace(modality_names=[str(m) for m in range(modalities)])
    judge = SimpleNamespace(missing_rows=500, missing_draws=5, missing_step=0.1)
    return SimpleNamespace(
        deadline=deadline, model=SimpleNamespace(config=config), judge=judge, positions=range(1000), notes=[]
    )


@pytest.mark.parametrize(("left", "fits"), [(8.0, True), (7.0, False)])
def test_modalities_are_hidden_where_that_fits(left: float, fits: bool) -> None:
    # half of the rows; two of three patterns are unknown: 2 passes of 1 s; 100 scores and 200 resamples of 3 patterns
    # of .02 s each: (2 + 14) / 2 = 8 s, less what rounds
    asked = given(left + 0.01)
    assert in_time.has_time_for_missing(asked, effort.full_effort(asked), effort.Passes(1, 1.0, 0.02)) is fits
    assert [one["what"] for one in asked.deadline.left_out] == ([] if fits else [in_time.MISSING])


def test_one_modality_is_never_hidden_and_without_a_limit_there_is_always_time() -> None:
    slow = effort.Passes(0, 1e6, 1.0)
    single, endless = given(0.0, modalities=1), given(0.0)
    assert in_time.has_time_for_missing(single, effort.full_effort(single), slow)
    endless.deadline = limits.Deadline()
    assert in_time.has_time_for_missing(endless, effort.full_effort(endless), slow)


def trained(seconds: float | None, *, rows: int | None = None, share: float | None = 0.5) -> Any:
    """2,000 rows of six modalities, whose model was trained for so many seconds."""
    asked = given(90.0, modalities=6)
    asked.deadline, asked.positions, asked.training_seconds = limits.Deadline(), range(2000), seconds
    asked.judge = SimpleNamespace(missing_rows=rows, missing_draws=5, missing_step=0.1, share=share)
    return asked


@pytest.mark.parametrize(
    ("seconds", "rows", "levels", "draws"),
    [(126.0, 2000, 10, 5), (124.0, 2000, 10, 2), (34.0, 1000, 10, 2), (30.0, 1000, 5, 1)],
)
def test_judging_is_held_to_half_of_the_training(seconds: float, rows: int, levels: int, draws: int) -> None:
    # 13 patterns, all-but-one and alone and everything, and a pass for each of 50 draws: 63 passes of 1 s; 33 with two
    # draws, 16.5 s on half of the rows; 18 with five levels of one draw, 9 s on half of the rows
    asked = trained(seconds)
    chosen = effort.plan_effort(asked, effort.Passes(0, 1.0, 0.0))
    assert (chosen.rows, chosen.levels, chosen.draws) == (rows, levels, draws)
    if (rows, draws) == (2000, 5):
        assert asked.notes == [] and chosen.budget is None
        return
    assert f"{rows:,} rows instead of 2,000" in asked.notes[0] and "judge.share=0.5" in asked.notes[0]
    assert chosen.budget["needed_seconds"] == 63.0 and chosen.budget["allowed_seconds"] == max(10.0, seconds / 2)


def test_what_is_named_is_judged_and_what_cannot_fit_is_left_out() -> None:
    slow = effort.Passes(0, 100.0, 0.0)
    for asked in (trained(20.0, rows=2000), trained(20.0, share=None), trained(None)):
        assert effort.plan_effort(asked, slow) == effort.full_effort(asked) and asked.notes == []
    asked = trained(20.0)
    assert effort.plan_effort(asked, slow) is None
    assert "not hidden on purpose" in asked.notes[0] and "judge.missing_rows=N" in asked.notes[0]
