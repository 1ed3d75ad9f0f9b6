"""How the answers hold when inputs are corrupted: a curve over severities for each modality and corruption.

Cells are damaged before anything is encoded, so frozen encoders run live here; therefore on a sample of the judged rows
(``judge.corrupted_rows``), and at severities 1, 3 and 5. Features of damaged cells go into a store of their own that is
thrown away. Areas under the curves are those of ``metrics.robustness``. Intervals are bootstrapped over the rows (whole
groups); every point of every curve is measured on the same draws, so a change against the undamaged rows is paired.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plait.data.modality import Modality
from plait.evaluation.base import EvaluationInputs
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.evaluation.trust.corruptions import SEVERITIES, corruptions_of
from plait.evaluation.trust.corruptions.columns import KEPT_BYTES, Decoded, corrupted
from plait.inference.forward import num_bytes, predict_logits
from plait.inputs.dataset import RowBatches, Source, TensorSource
from plait.inputs.feature_store import FeatureStore
from plait.inputs.prepare import prepare
from plait.metrics.intervals import metric_intervals
from plait.metrics.robustness import effective_robustness, relative_robustness
from plait.registry import counted
from plait.report.words import number, signed

MEASURED = (1, 3, 5)
RESAMPLES = 200
LEVELS = [0.0, *(severity / SEVERITIES[-1] for severity in MEASURED)]


def evaluate_robustness(inputs: TrustInputs) -> dict[str, Any]:
    """The part "robustness".

    Returns:
        ``metric``, ``rows`` (of ``of``), ``clean``: the metric on them undamaged, ``severities``; ``curves``: for each
        modality and corruption ``scores`` at severity 0, 1, 3 and 5 with their ``intervals`` (low, high),
        ``changes`` against severity 0 (value, low, high), ``confidence`` (mean largest probability), and ``relative``
        and ``effective`` robustness with ``relative_interval`` and ``effective_interval`` (None where undefined);
        ``resamples`` of the intervals, ``notes`` and a ``sentence``.
    """
    rows = _sampled(inputs)
    given = rows.given
    notes = []
    if len(given.positions) < len(inputs.given.positions):
        notes.append(
            f"{len(given.positions):,} of {len(inputs.given.positions):,} judged rows, sampled with seed "
            f"{inputs.seed}; judge.corrupted_rows says how many"
        )
    clean = rows.answers(None)
    unread = _unread(given)
    if unread:
        notes.append(f"Not damaged, for no model that answers these rows reads it: {', '.join(unread)}.")
    read = [m for m in inputs.fitted.inputs.modalities if m.name not in unread]
    work = [(m, name) for m in read for name in corruptions_of(m.kind)]
    all_measured, done = [], 0
    for modality, name in work:
        measured = [clean]
        for severity in MEASURED:
            measured.append(rows.answers((modality, name, severity)))
            done += 1
            if inputs.progress is not None:
                inputs.progress(done, len(work) * len(MEASURED), f"corrupting {modality.name}")
        all_measured.append(measured)
    curves = [
        {"modality": modality.name, "corruption": name, **curve}
        for (modality, name), curve in zip(work, rows.curves(all_measured), strict=True)
    ]
    metric = given.task.primary
    every = np.arange(len(given.positions))
    return {
        "metric": metric, "higher_is_better": given.task.higher_is_better, "rows": len(every),
        "of": len(inputs.given.positions), "severities": [0, *MEASURED], "clean": rows.score(clean["fused"], every),
        "curves": curves, "resamples": RESAMPLES, "notes": notes,
        "sentence": _sentence(metric, curves, given.task.higher_is_better),
    }  # fmt: skip


def _unread(given: EvaluationInputs) -> list[str]:
    """Modalities that none of the models reads which answer these rows: whatever is done to them, answers stay."""
    if given.ensemble is None or given.baselines:
        return []
    read = given.ensemble.reads(given.prepared.rows.index_NM[given.positions] >= 0)  # type: ignore[operator]
    return [name for name in given.model.config.modality_names if name not in read]


@dataclass
class _Rows:
    """The rows whose inputs are damaged, and what answers them."""

    inputs: TrustInputs
    given: EvaluationInputs
    right: dict[int, np.ndarray | None] = field(default_factory=dict)  # by the identity of outputs

    def __post_init__(self) -> None:
        """Take what the rows show once, where it is small: only one modality at a time is damaged."""
        self.index_NM = self.given.prepared.rows.index_NM[self.given.positions].copy()
        self.sources: dict[str, Source] = dict(self.given.prepared.sources)
        for m, (name, source) in enumerate(self.sources.items()):
            own_N = self.index_NM[:, m]
            unique = np.unique(own_N[own_N >= 0])
            if len(unique) and num_bytes(source.take(unique[:1])) * len(unique) <= KEPT_BYTES:
                self.sources[name] = TensorSource(source.take(unique))
                self.index_NM[:, m] = np.where(own_N >= 0, np.searchsorted(unique, own_N), -1)
        self.table = self.given.prepared.rows.table.take(self.given.positions)
        self.decoded = Decoded()

    def answers(self, how: tuple[Modality, str, int] | None) -> dict[str, np.ndarray]:
        """Activated outputs of the model ("fused") and, where every modality has a model of its own, "late"."""
        if how is None:
            return self._outputs(self.sources, self.index_NM)
        modality, name, severity = how
        damaged = corrupted(self.table, modality, name, severity, self.inputs.seed, decoded=self.decoded)
        alone = replace(self.inputs.fitted.inputs, modalities=(modality,))
        with tempfile.TemporaryDirectory() as folder:
            made = prepare(damaged, alone, store=FeatureStore(folder))
            m = list(self.sources).index(modality.name)
            index_NM, shown_N = self.index_NM.copy(), made.rows.items[modality.name].index_N
            index_NM[:, m] = np.where(index_NM[:, m] >= 0, shown_N, -1)
            return self._outputs({**self.sources, modality.name: made.sources[modality.name]}, index_NM)

    def _outputs(self, sources: dict[str, Source], index_NM: np.ndarray) -> dict[str, np.ndarray]:
        given = self.given
        logits_NC = predict_logits(given.answers, RowBatches(sources, index_NM))
        found = {"fused": given.task.activate(logits_NC, given.labels)}
        names = list(given.model.config.modality_names)
        if len(names) > 1 and all(name in given.baselines for name in names):
            single = [
                predict_logits(given.baselines[name], RowBatches({name: sources[name]}, index_NM[:, [m]]))
                for m, name in enumerate(names)
            ]
            found["late"] = np.mean([given.task.activate(logits, given.labels) for logits in single], axis=0)
        return found

    def score(self, outputs: np.ndarray, rows: np.ndarray) -> float | None:
        """The primary metric of some of the rows; a mean over rows is taken as one, for it is asked for very often."""
        right_N = self.right.get(id(outputs))
        if right_N is not None:
            return float(right_N[rows].mean())
        value = self.given.task.metrics(self.given.target[rows], outputs[rows]).get(self.given.task.primary)
        return None if value is None else float(value)

    def _right(self, answers: dict[str, np.ndarray]) -> np.ndarray | None:
        """Which rows are right [N], where the primary metric is their share; None where it is another."""
        given = self.given
        if given.task.primary != "accuracy":
            return None
        decided = given.task.encode(list(given.task.decode(answers["fused"], given.labels)), given.labels)
        right_N = np.asarray(np.asarray(decided) == np.asarray(given.target), dtype=np.float64)
        whole = self.score(answers["fused"], np.arange(len(right_N)))
        return right_N if whole is not None and abs(whole - right_N.mean()) < 1e-9 else None

    def curves(self, all_measured: list[list[dict[str, np.ndarray]]]) -> list[dict[str, Any]]:
        """Scores over the severities of each curve and the areas under them, with intervals of the same draws."""

        def measure(rows: np.ndarray) -> dict[str, float | None]:
            clean = {key: self.score(outputs, rows) for key, outputs in all_measured[0][0].items()}
            found: dict[str, float | None] = {}
            for c, measured in enumerate(all_measured):
                scores = {
                    key: [first, *(self.score(answers[key], rows) for answers in measured[1:])]
                    for key, first in clean.items()
                }
                start = clean["fused"]
                for s, value in enumerate(scores["fused"]):
                    found[f"{c} score {s}"] = value
                    found[f"{c} change {s}"] = None if value is None or start is None else value - start
                found[f"{c} relative"], found[f"{c} effective"] = self._areas(scores["fused"], scores.get("late"))
            return found

        if not all_measured:
            return []
        self.right = {id(a["fused"]): self._right(a) for measured in all_measured for a in measured}
        is_share = self.given.task.primary in ("accuracy", "exact_match")
        made = metric_intervals(
            measure, len(self.given.positions), groups=self.given.group, resamples=RESAMPLES, seed=self.inputs.seed,
            shares=[f"{c} score {s}" for c in range(len(all_measured)) for s in range(len(LEVELS)) if is_share],
        )  # fmt: skip
        return [self._curve(c, measured, made) for c, measured in enumerate(all_measured)]

    def _areas(self, scores: list[float | None], late: list[float | None] | None) -> tuple[float | None, float | None]:
        """Relative and effective robustness, None where they are undefined."""
        higher = self.given.task.higher_is_better
        known = [s for s in scores if s is not None]
        of_late = [s for s in late or [] if s is not None]
        if len(known) < len(LEVELS):
            return None, None
        relative = effective = None
        if all(s > 0 for s in known):
            relative = relative_robustness(LEVELS, known, higher_is_better=higher)
        if len(of_late) == len(LEVELS):
            effective = effective_robustness(LEVELS, known, of_late, higher_is_better=higher)
        return relative, effective

    def _curve(
        self, c: int, measured: list[dict[str, np.ndarray]], made: dict[str, dict[str, float | None]]
    ) -> dict[str, Any]:
        """One curve as plain values."""
        points = [made[f"{c} score {s}"] for s in range(len(LEVELS))]
        areas = {name: made[f"{c} {name}"] for name in ("relative", "effective")}
        has_confidence = self.given.task.output_kind == "classes"
        return {
            "scores": [p["value"] for p in points], "intervals": [[p["low"], p["high"]] for p in points],
            "changes": [made[f"{c} change {s}"] for s in range(len(LEVELS))],
            "confidence": [float(a["fused"].max(axis=1).mean()) for a in measured] if has_confidence else None,
            **{name: area["value"] for name, area in areas.items()},
            **{f"{name}_interval": [area["low"], area["high"]] for name, area in areas.items()},
        }  # fmt: skip


def _sampled(inputs: TrustInputs) -> _Rows:
    given, most = inputs.given, inputs.given.judge.corrupted_rows
    chosen = np.arange(len(given.positions))
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(inputs.seed).choice(chosen, most, replace=False))
    values = [given.values[int(i)] for i in chosen]
    group = None if given.group is None else given.group[chosen]
    some = replace(given, positions=given.positions[chosen], target=given.target[chosen], values=values, group=group)
    return _Rows(inputs, some)


def _sentence(metric: str, curves: list[dict[str, Any]], higher: bool) -> str:
    known = [c for c in curves if c["scores"][0] is not None and c["scores"][-1] is not None]
    if not known:
        return f"{metric} cannot be measured on these rows."
    worst = max(known, key=lambda c: (c["scores"][0] - c["scores"][-1]) * (1 if higher else -1))
    name = str(worst["corruption"]).partition("_")[2].replace("_", " ") or worst["corruption"]
    clean, first, last = (number(worst["scores"][i]) for i in (0, 1, -1))
    return (
        f"Of {counted(len(known), 'corruption')}, {name} of {worst['modality']} costs most: {metric} {clean} "
        f"undamaged, {first} at severity 1, {last} at severity 5{_paired(worst)}."
    )


def _paired(curve: dict[str, Any]) -> str:
    """The change at the last severity with its interval, and whether it may be chance."""
    last = (curve.get("changes") or [{}])[-1]
    value, low, high = (last.get(key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return ""
    chance = ", which chance may explain" if low <= 0 <= high else ""
    return f" (change {signed(value)}, 95% interval {signed(low)} to {signed(high)}{chance})"


def _reason(inputs: TrustInputs) -> str | None:
    reason = needs_labels("classes", "labels", "number")(inputs)
    if reason is None and inputs.given.judge.corrupted_rows == 0:
        reason = "left out: judge.corrupted_rows is 0"
    return reason


TRUST_PARTS.add("robustness", TrustPart("When inputs are damaged", evaluate_robustness, _reason))
