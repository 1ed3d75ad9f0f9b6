"""Tables of predictions written to a file piece by piece: .csv, .parquet or .jsonl, or CSV to an open stream.

A file is written beside its place and takes it when the last row is there. Text in a CSV file that a spreadsheet would
run as a formula gets an apostrophe before it (:mod:`plait.api.formulas`); the other formats keep every text as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from plait.api.formulas import escape_formulas
from plait.files import given_path, whole_file
from plait.registry import counted

SHOWN_PROBLEMS = 5
ROWS_A_GROUP = 65_536


class PredictionFile:
    """Where predictions go, and what was learned of them on the way.

    Args:
        output: A path that ends in .csv, .parquet or .jsonl, or a binary stream, which gets CSV.
        escape: Write an apostrophe before text of a CSV file that a spreadsheet would run.
        bom: Begin a CSV file with a byte order mark, by which Excel knows UTF-8.
        overwrite: Replace the file.
        wording: Turns each problem into the words of whoever reads it; None: as the library says it.

    Attributes:
        rows: Rows written.
        problems: Rows among them with a problem.
        first_problems: Row number and problem of the first of them.
        abstained: Rows whose answer was withheld because the model was too unsure.
        escaped: Cells and column names that got an apostrophe.

    Raises:
        ValueError: Another ending, ``bom`` for another format than CSV, or the file exists.

    Example:
        >>> import io
        >>> import pyarrow as pa
        >>> stream = io.BytesIO()
        >>> file = PredictionFile(stream)
        >>> file.write([pa.table({"row": [0], "prediction": ["=1+1"], "problem": pa.array([None], pa.string())})])
        >>> file.rows, file.escaped
        (1, 1)
    """

    def __init__(
        self, output: Path | IO[bytes], *, escape: bool = True, bom: bool = False, overwrite: bool = False,
        wording: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        if not hasattr(output, "write"):
            output = given_path(output, "output", example="answers.csv")
        self.output = output
        self.suffix = output.suffix.lower() if isinstance(output, Path) else ".csv"
        self.escape, self.bom, self.wording = escape, bom, wording
        self.rows = self.problems = self.escaped = self.abstained = 0
        self.first_problems: list[tuple[int, str]] = []
        if self.suffix not in WRITERS:
            raise ValueError(f"predictions are written as .csv, .parquet or .jsonl, got {str(output)!r}")
        if bom and self.suffix != ".csv":
            raise ValueError(f"a byte order mark goes with .csv, got {str(output)!r}")
        if isinstance(output, Path) and output.exists() and not overwrite:
            raise ValueError(f"{output} exists; type overwrite=True to replace it")

    def write(self, tables: Iterable[pa.Table]) -> None:
        """Write every table as it comes.

        Raises:
            ValueError: The file cannot be written; what stood in its place still stands.
        """
        try:
            with ExitStack() as stack:
                self._write(tables, stack)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(f"cannot write {self.output}: {reason} (after {counted(self.rows, 'row')})") from error

    def _write(self, tables: Iterable[pa.Table], stack: ExitStack) -> None:
        stream, rows = self.output, None
        for table in map(self._reworded, tables):
            shown = self._as_shown(table)
            if rows is None:
                if isinstance(stream, Path):
                    stream.parent.mkdir(parents=True, exist_ok=True)
                    stream = stack.enter_context(stack.enter_context(whole_file(stream)).open("wb"))
                if self.bom:
                    stream.write(b"\xef\xbb\xbf")
                rows = WRITERS[self.suffix](stream, shown.schema)
            rows.write(shown)
            self._count(table)
        if rows is not None:
            rows.close()

    def _reworded(self, table: pa.Table) -> pa.Table:
        problems = table.column("problem")
        if self.wording is None or problems.null_count == table.num_rows:
            return table
        said = [None if text is None else self.wording(text) for text in problems.to_pylist()]
        place = table.schema.get_field_index("problem")
        return table.set_column(place, table.schema.field(place), pa.array(said, problems.type))

    def _as_shown(self, table: pa.Table) -> pa.Table:
        if self.suffix != ".csv":
            return table
        table = _lists_joined(table)
        if not self.escape:
            return table
        table, escaped = escape_formulas(table, with_names=True)
        self.escaped += escaped
        return table

    def _count(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        problems = table.column("problem")
        self.problems += table.num_rows - problems.null_count
        if "abstained" in table.column_names:
            self.abstained += table.num_rows - table.column("abstained").null_count
        if problems.null_count < table.num_rows and len(self.first_problems) < SHOWN_PROBLEMS:
            told = zip(table.column("row").to_pylist(), problems.to_pylist(), strict=True)
            self.first_problems += [(row, problem) for row, problem in told if problem is not None]
            del self.first_problems[SHOWN_PROBLEMS:]


class CsvRows:
    """Rows as CSV; text always between quotes, an empty field for a missing value."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self.writer = pyarrow.csv.CSVWriter(stream, schema)

    def write(self, table: pa.Table) -> None:
        """Write the next rows."""
        self.writer.write_table(table)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class ParquetRows:
    """Rows as Parquet, collected into groups that are worth reading alone."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self.writer = pyarrow.parquet.ParquetWriter(stream, schema)
        self.waiting: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        """Write the next rows."""
        self.waiting.append(table)
        if sum(len(one) for one in self.waiting) >= ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.concat_tables(self.waiting))
            self.waiting.clear()


class JsonRows:
    """Rows as JSON, one object a line; what JSON lacks, such as dates, as text."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self.stream = stream

    def write(self, table: pa.Table) -> None:
        """Write the next rows."""
        lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table.to_pylist()]
        self.stream.write("".join(lines).encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing is left."""


WRITERS: dict[str, Any] = {".csv": CsvRows, ".parquet": ParquetRows, ".jsonl": JsonRows}


def _lists_joined(table: pa.Table) -> pa.Table:
    """A table for CSV: lists as text with ; between their values."""
    for i, name in enumerate(table.column_names):
        if pa.types.is_list(table.column(name).type):
            joined = [None if v is None else ";".join(map(str, v)) for v in table.column(name).to_pylist()]
            table = table.set_column(i, name, pa.array(joined, pa.string()))
    return table
