"""Does a model look at the picture at all, does it read the question? One sentence each, from paired differences.

In: the metric as it is and with something else in place of an input, and the difference with its interval. A difference
counts only if its interval leaves zero out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DOES = {"image": "looks at the picture", "question": "reads the question"}
DOING = {"image": "Looking at the picture", "question": "Reading the question"}


@dataclass(frozen=True)
class Replaced:
    """What became of a metric when an input was replaced.

    Attributes:
        kind: Which input, "image" or "question".
        by: What stood in its place, as it reads behind "with": "another row's picture".
        value: The metric then.
        difference: The metric as it is less that, with its interval; None where there are too few rows.
        changed: Share of the rows whose answer changed, 0 to 1.
    """

    kind: str
    by: str
    value: float
    difference: tuple[float, float | None, float | None]
    changed: float


def looking_verdict(metric: str, value: float, replaced: Replaced) -> str:
    """Say whether a model uses an input.

    Args:
        metric: Name of the metric, higher is better.
        value: The metric with every input in its place.
        replaced: The same with something else in place of one input.

    Returns:
        One sentence.

    Example:
        >>> looking_verdict("accuracy", 0.9, Replaced("image", "a grey picture", 0.4, (0.5, 0.3, 0.6), 0.7))
        'The model looks at the picture: accuracy 0.900, with a grey picture 0.400, a difference of +0.500 (+0.300 ...'
    """
    gap, low, high = replaced.difference
    span = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
    told = f"{metric} {value:.3f}, with {replaced.by} {replaced.value:.3f}, a difference of {gap:+.3f}{span}"
    does = DOES[replaced.kind]
    if low is None or high is None:
        return f"There are too few rows to say whether the model {does}: {told}."
    if low > 0:
        return f"The model {does}: {told}."
    if high < 0:
        return f"The model {does} to its harm: {told}."
    if replaced.changed == 0:
        return f"There is no sign that the model {does}: {told}; none of its answers change."
    return f"{DOING[replaced.kind]} does not measurably help: {told}; {replaced.changed:.1%} of its answers change."


def looking_notes(metric: str, replaced: Mapping[str, Replaced]) -> list[str]:
    """A sentence on each input that was replaced."""
    return [
        f"with {one.by}: {metric} {one.value:.3f}, and {one.changed:.1%} of the answers change"
        for one in replaced.values()
    ]
