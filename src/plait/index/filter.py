"""Filters over metadata: a small language, read by a parser of our own and run by Arrow; nothing is ever evaluated.

    label = 'dog' and year >= 2020
    not (split in ('val', 'test')) or caption contains 'snow'
    price is not null

Comparisons are ``= != < <= > >=``, ``between A and B``, ``in (...)``, ``not in (...)``, ``is null``, ``is not null``,
and for text ``contains``, ``starts with`` and ``like`` (``%`` and ``_``). Dates are written as text: ``when >=
'2024-01-05'``; see :mod:`plait.index.dates`. In a column of lists, ``=``, ``in`` and ``contains`` ask whether any
element fits. A column whose name is no plain word stands in double quotes; text stands in single quotes, a quote inside
doubled. As in SQL, a missing value fits no comparison. Columns ``id`` and ``key`` stand for the item's own where the
metadata has no such column.
What is read is told to a :class:`Tests`: :class:`InArrow` computes which rows fit, and
:mod:`plait.index.filter_as_sql` writes the same as SQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plait.index.dates import compare_texts, operands
from plait.index.filter_columns import check_type, is_list, is_text, place_of
from plait.index.whole_numbers import whole_comparison

Mask = Any  # a boolean Arrow array, with nulls where the answer is unknown
TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |'(?P<text>(?:[^']|'')*)'|"(?P<column>(?:[^"]|"")*)"
    |(?P<mark><=|>=|!=|<>|==|=|<|>|\(|\)|,)|(?P<word>[^\W\d]\w*))""",
    re.VERBOSE,
)
MARKS: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
ALIKE = {"==": "=", "<>": "!="}
_DEEPEST = 100
_MOST = 500  # comparisons of a filter; LanceDB reads no more than some thousands
_HELP = "expected something such as: label = 'dog' and year >= 2020"


def matches(items: pa.Table, expression: str) -> np.ndarray:
    """Which rows fit a filter, bool [N].

    Raises:
        ValueError: The expression cannot be read, names no column, or compares what cannot be compared.

    Example:
        >>> matches(pa.table({"year": [2019, 2021, None]}), "year > 2019 or year is null").tolist()
        [False, True, True]
    """
    mask = read_filter(expression, InArrow(items))
    if isinstance(mask, pa.ChunkedArray):
        mask = mask.combine_chunks()
    found: np.ndarray = pc.fill_null(mask, False).to_numpy(zero_copy_only=False).astype(bool)
    return found


def read_filter(expression: str, tests: Tests) -> Any:
    """A filter as one test.

    Args:
        expression: The filter.
        tests: What comparisons come to.

    Raises:
        ValueError: It cannot be read, or the tests refuse a comparison.
    """
    parser = _Parser(tests, expression)
    test = parser.either(0)
    if parser.kind is not None:
        raise parser.fault("the expression goes on after its end")
    return test


class Tests(Protocol):
    """What comparisons come to; a test is whatever an implementation makes of one."""

    def column(self, name: str) -> Any:
        """A column by its name; it has a ``type``."""
        ...

    def either(self, left: Any, right: Any) -> Any:
        """One of two tests, or both."""
        ...

    def both(self, left: Any, right: Any) -> Any:
        """Two tests."""
        ...

    def invert(self, test: Any) -> Any:
        """The contrary of a test; unknown stays unknown."""
        ...

    def is_null(self, column: Any) -> Any:
        """Whether a value is missing."""
        ...

    def compare(self, mark: str, column: Any, value: Any) -> Any:
        """One comparison, by its mark."""
        ...

    def any_of(self, column: Any, values: list[Any]) -> Any:
        """Whether it is one of the values."""
        ...

    def contains(self, column: Any, value: Any) -> Any:
        """Whether a text holds another, in large or small letters."""
        ...

    def starts_with(self, column: Any, value: str) -> Any:
        """Whether a text begins with another."""
        ...

    def like(self, column: Any, pattern: str) -> Any:
        """Whether a text is as a pattern of SQL says."""
        ...


