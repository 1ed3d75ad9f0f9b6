"""Explain a fitted Plait model on evaluated rows: features come from the store, only fusion and head run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation import EvaluationInputs, shown_inputs, shown_text
from plait.explain.asked_once import AskedOnce
from plait.explain.encoded import encode_once
from plait.explain.measure import MEASURES, Measure, Metric, metric_named, with_metric
from plait.explain.modality import explain_subject
from plait.explain.subject import Subject
from plait.explain.written import KNOWS_NO_PRIOR, shown_references, subject_that_writes, written_answers
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.registry import counted
from plait.settings.names import ABSENCE_NAMES
from plait.tasks import Task
from plait.tasks.added_metrics import WithAdded
from plait.tasks.decisions import class_decisions
from plait.weights.network_config import NetworkConfig


def check_absence(absence: str | None) -> None:
    """Refuse what cannot stand for an absent modality.

    Raises:
        ValueError: Its name is unknown.
    """
    if absence is not None and absence not in ABSENCE_NAMES:
        raise ValueError(f"absence is {absence!r}; for a fitted model choose {' or '.join(ABSENCE_NAMES)}")


def explain_evaluated(
    given: EvaluationInputs,
    *,
    absence: str | None = None,
    draws: int = 8,
    metric: Metric = None,
    examples: int | Sequence[int] = 8,
    permutations: int = 20,
    emap_evaluations: int = 100_000,
    column: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Explain; see :meth:`plait.Plait.explain`. ``examples`` holds row numbers of the source, ``column`` is a class."""
    check_absence(absence)
    subject = subject_of(given, metric)
    has_base = not given.task.family.writes or len(subject) < 2
    absence = absence or ("missing" if has_base else "marginal")
    numbers = row_numbers(given)
    chosen: int | list[int] = examples if isinstance(examples, int) else _places(examples, numbers)
    found = explain_subject(
        subject, absence=absence, draws=draws, examples=chosen, permutations=permutations,
        emap_evaluations=emap_evaluations, column=column, seed=seed, progress=progress,
    )  # fmt: skip
    places = [shown.pop("position") for shown in found["examples"]]
    for shown, place, (truth, said) in zip(found["examples"], places, _answers(given, subject, places), strict=True):
        position = int(given.positions[place])
        shown |= {
            "row": numbers[place], "inputs": shown_inputs(given, position), "truth": truth, "prediction": said,
        }  # fmt: skip
    found["notes"] = _notes(given, absence)
    if found["empty"]["by"] != "the model" and not given.labels.prior:
        found["empty"]["by"] = "the mean of its answers"
    return {**found, "split": given.split}


def row_numbers(given: EvaluationInputs) -> list[int]:
    """Row of the source of each evaluated row."""
    return [given.prepared.rows.table.row_number(int(p)) for p in given.positions]


def check_metric(task: Task, metric: Metric) -> None:
    """Refuse, before rows are read, a metric that the task has not.

    Raises:
        ValueError: It has not, or lower is better.
    """
    with_metric(measure_of(task), metric)


def subject_of(given: EvaluationInputs, metric: Metric = None) -> Subject:
    """The given's model and rows as the subject of an explanation."""
    if given.task.family.writes:
        return subject_that_writes(given)
    names = tuple(given.model.config.modality_names)
    index_NM = given.prepared.rows.index_NM[given.positions]
    sources, items_NM = encode_once(given.uncalibrated, given.prepared.sources, index_NM)
    measure = with_metric(measure_of(given.task, given.labels.thresholds), metric)

    def scores_of_items(items_BM: np.ndarray) -> np.ndarray:
        logits = predict_logits(given.answers, RowBatches(sources, items_BM))
        return given.task.activate(logits, given.labels) if measure.is_number else logits.astype(np.float64)

    once = AskedOnce(scores_of_items, items_NM.max(axis=0, initial=-1) + 1)

    def scores_of(rows_BM: np.ndarray) -> np.ndarray:
        return once(np.where(rows_BM >= 0, np.take_along_axis(items_NM, np.maximum(rows_BM, 0), axis=0), -1))

    return Subject(
        names, scores_of, index_NM >= 0, given.target, measure, tuple(given.labels.classes), given.group,
        measure.scale if measure.is_number else "logits",
        given.model.fusion.additive_scale if measure.exclusive and given.ensemble is None else "logits",
        prior_of(given),
    )  # fmt: skip


