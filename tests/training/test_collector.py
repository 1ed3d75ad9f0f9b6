"""What lived before a run is not walked through by the collections in it, and is again afterwards."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from fixtures.lazy import lazy
from fixtures.planted_plan import left_only, planted_plan

old_objects_set_aside = lazy("plait.training.collector", "old_objects_set_aside")


@pytest.fixture
def thawed() -> None:
    """The suite itself may have frozen what is imported."""
    gc.unfreeze()


def test_old_objects_come_back_however_the_run_ends(thawed: None) -> None:
    old: list[object] = []
    with pytest.raises(RuntimeError), old_objects_set_aside():
        assert gc.get_freeze_count() > 0
        assert all(one is not old for one in gc.get_objects())  # not walked through
        new: list[object] = []
        assert any(one is new for one in gc.get_objects())
        raise RuntimeError
    assert gc.get_freeze_count() == 0 and any(one is old for one in gc.get_objects())


def test_what_somebody_else_froze_stays_frozen(thawed: None) -> None:
    theirs: list[object] = []
    gc.freeze()  # how many are frozen is no measure: a frozen object that nobody holds any more still goes
    try:
        with old_objects_set_aside():
            new: list[object] = []
            assert any(one is new for one in gc.get_objects())
        assert all(one is not theirs for one in gc.get_objects())
        assert any(one is new for one in gc.get_objects())  # nothing was frozen on top
    finally:
        gc.unfreeze()
    assert any(one is theirs for one in gc.get_objects())


def test_a_training_lets_go_of_its_rows_at_once(thawed: None, tmp_path: Path) -> None:
    """Rows map files of the feature store; a cycle would hold these open until the next full collection."""
    from plait.training.fit import fit_model

    plan, _ = planted_plan(left_only, epochs=2)
    rows = weakref.ref(plan.prepared.sources["left"])
    gc.collect()
    gc.disable()
    try:
        model, _ = fit_model(plan, ["left", "right"], tmp_path)
        del plan
        assert rows() is None, "somebody still holds the rows"
        assert model is not None
    finally:
        gc.enable()
