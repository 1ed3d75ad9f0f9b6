"""An ``.npz`` archive of numpy arrays as a table: one row for each entry of the first dimension.

One-dimensional arrays become columns of numbers or texts, two-dimensional ones columns of vectors, three-dimensional
ones columns of sequences of vectors. Published features often come as ``x_train``, ``x_test``, ``y_train``,
``y_test``: such parts are put under one another, with a ``split`` column. Object arrays are pickles and are refused.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.npy_header import claimed_in_archive
from plait.data.readers.budget import Budget, TableTooLargeError

_PART = re.compile(r"(.+)_(train|training|tr|val|valid|validation|dev|test|te)", re.IGNORECASE)
_SPLITS = {"tr": "train", "training": "train", "valid": "val", "validation": "val", "dev": "val", "te": "test"}

Array = np.ndarray[Any, Any]


def read_npz(path: Path) -> pa.Table:
    """Read an archive.

    Raises:
        TableTooLargeError: It unpacks to more than it may.
        ValueError: Not an archive, pickled objects in it, or arrays that do not have one entry a row.
    """
    arrays = _load(path)
    if not arrays:
        raise ValueError(f"{path}: the archive holds no arrays")
    parts = _parts(arrays)
    if parts is None:
        return pa.table({name: _column(array) for name, array in _checked(arrays, path).items()})
    loose = [name for name in arrays if not _PART.fullmatch(name)]
    if loose:
        warnings.warn(f"{path}: left out {', '.join(loose)}, which belong to no split", UserWarning, stacklevel=4)
    tables = []
    for split, columns in parts.items():
        checked = _checked(columns, path)
        made = pa.table({name: _column(array) for name, array in checked.items()})
        if "split" not in checked:
            made = made.append_column("split", pa.array([split] * made.num_rows, pa.string()))
        tables.append(made)
    return pa.concat_tables(tables, promote_options="permissive")


def _load(path: Path) -> dict[str, Array]:
    budget = Budget.of(path, path.stat().st_size)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                claimed = claimed_in_archive(packed)
            for name, size in claimed.items():
                budget.take(size, f"array {name!r}")
        with np.load(path, allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise ValueError("one array without a name; save several with numpy.savez")
            return {name: archive[name] for name in archive.files}
    except TableTooLargeError:
        raise
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        hint = "; arrays of objects are pickles, which are never read" if "pickle" in str(error).lower() else ""
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())[:160]}){hint}") from error


def _parts(arrays: dict[str, Array]) -> dict[str, dict[str, Array]] | None:
    """Split -> columns, where the arrays are named so and every part has the same columns; else None."""
    parts: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        found = _PART.fullmatch(name)
        if found is not None:
            split = found.group(2).lower()
            parts.setdefault(_SPLITS.get(split, split), {})[found.group(1)] = array
    alike = len({frozenset(columns) for columns in parts.values()}) == 1
    return parts if len(parts) > 1 and alike else None


def _checked(arrays: dict[str, Array], path: Path) -> dict[str, Array]:
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    lengths = {shape[0] if shape else None for shape in shapes.values()}
    if len(lengths) > 1 or None in lengths:
        raise ValueError(
            f"{path}: the arrays have the shapes {shapes}; expected one entry a row in each, or names that end in "
            "_train and _test"
        )
    for name, array in arrays.items():
        if array.ndim > 3 or array.dtype.kind not in "fiubUS" or (array.ndim > 1 and array.dtype.kind in "US"):
            raise ValueError(
                f"{path}: the array {name!r} is {array.dtype} of shape {shapes[name]}; expected numbers with at most "
                "three dimensions, or one text a row"
            )
    return arrays


def _column(array: Array) -> pa.Array:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 1:
        return pa.array(array.tolist() if array.dtype.kind == "U" else array)
    column = pa.array(np.ascontiguousarray(array).reshape(-1))
    for size in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, int(size))
    return column
