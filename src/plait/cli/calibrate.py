"""``plait calibrate``: an existing model calibrated on labelled rows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, say_line
from plait.cli.wording import as_typed
from plait.registry import counted


def calibrate(
    context: typer.Context,
    model: options.Model,
    table: options.LabelledTable,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="NEW", help="Folder for the calibrated model.", show_default="MODEL"),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="calibration, test or all.", show_default="calibration if marked, else all")
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in NEW.")] = False,
    memory: options.Memory = None,
    lang: options.SpokenLang = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Make probabilities true, and sets and intervals possible, by labelled rows the model has not seen."""
    from plait.api import calibrate as calibrate_folder

    with terminal_progress(quiet=quiet) as progress:
        found = calibrate_folder(**options.passed_on(context, calibrate_folder), progress=progress)
    if as_json:
        print_json(found)
        return
    tr = Speaker(lang)
    for line in calibration_lines(found):
        say_line(tr(line))
    for note in found["notes"]:
        say_line(f"  {tr('note')}{tr.colon}{as_typed(tr(note))}")
    say_line(f"{tr('output', 'extra')}{tr.colon}{found['output']}")


def calibration_lines(found: dict[str, Any]) -> list[str]:
    """What calibration rows taught, for the terminal."""
    groups = f" in {counted(found['groups'], 'group')}" if found["groups"] != found["rows"] else ""
    lines = [f"calibrated on {counted(found['rows'], 'row')}{groups}: {found['tuning_rows']:,} tune, "
             f"{found['scoring_rows']:,} score sets and intervals"]  # fmt: skip
    lines += [f"  {found['why']}"] if found["why"] else []
    if len(found["patterns"]) > 1:
        for part in found["patterns"]:
            pooled = "" if part["is_own"] else f", too few of their own: {part['pooled']:,} pooled rows speak for them"
            lines.append(f"  {' + '.join(part['present']) or 'nothing'}: {counted(part['rows'], 'row')}{pooled}")
    return lines
