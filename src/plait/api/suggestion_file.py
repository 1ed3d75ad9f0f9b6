"""Rows to label written to a file that a person fills in and ``fit`` takes back: .csv, .parquet or .jsonl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.api.formulas import escape_formulas
from plait.api.prediction_file import WRITERS
from plait.api.suggesting import suggestion_facts
from plait.data.modality import Modality
from plait.files import given_path, whole_file

FROM_FILES = ("image", "audio", "image_set", "vector")  # kinds of columns whose text cells may name files


class SuggestionFile:
    """Where rows to label go.

    Args:
        output: A path that ends in .csv, .parquet or .jsonl.
        pool: The pool; a path, or rows in memory.
        modalities: Of the model.
        escape: In CSV, write an apostrophe before text that a spreadsheet would run; ``fit`` reads it as part of the
            text.
        bom: Begin a CSV with a byte order mark, for Excel.
        overwrite: Replace the file.

    Attributes:
        escaped: Texts that got an apostrophe.
        facts: What ``Plait.suggest`` says beside the rows that were written.

    Raises:
        ValueError: Another ending, ``bom`` for another format than CSV, a file that exists, or a folder from which the
            cells of the pool name no files.
    """

    def __init__(
        self, output: Path, pool: Any, modalities: Sequence[Modality], *, escape: bool = False, bom: bool = False,
        overwrite: bool = False,
    ) -> None:  # fmt: skip
        output = given_path(output, "output", example="to-label.csv")
        self.output, self.suffix, self.escape, self.bom = output, output.suffix.lower(), escape, bom
        self.escaped, self.facts = 0, dict[str, Any]()
        if self.suffix not in WRITERS:
            raise ValueError(f"rows to label are written as {', '.join(WRITERS)}, got {str(output)!r}")
        if bom and self.suffix != ".csv":
            raise ValueError(f"a byte order mark goes with .csv, got {str(output)!r}")
        if output.exists() and not overwrite:
            raise ValueError(f"{output} exists; type overwrite=True to replace it")
        if isinstance(pool, str | Path):
            _check_folder(output, Path(pool), modalities)

    def write(self, table: pa.Table) -> None:
        """Write what ``Plait.suggest`` returned; the file takes its place when it is whole.

        Raises:
            ValueError: A column that this format does not hold; the message names one that does.
        """
        self.facts = suggestion_facts(table)
        if self.suffix == ".csv":
            table = _for_csv(table)
            if self.escape:
                table, self.escaped = escape_formulas(table, with_names=False)
        with whole_file(self.output) as part, part.open("wb") as stream:
            if self.bom:
                stream.write(b"\xef\xbb\xbf")
            rows = WRITERS[self.suffix](stream, table.schema)
            rows.write(table)
            rows.close()


def _check_folder(output: Path, pool: Path, modalities: Sequence[Modality]) -> None:
    """Refuse another folder than that from which the pool's cells name files."""
    root = pool if pool.is_dir() else pool.parent
    reads = [m.name for m in modalities if m.kind in FROM_FILES]
    if reads and root.resolve() != output.parent.resolve():
        raise ValueError(
            f"cells of {', '.join(map(repr, reads))} name files beside {pool}, and would name none from "
            f"{output.parent}; write the rows there too: output={str(root / output.name)!r}"
        )


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
