"""Two tables compared as one call: ``plait.drift`` opens both as ``plait.fit`` does and asks whether B looks like A."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.api.watching import WatchedBy, watched
from plait.data.table_like import TableLike
from plait.registry import counted
from plait.settings import Assignments, assignments_of

if TYPE_CHECKING:
    from plait.api.predictor import Plait
    from plait.data.rows import Rows
    from plait.data.table import Table

MOST_ROWS = 2000  # of each table; more are sampled, since every row may have to be encoded


@watched
def drift(
    a: TableLike, b: TableLike, *, model: Plait | str | Path | None = None, target: str | None = None,
    ignore: Sequence[str] = (),
    format: str | None = None, encoding: str | None = None, allow_outside: bool = False,
    allow_remote: bool = False, set: Assignments = (),
    seed: int = 0, progress: WatchedBy = None,
) -> dict[str, Any]:  # fmt: skip
    """Compare two tables: by modality on the features of frozen encoders, by column, and which rows of B are foreign.

    Args:
        a: The table that is known, such as the training table; anything ``plait.fit`` takes.
        b: The table that may differ, with the same columns.
        model: A fitted model or its folder, whose encoders and columns are used; None: the encoders that a fit of A
            would take, whose features are read from the store where such a fit was made.
        target: The target column, where there is no model; it is compared as a column.
        ignore: Columns to leave out, where there is no model.
        format: Format of both sources where their names do not tell it.
        encoding: Encoding of text files that are not UTF-8.
        allow_outside: Let cells name files outside the tables' folders.
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        set: Other settings without a model, such as "encoders.image=...".
        seed: Of samples, halves and shuffles.
        progress: Called with (done, total, what).

    Returns:
        ``alarm``, ``sentence``, ``rows``, ``modalities``, ``columns``, ``tests``, ``level``, ``terms`` (what the names
        of modalities mean that are of no column) and ``notes``; see ``evaluation.drift``. With one source for both
        tables there is an alarm in one case of a hundred.

    Raises:
        ValueError: A table cannot be read, B has none of A's columns, not one cell of a column can be read in either,
            or ``target``, ``ignore`` or ``set`` is given with a model, which has its own.

    Example:
        >>> import plait, random
        >>> draw = random.Random(0)
        >>> a = {"size": [draw.gauss(0, 1) for _ in range(80)]}
        >>> plait.drift(a, {"size": [x + 3 for x in a["size"]]})["alarm"]
        True
    """
    from plait.api.describe import explained_terms
    from plait.evaluation.drift import ComparedTable, drift_report
    from plait.inputs.prepare import fit_inputs, prepare

    if model is not None and (target is not None or ignore or set):
        raise ValueError("target=, ignore= and set= do not go with model=, which says which columns are read, and how")
    notes: list[str] = []
    how = (format, encoding, allow_outside, allow_remote)
    opened, inputs, schema, network = _opened(a, b, model, target, ignore, how, set)
    tables = [_sampled(table, name, seed, notes) for table, name in zip(opened, "AB", strict=True)]
    prepared = [prepare(table, inputs, progress=progress) for table in tables]
    if model is None:
        import numpy as np

        fit_inputs(inputs, prepared[0], np.arange(len(tables[0])), schema)
        prepared[1] = prepare(tables[1], inputs)
    lost = [_lost(one.rows) for one in prepared]
    if both := sorted(lost[0].keys() & lost[1].keys()):
        raise ValueError(
            f"not one cell of column {both[0]!r} can be read in either table; {lost[0][both[0]]}. Mend them, or "
            f"compare the other columns alone (ignore={both[0]!r})"
        )
    for one, name in zip(prepared, "AB", strict=True):
        notes += _unreadable(one.rows, name)
    samples = [ComparedTable.of(one, schema) for one in prepared]
    found = drift_report(samples[0], samples[1], inputs, schema, model=network, seed=seed)
    sources = {"a": opened[0].source, "b": opened[1].source}
    return {**found, **sources, "terms": explained_terms(inputs.modalities), "notes": [*notes, *found["notes"]]}


def _opened(
    a: TableLike, b: TableLike, model: Any, target: str | None, ignore: Sequence[str],
    how: tuple[str | None, str | None, bool, bool],
    assignments: Sequence[str],
) -> tuple[list[Table], Any, Any, Any]:  # fmt: skip
    """Both tables, what reads them, the columns, and the network of the model if there is one."""
    from plait.api.fit import load
    from plait.api.reading import open_table
    from plait.api.table_inputs import table_inputs
    from plait.data.schema import guess_schema
    from plait.data.sources import open_source
    from plait.settings import RunSettings, merge_values, set_values

    if model is not None:
        fitted = load(model) if isinstance(model, str | Path) else model
        if not hasattr(fitted, "inputs"):
            raise TypeError(f"model is {model!r:.80}; expected a fitted model or its folder")
        tables = [open_table(fitted, source, *how) for source in (a, b)]
        return tables, fitted.inputs, fitted.schema, fitted.model
    given = {"target": target, "ignore": tuple(ignore), "format": how[0], "encoding": how[1]}
    given |= {"allow_outside": how[2], "allow_remote": how[3]}
    base = merge_values(RunSettings(), {f"data.{name}": value for name, value in given.items()})
    settings = set_values(base, assignments_of(assignments))
    tables = [open_source(source, settings.data).table for source in (a, b)]
    schema = guess_schema(tables[0], target=target, ignore=tuple(ignore))
    absent = [c for c in schema.inputs if c not in tables[1].column_names]
    if absent and len(absent) == len(schema.inputs):
        raise ValueError(
            f"{tables[1].source} has none of the columns of {tables[0].source} ({', '.join(absent)}); it has "
            f"{', '.join(tables[1].column_names)}"
        )
    return tables, table_inputs(tables[0], schema, settings), schema, None


def _unreadable(rows: Rows, name: str) -> list[str]:
    """A note for each column with cells that cannot be read."""
    return [
        f"{name}: {counted(count, 'cell')} of column {column!r} cannot be read (missing here); {_why(rows, column)}"
        for column, count in _counts(rows).items()
    ]


def _lost(rows: Rows) -> dict[str, str]:
    """Columns of which not one cell can be read, with the reason of the first."""
    return {
        column: _why(rows, column)
        for column, count in _counts(rows).items()
        if count == sum(cell is not None for cell in rows.table.column(column))
    }


def _counts(rows: Rows) -> Counter[str]:
    return Counter(bad.column for bad in rows.bad if bad.column and bad.column in rows.table.column_names)


def _why(rows: Rows, column: str) -> str:
    first = next(bad for bad in rows.bad if bad.column == column)
    return f"row {rows.table.row_number(first.row)}: {first.reason}"


def _sampled(table: Table, name: str, seed: int, notes: list[str]) -> Table:
    import numpy as np

    if len(table) <= MOST_ROWS:
        return table
    notes.append(f"{name}: {MOST_ROWS:,} of {len(table):,} rows, sampled with seed {seed}")
    chosen: Callable[..., Any] = np.random.default_rng(seed).choice
    return table.take(np.sort(chosen(len(table), MOST_ROWS, replace=False)))
