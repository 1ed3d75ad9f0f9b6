"""The part that decides ranks first: planted words and columns here, all kinds and a hundred cases in the benchmark."""

from __future__ import annotations

import pytest

from fixtures.planted_parts import PLANTED, found_first

CASES = 20


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("words", "regions", "spans")]


@pytest.mark.parametrize("kind", ["columns", *SLOW])
def test_the_planted_part_is_found(kind: str) -> None:
    if kind == "spans":
        pytest.importorskip("soundfile", reason="extra audio")
    planted = PLANTED[kind](240 + 40 + 2 * CASES)
    hits, right, found = found_first(planted, 240, CASES)
    assert right >= 0.9, "the model must have learned what was planted"
    assert hits >= planted.floor
    assert found["inputs"]["explanations"] == CASES
