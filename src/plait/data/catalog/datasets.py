"""Ready data sets by name: fetched from a package index, written as one table and its files.

In comes a name such as ``easy-vqa`` and a folder; out comes the path of ``table.csv`` in it, with the
official split. Everything is written to a temporary folder beside the place and moved there with one rename,
so a folder is whole or absent. A folder that Plait did not write is never touched; a folder that is whole
already is used as it is.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait.data.catalog.wheels import fetch_wheel, wheel_cache
from plait.data.progress import Progress
from plait.files import file_sha256, given_path
from plait.registry import Registry

TABLE = "table.csv"
CARD = "dataset.json"
EASY_VQA = "easy-vqa==1.0"
EASY_VQA_SIZES = {"train": (38575, 4000), "test": (9673, 1000)}
"""Questions and images of each official split, as the authors state them."""


@dataclass(frozen=True)
class ReadyDataSet:
    """A data set that Plait can fetch: where it comes from, its terms, and how its package becomes a table."""

    name: str
    requirement: str
    licence: str
    homepage: str
    summary: str
    target: str
    write: Callable[[Path, Progress], int]
    """Called with an empty folder to fill and a progress; returns the number of rows."""


DATASETS: Registry[ReadyDataSet] = Registry("data set")


def fetch_dataset(name: str, out_dir: str | Path, *, progress: Progress | None = None) -> Path:
    """Fetch a ready data set and write it to a folder.

    Args:
        name: A name of `DATASETS`.
        out_dir: The folder to write: absent, empty, or written by an earlier call.
        progress: Called with (done, total, what).

    Returns:
        The path of the table, ``out_dir/table.csv``; beside it lie ``images/`` and ``dataset.json`` (source,
        licence).

    Raises:
        ValueError: Unknown name, a folder that holds something else, or the fetch failed.

    Example:
        >>> fetch_dataset("easy-vqa", "data/easy-vqa")  # doctest: +SKIP
    """
    record = DATASETS.get(name)
    out = given_path(out_dir, "out_dir", example=name).expanduser().resolve()
    if _is_ready(out, record):
        return out / TABLE
    tell = progress if progress is not None else _silent
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent, ignore_cleanup_errors=True) as scratch:
            staged = Path(scratch) / "whole"
            staged.mkdir()
            card = _card(record, staged, record.write(staged, tell))
            (staged / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
            if not _is_ready(out, record):  # looked at again: it may have been filled meanwhile
                if out.is_dir():
                    out.rmdir()  # only an empty folder goes
                os.replace(staged, out)
    except OSError as error:
        raise ValueError(f"cannot write {name!r} to {out} ({error}); choose another folder with -o") from error
    return out / TABLE


def _silent(done: int, total: int, what: str) -> None:
    """Take the place of a progress that nobody wants."""


def _card(record: ReadyDataSet, folder: Path, rows: int) -> dict[str, Any]:
    return {
        "name": record.name,
        "summary": record.summary,
        "source": record.requirement,
        "homepage": record.homepage,
        "licence": record.licence,
        "target": record.target,
        "rows": rows,
        "table_sha256": file_sha256(folder / TABLE),
        "files": _count_files(folder / "images"),
    }


def _count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _is_ready(out: Path, record: ReadyDataSet) -> bool:
    """True: whole already. False: free to write. Raises where anything else lies there."""
    if not os.path.lexists(out):
        return False
    if not out.is_dir():
        raise ValueError(f"{out} is a file; expected a folder to write {record.name!r} to")
    if not any(out.iterdir()):
        if out == Path.cwd().resolve():
            raise ValueError(f"{out} is the current folder; name a new one, such as -o {record.name}")
        return False
    try:
        card = json.loads((out / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        card = None
    if not isinstance(card, dict) or (card.get("name"), card.get("source")) != (
        record.name,
        record.requirement,
    ):
        raise ValueError(
            f"{out} is not empty and does not hold {record.name!r} ({record.requirement}); nothing there "
            f"was changed. "
            f"Choose another folder, such as -o {out / record.name}"
        )
    table = out / TABLE
    intact = table.is_file() and file_sha256(table) == card.get("table_sha256")
    files = card.get("files")
    if not intact or not isinstance(files, int) or _count_files(out / "images") < files:
        raise ValueError(
            f"{out} holds {record.name!r}, but {TABLE} or some images were changed or deleted since it was "
            f"written; "
            "nothing there was changed now. Delete the folder, or choose another one with -o"
        )
    return True


def _write_easy_vqa(folder: Path, progress: Progress) -> int:
    """Turn the easy-VQA wheel into a table: one row a question, the official train and test."""
    wheel = fetch_wheel(EASY_VQA, wheel_cache(), progress=progress)
    source = wheel / "easy_vqa" / "data"
    total = sum(images for _, images in EASY_VQA_SIZES.values())
    done = rows = 0
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", "question", "answer", "image_id", "split"])
        for split, (num_questions, num_images) in EASY_VQA_SIZES.items():
            questions = _questions(source / split / "questions.json")
            used = {index for _, _, index in questions}
            lacking = [index for index in used if not (source / split / "images" / f"{index}.png").is_file()]
            if (len(questions), len(used), len(lacking)) != (num_questions, num_images, 0):
                raise ValueError(
                    f"the easy-vqa wheel in {wheel} is not what was expected: {split} has {len(questions)} "
                    f"questions "
                    f"on {len(used)} images, {len(lacking)} of them missing; expected {num_questions} on "
                    f"{num_images}, "
                    "none missing. Delete that folder and try again"
                )
            images = folder / "images" / split
            images.mkdir(parents=True)
            for index in sorted(used):
                shutil.copyfile(source / split / "images" / f"{index}.png", images / f"{index}.png")
                done += 1
                if done % 250 == 0 or done == total:
                    progress(done, total, "writing images")
            for question, answer, index in questions:
                writer.writerow([f"images/{split}/{index}.png", question, answer, f"{split}-{index}", split])
            rows += len(questions)
    return rows


def _questions(path: Path) -> list[tuple[str, str, int]]:
    """Read and check rows of [question, answer, number of the image]."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path} ({error}); delete the folder of the wheel and try again") from error
    found: list[tuple[str, str, int]] = []
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [str() as question, str() as answer, int() as index] if not isinstance(index, bool):
                found.append((question, answer, index))
            case _:
                raise ValueError(f"{path} holds {str(row)[:80]!r}; expected [question, answer, number of the image]")
    return found


DATASETS.add(
    "easy-vqa",
    ReadyDataSet(
        name="easy-vqa",
        requirement=EASY_VQA,
        licence="MIT",
        homepage="https://github.com/vzhou842/easy-VQA",
        summary="5,000 images of 64 x 64 pixels with one shape each, 48,248 questions about them, 13 answers",
        target="answer",
        write=_write_easy_vqa,
    ),
)
