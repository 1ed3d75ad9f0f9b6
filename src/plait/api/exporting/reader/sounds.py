"""Columns of sounds: decoded, mixed to one channel, resampled and made to spectrograms or samples by Plait's own code.

WAV of plain samples needs numpy alone; other formats need soundfile, other rates than the model's need soxr.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.api.exporting.reader.missing_package import MissingPackageError
from plait.data.cell_error import CellError
from plait.data.media import is_empty
from plait.data.sound import find_sound
from plait.processors.audio import AudioProcessor, join_arrays
from plait.processors.samples import SampleReader

Read = tuple[dict[str, np.ndarray], np.ndarray, list[tuple[int, str]]]


def reader(facts: dict[str, Any], model: Any) -> SoundReader:
    """The reader of a modality that ``plait.json`` describes."""
    return SoundReader(facts, model)


class SoundReader:
    """Reads one column of sounds: paths, bytes, base64 text or decoded samples with their rate.

    Args:
        facts: Of the modality.
        model: Whose ``root`` relative paths count from.

    Attributes:
        largest_batch: Rows that the graph takes at once, None: any number; clips of bare samples must be equally long.
    """

    def __init__(self, facts: dict[str, Any], model: Any) -> None:
        self.column, self.model = facts["columns"][0], model
        described = facts["processor"]
        is_bare = described["type"] == "samples"
        self.processor = SampleReader.from_json(described) if is_bare else AudioProcessor.from_json(described)
        self.largest_batch = 1 if is_bare else None

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the column, where it is there, and what could not be read.

        Raises:
            MissingPackageError: A format or a rate needs a package that is not installed.
        """
        missing = self.processor.arrays([None])
        parts, there_B, problems = [], np.zeros(len(rows), dtype=bool), []
        for i, row in enumerate(rows):
            cell, part = row.get(self.column), missing
            if not is_empty(cell):
                try:
                    part, there_B[i] = self.processor.arrays([find_sound(cell, self.model.root)]), True
                except CellError as error:
                    problems.append((i, f"{self.column}: {error}"))
                except ImportError as error:
                    raise MissingPackageError(i, self.column, str(error), str(error.name)) from error
            parts.append(part)
        return join_arrays(parts) if parts else self.processor.arrays([]), there_B, problems
