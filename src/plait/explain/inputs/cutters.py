"""How the item of a row is cut into parts, by kind of modality; a kind that is not here has no parts to hide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.data.column_kind import kind_of
from plait.data.modality import Modality
from plait.evaluation import EvaluationInputs
from plait.explain.inputs.columns import cut_columns
from plait.explain.inputs.cut import Cut
from plait.explain.inputs.members import cut_members
from plait.explain.inputs.options import InputOptions
from plait.explain.inputs.regions import cut_regions
from plait.explain.inputs.spans import cut_spans
from plait.explain.inputs.words import cut_words
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import loader
from plait.processors.cleaning import clean_texts
from plait.registry import Registry


@dataclass(frozen=True)
class Item:
    """The item that one row shows of one modality.

    Attributes:
        given: The rows.
        inputs: What reads them.
        modality: Which.
        number: Number of the item.
        options: How to cut.
    """

    given: EvaluationInputs
    inputs: Inputs
    modality: Modality
    number: int
    options: InputOptions

    @property
    def cell(self) -> Any:
        """The cell as given."""
        return self.items.cells[self.number]

    @property
    def items(self) -> Any:
        """All items of the modality."""
        return self.given.prepared.rows.items[self.modality.name]

    def loaded(self) -> Any:
        """The item as its processor takes it."""
        return loader(self.items, self.given.prepared.rows.table.media_folder)(self.number)

    @property
    def processor(self) -> Any:
        """The modality's processor."""
        return self.inputs.processors[self.modality.name]


Cutter = Callable[[Item], Cut]
CUTTERS: Registry[Cutter] = Registry("kind of modality that has parts")


def _words(item: Item) -> Cut:
    text = clean_texts([item.loaded()], getattr(item.processor, "cleaning", "none"))[0][0]
    return cut_words(text, item.options.words)


def _regions(item: Item) -> Cut:
    return cut_regions(item.loaded(), item.options.grid, item.options.regions, item.inputs.max_pixels)


def _spans(item: Item) -> Cut:
    return cut_spans(item.loaded(), item.options.spans, item.processor.max_seconds)


def _columns(item: Item) -> Cut:
    shown = item.items.index_N[item.given.positions]
    others = np.array([n for n in shown if n >= 0 and n != item.number], dtype=np.int64)
    rng = np.random.default_rng([item.options.seed, item.number])
    drawn: Any = rng.choice(others, min(item.options.draws, len(others)), replace=False) if len(others) else []
    return cut_columns(item.cell, [item.items.cells[int(n)] for n in drawn], item.options.cells)


def _members(item: Item) -> Cut:
    shown = kind_of(item.modality).show(item.cell, item.items, item.given.prepared.rows.table)
    return cut_members(item.cell, [s.get("image_jpeg_base64") for s in shown if "image_jpeg_base64" in s])


for _name, _cutter in (
    ("text", _words), ("image", _regions), ("audio", _spans), ("tabular", _columns), ("image_set", _members),
):  # fmt: skip
    CUTTERS.add(_name, _cutter)
