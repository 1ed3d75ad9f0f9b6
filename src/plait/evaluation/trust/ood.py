"""Whether foreign rows stand out: swapped modalities, and rows of a class that was held out, near to known ones.

Scores are energy on the logits, the Mahalanobis distance of each modality's features and of all of them together.
Known rows are the judged ones; means and covariance come from the other rows of the table that have a label, and
from no row that is scored. A class held out is foreign to means and covariance fitted without it, though the encoders
and the network have seen it; energy, which the network would have to be trained again for, is not given there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.evaluation.trust.features import item_features
from plait.evaluation.trust.mismatch import mismatched
from plait.evaluation.trust.refits import directions
from plait.metrics.trust.foreign_rows import Mahalanobis, energy, false_positive_rate, foreign_auroc

LEAST_ROWS = 20
MOST_CLASSES = 10  # held out one by one
DIRECTIONS = 64
NOTICEABLE = 0.6  # AUROC below which foreign rows are said not to stand out


def evaluate_ood(inputs: TrustInputs) -> dict[str, Any]:
    """The part "ood".

    Returns:
        ``rows`` scored and ``reference`` rows fitted on; ``swapped``: for each modality taken from another row, and
        each score, ``auroc`` and ``fpr95`` (share of swapped rows that pass where 95 % of the known ones do);
        ``held_out``: for each class, and each score, the AUROC of its rows; their ``mean``; and a ``sentence``.
    """
    features, reference, scored = _features(inputs)
    label_R, label_N = inputs.whole.target[reference], np.asarray(inputs.given.target)
    own_NM = inputs.given.prepared.rows.index_NM[inputs.given.positions]
    known = _distances(features, reference, scored, label_R)
    known["energy"] = energy(inputs.logits_NC)
    swapped = []
    for name in inputs.given.model.config.modality_names:
        index_NM, rows = mismatched(inputs, name)
        if len(own_NM.T) < 2 or len(rows) < LEAST_ROWS or name not in features:
            continue
        taken = _other_rows(own_NM, index_NM, inputs.given.model.config.modality_names.index(name))
        changed = {n: f[scored] for n, f in features.items()}
        changed[name] = changed[name][taken]
        found = _distances(features, reference, scored, label_R, changed)
        found["energy"] = energy(inputs.logits_of(inputs.given, index_NM))
        swapped += [
            {"modality": name, "score": score, "rows": len(rows), "auroc": foreign_auroc(known[score], values[rows]),
             "fpr95": false_positive_rate(known[score], values[rows])}
            for score, values in found.items()
        ]  # fmt: skip
    held = _held_out(features, reference, scored, label_R, label_N, inputs)
    mean = {s: float(np.mean([h["auroc"] for h in held if h["score"] == s])) for s in {h["score"] for h in held}}
    return {
        "rows": len(scored), "reference": len(reference), "swapped": swapped, "held_out": held, "mean": mean,
        "positive": "foreign rows", "sentence": _sentence(swapped, mean),
    }  # fmt: skip


def _features(inputs: TrustInputs) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Directions of the features of all labelled rows, rows fitted on, and those scored, by their place among all."""
    whole, given = inputs.whole, inputs.given
    number = {whole.prepared.rows.table.row_number(int(p)): i for i, p in enumerate(whole.positions)}
    scored = np.array([number[given.prepared.rows.table.row_number(int(p))] for p in given.positions])
    items = item_features(inputs.fitted.inputs, whole.prepared, whole.model)
    features = {}
    for name, values in items.items():
        index_N = whole.prepared.rows.items[name].index_N[whole.positions]
        rows = values[np.maximum(index_N, 0)]
        features[name] = directions(rows, index_N >= 0, DIRECTIONS)
    others = np.setdiff1d(np.flatnonzero(np.asarray(whole.target) >= 0), scored)
    return features, others, scored


def _distances(
    features: dict[str, np.ndarray], reference: np.ndarray, scored: np.ndarray, label_R: np.ndarray,
    changed: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Distances of the scored rows, or of such with other features, by each modality and by all together."""
    asked = {name: f[scored] for name, f in features.items()} if changed is None else changed
    found = {f"distance of {n}": Mahalanobis.fit(f[reference], label_R).distance(asked[n]) for n, f in features.items()}
    if len(features) > 1:
        joined = np.concatenate([f[reference] for f in features.values()], axis=1)
        rows = np.concatenate([asked[name] for name in features], axis=1)
        found["distance of all"] = Mahalanobis.fit(joined, label_R).distance(rows)
    return found


def _other_rows(own_NM: np.ndarray, index_NM: np.ndarray, m: int) -> np.ndarray:
    """For each row a row whose own item it now shows."""
    place: dict[int, int] = {}
    for row, item in enumerate(own_NM[:, m].tolist()):
        place.setdefault(item, row)
    return np.array([place[item] for item in index_NM[:, m].tolist()])


def _held_out(
    features: dict[str, np.ndarray], reference: np.ndarray, scored: np.ndarray, label_R: np.ndarray,
    label_N: np.ndarray, inputs: TrustInputs,
) -> list[dict[str, Any]]:  # fmt: skip
    found: list[dict[str, Any]] = []
    classes, counts = np.unique(label_N[label_N >= 0], return_counts=True)
    if len(classes) < 3:  # without one of two classes there is nothing to be near to
        return found
    for c in classes[np.argsort(-counts, kind="stable")][:MOST_CLASSES]:
        kept = label_R != c
        if (label_N == c).sum() < 5 or kept.sum() < LEAST_ROWS:
            continue
        for score, values in _distances(features, reference[kept], scored, label_R[kept]).items():
            auroc = foreign_auroc(values[label_N != c], values[label_N == c])
            name = str(inputs.fitted.labels.classes[int(c)])
            found.append({"class": name, "score": score, "rows": int((label_N == c).sum()), "auroc": auroc})
    return found


def _sentence(swapped: list[dict[str, Any]], mean: dict[str, float]) -> str:
    parts = []
    if swapped:
        best = max(swapped, key=lambda s: s["auroc"] or 0.0)
        parts.append(_told("rows with another row's modality", best["score"], best["auroc"] or 0.0, best["modality"]))
    if mean:
        score = max(mean, key=lambda s: mean[s])
        parts.append(_told("rows of a class that was held out", score, mean[score], "the mean class"))
    joined = "; ".join(parts) or "there are too few rows or classes to make foreign ones"
    return f"{joined[:1].upper()}{joined[1:]}."


def _told(rows: str, score: str, auroc: float, of: str) -> str:
    """How well foreign rows are told by the best of the scores."""
    if auroc < NOTICEABLE:
        return f"{rows} do not stand out (AUROC of the best score, {score}, {auroc:.2f} for {of}; 0.5 is a coin)"
    return f"{rows} are told best by {score} (AUROC {auroc:.2f} for {of})"


def _reason(inputs: TrustInputs) -> str | None:
    reason = needs_labels("classes")(inputs)
    if reason is None and inputs.fitted.task.judges_pairs:
        reason = "a pair that does not match is an answer of its own, not a foreign row"
    if reason is None and len(inputs.whole.positions) - len(inputs.given.positions) < LEAST_ROWS:
        reason = f"the table has fewer than {LEAST_ROWS} labelled rows beside the judged ones to learn the known from"
    if reason is None and len(inputs.given.positions) < LEAST_ROWS:
        reason = f"fewer than {LEAST_ROWS} judged rows"
    return reason


TRUST_PARTS.add("ood", TrustPart("Foreign rows", evaluate_ood, _reason))
