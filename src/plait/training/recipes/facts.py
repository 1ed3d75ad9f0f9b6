"""What a recipe may look at, read off a table before anything is encoded."""

from __future__ import annotations

import contextlib

import numpy as np

from plait.data.column_kind import kind_of
from plait.data.media import CellError, read_media
from plait.data.picture import check_image
from plait.data.schema import Schema
from plait.data.table import Table
from plait.training.recipes.base import Facts

SAMPLED_PHOTOS = 12


def facts_of(task: str, table: Table, schema: Schema, num_train: int) -> Facts:
    """The facts of a run.

    Args:
        task: Name of the task.
        table: The rows.
        schema: Its columns.
        num_train: Number of training rows.
    """
    return Facts(task, tuple(m.kind for m in schema.modalities), num_train, photo_side(table, schema))


def photo_side(table: Table, schema: Schema) -> int | None:
    """Median short side of the first photos, in pixels; None without readable photos."""
    sides = []
    for modality in schema.modalities:
        pictures = kind_of(modality).pictures
        if pictures is None:
            continue
        for cell in table.take(range(min(len(table), SAMPLED_PHOTOS))).column(modality.columns[0]):
            with contextlib.suppress(CellError):
                photos = pictures(cell, table.media_folder)[:1]
                sides += [
                    min(check_image(read_media(photo, table.media_folder))) for photo in photos if photo is not None
                ]
    return int(np.median(sides)) if sides else None
