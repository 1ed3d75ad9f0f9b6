"""Which rows train, which validate, which test and which calibrate; and the alarm when one content stands on two sides.

Rows of one group (all captions of a photo, all visits of a patient) always stay on one side, and so do
rows that share a content hash. Splits are stratified by the target where it has classes, and by its
quantiles where it is a number. Every class keeps a row in train. Nothing here looks at a model's results.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "val", "test")
CALIBRATION = "calibration"  # a fourth part, where one is asked for: rows that choose nothing and judge nothing
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("calibration", "calibrate", "calib"), CALIBRATION),
}

Labels = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]
Content = Mapping[str, Sequence[str | None]] | Sequence[str | None]


@dataclass(frozen=True)
class Leak:
    """One content that stands in more than one split.

    Attributes:
        column: The column that holds it.
        key: Its content hash.
        rows_by_split: The positions of the rows that hold it, by split.
    """

    column: str
    key: str
    rows_by_split: dict[str, tuple[int, ...]]


def read_split(values: Sequence[object]) -> Labels:
    """Split names as people write them (training, valid, dev, ...) as "train", "val", "test" and "calibration".

    Raises:
        ValueError: A value that is none of them; the message names its row.

    Example:
        >>> read_split(["Train", "dev", "test"]).tolist()
        ['train', 'val', 'test']
    """
    made: list[str] = []
    for row, value in enumerate(values):
        name = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
        if name is None:
            raise ValueError(f"row {row} has the split {value!r}; expected one of {', '.join(SPLIT_NAMES)}")
        made.append(name)
    return np.array(made, dtype="<U11")


def split_rows(
    n: int,
    *,
    target: Sequence[Any] | None = None,
    group: Sequence[Any] | None = None,
    content: Content | None = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    stratify: bool | None = None,
) -> Labels:
    """Deal rows out to train, val and test.

    Args:
        n: The number of rows.
        target: The target of each row: classes, numbers, or lists of classes; None where it is missing.
        group: Rows with an equal value stay together; None ties a row to nobody.
        content: Content hashes, a list or a list a column; rows that share one stay together.
        fractions: The shares of train, val and test; they add up to 1.
        seed: The same seed gives the same split.
        stratify: Whether every split shall have about the same share of each class; None: if target is given.

    Returns:
        "train", "val" or "test" a row [n]. Each split asked for gets a row where the number of groups allows.

    Raises:
        ValueError: Shares that do not add up to 1, or lists of another length than n.

    Example:
        >>> Counter(split_rows(10).tolist())
        Counter({'train': 8, 'val': 1, 'test': 1})
    """
    shares = _read_fractions(fractions)
    if n < 1:
        raise ValueError(f"cannot split {n} rows; expected at least 1")
    for name, values in (("target", target), ("group", group), *_columns_of(content).items()):
        if values is not None and len(values) != n:
            raise ValueError(f"{name} has {len(values)} values for {n} rows; expected one a row")
    if stratify and target is None:
        raise ValueError("stratify=True needs a target; pass target=")
    units = _tie_rows(n, group, content)
    classes = [_classes_of(value) for value in target] if target is not None else [()] * n
    use_strata = target is not None and stratify is not False
    strata = _strata(target, classes) if use_strata and target is not None else np.zeros(n, np.int64)
    rng = np.random.default_rng(seed)
    num_units = int(units.max()) + 1
    if num_units == n:
        split = _deal_rows(strata, shares, rng)
    else:
        split = _deal_units(units, strata, shares, rng)
    if not _is_continuous(target):
        _keep_classes_in_train(split, units, classes)
    _fill_empty(split, units, [] if _is_continuous(target) else classes, shares, rng)
    largest = int(np.bincount(units).max())
    if num_units > 1 and largest > n * max(shares) and largest > 1:
        warnings.warn(
            f"{largest} of {n} rows hang together by group or shared content and must stay in one split; "
            "the splits cannot have the shares asked for",
            UserWarning,
            stacklevel=2,
        )
    return split


def carve_validation(
    split: Sequence[str] | Labels,
    *,
    target: Sequence[Any] | None = None,
    group: Sequence[Any] | None = None,
    content: Content | None = None,
    fraction: float = 0.1,
    seed: int = 0,
) -> Labels:
    """A validation split out of the train rows alone; test rows stay as they are.

    Args:
        split: "train" or "test" a row (names as :func:`read_split` takes them).
        target: As for :func:`split_rows`.
        group: As for :func:`split_rows`.
        content: As for :func:`split_rows`.
        fraction: The share of the train rows that goes over, between 0 and 1.
        seed: The same seed gives the same rows.

    Raises:
        ValueError: No train rows, validation rows that are there already, or a share outside (0, 1).
    """
    return _carve(split, "val", "validation", target, group, content, fraction, seed)


def carve_calibration(
    split: Sequence[str] | Labels,
    *,
    group: Sequence[Any] | None = None,
    content: Content | None = None,
    fraction: float = 0.1,
    seed: int = 0,
) -> Labels:
    """Calibration rows out of the train rows alone, whole groups of them; the other parts stay as they are.

    They are drawn without strata, and no class has to keep a train row: what sets and intervals promise is of rows that
    come by chance, and calibration rows that follow the training rows class by class look easier than those (1,000 rows
    of 200 classes: .84 to .87 covered for a promised .9).

    Args:
        split: As for :func:`carve_validation`, with validation rows.
        group: As for :func:`split_rows`.
        content: As for :func:`split_rows`.
        fraction: The share of all rows that calibrates, between 0 and 1.
        seed: The same seed gives the same rows.

    Raises:
        ValueError: Calibration rows that are there already, or a share that leaves no train rows.
    """
    num_train = sum(1 for s in split if s == "train")
    if num_train and not 0 < fraction * len(split) / num_train < 1:
        raise ValueError(
            f"calibration={fraction:g} of {len(split):,} rows is more than the {num_train:,} train rows can give"
        )
    share = fraction * len(split) / max(1, num_train)
    return _carve(split, CALIBRATION, CALIBRATION, None, group, content, share, seed + 1)


def _carve(
    split: Sequence[str] | Labels, name: str, word: str, target: Sequence[Any] | None, group: Sequence[Any] | None,
    content: Content | None, fraction: float, seed: int,
) -> Labels:  # fmt: skip
    """A part of this name out of the train rows alone."""
    made = read_split([str(s) for s in split])
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected a number between 0 and 1, such as 0.1")
    if name in made:
        raise ValueError(f"the split has {word} rows already; use them, or rename them to train first")
    rows = np.flatnonzero(made == "train")
    if len(rows) == 0:
        raise ValueError(f"the split has no train rows to take {word} rows from")

    def pick(values: Sequence[Any] | None) -> list[Any] | None:
        return None if values is None else [values[int(i)] for i in rows]

    contents = {name: [values[int(i)] for i in rows] for name, values in _columns_of(content).items()}
    dealt = split_rows(
        len(rows),
        target=pick(target),
        group=pick(group),
        content=contents,
        fractions=(1 - fraction, fraction, 0.0),
        seed=seed,
    )
    made[rows] = np.where(dealt == "val", name, dealt)
    return made


def find_leakage(split: Sequence[str] | Labels, content: Mapping[str, Sequence[str | None]]) -> list[Leak]:
    """Every content that stands in more than one split, column by column.

    Args:
        split: A split name a row.
        content: For each column the content hash of each row; None where there is nothing.

    Example:
        >>> find_leakage(["train", "test"], {"image": ["a", "a"]})[0].rows_by_split
        {'train': (0,), 'test': (1,)}
    """
    leaks: list[Leak] = []
    for column, keys in content.items():
        if len(keys) != len(split):
            given = f"{len(keys)} hashes for {len(split)} rows"
            raise ValueError(f"column {column!r} has {given}; expected one a row")
        seen: dict[str, dict[str, list[int]]] = {}
        for row, key in enumerate(keys):
            if key is not None:
                seen.setdefault(key, {}).setdefault(str(split[row]), []).append(row)
        for key, rows in seen.items():
            if len(rows) > 1:
                leaks.append(Leak(column, key, {name: tuple(found) for name, found in rows.items()}))
    return leaks


def _read_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    shares = tuple(float(f) for f in fractions)
    if len(shares) != 3 or not all(0 <= f <= 1 for f in shares) or abs(sum(shares) - 1) > 1e-6 or shares[0] == 0:
        raise ValueError(f"fractions are {fractions}; expected three that add up to 1, such as (0.8, 0.1, 0.1)")
    return shares[0], shares[1], shares[2]


def _columns_of(content: Content | None) -> dict[str, Sequence[str | None]]:
    if content is None:
        return {}
    return dict(content) if isinstance(content, Mapping) else {"content": content}


def _tie_rows(n: int, group: Sequence[Any] | None, content: Content | None) -> Ints:
    """For each row the number of its unit: the rows that stay together with it."""
    parent = list(range(n))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    columns: list[Sequence[Any]] = list(_columns_of(content).values())
    if group is not None:
        columns.append(group)
    for values in columns:
        first: dict[Any, int] = {}
        for row, value in enumerate(values):
            if value is None or value != value:
                continue
            root, other = find(first.setdefault(value, row)), find(row)
            if root != other:
                parent[max(root, other)] = min(root, other)
    return np.unique([find(i) for i in range(n)], return_inverse=True)[1].astype(np.int64)


def _classes_of(value: Any) -> tuple[Any, ...]:
    if value is None or (isinstance(value, float) and value != value):
        return ()
    return tuple(value) if isinstance(value, list | tuple | set | frozenset | np.ndarray) else (value,)


def _is_continuous(target: Sequence[Any] | None) -> bool:
    """Numbers with more than 20 values, of which most occur once or twice, are no classes."""
    if target is None:
        return False
    given = [v for v in target if v is not None]
    if not given or not all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in given):
        return False
    distinct = len(set(given))
    return distinct > 20 and (any(float(v) % 1 != 0 for v in given) or distinct > 0.05 * len(given))


def _strata(target: Sequence[Any], classes: list[tuple[Any, ...]]) -> Ints:
    if _is_continuous(target):
        values = np.array([np.nan if v is None else float(v) for v in target])
        edges = np.nanquantile(np.where(np.isfinite(values), values, np.nan), np.linspace(0, 1, 11)[1:-1])
        return np.where(np.isnan(values), 10, np.searchsorted(edges, values)).astype(np.int64)
    keys = ["\x1f".join(sorted(map(repr, row))) for row in classes]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _deal_rows(strata: Ints, shares: tuple[float, float, float], rng: np.random.Generator) -> Labels:
    """Rows sorted by stratum, then dealt out evenly along the line: each stratum gets its share."""
    n = len(strata)
    order = np.lexsort((rng.random(n), rng.permutation(int(strata.max()) + 1)[strata]))
    split = np.full(n, "train", dtype="<U5")
    rest = order
    for name, share in (("test", shares[2]), ("val", shares[1] / max(1e-12, 1 - shares[2]))):
        steps = np.floor(np.arange(len(rest) + 1) * share + 0.5 + 1e-9)
        chosen = np.diff(steps) > 0
        split[rest[chosen]] = name
        rest = rest[~chosen]
    return split


def _deal_units(units: Ints, strata: Ints, shares: tuple[float, float, float], rng: np.random.Generator) -> Labels:
    """Units dealt out one by one to the split that lacks their strata most; oversized ones first."""
    num_units = int(units.max()) + 1
    sizes = np.bincount(units, minlength=num_units)
    rows_of = np.split(np.argsort(units, kind="stable"), np.cumsum(sizes)[:-1])
    want_SC = np.outer(shares, np.bincount(strata)).astype(float)
    have_SC = np.zeros_like(want_SC)
    order = rng.permutation(num_units)
    smallest = min(share for share in shares if share > 0) * len(units)
    order = order[np.argsort(-np.where(sizes[order] > smallest, sizes[order], 0), kind="stable")]
    unit_split = np.zeros(num_units, np.int64)
    asked = np.array(shares) > 0
    for unit in order:
        parts, counts = np.unique(strata[rows_of[unit]], return_counts=True)
        lack = want_SC[:, parts] - have_SC[:, parts]
        if sizes[unit] <= smallest:
            lack = lack / np.maximum(want_SC[:, parts], 1e-12)
        score = np.where(asked, (lack * counts).sum(axis=1), -np.inf)
        chosen = int(np.argmax(score))
        unit_split[unit] = chosen
        have_SC[chosen, parts] += counts
    return np.array(SPLITS, dtype="<U5")[unit_split[units]]


def _keep_classes_in_train(split: Labels, units: Ints, classes: list[tuple[Any, ...]]) -> None:
    kept = {label for row in np.flatnonzero(split == "train") for label in classes[row]}
    for row in np.flatnonzero(split != "train"):
        if any(label not in kept for label in classes[row]):
            together = np.flatnonzero(units == units[row])
            split[together] = "train"
            kept.update(label for other in together for label in classes[other])


def _fill_empty(
    split: Labels,
    units: Ints,
    classes: list[tuple[Any, ...]],
    shares: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    """Give a split that was asked for but got nothing the smallest train unit that train can spare."""
    for place in (2, 1):
        if shares[place] == 0 or SPLITS[place] in split:
            continue
        in_train = np.flatnonzero(split == "train")
        sizes = Counter(units[in_train].tolist())
        if len(sizes) < 2:
            continue
        count = Counter(label for row in in_train for label in set(classes[row])) if classes else Counter()
        for unit in sorted(rng.permutation(list(sizes)).tolist(), key=lambda u: sizes[u]):
            rows = np.flatnonzero(units == unit)
            taken = Counter(label for row in rows for label in set(classes[row])) if classes else Counter()
            if all(count[label] > number for label, number in taken.items()):
                split[rows] = SPLITS[place]
                break
