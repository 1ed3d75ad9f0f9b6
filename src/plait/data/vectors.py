"""Ready vectors out of table cells: features that someone computed before, one vector a row or a sequence of them.

In: a list of numbers, a list of equally long lists, a numpy array, JSON text of either, or the path of a ``.npy``
or ``.npz`` file. Out: a float32 array [D] or [T, D]. What cannot be used is a
:class:`~plait.data.media.CellError`; nothing is filled and nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plait.data.media import MAX_BYTES, CellError, read_media
from plait.data.media_folder import Root, find_file
from plait.data.npy_header import claimed_bytes, claimed_in_archive
from plait.data.remote.address import is_remote, path_of_address, without_secrets

ARRAY_SUFFIXES = (".npy", ".npz")
OUTWEIGHS = 400.0  # times what all others together add to the variance
FEWEST, MOST = 20, 2000  # vectors that tell what is usual, and of how many the median is taken
_SAMPLE = 100


def read_vector(cell: object, root: Root = None) -> np.ndarray[Any, Any] | None:
    """The vector of one cell, float32 [D], or a sequence of them [T, D]; None where the cell is empty.

    Raises:
        CellError: No numbers, NaN or infinity among them, rows of different lengths, or more than two dimensions.

    Example:
        >>> read_vector("[[1, 2], [3, 4]]").tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    if cell is None or (isinstance(cell, float) and cell != cell) or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, str):
        return _checked(_from_text(cell, root))
    if isinstance(cell, np.ndarray | list | tuple):
        return _checked(cell)
    raise CellError(f"expected a list of numbers, got {type(cell).__name__}")


def usual_width(cells: Iterable[object], root: Root = None) -> int:
    """The width that most of the first hundred vectors have; 1 where none can be read.

    Example:
        >>> usual_width([[1.0, 2.0], None, [1.0], [3.0, 4.0]])
        2
    """
    widths: Counter[int] = Counter()
    for cell in cells:
        with contextlib.suppress(CellError):
            vector = read_vector(cell, root)
            if vector is not None:
                widths[vector.shape[-1]] += 1
        if widths.total() == _SAMPLE:
            break
    return widths.most_common(1)[0][0] if widths else 1


def far_vectors(vectors: Sequence[np.ndarray[Any, Any]]) -> list[int]:
    """Vectors so far from the others that mean and standard deviation would be theirs alone.

    Args:
        vectors: [D] or [T, D] each, of one width; a sequence counts by the vector in it that is farthest.

    Returns:
        Positions of the fewest, one in a hundred at most, whose squared distances from the median are together more
        than ``OUTWEIGHS`` times those of all others together. None below ``FEWEST`` vectors, and where half of them are
        the same.

    Example:
        >>> far_vectors([np.array([float(i % 7)]) for i in range(30)] + [np.array([1e6])])
        [30]
    """
    if len(vectors) < FEWEST:
        return []
    every = max(1, len(vectors) // MOST)
    sample = [v.reshape(-1, v.shape[-1]).mean(axis=0, dtype=np.float64) for v in vectors[::every] if v.size]
    middle_D = np.median(sample, axis=0)
    square_N = np.array([((v.astype(np.float64) - middle_D) ** 2).mean(axis=-1).max(initial=0.0) for v in vectors])
    if np.median(square_N) == 0:
        return []
    order_N = np.argsort(-square_N, kind="stable")
    far_K = np.cumsum(square_N[order_N])[: max(1, len(vectors) // 100)]
    rest_K = np.cumsum(square_N[order_N][::-1])[::-1][1 : len(far_K) + 1]
    enough = np.flatnonzero(far_K > OUTWEIGHS * rest_K)
    return sorted(order_N[: enough[0] + 1].tolist()) if len(enough) else []


def looks_like_vector(text: str) -> bool:
    """Whether a text reads like a JSON list of numbers, or like the path of a numpy file."""
    text = text.strip()
    if (path_of_address(text) if is_remote(text) else text).lower().endswith(ARRAY_SUFFIXES):
        return True
    if not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        return read_vector(text) is not None
    except CellError:
        return False


def _from_text(text: str, root: Root) -> Any:
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            return json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise CellError(f"broken JSON ({str(error)[:120]}); expected a list of numbers") from error
    if not is_remote(stripped) and not stripped.lower().endswith(ARRAY_SUFFIXES):
        raise CellError(f"expected a JSON list of numbers or the path of a .npy or .npz file, got {text[:40]!r}")
    return load_array(read_media(find_file(stripped, root, MAX_BYTES), None), without_secrets(stripped))


def load_array(data: bytes, name: str) -> np.ndarray[Any, Any]:
    """The one array of a ``.npy`` or ``.npz`` file.

    Raises:
        CellError: Another format, pickled objects, an archive with more than one array, or more than 256 MiB unpacked.
    """
    try:
        _refuse_large(data, name)
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = list(loaded.files)
        if len(names) != 1:
            raise CellError(f"{name!r} holds {len(names)} arrays ({', '.join(names[:4])}); expected one")
        array: np.ndarray[Any, Any] = loaded[names[0]]
        return array
    except CellError:
        raise
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise CellError(f"{name!r} is no numpy file of numbers ({' '.join(str(error).split())[:120]})") from error


def _refuse_large(data: bytes, name: str) -> None:
    """Refuse an array by what its header claims, before it is unpacked."""
    file = io.BytesIO(data)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            sizes = claimed_in_archive(archive)
        size = sum(sizes.values())
    else:
        size = claimed_bytes(io.BytesIO(data))
        if size > len(data):
            raise CellError(f"{name!r} claims {size:,} bytes and holds {len(data):,}")
    if size > MAX_BYTES:
        raise CellError(f"{name!r} unpacks to {size:,} bytes; the limit is {MAX_BYTES:,}")


def _checked(values: Any) -> np.ndarray[Any, Any] | None:
    if len(values) == 0:
        raise CellError("the list is empty; leave the cell empty where there is no vector")
    try:
        array = np.asarray(values)
        if array.dtype == object:  # a missing value inside, or rows of different lengths
            array = np.asarray(_nested(values), dtype=np.float64)
    except ValueError as error:
        raise CellError(f"not a list of numbers, nor of equally long lists of numbers ({str(error)[:80]})") from error
    if array.dtype.kind not in "fiub":
        raise CellError(f"holds {array.dtype} values; expected numbers")
    if array.ndim not in (1, 2) or array.size == 0:
        raise CellError(f"has the shape {list(array.shape)}; expected [D] numbers or [T, D], a sequence of vectors")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    num_bad = int(array.size - np.isfinite(array).sum())
    if num_bad:
        raise CellError(f"{num_bad:,} of {array.size:,} numbers are missing, NaN, infinite or beyond float32")
    return array


def _nested(values: Any) -> Any:
    """Lists with NaN in the place of None."""
    if values is None:
        return float("nan")
    if isinstance(values, list | tuple):
        return [_nested(v) for v in values]
    if isinstance(values, np.ndarray):
        return values.tolist()
    if isinstance(values, str | bytes):
        raise ValueError(f"holds the text {str(values)[:20]!r}")
    return values
