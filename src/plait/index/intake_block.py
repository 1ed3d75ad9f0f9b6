"""One block of rows on its way into an index: what is known of them, what is hashed, embedded and written.

A row whose file has the size and time of change that it had when it was embedded is not read again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.cell_error import NO_FAULT
from plait.data.items import read_rows
from plait.data.media_folder import is_file
from plait.data.modality import Modality
from plait.data.table import Table
from plait.index.embedder import Embedder, embed_checked
from plait.index.intake_report import Intake
from plait.index.manifest import SourceFact
from plait.index.places import paths_of, state_of
from plait.index.source import IndexSource
from plait.index.storage import ID, KEY, RESERVED, ROW, SOURCE, STATE, Known, Storage


def hash_rows(table: Table, modality: Modality) -> tuple[list[str | None], dict[int, str]]:
    """The content key of each row, None where there is none; and why rows could not be read."""
    rows = read_rows(table, [modality])
    items = rows.items[modality.name]
    keys = [items.keys[i] if i >= 0 else None for i in items.index_N.tolist()]
    return keys, {fault.row: fault.reason for fault in rows.bad}


class Rules:
    """How the rows of one source are gone through.

    Attributes:
        number: Of the source.
        is_update: Whether items of other sources are replaced too.
        hashes_all: Whether every file is hashed, whatever its state.
        bad: Row number -> why it was bad before, and the state of its file then.
        shown: Keys of the contents that items show already.
    """

    def __init__(self, number: int, is_update: bool, hashes_all: bool, fact: SourceFact, known: dict[str, Known]):
        self.number, self.is_update, self.hashes_all = number, is_update, hashes_all
        self.bad = {row: (why, state) for row, why, state in fact.bad_rows}
        self.shown: set[str | None] = {item.key for item in known.values()}


class Block:
    """The rows of one commit, and what each of them needs. Places ``at`` count from the block's first row.

    Attributes:
        rows: Their positions in the source.
        keys: The content of each, None where there is none or it cannot be read.
        reasons: Why rows cannot be read, by place.
        written: Places whose item is written, in order.
        retold: Those of them whose metadata alone changed.
        touched: Those of them whose file alone has another state, with the same bytes, or that stand in another row.
    """

    def __init__(
        self, storage: Storage, source: IndexSource, metadata: pa.Table, rows: range, known: dict[str, Known],
        rules: Rules,
    ) -> None:  # fmt: skip
        self.storage, self.source, self.metadata, self.rows = storage, source, metadata, rows
        self.known, self.rules = known, rules
        modality = storage.manifest.modality
        table, column = source.table, modality.columns[0] if len(modality.columns) == 1 else None
        self.part = table.take(list(rows))
        self.names = [source.ids[row] for row in rows]
        self.cells = cells = [None] * len(rows) if column is None else self.part.column(column)
        self.states = [state_of(cell, table.root, modality) for cell in cells]
        self.old = self._old()
        self.keys: list[str | None] = [None] * len(rows)
        self.reasons: dict[int, str] = {}
        hashed = []
        for at, name in enumerate(self.names):
            before = known.get(name)
            row, is_same = table.row_number(rows[at]), self.states[at] is not None and not rules.hashes_all
            if before is None and is_same and rules.bad.get(row, ("", None))[1] == self.states[at]:
                self.reasons[at] = rules.bad[row][0]
            elif (
                before is not None and at in self.old and is_same and before.state == self.states[at]
                and self.old[at].get(column) == cells[at]
            ):  # fmt: skip
                self.keys[at] = before.key
            else:
                hashed.append(at)
        if hashed:
            keys, reasons = hash_rows(self.part.take(hashed), modality)
            for at, key in zip(hashed, keys, strict=True):
                self.keys[at] = key
            self.reasons.update({hashed[place]: why for place, why in reasons.items()})
        self._choose()

    def _old(self) -> dict[int, dict[str, Any]]:
        """What the index holds of the items that may be replaced, by place."""
        mine = [
            at for at, name in enumerate(self.names)
            if name in self.known and (self.rules.is_update or self.known[name].source == self.rules.number)
        ]  # fmt: skip
        return dict(zip(mine, self.storage.rows([self.names[at] for at in mine]), strict=True)) if mine else {}

    def _choose(self) -> None:
        self.retold: set[int] = set()
        self.touched: set[int] = set()
        same = [at for at, key in enumerate(self.keys) if key and self._is_known_as(at, key)]
        mine = [at for at in same if at in self.old]
        new = self.metadata.take([self.rows[at] for at in mine]).to_pylist() if mine else []
        for at, told in zip(mine, new, strict=True):
            if _differ(self.old[at], told):
                self.retold.add(at)
            elif (self.known[self.names[at]].state, self.old[at][ROW]) != (self.states[at], self.part.row_number(at)):
                self.touched.add(at)
        kept = set(same) - self.retold - self.touched
        self.num_kept = len(same) - len(self.retold)
        self.num_empty = sum(key is None and at not in self.reasons for at, key in enumerate(self.keys))
        self.written = [at for at, key in enumerate(self.keys) if key and at not in kept]

    def _is_known_as(self, at: int, key: str) -> bool:
        return self.names[at] in self.known and self.known[self.names[at]].key == key

    def embed(self, embedder: Embedder) -> dict[str, np.ndarray]:
        """Vectors of the contents that are new; a content that fails takes every row that shows it with it."""
        first: dict[str, int] = {}
        for at in self.written:
            key = self.keys[at]
            if key is not None and key not in first and not self.storage.has(key):
                first[key] = at
        if not first:
            return {}
        part, modality = self.part.take(list(first.values())), self.storage.manifest.modality
        vectors, bad = embed_checked(embedder, part, modality.name)
        failed = {list(first)[fault.row]: fault.reason for fault in bad}
        self.reasons.update({at: failed[key] for at in self.written if (key := self.keys[at]) in failed})
        self.written = [at for at in self.written if at not in self.reasons]
        return {key: vector for key, vector in zip(first, vectors, strict=True) if key not in failed}

    def bad(self) -> list[tuple[int, str, str | None]]:
        """Rows that could not be read: number, reason, state of their file."""
        made = []
        for at, why in sorted(self.reasons.items()):
            lead = f"{self.names[at]}: "
            row = self.source.table.row_number(self.rows[at])
            made.append((row, why if why.startswith(lead) else lead + why, self._state_of_fault(at, why)))
        return made

    def _state_of_fault(self, at: int, why: str) -> str | None:
        """The state of a file that is at fault itself; None: look again, it may be taken another time."""
        table = self.source.table
        paths = paths_of(self.cells[at], table.root, self.storage.manifest.modality)
        is_at_fault = NO_FAULT not in why and all(is_file(path, table.media_folder) for path in paths)
        return self.states[at] if is_at_fault else None

    def count(self, report: Intake, vectors: dict[str, np.ndarray]) -> None:
        """Add to the report, and to what is known, that these rows are written."""
        report.bad_rows += [(row, why) for row, why, _ in self.bad()]
        report.missing += self.num_empty
        report.unchanged += self.num_kept
        report.embedded += len(vectors)
        for at in self.written:
            before, key = self.known.get(self.names[at]), self.keys[at]
            is_content = at not in self.retold and at not in self.touched
            report.added += before is None
            report.updated += before is not None and is_content
            report.retold += at in self.retold
            report.shared += is_content and key in self.rules.shown
            self.rules.shown.add(key)
            self.known[self.names[at]] = Known(key or "", self.rules.number, self.states[at])

    def items(self) -> pa.Table | None:
        """The items to write, or None."""
        if not self.written:
            return None
        at = [self.rows[i] for i in self.written]
        table = pa.table(
            {
                ID: pa.array([self.names[i] for i in self.written], pa.string()),
                KEY: pa.array([self.keys[i] for i in self.written], pa.string()),
                SOURCE: pa.array([self.rules.number] * len(at), pa.int32()),
                ROW: pa.array([self.source.table.row_number(i) for i in at], pa.int64()),
                STATE: pa.array([self.states[i] for i in self.written], pa.string()),
            }
        )
        kept = self.metadata.take(at)
        for name in kept.column_names:
            table = table.append_column(name, kept.column(name))
        return table


def _differ(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two rows of metadata differ; what is missing equals an absent column, NaN equals NaN."""
    names = [name for name in {**old, **new} if name not in RESERVED]
    pairs = [(old.get(name), new.get(name)) for name in names]
    return any(a != b and repr(a) != repr(b) for a, b in pairs)
