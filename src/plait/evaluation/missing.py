"""Evaluating without modalities: hidden on purpose pattern by pattern, and hidden at random more and more.

In: a given, the fused model's outputs on its rows, and those of the single-modality baselines. Out: the ``missing``
part of the evaluation. Rows are encoded once and only fusion and head run again, on as many rows, levels and draws as
the effort says (``effort.py``), sampled with the seed and reported. Nothing here trains or selects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb
from types import MappingProxyType
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EvaluationInputs
from plait.inference.forward import predict_present
from plait.inputs.dataset import RowBatches
from plait.metrics.chance import chance_level
from plait.metrics.intervals import metric_intervals
from plait.metrics.robustness import (
    effective_robustness,
    missing_patterns,
    pattern_metrics,
    relative_robustness,
)
from plait.tasks.decisions import class_decisions
from plait.tasks.row_metrics import resampled

ALL_PATTERNS_UP_TO = 5  # modalities; with more, patterns are chosen
ALL_SHOWN_UP_TO = 4
MOST_CELLS = 50_000_000  # outputs of all levels of the curve kept at once
SUBSETS_OF_A_SIZE = 6
RESAMPLES = 200
USUAL_ROWS = 2000  # where judge.missing_rows names no number
MISSING_NOTE = "each modality of each row is hidden by itself; a row that would lose all keeps one, drawn evenly"
Pattern = tuple[bool, ...]
Outputs = Callable[[np.ndarray], np.ndarray]
Interval = Mapping[str, float | None]


@dataclass(frozen=True)
class Effort:
    """How much is judged with modalities missing.

    Attributes:
        rows: Rows on which modalities are hidden; 0: none.
        step: Between levels of what is missing at random.
        draws: At each level.
        budget: What was allowed and needed, where time cut it; for the report.
    """

    rows: int
    step: float
    draws: int
    budget: Mapping[str, float] | None = None

    @property
    def levels(self) -> int:
        """Levels of the curve, that of nothing missing among them."""
        return ceil(round(1 / self.step, 6))


def evaluate_missing(
    given: EvaluationInputs,
    effort: Effort,
    fused: np.ndarray,
    alone: dict[str, np.ndarray],
    known: Mapping[Pattern, np.ndarray] = MappingProxyType({}),
    *,
    intervals: Mapping[Pattern, Interval] = MappingProxyType({}),
    progress: Progress | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Evaluate the rows with modalities missing; None for a model of one modality, or where the settings leave it out.

    Args:
        given: The given.
        effort: On how many rows, at which levels, in how many draws.
        fused: Activated outputs of the fused model on its rows [N, C].
        alone: The same of each baseline, by modality; effective robustness needs all of them.
        known: Outputs of the model on its rows under patterns that were asked already.
        intervals: Intervals of the primary metric that the report shows elsewhere, by pattern, on all rows: the same
            number has the same interval here, unless fewer rows are judged.
        progress: Called with (done, total, what).
        seed: Seed of what is sampled.

    Returns:
        ``metric``, ``chance``, ``rows`` (evaluated here) of ``of``; ``occurring``: patterns as they are, on all rows;
        ``hidden``: patterns made on purpose; ``counts``: by how many are missing; ``curve``: levels, scores, those of
        late fusion, relative and effective robustness, of accuracy with its interval; ``budget``: what was allowed and
        would have been needed, where time cut the effort; ``notes`` and one ``sentence``.
    """
    names = given.model.config.modality_names
    if len(names) < 2 or effort.rows == 0:
        return None
    rng = np.random.default_rng([seed, len(fused)])
    total, most = len(fused), effort.rows
    rows_S = np.sort(rng.choice(total, most, replace=False)) if total > most else np.arange(total)
    judged = _Rows(given, rows_S, progress, seed)
    shown_already = intervals if len(rows_S) == total else {}
    known = {**known, (True,) * len(names): fused}
    kinds = [m["kind"] for m in given.model.config.modalities]
    sizes = [*_sizes(kinds, rng)]
    patterns = _patterns(len(names), [p for _, chosen in sizes for p in chosen])
    answers = {p: known[p][rows_S] for p in patterns if p in known}
    if asked := [p for p in patterns if p not in known]:
        answers |= dict(zip(asked, judged.outputs(np.stack([judged.all_rows(p) for p in asked])), strict=True))
    shown = [p for p in patterns if len(names) <= ALL_SHOWN_UP_TO or sum(p) in (1, len(names) - 1)]
    notes = [f"{most:,} of {total:,} judged rows, sampled with seed {seed}"] if total > most else []
    curve = judged.curve(effort, names, answers, alone)
    notes += curve.pop("notes")
    primary = given.task.primary
    present_NM = given.prepared.rows.present_NM[given.positions]
    return {
        "metric": primary,
        "chance": chance_level(primary, given.target),
        "rows": len(rows_S),
        "of": total,
        "occurring": [
            {"present": list(pattern.names), "rows": part["rows"], "metrics": part["metrics"]}
            for pattern, part in zip(
                missing_patterns(present_NM, names),
                pattern_metrics(present_NM, names, lambda rows: _primary(given, given.target[rows], fused[rows])),
                strict=True,
            )
        ],
        "hidden": [
            {
                "present": [n for n, kept in zip(names, p, strict=True) if kept],
                "missing": [n for n, kept in zip(names, p, strict=True) if not kept],
                "rows_with_nothing": judged.num_empty(p),
                "metrics": {primary: shown_already.get(p) or judged.interval([answers[p]])},
            }
            for p in shown
        ],
        "counts": [
            {
                **{k: v for k, v in size.items() if k != "all"},
                "subsets": len(chosen),
                "of_subsets": size["all"],
                "metrics": {
                    primary: (shown_already.get(chosen[0]) if len(chosen) == 1 else None)
                    or judged.interval([answers[p] for p in chosen])
                },
            }
            for size, chosen in sizes
        ],
        "curve": curve,
        "budget": None if effort.budget is None else dict(effort.budget),
        "notes": notes,
        "sentence": _sentence(primary, curve),
    }


