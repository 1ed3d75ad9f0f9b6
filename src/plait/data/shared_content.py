"""Which rows hang together because they hold the same thing: one picture, one sound, or one text where a row is a text.

A table with its schema comes in; hashes of contents go out, by which ``split.split_rows`` keeps rows on one side. A
content that stands in very many rows (a placeholder picture, a question asked of every photo) ties nothing together:
it says nothing about its rows, and would leave one side empty.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from plait.data.column_kind import COLUMN_KINDS, kind_of
from plait.data.modality import Modality
from plait.data.remote.columns import bring_columns
from plait.data.rows import Rows
from plait.data.schema import Schema
from plait.data.table import Table
from plait.registry import counted

MOST_SHARED = 0.05  # of the rows: a content of more rows than that ties nothing together
Keys = list[str | None]


@dataclass(frozen=True)
class SharedContent:
    """What ties rows together.

    Attributes:
        keys: By column, the hash of each row's content where two rows or more share it, else None.
        called: By column, what one content and several are called: "picture" and "pictures".
        common: By column, contents that stand in so many rows that they tie nothing, and the rows that hold one.
    """

    keys: dict[str, Keys]
    called: dict[str, tuple[str, str]]
    common: dict[str, tuple[int, int]]

    def chosen(self, rows: np.ndarray) -> dict[str, Keys]:
        """The hashes of some rows, for ``split_rows``."""
        return {name: [keys[int(i)] for i in rows] for name, keys in self.keys.items()}

    def sentences(self) -> list[str]:
        """What was tied, for the report."""
        found = []
        for name, keys in self.keys.items():
            tied = Counter(key for key in keys if key is not None)
            if tied:
                one, many = self.called[name]
                found.append(
                    f"{counted(tied.total(), 'row')} of column {name!r} share {counted(len(tied), one, many)}; rows "
                    f"that share a {one} were put on one side of the split"
                )
        for name, (contents, rows) in self.common.items():
            found.append(
                f"{counted(contents, *self.called[name])} of column {name!r} {'stands' if contents == 1 else 'stand'} "
                f"in more than {MOST_SHARED:.0%} of the rows each ({counted(rows, 'row')}) and did not "
                "tie rows together"
            )
        return found


def shared_content(table: Table, schema: Schema, usable: np.ndarray) -> SharedContent:
    """The contents that two of the usable rows or more share.

    Pictures and sounds count by their bytes, in every column that holds some; texts, as they are read apart from case
    and spaces, only in tables without pictures and sounds, and not where most of them come back again and again.
    What cannot be read ties nothing; it is reported where rows are prepared.
    """
    found = SharedContent({}, {}, {})
    for modality, called, keys in _tying(table, schema):
        _tie(found, modality, called, keys, usable)
    return found


def same_as(table: Table, schema: Schema, these: np.ndarray, others: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Which of these rows share a content with one of the others, as in :func:`shared_content`; bool [len(these)].

    Args:
        table: All rows.
        schema: Its columns.
        these: Positions of the rows that are asked about.
        others: Positions of the rows that they are compared with.
        base: Positions of the rows among which a content must not be common to prove anything.
    """
    found = np.zeros(len(these), dtype=bool)
    for _, _, keys in _tying(table, schema):
        counts = Counter(keys[int(i)] for i in base)
        proving = {keys[int(i)] for i in others if counts[keys[int(i)]] <= most_shared(len(base))} - {None}
        found |= np.array([keys[int(i)] in proving for i in these], dtype=bool)
    return found


def most_shared(rows: int) -> float:
    """Rows out of so many that may hold one content; one that more of them hold ties nothing together."""
    return max(2, MOST_SHARED * rows)


def _tying(table: Table, schema: Schema) -> list[tuple[Modality, tuple[str, str], Keys]]:
    """Modalities whose contents tie rows together, what one content and several are called, and the contents."""
    watched = [m for m in schema.modalities if kind_of(m).watched is not None]
    if watched:
        return [(m, one_and_many(str(kind_of(m).watched)), _content_keys(table, m)) for m in watched]
    texts = [m for m in schema.modalities if m.kind == "text"]
    return [(m, ("text", "texts"), _text_keys(table, m.columns[0])) for m in texts]


def one_and_many(plural: str) -> tuple[str, str]:
    """What one content is called, and several.

    Example:
        >>> one_and_many("sets of pictures")
        ('set of pictures', 'sets of pictures')
    """
    first, *rest = plural.split(" ")
    return " ".join([first.removesuffix("s"), *rest]), plural


def _content_keys(table: Table, modality: Modality) -> Keys:
    if not any(column in table.column_names for column in modality.columns):
        return [None] * len(table)
    bring_columns(table, modality.columns)
    items = kind_of(modality).read(table, modality, Rows(table, {}))
    return [items.keys[i] if i >= 0 else None for i in items.index_N.tolist()]


def _text_keys(table: Table, column: str) -> Keys:
    checks = COLUMN_KINDS.get("text").checks
    if column not in table.column_names or checks is None:
        return [None] * len(table)
    cells = [cell if isinstance(cell, str) and cell.strip() else None for cell in table.column(column)]
    keys: Keys = [None if cell is None else checks.examine(cell, table.media_folder) for cell in cells]
    is_phrase_list = checks.leak_severity({column: keys}) == "info"
    return [None] * len(table) if is_phrase_list else keys


def _tie(found: SharedContent, modality: Modality, called: tuple[str, str], keys: Keys, usable: np.ndarray) -> None:
    """Put in the contents of a modality that several usable rows share."""
    counts = Counter(keys[int(i)] for i in usable)
    counts.pop(None, None)
    most = most_shared(len(usable))
    common = {key: count for key, count in counts.items() if count > most}
    tied = {key for key, count in counts.items() if 1 < count <= most}
    if common:
        found.common[modality.name] = (len(common), sum(common.values()))
        found.called[modality.name] = called
    if tied:
        inside = set(usable.tolist())
        found.keys[modality.name] = [key if key in tied and row in inside else None for row, key in enumerate(keys)]
        found.called[modality.name] = called
