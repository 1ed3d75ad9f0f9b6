"""The rules by which a column's kind is guessed: from its type, its name and a sample of its values.

Each kind is asked whether the column is one of its own; what none claims is text, a number or a category by the rules
for plain values here. Each gives its reason in words, for the user to agree or to overrule. None reads a file; of
addresses without an ending, where they may be fetched, a few are.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plait.data.arrow_types import is_date, is_list, is_text
from plait.data.column_kind import COLUMN_KINDS, Hints, Sample
from plait.data.label_lists import are_label_lists
from plait.data.moments import is_compact_date
from plait.data.nearly_numeric import common_unit, has_codes
from plait.data.partly_media import media_advice, partly_media
from plait.data.reads_like import reads_like, unit_advice
from plait.data.remote.columns import named_by_content
from plait.data.split import SPLIT_NAMES
from plait.data.table import Table
from plait.registry import counted

_SAMPLE = 1000
LEAST_COMPACT = 5  # different whole numbers before all of them look like dates by more than chance
_ID_NAME = re.compile(r"(row_?)?(id|uid|uuid|guid|idx|index|key)|(row|sample|record|item|example)_?(id|no)")
_GROUP_NAME = re.compile(r"(image|photo|img|patient|subject|person|user|group|scene|video)_?id|groups?")
_CODE_NAME = re.compile(r"(.*_)?(zip|zip_?code|post_?code|postal_?code|code)")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")  # scripts without spaces
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")  # the same without Hangul, which has some

Guess = tuple[str | None, str]


def sample_values(table: Table, name: str) -> list[Any]:
    """Up to 1000 values of a column, evenly spaced, the missing ones left out."""
    step = np.unique(np.linspace(0, len(table) - 1, min(_SAMPLE, len(table))).astype(np.int64))
    chosen = table.arrow.column(name).take(pa.array(step)).drop_null()
    if len(chosen) == 0:
        chosen = table.arrow.column(name).drop_null().slice(0, _SAMPLE)
    try:
        values: list[Any] = chosen.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        return []
    return values


def count_distinct(table: Table, name: str) -> int:
    """The number of different values; -1 for types that cannot be counted."""
    try:
        return int(pc.count_distinct(table.arrow.column(name)).as_py())
    except pa.ArrowException:
        return -1


def is_split(table: Table, name: str) -> bool:
    """Whether a column is called split and says nothing but train, val and test."""
    if name.strip().lower() != "split" or not is_text(table.arrow.schema.field(name).type):
        return False
    if count_distinct(table, name) > 4 * len(SPLIT_NAMES):
        return False
    values = pc.unique(table.arrow.column(name)).to_pylist()
    return all(isinstance(v, str) and v.strip().lower() in SPLIT_NAMES for v in values)


def is_group_name(table: Table, name: str) -> bool:
    """Whether a column is named like a group of rows and its values repeat."""
    if _GROUP_NAME.fullmatch(name.strip().lower()) is None or is_list(table.arrow.schema.field(name).type):
        return False
    present = len(table) - int(table.arrow.column(name).null_count)
    return 1 < count_distinct(table, name) < present


def is_id_name(table: Table, name: str) -> bool:
    """Whether a column is named like a row's name (or a frame's index) and nearly all values differ."""
    lowered = name.strip().lower()
    named = _ID_NAME.fullmatch(lowered) or _GROUP_NAME.fullmatch(lowered) or lowered == "unnamed_0"
    kind = table.arrow.schema.field(name).type
    if not named or not (pa.types.is_integer(kind) or is_text(kind)):
        return False
    present = len(table) - int(table.arrow.column(name).null_count)
    return present > 0 and count_distinct(table, name) >= 0.9 * present


def guess_column(table: Table, name: str, hints: Hints) -> Guess:
    """The kind of an input column (None: leave it out), and why."""
    column = table.arrow.column(name)
    kind = column.type
    if column.null_count == len(table):
        return None, "every value is missing"
    values = sample_values(table, name)
    sample = Sample(kind, named_by_content(table, values) if is_text(kind) else values)
    for known in COLUMN_KINDS:
        claim = COLUMN_KINDS.get(known).claim
        reason = claim(sample) if claim is not None else None
        if reason is not None:
            return known, reason
    partly = partly_media(sample) if is_text(kind) else None
    if partly is not None:
        return partly
    if pa.types.is_boolean(kind):
        return "categorical", "says true or false"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numeric", "holds numbers"
    if pa.types.is_integer(kind):
        return _guess_whole(table, name)
    if is_text(kind):
        guessed, why = _guess_text(table, name, sample.values, hints)
        advice = media_advice(sample, name)
        return guessed, why if advice is None else f"{why}; {advice}"
    return None, f"holds {kind}, which is not read as an input; turn it into text, numbers or images"


def kind_fault(table: Table, name: str, kind: str, role: str, hints: Hints | None = None) -> str | None:
    """Why a column cannot be of a kind, in words that say what to do; None when it can."""
    held, record = table.arrow.schema.field(name).type, COLUMN_KINDS.get(kind)
    fits = (record.fits_target if role == "target" else None) or record.fits
    if pa.types.is_null(held) or fits(held):
        return None
    odd = record.odd(table, name, hints or Hints()) if record.odd is not None else ""
    if record.odd is not None and not odd:
        return None
    return f"column {name!r} cannot be {kind}: it holds {held}{odd}; expected {record.holds}"


def guess_target_kind(table: Table, name: str, hints: Hints) -> Guess:
    """The kind of the target: categorical or numeric (None: nothing to learn from), and why."""
    column = table.arrow.column(name)
    kind, distinct = column.type, count_distinct(table, name)
    if column.null_count == len(table):
        return None, "every value is missing"
    if is_list(table.arrow.schema.field(name).type):
        item = kind.value_type
        if is_text(item) or pa.types.is_integer(item) or pa.types.is_null(item):
            return "categorical", "lists of labels"
        return None, f"lists of {item}; expected lists of labels"
    if is_text(kind):
        return _guess_text_target(table, name, distinct, hints)
    if is_date(kind):
        return None, _no_date_target(name)
    if pa.types.is_boolean(kind):
        return "categorical", f"{counted(distinct, 'value that is no number', 'different values that are no numbers')}"
    whole = pa.types.is_integer(kind)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        whole = all(float(v).is_integer() for v in pc.unique(column).to_pylist() if v is not None)
    elif not whole:
        return None, f"holds {kind}; expected classes or numbers"
    if whole and _are_few(distinct, len(table)):
        return "categorical", f"whole numbers with only {counted(distinct, 'value', 'different values')}"
    return "numeric", f"numbers with {counted(distinct, 'value', 'different values')}"


def _are_few(distinct: int, rows: int) -> bool:
    """Whether whole numbers are so few that they name classes."""
    return distinct <= 2 or (distinct <= 20 and distinct <= 0.5 * rows)


def _guess_text_target(table: Table, name: str, distinct: int, hints: Hints) -> Guess:
    """Classes, unless nearly every cell is a number of many or a date."""
    what = reads_like(table, name, sample_values(table, name), hints)
    classes = counted(distinct, "value that is no number", "different values that are no numbers")
    if what is not None and (what.kind == "date" or what.reason.startswith("reads like dates")):
        return None, _no_date_target(name)
    if what is not None and what.kind is None:
        return None, f"it {what.reason} (to take every text as a class: categorical={name!r})"
    unit = common_unit(table.column(name)) if what is None else None
    if unit is not None and not _are_few(distinct, len(table)):
        return None, f"it holds {unit_advice(unit)} (to take every text as a class: categorical={name!r})"
    if what is None and are_label_lists(table.column(name)):
        return "categorical", "lists of labels, as text"
    if what is None or what.kind != "numeric" or (what.is_whole and _are_few(what.distinct, len(table))):
        return "categorical", classes if unit is None else f"{classes}; {unit_advice(unit)}"
    return "numeric", what.reason


def _no_date_target(name: str) -> str:
    return (
        "it holds dates, and Plait predicts classes and numbers; make a number of it, such as the days since a day, or "
        f"a class, such as its month (to take every date as a class: categorical={name!r})"
    )


def _guess_whole(table: Table, name: str) -> Guess:
    distinct = count_distinct(table, name)
    if _CODE_NAME.fullmatch(name.strip().lower()):
        return "categorical", "its name says that its numbers are codes"
    if distinct >= LEAST_COMPACT and all(
        is_compact_date(v) for v in pc.unique(table.arrow.column(name)).to_pylist() if v
    ):
        return "date", "whole numbers that all read like dates (20240305)"
    ends = pc.min_max(table.arrow.column(name)).as_py()
    counts = ends["max"] - ends["min"] == len(table) - 1 and distinct == len(table)
    if counts and len(table) >= 20 and ends["min"] in (0, 1):
        return None, "counts the rows"
    if distinct == 2 and len(table) > 2:
        return "categorical", "has two different values"
    return "numeric", "holds whole numbers"


def _guess_text(table: Table, name: str, values: list[str], hints: Hints) -> Guess:
    what = reads_like(table, name, values, hints)
    if what is not None:
        if what.kind == "numeric" and _CODE_NAME.fullmatch(name.strip().lower()):
            return "categorical", "its name says that its numbers are codes"
        if what.kind == "numeric" and what.distinct == 2 and what.is_whole:
            return "categorical", "has two different values"
        return what.kind, what.reason
    if has_codes(values) and _CODE_NAME.fullmatch(name.strip().lower()):
        return "categorical", "its name says that its digits are codes"
    kind, reason = _guess_words(table, name, values)
    unit = common_unit(values)
    return kind, reason if unit is None else f"{reason}; {unit_advice(unit)}"


def _guess_words(table: Table, name: str, values: list[str]) -> Guess:
    words = float(np.mean([_count_words(v) for v in values])) if values else 0.0
    unspaced = float(np.mean([len(_UNSPACED.findall(v)) for v in values])) if values else 0.0
    distinct, present = count_distinct(table, name), len(table) - table.arrow.column(name).null_count
    if words >= 3.5:
        if unspaced >= words:  # what a word is cannot be seen
            return "text", f"{np.mean([len(''.join(v.split())) for v in values]):.0f} characters a value on average"
        return "text", f"{words:.0f} words a value on average"
    if distinct == present and words >= 2:
        return "text", "short texts, each different"
    if distinct <= 20 or distinct <= 0.5 * present:
        return (
            "categorical",
            f"{counted(distinct, 'short value', 'different short values')} in {counted(present, 'row')}",
        )
    if words < 1.2 and distinct >= 0.95 * present and any(c.isdigit() for v in values[:100] for c in v):
        return None, "a different code in every row, from which nothing can be learned"
    return "text", counted(distinct, "short text", "different short texts")


def _count_words(text: str) -> float:
    """Words between spaces; two signs of a script without spaces count as one word."""
    return len(text.split()) + len(_WIDE.findall(text)) / 2
