"""One table type for every source: Arrow columns, the folder of relative paths, and row numbers.

:func:`read_table` takes files (CSV, TSV, JSON, JSON lines, Parquet, Arrow, npz), Hugging Face and Parquet
folders, data frames of any library that speaks the Arrow C stream, dictionaries of columns and lists of
dictionaries. A row that cannot be parsed is left out **and listed** in ``bad_rows``; the other rows keep
the number they have in the source, so that no row ever stands in for another. A NaN in a column of numbers
counts as a missing value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plait.data.arrow_media import as_media
from plait.data.arrow_plain import plain_type, without_dictionary
from plait.data.arrow_types import is_date
from plait.data.class_names import name_classes
from plait.data.columns import from_columns, from_records, make_array, make_column
from plait.data.frames import from_frame, splits_of
from plait.data.media_folder import MediaFolder
from plait.data.readers.budget import MAX_CELL_BYTES, Budget, TableTooLargeError
from plait.data.readers.formats import read_path
from plait.data.readers.parsed import BadRow, Parsed, TextReading
from plait.data.readers.parts import join_splits
from plait.data.remote.objects import RemoteObjects
from plait.data.small_arrays import positions
from plait.data.unpacked_size import longest_value, unpacked_bytes
from plait.data.values import ColumnReading
from plait.registry import unknown_name

__all__ = ["BadRow", "Table", "TextReading", "read_table"]

_LARGE = 2**30  # from this size on, 32-bit offsets of text and bytes are in danger (2 GiB a column)


@dataclass(frozen=True)
class Table:
    """Rows and named columns.

    Attributes:
        arrow: The columns.
        root: The folder against which relative paths in cells count; None for tables made in memory.
        source: Where the table came from, for messages and reports.
        bad_rows: Rows of the source that could not be parsed and are not in ``arrow``.
        row_numbers: For each row its number in the source; None means 0, 1, 2, ...
        readings: By column, how the text of a delimited file was read; empty for sources that hold types of their own.
        allow_outside: Whether cells may name files outside ``root`` (for tables in memory: the current folder).
        remote: What brings the objects whose addresses cells hold; None: addresses are refused.
        appended: Rows of further sources at the end, in order: the first of their numbers, the source, and their
            numbers in it.

    Example:
        >>> table = read_table({"text": ["a", "b"], "label": [0, 1]})
        >>> len(table), table.column("label")
        (2, [0, 1])
    """

    arrow: pa.Table
    root: Path | None
    source: str
    bad_rows: tuple[BadRow, ...] = ()
    row_numbers: tuple[int, ...] | None = None
    readings: Mapping[str, ColumnReading] = field(default_factory=dict)
    allow_outside: bool = False
    remote: RemoteObjects | None = field(default=None, compare=False, repr=False)
    appended: tuple[tuple[int, str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        if self.row_numbers is not None and len(self.row_numbers) != self.arrow.num_rows:
            given, rows = len(self.row_numbers), self.arrow.num_rows
            raise ValueError(f"row_numbers has {given} entries for {rows} rows; expected one a row")

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.arrow.column_names)

    def column(self, name: str) -> list[Any]:
        """One column as Python values, None where a value is missing.

        Raises:
            ValueError: No such column (the message names the nearest), or values that Python cannot hold.
        """
        if name not in self.arrow.column_names:
            raise ValueError(f"{self.source}: {unknown_name('column', name, self.column_names)}")
        try:
            values: list[Any] = self.arrow.column(name).to_pylist()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise ValueError(f"{self.source}: column {name!r} cannot be read ({error})") from error
        return values

    @property
    def media_folder(self) -> MediaFolder:
        """Where the files lie that its cells may name."""
        return MediaFolder(self.root, self.allow_outside, self.remote)

    def opened_up(self, allow_outside: bool = False, allow_remote: bool = False) -> Table:
        """The table whose cells may name files elsewhere, or objects by their address; what is allowed stays so."""
        if not (allow_outside or allow_remote):
            return self
        remote = RemoteObjects() if allow_remote and self.remote is None else self.remote
        return replace(self, allow_outside=allow_outside or self.allow_outside, remote=remote)

    def reading(self, name: str) -> ColumnReading | None:
        """What the cells of a column are: as the text of a file was read, else by the type of the column."""
        if name in self.readings:
            return self.readings[name]
        kind = self.arrow.schema.field(name).type
        held = {
            "text": pa.types.is_string(kind) or pa.types.is_large_string(kind),
            "whole": pa.types.is_integer(kind),
            "number": pa.types.is_floating(kind) or pa.types.is_decimal(kind),
            "truth": pa.types.is_boolean(kind),
            "date": is_date(kind),
        }
        zone = (kind.tz or "") if pa.types.is_timestamp(kind) else ""
        return next((ColumnReading(what, zone=zone) for what, is_it in held.items() if is_it), None)

    def row_number(self, index: int) -> int:
        """The number that a row has in the source.

        Raises:
            IndexError: No such row.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of a table with {len(self)} rows")
        return index if self.row_numbers is None else self.row_numbers[index]

    def row_name(self, index: int) -> str:
        """A row in words, by its number in the source that it came from: "row 7", "row 2 of more.csv"."""
        number = self.row_number(index)
        for first, source, own in reversed(self.appended):
            if number >= first:
                return f"row {own[number - first]} of {source}"
        return f"row {number}"

    def take(self, indices: Sequence[int] | np.ndarray[Any, Any]) -> Table:
        """The rows at some positions, in that order; they keep their row numbers.

        Raises:
            IndexError: A position outside the table (negative ones too).
        """
        chosen = np.asarray(indices)
        if chosen.dtype == np.bool_:
            raise TypeError("take() expects positions, not a mask; pass numpy.flatnonzero(mask)")
        chosen = chosen.astype(np.int64).reshape(-1)
        if len(chosen) and not (0 <= int(chosen.min()) and int(chosen.max()) < len(self)):
            raise IndexError(f"positions {chosen.min()} to {chosen.max()} of a table with {len(self)} rows")
        numbers = tuple(self.row_number(int(i)) for i in chosen)
        return replace(self, arrow=self.arrow.take(positions(chosen)), row_numbers=numbers)

    def with_column(self, name: str, values: Iterable[Any]) -> Table:
        """The table with one column more, or with that column replaced.

        Raises:
            ValueError: Another number of values than rows, or values of mixed types.
        """
        made = make_column(name, list(values))
        if len(made) != len(self):
            raise ValueError(f"column {name!r} has {len(made)} values for {len(self)} rows; expected one a row")
        if name in self.arrow.column_names:
            place = self.arrow.column_names.index(name)
            return replace(self, arrow=self.arrow.set_column(place, name, made))
        return replace(self, arrow=self.arrow.append_column(name, made))


