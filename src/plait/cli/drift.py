"""``plait drift``: whether a second table still looks like the first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, padded
from plait.cli.terminal import print_json, say_line
from plait.cli.wording import as_typed
from plait.registry import counted, one_line


def drift(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="The table that is known, such as the training table.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The table that may differ.")],
    model: Annotated[Path | None, typer.Option(help="A model folder, whose encoders and columns are used.")] = None,
    target: options.Target = None,
    ignore: options.Ignore = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    set: options.Settings = None,
    seed: Annotated[int | None, typer.Option(help="Seed of samples and shuffles.", show_default="0")] = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    lang: options.SpokenLang = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Compare two tables: by modality, by column, and which rows of B are foreign. Exit code 1 where they differ."""
    from plait import api

    with terminal_progress(quiet=quiet) as progress:
        found = api.drift(**options.passed_on(context, api.drift), progress=progress)
    if as_json:
        print_json(found)
    else:
        _show(found, Speaker(lang, {"terms": found["terms"]}))
    if found["alarm"]:
        raise typer.Exit(1)


def _show(found: dict[str, Any], tr: Speaker) -> None:
    for side, what in (("a", "the known table"), ("b", "the table that may differ")):
        compared = tr(f"{counted(found['rows'][side], 'row')} compared, {what}")
        say_line(f"{side.upper()}{tr.colon}{found[side]}{tr.colon}{compared}")
    say_line(tr(found["sentence"]))
    for part in found["modalities"]:
        told, gap = part["classifier"], part["discrepancy"]
        mark, name = "DIFFERS" if part["alarm"] else "alike", one_line(tr.named(part["modality"]))
        say_line(
            f"  {padded(name, 20)} {padded(tr(mark, 'drift'), 8)} AUROC {told['auroc']:.3f} "
            f"[{told['low']:.3f}, {told['high']:.3f}]  p {told['p']:.2g}{tr.semicolon}{tr('discrepancy', 'drift')} "
            f"{gap['value']:.2g}  p {gap['p']:.2g}"
        )
        if part["alarm"]:
            rows = tr.listed(str(r["row"]) + tr.bracketed(f"{r['share']:.1%}") for r in part["foreign"][:5])
            say_line(f"    {tr('most foreign rows of B (share of rows of A as far)')}{tr.colon}{rows}")
    for test in found["columns"]:
        mark = "DIFFERS" if test["alarm"] else "alike"
        value = f"{tr(test['test'], 'drift')} {test['value']:.3f}  p {test['p']:.2g}{tr.semicolon}{tr(test['detail'])}"
        say_line(f"  {padded(one_line(test['column']), 20)} {padded(tr(mark, 'drift'), 8)} {value}")
    for note in found["notes"]:
        say_line(f"  {tr('note')}{tr.colon}{as_typed(tr(note))}")
