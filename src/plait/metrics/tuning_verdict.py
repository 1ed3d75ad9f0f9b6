"""Did tuning pay? One sentence from the metric before and after, on the same rows, and their paired difference."""

from __future__ import annotations


def tuning_verdict(
    metric: str, value: float, untuned: float, difference: tuple[float, float | None, float | None]
) -> str:  # fmt: skip
    """Say whether a tuned model is better than it was; a difference counts only if its interval leaves zero out.

    Args:
        metric: Name of the metric, higher is better.
        value: Of the tuned model.
        untuned: Of the same model before.
        difference: The first less the second, with its interval; None where there are too few rows.

    Returns:
        One sentence.

    Example:
        >>> tuning_verdict("accuracy", 0.9, 0.4, (0.5, 0.3, 0.6))
        'Tuning paid: accuracy 0.900, before tuning 0.400, a difference of +0.500 (+0.300 to +0.600).'
    """
    gap, low, high = difference
    span = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
    told = f"{metric} {value:.3f}, before tuning {untuned:.3f}, a difference of {gap:+.3f}{span}"
    if low is None or high is None:
        return f"There are too few rows to say whether tuning paid: {told}."
    if low > 0:
        return f"Tuning paid: {told}."
    if high < 0:
        return f"Tuning did harm: {told}."
    return f"Tuning did not measurably pay: {told}."
