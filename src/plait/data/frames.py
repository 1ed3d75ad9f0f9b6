"""Tables of other libraries as Arrow: pandas, polars, Hugging Face datasets, and dictionaries of splits of these.

A column that such a library holds as Python objects (pictures, paths, mixed values) goes through
:mod:`plait.data.columns` as values in a list do. What Arrow knows no type for is read by its meaning: intervals as
their text, periods as their first day, sparse columns as full ones.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from plait.data.columns import make_column


def library_of(value: object) -> str:
    """The package that a value's type is from.

    Example:
        >>> library_of(pa.table({"a": [1]}))
        'pyarrow'
    """
    return type(value).__module__.partition(".")[0]


def is_table(value: object) -> bool:
    """Whether a value is a whole table of some library (a dictionary of these is one of splits)."""
    if library_of(value) == "datasets":
        return hasattr(value, "column_names")
    return isinstance(value, pa.Table | pa.RecordBatch) or _is_frame(value, "pandas") or _is_frame(value, "polars")


def from_frame(source: Any) -> pa.Table | None:
    """A data frame or data set as an Arrow table; None where it is of no library known here.

    Raises:
        ValueError: A column that a table cannot hold, named with its row where that is known.
        TypeError: A series, or a data set that is a stream; says what to write.
    """
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    library = library_of(source)
    if library in ("pandas", "polars") and type(source).__name__ == "Series":
        raise TypeError("cannot read a table from Series, which is one column; write series.to_frame()")
    if _is_frame(source, "pandas"):
        return _from_pandas(source)
    if _is_frame(source, "polars"):
        return _from_polars(source)
    if library == "datasets" and hasattr(source, "with_format"):
        return _from_dataset(source)
    if hasattr(source, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(source).read_all()
    return None


def _is_frame(value: object, library: str) -> bool:
    """Whether a value is a data frame of a library, or of a class made from it (GeoDataFrame)."""
    frame = getattr(sys.modules.get(library), "DataFrame", None)
    return frame is not None and isinstance(value, frame)


def _from_dataset(source: Any) -> pa.Table:
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        raise TypeError(
            f"cannot read a table from {type(source).__name__}, a stream without an end that is known; write "
            "datasets.Dataset.from_list(list(ds.take(10_000)), features=ds.features)"
        )
    table = source.with_format("arrow")[:]
    return table.replace_schema_metadata(source.features.arrow_schema.metadata)


def _from_polars(source: Any) -> pa.Table:
    objects = [name for name, kind in source.schema.items() if str(kind) == "Object"]
    if not objects:
        return pa.RecordBatchReader.from_stream(source).read_all()
    rest = pa.RecordBatchReader.from_stream(source.drop(objects)).read_all() if len(objects) < source.width else None
    return pa.table(
        {
            name: make_column(name, source[name].to_list()) if rest is None or name in objects else rest.column(name)
            for name in source.columns
        }
    )


def _from_pandas(frame: Any) -> pa.Table:
    if frame.columns.nlevels > 1:
        raise ValueError(
            f"the columns have {frame.columns.nlevels} levels of names ({frame.columns[0]!r}); expected one: write "
            "frame.columns = ['_'.join(map(str, names)) for names in frame.columns]"
        )
    names = [str(name) for name in frame.columns]
    columns = {name: _pandas_column(name, frame.iloc[:, place]) for place, name in enumerate(names)}
    if len(columns) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the columns {repeated} appear more than once; give each its own name")
    if any(name is not None for name in frame.index.names):
        for level, given in enumerate(frame.index.names):
            name = str(given) if given is not None else f"__index_level_{level}__"
            if name in columns:
                raise ValueError(f"{name!r} names a column and the index; write frame.reset_index(drop=True)")
            columns[name] = _pandas_column(name, frame.index.get_level_values(level).to_series())
    return pa.table(columns)


def _pandas_column(name: str, series: Any) -> pa.Array | pa.ChunkedArray:
    kind = type(series.dtype).__name__
    if kind == "SparseDtype":
        return _pandas_column(name, series.sparse.to_dense())
    if kind == "PeriodDtype":
        series = series.dt.to_timestamp()
    elif kind == "IntervalDtype":
        return _texts(series)
    elif kind == "CategoricalDtype" and type(series.cat.categories.dtype).__name__ in ("IntervalDtype", "PeriodDtype"):
        return _texts(series)
    elif series.dtype == object or (kind == "CategoricalDtype" and series.cat.categories.dtype == object):
        return make_column(name, series.tolist())
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        parts = "; write its parts (.real, .imag) as two columns" if series.dtype.kind == "c" else f" ({error})"
        raise ValueError(f"column {name!r}: holds {series.dtype}, which no table holds{parts}") from error


def _texts(series: Any) -> pa.Array:
    return pa.array([None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)])


def splits_of(source: Mapping[Any, Any]) -> list[tuple[str, Any]] | None:
    """Name and table of each split of a dictionary of tables; None for a dictionary of columns.

    Raises:
        TypeError: Tables beside other values.
    """
    are_tables = [is_table(value) for value in source.values()]
    if not any(are_tables):
        return None
    if not all(are_tables):
        given = ", ".join(f"{name!r}: {type(value).__name__}" for name, value in source.items())
        raise TypeError(
            f"cannot read a table from tables beside other values ({given}); give one table, or splits only"
        )
    return [(str(name), value) for name, value in source.items()]
