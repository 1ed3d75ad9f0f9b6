"""``plait compare``: every fusion method on one table, on equal terms, beside the baselines it must beat."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.progress import TerminalProgress

Columns = Annotated[list[str] | None, typer.Option(metavar="COL")]
STOPPED = 130


def compare(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for page, numbers and runs.")],
    target: Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")] = None,
    fusion: Annotated[str, typer.Option(metavar="NAMES", help="all, or names between commas.")] = "all",
    seeds: Annotated[int, typer.Option(help="Seeds for each method's chosen configuration.")] = 5,
    search: Annotated[int, typer.Option(help="Configurations each method is tried with (1: no search).")] = 3,
    task: Annotated[str | None, typer.Option(help="classification, multilabel, regression or matching.")] = None,
    text: Columns = None,
    image: Columns = None,
    audio: Columns = None,
    image_set: Columns = None,
    vector: Columns = None,
    numeric: Columns = None,
    categorical: Columns = None,
    ignore: Columns = None,
    split: Annotated[str | None, typer.Option(metavar="COL", help="Column with train, val, test.")] = None,
    group: Annotated[str | None, typer.Option(metavar="COL", help="Rows of one group stay together.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training rows, the same for all (10 at most unless given).")
    ] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of a text table that is not UTF-8.")] = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    on_bad_row: Annotated[
        str | None, typer.Option(help="A row that cannot be read: error, missing (cell counts as missing) or skip.")
    ] = None,
    set: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any other setting.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a comparison that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the comparison in DIR.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes training at once (default: one a CPU core).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Compare fusion methods: one budget, choices on validation rows only, the same test draws for all."""
    from plait.comparison import compare as compare_methods

    try:
        with TerminalProgress(quiet=quiet) as progress:
            found = compare_methods(
                table, target, fusion=fusion, seeds=seeds, search=search, task=task, text=text or (),
                image=image or (), audio=audio or (), image_set=image_set or (), vector=vector or (),
                numeric=numeric or (), categorical=categorical or (), ignore=ignore or (),
                split=split, group=group, epochs=epochs, output=output, format=format, encoding=encoding,
                annotations=annotations, on_bad_row=on_bad_row, set=set or (), resume=resume, overwrite=overwrite,
                workers=workers, progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        sys.stderr.write("plait: stopped; type the same command with --resume (and without --overwrite) to go on\n")
        raise typer.Exit(STOPPED) from None
    page = str(output / "compare.html")
    if as_json:
        text_out = json.dumps({**found.report, "page": page}, ensure_ascii=False, allow_nan=False)
        sys.stdout.write(text_out + "\n")
        return
    sys.stdout.write(f"{found.verdict}\n\n{found.table()}\n\n")
    for note in found.report["notes"]:
        sys.stdout.write(f"note: {note}\n")
    if found.report["selected_fit"] is not None:
        sys.stdout.write(f"\nto train {found.selected} for use:\n{found.report['selected_fit']['command']}\n\n")
    runs = found.report["runs"]
    sys.stdout.write(
        f"{runs['trained']} runs trained on {runs['workers']} processes, {runs['seconds']:,.0f} s; page: {page}\n"
    )


def fusions(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """List every fusion method: what it can express, its equation and its paper."""
    from plait.fusion import FUSIONS

    records: list[dict[str, Any]] = [
        {
            "name": name, "interaction": kind.interaction, "late": kind.is_late, "tokens": kind.info.needs_tokens,
            "equation": kind.info.equation, "paper": kind.info.paper, "parameters": kind.info.parameters,
        }
        for name, kind in ((name, FUSIONS.get(name)) for name in FUSIONS)
    ]  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps({"fusions": records}, ensure_ascii=False) + "\n")
        return
    for record in records:
        kinds = record["interaction"] + ", late" * record["late"] + ", reads tokens" * record["tokens"]
        sys.stdout.write(f"{record['name']:20} {kinds}\n    {record['equation']}\n    {record['paper']}\n")
