"""The order of classes, lowest first: as the user gives it, or read off names that leave no doubt.

Names are numbers (``1``, ``2``, ``3``; ``1 star``), or words of one scale that is known here: sentiment, agreement,
quality, level, truth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from plait.registry import unknown_name
from plait.tasks.labels import number

SCALES = (
    "very negative|negative, neg|neutral, neu, mixed|positive, pos|very positive",
    "strongly disagree|disagree|neither agree nor disagree, neutral, undecided|agree|strongly agree",
    "terrible|bad, poor|fair, average, okay, ok, mediocre|good|very good|excellent, great",
    "none|low|medium, moderate|high|very high",
    "never|rarely|sometimes|often|always",
    "pants fire, pants on fire|false|barely true|half true|mostly true|true",
    "\u975e\u5e38\u8d1f\u9762|\u8d1f\u9762, \u6d88\u6781, \u5dee\u8bc4|\u4e2d\u6027, \u4e2d\u7acb, \u4e2d\u8bc4|"
    "\u6b63\u9762, \u79ef\u6781, \u597d\u8bc4|\u975e\u5e38\u6b63\u9762",
)
"""Ranks between bars, names for one rank between commas."""
_STARS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:stars?|points?|\u661f|\u5206)")


def class_order(names: Sequence[str], given: Sequence[str] = ()) -> tuple[str, ...]:
    """Classes in their order.

    Args:
        names: The classes that occur in training.
        given: The order that the user named; classes in it that do not occur are left out.

    Raises:
        ValueError: A class that the given order lacks, or no order that can be found.

    Example:
        >>> class_order(["positive", "negative", "neutral"])
        ('negative', 'neutral', 'positive')
    """
    if given:
        for name in names:
            if name not in given:
                raise ValueError(f"task.order lacks a class of the target: {unknown_name('class', name, list(given))}")
        if len(set(given)) < len(given):
            raise ValueError(f"task.order names a class twice: {list(given)}")
        return tuple(name for name in given if name in names)
    numbers = [_as_number(name) for name in names]
    known = [value for value in numbers if value is not None]
    if len(known) == len(names):
        return tuple(name for _, name in sorted(zip(known, names, strict=True)))
    for scale in SCALES:
        ranks = {word.strip(): rank for rank, words in enumerate(scale.split("|")) for word in words.split(",")}
        found = [ranks.get(re.sub(r"[\s_-]+", " ", name.strip().lower())) for name in names]
        ranks_found = [rank for rank in found if rank is not None]
        if len(ranks_found) == len(names) == len(set(ranks_found)):
            return tuple(name for _, name in sorted(zip(ranks_found, names, strict=True)))
    raise ValueError(
        f"the order of the classes {', '.join(map(repr, sorted(names)))} cannot be told from their names; type "
        "set=['task.order=[lowest, ..., highest]']"
    )


def _as_number(name: str) -> float | None:
    match = _STARS.fullmatch(name.strip().lower())
    return float(match[1]) if match is not None else number(name)
