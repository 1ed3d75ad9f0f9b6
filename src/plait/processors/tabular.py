"""Numbers, categories and dates of a row to tensors.

In: columns as lists. Out: standardised numbers, a flag for each missing one, and category indices whose slot 0 means
missing or never seen. A date becomes several numbers (:mod:`plait.processors.date_parts`). Mean, standard deviation and
categories come from the rows given to ``fit`` and from no others; cells are read as those of the training table. What
cannot be read as a number, or is a category never seen, is missing *and* named by row; nothing is repaired in silence.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.data.values import ColumnReading, decimal_mark, is_missing_number, read_number, spelling
from plait.processors.date_parts import DateParts
from plait.processors.description import settings_sha256, write_settings

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
_AS_POINTS = ColumnReading("text")
RARE = 3  # training rows; a category seen in fewer says little by itself
MANY_CATEGORIES = 20
LARGEST = 100.0  # standardised values beyond it are cut to it, and counted


@dataclass(frozen=True)
class CellFault:
    """A cell that is not empty and counts as missing all the same.

    Attributes:
        row: Its position.
        column: Its column.
        reason: Why, in words.
        is_unreadable: It is no number or date; else a category that training never saw.
    """

    row: int
    column: str
    reason: str
    is_unreadable: bool


class TabularProcessor:
    """Standardised numbers with missing flags, and categories with an unknown slot. Make one with ``fit``.

    Attributes:
        numeric: Mean and standard deviation of each numeric column, by name, in order.
        categorical: Known categories of each categorical column; the first one has index 1.
        rare: By column, categories that share the index after those.
        dates: What was learned of each column of dates.
        num_invalid: By column, how many cells were neither empty nor a finite number (text, infinities).
        num_unknown: By column, how many cells held a category that ``fit`` had not seen.
        num_clipped: By column, how many numbers lay more than 100 standard deviations from the mean.
        num_absent: By column, how many rows came without the column.
        faults: Of the last ``process``: every cell that counts as missing though it is not empty.
        blank: Of the last ``process``: positions of rows of which every cell is missing or unreadable.

    Example:
        >>> tabular = TabularProcessor.fit({"area": [1.0, 3.0], "zip": ["a", "b"]}, ["area"], ["zip"])
        >>> tabular.process({"area": [2.0, None], "zip": ["b", "z"]})["categorical_BK"].tolist()
        [[2], [0]]
    """

    kind = "tabular"

    def __init__(
        self,
        numeric: dict[str, tuple[float, float]],
        categorical: dict[str, list[str]],
        dates: dict[str, DateParts] | None = None,
        readings: Mapping[str, ColumnReading] | None = None,
        rare: Mapping[str, list[str]] | None = None,
    ) -> None:
        dates = dates or {}
        if not numeric and not categorical and not dates:
            raise ValueError(
                "a tabular processor needs at least one numeric, categorical or date column; none was given"
            )
        names = [*numeric, *categorical, *dates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the column {twice[0]!r} is named as two of numeric, categorical and date; choose one")
        self.numeric = dict(numeric)
        self.categorical = {name: list(values) for name, values in categorical.items()}
        self.dates = dict(dates)
        known = readings or {}
        self.readings = {name: known.get(name, ColumnReading("text")) for name in self.numeric}
        self._index: dict[str, dict[str, int]] = {}
        for name, known in self.categorical.items():
            self._index[name] = {}
            for number, value in enumerate(known, start=1):
                self._index[name].setdefault(spelling(value) or value, number)  # folders of older versions: "True"
        self.rare = {name: list(values) for name, values in (rare or {}).items() if values}
        for name, values in self.rare.items():
            self._index[name] |= dict.fromkeys(values, len(self.categorical[name]) + 1)
        self.faults: list[CellFault] = []
        self.blank: np.ndarray = np.zeros(0, dtype=np.int64)
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
        dates: list[str] | tuple[str, ...] = (),
        readings: Mapping[str, ColumnReading] | None = None,
        *,
        share_rare: bool = False,
    ) -> TabularProcessor:
        """Learn mean, standard deviation and categories, and the parts of dates that vary.

        Args:
            columns: Values by column: the training rows only.
            numeric: Names of the columns to read as numbers.
            categorical: Names of the columns to read as categories.
            dates: Names of the columns to read as dates.
            readings: How the training table reads its columns; told from the cells of the others.
            share_rare: Let the categories seen in fewer than 3 of these rows share one index, in columns of more than
                20 categories; where a single one is so rare it keeps its own.

        Raises:
            ValueError: A column is missing from ``columns``, or they differ in length.
        """
        names = [*numeric, *categorical, *dates]
        absent = [name for name in names if name not in columns]
        if absent:
            raise ValueError(f"the column {absent[0]!r} is not in the table; it has {', '.join(columns) or 'none'}")
        _num_rows({name: columns[name] for name in names})
        used = dict(readings or {})
        for name in numeric:
            if name not in used:
                held = "truth" if any(isinstance(value, bool) for value in columns[name]) else "text"
                used[name] = ColumnReading(held, decimal_mark(columns[name]).mark or ".")
        read = {name: read_numbers(columns[name], used[name]) for name in numeric}
        counts = {name: Counter(key for v in columns[name] if (key := spelling(v)) is not None) for name in categorical}
        rare = {name: _rare(counts[name]) if share_rare else [] for name in categorical}
        learned = cls(
            {name: _mean_and_std(read[name][0]) for name in numeric},
            {name: sorted(set(counts[name]) - set(rare[name])) for name in categorical},
            {name: DateParts.fit(columns[name], used.get(name)) for name in dates},
            used,
            rare,
        )
        learned.num_invalid = {name: len(read[name][1]) for name in numeric if read[name][1]}
        for name, count in learned.num_invalid.items():
            logger.warning("column %r: %d training cells are no finite numbers and count as missing", name, count)
        return learned

    @property
    def num_numbers(self) -> int:
        """Width F of ``numeric_BF``: the numeric columns, then the parts of each date."""
        return len(self.numeric) + sum(len(parts.parts) for parts in self.dates.values())

    @property
    def cardinalities(self) -> list[int]:
        """Indices of each categorical column, slot 0 (missing or unknown) and that of rare ones included."""
        return [len(values) + 1 + (name in self.rare) for name, values in self.categorical.items()]

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
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(columns))

    def arrays(self, columns: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        """The same as arrays."""
        names = [*self.numeric, *self.categorical, *self.dates]
        known = {name: columns[name] for name in names if name in columns}
        if not known:
            wanted = ", ".join(names)
            raise ValueError(f"none of the columns {wanted} is given; got {', '.join(columns) or 'none'}")
        num_rows = _num_rows(known)
        for name in names:
            if name not in known:
                if name not in self.num_absent:
                    logger.warning("column %r is not given; all its values count as missing", name)
                _count(self.num_absent, name, num_rows)
        self.faults = []
        numbers = np.zeros((num_rows, self.num_numbers), dtype=np.float32)
        missing = np.ones((num_rows, self.num_numbers), dtype=np.float32)
        for place, (name, (mean, std)) in enumerate(self.numeric.items()):
            if name in known:
                values, invalid = read_numbers(known[name], self.readings[name])
                self._blame(name, [(i, f"{_short(known[name][i])} is no number") for i in invalid])
                there = ~np.isnan(values)
                numbers[there, place] = self._clipped(name, values[there] / std - mean / std)
                missing[there, place] = 0
        end = len(self.numeric)
        for name, parts in self.dates.items():
            start, end = end, end + len(parts.parts)
            if name in known:
                moments, odd = parts.read(known[name])
                self._blame(name, odd)
                there = np.array([moment is not None for moment in moments], dtype=bool)
                numbers[there, start:end] = self._clipped(name, parts.numbers([m for m in moments if m is not None]))
                missing[there, start:end] = 0
        categories = np.zeros((num_rows, len(self.categorical)), dtype=np.int64)
        for place, (name, index) in enumerate(self._index.items()):
            if name in known:
                keys = [spelling(value) for value in known[name]]
                categories[:, place] = [0 if key is None else index.get(key, 0) for key in keys]
                unknown = [i for i, key in enumerate(keys) if key is not None and key not in index]
                _count(self.num_unknown, name, len(unknown))
                self.faults += [
                    CellFault(i, name, f"{_short(known[name][i])} was not seen in training", False) for i in unknown
                ]
        is_empty = (missing == 1).all(1) & (categories == 0).all(1)
        unseen = {fault.row for fault in self.faults if not fault.is_unreadable}
        self.blank = np.array([i for i in np.flatnonzero(is_empty) if int(i) not in unseen], dtype=np.int64)
        return {"numeric_BF": numbers, "missing_BF": missing, "categorical_BK": categories}

    def _blame(self, name: str, odd: list[tuple[int, str]]) -> None:
        _count(self.num_invalid, name, len(odd))
        self.faults += [CellFault(place, name, reason, True) for place, reason in odd]

    def _clipped(self, name: str, scaled: np.ndarray) -> np.ndarray:
        far = np.abs(scaled) > LARGEST
        _count(self.num_clipped, name, int((far if far.ndim == 1 else far.any(1)).sum()))
        return np.clip(scaled, -LARGEST, LARGEST)

    def to_json(self) -> dict[str, Any]:
        """What was learned; lists keep the order of the columns, which sorted keys would lose."""
        return {
            "type": "tabular",
            "numeric": [
                {
                    "name": name,
                    "mean": mean,
                    "spread": std,
                    **({"mark": self.readings[name].mark} if self.readings[name].mark != "." else {}),
                    **({"missing": list(self.readings[name].missing)} if self.readings[name].missing else {}),
                }
                for name, (mean, std) in self.numeric.items()
            ],
            "categorical": [
                {"name": name, "values": values, **({"rare": self.rare[name]} if name in self.rare else {})}
                for name, values in self.categorical.items()
            ],
            **({"dates": [{"name": n, **parts.to_json()} for n, parts in self.dates.items()]} if self.dates else {}),
        }

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> TabularProcessor:
        """Rebuild from ``to_json``."""
        return cls(
            {entry["name"]: (float(entry["mean"]), float(entry["spread"])) for entry in description["numeric"]},
            {entry["name"]: [str(value) for value in entry["values"]] for entry in description["categorical"]},
            {entry["name"]: DateParts.from_json(entry) for entry in description.get("dates", [])},
            {
                entry["name"]: ColumnReading("text", entry.get("mark", "."), tuple(entry.get("missing", ())))
                for entry in description["numeric"]
            },
            {entry["name"]: [str(value) for value in entry.get("rare", ())] for entry in description["categorical"]},
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


def odd_cells(values: list[Any], reading: ColumnReading, *, is_date: bool) -> list[tuple[int, str]]:
    """Cells of a column of numbers or dates that are neither that nor missing: position and reason."""
    if is_date:
        return DateParts.of(reading).read(values)[1]
    invalid = read_numbers(values, reading)[1]
    return [(place, f"{_short(values[place])} is no number") for place in invalid]


def read_numbers(values: list[Any], reading: ColumnReading = _AS_POINTS) -> tuple[np.ndarray, list[int]]:
    """Read cells as numbers.

    Args:
        values: The cells. Truth values are 0 and 1 in a column that held them in training, and no numbers elsewhere.
        reading: How the column is read.

    Returns:
        float64 values with NaN where missing, and the positions of cells that hold something that is no finite number.

    Example:
        >>> read_numbers([1, "2.5", "", None, "?", float("inf")])[1]
        [4, 5]
    """
    numbers = np.full(len(values), np.nan)
    invalid = []
    for place, value in enumerate(values):
        if is_missing_number(value, reading.missing):
            continue
        is_truth = isinstance(value, bool) and reading.held == "truth"
        number = float(value) if is_truth else read_number(value, reading.mark)
        if number is None:
            invalid.append(place)
        else:
            numbers[place] = number
    return numbers, invalid


def _rare(counts: Counter[str]) -> list[str]:
    """The categories too rare to be learned one by one, sorted; none in a column of few categories."""
    found = sorted(key for key, count in counts.items() if count < RARE)
    return found if len(counts) > MANY_CATEGORIES and len(found) > 1 else []


def _short(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:50]}..."


def _mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation without overflow; 1 where it is constant or empty."""
    there = values[~np.isnan(values)]
    if there.size == 0:
        return 0.0, 1.0
    largest = float(np.abs(there).max()) or 1.0
    mean = float((there / largest).mean()) * largest
    std = float(np.std(there / largest)) * largest
    # rounding gives a constant column a standard deviation of about 1e-16 of its size
    return mean, std if std > 1e-12 * largest else 1.0


def _num_rows(columns: dict[str, list[Any]]) -> int:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns differ in length: {lengths}")
    return next(iter(lengths.values()), 0)


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number
