"""``plait fit``: a model from a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import STARTED, options
from plait.cli.progress import terminal_progress
from plait.cli.report import show_report
from plait.cli.speaking import Speaker
from plait.cli.terminal import AGAIN, NOTHING_KEPT, resumable
from plait.settings import TrainSettings
from plait.settings.names import TASK_NAMES
from plait.settings.trackers import TRACKER_NAMES
from plait.settings.unlabelled import SEMI_METHODS


def fit(
    context: typer.Context,
    table: options.Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and its report.")],
    lang: options.Lang = None,
    target: options.Target = None,
    task: Annotated[
        str | None, typer.Option(help="One of " + ", ".join(TASK_NAMES) + ".", show_default="guessed from the target")
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
    calibration: options.Calibration = None,
    group: options.Group = None,
    id: Annotated[str | None, typer.Option(metavar="COL", help="Column that names rows in predictions.")] = None,
    recipe: Annotated[str, typer.Option(help="default, classic or sentiment.")] = "default",
    preset: Annotated[
        str | None,
        typer.Option(
            help="fast, default, best or single: how many models answer together; prototypes, for few rows a class.",
            show_default="default; best under --time-limit",
        ),
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long all of it may take: 90s, 10m, 2h.", show_default="none"),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(metavar="N", help="Try N configurations by successive halving.", show_default="none"),
    ] = None,
    fusion: Annotated[
        str | None,
        typer.Option(help="How modalities are joined: a name of 'plait fusions'.", show_default="by the recipe"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training rows.", show_default="by the recipe")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random.", show_default=str(TrainSettings().seed))
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    date_order: options.DateOrder = None,
    columns: options.Names = None,
    annotations: options.Annotations = None,
    more: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="More labelled rows, which only train.", callback=options.there),
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Rows without a target to learn from.", callback=options.there),
    ] = None,
    semi: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="How rows without a target teach: one of " + ", ".join(SEMI_METHODS) + ".",
            show_default="propagation (classes), self_training (others) with --unlabelled",
        ),
    ] = None,
    log_to: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Log the training to " + ", ".join(TRACKER_NAMES) + ", offline by default."),
    ] = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    set: options.Settings = None,
    config: Annotated[Path | None, typer.Option(help="A run.yaml to start from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    memory: options.Memory = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on a table, evaluate it on held-out rows, and save both."""
    from plait import api
    from plait.settings import read_settings

    given = options.passed_on(context, api.fit)
    if columns:
        given["set"] = [f"data.columns={json.dumps(columns.split(','))}", *(set or ())]
    if config:
        given["settings"] = read_settings(config)
    with (
        resumable(AGAIN if resume else NOTHING_KEPT),
        terminal_progress(quiet=quiet) as progress,
        api.counted_from(STARTED),
    ):
        fitted = api.fit(**given, progress=progress)
    extra: dict[str, Any] = {"model": str(output), "report": str(output / "report.html")}
    tr = Speaker(None if as_json else lang or fitted.lang)
    extra |= {f"logged to {one['tracker']}": _where(one, tr) for one in fitted.report.get("logged", [])}
    if as_json:
        extra = {"leaderboard": fitted.leaderboard(), **extra}
    show_report(fitted.report, as_json, extra, lang or fitted.lang)


LOOK = {  # what to type to see a run that lies on this machine
    "mlflow": 'mlflow ui --backend-store-uri "{place}"', "tensorboard": 'tensorboard --logdir "{place}"',
    "trackio": "trackio show --project plait", "wandb": 'wandb sync "{place}" sends it',
}  # fmt: skip


def _where(run: dict[str, str], tr: Speaker) -> str:
    """Where a tracker's run went, and how to look at it."""
    elsewhere = "://" in run["place"] and not run["place"].startswith("sqlite:")
    look = "" if elsewhere else tr.semicolon + tr(LOOK[run["tracker"]].format(place=run["place"]))
    return tr(f"run {run['run']} in {run['place']}") + look
