"""One space of the feature store: all items encoded by one encoder with one processor.

Keys (sha256 hex of an item's content) and arrays come in, a `FeatureSet` goes out. Segments of other
processes are picked up as they appear. A damaged segment is skipped with one logged warning, so that
its items count as missing and are encoded again. The folder is made on the first write only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plait.files import features_variable, temporary_name, write_text
from plait.inputs.feature_store.feature_set import RAM_LIMIT, FeatureSet
from plait.inputs.feature_store.key_index import KeyIndex
from plait.inputs.feature_store.segment import (
    KEY_BYTES,
    DamagedSegmentError,
    FeatureStoreError,
    Segment,
    empty_segment,
    open_segment,
    write_segment,
)

logger = logging.getLogger(__name__)
_warned: set[Path] = set()  # damaged segments already reported by this process


def key_bytes(key: str) -> bytes:
    """The 32 bytes of a sha256 hex key.

    Raises:
        ValueError: `key` is not 64 hexadecimal digits.
    """
    try:
        raw = bytes.fromhex(key)
    except (ValueError, TypeError):
        raw = b""
    if len(raw) != 32 or len(key) != 64:
        raise ValueError(
            f"{key!r} is not a feature key; give the sha256 of the item's content as 64 hexadecimal "
            "digits: hashlib.sha256(content).hexdigest()"
        )
    return raw


def key_rows(keys: Sequence[str]) -> np.ndarray:
    """The bytes of sha256 hex keys, uint8 [K, 32].

    Raises:
        ValueError: one is not 64 hexadecimal digits.
    """
    try:
        raw = bytes.fromhex("".join(keys))
    except (ValueError, TypeError):
        raw = b""
    if len(raw) != KEY_BYTES * len(keys) or any(len(key) != 2 * KEY_BYTES for key in keys):
        raw = b"".join(map(key_bytes, keys))
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, KEY_BYTES)


def write_error(folder: Path, error: OSError) -> FeatureStoreError:
    """The message for a folder that cannot be written."""
    reason = error.strerror or str(error)
    variable = features_variable()
    return FeatureStoreError(
        f"cannot write features to {folder}: {reason}. Free space with `plait features gc`, or choose a "
        f"writable folder with room: export {variable}=/path/to/folder"
        + (" (features go to its 'features' folder)" if variable == "PLAIT_CACHE" else "")
    )


class Space:
    """Encoded items under one fingerprint; get one from `FeatureStore.space`.

    Args:
        folder: the space's own folder, made on the first write.
        description: what encoded the items, JSON values; shown by `plait features ls`.
        ram_limit: bytes up to which a gathered set is copied into memory.
    """

    def __init__(self, folder: Path, description: dict, *, ram_limit: int = RAM_LIMIT) -> None:
        self.folder, self.description, self.ram_limit = folder, description, ram_limit
        self._segments: dict[str, Segment] = {}
        self._index = KeyIndex()
        self._damaged: dict[str, str] = {}
        self._bad_rows: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, raw_key: bytes) -> bool:
        return raw_key in self._index

    def are_stored(self, keys: Sequence[str]) -> np.ndarray:
        """Which keys are stored, as far as was seen at the last `refresh`, bool [K]."""
        return self._index.find(key_rows(keys)) >= 0

    @property
    def damaged(self) -> dict[str, str]:
        """Segment name -> reason, for those skipped at the last `refresh`."""
        return dict(self._damaged)

    def refresh(self) -> None:
        """Look at the folder again: add segments that appeared, forget those removed."""
        for _ in range(10):  # a collector may remove segments between listing and opening
            names = self._segment_names()
            gone = self._segments.keys() - names
            if gone:
                self._segments = {k: v for k, v in self._segments.items() if k not in gone}
                self._index_again()  # rows that duplicated a removed one count now
            self._damaged = {k: v for k, v in self._damaged.items() if k in names}
            try:
                for name in sorted(names - self._segments.keys() - self._damaged.keys()):
                    self._open(name)
            except FileNotFoundError:
                continue
            finally:
                self._tell_damaged()
            return

    def _segment_names(self) -> set[str]:
        try:
            return {entry.name for entry in os.scandir(self.folder) if entry.name.startswith("seg-")}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise FeatureStoreError(
                f"cannot read features from {self.folder}: {error.strerror}. Choose another folder: "
                f"export {features_variable()}=/path/to/folder"
            ) from error

    def _open(self, name: str) -> None:
        path = self.folder / name
        try:
            segment = open_segment(path)
            first = next(iter(self._segments.values()), segment)
            if (segment.vector_dim, segment.token_dim) != (first.vector_dim, first.token_dim):
                raise DamagedSegmentError("its widths differ from the other segments'")
        except DamagedSegmentError as error:
            self._damaged[name] = str(error)
            return
        self._segments[name] = segment
        self._index.add(name, segment)

    def _tell_damaged(self) -> None:
        """One line for all damaged segments that this process has not reported yet."""
        new = [name for name in self._damaged if self.folder / name not in _warned]
        if not new:
            return
        _warned.update(self.folder / name for name in new)
        logger.warning(
            "%d damaged feature segment%s skipped, the items are encoded again (first: %s: %s); `plait features gc` "
            "removes what is damaged", len(new), "" if len(new) == 1 else "s", self.folder / new[0],
            self._damaged[new[0]],
        )  # fmt: skip

    def _index_again(self) -> None:
        """The index of the segments that are open, without the rows that are known to be damaged."""
        self._index = KeyIndex()
        for name, segment in self._segments.items():
            self._index.add(name, segment, np.array(sorted(self._bad_rows.get(name, ())), dtype=np.int64))

    def _drop_damaged(self, wanted_K32: np.ndarray) -> None:
        """Forget stored rows of these keys that do not match their checksum, with one line that counts them."""
        dropped: list[np.ndarray] = []
        first, left_K32 = None, wanted_K32
        while True:
            row_K = self._index.find(left_K32)
            left_K32, row_K = left_K32[row_K >= 0], row_K[row_K >= 0]
            where = self._index.located(row_K)
            is_bad = self._is_damaged(where)
            if not is_bad.any():
                break
            names = list(self._index.segments())
            for number, row in where[is_bad].tolist():
                first = first or self.folder / names[number]
                self._bad_rows.setdefault(names[number], set()).add(row)
            self._index_again()
            left_K32 = left_K32[is_bad]  # another process may have stored these as well
            dropped.append(left_K32)
        if not dropped:
            return
        lost = int((self._index.find(np.unique(np.concatenate(dropped), axis=0)) < 0).sum())
        if lost:
            logger.warning(
                "%d stored feature%s not as written (the checksum differs) and encoded again, the first in %s",
                lost, " is" if lost == 1 else "s are", first,
            )  # fmt: skip

    def _is_damaged(self, where: np.ndarray) -> np.ndarray:
        """Which of these rows, each a number of a segment and a row of it, do not match their checksum, bool [K]."""
        segments, is_bad = list(self._index.segments().values()), np.zeros(len(where), dtype=bool)
        for number in np.unique(where[:, 0]):
            at = np.flatnonzero(where[:, 0] == number)
            rows = where[at, 1]
            is_bad[at] = np.isin(rows, segments[number].damaged_rows(np.unique(rows)))  # in the order of the file
        return is_bad

    def missing(self, keys: Sequence[str | None]) -> list[int]:
        """Positions of keys that are not stored; of equal keys only the first, `None` never.

        What is stored is compared with its checksum; a damaged item is missing, which is logged with their count.
        """
        self.refresh()
        given = [position for position, key in enumerate(keys) if key is not None]
        raw_K32 = key_rows([key for key in keys if key is not None])
        self._drop_damaged(raw_K32)
        seen: set[bytes] = set()
        positions = []
        for place in np.flatnonzero(self._index.find(raw_K32) < 0).tolist():
            raw = raw_K32[place].tobytes()
            if raw not in seen:
                seen.add(raw)
                positions.append(given[place])
        return positions

    def prepare(self) -> None:
        """Make the folder and its `space.json`, so that a folder that cannot be written fails early.

        Raises:
            FeatureStoreError: the folder cannot be written.
        """
        text = json.dumps(self.description, indent=1, sort_keys=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / "space.json", text, part_name=f"{temporary_name()}.json")
            self.touch()  # what is being filled is in use
        except OSError as error:
            raise write_error(self.folder, error) from error

    def put(self, keys: Sequence[str], vectors: np.ndarray, tokens: Sequence[np.ndarray] | None = None) -> int:
        """Store encoded items as one segment; returns how many were new.

        Args:
            keys: sha256 hex of each item's content.
            vectors: [N, D], finite.
            tokens: an array [T, Dt] for each item (T may differ, may be 0), stored as float16; or None.

        Raises:
            ValueError: lengths or widths disagree, or a value is not finite (in float16 for tokens).
            FeatureStoreError: the folder cannot be written; nothing is left behind.
        """
        raw = key_rows(keys)
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(raw) or (tokens is not None and len(tokens) != len(raw)):
            raise ValueError(
                f"{len(raw)} keys came with vectors of shape {vectors.shape}"
                + ("" if tokens is None else f" and {len(tokens)} token arrays")
                + "; give one row of [N, D] (and one token array) for each key"
            )
        token_dim = None
        if tokens is not None and len(raw):
            with np.errstate(over="ignore"):  # an overflow is found as not finite just below
                tokens = [np.asarray(item).astype(np.float16, copy=False) for item in tokens]
            if any(item.ndim != 2 for item in tokens) or len({item.shape[1] for item in tokens}) != 1:
                raise ValueError("token arrays must all be [T, Dt] with one Dt")
            token_dim = int(tokens[0].shape[1])
        if not np.isfinite(vectors).all() or any(not np.isfinite(item).all() for item in tokens or ()):
            raise ValueError("features hold NaN, infinity or tokens beyond float16 (65504); leave them out")
        self.refresh()
        first = next(iter(self._segments.values()), None)
        if first is not None and len(raw) and (first.vector_dim, first.token_dim) != (vectors.shape[1], token_dim):
            raise ValueError(
                f"this space has vectors of width {first.vector_dim} and tokens of width {first.token_dim}, "
                f"given {vectors.shape[1]} and {token_dim}; another encoder needs another fingerprint"
            )
        new: dict[bytes, int] = {}  # of equal keys the first
        for row in np.flatnonzero(self._index.find(raw) < 0).tolist():
            new.setdefault(raw[row].tobytes(), row)
        if not new:
            return 0
        rows = list(new.values())
        chosen = None if tokens is None else [tokens[row] for row in rows]
        path = self._write(list(new), vectors[rows], chosen)
        with contextlib.suppress(FileNotFoundError):  # removed again by another process: simply missing
            self._open(path.name)
        return len(rows)

    def _write(self, keys: list[bytes], vectors: np.ndarray, tokens: list[np.ndarray] | None) -> Path:
        for attempt in range(3):
            self.prepare()
            try:
                return write_segment(self.folder, keys, vectors, tokens)
            except FileNotFoundError as error:  # gc removed the space meanwhile: make it again
                if attempt == 2:
                    raise write_error(self.folder, error) from error
            except OSError as error:
                raise write_error(self.folder, error) from error
        raise AssertionError("unreachable")

    def gather(
        self,
        keys: Sequence[str | None],
        *,
        allow_missing: bool = False,
        empty_dims: tuple[int, int | None] = (0, None),
    ) -> FeatureSet:
        """The features of these keys, in this order; `None` is absent.

        Args:
            keys: sha256 hex of each item's content, or None.
            allow_missing: a key that is not stored becomes absent instead of an error.
            empty_dims: widths of vectors and tokens (None: no tokens) where nothing is stored that could tell.

        Raises:
            ValueError: keys are not stored.
        """
        given = [position for position, key in enumerate(keys) if key is not None]
        raw_K32 = key_rows([key for key in keys if key is not None])
        row_K = self._index.find(raw_K32)
        if not self._segments or (row_K < 0).any():
            self.refresh()  # else keep what is mapped: it stays readable even if gc removes the files
            row_K = self._index.find(raw_K32)
        absent = [given[place] for place in np.flatnonzero(row_K < 0).tolist()]
        if absent and not allow_missing:
            raise ValueError(
                f"{len(absent)} of {len(keys)} keys are not in the feature store (first: {keys[absent[0]]} at "
                f"position {absent[0]}); encode them with encode_items, or pass allow_missing=True"
            )
        where = np.full((len(keys), 2), -1, dtype=np.int64)
        where[given] = self._index.located(row_K)
        self.touch()
        segments = list(self._index.segments().values()) or [empty_segment(*empty_dims)]
        return FeatureSet(segments, where, ram_limit=self.ram_limit)

    def touch(self) -> None:
        """Note that the space was used now; gc removes the least recently used first."""
        with contextlib.suppress(OSError):  # a read-only store is still good to read
            (self.folder / "last-used").touch() if self.folder.exists() else None