def read_table(
    source: object,
    *,
    format: str | None = None,
    encoding: str | None = None,
    columns: Sequence[str] = (),
    text: TextReading | None = None,
    allow_outside: bool = False,
    allow_remote: bool = False,
) -> Table:
    """Read a table from a file, a folder, a data frame or Python values.

    Args:
        source: A path (csv, tsv, json, jsonl, ndjson, parquet, arrow, feather, ipc, npz; text ones may end in
            .gz), a folder that ``save_to_disk`` wrote or one of Parquet files, a pandas, polars, pyarrow or
            other Arrow frame, a dictionary of columns, a list of dictionaries, or a Table.
        format: One of those suffixes, for a file whose name does not say it.
        encoding: The encoding of a text file; None: UTF-8, or UTF-16 where the file says so.
        columns: Names of the columns, for a CSV or TSV file without a header line.
        text: How a delimited file is cut and read: its delimiter, its decimal mark, and how the training table was.
        allow_outside: Whether cells may name files outside the table's folder; of tables in memory, outside the
            current folder.
        allow_remote: Whether cells that are addresses of objects are fetched.

    Raises:
        ValueError: Nothing to read, no row, or a source that is broken as a whole.
        FileNotFoundError: No such file.
        TypeError: A source of another type.
    """
    if isinstance(source, Table):
        return source.opened_up(allow_outside, allow_remote)
    if isinstance(source, str | Path):
        if isinstance(source, str) and not source.strip():
            raise ValueError("the table path is empty; expected a file such as data.csv")
        path = Path(source)
        parsed = read_path(path, format=format, encoding=encoding, columns=columns, text=text or TextReading())
        root = (path if path.is_dir() else path.parent).absolute()
        return finished(parsed, root, str(source), allow_outside).opened_up(allow_remote=allow_remote)
    if format is not None or encoding is not None or columns:
        raise ValueError(f"format=, encoding= and columns= are for files; the source is a {type(source).__name__}")
    table = finished(Parsed(_from_memory(source)), None, f"a {type(source).__name__}", allow_outside)
    return table.opened_up(allow_remote=allow_remote)


