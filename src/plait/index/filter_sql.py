"""Filters for LanceDB, which takes SQL: dates that are written as text become SQL's own literals of dates."""

from __future__ import annotations

import pyarrow as pa

from plait.index.dates import sql_literal
from plait.index.filter import TOKEN


def in_sql(expression: str, schema: pa.Schema) -> str:
    """The filter with dates as SQL literals, where SQL compares a column of dates with a text; the rest as it is.

    Raises:
        ValueError: The filter is empty, holds a second statement or a comment, or compares a column of dates with a
            text that is none.
    """
    if not expression.strip():
        raise ValueError("the filter is empty; type where=\"label = 'dog'\", or leave it out")
    made, end = [], 0
    kind: pa.DataType | None = None  # of the column that a comparison began with
    is_between, before = False, ""
    while end < len(expression):
        found = TOKEN.match(expression, end)
        if found is None:  # SQL that the filter language lacks
            if expression[end] == ";" or expression.startswith(("--", "/*"), end):
                raise ValueError(
                    f"the filter {expression!r} holds {expression[end]!r}; type one comparison, no comment"
                )
            made.append(expression[end])
            end += 1
            continue
        token, word = found.lastgroup, found.group(found.lastgroup or 0)
        lower, text = word.lower(), found.group()
        if token == "word" and lower in ("and", "or"):
            kind, is_between = (kind, False) if is_between and lower == "and" else (None, False)
        elif token == "word" and lower in ("between", "not", "in", "is", "null", "like", "date", "timestamp"):
            is_between = is_between or lower == "between"
        elif token in ("word", "column"):
            if word not in schema.names and f"_{word}" in schema.names:  # id, key and so on, as plait.index.filter
                word, text = f"_{word}", text.replace(word, f"_{word}")
            kind = schema.field(word).type if word in schema.names else None
        elif token == "text" and kind is not None and before not in ("date", "timestamp"):
            if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
                try:
                    text = text[: len(text) - len(text.lstrip())] + sql_literal(kind, word)
                except TypeError as error:
                    raise ValueError(
                        f"the filter {expression!r} compares a column of dates ({kind}): {error}"
                    ) from None
        before = lower if token == "word" else ""
        made.append(text)
        end = found.end()
    return "".join(made)
