"""Numbers and categories of a row to tensors.

In: columns as lists. Out: standardised numbers, a flag for each missing one, and category indices whose
slot 0 means missing or never seen. Mean, spread and categories come from the rows given to ``fit`` and from
no others. What cannot be read as a number is missing *and* counted; nothing is repaired in silence.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.processors.description import settings_sha256, write_settings

logger = logging.getLogger(__name__)
LARGEST = 100.0  # standardised values beyond it are cut to it, and counted


class TabularProcessor:
    """Standardised numbers with missing flags, and categories with an unknown slot. Make one with ``fit``.

    Attributes:
        numeric: Mean and spread of each numeric column, by name, in order.
        categorical: Known categories of each categorical column; the first one has index 1.
        num_invalid: By column, how many cells were neither empty nor a finite number (text, infinities).
        num_unknown: By column, how many cells held a category that ``fit`` had not seen.
        num_clipped: By column, how many numbers lay more than 100 standard deviations from the mean.
        num_absent: By column, how many rows came without the column.

    Example:
        >>> tabular = TabularProcessor.fit({"area": [1.0, 3.0], "zip": ["a", "b"]}, ["area"], ["zip"])
        >>> tabular.process({"area": [2.0, None], "zip": ["b", "z"]})["categorical_BK"].tolist()
        [[2], [0]]
    """

    kind = "tabular"

    def __init__(self, numeric: dict[str, tuple[float, float]], categorical: dict[str, list[str]]) -> None:
        if not numeric and not categorical:
            raise ValueError("a tabular processor needs at least one numeric or categorical column; none was given")
        both = sorted(set(numeric) & set(categorical))
        if both:
            raise ValueError(f"the column {both[0]!r} is named as numeric and as categorical; choose one")
        self.numeric = dict(numeric)
        self.categorical = {name: list(values) for name, values in categorical.items()}
        self._index = {name: {v: i + 1 for i, v in enumerate(values)} for name, values in self.categorical.items()}
        self.num_invalid: dict[str, int] = {}
        self.num_unknown: dict[str, int] = {}
        self.num_clipped: dict[str, int] = {}
        self.num_absent: dict[str, int] = {}

    @classmethod
    def fit(
        cls,
        columns: dict[str, list[Any]],
        numeric: list[str] | tuple[str, ...] = (),
        categorical: list[str] | tuple[str, ...] = (),
    ) -> TabularProcessor:
        """Learn mean, spread and categories.

        Args:
            columns: Values by column: the training rows only.
            numeric: Names of the columns to read as numbers.
            categorical: Names of the columns to read as categories.

        Raises:
            ValueError: A column is missing from ``columns``, or they differ in length.
        """
        names = [*numeric, *categorical]
        absent = [name for name in names if name not in columns]
        if absent:
            raise ValueError(f"the column {absent[0]!r} is not in the table; it has {', '.join(columns) or 'none'}")
        _num_rows({name: columns[name] for name in names})
        learned = cls(
            {name: _mean_and_spread(read_numbers(columns[name])[0]) for name in numeric},
            {
                name: sorted({key for value in columns[name] if (key := category_key(value)) is not None})
                for name in categorical
            },
        )
        learned.num_invalid = {name: count for name in numeric if (count := read_numbers(columns[name])[1])}
        for name, count in learned.num_invalid.items():
            logger.warning("column %r: %d training cells are no finite numbers and count as missing", name, count)
        return learned

    @property
    def cardinalities(self) -> list[int]:
        """Indices of each categorical column, slot 0 (missing or unknown) included."""
        return [len(values) + 1 for values in self.categorical.values()]

    def process(self, columns: dict[str, list[Any]]) -> dict[str, Tensor]:
        """Turn rows into tensors.

        Args:
            columns: Values by column. A column left out counts as missing in every row (see ``num_absent``).

        Returns:
            ``numeric_BF`` float32 (0 where missing), ``missing_BF`` float32 (1 where missing) and
            ``categorical_BK`` int64.

        Raises:
            ValueError: None of the columns is there, or they differ in length.
        """
        known = {name: columns[name] for name in [*self.numeric, *self.categorical] if name in columns}
        if not known:
            wanted = ", ".join([*self.numeric, *self.categorical])
            raise ValueError(f"none of the columns {wanted} is given; got {', '.join(columns) or 'none'}")
        num_rows = _num_rows(known)
        for name in [*self.numeric, *self.categorical]:
            if name not in known:
                if name not in self.num_absent:
                    logger.warning("column %r is not given; all its values count as missing", name)
                _count(self.num_absent, name, num_rows)
        numbers = np.zeros((num_rows, len(self.numeric)), dtype=np.float32)
        missing = np.ones((num_rows, len(self.numeric)), dtype=np.float32)
        for place, (name, (mean, spread)) in enumerate(self.numeric.items()):
            if name in known:
                values, num_invalid = read_numbers(known[name])
                _count(self.num_invalid, name, num_invalid)
                there = ~np.isnan(values)
                scaled = values[there] / spread - mean / spread
                _count(self.num_clipped, name, int((np.abs(scaled) > LARGEST).sum()))
                numbers[there, place] = np.clip(scaled, -LARGEST, LARGEST)
                missing[there, place] = 0
        categories = np.zeros((num_rows, len(self.categorical)), dtype=np.int64)
        for place, (name, index) in enumerate(self._index.items()):
            if name in known:
                keys = [category_key(value) for value in known[name]]
                categories[:, place] = [0 if key is None else index.get(key, 0) for key in keys]
                _count(self.num_unknown, name, sum(key is not None and key not in index for key in keys))
        return {
            "numeric_BF": torch.from_numpy(numbers),
            "missing_BF": torch.from_numpy(missing),
            "categorical_BK": torch.from_numpy(categories),
        }

    def to_json(self) -> dict[str, Any]:
        """What was learned; lists keep the order of the columns, which sorted keys would lose."""
        return {
            "type": "tabular",
            "numeric": [
                {"name": name, "mean": mean, "spread": spread} for name, (mean, spread) in self.numeric.items()
            ],
            "categorical": [{"name": name, "values": values} for name, values in self.categorical.items()],
        }

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> TabularProcessor:
        """Rebuild from ``to_json``."""
        return cls(
            {entry["name"]: (float(entry["mean"]), float(entry["spread"])) for entry in description["numeric"]},
            {entry["name"]: [str(value) for value in entry["values"]] for entry in description["categorical"]},
        )

    @property
    def fingerprint(self) -> str:
        """Hash of what was learned."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)

    @classmethod
    def load(cls, folder: str | Path) -> TabularProcessor:
        """Load what ``save`` wrote."""
        return cls.from_json(json.loads((Path(folder) / "processor.json").read_text(encoding="utf-8")))


