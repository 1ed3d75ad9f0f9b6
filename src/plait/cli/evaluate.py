"""``plait evaluate``: a model evaluated on rows with known answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.collector import collect_from_now
from plait.cli.progress import terminal_progress
from plait.cli.report import show_report
from plait.cli.speaking import Speaker, padded
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed
from plait.registry import counted


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
    allow_remote: options.AllowRemote = False,
    describe: options.Describe = None,
    target: options.Target = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also: calibration, sets, abstaining, wrong labels, damaged inputs, slices.")
    ] = False,
    memory: options.Memory = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Evaluate a model on rows with known answers."""
    from plait.api import load

    with terminal_progress(quiet=quiet) as progress:
        fitted = load(model)
        collect_from_now()
        progress.lang = progress.lang or fitted.lang
        if describe is not None:
            if target is None:
                raise ValueError("describe= needs target=COLUMN, which holds the classes of the rows")
            classes = fitted.described(describe)
            found = classes.evaluate(**options.passed_on(context, classes.evaluate), progress=progress)
            _show(found, as_json, lang or fitted.lang)
            return
        found = fitted.evaluate(**options.passed_on(context, fitted.evaluate), progress=progress)
    show_report(found, as_json, {"report": str(report)} if report else {}, lang or fitted.lang)


def _show(found: dict[str, Any], as_json: bool, lang: str) -> None:
    """Metrics of classes that were described in words."""
    if as_json:
        print_json(found)
        return
    tr = Speaker(lang)
    classes = counted(len(found["classes"]), "class", "classes")
    say(tr(f"{classes} described in words, on {counted(found['rows'], 'row')}:"))
    for name, entry in found["metrics"].items():
        if entry["value"] is not None:
            span = f"  [{entry['low']:.3f}, {entry['high']:.3f}]" if entry["low"] is not None else ""
            say(f"  {padded(tr(name, 'metric'), 20)} {entry['value']:.3f}{span}")
    for note in found["notes"]:
        say(f"  {tr('note')}{tr.colon}{as_typed(tr(note))}")
