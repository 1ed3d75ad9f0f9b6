"""Checksums of stored items: a damaged one is found where it is used, and only that one.

Each row of a segment has a CRC-32 over its key, its vector and its tokens, kept in ``meta.json`` where older versions
of Plait do not look. Segments written before there were any are compared as whole files with their sha256, once a
process. CRC-32 finds every fault of up to 32 neighbouring bits and misses any other once in four thousand million.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

META_KEY = "row_crc32"
LARGE_FILES = ("vectors.npy", "tokens.npy")  # the others are compared whenever a segment is opened

_sound_files: dict[tuple[str, int, int, int], bool] = {}  # by path, inode, size and time of the last change


def row_checksums(
    keys: np.ndarray, vectors: np.ndarray, tokens: np.ndarray | None, offsets: np.ndarray | None, rows: np.ndarray
) -> np.ndarray:
    """CRC-32 of rows of a segment's arrays, uint32 [R].

    Args:
        keys: uint8 [N, 32].
        vectors: float32 [N, D].
        tokens: float16 [sum of T, Dt], or None.
        offsets: int64 [N + 1], where each row's tokens begin; or None.
        rows: int64 [R].
    """
    keys, vectors = np.asarray(keys), np.asarray(vectors)  # rows of a plain array are cheap, those of a map are not
    tokens = None if tokens is None else np.asarray(tokens)
    found = np.empty(len(rows), dtype=np.uint32)
    for place, row in enumerate(rows.tolist()):
        crc = zlib.crc32(vectors[row], zlib.crc32(keys[row]))
        if tokens is not None and offsets is not None:
            crc = zlib.crc32(tokens[int(offsets[row]) : int(offsets[row + 1])], crc)
        found[place] = crc
    return found


def to_text(checksums: np.ndarray) -> str:
    """Checksums as ``meta.json`` holds them: eight hexadecimal digits each."""
    return checksums.astype(">u4").tobytes().hex()


def from_meta(meta: dict[str, Any], num_items: int) -> np.ndarray | None:
    """Checksums of a segment [N]; None where it was written without.

    Raises:
        ValueError: They are not as many as there are items.
    """
    text = meta.get(META_KEY)
    if text is None:
        return None
    if not isinstance(text, str) or len(text) != 8 * num_items:
        raise ValueError(f"meta.json holds no {num_items} checksums")
    return np.frombuffer(bytes.fromhex(text), dtype=">u4").astype(np.uint32)


def is_sound_file(path: Path, sha256: str) -> bool:
    """Whether a file has this sha256; a file that has not changed since is not read twice by a process.

    Raises:
        OSError: It cannot be read.
    """
    found = os.stat(path)
    seal = (f"{path}:{sha256}", found.st_ino, found.st_size, found.st_mtime_ns)
    if seal not in _sound_files:
        with path.open("rb") as file:
            _sound_files[seal] = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    return _sound_files[seal]