def read_numbers(values: list[Any]) -> tuple[np.ndarray, int]:
    """Read cells as numbers.

    Returns:
        float64 values with NaN where missing, and how many cells held something that is no finite number.

    Example:
        >>> read_numbers([1, "2.5", "", None, "n/a", float("inf")])[1]
        2
    """
    numbers = np.full(len(values), np.nan)
    num_invalid = 0
    for place, value in enumerate(values):
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            num_invalid += 1
            continue
        if math.isfinite(number):
            numbers[place] = number
        elif math.isinf(number) or isinstance(value, str):
            num_invalid += 1
    return numbers, num_invalid


def category_key(value: Any) -> str | None:
    """The text under which a category is known; 3 and 3.0 are one category; None when the cell is empty.

    Example:
        >>> category_key(3.0), category_key(" red "), category_key(float("nan"))
        ('3', 'red', None)
    """
    if value is None:
        return None
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return None
        return str(int(number)) if math.isfinite(number) and number == int(number) else str(number)
    return str(value).strip() or None


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation without overflow; a constant or empty column has spread 1."""
    there = values[~np.isnan(values)]
    if there.size == 0:
        return 0.0, 1.0
    largest = float(np.abs(there).max()) or 1.0
    mean = float((there / largest).mean()) * largest
    spread = float(np.std(there / largest)) * largest
    # rounding gives a constant column a standard deviation of about 1e-16 of its size
    return mean, spread if spread > 1e-12 * largest else 1.0


def _num_rows(columns: dict[str, list[Any]]) -> int:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns differ in length: {lengths}")
    return next(iter(lengths.values()), 0)


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number
