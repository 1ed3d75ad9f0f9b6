"""How a fitted model reads a table: opened as in training, its cells encoded, its bad rows handled by policy."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.decimal_commas import read_with_mark, readings_with
from plait.api.turned_dates import doubt_turned_dates
from plait.api.warned_caller import warn_caller
from plait.data.bad_rows import apply_policy
from plait.data.columns import is_row
from plait.data.progress import Progress
from plait.data.sources import open_source
from plait.data.table import Table
from plait.data.values import DECIMAL_MARKS
from plait.inference.forward import predict_logits
from plait.inputs.averaged_views import average_views
from plait.inputs.dataset import RowBatches
from plait.inputs.feature_store import FeatureStore
from plait.inputs.prepare import Prepared, prepare
from plait.registry import unknown_name
from plait.settings import Assignments, DataSettings, RunSettings, assignments_of, set_values
from plait.training.fitted import FittedParts

WIDE = "\u2e80"  # Chinese, Japanese and Korean letters are from here on
SET_LATER = ("data.max_pixels", "data.decimal", "augment.test_views")


def open_table(
    fitted: FittedParts, table: Any, format: str | None = None, encoding: str | None = None,
    allow_outside: bool = False, allow_remote: bool = False, set: Sequence[str] = (),
) -> Table:  # fmt: skip
    """The table, which holds one of the model's columns at least; a dictionary of single values is a table of one row.

    Raises:
        ValueError: It cannot be read, or has none of them.
    """
    data = reading_settings(
        fitted, table, format, encoding, allow_outside=allow_outside, allow_remote=allow_remote, set=set,
    )  # fmt: skip
    table = [table] if is_row(table) else table
    readings = readings_with(fitted.schema.readings, data.decimal)
    opened = open_source(table, data, task=fitted.task.name, readings=readings).table
    opened = doubt_turned_dates(read_with_mark(opened, fitted.schema, data.decimal), fitted.schema)
    check_columns(fitted, opened)
    return opened


def check_columns(fitted: FittedParts, opened: Table) -> None:
    """Make sure that a table has one of the model's columns at least.

    Raises:
        ValueError: It has none of them.
    """
    wanted = [c for m in fitted.inputs.modalities for c in m.columns]
    if not frozenset(wanted) & frozenset(opened.column_names):
        raise ValueError(
            f"{opened.source} has none of the columns this model reads "
            f"({', '.join(f'{name}{_near(name, opened, wanted)}' for name in wanted)}); it has "
            f"{', '.join(opened.column_names)}"
        )


def absent_columns(fitted: FittedParts, table: Table) -> list[str]:
    """A sentence for each column of the model that a table lacks; such a column counts as missing in every row."""
    wanted = [c for m in fitted.inputs.modalities for c in m.columns]
    absent = [name for name in wanted if name not in table.column_names]
    return [
        f"{table.source} has no column {name!r}{_near(name, table, wanted)}; it counts as missing in every row"
        for name in absent
    ]


def _near(name: str, table: Table, wanted: list[str]) -> str:
    """A column of the table that is likely meant by a name, in brackets; "" where none is."""
    spare = {_folded(other): other for other in table.column_names if other not in wanted}
    near = difflib.get_close_matches(_folded(name), spare, n=1, cutoff=0.8)
    near = near or [other for other in spare if _differ_by_one(_folded(name), other)]
    return f" (did you mean {spare[near[0]]!r}?)" if near else ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _differ_by_one(a: str, b: str) -> bool:
    """Whether two names of two to four Chinese characters, Kana or Hangul are alike but for one, as by a slip."""
    if not 2 <= len(a) == len(b) <= 4 or min(a + b) < WIDE:
        return False
    return sum(x != y for x, y in zip(a, b, strict=True)) == 1


def warn_of_absent_columns(fitted: FittedParts, table: Table, source: Any) -> None:
    """Warn of columns that a file or a data frame lacks; of rows and columns that were typed, which may leave some out,
    where one is misspelt.
    """
    is_rows = isinstance(source, list | tuple) and all(isinstance(row, Mapping) for row in source)
    is_typed = is_rows or is_row(source) or isinstance(source, Mapping | Table)
    for note in absent_columns(fitted, table):
        if not is_typed or "did you mean" in note:
            warn_caller(note)


def reading_settings(
    fitted: FittedParts, table: Any, format: str | None, encoding: str | None, *, allow_outside: bool,
    allow_remote: bool, set: Sequence[str] = (),
) -> DataSettings:  # fmt: skip
    """How to read a table; a file without a header line has the columns of the training table.

    Args:
        fitted: The model; a largest picture that is set holds for it from here on.
        table: The source.
        format: Its format.
        encoding: Its encoding.
        allow_outside: Whether cells may name files outside the table's folder.
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        set: Of "data.max_pixels=N", "data.decimal=MARK" and "augment.test_views=K".

    Raises:
        ValueError: Another setting, which a model that is trained cannot take.
    """
    for path in (one.partition("=")[0].strip() for one in set):
        if path not in SET_LATER:
            raise ValueError(
                f"a trained model takes only {', '.join(SET_LATER)} in set=, got {path!r}; the others are those of "
                "its training"
            )
    settings = set_values(RunSettings(), list(set))
    later = settings.data
    if any(one.startswith("augment.test_views") for one in set):
        fitted.inputs.test_views = settings.augment.test_views
    if any(one.startswith("data.max_pixels") for one in set):
        fitted.inputs.accept_pixels(later.max_pixels)
    delimited = isinstance(table, str | Path) and str(table).lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    columns = fitted.settings.data.columns if delimited or format in ("csv", "tsv") else ()
    return DataSettings(
        format=format, encoding=encoding, delimiter=fitted.settings.data.delimiter, columns=columns,
        allow_outside=allow_outside, allow_remote=allow_remote, decimal=later.decimal,
    )  # fmt: skip


def prepare_rows(
    fitted: FittedParts, table: Table, on_bad_row: str, progress: Progress | None
) -> tuple[Prepared, np.ndarray]:
    """All rows encoded, and the positions of those that the policy keeps."""
    prepared = prepare(table, fitted.inputs, progress=progress)
    keep = apply_policy(prepared.rows, on_bad_row)
    answer_by_views(fitted, prepared, keep, progress)
    return prepared, keep


def answer_by_views(
    fitted: FittedParts, prepared: Prepared, keep: np.ndarray, progress: Progress | None,
    store: FeatureStore | None = None,
) -> None:  # fmt: skip
    """Let rows that are answered show the mean over views, where ``augment.test_views`` says so."""
    settings = replace(fitted.settings.augment, test_views=fitted.inputs.test_views)
    average_views(
        fitted.inputs, prepared, keep, settings, seed=fitted.settings.train.seed,
        max_seconds=fitted.settings.encoders.audio_seconds, store=store, progress=progress,
    )  # fmt: skip


def logits_of(fitted: FittedParts, prepared: Prepared, keep: np.ndarray, progress: Progress | None) -> np.ndarray:
    """Logits [K, C] of the rows at the positions ``keep``, calibrated where the model is."""
    batches = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    return predict_logits(fitted.answers, batches, progress=progress)


def uncalibrated_logits_of(
    fitted: FittedParts, prepared: Prepared, keep: np.ndarray, progress: Progress | None
) -> np.ndarray:
    """Logits [K, C] of the rows at the positions ``keep``, as they are before calibration."""
    batches = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    return predict_logits(fitted.uncalibrated, batches, progress=progress)


def with_decimal(decimal: str | None, assignments: Assignments) -> list[str]:
    """Settings of the reading with the decimal mark among them.

    Raises:
        ValueError: It is neither a point nor a comma.
    """
    if decimal is not None and decimal not in DECIMAL_MARKS:
        raise ValueError(unknown_name("decimal", decimal, list(DECIMAL_MARKS), where="decimal="))
    return [*assignments_of(assignments), *([] if decimal is None else [f"data.decimal={decimal}"])]
