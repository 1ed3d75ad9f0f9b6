"""``plait features``: fill, list, verify and clean the feature store."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from plait.cli import options
from plait.cli.options import Json
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, reasons, resumable, say
from plait.registry import counted

features_app = typer.Typer(help="The feature store on this machine.", no_args_is_help=True, rich_markup_mode=None)


@features_app.command("add", epilog="Example: plait features add model posts.parquet --workers 4")
def features_add(
    context: typer.Context,
    model: options.Model,
    table: options.PlainTable,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes, each on one core.", show_default="1")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="WHERE", help="Workers of Ray: local, auto or HOST:PORT of a cluster.")
    ] = None,
    part_rows: Annotated[
        int | None, typer.Option(metavar="N", help="Most rows that a worker gets at once.", show_default="4096")
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    lang: options.SpokenLang = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Encode a table ahead with the frozen encoders of a model; goes on where it was stopped."""
    from plait.api import encode_to_store

    with resumable("the same command goes on: what is encoded is kept"), terminal_progress(quiet=quiet) as progress:
        made = encode_to_store(**options.passed_on(context, encode_to_store), progress=progress)
    if as_json:
        print_json({"rows": made.rows, "items": made.items, "problems": made.problems, "store": str(made.store)})
        return
    more = f"; {made.problems:,} with a problem" if made.problems else ""
    tr = Speaker(lang)
    say(tr(f"{counted(made.rows, 'row')} encoded{more}: {counted(made.items, 'new item')} in {made.store}"))
    for row, problem in made.first_problems:
        say(f"  {tr(f'row {row}')}{tr.colon}{reasons(tr.problem(problem))}")


@features_app.command("ls", epilog="Example: plait features ls")
def features_ls(lang: options.SpokenLang = None, as_json: Json = False) -> None:
    """List what is stored, with sizes."""
    from plait.api import feature_store

    store = feature_store()
    spaces = store.ls()
    if as_json:
        print_json({"root": str(store.root), "spaces": [s.to_json() for s in spaces]}, texts=True)
        return
    tr = Speaker(lang)
    for space in spaces:
        days = (time.time() - space.last_used) / 86400
        encoder = space.description.get("encoder", "?")
        name = encoder.get("reference", "?") if isinstance(encoder, dict) else encoder
        damaged = tr.listed(["", tr(f"{space.num_damaged} damaged")]) if space.num_damaged else ""
        say(
            f"{space.name[:12]}  {name}  {tr(counted(space.num_items, 'item'))}  {space.num_bytes / 1e6:.1f} MB  "
            f"{tr(f'used {days:.1f} days ago')}{damaged}"
        )
    total = sum(s.num_bytes for s in spaces)
    say(tr(f"{counted(len(spaces), 'space')}, {total / 1e6:.1f} MB in {store.root}"))


@features_app.command("verify", epilog="Example: plait features verify")
def features_verify(lang: options.SpokenLang = None, as_json: Json = False) -> None:
    """Compute every checksum again; exit code 1 when something is damaged."""
    from plait.api import feature_store

    found = feature_store().verify()
    if as_json:
        print_json(found.to_json())
    else:
        tr = Speaker(lang)
        held = f"{counted(found.num_items, 'item')} in {counted(found.num_segments, 'segment')}"
        say(tr(f"{held}; {len(found.problems)} damaged"))
        for problem in found.problems:
            say(f"  {problem.path}{tr.colon}{tr(problem.reason)}")
    if found.problems:
        raise typer.Exit(1)


@features_app.command("gc", epilog="Example: plait features gc --max-gb 20")
def features_gc(
    max_gb: Annotated[float | None, typer.Option(help="Remove the least recently used past this size.")] = None,
    days: Annotated[float | None, typer.Option(help="Remove what was not used for so many days.")] = None,
    lang: options.SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Remove leftovers and what is damaged, and what is past a size or age."""
    from plait.api import feature_store

    max_bytes = None if max_gb is None else int(max_gb * 1e9)
    report = feature_store().gc(max_bytes=max_bytes, older_than_days=days).to_json()
    if as_json:
        print_json(report)
    else:
        tr = Speaker(lang)
        say(tr.semicolon.join(f"{tr(k.replace('_', ' '), 'store')} {v}" for k, v in report.items()))
