"""From when a run's time limit counts."""

from __future__ import annotations

import time

from fixtures.lazy import lazy

counted_from, run_began = lazy("plait.api.clock", "counted_from", "run_began")


def test_a_run_begins_at_its_call_unless_a_program_says_earlier() -> None:
    before = time.monotonic()
    with counted_from(before - 7.0):
        assert run_began() == before - 7.0
        with counted_from(before - 3.0):
            assert run_began() == before - 3.0
        assert run_began() == before - 7.0
    assert run_began() >= before
