"""``plait predict``: an answer for every row of a table, written as they come to a file or a folder of parts."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plait.cli import options
from plait.cli.collector import collect_from_now
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, note, typed_language
from plait.cli.terminal import STOPPED, can_write, not_over, print_json, reasons, resumable, say
from plait.cli.wording import as_typed
from plait.registry import counted

if TYPE_CHECKING:
    from plait.api import BatchResult, PredictionFile


def predict(
    context: typer.Context,
    model: options.Model,
    table: options.PlainTable,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A .csv, .parquet or .jsonl file; - for CSV on stdout; OUT/ for a folder of parts, of many rows.",
        ),
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
    allow_remote: options.AllowRemote = False,
    escape_formulas: Annotated[
        bool, typer.Option(help="In CSV, an apostrophe before text that a spreadsheet would run, such as =1+1.")
    ] = True,
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV with a byte order mark, for Excel.")] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="With OUT/: processes, each on one core.", show_default="1")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="WHERE", help="With OUT/: workers of Ray: local, auto or HOST:PORT of a cluster."),
    ] = None,
    part_rows: Annotated[
        int | None, typer.Option(metavar="N", help="With OUT/: most rows of a part.", show_default="65536")
    ] = None,
    output_format: Annotated[
        str | None, typer.Option(help="With OUT/: parquet, csv or jsonl.", show_default="parquet")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    memory: options.Memory = None,
    lang: options.SpokenLang = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict every row, in order, and write the answers with their probabilities as they come."""
    if output.endswith(("/", os.sep)) or os.path.isdir(output):
        if describe is not None:
            raise ValueError("--describe writes one file: name it with -o, such as -o answers.parquet")
        return _to_folder(context, model, table, Path(output), quiet=quiet, as_json=as_json)
    of_folder = {"--workers": workers, "--ray": ray, "--part-rows": part_rows, "--output-format": output_format}
    only = [flag for flag, value in of_folder.items() if value is not None]
    if only:
        raise ValueError(f"{only[0]} goes with a folder of parts: type -o {shlex.quote(output + '/')}")
    from plait.api import PredictionFile, load

    to_stdout = output == "-"
    if to_stdout and as_json:
        raise ValueError("--json prints its summary on stdout; name a file with -o, or leave --json out")
    if not to_stdout:
        can_write(Path(output))
        not_over(Path(output), table)
    place = sys.stdout.buffer if to_stdout else Path(output)
    file = PredictionFile(place, escape=escape_formulas, bom=bom, overwrite=overwrite, wording=as_typed)
    try:
        with terminal_progress(quiet=quiet) as progress:
            fitted = load(model)
            collect_from_now()
            if describe is None:
                chunks = fitted.predict_chunks(**options.passed_on(context, fitted.predict_chunks), progress=progress)
            else:
                chunks = iter([_described(context, fitted, describe, labelled, target, progress)])
            file.write(chunks)
    except KeyboardInterrupt:
        left = "" if to_stdout else f"; nothing is left at {output}"
        stopped = f"stopped after {counted(file.rows, 'row')}{left}"
        sys.stderr.write(f"plait: {Speaker(typed_language())(stopped)}\n")
        raise typer.Exit(STOPPED) from None
    _tell_escaped(file.escaped)
    if as_json:
        withheld = {} if abstain_above is None else {"abstained": file.abstained}
        print_json({"rows": file.rows, "problems": file.problems, **withheld, "output": output})
    elif to_stdout:
        sys.stdout.flush()
        sys.stderr.write("" if quiet else _summary(file, "stdout") + "\n")
    else:
        say(_summary(file, output))


def _to_folder(context: typer.Context, model: Path, table: str, folder: Path, *, quiet: bool, as_json: bool) -> None:
    """A folder of parts, which goes on where an earlier command was cut short."""
    from plait.api import predict_to_folder

    collect_from_now()
    with resumable(), terminal_progress(quiet=quiet) as progress:
        made = predict_to_folder(
            folder=folder, **options.passed_on(context, predict_to_folder), wording=as_typed, progress=progress
        )
    _tell_escaped(made.escaped)
    if made.read_whole and made.parts > made.went_on:
        sys.stderr.write(
            note(
                f"{table} was held in memory as a whole; .parquet and large .csv files are read piece by piece, so "
                "that memory does not grow with their rows"
            )
            + "\n"
        )
    if as_json:
        withheld = {} if context.params["abstain_above"] is None else {"abstained": made.abstained}
        told = {"rows": made.rows, "problems": made.problems, **withheld, "parts": made.parts, "went_on": made.went_on}
        print_json({**told, "output": str(folder)})
        return
    tr = Speaker(typed_language())
    say(_summary(made, tr(f"{counted(made.parts, 'part')} in {folder}")))
    if made.went_on == made.parts:
        say(tr("nothing was left to do: this very run had finished there"))
    elif made.went_on:
        say(tr(f"went on after an earlier run, which had made {counted(made.went_on, 'part')}"))


def _tell_escaped(number: int) -> None:
    """Say that texts were changed for a spreadsheet."""
    if number:
        sys.stderr.write(
            note(
                f"{counted(number, 'text')} would be run as a formula by a spreadsheet and got an apostrophe "
                "before it; --no-escape-formulas writes all as they are"
            )
            + "\n"
        )


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
            note(
                "no labelled rows made these probabilities true: read them as an order of the classes; --labelled "
                "TABLE --target COL does"
            )
            + "\n"
        )
    return classes.predict(**options.passed_on(context, classes.predict), progress=progress)


def _summary(file: PredictionFile | BatchResult, place: str) -> str:
    """How many rows there are and how many have a problem, with the first of them."""
    more = f"; {file.problems:,} with a problem (see the column 'problem')" if file.problems else ""
    more += f"; {file.abstained:,} without an answer (see the column 'abstained')" if file.abstained else ""
    tr = Speaker(typed_language())
    lines = [tr(f"{counted(file.rows, 'row')} predicted{more}") + f" -> {place}"]
    lines += [f"  {tr(f'row {row}')}{tr.colon}{reasons(tr.problem(problem))}" for row, problem in file.first_problems]
    left = file.problems - len(file.first_problems)
    return "\n".join([*lines, *([tr(f"  ... and {left:,} more")] if left else [])])
