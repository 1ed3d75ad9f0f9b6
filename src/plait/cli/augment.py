"""``plait augment``: what training would see of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli import options
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, say_line
from plait.cli.wording import as_typed
from plait.settings import TrainSettings


def augment(
    context: typer.Context,
    table: options.Table,
    show: Annotated[Path, typer.Option(metavar="FILE", help="Write the contact sheet here, a name in .html.")],
    target: options.Target = None,
    task: Annotated[str | None, typer.Option(help="As for fit.", show_default="guessed from the target")] = None,
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
    group: options.Group = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    annotations: options.Annotations = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    count: Annotated[int, typer.Option(metavar="N", help="How many training rows are shown.")] = 8,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the rows and of their views.", show_default=str(TrainSettings().seed))
    ] = None,
    set: options.Settings = None,
    lang: options.Lang = None,
    as_json: options.Json = False,
) -> None:
    """Show the changed copies of training rows that augmentation makes, and what words forbid; nothing is trained."""
    from plait import api

    found = api.augment(**options.passed_on(context, api.augment))
    if as_json:
        print_json(found, texts=True)
        return
    tr = Speaker(lang)
    say_line(as_typed(tr(found["sentence"])))
    for note in found["notes"]:
        say_line(f"  {as_typed(tr(note))}")
    say_line(f"{tr('contact sheet', 'extra')}{tr.colon}{show}")
