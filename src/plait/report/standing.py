"""What a report says a model is worth, in a few numbers and a sentence, to stand beside its answers and hits.

The report of a run comes in; nothing is measured here. A caution is made only where the judged rows do not show that
the model beats guessing: its interval does not leave what guessing gets behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from plait.report.languages import LANGUAGES, tr_in
from plait.report.words import estimate, metric_name, number, span

FIRST = "hit_rate@1"


def standing(report: Mapping[str, Any], gallery: str | None = None) -> dict[str, Any]:
    """The verdict of a report and what it rests on.

    Args:
        report: Of a fit or an evaluation, as ``plait.load`` has it.
        gallery: Of a retrieval model the modality that is searched, of whose directions alone a caution speaks; None:
            every one.

    Returns:
        ``verdict`` (a sentence, or None where the model was not judged); ``caution`` (a sentence where the rows do not
        show that it beats guessing, else None); ``judged`` (None, or ``metric``, ``value``, ``low``, ``high`` of its
        95 % interval, ``guessing`` (or None), ``higher_is_better``, ``rows`` and ``split``; of a retrieval model also
        ``directions``, the share of queries whose first hit is right).

    Example:
        >>> part = {"metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}, "chance": 0.5, "rows": 90}
        >>> standing({"metric": {"name": "accuracy"}, "evaluation": part})["caution"]
        'This model cannot be told from guessing: accuracy 0.500 (0.400 to 0.600), guessing 0.500.'
    """
    evaluation, metric = report.get("evaluation") or {}, report.get("metric") or {}
    name = str(metric.get("name") or "")
    value, low, high = estimate((evaluation.get("metrics") or {}).get(name))
    chance, higher = evaluation.get("chance"), bool(metric.get("higher_is_better", True))
    directions = [found for one in evaluation.get("directions") or [] if (found := _direction(one)) is not None]
    judged, caution = None, None
    if value is not None:
        judged = {
            "metric": name, "value": value, "low": low, "high": high, "guessing": chance, "higher_is_better": higher,
            "rows": evaluation.get("rows"), "split": evaluation.get("split"),
            **({"directions": directions} if directions else {}),
        }  # fmt: skip
        if not directions and not _beats((value, low, high), chance, higher):
            named, measured, guessing = _inside(metric_name(name)), number(value), number(chance)
            said = f"{named} {measured}, guessing {guessing}"
            if low is not None and high is not None:
                said = f"{named} {measured} ({span(low, high)}), guessing {guessing}"
            caution = f"This model cannot be told from guessing: {said}."
    if directions:
        caution = _of_search([one for one in directions if gallery in (None, one["gallery"])])
    return {"verdict": str(report.get("verdict") or "") or None, "caution": caution, "judged": judged}


def in_languages(found: Mapping[str, Any], names: Collection[str] = ()) -> dict[str, dict[str, str | None]]:
    """The sentences of :func:`standing` in every language other than English.

    Args:
        found: What it returned.
        names: Names of the data, which stay as they are.
    """
    sentences = {key: found[key] for key in ("verdict", "caution")}
    return {
        lang: {key: None if text is None else tr_in(lang, text, names) for key, text in sentences.items()}
        for lang in LANGUAGES[1:]
    }


def search_note(report: Mapping[str, Any], queried: Collection[str], modality: str) -> str | None:
    """A sentence to stand below hits: how often the first one was right on the judged rows.

    Args:
        report: Of the model that searches.
        queried: Names of the modalities that were searched by.
        modality: Name of the modality that is searched.

    Returns:
        None where the first hit is right more often than not, or nothing of the kind was judged.
    """
    directions = (standing(report)["judged"] or {}).get("directions") or []
    for one in directions:
        if one["query"] in queried and one["gallery"] == modality:
            below = not _beats((one["value"], one["low"], one["high"]), one["guessing"], True)
            if one["value"] >= 0.5 and not below:
                continue
            told = _told(one)
            if below:
                return f"{told}, not clearly better than chance; see the report of the model before you trust its hits"
            return f"{told}; see the report of the model before you trust its hits"
    return None


def _of_search(directions: list[dict[str, Any]]) -> str | None:
    weak = [one for one in directions if not _beats((one["value"], one["low"], one["high"]), one["guessing"], True)]
    if not weak:
        return None
    where = "; ".join(_told(one) for one in weak)
    return f"What this model finds cannot be told from chance: {where}."


def _inside(name: str) -> str:
    """The name of a metric inside a sentence: "accuracy", but "AUROC"."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def _told(one: Mapping[str, Any]) -> str:
    rate = f"{one['value']:.1%}"
    if one["low"] is not None:
        rate = f"{rate} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
    return (
        f"by {one['query']} the first {one['gallery']} is right for {rate} of {one['queries']:,} queries among "
        f"{one['items']:,} (chance {one['guessing']:.1%})"
    )


def _direction(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """One direction of a retrieval evaluation, the first hit alone."""
    value, low, high = estimate((part.get("metrics") or {}).get(FIRST))
    chance = (part.get("chance") or {}).get(FIRST)
    if value is None or chance is None:
        return None
    return {
        "query": part["query"], "gallery": part["gallery"], "queries": part["queries"], "items": part["items"],
        "metric": FIRST, "value": value, "low": low, "high": high, "guessing": chance,
    }  # fmt: skip


def _beats(found: tuple[float, float | None, float | None], chance: Any, higher: bool) -> bool:
    """Whether the interval leaves what guessing gets behind; true where that is not known."""
    if not isinstance(chance, int | float):
        return True
    value, low, high = found
    edge = low if higher else high
    edge = value if edge is None else edge
    return edge > chance if higher else edge < chance