def _from_memory(source: object) -> pa.Table:
    try:
        if isinstance(source, Mapping):
            splits = splits_of(source)
            if splits is not None:
                what = f"the {type(source).__name__}"
                parts = [(name, _plain_table(name_classes(_from_memory(part)), what)) for name, part in splits]
                return join_splits(parts, what)
            return from_columns(source)
        made = from_frame(source)
        if made is not None:
            return made
        if isinstance(source, np.ndarray) and source.dtype.names:
            return from_columns({name: source[name] for name in source.dtype.names})
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(f"the {type(source).__name__} cannot become a table: {error}") from error
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return from_records(list(source), "the list")
    raise TypeError(
        f"cannot read a table from {type(source).__name__}{_instead_of(source)}; expected a path, a data frame, "
        "a dictionary of columns or a list of dictionaries"
    )


def _instead_of(source: object) -> str:
    """What to write in place of a source of another type, after a semicolon."""
    if hasattr(source, "collect"):
        return "; call .collect() first"
    if isinstance(source, Iterator):
        return ", which can be read once only; write list(rows)"
    if isinstance(source, np.ndarray):
        return '; write {"x": array, "label": labels}'
    return ""


def finished(parsed: Parsed, root: Path | None, source: str, allow_outside: bool) -> Table:
    """What a reader made of a source as a table of plain types.

    Raises:
        ValueError: It has no row or no column, a name twice, or values that cannot be made plain.
    """
    arrow = name_classes(parsed.arrow)
    repeated = sorted({n for n in arrow.column_names if arrow.column_names.count(n) > 1})
    if repeated:
        raise ValueError(f"{source}: the columns {repeated} appear more than once; give each its own name")
    if arrow.num_columns == 0:
        raise ValueError(f"{source}: the table has no columns")
    if arrow.num_rows == 0:
        first = f"; row {parsed.bad_rows[0].row}: {parsed.bad_rows[0].reason}" if parsed.bad_rows else ""
        raise ValueError(f"{source}: the table has no rows that can be read{first}")
    plain = _plain_table(arrow, source)
    return Table(plain, root, source, parsed.bad_rows, parsed.row_numbers, parsed.readings, allow_outside)


def _plain_table(arrow: pa.Table, source: str) -> pa.Table:
    large = arrow.nbytes > _LARGE
    columns = {}
    for name in arrow.column_names:
        column = arrow.column(name)
        if plain_type(column.type) != column.type:
            budget = Budget.of(f"{source}: column {name!r}", column.nbytes)
            for chunk in column.chunks:
                budget.take(unpacked_bytes(chunk))
        try:
            columns[name] = as_media(_plain(column, large))
        except (ValueError, pa.ArrowException) as error:
            raise ValueError(f"{source}: column {name!r}: {error}") from error
        _refuse_giant_cell(columns[name], f"{source}: column {name!r}")
    return pa.table(columns)


def _refuse_giant_cell(column: pa.ChunkedArray, where: str) -> None:
    start = 0
    for chunk in column.chunks:
        place, size = longest_value(chunk)
        if size > MAX_CELL_BYTES:
            raise TableTooLargeError(
                f"{where}: row {start + place} holds a value of {size:,} bytes; the limit of a cell is "
                f"{MAX_CELL_BYTES:,}"
            )
        start += len(chunk)


def _plain(column: pa.ChunkedArray, large: bool) -> pa.ChunkedArray:
    """Views and dictionaries as plain values, NaN as missing, wide offsets where 2 GiB could be outgrown."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(pa.chunked_array([c.storage for c in column.chunks], type=kind.storage_type), large)
    if pa.types.is_dictionary(kind):
        return _plain(without_dictionary(column), large)
    if pa.types.is_run_end_encoded(kind):
        return _plain(pa.chunked_array([pc.run_end_decode(c) for c in column.chunks], type=kind.value_type), large)
    if pa.types.is_float16(kind):
        return _plain(column.cast(pa.float32()), large)
    if pa.types.is_duration(kind):  # in seconds, a number
        return pc.divide(column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    if pa.types.is_union(kind):
        return pa.chunked_array([make_array(column.to_pylist())])
    if pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.large_binary() if large else pa.binary())
    inner = plain_type(kind)
    if inner != kind and pa.types.is_nested(kind):
        return pa.chunked_array([pa.array(c.to_pylist(), inner) for c in column.chunks], type=inner)
    if pa.types.is_string_view(kind) or (large and pa.types.is_string(kind)):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(kind) or (large and pa.types.is_binary(kind)):
        return column.cast(pa.large_binary())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":  # Python holds microseconds
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return column.cast(pa.time64("us"), safe=False)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    return column
