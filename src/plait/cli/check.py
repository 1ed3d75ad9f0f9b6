"""``plait check``: what is wrong with a table, before anyone trains on it."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.cli import options
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed


def check(
    context: typer.Context,
    table: options.Table,
    lang: options.Lang = None,
    target: options.Target = None,
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
    id: Annotated[str | None, typer.Option(metavar="COL", help="Column that names rows.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    date_order: options.DateOrder = None,
    columns: options.Names = None,
    task: Annotated[str | None, typer.Option(help="For COCO: matching, multilabel, captioning, retrieval.")] = None,
    annotations: options.Annotations = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    interactions: Annotated[
        bool, typer.Option("--interactions", help="Also: what pairs of inputs tell alone, alike and only together.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Examine a table before training: missing files, broken images and sounds, duplicates, leakage, imbalance.

    Rows are numbered from 0, without the header line. Exit code 1 when an error is found.
    """
    from plait import api

    given = options.passed_on(context, api.check)
    found = api.check(**{**given, "columns": columns.split(",") if columns else ()})
    if as_json:
        print_json(found.to_json())
    else:
        say(as_typed(found.text()))
    if any(f.severity == "error" for f in found.findings):
        raise typer.Exit(1)
