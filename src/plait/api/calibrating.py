"""A finished model calibrated on labelled rows that it has not seen. Behind ``plait.calibrate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from plait.api.evaluation import read_labelled
from plait.api.folder_checks import check_output_free
from plait.api.reading import absent_columns, prepare_rows
from plait.api.watching import WatchedBy, watched
from plait.data.progress import Progress
from plait.data.split import CALIBRATION
from plait.data.table_like import TableLike
from plait.evaluation.inputs import evaluation_inputs
from plait.evaluation.trust import CALIBRATED_KINDS, fit_calibration
from plait.files import check_writable, given_path
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.settings import Assignments
from plait.tasks import Calibration, LabelState
from plait.tasks.calibrators import Temperature
from plait.training.calibration_rows import choose_calibration_rows
from plait.training.fitted import FittedParts
from plait.training.known_split import table_fingerprint
from plait.training.seen_rows import SeenInputs


@watched
def calibrate(
    model: str | Path, table: TableLike, *, output: str | Path | None = None, rows: str | None = None,
    on_bad_row: str = "error", format: str | None = None, encoding: str | None = None, allow_outside: bool = False,
    allow_remote: bool = False,
    decimal: str | None = None, set: Assignments = (), overwrite: bool = False, progress: WatchedBy = None,
) -> dict[str, Any]:  # fmt: skip
    """Calibrate a model folder on labelled rows that the model has not seen.

    Args:
        model: The model folder.
        table: The rows.
        output: Folder for the calibrated model; None: ``model`` itself, whose model is replaced.
        rows: As ``on_bad_row`` to ``set`` for :meth:`plait.Plait.calibrate`.
        overwrite: Replace a model in ``output``.
        progress: Called with (done, total, what).

    Returns:
        What :meth:`plait.Plait.calibrate` returns, and ``output``.

    Raises:
        ValueError: As :meth:`plait.Plait.calibrate`, or ``output`` is taken.
    """
    from plait.api.predictor import Plait  # which imports this file

    check_output_free(output, resume=False, overwrite=overwrite)
    fitted = Plait.load(model)
    if output is None:
        check_writable(given_path(model, "model"))
    found = fitted.calibrate(
        table, rows=rows, on_bad_row=on_bad_row, format=format, encoding=encoding, allow_outside=allow_outside,
        allow_remote=allow_remote,
        decimal=decimal, set=set, progress=progress,
    )  # fmt: skip
    place = Path(model if output is None else output)
    fitted.save(place, overwrite=overwrite or output is None)
    return {**found, "output": str(place)}


def calibrate_fitted(
    fitted: FittedParts, table: TableLike, *, rows: str | None, on_bad_row: str, format: str | None,
    encoding: str | None,
    allow_outside: bool, allow_remote: bool, set: Sequence[str], progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    """Calibrate a model in memory; see ``Plait.calibrate``."""
    check_calibratable(fitted)
    read = read_labelled(
        fitted,
        table,
        format=format,
        encoding=encoding,
        allow_outside=allow_outside,
        allow_remote=allow_remote,
        set=set,
        annotations=None,
    )
    chosen, name, notes = choose_calibration_rows(
        read, rows, schema=fitted.schema, task=fitted.task, seed=fitted.settings.train.seed,
        facts=fitted.report.get("facts", {}), data=fitted.settings.data, seen=fitted.seen,
        modalities=fitted.inputs.modalities,
    )  # fmt: skip
    prepared, keep = prepare_rows(fitted, chosen, on_bad_row, progress)
    notes = [*notes, *absent_columns(fitted, chosen), *prepared.rows.doubts]
    facts = {"source": chosen.source, "split": name, "fingerprint": table_fingerprint(chosen)}
    before = fitted.labels, fitted.calibration
    attach(fitted, None)
    try:
        told = learn_calibration(fitted, prepared, keep, facts, progress)
    except BaseException:  # an interrupted one too: the calibration that was there stands
        fitted.labels, fitted.calibration = before
        raise
    return {**calibration_facts(fitted), "notes": [*notes, *told, *_left_out_notes(prepared)]}


def _left_out_notes(prepared: Prepared) -> list[str]:
    """How many cells and rows could not be used, by what became of them, the first with its row and reason."""
    notes = []
    for kept, outcome in ((True, "count as missing"), (False, "are left out with their rows")):
        bad = [b for b in prepared.rows.bad if prepared.rows.is_kept(b) is kept]
        if bad:
            first = f"row {prepared.rows.table.row_number(bad[0].row)}, column {bad[0].column!r}: {bad[0].reason}"
            notes.append(f"{counted(len(bad), 'cell')} cannot be used and {outcome}; {first}")
    unparsed = len(prepared.rows.table.bad_rows)
    return [*notes, *([f"{counted(unparsed, 'row')} cannot be parsed and count nowhere"] if unparsed else [])]


def learn_calibration(
    fitted: FittedParts, prepared: Prepared, positions: Any, facts: dict[str, Any], progress: Progress | None
) -> list[str]:
    """Give a model the calibration that these rows teach; returns what must be told of them."""
    given = evaluation_inputs(fitted, prepared, positions, CALIBRATION)
    by_time = fitted.settings.data.split_by_time is not None
    hashes = SeenInputs.of(prepared.rows, given.positions).hashes.tolist()
    facts = {**facts, "by_time": by_time, "row_hashes": hashes}
    attach(fitted, fit_calibration(given, seed=fitted.settings.train.seed, facts=facts, progress=progress))
    count = int(given.unknown_N.sum())
    if count == 0:
        return []
    return [
        f"{count:,} of {counted(len(given.positions), 'calibration row')} {'is' if count == 1 else 'are'} of classes "
        "or labels that training did not have: no set holds them, which widens all sets"
    ]


def calibration_facts(fitted: FittedParts) -> dict[str, Any]:
    """What is told of a model's calibration."""
    found = fitted.calibration
    assert found is not None
    kept = ("rows", "groups", "tuning_rows", "scoring_rows", "source", "split")
    return {
        **{name: found.facts.get(name) for name in kept},
        "calibrator": None if found.calibrator is None else found.calibrator.to_json(),
        "losses": found.facts.get("losses", {}), "why": found.facts.get("why", ""), "patterns": found.pattern_facts(),
    }  # fmt: skip


def attach(fitted: FittedParts, calibration: Calibration | None) -> None:
    """Give a model a calibration in place of the one it has; tuned thresholds move so that decisions stay."""
    old = fitted.calibration
    labels = fitted.labels if old is None or not old.thresholds else replace(fitted.labels, thresholds=old.thresholds)
    if calibration is not None and labels.thresholds:
        calibration = replace(calibration, thresholds=labels.thresholds)
        labels = _moved(labels, calibration, fitted.task.output_kind)
    fitted.labels, fitted.calibration = labels, calibration


def _moved(labels: LabelState, calibration: Calibration, output_kind: str) -> LabelState:
    found = calibration.calibrator
    if not isinstance(found, Temperature):
        return labels
    if output_kind == "classes" and len(labels.thresholds) > 1:
        return replace(labels, thresholds=found.divisors(labels.thresholds))
    return replace(labels, thresholds=tuple(map(found.threshold, labels.thresholds)))


def check_calibratable(fitted: FittedParts) -> None:
    """Refuse models whose outputs calibration rows teach nothing about.

    Raises:
        ValueError: The model writes text or gives vectors.
    """
    if fitted.task.output_kind not in CALIBRATED_KINDS:
        raise ValueError(
            f"this model {fitted.task.family.does}: there are no probabilities of classes and no numbers to calibrate"
        )
