"""A fitted model evaluated on rows whose targets are known, and its report. Behind ``Plait.evaluate``, and of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plait.api.decimal_commas import read_with_mark, readings_with
from plait.api.describe import chosen_metric, describe_model
from plait.api.reading import absent_columns, prepare_rows, reading_settings
from plait.api.turned_dates import doubt_turned_dates
from plait.data.progress import Progress
from plait.data.rows import Rows
from plait.data.sources import is_folder, open_source
from plait.data.table import Table
from plait.data.table_like import TableLike
from plait.evaluation import EVALUATORS, EvaluationInputs
from plait.evaluation.cleaned_texts import cleaned_texts
from plait.evaluation.inputs import evaluation_inputs
from plait.evaluation.trust import trust_report
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.report.shown import ShownReport
from plait.training.fitted import FittedParts
from plait.training.known_split import choose_rows, table_fingerprint
from plait.training.seen_rows import SeenInputs


def open_evaluation(
    fitted: FittedParts, table: TableLike, *, rows: str | None = None, on_bad_row: str = "error",
    annotations: str | None = None, format: str | None = None, encoding: str | None = None,
    progress: Progress | None = None, unseen: str = "wrong", allow_outside: bool = False,
    allow_remote: bool = False, set: Sequence[str] = (),
) -> EvaluationInputs:  # fmt: skip
    """Open rows with known targets and prepare them; see ``Plait.evaluate`` for the arguments.

    Raises:
        ValueError: The table cannot be read, or has no target column or no row that can be evaluated.
    """
    settings, task = fitted.settings, fitted.task
    read = read_labelled(
        fitted,
        table,
        format=format,
        encoding=encoding,
        allow_outside=allow_outside,
        allow_remote=allow_remote,
        set=set,
        annotations=annotations,
    )
    chosen, split, notes = choose_rows(
        read, rows, schema=fitted.schema, task=task, seed=settings.train.seed,
        facts=fitted.report.get("facts", {}), data=settings.data, seen=fitted.seen,
        calibrated=fitted.calibration_rows, modalities=fitted.inputs.modalities,
        has_folds=fitted.ensemble is not None and fitted.ensemble.has_folds,
    )  # fmt: skip
    prepared, keep = prepare_rows(fitted, chosen, on_bad_row, progress)
    notes = [*notes, *_calibrated_by_these(fitted, chosen, prepared, keep, notes)]
    notes = [*notes, *seen_before(fitted.seen, prepared.rows, keep, split, notes)]
    notes = [*notes, *absent_columns(fitted, chosen), *prepared.rows.doubts]
    return evaluation_inputs(fitted, prepared, keep, split, notes, unseen=unseen)


def read_labelled(
    fitted: FittedParts, table: TableLike, *, format: str | None, encoding: str | None, allow_outside: bool,
    allow_remote: bool,
    set: Sequence[str], annotations: str | None,
) -> Table:  # fmt: skip
    """A table with known targets, read as in training.

    Raises:
        ValueError: It cannot be read, or has no target column.
    """
    settings, task = fitted.settings, fitted.task
    if format is None and settings.data.format in ("coco", "vqa") and is_folder(table):
        format = settings.data.format
    data = reading_settings(
        fitted, table, format, encoding, allow_outside=allow_outside, allow_remote=allow_remote, set=set,
    )  # fmt: skip
    readings = readings_with(fitted.schema.readings, data.decimal)
    opened = open_source(
        table, data, task=task.name, annotations=annotations, seed=settings.train.seed, readings=readings
    )
    target = fitted.schema.target
    if task.needs_target and target not in opened.table.column_names:
        raise ValueError(
            f"{opened.table.source} has no column {target!r}, which holds the answers this model is judged by; "
            "use predict for rows without answers"
        )
    return doubt_turned_dates(read_with_mark(opened.table, fitted.schema, data.decimal), fitted.schema)


def seen_before(seen: SeenInputs | None, rows: Rows, keep: np.ndarray, split: str, notes: Sequence[str]) -> list[str]:
    """A note where judged rows, known again by their contents, trained the model and nothing has said so yet.

    Args:
        seen: Rows that trained the model or chose its epoch; None: not known.
        rows: The rows.
        keep: Positions of those that are judged.
        split: What they are called.
        notes: What was said of them.
    """
    if seen is None or not seen.tells or split not in ("all", "test") or any("SEEN IN" in note for note in notes):
        return []
    number = int(seen.found_in(rows)[0][keep].sum())
    if number == 0:
        return []
    return [
        f"SEEN IN TRAINING: {number:,} of {counted(len(keep), 'judged row')} show the same as rows that trained the "
        "model or chose its epoch; the numbers are optimistic"
        + ("" if number == len(keep) or not seen.is_whole else "; rows='test' judges only the others")
    ]


def _calibrated_by_these(
    fitted: FittedParts, chosen: Table, prepared: Prepared, keep: np.ndarray, notes: Sequence[str]
) -> list[str]:
    """A note where rows that are judged calibrated the model."""
    facts = {} if fitted.calibration is None else fitted.calibration.facts
    if facts.get("fingerprint") is not None and facts["fingerprint"] == table_fingerprint(chosen):
        return ["these rows calibrated the model: what is said of calibration and coverage on them is optimistic"]
    known = fitted.calibration_rows
    if known is None or not known.tells or any("are calibration rows" in note for note in notes):
        return []
    number = int(known.found_in(prepared.rows)[0][keep].sum())
    if number == 0:
        return []
    return [
        f"{number:,} of {counted(len(keep), 'judged row')} calibrated the model: what is said of calibration and "
        "coverage on them is optimistic"
    ]


def evaluation_report(
    fitted: FittedParts, given: EvaluationInputs, progress: Progress | None = None, *, trust: bool = False,
    open_whole: Callable[[], EvaluationInputs] | None = None,
) -> ShownReport:  # fmt: skip
    """The report of one evaluation, with the facts of the model around it.

    Args:
        fitted: The model.
        given: The judged rows.
        progress: Called with (done, total, what).
        trust: Whether calibration, coverage and abstention are measured.
        open_whole: Opens all labelled rows of the table, where the other parts of the trust report are asked for too.
    """
    evaluate = EVALUATORS.get(fitted.task.output_kind)
    evaluated = evaluate(given, progress=progress, seed=fitted.settings.train.seed)
    evaluation = {**evaluated.evaluation, **left_out(given)}
    if trust:
        evaluation["trust"] = trust_report(given, evaluated.outputs, seed=fitted.settings.train.seed, progress=progress)
    if cleaned := cleaned_texts(given, fitted.inputs):
        evaluation["cleaned"] = cleaned
    if open_whole is not None:
        from plait.evaluation.trust import TrustInputs, parts_report  # its parts import scikit-learn and SciPy

        seed = fitted.settings.train.seed
        evaluation.setdefault("trust", {}).update(parts_report(TrustInputs(fitted, given, open_whole, seed, progress)))
    base = {k: v for k, v in fitted.report.items() if k not in ("evaluation", "verdict")}
    verdict = evaluated.verdict + told_of_chosen(chosen_metric(fitted), evaluation["metrics"])
    content = {**describe_model(fitted), **base, "verdict": verdict, "evaluation": evaluation}
    return ShownReport(content, "evaluation", fitted.settings.judge.lang)


def told_of_chosen(name: str | None, metrics: dict[str, Any]) -> str:
    """A sentence on the metric that the user chose epochs by, with its interval; "" where it is the primary one."""
    entry = metrics.get(name) if name is not None else None
    if not entry or entry["value"] is None:
        return ""
    span = "" if entry["low"] is None else f" (95% interval {entry['low']:.3f} to {entry['high']:.3f})"
    return f" By the metric that chose the epoch, {name}: {entry['value']:.3f}{span}."


def left_out(given: EvaluationInputs) -> dict[str, Any]:
    """Cells and rows that could not be used, and what was counted on the way."""
    rows = given.prepared.rows
    bad = [
        {"row": rows.table.row_number(b.row), "column": b.column, "reason": b.reason,
         "outcome": "counted as missing" if rows.is_kept(b) else "left out"}
        for b in rows.bad
    ]  # fmt: skip
    bad += [{"row": b.row, "column": b.column, "reason": b.reason, "outcome": "left out"} for b in rows.table.bad_rows]
    return {"bad_rows": bad, "counts": dict(rows.notes)}
