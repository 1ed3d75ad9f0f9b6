"""How the answers hold when inputs are corrupted: a curve over severities for each modality and corruption.

Cells are damaged before anything is encoded, so frozen encoders run live here; therefore on a sample of the judged rows
(``judge.corrupted_rows``), and at severities 1, 3 and 5. Features of damaged cells go into a store of their own that is
thrown away. Areas under the curves are those of ``metrics.robustness``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.data.modality import Modality
from plait.evaluation.base import EvaluationInputs
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, needs_labels
from plait.evaluation.trust.corruptions import SEVERITIES, corruptions_of
from plait.evaluation.trust.corruptions.columns import corrupted
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches, Source
from plait.inputs.feature_store import FeatureStore
from plait.inputs.prepare import prepare
from plait.metrics.robustness import effective_robustness, relative_robustness
from plait.registry import counted
from plait.report.words import number

MEASURED = (1, 3, 5)
LEVELS = [0.0, *(severity / SEVERITIES[-1] for severity in MEASURED)]


def evaluate_robustness(inputs: TrustInputs) -> dict[str, Any]:
    """The part "robustness".

    Returns:
        ``metric``, ``rows`` (of ``of``), ``clean``: the metric on them undamaged, ``severities``; ``curves``: for each
        modality and corruption ``scores`` at severity 0, 1, 3 and 5, ``confidence`` (mean largest probability), and
        relative and effective robustness (None where undefined); ``notes`` and a ``sentence``.
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
    work = [(m, name) for m in inputs.fitted.inputs.modalities for name in corruptions_of(m.kind)]
    curves, done = [], 0
    for modality, name in work:
        measured = [clean]
        for severity in MEASURED:
            measured.append(rows.answers((modality, name, severity)))
            done += 1
            if inputs.progress is not None:
                inputs.progress(done, len(work) * len(MEASURED), f"corrupting {modality.name}")
        curves.append({"modality": modality.name, "corruption": name, **rows.curve(measured)})
    metric = given.task.primary
    return {
        "metric": metric, "higher_is_better": given.task.higher_is_better, "rows": len(given.positions),
        "of": len(inputs.given.positions), "severities": [0, *MEASURED], "clean": rows.score(clean["fused"]),
        "curves": curves, "notes": notes, "sentence": _sentence(metric, curves, given.task.higher_is_better),
    }  # fmt: skip


@dataclass
class _Rows:
    """The rows whose inputs are damaged, and what answers them."""

    inputs: TrustInputs
    given: EvaluationInputs

    def answers(self, how: tuple[Modality, str, int] | None) -> dict[str, np.ndarray]:
        """Activated outputs of the model ("fused") and, where every modality has a model of its own, "late"."""
        given, names = self.given, list(self.given.model.config.modality_names)
        sources: dict[str, Source] = dict(given.prepared.sources)
        index_NM = given.prepared.rows.index_NM[given.positions].copy()
        if how is not None:
            modality, name, severity = how
            table = given.prepared.rows.table.take(given.positions)
            damaged = corrupted(table, modality, name, severity, self.inputs.seed)
            alone = replace(self.inputs.fitted.inputs, modalities=(modality,))
            with tempfile.TemporaryDirectory() as folder:
                made = prepare(damaged, alone, store=FeatureStore(folder))
                sources[modality.name] = made.sources[modality.name]
                m = names.index(modality.name)
                shown_N = made.rows.items[modality.name].index_N
                index_NM[:, m] = np.where(index_NM[:, m] >= 0, shown_N, -1)
                return self._outputs(sources, index_NM)
        return self._outputs(sources, index_NM)

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

    def score(self, outputs: np.ndarray) -> float | None:
        """The primary metric."""
        value = self.given.task.metrics(self.given.target, outputs).get(self.given.task.primary)
        return None if value is None else float(value)

    def curve(self, measured: list[dict[str, np.ndarray]]) -> dict[str, Any]:
        """Scores over the severities, and the areas under them."""
        higher = self.given.task.higher_is_better
        scores = [self.score(answers["fused"]) for answers in measured]
        late = [self.score(answers["late"]) for answers in measured if "late" in answers]
        known = all(s is not None for s in scores)
        relative = None
        if known and all(s > 0 for s in scores if s is not None):
            relative = relative_robustness(LEVELS, [s or 0.0 for s in scores], higher_is_better=higher)
        effective = None
        if known and len(late) == len(LEVELS) and all(s is not None for s in late):
            effective = effective_robustness(
                LEVELS, [s or 0.0 for s in scores], [s or 0.0 for s in late], higher_is_better=higher
            )
        has_confidence = self.given.task.output_kind == "classes"
        confidence = [float(a["fused"].max(axis=1).mean()) for a in measured] if has_confidence else None
        return {"scores": scores, "confidence": confidence, "relative": relative, "effective": effective}


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
        f"undamaged, {first} at severity 1, {last} at severity 5."
    )


def _reason(inputs: TrustInputs) -> str | None:
    reason = needs_labels("classes", "labels", "number")(inputs)
    if reason is None and inputs.given.judge.corrupted_rows == 0:
        reason = "left out: judge.corrupted_rows is 0"
    return reason


TRUST_PARTS.add("robustness", TrustPart("When inputs are damaged", evaluate_robustness, _reason))
