"""A kind of column is one record: how it is recognised, read into items, checked and shown.

The records of the kinds that Plait knows lie in :mod:`plait.data.kinds`, one file each; what a model does with a kind
is the record of the same name in ``plait.inputs.modality_kinds``. A kind from elsewhere is registered in both, and then
goes wherever the built-in ones go: its ``claim`` takes the columns of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import Table
from plait.registry import Registry

Keys = Sequence[str | None]  # the content hash of each cell of a column; None where there is none


@dataclass(frozen=True)
class Sample:
    """What a recogniser sees of a column.

    Attributes:
        type: The Arrow type.
        values: Up to 1000 of its values, evenly spaced, none of them missing.
    """

    type: pa.DataType
    values: list[Any]

    def most(self, looks: Callable[[Any], bool]) -> bool:
        """Whether at least four of five values look so."""
        return self.share(looks) >= 0.8

    def share(self, looks: Callable[[Any], bool]) -> float:
        """The share of values that look so, 0 where there are none."""
        return sum(map(looks, self.values)) / len(self.values) if self.values else 0.0


@dataclass(frozen=True)
class Hints:
    """What the user says of cells that could be read in two ways.

    Attributes:
        decimal: The decimal mark of ``1,234``, "." or ",".
        date_order: The order of 05/03/2024, "dmy" or "mdy".
    """

    decimal: str | None = None
    date_order: str | None = None


@dataclass(frozen=True)
class CellChecks:
    """What the data doctor asks of the cells of a kind.

    Attributes:
        empty: Code and title of the finding about empty cells.
        no_column: What that finding says where no column is of this kind.
        examine: From what ``load`` gave and the table's folder to a hash of the content; a ``CellError`` says what is
            broken.
        load: From a cell and the table's folder to its content; a ``CellError`` says that it is not there.
        broken: Code, title and good news of the finding about what is broken; None where nothing can be.
        doubt: Says what may be wrong with a content that can be used; None where nothing is. Takes what ``examine``
            takes.
        doubtful: Code, title and good news of the finding about such doubts.
        in_files: Whether contents lie in files, which may be missing.
        compare: Looks at a whole column once its cells are examined, and adds what is wrong to the contents
            (``checks.contents.Contents``).
        leak: Code and title of the finding about contents that stand in two splits; None where that is no fault.
        leak_severity: How bad such a leak is, predicted by the hashes of each column.
    """

    empty: tuple[str, str]
    no_column: str
    examine: Callable[[Any, Root], str]
    load: Callable[[Any, Root], Any] = lambda cell, root: cell
    broken: tuple[str, str, str] | None = None
    doubt: Callable[[Any, Root], str | None] | None = None
    doubtful: tuple[str, str, str] | None = None
    in_files: bool = False
    compare: Callable[[Table, str, Any], None] | None = None
    leak: tuple[str, str] | None = None
    leak_severity: Callable[[Mapping[str, Keys]], str] = lambda columns: "error"


@dataclass(frozen=True)
class ColumnKind:
    """One kind of column.

    Attributes:
        fits: Whether an Arrow type can be of this kind.
        holds: What such a column holds, in words.
        read: From table and modality to its unique items; what cannot be read is reported to the rows.
        show: From an item's cell to what a report shows of it: dictionaries with ``text`` or ``image_jpeg_base64``.
        claim: Why a column is of this kind, in words; None where it is not. Without it columns are not recognised, or
            by the rules for plain values in :mod:`plait.data.guess`.
        joined_as: The modality that all columns of the kind make together; None: each is a modality of its own.
        scale: What its values measure, "class" or "number"; None: neither, so that it can be no target.
        fits_target: As ``fits``, for a target.
        odd: Why a column of another type cannot be read as this kind, such as texts that are no numbers; "" where it
            can. None: no such column can.
        checks: What the data doctor asks of its cells.
        watched: What to call its items where the same one binds rows together: such rows are drawn as one, and one
            that stands in two splits is leakage. None: an item says nothing about its rows.
        pictures: From a cell and the table's folder to the pictures in it.
        suffixes: How files of this kind end; empty where a folder of files says nothing.
        names_files: Whether its cells may name files, or objects by their address.
    """

    fits: Callable[[pa.DataType], bool]
    holds: str
    read: Callable[[Table, Modality, Rows], Items]
    show: Callable[[Any, Items, Table], list[dict[str, Any]]]
    claim: Callable[[Sample], str | None] | None = None
    joined_as: str | None = None
    scale: str | None = None
    fits_target: Callable[[pa.DataType], bool] | None = None
    odd: Callable[[Table, str, Hints], str] | None = None
    checks: CellChecks | None = None
    watched: str | None = None
    pictures: Callable[[Any, Root], list[Any]] | None = None
    suffixes: frozenset[str] = frozenset()
    names_files: bool = False


COLUMN_KINDS: Registry[ColumnKind] = Registry("kind")


def is_joined(modality: Modality) -> bool:
    """Whether a modality is made of all columns of its kinds, as numbers and categories are."""
    return any(COLUMN_KINDS.get(kind).joined_as == modality.kind for kind in COLUMN_KINDS)


def kind_of(modality: Modality) -> ColumnKind:
    """The record by which a modality is read: that of its kind, or one of those that are joined under it."""
    for record in map(COLUMN_KINDS.get, COLUMN_KINDS):
        if record.joined_as == modality.kind:
            return record
    return COLUMN_KINDS.get(modality.kind)
