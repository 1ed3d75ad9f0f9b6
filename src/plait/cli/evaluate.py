"""``plait evaluate``: a model evaluated on rows with known answers."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.cli import options
from plait.cli.progress import TerminalProgress
from plait.cli.report import show_report


def evaluate(
    context: typer.Context,
    model: options.Model,
    table: options.LabelledTable,
    report: options.Report = None,
    lang: options.Lang = None,
    rows: options.Rows = None,
    annotations: options.Annotations = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also: calibration, sets, abstaining, wrong labels, damaged inputs, slices.")
    ] = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Evaluate a model on rows with known answers."""
    from plait.api import load

    with TerminalProgress(quiet=quiet) as progress:
        fitted = load(model)
        found = fitted.evaluate(**options.passed_on(context, fitted.evaluate), progress=progress)
    show_report(found, as_json, {"report": str(report)} if report else {}, lang or fitted.settings.judge.lang)
