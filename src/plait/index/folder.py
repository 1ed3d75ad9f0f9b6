"""The exact index on disk: segments of vectors mapped into memory, Parquet files of items, a list of deletions.

    index.json                  the manifest: what belongs to the index, swapped in last
    seg-<uuid>/                 vectors.npy [n, D] float32, keys.npy [n, 32], meta.json (written as the feature store's)
    items-<uuid>.parquet        items; ``_content`` is the position of each one's vector through all segments
    deleted-<uuid>.npy          numbers of the items that were deleted or replaced

Every file has its sha256 in the manifest, or in a segment's ``meta.json`` whose own is there. All are compared when the
index is opened, the vectors' when they are first used.

A commit writes new files, flushes them, and swaps the manifest. Killed before the swap it leaves files that no manifest
names; the next writer removes them. A reader holds the state that it opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from plait.files import temporary_name, whole_file
from plait.index.exact import device_named, top_k
from plait.index.filter import matches
from plait.index.folder_reading import (
    damaged,
    join_items,
    meta_sha256,
    open_part,
    read_deleted,
    read_items,
    vectors_match,
)
from plait.index.lock import write_message
from plait.index.manifest import IndexFolderError, Manifest, Part, SegmentPart, read_manifest, write_manifest
from plait.index.storage import CONTENT, ID, KEY, ROW, SOURCE, Change, Found, Known, View, known_of
from plait.inputs.feature_store.segment import (
    DamagedSegmentError,
    Segment,
    check_segment,
    folder_bytes,
    write_segment,
)

SEGMENT_BYTES = 256 * 2**20  # compacting merges vectors into segments of at most this size


class FolderStorage:
    """An exact index in a folder, as of its opening or its last own commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sums: dict[str, str] = {}  # checksums of vectors that were not compared yet
        for attempt in range(5):
            self.manifest = read_manifest(folder)
            try:
                self._open()
                return
            except FileNotFoundError as error:  # a compaction swapped files between the manifest and them
                if read_manifest(folder).generation == self.manifest.generation or attempt == 4:
                    raise damaged(folder, f"{error.filename} is missing") from error

    def _open(self) -> None:
        manifest = self.manifest
        self.segments = [self._segment(entry) for entry in manifest.segments]
        self.all_items = join_items([read_items(self.folder, part, manifest) for part in manifest.items])
        self.is_alive = np.ones(self.all_items.num_rows, dtype=bool)
        self.is_alive[read_deleted(self.folder, manifest.deleted, len(self.is_alive))] = False
        content = self._contents()
        if len(content) and not 0 <= content.min() <= content.max() < sum(map(len, self.segments)):
            raise damaged(self.folder, "items name vectors that are not there")
        for name in ("living", "_numbers", "_positions", "_order", "_view", "_resident"):
            self.__dict__.pop(name, None)

    def _segment(self, part: SegmentPart) -> Segment:
        found, self._sums[part.name] = open_part(self.folder, part, self.manifest.dim)
        return found

    def _contents(self) -> np.ndarray:
        if CONTENT not in self.all_items.column_names:
            return np.zeros(0, dtype=np.int64)
        return self.all_items.column(CONTENT).to_numpy()

    def __len__(self) -> int:
        return int(self.is_alive.sum())

    @property
    def num_contents(self) -> int:
        """How many different living contents."""
        return len(np.unique(self._contents()[self.is_alive]))

    @cached_property
    def living(self) -> pa.Table:
        """The living items."""
        return self.all_items if self.is_alive.all() else self.all_items.filter(pa.array(self.is_alive))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Living id -> number of the item."""
        numbers = np.flatnonzero(self.is_alive).tolist()
        return dict(zip(self.living.column(ID).to_pylist(), numbers, strict=True)) if numbers else {}

    @cached_property
    def _positions(self) -> dict[bytes, int]:
        """Key -> position of the vector."""
        keys = [key for segment in self.segments for key in segment.key_list()]
        return {key: position for position, key in enumerate(keys)}

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the living items sorted by content, and where each content begins [N + 1]."""
        content = self._contents()[self.is_alive]
        if not len(content):
            return content, np.zeros(self._num_vectors + 1, dtype=np.int64)
        # in the order of their sources and rows, whatever was replaced or moved since
        order = np.lexsort((self.living.column(ROW).to_numpy(), self.living.column(SOURCE).to_numpy(), content))
        return order, np.searchsorted(content[order], np.arange(sum(map(len, self.segments)) + 1))

    def known(self) -> dict[str, Known]:
        """Every living id."""
        return known_of(self.living) if len(self) else {}

    def has(self, key: str) -> bool:
        """Whether a content has a vector already, its items living or not."""
        return bytes.fromhex(key) in self._positions

    def rows(self, ids: Sequence[str]) -> list[dict]:
        """The metadata of some living items."""
        return self.all_items.take([self._numbers[name] for name in ids]).to_pylist() if ids else []

    def where(self, expression: str) -> list[str]:
        """Ids of the living items that fit a filter."""
        return self.living.filter(pa.array(matches(self.living, expression))).column(ID).to_pylist()

    def commit(self, change: Change, manifest: Manifest) -> None:
        """Make a change lasting, together with the facts of a new manifest.

        Raises:
            IndexFolderError: The folder cannot be written; the index stands as it was.
        """
        if change.items is not None:  # refused before anything is written
            join_items([self.all_items.slice(0, 0), change.items.slice(0, 0)])
        with _writing(self.folder):
            numbers = self._numbers
            segments, items = list(self.manifest.segments), list(self.manifest.items)
            if change.vectors:
                keys = [bytes.fromhex(key) for key in change.vectors]
                path = write_segment(self.folder, keys, np.stack(list(change.vectors.values())), None)
                segments.append(SegmentPart(path.name, len(keys), meta_sha256(path)))
            new = {bytes.fromhex(key): self._num_vectors + i for i, key in enumerate(change.vectors)}
            gone = {numbers[name] for name in change.delete}
            if change.items is not None and change.items.num_rows:
                places = [bytes.fromhex(key) for key in change.items.column(KEY).to_pylist()]
                content = [new[key] if key in new else self._positions[key] for key in places]
                table = change.items.append_column(CONTENT, pa.array(content, pa.int64()))
                gone |= {numbers[name] for name in table.column(ID).to_pylist() if name in numbers}
                items.append(_write_items(self.folder, table))
            deleted = self.manifest.deleted
            if gone:
                every = np.concatenate([np.flatnonzero(~self.is_alive), np.fromiter(gone, np.int64)])
                deleted = _write_array(self.folder, np.unique(every))
            made = replace(
                manifest, segments=tuple(segments), items=tuple(items), deleted=deleted,
                generation=self.manifest.generation + 1,
            )  # fmt: skip
            write_manifest(self.folder, made)
        self._advance(made, new)

    def _advance(self, made: Manifest, new: dict[bytes, int]) -> None:
        """Take up the commit: only what is new is read."""
        before, positions, numbers = self.manifest, self._positions, self._numbers
        self.manifest = made
        positions.update(new)
        self.segments += [self._segment(entry) for entry in made.segments[len(before.segments) :]]
        for entry in made.segments[len(before.segments) :]:
            self._sums.pop(entry.name)  # written by this process a moment ago
        fresh = [read_items(self.folder, part, made) for part in made.items[len(before.items) :]]
        first = self.all_items.num_rows
        self.all_items = join_items([self.all_items, *fresh]) if first else join_items(fresh)
        self.is_alive = np.ones(self.all_items.num_rows, dtype=bool)
        self.is_alive[read_deleted(self.folder, made.deleted, len(self.is_alive))] = False
        for name in ("living", "_order", "_view", "_resident"):
            self.__dict__.pop(name, None)
        if made.deleted != before.deleted:
            self.__dict__.pop("_numbers", None)
        elif fresh:
            ids = [name for part in fresh for name in part.column(ID).to_pylist()]
            numbers.update({name: first + i for i, name in enumerate(ids)})

    @property
    def _num_vectors(self) -> int:
        return sum(map(len, self.segments))

    def search(self, queries_QD: np.ndarray, k: int, where: str | None, device: str) -> list[list[Found]]:
        """The k best contents of each query, by exact search."""
        view, order = self.view(), self._order
        fits = None if where is None or not len(self) else matches(self.living, where)
        allowed = view.alive
        if fits is not None:
            allowed = np.zeros(len(allowed), dtype=bool)
            allowed[view.items.column(CONTENT).to_numpy()[fits]] = True
        blocks = view.blocks if device == "cpu" else self._on_device(device)
        best = top_k(blocks, queries_QD, k, allowed=None if allowed.all() else allowed, device=device)
        made = []
        for scores, positions in zip(best.scores_QK, best.positions_QK, strict=True):
            hits = []
            for score, position in zip(scores, positions, strict=True):
                rows = order[0][order[1][position] : order[1][position + 1]]
                rows = rows if fits is None else rows[fits[rows]]
                hits.append(Found(float(score), view.items.take(rows).to_pylist()))
            made.append(hits)
        return made

    def _on_device(self, device: str) -> list[torch.Tensor]:
        """The vectors on an accelerator, sent there once."""
        place, blocks = self.__dict__.get("_resident", (None, []))
        if place != device:
            blocks = [torch.from_numpy(block).to(device_named(device)) for block in self.view().blocks]
            self.__dict__["_resident"] = device, blocks
        return blocks

    @cached_property
    def _view(self) -> View:
        self._check_vectors()
        alive = np.zeros(self._num_vectors, dtype=bool)
        alive[self._contents()[self.is_alive]] = True
        return View(self.living, [s.vectors for s in self.segments if len(s)], alive, self.manifest.space)

    def _check_vectors(self) -> None:
        """Compare the checksums of the vectors that were not compared yet, in threads."""
        waiting = [(segment, segment.path.name) for segment in self.segments if segment.path is not None]
        waiting = [(segment, name) for segment, name in waiting if name in self._sums]
        with ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="plait-check") as pool:
            match = pool.map(lambda one: vectors_match(one[0], self._sums[one[1]]), waiting)
            for (_, name), is_same in zip(waiting, match, strict=True):
                if not is_same:
                    raise damaged(self.folder, f"{name}: vectors.npy does not match its checksum")
                self._sums.pop(name)

    def view(self) -> View:
        """Everything that lives."""
        return self._view

    def compact(self) -> None:
        """Write the living vectors and items anew, in few files; the old files go.

        Raises:
            IndexFolderError: The folder cannot be written; the index stands as it was.
        """
        view = self.view()
        kept = np.flatnonzero(view.alive)
        renumbered = np.full(len(view.alive), -1, dtype=np.int64)
        renumbered[kept] = np.arange(len(kept))
        keys = [key for segment in self.segments for key in segment.key_list()]
        step = max(1, SEGMENT_BYTES // (4 * self.manifest.dim))
        with _writing(self.folder):
            segments = []
            for low in range(0, len(kept), step):
                chosen = kept[low : low + step]
                path = write_segment(self.folder, [keys[i] for i in chosen], view.take(chosen), None)
                segments.append(SegmentPart(path.name, len(chosen), meta_sha256(path)))
            items = ()
            if view.items.num_rows:
                place = view.items.column_names.index(CONTENT)
                content = pa.array(renumbered[view.items.column(CONTENT).to_numpy()])
                items = (_write_items(self.folder, view.items.set_column(place, CONTENT, content)),)
            made = replace(
                self.manifest, segments=tuple(segments), items=items, deleted=None,
                generation=self.manifest.generation + 1,
            )  # fmt: skip
            write_manifest(self.folder, made)
        self.manifest = made
        self._open()
        self.sweep()

    def sweep(self) -> int:
        """Remove files that the manifest does not name: leftovers of killed writers. Only under the lock."""
        named = {entry.name for entry in self.manifest.segments} | {part.name for part in self.manifest.items}
        named |= {self.manifest.deleted.name} if self.manifest.deleted else set()
        doomed = [
            path
            for path in self.folder.iterdir()
            if path.name.startswith(("seg-", "items-", "deleted-", "tmp-")) and path.name not in named
        ]
        for path in doomed:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return len(doomed)

    def verify(self) -> list[str]:
        """Compute every checksum again; items and deletions were checked when the index was opened."""
        wrong = []
        for entry in self.manifest.segments:
            try:
                check_segment(self.folder / entry.name)
            except (DamagedSegmentError, FileNotFoundError) as error:
                wrong.append(f"{entry.name}: {error}")
        return wrong

    def num_bytes(self) -> int:
        """The room it takes."""
        return folder_bytes(self.folder)


@contextlib.contextmanager
def _writing(folder: Path):  # noqa: ANN202
    """Turn what the disk says into a sentence."""
    try:
        yield
    except OSError as error:
        raise IndexFolderError(write_message(folder, error)) from error


def _write_items(folder: Path, table: pa.Table) -> Part:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return _write_part(folder, f"items-{uuid.uuid4().hex}.parquet", buffer.getvalue(), table.num_rows)


def _write_array(folder: Path, array: np.ndarray) -> Part:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return _write_part(folder, f"deleted-{uuid.uuid4().hex}.npy", buffer.getvalue(), len(array))


def _write_part(folder: Path, name: str, data: bytes, num_rows: int) -> Part:
    with whole_file(folder / name, lasting=True, part_name=f"{temporary_name()}.part") as part:
        part.write_bytes(data)
    return Part(name, num_rows, len(data), hashlib.sha256(data).hexdigest())
