"""``plait serve``: a model behind HTTP, with its page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from plait.cli import STARTED
from plait.cli.options import Model, SpokenLang, index_there

TOKEN = "PLAIT_SERVE_TOKEN"


def _token(file: Path | None) -> str | None:
    """The token in a file or in the environment; never one that was typed, which every process of the machine sees."""
    if file is not None:
        return file.read_text("utf-8").strip()
    return os.environ.get(TOKEN) or None


def _there(folder: Path | None) -> Path | None:
    return None if folder is None else index_there(folder)


def serve(
    model: Model,
    index: Annotated[
        Path | None, typer.Argument(metavar="[INDEX]", help="An index of this model, to search.", callback=_there)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any free one.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes, each with the model in memory.")] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with a bearer token that requests must carry.",
            show_default=f"${TOKEN}, else none",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Without a token, a further name it is reached by; repeat it."),
    ] = None,
    fetch_from: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Fetch media by https addresses of this host; repeat it. None by default."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Most rows that the model gets at once.")] = 32,
    batch_wait_ms: Annotated[float, typer.Option(help="Longest wait for more rows, in milliseconds.")] = 4.0,
    max_queue: Annotated[int, typer.Option(help="Most rows that wait; more are answered 429.")] = 256,
    max_requests: Annotated[int, typer.Option(help="Most requests held at once.")] = 128,
    deadline: Annotated[float, typer.Option(help="Longest time to an answer, in seconds.")] = 30.0,
    grace: Annotated[float, typer.Option(help="When stopped, longest wait for what was taken, in seconds.")] = 30.0,
    max_body_mb: Annotated[float, typer.Option(help="Largest body, in MiB.")] = 32.0,
    max_rows: Annotated[int, typer.Option(help="Most rows of a request.")] = 64,
    max_pixels: Annotated[int, typer.Option(help="Most pixels of a picture.")] = 25_000_000,
    max_seconds: Annotated[float, typer.Option(help="Longest sound, in seconds.")] = 120.0,
    max_text: Annotated[int, typer.Option(help="Longest text, in characters.")] = 20_000,
    max_hits: Annotated[int, typer.Option(help="Most hits of a search.")] = 100,
    lang: SpokenLang = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="Socket of a worker.")] = None,
) -> None:
    """Answer over HTTP: predict, explain, embed, caption, ask, search; with a page, an OpenAPI and metrics."""
    from plait.serve import ServeOptions
    from plait.serve import serve as run

    options = ServeOptions(
        host=host, port=port, workers=workers, batch_size=batch_size, batch_wait_ms=batch_wait_ms, max_queue=max_queue,
        max_requests=max_requests, deadline=deadline, max_body_mb=max_body_mb, max_rows=max_rows, max_pixels=max_pixels,
        max_seconds=max_seconds, max_text=max_text, max_hits=max_hits, grace=grace, token=_token(token_file),
        allowed_hosts=tuple(allowed_host or ()), fetch_from=tuple(fetch_from or ()),
    )  # fmt: skip
    raise typer.Exit(run(model, index, options, fd=fd, again=[*sys.argv[1:], "--fd"], started=STARTED, lang=lang))
