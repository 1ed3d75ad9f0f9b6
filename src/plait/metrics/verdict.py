"""The sentence that a report opens with: did putting the modalities together help, and could it have?

Numbers come in, plain English goes out. A difference counts as clear only if its interval leaves zero out; a
result counts as better than chance only if its interval leaves chance out. It evaluates what was measured and
explains nothing further.
"""

from __future__ import annotations

from collections.abc import Mapping

Estimate = tuple[float, float | None, float | None]

_CHANCE_BY_METRIC = {"auroc": 0.5, "auroc_macro": 0.5, "r2": 0.0, "pearson": 0.0}
_INTERACTIONS = ("additive", "multiplicative", "attention", "nonlinear")


def fusion_verdict(
    metric_name: str,
    higher_is_better: bool,
    fused: Estimate,
    alone: Mapping[str, float],
    difference: tuple[str, float, float | None, float | None] | None,
    interaction: str,
    pairs: bool,
    head_is_linear: bool,
    *,
    chance: float | None = None,
    balanced: bool = False,
    auroc: Estimate | None = None,
) -> str:
    """Say in words how the fused model compares with the best modality alone.

    Args:
        metric_name: The primary metric, as it should be read ("accuracy").
        higher_is_better: Direction of the metric.
        fused: Value, low and high of the fused model.
        alone: Value of each modality alone.
        difference: Best modality, then fused minus that modality with its interval (in the unit of the
            metric); None if no modality was measured alone.
        interaction: What the fusion can express: "additive", "multiplicative", "attention" or "nonlinear".
        pairs: Whether the task is to say of pairs that they belong together or not.
        head_is_linear: Whether a single linear layer follows the fusion.
        chance: What guessing gets. Known without being given for AUROC, R2, Pearson and for the accuracy on
            balanced pairs.
        balanced: Whether each modality alone is at chance by construction, as on balanced pairs, and was not measured.
        auroc: AUROC with its interval, which is told where it is clearly above chance and the metric is not.

    Returns:
        One sentence, and a second for additive fusion under a linear head.

    Raises:
        ValueError: An unknown ``interaction``, or a difference from a modality that is not in ``alone``.

    Example:
        >>> fusion_verdict("accuracy", True, (0.9, 0.88, 0.92), {"text": 0.8, "photo": 0.6},
        ...                ("text", 0.1, 0.07, 0.13), "multiplicative", False, False).split(":")[0]
        'Using the modalities together is clearly better than the best one alone'
    """
    if interaction not in _INTERACTIONS:
        raise ValueError(f"interaction is {interaction!r}; expected one of {', '.join(_INTERACTIONS)}")
    if difference is not None and difference[0] not in alone:
        raise ValueError(f"the difference is from {difference[0]!r}, expected one of: {', '.join(alone)}")
    if chance is None:
        chance = _CHANCE_BY_METRIC.get(metric_name)
        if pairs and metric_name in ("accuracy", "balanced_accuracy"):
            chance = 0.5
    sentences = [_comparison(metric_name, higher_is_better, fused, alone, difference, chance, balanced, auroc)]
    if interaction == "additive" and head_is_linear and len(alone) != 1:
        sentences.append(
            "This model adds up one score per modality, so it cannot see interactions between the modalities"
            + (
                ": on balanced matching pairs it stays at chance, whatever it is trained on; choose a"
                " multiplicative or attention fusion, or a head with a hidden layer."
                if pairs
                else " (on balanced matching pairs, for example, such a model stays at chance)."
            )
        )
    return " ".join(sentences)


def _comparison(
    metric: str,
    higher_is_better: bool,
    fused: Estimate,
    alone: Mapping[str, float],
    difference: tuple[str, float, float | None, float | None] | None,
    chance: float | None,
    balanced: bool,
    auroc: Estimate | None,
) -> str:
    value, low, high = fused
    result = f"{metric} {_number(value)}{_span(low, high, ' (95% interval {} to {})')}"
    if chance is not None and not _beats(fused, chance, higher_is_better):
        best = f"; the best modality alone, {difference[0]}, gets {_number(alone[difference[0]])}" if difference else ""
        told = f"The model cannot be told from chance: {result}, where guessing gets {_number(chance)}{best}."
        if metric != "auroc" and auroc is not None and auroc[1] is not None and auroc[1] > 0.5:
            shown = _number(auroc[0]) + _span(auroc[1], auroc[2], " (95% interval {} to {})")
            told += (
                f" But its AUROC, {shown}, is clearly above the 0.500 of guessing: it orders "
                "rows better than its answers say."
            )
        return told
    above = f", where guessing gets {_number(chance)}" if chance is not None else ""
    if difference is None and balanced:
        return f"The model reaches {result}{above}; each modality alone is at chance by construction of the pairs."
    if difference is None:
        unknown = "no modality was measured alone, so whether fusing helps is not known"
        return f"The model reaches {result}{above}; {unknown}."
    name, gap, gap_low, gap_high = difference
    if len(alone) == 1:
        return f"The model has one modality, {name}, so there is nothing to fuse: {result}{above}."
    against = (
        f"{result} against {_number(alone[name])} for {name}, a difference of"
        f" {_number(gap, signed=True)}{_span(gap_low, gap_high, ' ({} to {})', signed=True)}{above}"
    )
    together = "Using the modalities together"
    if gap_low is None or gap_high is None:
        return f"There are too few rows to say whether {together[0].lower()}{together[1:]} helps: {against}."
    if gap_low <= 0.0 <= gap_high:
        return f"{together} is not distinguishable from the best one alone on these rows: {against}."
    word = "clearly better" if (gap > 0) == higher_is_better else "clearly worse"
    return f"{together} is {word} than the best one alone: {against}."


def _beats(fused: Estimate, chance: float, higher_is_better: bool) -> bool:
    value, low, high = fused
    edge = low if higher_is_better else high
    edge = value if edge is None else edge
    return edge > chance if higher_is_better else edge < chance


def _span(low: float | None, high: float | None, form: str, *, signed: bool = False) -> str:
    if low is None or high is None:
        return ""
    return form.format(_number(low, signed=signed), _number(high, signed=signed))


def _number(value: float, *, signed: bool = False) -> str:
    size = abs(value)
    digits = f"{size:,.3f}" if size < 10 else f"{size:,.2f}" if size < 1000 else f"{size:,.0f}"
    sign = "-" if value < 0 and float(digits.replace(",", "")) != 0 else "+" if signed and value > 0 else ""
    return sign + digits
