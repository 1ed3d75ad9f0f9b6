"""Taking rows into an index, block by block: read, hash, leave out what is known, embed what is new, commit.

Every block is one commit that also says how far the source is done, so a killed run goes on at the next block. A
content is embedded once, whoever shows it. Rows that cannot be read are listed with their number and reason.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.table import Table
from plait.index.embedder import Embedder, embed_checked
from plait.index.manifest import MAX_BAD_ROWS, SourceFact
from plait.index.source import IndexSource
from plait.index.storage import ID, KEY, RESERVED, ROW, SOURCE, Change, Known, Storage
from plait.registry import counted

POLICIES = ("skip", "error")
BLOCK = 512  # rows a commit: what a killed run loses at most


@dataclass
class Intake:
    """What became of the rows of a source.

    Attributes:
        source: Which.
        num_rows: Rows in it.
        resumed_at: The row at which a stopped run went on.
        added: Items that are new.
        updated: Items whose content changed.
        retold: Items whose metadata changed and whose content did not.
        unchanged: Items that were there already.
        embedded: Contents that the model embedded.
        shared: New or updated items whose content was known already (duplicates).
        deleted: Items that were gone from the source and were deleted.
        gone: Items that are gone from the source and were kept.
        missing: Rows with nothing in the modality.
        bad_rows: Rows that could not be read: number, reason.
        notes: What a person should know.
    """

    source: str
    num_rows: int
    resumed_at: int = 0
    added: int = 0
    updated: int = 0
    retold: int = 0
    unchanged: int = 0
    embedded: int = 0
    shared: int = 0
    deleted: int = 0
    gone: int = 0
    missing: int = 0
    bad_rows: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "bad_rows": [{"row": row, "reason": why} for row, why in self.bad_rows]}

    def text(self) -> str:
        """The report for people."""
        counts = [
            f"{value:,} {word}"
            for value, word in (
                (self.added, "added"),
                (self.updated, "updated"),
                (self.retold, "with new metadata"),
                (self.unchanged, "unchanged"),
                (self.deleted, "deleted"),
                (self.gone, "gone from the source and kept (prune=True deletes them)"),
                (self.shared, "shared the content of another"),
                (self.missing, "empty"),
                (len(self.bad_rows), "unreadable"),
            )
            if value
        ]
        lines = [f"{self.source}: {counted(self.num_rows, 'row')}: {', '.join(counts) or 'nothing to do'}"]
        lines += [f"  row {row}: {why}" for row, why in self.bad_rows[:10]]
        lines += [f"  and {len(self.bad_rows) - 10:,} more"] if len(self.bad_rows) > 10 else []
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def take_in(
    storage: Storage,
    embedder: Embedder,
    source: IndexSource,
    *,
    number: int,
    is_update: bool = False,
    prune: bool = False,
    on_bad_row: str = "skip",
    block: int = BLOCK,
    progress: Progress | None = None,
) -> Intake:
    """Take a source in.

    Args:
        storage: Where to; under its writer's lock.
        embedder: The model of the index.
        source: The rows.
        number: The source's number in the manifest; the next free one for a new source.
        is_update: Replace items whose content or metadata changed; otherwise a changed content is refused.
        prune: With ``is_update``: delete items of this source that it no longer has.
        on_bad_row: "skip" (left out, listed) or "error".
        block: Rows a commit.
        progress: Called with (done, total, what).

    Raises:
        ValueError: A policy that is none, a bad row under "error", or an id that is taken by another content.
    """
    if on_bad_row not in POLICIES:
        raise ValueError(f"on_bad_row is {on_bad_row!r}; expected one of {', '.join(POLICIES)}")
    if block < 1:
        raise ValueError(f"the batch size is {block}; expected 1 or more rows")
    table, modality = source.table, storage.manifest.modality
    report = Intake(source.source, len(table), notes=list(source.notes))
    fact = _fact(storage, source, number)
    report.resumed_at = 0 if is_update else fact.done_rows
    if is_update or not fact.done_rows:
        bad = [(fault.row, fault.reason) for fault in table.bad_rows]
        _refuse(bad, source, on_bad_row)
        report.bad_rows += bad
        fact = replace(fact, done_rows=0, num_missing=0, num_bad=len(bad), bad_rows=tuple(bad[:MAX_BAD_ROWS]))
    known = storage.known()
    if not is_update:
        _refuse_taken(source, modality, known, report.resumed_at)
    metadata = source.metadata(modality)
    for low in range(report.resumed_at, len(table), block):
        rows = range(low, min(low + block, len(table)))
        keys, reasons = _hash(table.take(list(rows)), modality)
        chosen, replaced = _choose(storage, source, metadata, rows, keys, known, is_update, report)
        vectors = _embed(storage, embedder, table, modality, rows, keys, chosen, reasons, report)
        bad = [(table.row_number(rows[at]), f"{source.ids[rows[at]]}: {why}") for at, why in sorted(reasons.items())]
        _refuse(bad, source, on_bad_row)
        chosen = [at for at in chosen if at not in reasons]
        brought: set[str | None] = set()  # new contents whose first row is past
        for at in chosen:
            old = known.get(source.ids[rows[at]])
            report.added += old is None
            report.updated += old is not None and at not in replaced
            report.retold += at in replaced
            report.shared += at not in replaced and (keys[at] not in vectors or keys[at] in brought)
            brought.add(keys[at])
            known[source.ids[rows[at]]] = Known(keys[at] or "", number)
        report.bad_rows += bad
        empty = sum(key is None and at not in reasons for at, key in enumerate(keys))
        report.missing += empty
        fact = replace(
            fact, done_rows=rows.stop, num_missing=fact.num_missing + empty, num_bad=fact.num_bad + len(bad),
            bad_rows=(*fact.bad_rows, *bad)[:MAX_BAD_ROWS],
        )  # fmt: skip
        items = _items(source, metadata, rows, keys, chosen, number)
        storage.commit(Change(vectors, items), storage.manifest.with_source(number, fact))
        if progress is not None:
            progress(rows.stop, len(table), "indexing")
    if is_update:
        _prune(storage, source, known, number, prune, report)
    return report


def _fact(storage: Storage, source: IndexSource, number: int) -> SourceFact:
    """What is known of this source; afresh when its rows are others than before."""
    root = None if source.table.root is None else str(source.table.root)
    new = SourceFact(
        source.source, root, source.prefix, source.column, len(source.table), 0, source.rows_sha256
    )  # fmt: skip
    sources = storage.manifest.sources
    if number < len(sources) and sources[number].rows_sha256 == new.rows_sha256:
        return sources[number]
    return new


def _refuse(bad: list[tuple[int, str]], source: IndexSource, policy: str) -> None:
    if bad and policy == "error":
        lines = "\n".join(f"  row {row}: {why}" for row, why in bad[:10])
        raise ValueError(
            f"{counted(len(bad), 'row')} of {source.source} cannot be read:\n{lines}\nMend them, or type "
            "on_bad_row='skip' (they are left out and listed). What was committed before stays"
        )


def _refuse_taken(source: IndexSource, modality: Modality, known: dict[str, Known], start: int) -> None:
    """An id that stands for another content already is refused before anything is embedded."""
    taken = [row for row in range(start, len(source.ids)) if source.ids[row] in known]
    if not taken:
        return
    keys, _ = _hash(source.table.take(taken), modality)
    clash = [source.ids[row] for row, key in zip(taken, keys, strict=True) if key and key != known[source.ids[row]].key]
    if clash:
        raise ValueError(
            f"{len(clash)} ids of {source.source} are in the index with another content, {clash[0]!r} for one; take up "
            "changes with plait index update INDEX SOURCE, or tell two sources apart with prefix=TEXT"
        )


def _hash(table: Table, modality: Modality) -> tuple[list[str | None], dict[int, str]]:
    """The content key of each row, None where there is none; and why rows could not be read."""
    rows = read_rows(table, [modality])
    items = rows.items[modality.name]
    keys = [items.keys[i] if i >= 0 else None for i in items.index_N.tolist()]
    return keys, {fault.row: fault.reason for fault in rows.bad}


def _choose(
    storage: Storage,
    source: IndexSource,
    metadata: pa.Table,
    rows: range,
    keys: list[str | None],
    known: dict[str, Known],
    is_update: bool,
    report: Intake,
) -> tuple[list[int], set[int]]:
    """Places in the block that need an item written; and those of them whose metadata alone changed."""
    same = [at for at, key in enumerate(keys) if key and source.ids[rows[at]] in known
            and known[source.ids[rows[at]]].key == key]  # fmt: skip
    retold: set[int] = set()
    if is_update and same:
        old = storage.rows([source.ids[rows[at]] for at in same])
        new = metadata.take([rows[at] for at in same]).to_pylist()
        retold = {at for at, a, b in zip(same, old, new, strict=True) if _told(a) != _told(b)}
    kept = set(same) - retold
    report.unchanged += len(kept)
    return [at for at, key in enumerate(keys) if key and at not in kept], retold


def _told(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in RESERVED and value is not None}


def _embed(
    storage: Storage,
    embedder: Embedder,
    table: Table,
    modality: Modality,
    rows: range,
    keys: list[str | None],
    chosen: list[int],
    reasons: dict[int, str],
    report: Intake,
) -> dict[str, np.ndarray]:
    """Vectors of the contents that are new; a content that fails takes every row that shows it with it."""
    first: dict[str, int] = {}
    for at in chosen:
        key = keys[at]
        if key is not None and key not in first and not storage.has(key):
            first[key] = at
    if not first:
        return {}
    vectors, bad = embed_checked(embedder, table.take([rows[at] for at in first.values()]), modality.name)
    failed = {list(first)[fault.row]: fault.reason for fault in bad}
    reasons.update({at: failed[key] for at in chosen if (key := keys[at]) in failed})
    made = {key: vector for key, vector in zip(first, vectors, strict=True) if key not in failed}
    report.embedded += len(made)
    return made


def _items(
    source: IndexSource, metadata: pa.Table, rows: range, keys: list[str | None], chosen: list[int], number: int
) -> pa.Table | None:
    if not chosen:
        return None
    at = [rows[i] for i in chosen]
    table = pa.table(
        {
            ID: pa.array([source.ids[i] for i in at], pa.string()),
            KEY: pa.array([keys[i] for i in chosen], pa.string()),
            SOURCE: pa.array([number] * len(at), pa.int32()),
            ROW: pa.array([source.table.row_number(i) for i in at], pa.int64()),
        }
    )
    kept = metadata.take(at)
    for name in kept.column_names:
        table = table.append_column(name, kept.column(name))
    return table


def _prune(
    storage: Storage, source: IndexSource, known: dict[str, Known], number: int, prune: bool, report: Intake
) -> None:
    here = set(source.ids)
    gone = [name for name, item in known.items() if item.source == number and name not in here]
    if prune and gone:
        storage.commit(Change(delete=gone), storage.manifest)
        report.deleted = len(gone)
    else:
        report.gone = len(gone)
