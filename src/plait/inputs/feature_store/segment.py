"""One segment: an immutable folder of encoded items, written whole or not at all.

A segment `seg-<uuid>/` holds `keys.npy` (uint8 [N, 32], sha256 of each item's content), `vectors.npy` (float32 [N,
D]), and with tokens `tokens.npy` (float16 [sum of T, Dt]) and `offsets.npy` (int64 [N + 1]), beside `meta.json`
(counts, a checksum of each item, size and sha256 of each file). It is built in a `tmp-<pid>-<host>-<uuid>/` folder,
flushed to the disk and then renamed, so that a process killed at any moment leaves a temporary folder at worst.
Reading maps the large files into memory, those that are small are read. A mapped file is closed at once (numpy and
``mmap`` would keep it open, and systems allow a process a thousand open files or so, where a space has a segment for
every time something was encoded).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import stat
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from plait.files import sync_folder, temporary_name
from plait.inputs.feature_store.checksum import LARGE_FILES, META_KEY, from_meta, is_sound_file, row_checksums, to_text

SEGMENT_VERSION = 1
MAPPED_FROM = 256 * 1024  # bytes of a file; below it a mapping saves nothing
KEY_BYTES = 32  # of a sha256


class FeatureStoreError(RuntimeError):
    """The store's folder cannot be written or read; the message names it and says what to type."""


class DamagedSegmentError(ValueError):
    """A segment's files do not agree with its `meta.json`."""


@dataclass(frozen=True)
class Segment:
    """An open segment: arrays in memory or mapped from disk, one row per item.

    ``crc32`` holds a checksum of each row [N]; where it is None, ``sha256`` holds those of the large files.
    """

    path: Path | None
    keys: np.ndarray | None
    vectors: np.ndarray
    tokens: np.ndarray | None = None
    offsets: np.ndarray | None = None
    crc32: np.ndarray | None = None
    sha256: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    def damaged_rows(self, rows: np.ndarray) -> np.ndarray:
        """Those of these rows [R] that do not match their checksum."""
        if self.crc32 is not None and self.keys is not None:
            found = row_checksums(self.keys, self.vectors, self.tokens, self.offsets, rows)
            return rows[found != self.crc32[rows]]
        try:
            is_sound = self.path is None or all(is_sound_file(self.path / n, sha) for n, sha in self.sha256.items())
        except FileNotFoundError:
            is_sound = True  # a collector removed it; what is mapped stays readable
        except OSError:
            is_sound = False
        return rows[:0] if is_sound else rows

    @property
    def vector_dim(self) -> int:
        """Width D of the vectors."""
        return int(self.vectors.shape[1])

    @property
    def token_dim(self) -> int | None:
        """Width Dt of the tokens, None without tokens."""
        return None if self.tokens is None else int(self.tokens.shape[1])

    def read_keys(self) -> np.ndarray:
        """The keys [N, 32]; those of a mapped file as a copy that is read, which leaves no pages of it in memory."""
        assert self.keys is not None
        if self.path is None or self.keys.nbytes < MAPPED_FROM:
            return self.keys
        try:
            read = np.load(self.path / "keys.npy", allow_pickle=False)
        except (OSError, ValueError):  # a collector removed it; what is mapped stays readable
            return self.keys
        return read if read.shape == self.keys.shape and read.dtype == np.uint8 else self.keys

    def key_list(self) -> list[bytes]:
        """The 32-byte key of each row."""
        assert self.keys is not None
        raw = self.keys.tobytes()
        return [raw[start : start + KEY_BYTES] for start in range(0, len(raw), KEY_BYTES)]

    def token_rows(self, row: int) -> np.ndarray:
        """The tokens of one item [T, Dt], a view."""
        assert self.tokens is not None and self.offsets is not None
        return self.tokens[int(self.offsets[row]) : int(self.offsets[row + 1])]


def empty_segment(vector_dim: int, token_dim: int | None) -> Segment:
    """A segment without items that tells their widths."""
    vectors = np.zeros((0, vector_dim), dtype=np.float32)
    if token_dim is None:
        return Segment(None, None, vectors)
    return Segment(None, None, vectors, np.zeros((0, token_dim), dtype=np.float16), np.zeros(1, dtype=np.int64))


