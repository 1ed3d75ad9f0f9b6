"""The filter language as SQL for LanceDB: a filter is taken or refused as by Arrow, in the same words.

A published index and the exact one that it came from so answer alike; SQL's own functions are no part of the language.
Texts that are dates in a column of texts are the one exception: which rows hold some is not known without reading
them, so they are compared letter by letter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from plait.index.dates import sql_literal
from plait.index.filter import matches, read_filter
from plait.index.filter_columns import is_list, place_of
from plait.index.whole_numbers import whole_comparison

_BETWEEN = "\n\x1f\n"  # stands between the elements of a list that is searched as one text


def to_sql(expression: str, schema: pa.Schema) -> str:
    """A filter as SQL.

    Args:
        expression: In the language of :mod:`plait.index.filter`.
        schema: Of the table.

    Raises:
        ValueError: As :func:`plait.index.filter.matches`.

    Example:
        >>> to_sql("year > 2019 or label contains 'dog'", pa.schema({"year": pa.int64(), "label": pa.string()}))
        "(`year` > 2019 OR `label` ILIKE '%dog%')"
    """
    matches(schema.empty_table(), expression)
    sql: str = read_filter(expression, InSql(schema))
    return sql


@dataclass(frozen=True)
class _Column:
    """A column as SQL names it."""

    sql: str
    type: pa.DataType


class InSql:
    """Tests as SQL.

    Args:
        schema: Of the table.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def column(self, name: str) -> _Column:
        """A column; no name holds a backtick."""
        place = place_of(name, self.schema.names)
        kind = self.schema.field(place).type
        return _Column(f"`{place}`", kind.value_type if pa.types.is_dictionary(kind) else kind)

    def either(self, left: str, right: str) -> str:
        """One of two."""
        return _joined("OR", left, right)

    def both(self, left: str, right: str) -> str:
        """Two."""
        return _joined("AND", left, right)

    def invert(self, test: str) -> str:
        """The contrary."""
        return f"(NOT {test})"

    def is_null(self, column: _Column) -> str:
        """What is missing."""
        return f"({column.sql} IS NULL)"

    def compare(self, mark: str, column: _Column, value: Any) -> str:
        """By its mark; in a column of lists, = asks for any element."""
        if is_list(column.type) and mark == "=":
            return self.any_of(column, [value])
        if pa.types.is_integer(column.type):
            found = whole_comparison(mark, value, column.type)
            if isinstance(found, bool):
                return f"({column.sql} {'=' if found else '!='} {column.sql})"
            mark, value = found
        return f"{column.sql} {mark} {_literal(value, column.type)}"

    def any_of(self, column: _Column, values: list[Any]) -> str:
        """One of the values."""
        if is_list(column.type):
            made = [f"array_has({column.sql}, {_literal(value, column.type.value_type)})" for value in values]
            return f"({' OR '.join(made)})"
        if pa.types.is_integer(column.type):  # those that no number of its kind equals are left out
            found = [whole_comparison("=", value, column.type) for value in values]
            values = [one[1] for one in found if not isinstance(one, bool)]
            if not values:
                return f"({column.sql} != {column.sql})"
        return f"{column.sql} IN ({', '.join(_literal(value, column.type) for value in values)})"

    def contains(self, column: _Column, value: Any) -> str:
        """A text, or any element of a list."""
        if not is_list(column.type):
            return f"{column.sql} ILIKE {_text(f'%{_plain(value)}%')}"
        if not isinstance(value, str) or pa.types.is_temporal(column.type.value_type):
            return self.any_of(column, [value])
        return f"array_to_string({column.sql}, {_text(_BETWEEN)}) ILIKE {_text(f'%{_plain(value)}%')}"

    def starts_with(self, column: _Column, value: str) -> str:
        """A text."""
        return f"{column.sql} LIKE {_text(f'{_plain(value)}%')}"

    def like(self, column: _Column, pattern: str) -> str:
        """A text."""
        return f"{column.sql} LIKE {_text(pattern)}"


class _Joined(str):
    """Tests with one word between them, which further ones join without more brackets."""

    word: str
    parts: list[str]


def _joined(word: str, left: str, right: str) -> _Joined:
    parts = [*left.parts, right] if isinstance(left, _Joined) and left.word == word else [left, right]
    made = _Joined(f"({f' {word} '.join(parts)})")
    made.word, made.parts = word, parts
    return made


def _literal(value: Any, kind: pa.DataType) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return sql_literal(kind, value) if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else _text(value)
    if pa.types.is_floating(kind):  # the number that the column would keep, in all its digits
        kept = float(pa.scalar(float(value), pa.float64()).cast(kind).as_py())
        value = float(value) if math.isinf(kept) else kept
    return repr(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _plain(value: str) -> str:
    r"""A text that stands for itself in a pattern: ``%``, ``_`` and ``\`` lose their meaning."""
    return "".join("\\" + letter if letter in "%_\\" else letter for letter in value)
