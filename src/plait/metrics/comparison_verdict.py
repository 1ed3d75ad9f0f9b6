"""The sentences that a comparison opens with: who leads, who cannot be found from the leader, does fusing help.

Estimates and differences come in, plain English goes out. Two kinds of question are kept apart. "Which of many leads"
looks at many pairs, so a method counts as worse than the leader only if the interval that covers all pairs at once
leaves zero out; "how many methods are better than the best modality" is counted likewise. "Does fusing help" is one
question asked beforehand, between two models both chosen on validation rows, so it is answered by the interval of
that one pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plait.metrics.comparison import Difference
from plait.metrics.verdict import Estimate

_SHOWN = 6


def comparison_verdict(
    metric_name: str,
    higher_is_better: bool,
    methods: Sequence[str],
    estimates: Mapping[str, Estimate],
    differences: Sequence[Difference],
    *,
    selected: str,
    single: str | None,
    ensemble: str | None,
    joint: str | None = None,
    chance: float | None = None,
    rows: int | None = None,
) -> str:
    """Say in words what the comparison found.

    Args:
        metric_name: The metric, as it should be read.
        higher_is_better: Its direction.
        methods: Names of the methods that fuse.
        estimates: Value, low and high of every method and baseline.
        differences: Pairs among them.
        selected: The fusing method that validation rows choose.
        single: The single modality that validation rows prefer, or None.
        ensemble: The best late ensemble by validation, or None.
        joint: The method chosen by validation among those that are no late ensemble, or None.
        chance: What guessing gets.
        rows: How many test rows there are.

    Raises:
        ValueError: ``selected`` is not among the methods.

    Example:
        >>> gap = {"a": "gated", "b": "text alone", "difference": 0.2, "low": 0.1, "high": 0.3, "real": True,
        ...        "wide_low": 0.1, "wide_high": 0.3, "holds": True, "adjusted_p": 0.01}
        >>> comparison_verdict("accuracy", True, ["gated"], {"gated": (0.9, 0.8, 1.0), "text alone": (0.7, 0.6, 0.8)},
        ...                    [gap], selected="gated", single="text alone", ensemble=None).split(":")[0]
        'gated reaches accuracy 0.900 (95% interval 0.800 to 1.000). Fusing helps'
    """
    if selected not in methods:
        raise ValueError(f"the selected method is {selected!r}; expected one of {', '.join(methods)}")
    gaps = {(d["a"], d["b"]): d for d in differences}
    leader = sorted(methods, key=lambda m: -estimates[m][0] if higher_is_better else estimates[m][0])[0]
    sentences = [_lead(metric_name, leader, methods, estimates, gaps, rows)]
    value, low, high = estimates[leader]
    edge = low if higher_is_better else high
    if chance is not None and edge is not None and not (edge > chance if higher_is_better else edge < chance):
        sentences.append(f"Even the leader cannot be told from guessing, which gets {_number(chance)}.")
    if single is not None:
        sentences.append(_against_single(metric_name, higher_is_better, selected, single, methods, estimates, gaps))
    if ensemble is not None and joint is not None:
        sentences.append(_against_ensemble(higher_is_better, joint, ensemble, estimates, gaps))
    return " ".join(sentences)


Gaps = Mapping[tuple[str, str], Difference]


def _lead(
    metric: str,
    leader: str,
    methods: Sequence[str],
    estimates: Mapping[str, Estimate],
    gaps: Gaps,
    rows: int | None,
) -> str:
    result = f"{metric} {_estimate(estimates[leader])}"
    others = [m for m in methods if m != leader]
    if not others:
        return f"{leader} reaches {result}."
    alike = [m for m in others if not _holds(gaps, leader, m)]
    where = f"these {rows:,} test rows" if rows is not None else "these test rows"
    if not alike:
        return f"{leader} leads with {result}, clearly ahead of {_every_other(others)} on {where}."
    if len(alike) == len(others):
        return f"{leader} is ahead with {result}, but {where} cannot tell it from {_listed(alike, len(others))}."
    return f"{leader} leads with {result}; {where} cannot tell it from {_listed(alike)}, the others are clearly behind."


def _against_single(
    metric: str,
    higher: bool,
    selected: str,
    single: str,
    methods: Sequence[str],
    estimates: Mapping[str, Estimate],
    gaps: Gaps,
) -> str:
    gap, low, high = _gap(gaps, selected, single)
    against = (
        f"{selected}, chosen on validation rows, gets {_number(estimates[selected][0])} against "
        f"{_number(estimates[single][0])} of {single}, the single modality that validation rows prefer "
        f"(difference {_number(gap, signed=True)}{_span(low, high)})"
    )
    direction = _direction(gap, low, high, higher)
    if direction > 0:
        better = [m for m in methods if _holds(gaps, m, single) and (_gap(gaps, m, single)[0] > 0) == higher]
        count = f"; {len(better)} of {len(methods)} methods are clearly better than it" if len(methods) > 1 else ""
        return f"Fusing helps: {against}{count}."
    if direction < 0:
        return f"Fusing does harm here: {against}. Use {single}."
    return f"Fusing does not help here, as far as these rows can tell: {against}."


def _against_ensemble(higher: bool, joint: str, ensemble: str, estimates: Mapping[str, Estimate], gaps: Gaps) -> str:
    gap, low, high = _gap(gaps, joint, ensemble)
    numbers = (
        f"{joint} against {ensemble}, {_number(estimates[joint][0])} against {_number(estimates[ensemble][0])} "
        f"(difference {_number(gap, signed=True)}{_span(low, high)})"
    )
    direction = _direction(gap, low, high, higher)
    if direction > 0:
        return f"Joining features beats joining the answers of separate models: {numbers}."
    if direction < 0:
        return f"Joining the answers of separate models is better than joining features: {numbers}."
    return f"Joining features is not shown to beat joining the answers of separate models: {numbers}."


def _gap(gaps: Gaps, a: str, b: str) -> tuple[float, float | None, float | None]:
    if (a, b) in gaps:
        found = gaps[a, b]
        return found["difference"], found["low"], found["high"]
    found = gaps[b, a]
    low = None if found["high"] is None else -found["high"]
    high = None if found["low"] is None else -found["low"]
    return -found["difference"], low, high


def _holds(gaps: Gaps, a: str, b: str) -> bool:
    return (gaps[a, b] if (a, b) in gaps else gaps[b, a])["holds"]


def _direction(gap: float, low: float | None, high: float | None, higher: bool) -> int:
    """1 clearly better, -1 clearly worse, 0 neither."""
    if low is None or high is None or low <= 0.0 <= high:
        return 0
    return 1 if (gap > 0) == higher else -1


def _every_other(others: Sequence[str]) -> str:
    return others[0] if len(others) == 1 else f"each of the {len(others)} other methods"


def _listed(names: Sequence[str], everyone: int | None = None) -> str:
    if everyone is not None and everyone > _SHOWN:
        return f"any of the {everyone} other methods"
    shown = list(names[:_SHOWN])
    if len(names) > _SHOWN:
        return f"{', '.join(shown)} and {len(names) - _SHOWN} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _estimate(estimate: Estimate) -> str:
    value, low, high = estimate
    span = "" if low is None or high is None else f" (95% interval {_number(low)} to {_number(high)})"
    return _number(value) + span


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f", {_number(low, signed=True)} to {_number(high, signed=True)}"


def _number(value: float, *, signed: bool = False) -> str:
    text = f"{abs(value):,.3f}"
    sign = "-" if value < 0 and float(text.replace(",", "")) != 0 else "+" if signed and value > 0 else ""
    return sign + text
