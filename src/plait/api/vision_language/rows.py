"""A table as requests: pictures and questions read, what cannot be read told by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.api.vision_language.asking import Asking
from plait.data.bad_rows import apply_policy
from plait.data.coco.vqa_json import is_vqa_folder
from plait.data.columns import is_row
from plait.data.items import read_rows
from plait.data.media import CellError, read_media
from plait.data.modality import Modality
from plait.data.picture import decode_image
from plait.data.rows import Items, Rows
from plait.data.sources import is_folder, open_source
from plait.data.table import Table
from plait.inference.vision_language import Prompter, Request
from plait.registry import unknown_name
from plait.settings import DataSettings

if TYPE_CHECKING:
    from PIL import Image


@dataclass
class AskedRows:
    """Rows, and those among them that can be asked.

    Attributes:
        rows: All rows, with what could not be read.
        keep: Positions of the rows that are asked, in order.
        requests: Of each of these, what is asked.
        asking: How.
        question: Column of questions; None: there is none.
        sizes: Width and height of each picture that is asked about, by the key of its request.
    """

    rows: Rows
    keep: np.ndarray
    requests: list[Request]
    asking: Asking
    question: str | None
    sizes: dict[str, tuple[int, int]]

    @property
    def names(self) -> list[str]:
        """Columns that are read."""
        return list(self.rows.items)

    def problems(self) -> list[str | None]:
        """What is wrong with each row, in words; None where it was asked."""
        found: dict[int, list[str]] = {}
        for bad in [*self.rows.bad, *self.rows.unknown]:
            found.setdefault(bad.row, []).append(f"{bad.column}: {bad.reason}" if bad.column else bad.reason)
        for name, items in self.rows.items.items():
            for row in np.flatnonzero(items.index_N < 0):
                if not any(reason.startswith(f"{name}: ") for reason in found.get(int(row), [])):
                    found.setdefault(int(row), []).append(f"{name}: the cell is empty")
        return ["; ".join(found[i]) if i in found else None for i in range(len(self.rows))]


def open_asked(
    asking: Asking, table: Any, *, format: str | None = None, encoding: str | None = None, allow_outside: bool = False,
    allow_remote: bool = False,
    annotations: str | None = None,
) -> Table:  # fmt: skip
    """The table, which holds the columns that are read; a dictionary of single values is a table of one row.

    Raises:
        ValueError: It cannot be read, or lacks one of them.
    """
    data = DataSettings(format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote)
    source = [table] if is_row(table) else table
    is_coco = is_folder(table) and not is_vqa_folder(table)
    opened = open_source(source, data, task="captioning" if is_coco else None, annotations=annotations).table
    for name in (asking.image, asking.question_of(opened.column_names)):
        if name is not None and name not in opened.column_names:
            what = "pictures" if name == asking.image else "questions"
            raise ValueError(
                f"{opened.source}: {unknown_name(f'column of {what}', name, opened.column_names)}; name yours when the "
                "model is made: plait.vlm(CHECKPOINT, image=COLUMN, question=COLUMN, output=MODEL)"
            )
    return opened


def ask_rows(asking: Asking, table: Table, on_bad_row: str, prompter: Prompter) -> AskedRows:
    """The rows of a table as requests; every picture is decoded once here to know that it can be.

    A question that writes one of the model's control tokens, such as its image token, cannot be asked, nor one of more
    tokens than the model has positions.

    Raises:
        ValueError: Rows that cannot be read under "error".
    """
    question = asking.question_of(table.column_names)
    modalities = [Modality(asking.image, "image", (asking.image,))]
    if question is not None:
        modalities.append(Modality(question, "text", (question,)))
    rows = read_rows(table, modalities)
    pictures = rows.items[asking.image]
    failures: dict[int, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for number, cell in enumerate(pictures.cells):
        try:
            sizes[pictures.keys[number]] = decoded(cell, table).size
        except CellError as error:
            failures[number] = str(error)
    for row, reason in pictures.drop(failures):
        rows.report(row, asking.image, reason)
    if question is not None:
        texts = rows.items[question]
        found = {number: prompter.refusal(_plain(cell)) for number, cell in enumerate(texts.cells)}
        for row, reason in texts.drop({number: reason for number, reason in found.items() if reason is not None}):
            rows.report(row, question, reason)
    rows.bad.sort(key=lambda b: (b.row, b.column or ""))
    keep = apply_policy(rows, on_bad_row)
    keep = keep[rows.present_NM[keep].all(1)]
    requests = [request_of(asking, rows, question, int(i)) for i in keep]
    return AskedRows(rows, keep, requests, asking, question, sizes)


def request_of(asking: Asking, rows: Rows, question: str | None, position: int) -> Request:
    """What the row at a position asks."""
    pictures = rows.items[asking.image]
    number = int(pictures.index_N[position])
    text = None
    if question is not None:
        texts = rows.items[question]
        text = _plain(texts.cells[int(texts.index_N[position])])
    return Request(pictures.keys[number], opening(pictures, number, rows.table), asking.text(text))


def _plain(cell: Any) -> str:
    return cell.decode() if isinstance(cell, bytes) else str(cell)


def opening(pictures: Items, number: int, table: Table) -> Callable[[], Image.Image]:
    """What decodes the picture of a number."""
    return partial(decoded, pictures.cells[number], table)


def decoded(cell: Any, table: Table) -> Image.Image:
    """A picture as a person sees it, at its own size.

    Raises:
        CellError: It cannot be read.
    """
    return decode_image(read_media(cell, table.media_folder))
