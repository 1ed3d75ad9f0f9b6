"""Reading the files of an exact index: each held to its checksum, and to what the manifest says of it.

The vectors are mapped into memory unread; :func:`vectors_match` compares their checksum when they are first used.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plait.files import file_sha256
from plait.index.manifest import DamagedIndexError, Manifest, Part, SegmentPart
from plait.index.ordinary import read_ordinary, refuse_others
from plait.index.storage import CONTENT, ID, KEY, ROW, SOURCE
from plait.inputs.feature_store.segment import DamagedSegmentError, Segment, open_segment

_TYPES = {ID: pa.string(), KEY: pa.string(), SOURCE: pa.int32(), ROW: pa.int64(), CONTENT: pa.int64()}


def damaged(folder: Path, reason: str) -> DamagedIndexError:
    """The error for files that do not fit together."""
    return DamagedIndexError(f"the index {folder} is damaged: {reason}; restore it from a copy, or build it again")


def open_part(folder: Path, part: SegmentPart, dim: int) -> tuple[Segment, str]:
    """A segment, its vectors mapped and not compared yet; and the checksum that they should have.

    Raises:
        FileNotFoundError: The segment is gone (a compaction took it away, or somebody).
        DamagedIndexError: Its files do not match their checksums, or are others than the manifest says.
    """
    place = folder / part.name
    try:
        for name in ("meta.json", "keys.npy", "vectors.npy"):
            refuse_others(place / name)
        data = read_ordinary(place / "meta.json")
        if part.sha256 is not None and hashlib.sha256(data).hexdigest() != part.sha256:
            raise DamagedSegmentError("meta.json does not match its checksum")
        found = open_segment(place)
    except FileNotFoundError as error:
        if not place.is_dir():
            raise
        raise damaged(folder, f"{part.name}: {Path(error.filename).name} is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(folder, f"{part.name}: {error}") from error
    if len(found) != part.num_vectors or found.vector_dim != dim:
        raise damaged(folder, f"{part.name} holds {found.vectors.shape}, the manifest says {(part.num_vectors, dim)}")
    if len(found):
        # copy-on-write, for torch will not take a read-only array without a warning; nothing is ever written
        found = replace(found, vectors=np.load(place / "vectors.npy", mmap_mode="c", allow_pickle=False))
    return found, json.loads(data)["files"]["vectors.npy"]["sha256"]


def meta_sha256(segment: Path) -> str:
    """The checksum of a segment's ``meta.json``, which holds those of its other files."""
    return hashlib.sha256((segment / "meta.json").read_bytes()).hexdigest()


def vectors_match(segment: Segment, sha256: str) -> bool:
    """Whether the vectors have that checksum; where their file is gone meanwhile, as they are still mapped."""
    with contextlib.suppress(FileNotFoundError):  # reading is three times as fast as touching every page of the map
        return segment.path is None or file_sha256(segment.path / "vectors.npy") == sha256
    mapped = segment.vectors.base
    return not isinstance(mapped, mmap.mmap) or hashlib.sha256(mapped).hexdigest() == sha256


def read_part(folder: Path, part: Part) -> bytes:
    """The bytes of a file that the manifest names.

    Raises:
        FileNotFoundError: It is gone.
        DamagedIndexError: It does not match its checksum.
    """
    try:
        data = read_ordinary(folder / part.name)
    except ValueError as error:
        raise damaged(folder, str(error)) from error
    if len(data) != part.num_bytes or hashlib.sha256(data).hexdigest() != part.sha256:
        raise damaged(folder, f"{part.name} does not match its checksum")
    return data


def read_items(folder: Path, part: Part, manifest: Manifest) -> pa.Table:
    """The items of a file.

    Raises:
        DamagedIndexError: Not what the manifest says: rows, sources, columns.
    """
    data = read_part(folder, part)
    try:
        found = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise damaged(folder, f"{part.name} cannot be read: {error}") from error
    if found.num_rows != part.num_rows:
        raise damaged(folder, f"{part.name} has {found.num_rows} items, the manifest says {part.num_rows}")
    for name, kind in _TYPES.items():
        if name not in found.column_names or found.column(name).type != kind or found.column(name).null_count:
            raise damaged(folder, f"{part.name} lacks a whole column {name}")
    sources = found.column(SOURCE).to_numpy()
    if len(sources) and not 0 <= sources.min() <= sources.max() < len(manifest.sources):
        raise damaged(folder, f"{part.name} names sources that are not there")
    return found


def join_items(parts: list[pa.Table]) -> pa.Table:
    """Item tables under one another; a column that one lacks is missing there, one of two types becomes text.

    Raises:
        ValueError: A column of two types that are no text either.
    """
    if not parts:
        return pa.table({})
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowTypeError:
        return pa.concat_tables(_as_text(parts), promote_options="permissive")


def _as_text(parts: list[pa.Table]) -> list[pa.Table]:
    """The same tables, with the columns as text whose types do not fit together."""
    for name in dict.fromkeys(name for part in parts for name in part.column_names):
        fields = {part.schema.field(name).type: part.schema.field(name) for part in parts if name in part.column_names}
        try:
            pa.unify_schemas([pa.schema([field]) for field in fields.values()], promote_options="permissive")
        except pa.ArrowTypeError:
            try:
                parts = [_cast(part, name) if name in part.column_names else part for part in parts]
            except pa.ArrowException as error:
                kinds = " and ".join(map(str, fields))
                raise ValueError(f"column {name!r} is {kinds} in two sources; give it one type in both") from error
    return parts


def _cast(part: pa.Table, name: str) -> pa.Table:
    return part.set_column(part.column_names.index(name), name, part.column(name).cast(pa.string()))


def read_deleted(folder: Path, part: Part | None, num_items: int) -> np.ndarray:
    """The numbers of the deleted items, int64 [n].

    Raises:
        DamagedIndexError: Not such numbers.
    """
    if part is None:
        return np.zeros(0, dtype=np.int64)
    data = read_part(folder, part)
    try:
        found: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(folder, f"{part.name} cannot be read: {error}") from error
    if found.dtype != np.int64 or found.shape != (part.num_rows,):
        raise damaged(folder, f"{part.name} is {found.dtype}{found.shape}, the manifest says int64{(part.num_rows,)}")
    if len(found) and not 0 <= found.min() <= found.max() < num_items:
        raise damaged(folder, "deletions name items that are not there")
    return found
