"""``plait compare``: every fusion method on one table, on equal terms, beside the baselines it must beat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker
from plait.cli.terminal import NONE_FINISHED, print_json, resumable, say
from plait.cli.wording import as_typed
from plait.files import check_writable
from plait.registry import counted
from plait.settings import DataOptions, RunSettings


def compare(
    context: typer.Context,
    table: options.Table,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for page, numbers and runs.")],
    lang: options.Lang = None,
    target: options.Target = None,
    fusion: Annotated[str, typer.Option(metavar="NAMES", help="all, or names between commas.")] = "all",
    objectives: Annotated[
        str, typer.Option(metavar="NAMES", help="Training aids to compare: all, or names between commas, or ogm=0.3.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds for each method's chosen configuration.")] = 5,
    search: Annotated[
        int, typer.Option(min=1, max=9, help="Configurations each method is tried with (1: no search).")
    ] = 3,
    task: Annotated[
        str | None, typer.Option(help="classification, multilabel, regression, matching, captioning or vqa.")
    ] = None,
    text: options.Text = None,
    image: options.Image = None,
    audio: options.Audio = None,
    image_set: options.ImageSet = None,
    vector: options.Vector = None,
    numeric: options.Numeric = None,
    categorical: options.Categorical = None,
    date: options.Date = None,
    ignore: options.Ignore = None,
    split: options.Split = None,
    split_by_time: options.SplitByTime = None,
    group: options.Group = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training rows, the same for all (10 at most unless given).")
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    date_order: options.DateOrder = None,
    annotations: options.Annotations = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    set: options.Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a comparison that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the comparison in DIR.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes training at once (default: one a CPU core).")
    ] = None,
    memory: options.Memory = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Compare fusion methods: one budget, choices on validation rows only, the same test draws for all."""
    from plait import api

    check_writable(output)
    data = DataOptions(**options.passed_on(context, DataOptions))
    named = {"task.name": task, "train.epochs": epochs}
    methods = [name.strip() for name in fusion.split(",") if name.strip() not in ("", "all", "pair_head")]
    opened = api.open_checked(
        table, {**data.given(), **named}, RunSettings(), set or (), annotations=annotations, fusions=methods
    )
    from plait import comparison  # takes seconds to import

    given = {**options.passed_on(context, comparison.compare), "table": opened}
    with resumable(NONE_FINISHED), terminal_progress(quiet=quiet) as progress:
        found = comparison.compare(**given, progress=progress)
    report, page = found.report, str(output / "compare.html")
    if as_json:
        print_json({**report, "page": page})
        return
    tr = Speaker(lang, report)
    say(f"{tr(found.verdict)}\n\n{found.table(lang or 'en')}\n")
    for note in report["notes"]:
        say(f"{tr('note')}{tr.colon}{as_typed(tr(note))}")
    if report["selected_fit"] is not None:
        say(f"\n{tr(f'to train {found.selected} for use:')}\n{report['selected_fit']['command']}\n")
    runs = report["runs"]
    processes = counted(runs["workers"], "process", "processes")
    say(tr(f"{counted(runs['trained'], 'run')} trained on {processes}, {runs['seconds']:,.0f} s; page: {page}"))
