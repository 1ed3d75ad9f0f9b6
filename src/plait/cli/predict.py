"""``plait predict``: an answer for every row of a table, written as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli import options
from plait.cli.progress import TerminalProgress
from plait.cli.terminal import can_write, print_json, say
from plait.files import whole_file

if TYPE_CHECKING:
    import pyarrow as pa


def predict(
    context: typer.Context,
    model: options.Model,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Rows to predict.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A .parquet or .csv file.")],
    format: options.Format = None,
    encoding: options.Encoding = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict every row, in order, and write the answers with their probabilities."""
    from plait.api import load

    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"predictions are written as .csv or .parquet, got {output.name!r}")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; type --overwrite to replace it")
    can_write(output)
    with TerminalProgress(quiet=quiet) as progress:
        fitted = load(model)
        made = fitted.predict(**options.passed_on(context, fitted.predict), progress=progress)
    _write_table(made, output)
    problems = made.num_rows - made.column("problem").null_count
    summary = {"rows": made.num_rows, "problems": problems, "output": str(output)}
    if as_json:
        print_json(summary)
    else:
        more = f"; {problems} with a problem (see the column 'problem')" if problems else ""
        say(f"{made.num_rows:,} rows predicted{more} -> {output}")


def _write_table(table: pa.Table, path: Path) -> None:
    """Write a table whole or not at all, lists in a CSV with ; between their values."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix == ".csv":
        for i, name in enumerate(table.column_names):
            if pa.types.is_list(table.column(name).type):
                joined = [None if v is None else ";".join(map(str, v)) for v in table.column(name).to_pylist()]
                table = table.set_column(i, name, pa.array(joined, pa.string()))
    write = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            write(table, part)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error
