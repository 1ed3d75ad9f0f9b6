"""What every verb writes: lines or one JSON object on stdout, pages whole or not at all, a last line when stopped."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from plait.cli.speaking import Speaker, typed_language
from plait.cli.wording import as_typed
from plait.files import write_text
from plait.registry import one_line

STOPPED = 130
AGAIN = "type the same command again to go on"
NOTHING_KEPT = "nothing of this run was kept yet; type the same command again to start anew"
NONE_FINISHED = "no run was finished yet; type the same command with --resume (and without --overwrite)"


def say(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(text + "\n")


def say_line(text: str) -> None:
    """One line on stdout, also where a name of the data in it holds a newline, which is shown as it is written."""
    say(one_line(text))


def print_json(value: Any, *, texts: bool = False) -> None:
    """One JSON object on stdout; with ``texts`` values that JSON lacks (dates of a table) become text."""
    say(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str if texts else None))


@contextlib.contextmanager
def resumable(otherwise: str = AGAIN) -> Iterator[None]:
    """On Ctrl-C end with a line that says what to type to go on.

    Args:
        otherwise: What to say where the work itself says nothing of what it has kept.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        known = getattr(error, "__notes__", None)  # what the work itself says of what is kept
        tr = Speaker(typed_language())
        told = tr.semicolon.join(as_typed(tr(line)) for line in (known or [otherwise]))
        sys.stderr.write(f"plait: {tr('stopped')}{tr.semicolon}{told}\n")
        raise typer.Exit(STOPPED) from None


def not_over(output: Path, *tables: str | Path | None) -> None:
    """Refuse to write over a table that is read.

    Raises:
        ValueError: The output is one of them.
    """
    for table in tables:
        if table is not None and output.exists() and Path(table).exists() and output.samefile(table):
            raise ValueError(f"{output} is the table that is read, and would be lost; name another file")


def can_write(path: Path) -> None:
    """Learn before the work, not after it, that the output cannot be written.

    Raises:
        ValueError: It cannot.
    """
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"cannot write {path}: the folder {path.parent} is read-only")


def printable(text: str) -> str:
    """Text of the data for a terminal: control characters, which could steer it, are shown as marks."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def reasons(text: str) -> str:
    """Lines that hold reasons of the library for what is wrong with rows: as they are typed, fit for a terminal."""
    return "\n".join(printable(as_typed(line)) for line in text.split("\n"))


def can_write_page(path: Path) -> None:
    """Learn before the work that a page cannot be written, or would replace what is no page.

    Raises:
        ValueError: So it is.
    """
    can_write(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page is written as .html, got {str(path)!r}")


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all.

    Raises:
        ValueError: The place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error
