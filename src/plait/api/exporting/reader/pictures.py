"""Columns of pictures, one or several in a cell: decoded, turned, cut and normalised by Plait's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.data.cell_error import CellError
from plait.data.imageset import read_image_set
from plait.data.media import content_key, is_empty, read_media
from plait.processors.image import ImageProcessor

Read = tuple[dict[str, np.ndarray], np.ndarray, list[tuple[int, str]]]


def reader(facts: dict[str, Any], model: Any) -> PictureReader:
    """The reader of a modality that ``plait.json`` describes."""
    return (SetReader if facts["kind"] == "image_set" else PictureReader)(facts, model)


class PictureReader:
    """Reads one column of pictures: paths, bytes, base64 text, PIL images or arrays of pixels.

    Args:
        facts: Of the modality.
        model: Whose ``root`` relative paths count from.
    """

    def __init__(self, facts: dict[str, Any], model: Any) -> None:
        self.column, self.model = facts["columns"][0], model
        self.processor = ImageProcessor.from_json(facts["processor"])

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the column, where it is there, and what could not be read."""
        blank = self.processor.arrays([])["pixel_values"]
        made = np.zeros((len(rows), *blank.shape[1:]), dtype=np.float32)
        there_B, problems = np.zeros(len(rows), dtype=bool), []
        for i, row in enumerate(rows):
            cell = row.get(self.column)
            if is_empty(cell):
                continue
            try:
                made[i], there_B[i] = self._pixels(cell), True
            except CellError as error:
                problems.append((i, f"{self.column}: {error}"))
        return {"pixel_values": made}, there_B, problems

    def _pixels(self, cell: Any) -> np.ndarray:
        found: np.ndarray = self.processor.arrays([read_media(cell, self.model.root)])["pixel_values"][0]
        return found


class SetReader(PictureReader):
    """Reads one column of lists of pictures."""

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the column, members behind the last of a row zero, and what could not be read."""
        sets: list[list[np.ndarray]] = [[] for _ in rows]
        problems = []
        for i, row in enumerate(rows):
            try:
                sets[i] = self._members(row.get(self.column))
            except CellError as error:
                problems.append((i, f"{self.column}: {error}"))
        blank = self.processor.arrays([])["pixel_values"]
        made = np.zeros((len(rows), max(1, *map(len, sets), 1), *blank.shape[1:]), dtype=np.float32)
        mask_BK = np.zeros(made.shape[:2], dtype=bool)
        for i, members in enumerate(sets):
            for k, pixels in enumerate(members):
                made[i, k], mask_BK[i, k] = pixels, True
        return {"pixel_values": made, "mask_BK": mask_BK}, mask_BK.any(axis=1), problems

    def _members(self, cell: Any) -> list[np.ndarray]:
        """Pixels of the members, in the order of their contents' hashes, as in training."""
        found = []
        for number, one in enumerate(read_image_set(cell, self.model.root)):
            try:
                data = read_media(one, self.model.root)
                found.append((content_key(data), self.processor.arrays([data])["pixel_values"][0]))
            except CellError as error:
                raise CellError(f"image {number} of the set: {error}") from error
        return [pixels for _, pixels in sorted(found, key=lambda pair: pair[0])]
