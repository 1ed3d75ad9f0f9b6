"""What Plait does with each kind of modality between a table's cells and a model: one record a kind.

The records of the kinds that Plait knows lie in :mod:`plait.inputs.kinds`, one file each; how cells are recognised,
read, checked and shown is the record of the same name in :mod:`plait.data.column_kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import BadRow, Table
from plait.data.values import ColumnReading
from plait.encoders.base import Encoder
from plait.inputs.dataset import LiveSource, Source
from plait.processors.augment.views import ViewMaker
from plait.registry import Registry
from plait.settings import EncoderSettings

if TYPE_CHECKING:
    from plait.processors import Processor

Load = Callable[[int], Any]
Plain = Callable[[dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class TrainingRows:
    """What an encoder may be fitted on.

    Attributes:
        table: The whole table.
        items: The modality's items in it.
        positions: Positions of the training rows.
        kinds: Kind of each column of the table; "" of those that are not read.
        readings: How the cells of each column are read.
        numbers: How a network is given a number (``encoders.numbers``).
        categories: How it is given a category (``encoders.categories``).
    """

    table: Table
    items: Items
    positions: np.ndarray
    kinds: dict[str, str]
    readings: dict[str, ColumnReading]
    numbers: str = "linear"
    categories: str = "full"


def load_cell(cell: Any, root: Root) -> Any:
    """The cell as it is."""
    return cell


def encoded_vector(processor: Any, is_frozen: bool) -> Plain | None:
    """The vector of a frozen encoder; a trained one's is not known before the model is."""
    return itemgetter("vector_BD") if is_frozen else None


def live_items(processor: Processor, items: Items, load: Load) -> Source:
    """Items that are processed each time; a missing one is None to the processor."""
    return LiveSource(processor, load, None)


@dataclass(frozen=True)
class ModalityKind:
    """One kind of modality.

    Attributes:
        encoder: What its encoder encodes, which is also the name of its setting; None for a kind that brings its own.
        load: From a cell and the table's folder to what the processor takes.
        live: From processor, items and loader to the tensors of items whose encoder is trained.
        own: Processor and encoder of a kind that brings its own; None where a setting names the encoder, or where only
            ``fit`` can make both.
        fit: From the modality, what ``own`` made and training rows to processor and encoder. None where nothing is
            learned before training.
        configure: Puts settings into a processor that was just loaded; takes the encoder's reference last.
        unreadable: From the training table, before anything is learned, to cells that are no values of their column's
            kind: position, column and reason. None where ``read`` or ``examine`` find them.
        examine: Raises a ``CellError`` for what a processor would refuse; takes the item, the processor and the
            largest image. None where nothing can be wrong any more.
        count: From items, processor and loader to counts worth a note; None where there are none.
        report: From items, processor and rows: reports to the rows, after ``live``, the cells of items that are in use
            though a part of them counts as missing.
        plural: What to call its items while they are examined; "" where that takes no time.
        require: Raises an ``ImportError`` where an optional package is missing, before any item is blamed for it.
        is_set: Whether an item is a set of what the encoder reads: each member's vector is a token.
        is_random: Whether its encoder always begins with random weights, other ones with another seed.
        fitted_width: Width of vector and tokens of an encoder that only ``fit`` makes.
        plain: From the processor, and whether the encoder is frozen, to a function of a batch's tensors that gives the
            features a linear model reads [B, D]; None where there are none.
        views: How its items are changed for training; None: they are not.
        has_words: Whether its items are texts, which n-grams can be counted in.
        has_columns: Whether its tensors are those of ``TabularProcessor``, which trees can be grown on.
    """

    encoder: str | None = None
    load: Callable[[Any, Root], Any] = load_cell
    live: Callable[[Processor, Items, Load], Source] = live_items
    own: Callable[[Modality, Table], tuple[Processor, Encoder]] | None = None
    fit: Callable[[Modality, Processor | None, Encoder | None, TrainingRows], tuple[Processor, Encoder]] | None = None
    unreadable: Callable[[Modality, TrainingRows], list[BadRow]] | None = None
    configure: Callable[[Processor, EncoderSettings, str], None] | None = None
    examine: Callable[[Any, Any, int], None] | None = None
    count: Callable[[Items, Any, Load], dict[str, int]] | None = None
    report: Callable[[Items, Any, Rows], None] | None = None
    plural: str = ""
    require: Callable[[], Any] | None = None
    is_set: bool = False
    is_random: bool = False
    fitted_width: int | None = None
    plain: Callable[[Any, bool], Plain | None] = encoded_vector
    views: ViewMaker | None = None
    has_words: bool = False
    has_columns: bool = False


MODALITY_KINDS: Registry[ModalityKind] = Registry("kind of modality")


def loader(items: Items, root: Root) -> Load:
    """Loads the item of a number, or the changed copy of one."""
    load = MODALITY_KINDS.get(items.modality.kind).load

    def load_number(number: int) -> Any:
        if items.changes is None or number < len(items.cells):
            return load(items.cells[number], root)
        item, change = items.changes.change_of(number)
        return change(load(items.cells[item], root))

    return load_number
