"""``plait suggest``: which rows of a pool to label next, as a file to fill in."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, note
from plait.cli.terminal import can_write, not_over, print_json, say_line
from plait.cli.wording import as_typed
from plait.registry import counted

SHOWN = 5


def suggest(
    context: typer.Context,
    model: options.Model,
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Rows without answers.", callback=options.there)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A .csv, .parquet or .jsonl file to fill in."),
    ],
    n: Annotated[int, typer.Option("--n", metavar="N", help="How many rows.")] = 50,
    strategy: Annotated[
        str,
        typer.Option(
            help="mixed, margin, entropy, least_confidence, bald, modalities, interval, core_set, badge or random."
        ),
    ] = "mixed",
    labelled: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Labelled rows, such as the training table: left out.", callback=options.there
        ),
    ] = None,
    report: options.Report = None,
    lang: options.Lang = None,
    seed: Annotated[int | None, typer.Option(help="Seed of what is drawn.", show_default="0")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    on_bad_row: options.BadRowsMissing = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="In CSV, an apostrophe before text that a spreadsheet would run.")
    ] = False,
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV with a byte order mark, for Excel.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    memory: options.Memory = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Say what to label next: rows the model learns most from, each with its reason, as a file to fill in."""
    from plait.api import SuggestionFile, load

    can_write(output)
    not_over(output, pool, labelled)
    if report is not None and report.absolute() == output.absolute():
        raise ValueError(f"{output} is to hold the rows to label and the report; name another file for one of them")
    with terminal_progress(quiet=quiet) as progress:
        fitted = load(model)
        file = SuggestionFile(output, pool, fitted.modalities, escape=escape_formulas, bom=bom, overwrite=overwrite)
        found = fitted.suggest(**options.passed_on(context, fitted.suggest), progress=progress)
        file.write(found)
    facts = file.facts
    if file.escaped:
        escaped = f"{counted(file.escaped, 'text')} got an apostrophe, which fit reads as part of the text"
        sys.stderr.write(f"{note(escaped)}\n")
    places = {"output": str(output), **({"report": str(report)} if report else {})}
    if as_json:
        print_json({**facts, **places})
        return
    tr = Speaker(lang or fitted.lang, {"schema": [{"name": name} for name in found.column_names]})
    rows = f"{counted(facts['suggested'], 'row')} of {facts['rows']:,} to label ({facts['strategy']})"
    say_line(f"{tr(rows)} -> {output}")
    row, reason = facts["columns"]["row"], facts["columns"]["reason"]
    for number, why in zip(found.column(row).to_pylist()[:SHOWN], found.column(reason).to_pylist(), strict=False):
        say_line(f"  {tr(f'row {number}')}{tr.colon}{why}")
    if facts["suggested"] > SHOWN:
        say_line(tr(f"  ... and {facts['suggested'] - SHOWN:,} more"))
    for why, number in facts["left_out"].items():
        say_line(tr(f"  left out: {number:,} {why}"))
    if facts["passed_over"]:
        say_line(tr(f"  passed over: {facts['passed_over']:,} that show nearly the same as a row above"))
    for told in facts["notes"]:
        say_line(f"  {tr('note')}{tr.colon}{as_typed(tr(told))}")
    then = tr(f"fill in column {facts['target']!r}, then")
    say_line(f"{then}{tr.colon}{next_step(fitted, model, output)}")


def next_step(fitted: Any, model: Path, rows: Path) -> str:
    """The command that trains again, with the settings of the model, on its table and the filled rows."""
    data = fitted.settings.data
    places = [data.source, str(rows.parent / data.source)] if data.source else []  # a model knows the name alone
    source = next((place for place in places if os.path.exists(place)), "TABLE")
    words = ["plait", "fit", source, "--target", str(fitted.schema.target)]
    saved = model / "run.yaml"
    words += ["--config", str(saved)] if saved.is_file() else []
    place = next(f"{model}-next{n}" for n in ("", *range(2, 1000)) if not os.path.exists(f"{model}-next{n}"))
    return shlex.join([*words, "--more", str(rows), "-o", place])
