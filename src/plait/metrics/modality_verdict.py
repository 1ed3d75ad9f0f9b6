"""The sentences that open an explanation: what each modality adds, and how much of it comes from interaction.

Numbers come in, plain English goes out. A contribution counts only if its interval leaves zero out, and nothing is
shared out where the model cannot be found from guessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

ADDITIVE = 1e-9


def modality_verdict(explained: Mapping[str, Any]) -> str:
    """Say in words whether a model is multimodal.

    Args:
        explained: What ``plait.explain`` measured: ``metric``, ``modalities``, ``subsets``, ``shapley``, ``gains``,
            ``chance``, ``unused`` and ``emap``.

    Returns:
        One to four sentences.

    Example:
        >>> whole = {"value": 0.9, "low": 0.8, "high": 1.0}
        >>> part = {"metric": {"name": "accuracy", "in_points": True}, "modalities": ["text"], "chance": 0.5,
        ...         "subsets": [{"metric": {"value": 0.5}}, {"metric": whole}], "unused": [], "emap": None}
        >>> modality_verdict(part).split(":")[0]
        'The model reads one modality, text, so there is nothing to share out'
    """
    names: list[str] = list(explained["modalities"])
    metric = explained["metric"]
    say = _Words(metric["name"], bool(metric["in_points"]), metric.get("unit"))
    full: Entry = explained["subsets"][-1]["metric"]
    if full["value"] is None:
        return f"{say.metric} cannot be measured on these rows, so there is nothing to share out."
    chance = explained.get("chance")
    if len(names) == 1:
        empty = explained["subsets"][0]["metric"]["value"]
        without = "" if empty is None else f", against {say.level(empty)} when it is given nothing"
        return (
            f"The model reads one modality, {names[0]}, so there is nothing to share out: it reaches "
            f"{say.metric} {say.level_of(full)}{without}."
        )
    if not beats_guessing(explained):
        guess = chance if chance is not None else explained["subsets"][0]["metric"]["value"]
        level = "" if guess is None else f", guessing gets {say.level(guess)}"
        return (
            f"The model cannot be told from guessing ({say.metric} {say.level_of(full)}{level}), so there is nothing "
            f"to share out among {_list(names)}."
        )
    sentences = [_gain(explained, names, say, full, chance)]
    sentences += _idle(explained, names, say)
    sentences += _interaction(explained.get("emap"), say, explained.get("rows"))
    return " ".join(sentences)


def beats_guessing(explained: Mapping[str, Any]) -> bool:
    """Whether the whole model is clearly better than guessing: than chance, or than nothing where chance is unknown.

    Too few rows for an interval are judged by the values.
    """
    full: Entry = explained["subsets"][-1]["metric"]
    if full["value"] is None:
        return False
    chance = explained.get("chance")
    if chance is not None:
        return _above(full, chance)
    gain: Entry = ((explained.get("gains") or {}).get("metric") or {}).get("all over nothing") or {"value": None}
    return gain["value"] is None or _above(gain, 0.0)


def _gain(explained: Mapping[str, Any], names: list[str], say: _Words, full: Entry, chance: float | None) -> str:
    alone = {name: explained["subsets"][1 << m]["metric"] for m, name in enumerate(names)}
    unused: Sequence[str] = explained.get("unused") or ()
    known = [n for n in names if alone[n]["value"] is not None and n not in unused]
    head = f"With everything the model reaches {say.metric} {say.level_of(full)}"
    if not known:
        return f"{head}, whatever it is given." if unused else f"{head}; no modality could be measured alone."
    best = max(known, key=lambda n: float(alone[n]["value"]))
    gain: Entry = explained["gains"]["metric"]["all over one alone"][best]
    others = [n for n in names if n != best and n not in unused]
    if not others:
        return f"{head}, all of it from {best}."
    who, verb = (others[0], "s") if len(others) == 1 else (f"{_list(others)} together", "")
    over = f"what {best} alone gives it ({say.level(alone[best]['value'])})"
    if gain["low"] is None:
        return f"{head}, but there are too few rows to say what {who} add{verb} to {over}."
    if gain["low"] > 0:
        blind = chance is not None and all(not _above(alone[n], chance) for n in known)
        note = "; no modality alone can be told from guessing" if blind else ""
        return f"{head}: {who} add{verb} {say.change(gain)} to {over}{note}."
    if gain["high"] < 0:
        return f"{head}: {who} take{verb} {say.change(gain, flip=True)} away from {over}."
    return f"{head}: {who} add{verb} nothing that can be told from zero to {over}, {say.change(gain, signed=True)}."


def _idle(explained: Mapping[str, Any], names: list[str], say: _Words) -> list[str]:
    unused: Sequence[str] = explained.get("unused") or ()
    made = []
    if unused:
        absent = "it is" if len(unused) == 1 else "they are"
        made.append(f"The model never uses {_list(unused)}: no answer changes when {absent} absent.")
    shapley = explained["shapley"]
    harming = [n for n in names if shapley["loss"][n]["high"] is not None and shapley["loss"][n]["high"] < 0]
    if harming:
        verb = "makes" if len(harming) == 1 else "make"
        loss = str(explained["loss"]["name"]).replace("_", " ")
        made.append(f"By the {loss}, {_list(harming)} {verb} the answers worse.")
    if len(names) > 2:
        weak = [
            n for n in names if n not in unused and all(_straddles(shapley[kind][n]) for kind in ("metric", "loss"))
        ]
        if weak:
            made.append(f"What {_list(weak)} contribute{'s' if len(weak) == 1 else ''} cannot be told from zero.")
    return made


def _interaction(emap: Mapping[str, Any] | None, say: _Words, num_rows: int | None) -> list[str]:
    if not emap or emap["gap"]["value"] is None:
        return []
    gap: Entry = emap["gap"]
    if emap["residual"] < ADDITIVE:
        return ["The model is additive: a sum of one score per modality gives its answers, so it uses no interaction."]
    if gap["low"] is None:
        return []
    some = num_rows is not None and emap.get("rows", num_rows) < num_rows
    source = f"(EMAP on {emap['rows']} of the rows)" if some else "(EMAP)"
    if gap["low"] > 0:
        return [f"Interaction between the modalities is worth {say.change(gap)} {source}."]
    if gap["high"] < 0:
        return [
            f"Interaction does not help: the best sum of one score per modality does better by "
            f"{say.change(gap, flip=True)} {source}."
        ]
    return [
        f"What comes from interaction between the modalities cannot be told from zero, {say.change(gap, signed=True)} "
        f"{source}."
    ]


class _Words:
    """Numbers in words: percent and points for shares, the plain number otherwise."""

    def __init__(self, metric: str, in_points: bool, unit: str | None = None) -> None:
        self.metric, self.in_points, self.unit = metric, in_points, unit or metric

    def level(self, value: float) -> str:
        return f"{100 * value:.1f}%" if self.in_points else f"{value:.3f}"

    def level_of(self, entry: Entry) -> str:
        if entry["low"] is None:
            return self.level(entry["value"])
        low, high = (self.level(entry[k]).rstrip("%") for k in ("low", "high"))
        return f"{self.level(entry['value'])} [{low}, {high}]"

    def change(self, entry: Entry, *, signed: bool = False, flip: bool = False) -> str:
        factor, digits, unit = (100.0, 1, " points") if self.in_points else (1.0, 3, f" {self.unit}")
        factor = -factor if flip else factor
        value, a, b = (0.0 + round(factor * float(entry[k]), digits) for k in ("value", "low", "high"))
        low, high = sorted((a, b))
        sign = "+" if signed and value > 0 else ""
        return f"{sign}{value:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"


def _above(entry: Entry, chance: float) -> bool:
    edge = entry["value"] if entry.get("low") is None else entry["low"]
    return edge is not None and float(edge) > chance


def _straddles(entry: Entry) -> bool:
    return entry["low"] is not None and entry["low"] <= 0.0 <= entry["high"]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
