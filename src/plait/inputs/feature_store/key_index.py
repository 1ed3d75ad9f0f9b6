"""Where the item of each key lies: the keys of all open segments of a space, in little memory.

Keys (sha256, 32 bytes) come in, numbers of rows go out, counted through the segments in the order they were added. Kept
of each key are eight bytes made of all of it, sorted, and the number of its row: 12 bytes (16 beyond 2^32
rows). What is found by them is compared with the whole key, which stays in the segment's own file. Keys of small
segments wait in a dictionary until they are an eighth of all, so that storing little by little costs no sorting each
time. Where two segments hold the same key, the one that was added first counts. Nothing here is written to disk.
"""

from __future__ import annotations

import numpy as np

from plait.inputs.feature_store.segment import KEY_BYTES, Segment

FEWEST_WAITING = 65_536  # keys in the dictionary before it is looked at how many are sorted
SHARE_WAITING = 8  # then an eighth of the sorted ones may wait


class KeyIndex:
    """The keys of segments.

    Example:
        >>> from plait.inputs.feature_store.segment import Segment
        >>> keys = np.arange(64, dtype=np.uint8).reshape(2, 32)
        >>> index = KeyIndex()
        >>> index.add("a", Segment(None, keys, np.zeros((2, 1), dtype=np.float32)))
        >>> index.find(keys[::-1]).tolist(), len(index)
        ([1, 0], 2)
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._segments: list[Segment] = []
        self._starts = np.zeros(1, dtype=np.int64)  # number of each segment's first row, and of all rows
        self._folded = np.empty(0, dtype=np.uint64)
        self._rows = np.empty(0, dtype=np.uint32)
        self._waiting: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._folded) + len(self._waiting)

    def __contains__(self, raw_key: bytes) -> bool:
        return bool(self.find(np.frombuffer(raw_key, dtype=np.uint8)[None])[0] >= 0)

    def add(self, name: str, segment: Segment, without: np.ndarray | None = None) -> None:
        """Take the keys of a segment that are not there yet.

        Args:
            name: Of the segment.
            segment: It stays open as long as the index.
            without: Rows of it that are left out, in rising order.
        """
        start = int(self._starts[-1])
        self._names.append(name)
        self._segments.append(segment)
        self._starts = np.append(self._starts, start + len(segment))
        if start + len(segment) >= 2**32 and self._rows.dtype == np.uint32:
            self._rows = self._rows.astype(np.int64)
        rows = np.arange(len(segment))
        if without is not None and len(without):
            rows = np.delete(rows, without)
        if len(segment) + len(self._waiting) < max(FEWEST_WAITING, len(self._folded) // SHARE_WAITING):
            keys = segment.read_keys()
            for row in rows[self.find(keys[rows]) < 0].tolist():
                self._waiting.setdefault(keys[row].tobytes(), start + row)
            return
        self._sort_in(np.fromiter(self._waiting.values(), np.int64, len(self._waiting)))
        self._waiting = {}
        self._sort_in(start + rows)

    def find(self, keys_Q32: np.ndarray) -> np.ndarray:
        """Number of the row of each key, int64 [Q]; -1 where there is none.

        Args:
            keys_Q32: uint8 [Q, 32].
        """
        found_Q = self._among_sorted(np.ascontiguousarray(keys_Q32))
        if self._waiting:
            for place in np.flatnonzero(found_Q < 0).tolist():
                found_Q[place] = self._waiting.get(keys_Q32[place].tobytes(), -1)
        return found_Q

    def located(self, rows_Q: np.ndarray) -> np.ndarray:
        """Number of the segment and row within it, int64 [Q, 2]; -1 and -1 for a row that is -1."""
        number_Q = np.searchsorted(self._starts, rows_Q, side="right") - 1
        where = np.stack([number_Q, rows_Q - self._starts[np.maximum(number_Q, 0)]], axis=1)
        where[rows_Q < 0] = -1
        return where

    def segments(self) -> dict[str, Segment]:
        """By name, in the order that :meth:`located` counts."""
        return dict(zip(self._names, self._segments, strict=True))

    def _among_sorted(self, keys_Q32: np.ndarray) -> np.ndarray:
        found_Q = np.full(len(keys_Q32), -1, dtype=np.int64)
        if not len(self._folded) or not len(keys_Q32):
            return found_Q
        head_Q = folded_keys(keys_Q32)
        order_Q = np.argsort(head_Q, kind="stable")  # neighbours are looked for one after the other
        at_Q = np.searchsorted(self._folded, head_Q[order_Q])
        left = order_Q
        while len(left):  # more than once only where different keys fold alike
            is_alike = self._folded[np.minimum(at_Q, len(self._folded) - 1)] == head_Q[left]
            is_alike &= at_Q < len(self._folded)
            left, at_Q = left[is_alike], at_Q[is_alike]
            rows = self._rows[at_Q].astype(np.int64)
            is_same = (self._keys_of(rows) == keys_Q32[left]).all(axis=1)
            found_Q[left[is_same]] = rows[is_same]
            left, at_Q = left[~is_same], at_Q[~is_same] + 1
        return found_Q

    def _keys_of(self, rows: np.ndarray) -> np.ndarray:
        """Whole keys of rows, uint8 [R, 32]."""
        keys = np.empty((len(rows), KEY_BYTES), dtype=np.uint8)
        where = self.located(rows)
        for number in np.unique(where[:, 0]):
            at = np.flatnonzero(where[:, 0] == number)
            own = self._segments[number].keys
            assert own is not None
            keys[at] = own[where[at, 1]]
        return keys

    def _sort_in(self, rows: np.ndarray) -> None:
        """Put rows whose keys are not there yet among the sorted ones."""
        if not len(rows):
            return
        keys = self._read(rows)
        is_new = self._among_sorted(keys) < 0
        keys, rows = keys[is_new], rows[is_new]
        head = folded_keys(keys)
        order = np.argsort(head, kind="stable")
        head = head[order]
        is_first = np.ones(len(head), dtype=bool)
        twin = np.flatnonzero(head[1:] == head[:-1]) + 1
        if len(twin):  # the same key twice, or different ones that fold alike
            seen: set[bytes] = set()
            for place in np.union1d(twin, twin - 1).tolist():
                key = keys[order[place]].tobytes()
                is_first[place] = key not in seen
                seen.add(key)
        head, rows = head[is_first], rows[order][is_first]
        at = np.searchsorted(self._folded, head, side="right")
        self._folded = np.insert(self._folded, at, head)
        self._rows = np.insert(self._rows, at, rows.astype(self._rows.dtype))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Whole keys of many rows [R, 32], read without mapping the files into memory."""
        where = self.located(rows)
        keys = np.empty((len(rows), KEY_BYTES), dtype=np.uint8)
        for number in np.unique(where[:, 0]):
            at = np.flatnonzero(where[:, 0] == number)
            keys[at] = self._segments[number].read_keys()[where[at, 1]]
        return keys


def folded_keys(keys_N32: np.ndarray) -> np.ndarray:
    """Keys [N, 32] folded to eight bytes, as numbers, uint64 [N]: the four quarters of each by exclusive or."""
    folded: np.ndarray = np.bitwise_xor.reduce(np.ascontiguousarray(keys_N32).view(np.uint64), axis=1)
    return folded
