"""What of an evaluation is made under a time limit, decided by what one measurement and one pass took."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.lazy import lazy

in_time = lazy("plait.evaluation.in_time")
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
    assert in_time.has_time_for_missing(asked, 1, 1.0, 0.02) is fits
    assert [one["what"] for one in asked.deadline.left_out] == ([] if fits else [in_time.MISSING])


def test_one_modality_is_never_hidden_and_without_a_limit_there_is_always_time() -> None:
    assert in_time.has_time_for_missing(given(0.0, modalities=1), 0, 1e6, 1.0)
    endless = given(0.0)
    endless.deadline = limits.Deadline()
    assert in_time.has_time_for_missing(endless, 0, 1e6, 1.0)
