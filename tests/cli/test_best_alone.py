"""The terminal's line on an ensemble against its best single member, pattern by pattern."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("higher", "low", "high", "said"),
    [
        (True, -0.2, -0.1, "1 answered clearly worse than by the best single model: text + image (-0.150)"),
        (True, -0.2, 0.1, "none is answered clearly worse"),
        (False, 0.1, 0.2, "1 answered clearly worse"),
        (False, -0.2, -0.1, "none is answered clearly worse"),
        (True, None, None, "none is answered clearly worse"),
    ],
)
def test_a_pattern_is_named_where_the_interval_says_worse(
    higher: bool, low: float | None, high: float | None, said: str
) -> None:
    from plait.cli.report import _best_alone

    pattern: dict[str, Any] = {"present": ["text", "image"], "difference": {"value": -0.15, "low": low, "high": high}}
    (line,) = _best_alone([pattern], {"higher_is_better": higher})
    assert said in line and "1 pattern " in line
