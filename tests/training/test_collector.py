"""What lived before a run is not walked through by the collections in it, and is again afterwards."""

from __future__ import annotations

import gc

import pytest

from fixtures.lazy import lazy

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
