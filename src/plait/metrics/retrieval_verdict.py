"""The sentence that a retrieval report opens with: what is found, how often, and against what chance would find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def retrieval_verdict(directions: Sequence[Mapping[str, Any]]) -> str:
    """Say in words what was found in each direction.

    Args:
        directions: For each ``query`` and ``gallery`` (names), ``queries`` and ``items`` (counts), ``metrics``
            (name to value, low and high) and ``chance`` (name to value); hit rates at 1 and 10 are read.

    Returns:
        A sentence a direction, and whether all, some or none are above chance.

    Example:
        >>> one = {"query": "text", "gallery": "image", "queries": 9, "items": 4, "chance": {"hit_rate@1": 0.25},
        ...        "metrics": {"hit_rate@1": {"value": 0.5, "low": 0.3, "high": 0.7}}}
        >>> retrieval_verdict([one]).split(";")[0]
        '9 queries by text: 50.0% [30.0, 70.0] find a right image first among 4 (chance 25.0%)'
    """
    if not directions:
        return "nothing can be ranked on these rows; see the notes."
    sentences, above = [], []
    for part in directions:
        first, ten = (part["metrics"].get(f"hit_rate@{k}") for k in (1, 10))
        chance = part["chance"]["hit_rate@1"]
        text = (
            f"{part['queries']:,} queries by {part['query']}: {_percent(first)} find a right {part['gallery']} first "
            f"among {part['items']:,} (chance {chance:.1%})"
        )
        if ten is not None and part["items"] > 10:
            text += f", {_percent(ten)} within the first ten"
        sentences.append(text)
        low = first["low"] if first["low"] is not None else first["value"]
        above.append(low > chance)
    if all(above):
        word = "Clearly better than chance in every direction."
    elif any(above):
        word = "Clearly better than chance in some directions only."
    else:
        word = "Not clearly better than chance in any direction: the sides do not find each other."
    return "; ".join(sentences) + ". " + word


def _percent(entry: Mapping[str, float | None]) -> str:
    value, low, high = entry["value"], entry["low"], entry["high"]
    assert value is not None
    span = f" [{100 * low:.1f}, {100 * high:.1f}]" if low is not None and high is not None else ""
    return f"{100 * value:.1f}%{span}"
