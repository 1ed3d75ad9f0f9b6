"""What the model does with the picture of another row: whether answers change, and whether its confidence tells.

One modality at a time is taken from another row of another unit; nothing else changes, and nothing is encoded again.
A model that reads modalities together could notice that they do not belong together; most do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.metrics.label import area_under_roc
from plait.report.words import number

LEAST_ROWS = 10
NOTICES = 0.7  # AUROC from which a model is said to notice


def evaluate_mismatch(inputs: TrustInputs) -> dict[str, Any]:
    """The part "mismatch".

    Returns:
        ``metric``; ``modalities``: for each ``score`` with its own and with another row's (``own``, ``other``),
        ``changed``: share of rows whose answer changes, ``unread``: whether no output of any row changes,
        ``confidence_own`` and ``confidence_other``: mean largest probability, ``auroc``: chance that a row with its own
        modality has the larger one (None for numbers and label
        sets); a ``sentence``.
    """
    given = inputs.given
    own = inputs.outputs_NC
    found = []
    for name in given.model.config.modality_names:
        index_NM, rows = mismatched(inputs, name)
        if len(rows) < LEAST_ROWS:
            continue
        other = given.task.activate(inputs.logits_of(given, index_NM), given.labels)
        found.append({"modality": name, "rows": len(rows), **_compared(inputs, own[rows], other[rows], rows)})
    return {"metric": given.task.primary, "modalities": found, "sentence": _sentence(given.task.primary, found)}


def mismatched(inputs: TrustInputs, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Items of all judged rows with one modality of another row, and the rows of which that is so.

    The others are drawn with the seed, from rows of another unit that show another item.
    """
    given = inputs.given
    m = list(given.model.config.modality_names).index(name)
    index_NM = given.prepared.rows.index_NM[given.positions].copy()
    unit_N = np.arange(len(index_NM)) if given.group is None else given.group
    there = np.flatnonzero(index_NM[:, m] >= 0)
    rng = np.random.default_rng([inputs.seed, m])
    own = index_NM[:, m].copy()
    left = there
    for _ in range(20):
        if len(left) == 0 or len(there) < 2:
            break
        drawn = rng.choice(there, len(left))
        fits = (unit_N[drawn] != unit_N[left]) & (own[drawn] != own[left])
        index_NM[left[fits], m] = own[drawn[fits]]
        left = left[~fits]
    return index_NM, np.setdiff1d(there, left)


def _compared(inputs: TrustInputs, own: np.ndarray, other: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    task, labels = inputs.given.task, inputs.given.labels
    target = inputs.given.target[rows]
    scores = [task.metrics(target, outputs).get(task.primary) for outputs in (own, other)]
    answers = [task.decode(outputs, labels) for outputs in (own, other)]
    changed = float(np.mean([a != b for a, b in zip(*answers, strict=True)]))
    unread = bool(np.array_equal(own, other))
    found: dict[str, Any] = {"own": scores[0], "other": scores[1], "changed": changed, "unread": unread}
    if task.output_kind != "classes":
        return {**found, "confidence_own": None, "confidence_other": None, "auroc": None}
    sure = np.concatenate([own.max(axis=1), other.max(axis=1)])
    auroc = area_under_roc(sure, np.arange(len(sure)) < len(own))
    return {
        **found, "confidence_own": float(own.max(axis=1).mean()), "confidence_other": float(other.max(axis=1).mean()),
        "auroc": auroc,
    }  # fmt: skip


def _sentence(metric: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return "There are too few rows to change a modality for another row's."
    told = []
    if unread := [part["modality"] for part in found if part.get("unread")]:
        told.append(f"with another row's {', '.join(unread)} nothing changes: the model reads nothing of that")
    for part in found:
        if part.get("unread"):
            continue
        scores = [part["own"], part["other"]]
        shown = " to ".join("undefined" if s is None else number(s) for s in scores)
        text = f"with another row's {part['modality']}, {metric} goes from {shown}"
        if part["auroc"] is not None:
            notices = "notices" if part["auroc"] >= NOTICES else "does not notice"
            text += f" and the model {notices} (its confidence tells such rows apart with AUROC {part['auroc']:.2f})"
        told.append(text)
    joined = "; ".join(told)
    return joined[:1].upper() + joined[1:] + "."


def _reason(inputs: TrustInputs) -> str | None:
    reason = needs_labels("classes", "labels", "number")(inputs)
    if reason is None and len(inputs.given.model.config.modality_names) < 2:
        reason = "the model reads one modality"
    return reason


TRUST_PARTS.add("mismatch", TrustPart("With the modality of another row", evaluate_mismatch, _reason))