class _Rows:
    """The rows evaluated here, and what is measured on them."""

    def __init__(self, given: EvaluationInputs, rows_S: np.ndarray, progress: Progress | None, seed: int) -> None:
        self.given, self.progress, self.seed = given, progress, seed
        self.rows_S = rows_S
        index_NM = given.prepared.rows.index_NM[given.positions]
        self.batches = RowBatches(given.prepared.sources, index_NM[rows_S])
        self.present_SM = index_NM[rows_S] >= 0
        self.target = given.target[rows_S]
        self.group = None if given.group is None else given.group[rows_S]

    def all_rows(self, pattern: Pattern) -> np.ndarray:
        """The pattern for every row [S, M]."""
        return np.broadcast_to(np.array(pattern), self.present_SM.shape)

    def num_empty(self, pattern: Pattern) -> int:
        """Rows in which a pattern leaves nothing."""
        return int((~(self.present_SM & np.array(pattern)).any(1)).sum())

    def outputs(self, present_PSM: np.ndarray) -> np.ndarray:
        """Activated outputs under each presence [P, S, C]."""
        logits_PSC = predict_present(
            self.given.answers,
            self.batches,
            present_PSM,
            progress=self.progress,
            what="judging with modalities missing",
        )
        return np.stack([self.given.task.activate(logits, self.given.labels) for logits in logits_PSC])

    def score(self, outputs: np.ndarray) -> float | None:
        """The primary metric."""
        return _primary(self.given, self.target, outputs)[self.given.task.primary]

    def interval(self, several: list[np.ndarray]) -> dict[str, float | None]:
        """Mean of the primary metric over several outputs, with its bootstrap interval."""
        primary = self.given.task.primary

        def mean(rows: np.ndarray) -> dict[str, float | None]:
            values = [_primary(self.given, self.target[rows], outputs[rows])[primary] for outputs in several]
            known = [v for v in values if v is not None]
            return {primary: float(np.mean(known)) if len(known) == len(values) else None}

        resamples = int(np.clip(2_000_000 / max(1, several[0].size * len(several)), 50, RESAMPLES))
        resamples = self.given.deadline.resamples(resamples)
        at_once = [resampled(self.given.task.metrics, self.target, outputs) for outputs in several]
        known = [one for one in at_once if one is not None]

        def means(counts_RN: np.ndarray, names: Collection[str]) -> dict[str, np.ndarray]:
            return {primary: np.mean([one(counts_RN, names)[primary] for one in known], axis=0)}

        return metric_intervals(
            mean, len(self.target), groups=self.group, resamples=resamples, seed=self.seed,
            resampled=means if len(known) == len(several) else None,
        )[primary]  # fmt: skip

    def curve(
        self, effort: Effort, names: list[str], answers: dict[Pattern, np.ndarray], alone: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Scores of the model and of late fusion as more and more is missing completely at random."""
        draws = effort.draws
        levels = [round(i * effort.step, 6) for i in range(effort.levels)]
        rng = np.random.default_rng([self.seed, len(names), draws])
        drawn = [[hide_at_level(self.present_SM, level, rng) for _ in range(draws if level else 1)] for level in levels]
        late_MSC = np.stack([alone[n][self.rows_S] for n in names]) if set(names) <= set(alone) else None
        scores: list[Any] = []
        late: list[Any] = []
        right: list[tuple[np.ndarray, np.ndarray]] = []
        num_patterns, cells = sum(map(len, drawn)), next(iter(answers.values())).size
        at_once: list[np.ndarray] = []
        if len(answers) < 2 ** len(names) - 1 and num_patterns * cells <= MOST_CELLS:
            # rows are encoded once for all levels, and what two draws leave of a row is answered once
            at_once = list(self.outputs(np.stack([kept_SM for kept_DSM in drawn for kept_SM in kept_DSM])))
        for kept_DSM in drawn:
            outputs, at_once = at_once[: len(kept_DSM)], at_once[len(kept_DSM) :]
            outputs = outputs or self._looked_up(kept_DSM, answers) or list(self.outputs(np.stack(kept_DSM)))
            scores.append(_mean([self.score(o) for o in outputs]))
            if late_MSC is not None:
                of_late = [mean_of_present(late_MSC, kept_SM) for kept_SM in kept_DSM]
                late.append(_mean([self.score(o) for o in of_late]))
                right.append((self.share_right(outputs), self.share_right(of_late)))
        found: dict[str, Any] = {
            "levels": levels, "scores": scores, "late": late or None, "draws": draws, "missing": MISSING_NOTE,
            "relative_robustness": None, "effective_robustness": None,
            "effective_interval": None, "notes": [],
        }  # fmt: skip
        higher = self.given.task.higher_is_better
        if None in scores:
            found["notes"].append(f"{self.given.task.primary} cannot be measured at every level")
            return found
        try:
            found["relative_robustness"] = relative_robustness(levels, scores, higher_is_better=higher)
        except ValueError as error:
            found["notes"].append(f"no relative robustness: {error}")
        if late and None not in late:
            found["effective_robustness"] = effective_robustness(levels, scores, late, higher_is_better=higher)
            if self.given.task.primary == "accuracy" and self.target.ndim == 1:
                found["effective_interval"] = self.effective_interval(levels, right)
        else:
            found["notes"].append("no effective robustness: it needs a model of each modality alone (train.baselines)")
        return found

    def share_right(self, several: list[np.ndarray]) -> np.ndarray:
        """In how many of several outputs each row is answered right, as a share [S]; of classes only."""
        if self.given.task.output_kind != "classes":
            return np.zeros(len(self.target))
        thresholds = self.given.labels.thresholds
        return np.mean([class_decisions(outputs, thresholds) == self.target for outputs in several], axis=0)

    def effective_interval(
        self, levels: list[float], right: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[float | None, float | None]:
        """The 95 % bootstrap interval of effective robustness in accuracy, from ``share_right`` by level."""
        model_LS, late_LS = (np.stack(side) for side in zip(*right, strict=True))

        def measure(rows: np.ndarray) -> dict[str, float | None]:
            of_model, of_late = model_LS[:, rows].mean(1), late_LS[:, rows].mean(1)
            return {"effective": effective_robustness(levels, of_model, of_late)}

        resamples = self.given.deadline.resamples(RESAMPLES)
        found = metric_intervals(measure, len(self.target), groups=self.group, resamples=resamples, seed=self.seed)
        return found["effective"]["low"], found["effective"]["high"]

    def _looked_up(self, kept_DSM: list[np.ndarray], answers: dict[Pattern, np.ndarray]) -> list[np.ndarray]:
        """Outputs of rows each with its own pattern, from those of every pattern; nothing where some are lacking."""
        num_modalities = self.present_SM.shape[1]
        if len(answers) < 2**num_modalities - 1:
            return []
        place_M = 2 ** np.arange(num_modalities)
        of_code = {int((np.array(p) * place_M).sum()): p for p in answers}
        of_code[0] = (True,) * num_modalities  # a row that has nothing is the same under every pattern
        found = []
        for kept_SM in kept_DSM:
            code_S = (kept_SM * place_M).sum(1)
            outputs = np.empty_like(next(iter(answers.values())))
            for code in np.unique(code_S):
                outputs[code_S == code] = answers[of_code[int(code)]][code_S == code]
            found.append(outputs)
        return found


def hide_at_level(present_SM: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """What stays when each modality of each row is hidden with probability ``level``; one stays, drawn evenly [S, M].

    A row that has nothing keeps nothing.
    """
    kept_SM = present_SM & (rng.random(present_SM.shape) >= level)
    lot_SM = np.where(present_SM, rng.random(present_SM.shape), -1.0)
    last_SM = lot_SM == lot_SM.max(1, keepdims=True)
    kept: np.ndarray = np.where(kept_SM.any(1, keepdims=True), kept_SM, last_SM & present_SM)
    return kept


def mean_of_present(outputs_MSC: np.ndarray, present_SM: np.ndarray) -> np.ndarray:
    """Late fusion: the mean of the baselines' outputs over what is present; over all where nothing is [S, C]."""
    counted_SM = np.where(present_SM.any(1, keepdims=True), present_SM, True)
    weights_MS1 = (counted_SM / counted_SM.sum(1, keepdims=True)).T[..., None]
    mean_SC: np.ndarray = (outputs_MSC * weights_MS1).sum(0)
    return mean_SC


def _patterns(num_modalities: int, chosen: list[Pattern]) -> list[Pattern]:
    """Patterns to ask, the fullest first: all of them, or with many modalities single, left-out and chosen ones."""
    if num_modalities <= ALL_PATTERNS_UP_TO:
        sizes: Sequence[int] = range(num_modalities, 0, -1)
    else:
        sizes = (num_modalities, num_modalities - 1, 1)
    found = [
        tuple(m in kept for m in range(num_modalities))
        for size in sizes
        for kept in combinations(range(num_modalities), size)
    ]
    return list(dict.fromkeys([*found, *(p for p in chosen if any(p))]))


def num_answered(num_modalities: int) -> int:
    """How many patterns of so many modalities are asked, those apart that are drawn for many of one kind."""
    return len(_patterns(num_modalities, []))


def _sizes(kinds: list[str], rng: np.random.Generator) -> list[tuple[dict[str, Any], list[Pattern]]]:
    """By how many are missing: of each kind that several modalities have (the others stay), then of all alike.

    Of more than six subsets of a size six are drawn.
    """
    sets = {k: [m for m, kind in enumerate(kinds) if kind == k] for k in dict.fromkeys(kinds) if kinds.count(k) > 1}
    sets = {k: members for k, members in sets.items() if len(members) < len(kinds)}
    if len(kinds) > ALL_SHOWN_UP_TO:
        sets["modality"] = list(range(len(kinds)))
    made = []
    for kind, members in sets.items():
        most = len(members) - (kind == "modality")
        for missing in range(most + 1):
            subsets = list(combinations(members, missing))
            if len(subsets) > SUBSETS_OF_A_SIZE:
                subsets = [subsets[i] for i in np.sort(rng.choice(len(subsets), SUBSETS_OF_A_SIZE, replace=False))]
            patterns = [tuple(m not in gone for m in range(len(kinds))) for gone in subsets]
            size = {"kind": kind, "missing": missing, "among": len(members), "all": comb(len(members), missing)}
            made.append((size, patterns))
    return made


def _primary(given: EvaluationInputs, target: np.ndarray, outputs: np.ndarray) -> dict[str, float | None]:
    value = given.task.metrics(target, outputs).get(given.task.primary)
    return {given.task.primary: None if value is None else float(value)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _sentence(primary: str, curve: dict[str, Any]) -> str | None:
    """The curve in words, or None where it could not be measured."""
    relative, effective = curve["relative_robustness"], curve["effective_robustness"]
    last = curve["levels"][-1]
    parts = []
    if relative is not None:
        parts.append(f"relative robustness {relative:.2f} (with 0 to {last:.0%} of modalities missing at random)")
    if effective is not None:
        low, high = curve.get("effective_interval") or (None, None)
        than = "slower" if effective > 0 else "faster" if effective < 0 else "no faster"
        span = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
        if low is not None and high is not None and low <= 0 <= high:
            than = "neither clearly slower nor clearly faster"
        parts.append(f"effective robustness {effective:+.3f}{span} ({primary} falls {than} than that of late fusion)")
    return "; ".join(parts) or None