class _HashingFile:
    """A file that hashes and counts what is written; numpy writes to it chunk by chunk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sha, self.num_bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._sha.update(data)
        self.num_bytes += len(data)
        return self._file.write(data)

    def record(self) -> dict[str, object]:
        return {"bytes": self.num_bytes, "sha256": self._sha.hexdigest()}


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill half way leaves only a temporary folder, never a half one."""
    doomed = path.parent / temporary_name()
    try:
        os.rename(path, doomed)
    except FileNotFoundError:
        return  # another process was quicker
    if doomed.is_dir():
        shutil.rmtree(doomed)
    else:
        doomed.unlink()


def write_segment(
    folder: Path, keys: Sequence[bytes], vectors: np.ndarray, tokens: Sequence[np.ndarray] | None
) -> Path:
    """Write one segment into an existing space folder; returns its path.

    Raises:
        OSError: the disk is full, read-only or gone; nothing is left behind.
    """
    arrays = {
        "keys.npy": np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32),
        "vectors.npy": np.ascontiguousarray(vectors, dtype=np.float32),
    }
    if tokens is not None:
        offsets = np.zeros(len(tokens) + 1, dtype=np.int64)
        np.cumsum([len(item) for item in tokens], out=offsets[1:])
        arrays["tokens.npy"] = np.concatenate(list(tokens)).astype(np.float16, copy=False)
        arrays["offsets.npy"] = offsets
    tmp, final = folder / temporary_name(), folder / f"seg-{uuid.uuid4().hex}"
    try:
        tmp.mkdir()
        files = {}
        for name, array in arrays.items():
            with open(tmp / name, "wb") as file:
                hashing = _HashingFile(file)
                np.lib.format.write_array(hashing, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            files[name] = hashing.record()
        meta = {
            "version": SEGMENT_VERSION,
            "num_items": len(keys),
            "vector_dim": int(vectors.shape[1]),
            "vector_dtype": "float32",
            "token_dim": None if tokens is None else int(arrays["tokens.npy"].shape[1]),
            "token_dtype": None if tokens is None else "float16",
            "num_tokens": None if tokens is None else int(offsets[-1]),
            "files": files,
            META_KEY: to_text(_checksums(arrays)),
        }
        with open(tmp / "meta.json", "w", encoding="utf-8") as text:
            json.dump(meta, text, indent=1)
            text.flush()
            os.fsync(text.fileno())
        sync_folder(tmp)
        os.rename(tmp, final)
        sync_folder(folder)
    finally:
        if tmp.exists():
            shutil.rmtree(tmp, ignore_errors=True)
    return final


def _checksums(arrays: dict[str, np.ndarray]) -> np.ndarray:
    rows = np.arange(len(arrays["keys.npy"]))
    large = (arrays.get("tokens.npy"), arrays.get("offsets.npy"))
    return row_checksums(arrays["keys.npy"], arrays["vectors.npy"], *large, rows)


def read_meta(path: Path) -> dict:
    """The segment's `meta.json`, checked for form and for the size of each file on disk.

    Raises:
        DamagedSegmentError: the reason.
        FileNotFoundError: the whole folder is gone (another process removed it).
    """
    try:
        _refuse_special(path / "meta.json")
        meta = json.loads((path / "meta.json").read_bytes())
        wanted = {"keys.npy", "vectors.npy"}
        if meta["token_dim"] is not None:
            wanted |= {"tokens.npy", "offsets.npy"}
        if meta["version"] != SEGMENT_VERSION or set(meta["files"]) != wanted:
            raise DamagedSegmentError("meta.json names another version or other files")
        if any(type(meta[name]) is not int for name in ("num_items", "vector_dim")):
            raise DamagedSegmentError("meta.json counts in something else than whole numbers")
        for name, record in meta["files"].items():
            num_bytes = _refuse_special(path / name)
            if num_bytes != record["bytes"]:
                raise DamagedSegmentError(f"{name} has {num_bytes} bytes, meta.json says {record['bytes']}")
            if not isinstance(record["sha256"], str):
                raise DamagedSegmentError("meta.json holds no checksum")
    except FileNotFoundError as error:
        if not path.exists():
            raise
        raise DamagedSegmentError(f"{Path(error.filename).name} is missing") from error
    except DamagedSegmentError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedSegmentError(f"meta.json cannot be read ({type(error).__name__}: {error})") from error
    return meta


def _refuse_special(path: Path) -> int:
    """Size of a file; a pipe or device in its place would be waited for without end."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DamagedSegmentError(f"{path.name} is not a file")
    return found.st_size


def open_segment(path: Path) -> Segment:
    """Open a segment: keys and offsets are read and their checksums compared; the large files are mapped.

    Raises:
        DamagedSegmentError: the reason; the caller skips it and encodes its items again.
        FileNotFoundError: the whole folder is gone.
    """
    meta = read_meta(path)
    try:
        arrays = {name: _load(path / name, record["sha256"]) for name, record in meta["files"].items()}
        num_items, num_tokens = meta["num_items"], meta["num_tokens"]
        expected = {
            "keys.npy": ((num_items, KEY_BYTES), np.uint8),
            "vectors.npy": ((num_items, meta["vector_dim"]), np.float32),
            "tokens.npy": ((num_tokens, meta["token_dim"]), np.float16),
            "offsets.npy": ((num_items + 1,), np.int64),
        }
        crc32 = from_meta(meta, num_items)
    except FileNotFoundError as error:
        if not path.exists():
            raise
        raise DamagedSegmentError(f"{error.filename} is missing") from error
    except DamagedSegmentError:
        raise
    except Exception as error:  # numpy parses the head of a file, and may raise anything over a damaged one
        raise DamagedSegmentError(str(error) or type(error).__name__) from error
    for name, array in arrays.items():
        shape, dtype = expected[name]
        if not isinstance(array, np.ndarray) or not array.flags.c_contiguous:
            raise DamagedSegmentError(f"{name} holds no plain array")
        if array.shape != shape or array.dtype != dtype:
            raise DamagedSegmentError(f"{name} is {array.dtype}{array.shape}, meta.json says {dtype.__name__}{shape}")
    offsets = arrays.get("offsets.npy")
    if offsets is not None and (offsets[0] != 0 or offsets[-1] != num_tokens or (np.diff(offsets) < 0).any()):
        raise DamagedSegmentError("offsets.npy does not run from 0 to the number of tokens")
    large = {name: record["sha256"] for name, record in meta["files"].items() if name in LARGE_FILES}
    return Segment(path, arrays["keys.npy"], arrays["vectors.npy"], arrays.get("tokens.npy"), offsets, crc32, large)


def _load(path: Path, sha256: str) -> np.ndarray:
    if path.name in LARGE_FILES:
        if path.stat().st_size < MAPPED_FROM:
            return np.load(path, allow_pickle=False)
        return _mapped(path)
    if path.name == "keys.npy" and path.stat().st_size >= MAPPED_FROM:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise DamagedSegmentError(f"{path.name} does not match its checksum")
        return _mapped(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedSegmentError(f"{path.name} does not match its checksum")
    return np.load(io.BytesIO(data), allow_pickle=False)


def _mapped(path: Path) -> np.ndarray:
    """A .npy file mapped into memory, read-only, without a file that stays open."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_by_columns, dtype = read(file)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
    if dtype.hasobject or is_by_columns or start + math.prod(shape) * dtype.itemsize > size:
        raise DamagedSegmentError(f"{path.name} holds no whole array")
    bytes_S = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).numpy()
    array = bytes_S[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
    array.flags.writeable = False
    return array


def check_segment(path: Path) -> None:
    """Recompute the checksum of every file of a segment.

    Raises:
        DamagedSegmentError: naming the first file that does not match.
    """
    open_segment(path)
    for name, record in read_meta(path)["files"].items():
        with open(path / name, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != record["sha256"]:
            raise DamagedSegmentError(f"{name} does not match its checksum")


def folder_bytes(path: Path) -> int:
    """Bytes of all files under a folder; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return total
