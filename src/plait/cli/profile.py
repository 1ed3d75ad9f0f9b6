"""``plait profile VERB ...``: any verb as it is, and then where its time went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import SpokenLang
from plait.cli.speaking import Speaker
from plait.cli.terminal import can_write
from plait.files import write_text


def profile(
    command: Annotated[list[str], typer.Argument(metavar="VERB ...", help="A verb of plait, with its options.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the numbers as JSON; before VERB."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE; before VERB.")] = False,
    lang: SpokenLang = None,
) -> None:
    """Run a verb and say on stderr where its time went, beside what this machine can do at best.

    Options of the verb stand behind it; what it prints on stdout stays as it is. More: docs/performance.md.
    """
    from plait import api
    from plait.cli.main import app

    if command[0] == "profile":
        raise typer.BadParameter("profile cannot time itself; name another verb, such as fit", param_hint="VERB")
    if {"--help", "-h"} & set(command):
        app(command, standalone_mode=False)
        return
    if output is not None:
        can_write(output)
        if output.exists() and not overwrite:
            raise ValueError(f"{output} exists; name another file, or type --overwrite before the verb")
    code = None
    try:
        with api.profile(since_start=True) as found:
            code = app(command, standalone_mode=False)
    finally:  # of a verb that fails too
        sys.stdout.flush()
        tr = Speaker(lang)
        sys.stderr.write(f"\n{found.table(lang or 'en')}\n")
        if output is not None:
            write_text(output, json.dumps(found.to_json(), indent=1))
            sys.stderr.write(f"{tr('numbers', 'extra')}{tr.colon}{output}\n")
    raise typer.Exit(code if isinstance(code, int) else 0)
