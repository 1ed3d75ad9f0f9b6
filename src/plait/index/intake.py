"""Taking rows into an index, block by block: read, hash, leave out what is known, embed what is new, commit.

Every block is one commit that also says how far the source is done, so a killed run goes on at the next block. A
content is embedded once, whoever shows it. Rows that cannot be read are listed with their number and reason.

A source that is taken in again is gone through from its first row: what was deleted from the index comes back, and a
file of another size or time of change than when it was embedded is hashed again; a changed content replaces the old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from plait.data.progress import Progress
from plait.index.embedder import Embedder
from plait.index.intake_block import Block, Rules, hash_rows
from plait.index.intake_report import Intake
from plait.index.letters import texts_note
from plait.index.manifest import MAX_BAD_ROWS, SourceFact
from plait.index.source import IndexSource
from plait.index.storage import Change, Known, Storage
from plait.registry import counted

POLICIES = ("skip", "error")
BLOCK = 512  # rows a commit: what a killed run loses at most


def take_in(
    storage: Storage,
    embedder: Embedder,
    source: IndexSource,
    *,
    number: int,
    is_update: bool = False,
    prune: bool = False,
    check: bool = False,
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
        is_update: Hash every row again, and replace items of other sources too; otherwise an id of another source
            that stands for another content is refused.
        prune: Delete items of this source that it no longer has.
        check: Hash every row again, whatever the size and time of its file.
        on_bad_row: "skip" (left out, listed) or "error".
        block: Rows a commit.
        progress: Called with (done, total, what).

    Raises:
        ValueError: A policy that is none, a bad row under "error", or an id that is taken by another source's content.
    """
    if on_bad_row not in POLICIES:
        raise ValueError(f"on_bad_row is {on_bad_row!r}; expected one of {', '.join(POLICIES)}")
    if block < 1:
        raise ValueError(f"block={block}; expected 1 or more rows at a time")
    table = source.table
    fact = _fact(storage, source, number)
    report = Intake(source.source, len(table), 0 if is_update else fact.done_rows, notes=list(source.notes))
    broken = [(fault.row, fault.reason, None) for fault in table.bad_rows]
    _refuse(broken, source, on_bad_row)
    report.bad_rows += [(row, reason) for row, reason, _ in broken]
    known = storage.known()
    if not is_update:
        _refuse_taken(source, storage, known, number, report)
    counted = replace(fact, num_missing=0, num_bad=len(broken), bad_rows=tuple(broken[:MAX_BAD_ROWS]))
    rules = Rules(number, is_update, is_update or check, fact, known)
    metadata = source.metadata(storage.manifest.modality)
    for low in range(0, len(table), block):
        part = Block(storage, source, metadata, range(low, min(low + block, len(table))), known, rules)
        vectors = part.embed(embedder)
        bad = part.bad()
        _refuse(bad, source, on_bad_row)
        part.count(report, vectors)
        counted = replace(
            counted, done_rows=part.rows.stop, num_missing=counted.num_missing + part.num_empty,
            num_bad=counted.num_bad + len(bad), bad_rows=(*counted.bad_rows, *bad)[:MAX_BAD_ROWS],
        )  # fmt: skip
        # until it is past what was done before, the source stays as far as it was
        now = counted if counted.done_rows >= fact.done_rows else fact
        items = part.items()
        if items is not None or storage.manifest.sources[number : number + 1] != (now,):
            storage.commit(Change(vectors, items), storage.manifest.with_source(number, now))
        if progress is not None:
            progress(part.rows.stop, len(table), "indexing")
    if report.embedded and len(storage.manifest.modality.columns) == 1:
        unread = texts_note(embedder, storage.manifest.modality, table.column(storage.manifest.modality.columns[0]))
        report.notes += [] if unread is None else [unread]
    _prune(storage, source, known, number, prune, report)
    return report


def _fact(storage: Storage, source: IndexSource, number: int) -> SourceFact:
    """What is known of this source; afresh when its rows are others than before."""
    root = None if source.table.root is None else str(source.table.root)
    new = SourceFact(
        source.source, root, source.prefix, source.column, len(source.table), 0, source.rows_sha256,
        id_column=source.id_column,
    )  # fmt: skip
    sources = storage.manifest.sources
    if number < len(sources) and sources[number].rows_sha256 == new.rows_sha256:
        return sources[number]
    return new


def _refuse(bad: Sequence[tuple[int, str, str | None]], source: IndexSource, policy: str) -> None:
    if bad and policy == "error":
        lines = "\n".join(f"  row {row}: {why}" for row, why, _ in bad[:10])
        raise ValueError(
            f"{counted(len(bad), 'row')} of {source.source} cannot be read:\n{lines}\nMend them, or type "
            "on_bad_row='skip' (they are left out and listed). What was committed before stays"
        )


def _refuse_taken(source: IndexSource, storage: Storage, known: dict[str, Known], number: int, report: Intake) -> None:
    """An id that stands for another content of another source is refused before anything is embedded."""
    names = source.ids
    taken = [row for row in range(len(names)) if names[row] in known and known[names[row]].source != number]
    if not taken:
        return
    keys, _ = hash_rows(source.table.take(taken), storage.manifest.modality)
    clash = [names[row] for row, key in zip(taken, keys, strict=True) if key and key != known[names[row]].key]
    if clash:
        raise ValueError(
            f"{len(clash)} ids of {source.source} are in the index with another content, {clash[0]!r} for one; take up "
            "changes with plait index update INDEX SOURCE, or tell two sources apart with prefix=TEXT"
        )
    for other in sorted({known[names[row]].source for row in taken}):
        fact = storage.manifest.sources[other]
        count = sum(known[names[row]].source == other for row in taken)
        gone = fact.root is not None and not Path(fact.root).is_dir()
        report.notes.append(
            f"{count:,} items are in the index from {fact.source}"
            + (", which is no longer there; if it moved, type plait index move INDEX OLD NEW" if gone else " already")
        )


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
