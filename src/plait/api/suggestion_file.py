"""Rows to label written to a file that a person fills in and ``fit`` takes back: .csv, .parquet or .jsonl."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.api.formulas import escape_formulas
from plait.api.prediction_file import WRITERS
from plait.data.modality import Modality
from plait.files import whole_file

FROM_FILES = ("image", "audio", "image_set", "vector")  # kinds of columns whose text cells may name files


def check_suggestion_file(output: Path, pool: Any, modalities: Sequence[Modality], *, overwrite: bool = False) -> None:
    """Learn before the work that the rows cannot be written, or could not be read back from there.

    Args:
        output: Where they shall go.
        pool: The pool; a path, or rows in memory.
        modalities: Of the model.
        overwrite: Whether a file may be replaced.

    Raises:
        ValueError: Another ending, a file that exists, or a folder from which the pool's cells name no files.
    """
    if output.suffix.lower() not in WRITERS:
        raise ValueError(f"rows to label are written as {', '.join(WRITERS)}, got {str(output)!r}")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; type overwrite=True to replace it")
    if not isinstance(pool, str | Path):
        return
    root = Path(pool) if Path(pool).is_dir() else Path(pool).parent
    reads = [m.name for m in modalities if m.kind in FROM_FILES]
    if reads and root.resolve() != output.parent.resolve():
        raise ValueError(
            f"cells of {', '.join(map(repr, reads))} name files beside {pool}, and would name none from "
            f"{output.parent}; write the rows there too: output={str(root / output.name)!r}"
        )


def write_rows_to_label(table: pa.Table, output: Path, *, escape: bool = False, bom: bool = False) -> int:
    """Write the rows; returns how many texts got an apostrophe.

    Args:
        table: What ``Plait.suggest`` returned.
        output: A path that ends in .csv, .parquet or .jsonl.
        escape: In CSV, write an apostrophe before text that a spreadsheet would run; ``fit`` reads it as part of the
            text.
        bom: Begin a CSV with a byte order mark, for Excel.

    Raises:
        ValueError: A column that this format does not hold; the message names those that do.
    """
    escaped = 0
    if output.suffix.lower() == ".csv":
        table = _for_csv(table)
        if escape:
            table, escaped = escape_formulas(table, with_names=False)
    stream = io.BytesIO(b"\xef\xbb\xbf" if bom else b"")
    stream.seek(0, io.SEEK_END)
    rows = WRITERS[output.suffix.lower()](stream, table.schema)
    rows.write(table)
    rows.close()
    with whole_file(output) as part:
        part.write_bytes(stream.getvalue())
    return escaped


def _for_csv(table: pa.Table) -> pa.Table:
    """A table of plain cells: lists of texts with ; between them."""
    for place, name in enumerate(table.column_names):
        kind = table.column(name).type
        if not pa.types.is_nested(kind) and not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
            continue
        if not pa.types.is_list(kind) or not (
            pa.types.is_string(kind.value_type) or pa.types.is_integer(kind.value_type)
        ):
            raise ValueError(f"column {name!r} holds {kind}, which a CSV file does not; name a .parquet file")
        joined = [None if v is None else ";".join(map(str, v)) for v in table.column(name).to_pylist()]
        table = table.set_column(place, name, pa.array(joined, pa.string()))
    return table
