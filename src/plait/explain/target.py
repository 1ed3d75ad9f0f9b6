"""The truth of a model that is not ours, as its user gives it, to encoded targets: one reader a kind of output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def read_labels(given: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    """0/1 labels [N, C].

    Raises:
        ValueError: Other values, or another shape.
    """
    if given.ndim != 2 or not np.isin(given, (0, 1)).all():
        raise ValueError(f"target has shape {given.shape}; expected 0/1 labels [rows, labels]")
    return given.astype(np.float64)


def read_numbers(given: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    """Numbers [N].

    Raises:
        ValueError: Another shape, NaN or infinite values.
    """
    _check_flat(given)
    numbers = given.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"target holds {int((~np.isfinite(numbers)).sum())} NaN or infinite values")
    return numbers


def read_classes(given: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    """Class numbers [N]; whole numbers that all stand among ``classes`` are names, others are positions from 0.

    Raises:
        ValueError: Another shape, or a name that ``classes`` lacks.
    """
    _check_flat(given)
    place = {str(name): c for c, name in enumerate(classes or ())}
    if given.dtype.kind in "iub" or (given.dtype.kind == "f" and np.array_equal(given, np.round(given))):
        whole = given if given.dtype.kind == "b" else given.astype(np.int64)
        spelled = next((s for s in (given, whole) if {str(v) for v in s} <= set(place)), None)
        if spelled is None:
            return given.astype(np.int64)
        given = spelled
    if classes is None:
        raise ValueError("target holds names; pass classes=[...] in the order of the columns that predict returns")
    unknown = sorted({str(v) for v in given} - set(place))
    if unknown:
        raise ValueError(f"target holds {unknown[0]!r}, which is not among classes: {', '.join(place)}")
    return np.array([place[str(v)] for v in given], dtype=np.int64)


def _check_flat(given: np.ndarray) -> None:
    if given.ndim != 1:
        raise ValueError(f"target has shape {given.shape}; expected one value a row")