class _Parser:
    """Reads from left to right and tells the tests while it reads; one token of sight.

    Args:
        tests: What comparisons come to.
        expression: The filter.
    """

    def __init__(self, tests: Tests, expression: str) -> None:
        if not isinstance(expression, str):
            raise TypeError(f"a filter is text, not {expression!r}; {_HELP}")
        self.tests, self.expression, self.end, self.count = tests, expression, 0, 0
        self.kind: str | None = None
        self.value: str = ""
        self.start = 0
        self.step()
        if self.kind is None:
            raise ValueError(f"the filter is empty; {_HELP}")

    def fault(self, reason: str) -> ValueError:
        return ValueError(f"the filter {self.expression!r} cannot be read at {self.start}: {reason}; {_HELP}")

    def step(self) -> tuple[str | None, str]:
        """Take the token in sight and look at the next."""
        taken = self.kind, self.value
        rest = self.expression[self.end :]
        self.start = self.end + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.kind, self.value = None, ""
            return taken
        found = TOKEN.match(self.expression, self.end)
        if found is None:
            raise self.fault(f"{rest.strip()[:12]!r} is no word, number, 'text' or comparison")
        self.kind, self.end = found.lastgroup, found.end()
        self.value = found.group(self.kind or 0)
        return taken

    def sees(self, *words: str) -> bool:
        """Whether a keyword or a mark is in sight."""
        return self.kind in ("word", "mark") and self.value.lower() in words

    def need(self, mark: str) -> None:
        if not self.sees(mark):
            raise self.fault(f"{mark!r} is missing")
        self.step()

    def either(self, depth: int) -> Any:
        left = self.both(depth)
        while self.sees("or"):
            self.step()
            left = self.tests.either(left, self.both(depth))
        return left

    def both(self, depth: int) -> Any:
        left = self.single(depth)
        while self.sees("and"):
            self.step()
            left = self.tests.both(left, self.single(depth))
        return left

    def single(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise self.fault(f"it is nested more than {_DEEPEST} deep")
        if self.sees("not"):
            self.step()
            return self.tests.invert(self.single(depth + 1))
        if self.sees("("):
            self.step()
            inner = self.either(depth + 1)
            self.need(")")
            return inner
        return self.comparison()

    def comparison(self) -> Any:
        if self.kind not in ("word", "column"):
            raise self.fault("a column is expected here")
        self.count += 1
        if self.count > _MOST:
            raise self.fault(f"it has more than {_MOST} comparisons; for many values of one column type in ('a', 'b')")
        kind, name = self.step()
        column = self.tests.column(name.replace('""', '"') if kind == "column" else name)
        try:
            return self.compared(name, column)
        except (pa.ArrowException, TypeError) as error:
            raise ValueError(
                f"the filter {self.expression!r} compares column {name!r} ({column.type}) with another type: {error}"
            ) from None

    def compared(self, name: str, column: Any) -> Any:
        tests = self.tests
        if self.sees("is"):
            self.step()
            negated = self.sees("not")
            if negated:
                self.step()
            self.need("null")
            return tests.invert(tests.is_null(column)) if negated else tests.is_null(column)
        negated = self.sees("not")
        if negated:
            self.step()
        if self.sees("in"):
            self.step()
            test = tests.any_of(column, self.listed())
        elif self.sees("between"):
            self.step()
            low = tests.compare(">=", column, self.literal())
            self.need("and")
            test = tests.both(low, tests.compare("<=", column, self.literal()))
        elif self.sees("contains"):
            self.step()
            test = tests.contains(column, self.literal())
        elif self.sees("starts"):
            self.step()
            self.need("with")
            test = tests.starts_with(column, str(self.literal()))
        elif self.sees("like"):
            self.step()
            test = tests.like(column, str(self.literal()))
        elif self.kind == "mark" and ALIKE.get(self.value, self.value) in MARKS and not negated:
            mark = self.step()[1]
            return tests.compare(ALIKE.get(mark, mark), column, self.literal())
        else:
            raise self.fault(
                f"a comparison of {name!r} is expected here (= != < <= > >= between in contains like is null)"
            )
        return tests.invert(test) if negated else test

    def listed(self) -> list[Any]:
        self.need("(")
        values = [self.literal()]
        while self.sees(","):
            self.step()
            values.append(self.literal())
        self.need(")")
        return values

    def literal(self) -> Any:
        if self.sees("date", "timestamp"):  # as SQL may write it: date '2024-01-05'
            self.step()
            if self.kind != "text":
                raise self.fault("a date is expected here, such as '2024-01-05'")
        if self.kind == "text":
            return self.step()[1].replace("''", "'")
        if self.kind == "number":
            text = self.value
            if math.isinf(float(text)):
                raise self.fault("the number is larger than any that is kept")
            self.step()
            return float(text) if re.search(r"[.eE]", text) else int(text)
        if self.sees("true", "false"):
            return self.step()[1].lower() == "true"
        raise self.fault("a number, 'text', true or false is expected here (text stands in single quotes)")


class InArrow:
    """Which rows of a table fit, as a boolean array with nulls where that is unknown.

    Args:
        items: The table.
    """

    def __init__(self, items: pa.Table) -> None:
        self.items = items

    def column(self, name: str) -> pa.ChunkedArray:
        """A column, without its dictionary."""
        column = self.items.column(place_of(name, self.items.column_names))
        return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column

    def either(self, left: Mask, right: Mask) -> Mask:
        """One of two."""
        return pc.or_kleene(left, right)

    def both(self, left: Mask, right: Mask) -> Mask:
        """Two."""
        return pc.and_kleene(left, right)

    def invert(self, test: Mask) -> Mask:
        """The contrary."""
        return pc.invert(test)

    def is_null(self, column: Any) -> Mask:
        """What is missing."""
        return pc.is_null(column)

    def compare(self, mark: str, column: Any, value: Any) -> Mask:
        """By its mark; in a column of lists, = asks for any element."""
        if is_list(column.type) and mark == "=":
            return _any_of(column, [value])
        return _compared(mark, column, value)

    def any_of(self, column: Any, values: list[Any]) -> Mask:
        """One of the values."""
        return _any_of(column, values)

    def contains(self, column: Any, value: Any) -> Mask:
        """A text, or any element of a list."""
        return _contains(column, value)

    def starts_with(self, column: Any, value: str) -> Mask:
        """A text."""
        return pc.starts_with(column, value)

    def like(self, column: Any, pattern: str) -> Mask:
        """A text."""
        return pc.match_like(column, pattern)


def _compared(mark: str, column: Any, value: Any) -> Mask:
    """One comparison of a column with a value, by its mark."""
    compare = MARKS[mark]
    if pa.types.is_temporal(column.type):
        return compare(*operands(column, value))
    if is_text(column.type) and isinstance(value, str) and mark not in ("=", "!="):
        return compare_texts(compare, column, value)
    check_type(value, column.type)
    if pa.types.is_integer(column.type):
        found = whole_comparison(mark, value, column.type)
        if isinstance(found, bool):  # for all numbers; unknown where there is none
            return pc.equal(column, column) if found else pc.not_equal(column, column)
        compare, value = MARKS[found[0]], found[1]
    if pa.types.is_floating(column.type):  # in the digits that the column keeps
        value = float(value)
    decides = pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or is_text(column.type)
    return compare(column, pa.scalar(value, column.type) if decides else pa.scalar(value))


def _any_of(column: pa.ChunkedArray, values: list[Any]) -> Mask:
    if not is_list(column.type):
        mask = None
        for value in values:
            equal = _compared("=", column, value)
            mask = equal if mask is None else pc.or_kleene(mask, equal)
        return mask
    return _any_element(column, lambda flat: _any_of(flat, values))


def _contains(column: pa.ChunkedArray, value: Any) -> Mask:
    if is_list(column.type):
        return _any_element(column, lambda flat: _contains(flat, value))
    if pa.types.is_temporal(column.type):  # an element of a list of dates
        return _compared("=", column, value)
    if not isinstance(value, str):
        raise TypeError(f"contains looks for text, not for {value!r}")
    return pc.match_substring(column, value, ignore_case=True)


def _any_element(column: pa.ChunkedArray, test: Callable[[pa.Array], Mask]) -> Mask:
    """Whether any element of each list fits; null where the list is missing."""
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    fits = pc.fill_null(test(pc.list_flatten(lists)), False).to_numpy(zero_copy_only=False).astype(bool)
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    found = np.zeros(len(lists), dtype=bool)
    found[parents[fits]] = True
    return pa.array(found, mask=pc.is_null(lists).to_numpy(zero_copy_only=False))
