"""Text that a spreadsheet would run as a formula, told and made harmless by an apostrophe before it.

A CSV file holds text of others; a cell that begins with one of the signs below is computed when a spreadsheet opens the
file (CWE-1236). Numbers are no formulas: -1.5 stays a number, and a class or an id such as "-1" or "+1" stays as it is.

Reference: OWASP, CSV Injection.
"""

from __future__ import annotations

import re

import pyarrow as pa

# A sign, also in full width or small form, as the first thing after blanks, control characters and quotes; or a tab or
# a line end at the very start, which a spreadsheet drops.
_FORMULA = re.compile(r"[\s\x00-\x20\u200b\u2060\ufeff\"'`\u2018-\u201f]*[=+\-@＝＋－＠﹦﹢﹣﹫]|[\t\r\n]")  # noqa: RUF001
_NUMBER = re.compile(r"[+\-＋－]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?%?|[+\-＋－]")  # noqa: RUF001


def reads_as_formula(text: str) -> bool:
    """Whether a spreadsheet may run this text of a cell.

    Example:
        >>> reads_as_formula("=1+1"), reads_as_formula(' "@x'), reads_as_formula("-1.5"), reads_as_formula("a=b")
        (True, True, False, False)
    """
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text.strip(" ")) is None


def escape_formula(text: str) -> str:
    """The text as a spreadsheet shows and does not run it."""
    return f"'{text}" if reads_as_formula(text) else text


def escape_formulas(table: pa.Table, *, with_names: bool = True) -> tuple[pa.Table, int]:
    """A table whose text cells are harmless; numbers, truth values and dates stay as they are.

    Args:
        table: The table.
        with_names: Names of columns too.

    Returns:
        The table, and how many cells and names got an apostrophe.
    """
    columns, count = [], 0
    for column in table.columns:
        made, changed = _column(column)
        columns.append(made)
        count += changed
    names = [escape_formula(name) if with_names else name for name in table.column_names]
    count += sum(new != old for new, old in zip(names, table.column_names, strict=True))
    return (pa.table(columns, names=names) if count else table), count


def _column(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray | pa.Array, int]:
    kind = column.type
    is_text, is_binary = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind),
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
    )
    if not is_text and not is_binary:
        return column, 0
    values = column.to_pylist()
    as_text = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    places = [i for i, text in enumerate(as_text) if text is not None and reads_as_formula(text)]
    for i in places:
        values[i] = b"'" + values[i] if is_binary else f"'{values[i]}"
    return (pa.array(values, kind) if places else column), len(places)
