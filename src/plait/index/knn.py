"""Evaluating the vectors of an index by a label: nearest neighbours, names as queries (zero-shot), a linear probe.

All three are counted over contents, not items: the same bytes under two ids would otherwise answer for themselves.
Contents whose items disagree about the label are left out and counted, and so are those without one. Accuracy stands
beside what always saying the commonest label would reach.

Reference: Cover and Hart (1967) for nearest neighbours; Radford et al. (2021), section 3.1, for names as queries;
Alain and Bengio (2016) for linear probes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from plait.data.modality import Modality
from plait.index.embedder import Embedder, embed_checked
from plait.index.exact import top_k
from plait.index.query import as_query, embed_cell, pick_reader
from plait.index.source import IndexSource
from plait.index.storage import CONTENT, View
from plait.metrics.knn import majority_vote
from plait.registry import unknown_name

QUERIES = 256  # queries searched at a time


@dataclass(frozen=True)
class LabelReport:
    """How well a label can be found.

    Attributes:
        method: "knn", "zero-shot" or "linear probe".
        label: The column.
        accuracy: Share predicted right, 0 to 1.
        commonest: What always saying the commonest label would reach.
        num_judged: Contents evaluated.
        per_label: Label -> [right, all].
        unlabelled: Contents or rows left out for want of a label.
        contradictory: Contents left out because their items disagree.
        unseen: Rows evaluated whose label no item of the index has (they cannot be found right).
        unreadable: Rows of the table that could not be embedded.
        settings: What the method was run with.
    """

    method: str
    label: str
    accuracy: float
    commonest: float
    num_judged: int
    per_label: dict[str, list[int]]
    unlabelled: int = 0
    contradictory: int = 0
    unseen: int = 0
    unreadable: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """The report for people."""
        lines = [
            f"{self.method} tells {self.label!r} right for {self.accuracy:.1%} of {self.num_judged:,} "
            f"(always saying the commonest label: {self.commonest:.1%})"
        ]
        width = max((len(name) for name in self.per_label), default=0)
        lines += [f"  {name:{width}}  {right:,} of {every:,}" for name, (right, every) in self.per_label.items()]
        for count, why in (
            (self.unlabelled, "without a label"),
            (self.contradictory, "whose items disagree about the label"),
            (self.unreadable, "that cannot be read"),
        ):
            lines += [f"  left out: {count:,} {why}"] if count else []
        lines += [f"  {self.unseen:,} have a label that the index does not know"] if self.unseen else []
        return "\n".join(lines)


@dataclass(frozen=True)
class _Labelled:
    """Contents with one clear label each."""

    positions: np.ndarray
    labels: np.ndarray  # numbers into names
    names: list[str]
    unlabelled: int
    contradictory: int


def _labelled(view: View, label: str) -> _Labelled:
    if label not in view.items.column_names:
        raise ValueError(unknown_name("column", label, [n for n in view.items.column_names if not n.startswith("_")]))
    seen: dict[int, set[str | None]] = {}
    contents = view.items.column(CONTENT).to_pylist()
    for position, value in zip(contents, view.items.column(label).to_pylist(), strict=True):
        if isinstance(value, list | dict):
            raise ValueError(f"column {label!r} holds a {type(value).__name__}; a label is one value an item")
        seen.setdefault(position, set()).add(None if value is None else str(value))
    clear: dict[int, str] = {}
    unlabelled = contradictory = 0
    for position, values in seen.items():
        predicted = values - {None}
        unlabelled += not predicted
        contradictory += len(predicted) > 1
        if len(predicted) == 1:
            clear[position] = next(name for name in predicted if name is not None)
    names = sorted(set(clear.values()))
    if len(names) < 2:
        raise ValueError(f"column {label!r} holds {len(names)} different labels; expected 2 or more")
    order = sorted(clear)
    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number[clear[p]] for p in order], dtype=np.int64)
    return _Labelled(np.array(order, dtype=np.int64), labels, names, unlabelled, contradictory)


def knn_leave_one_out(
    view: View, label: str, k: int = 10, *, progress: Callable[[int, int, str], None] | None = None
) -> LabelReport:
    """Each content's label predicted by its k nearest other contents.

    Raises:
        ValueError: No such column, fewer than two labels, or k below 1.
    """
    _check_k(k)
    known = _labelled(view, label)
    vectors = view.directions(known.positions)
    predicted = np.empty(len(vectors), dtype=np.int64)
    for low in range(0, len(vectors), QUERIES):
        part = np.arange(low, min(low + QUERIES, len(vectors)))
        best = top_k([vectors], vectors[part], k + 1)
        is_other = best.positions_QK != part[:, None]
        # without itself, or, where others are equal to it and came first, without the last
        is_other[is_other.all(axis=1), -1] = False
        shape = (len(part), best.positions_QK.shape[1] - 1)
        neighbours = best.positions_QK[is_other].reshape(shape)
        predicted[part] = majority_vote(
            known.labels[neighbours], best.scores_QK[is_other].reshape(shape), len(known.names)
        )
        if progress is not None:
            progress(int(part[-1]) + 1, len(vectors), "neighbours")
    return _report(
        "knn", label, known, predicted, {"k": k, "judged on": "the index, leaving out one content at a time"}
    )


def knn_on_table(
    view: View, embedder: Embedder, modality: Modality, source: IndexSource, label: str, k: int = 10
) -> LabelReport:
    """The labels of a table predicted by the k nearest contents of the index.

    Raises:
        ValueError: No such column in the index or the table, fewer than two labels, or k below 1.
    """
    _check_k(k)
    known = _labelled(view, label)
    truth = source.table.column(label)
    vectors, bad = embed_checked(embedder, source.table, modality.name)
    unreadable = {fault.row for fault in bad}
    rows = [i for i, value in enumerate(truth) if value is not None and i not in unreadable]
    if not rows:
        raise ValueError(f"{source.source} has no row with a label in {label!r} and a content that can be read")
    best = top_k([view.directions(known.positions)], view.space.directions(vectors[rows]), k)
    predicted = majority_vote(known.labels[best.positions_QK], best.scores_QK, len(known.names))
    number = {name: i for i, name in enumerate(known.names)}
    names = known.names + sorted({str(truth[i]) for i in rows} - set(known.names))
    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number[str(truth[i])] for i in rows])
    unlabelled = sum(value is None for value in truth)
    judged = _Labelled(np.array(rows), labels, names, unlabelled, 0)
    settings = {"k": k, "judged on": source.source}
    return _report(
        "knn",
        label,
        judged,
        predicted,
        settings,
        unseen=int((labels >= len(known.names)).sum()),
        unreadable=len(unreadable),
    )


def zero_shot(
    view: View,
    embedder: Embedder,
    indexed: Modality,
    label: str,
    template: str = "{}",
    text_modality: str | None = None,
) -> LabelReport:
    """Each content's label predicted by the nearest of the labels' names, written into a template and embedded as
    texts.

    Raises:
        ValueError: A template without ``{}``, no such column, or a model that reads no text.
    """
    if template.count("{}") != 1:
        raise ValueError(f"the template {template!r} needs one {{}} where the label goes, such as 'a photo of a {{}}'")
    known = _labelled(view, label)
    modality = pick_reader(embedder, indexed, text_modality, "text")
    names = [template.replace("{}", name) for name in known.names]
    vectors = [embed_cell(embedder, modality, name, f"the label text {name!r}") for name in names]
    # without the shifts, which would undo the correction for names that are near to everything
    queries = np.stack([as_query(embedder, indexed, modality, vector).vector for vector in vectors])
    predicted = (view.take(known.positions).astype(np.float64) @ queries.T).argmax(axis=1)
    return _report("zero-shot", label, known, predicted, {"template": template, "text modality": modality.name})


def linear_probe(view: View, label: str, folds: int = 5, seed: int = 0) -> LabelReport:
    """Each content's label predicted by multinomial logistic regression fitted on the other folds.

    Args:
        view: The living items of an index.
        label: The column.
        folds: Parts, drawn with equal shares of each label.
        seed: Of the parts.

    Raises:
        ValueError: No such column, or a label with fewer contents than folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    known = _labelled(view, label)
    fewest = int(np.bincount(known.labels).min())
    if folds < 2 or fewest < folds:
        raise ValueError(f"the rarest label has {fewest} contents; expected 2 <= folds <= {fewest}, got {folds}")
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    probe = LogisticRegression(max_iter=2000, C=10.0)
    predicted = cross_val_predict(probe, view.directions(known.positions), known.labels, cv=parts)
    return _report("linear probe", label, known, predicted, {"folds": folds, "seed": seed, "C": 10.0})


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more neighbours")


def _report(
    method: str, label: str, judged: _Labelled, predicted: np.ndarray, settings: dict[str, Any], **counts: int
) -> LabelReport:
    right = predicted == judged.labels
    per_label = {
        name: [int(right[judged.labels == i].sum()), int((judged.labels == i).sum())]
        for i, name in enumerate(judged.names)
        if (judged.labels == i).any()
    }
    commonest = Counter(judged.labels.tolist()).most_common(1)[0][1] / len(right)
    return LabelReport(
        method, label, float(right.mean()), commonest, len(right), per_label, judged.unlabelled, judged.contradictory,
        settings=settings, **counts,
    )  # fmt: skip
