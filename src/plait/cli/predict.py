"""``plait predict``: an answer for every row of a table, written as a table while rows are answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import TerminalProgress
from plait.cli.terminal import STOPPED, can_write, not_over, print_json, reasons, say
from plait.cli.wording import as_typed
from plait.registry import counted

if TYPE_CHECKING:
    from plait.api import PredictionFile


def predict(
    context: typer.Context,
    model: options.Model,
    table: options.PlainTable,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A .csv, .parquet or .jsonl file; - for CSV on stdout."),
    ],
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    coverage: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Add sets or intervals that hold the truth this often, such as 0.9."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="How: lac, aps, raps or class; of numbers quantile or split.", show_default="by the model"),
    ] = None,
    abstain_above: Annotated[
        float | None,
        typer.Option(metavar="RISK", help="Answer no row whose estimated risk is above this, such as 0.2."),
    ] = None,
    describe: options.Describe = None,
    labelled: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="With --describe: rows that make the probabilities true (and --target)."),
    ] = None,
    target: options.Target = None,
    on_bad_row: options.BadRowsMissing = None,
    allow_outside: options.AllowOutside = False,
    escape_formulas: Annotated[
        bool, typer.Option(help="In CSV, an apostrophe before text that a spreadsheet would run, such as =1+1.")
    ] = True,
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV with a byte order mark, for Excel.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict every row, in order, and write the answers with their probabilities as they come."""
    from plait.api import PredictionFile, load

    to_stdout = str(output) == "-"
    if to_stdout and as_json:
        raise ValueError("--json prints its summary on stdout; name a file with -o, or leave --json out")
    if not to_stdout:
        can_write(output)
        not_over(output, table)
    place = sys.stdout.buffer if to_stdout else output
    file = PredictionFile(place, escape=escape_formulas, bom=bom, overwrite=overwrite, wording=as_typed)
    try:
        with TerminalProgress(quiet=quiet) as progress:
            fitted = load(model)
            if describe is None:
                chunks = fitted.predict_chunks(**options.passed_on(context, fitted.predict_chunks), progress=progress)
            else:
                chunks = iter([_described(context, fitted, describe, labelled, target, progress)])
            file.write(chunks)
    except KeyboardInterrupt:
        left = "" if to_stdout else f"; nothing is left at {output}"
        sys.stderr.write(f"plait: stopped after {counted(file.rows, 'row')}{left}\n")
        raise typer.Exit(STOPPED) from None
    if file.escaped:
        sys.stderr.write(
            f"note: {counted(file.escaped, 'text')} would be run as a formula by a spreadsheet and got an apostrophe "
            "before it; --no-escape-formulas writes all as they are\n"
        )
    if as_json:
        withheld = {} if abstain_above is None else {"abstained": file.abstained}
        print_json({"rows": file.rows, "problems": file.problems, **withheld, "output": str(output)})
    elif to_stdout:
        sys.stdout.flush()
        sys.stderr.write("" if quiet else _summary(file, "stdout") + "\n")
    else:
        say(_summary(file, str(output)))


def _described(
    context: typer.Context, fitted: Any, describe: Path, labelled: str | None, target: str | None, progress: Any
) -> Any:
    """Answers by classes described in words."""
    classes = fitted.described(describe)
    if labelled is not None:
        if target is None:
            raise ValueError("labelled= needs target=COLUMN, which holds the classes of its rows")
        classes.calibrate(labelled, target)
    else:
        sys.stderr.write(
            "note: no labelled rows made these probabilities true: read them as an order of the classes; --labelled "
            "TABLE --target COL does\n"
        )
    return classes.predict(**options.passed_on(context, classes.predict), progress=progress)


def _summary(file: PredictionFile, place: str) -> str:
    """How many rows there are and how many have a problem, with the first of them."""
    more = f"; {file.problems:,} with a problem (see the column 'problem')" if file.problems else ""
    more += f"; {file.abstained:,} without an answer (see the column 'abstained')" if file.abstained else ""
    lines = [f"{counted(file.rows, 'row')} predicted{more} -> {place}"]
    lines += [f"  row {row}: {reasons(problem)}" for row, problem in file.first_problems]
    left = file.problems - len(file.first_problems)
    return "\n".join([*lines, *([f"  ... and {left:,} more"] if left else [])])