def prior_of(given: EvaluationInputs) -> np.ndarray | None:
    """Outputs [C] of the training rows' prior; the mean of this model's answers where it was saved without one."""
    if given.labels.prior:
        return np.array(given.labels.prior)
    if not given.task.needs_target:
        return None
    index_NM = given.prepared.rows.index_NM[given.positions]
    logits = predict_logits(given.answers, RowBatches(given.prepared.sources, index_NM))
    mean: np.ndarray = given.task.activate(logits, given.labels).mean(axis=0)
    return mean


def measure_of(task: Task, thresholds: tuple[float, ...] = ()) -> Measure:
    """The measure of a task: that of its family, or its own metrics where its primary one is not the family's.

    Args:
        task: Its metrics decide at the thresholds.
        thresholds: Those of the model; none: .5.
    """
    of_family = MEASURES.get(task.output_kind)
    if task.family.writes:  # its own metrics are of texts, not of numbers of a row
        return of_family
    if isinstance(task.metrics, WithAdded) and task.metrics.added():  # they can be asked for by name
        of_family = replace(of_family, metrics=task.metrics)
    if thresholds:
        decide = partial(class_decisions, thresholds=thresholds) if of_family.exclusive else of_family.decide
        metric_of, plain = metric_named(task.metrics, of_family.metric), task.metrics_at
        of_family = replace(
            of_family, metrics=task.metrics, metric_of=metric_of, metric_per_row=None, decide=decide,
            metrics_of_guess=None if plain is None else WithAdded(plain, task.name, task.output_kind),
        )  # fmt: skip
    if task.primary == of_family.metric or not task.higher_is_better:
        return of_family
    metric_of = metric_named(task.metrics, task.primary)
    return replace(of_family, metric=task.primary, metrics=task.metrics, metric_of=metric_of, metric_per_row=None)


def _answers(given: EvaluationInputs, subject: Subject, places: Sequence[int]) -> list[tuple[str, str]]:
    """True and given answer of some of the rows, in words."""
    if given.task.family.writes:
        written = written_answers(given, places)
        return [(shown_references(given.values[p]), a.text) for p, a in zip(places, written, strict=True)]
    values = given.task.decode(subject.measure.activate(_full(subject)), given.labels)
    return [(shown_text(given.values[p]), shown_text(values[p])) for p in places]


def _full(subject: Subject) -> np.ndarray:
    own = np.arange(len(subject), dtype=np.int64)[:, None].repeat(len(subject.names), axis=1)
    return subject.scores_of(own)


def _places(rows: Sequence[int], numbers: list[int]) -> list[int]:
    place = {number: i for i, number in enumerate(numbers)}
    unknown = [r for r in rows if int(r) not in place]
    if unknown:
        raise ValueError(
            f"row {unknown[0]} is not among the {len(numbers)} rows explained ({min(numbers)} to {max(numbers)}); "
            "rows are numbered from 0 in the table, choose one of this split or type rows='all'"
        )
    return [place[int(r)] for r in rows]


def _said_of_hiding(config: NetworkConfig) -> str:
    """What training did to prepare the model for rows that lack modalities."""
    rates = config.modality_dropout
    rate = max(rates.values(), default=0.0) if isinstance(rates, dict) else float(rates)
    if rate == 0:
        return (
            "in training no modality was ever hidden on purpose, so answers without one may be worse than a model "
            "trained for it would give; plait evaluate judges each modality with a model of its own"
        )
    if isinstance(rates, dict):
        listed = ", ".join(f"{name} from {rate:.0%}" for name, rate in rates.items() if rate > 0)
        return f"in training modalities were hidden from rows ({listed}), so the model has learned to do without these"
    if config.modality_dropout_pattern == "subset":
        return f"in training {rate:.0%} of the rows kept a random part of their modalities only, as practice for this"
    return f"in training each modality was hidden from {rate:.0%} of the rows, so the model has learned to do without"


def _notes(given: EvaluationInputs, absence: str) -> list[str]:
    notes = list(given.notes)
    if given.task.family.writes:
        notes.append(KNOWS_NO_PRIOR)
    elif not given.labels.prior:
        notes.append(
            "this model was saved before the training prior was kept; the mean of its answers stands for the answer to "
            "nothing"
        )
    if absence == "missing" and len(given.model.config.modality_names) > 1:
        notes.append(_said_of_hiding(given.model.config))
    missing = int((~given.prepared.rows.present_NM[given.positions]).any(axis=1).sum())
    if missing:
        rows, lack = counted(len(given.positions), "row"), "lacks" if missing == 1 else "lack"
        notes.append(f"{missing:,} of {rows} {lack} a modality from the start; there it counts 0")
    return notes
