"""Text that a spreadsheet would run is told from numbers, names and plain text."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fixtures.lazy import lazy

escape_formula, escape_formulas = lazy("plait.api.formulas", "escape_formula", "escape_formulas")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\tabc", "\rabc", "\nabc", "  =1", '"=1+1"', "'=1", "\u00a0=1",
        "＝1+1", "＋1+cmd", "－2+3", "＠a", "﹦1", "\ufeff=1", "\x00=1", "-cmd|' /C calc'!A0", "+49 170 1234", "-1-1",
        "=", "@", "=HYPERLINK(\"http://a\",\"b\")", "-5;=1", "\u201c=1", " - a point", "--5", "-1 ,=2",
    ],
)  # fmt: skip
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "", "yes", "a=b", "a-b", "x@y.z", "-1", "+1", "-1.5", "+1,5", "-1e-05", "-.5", "－5", "-5%", "-1,234.50", "-",
        "+", "5-3", "'tis", '"quoted"', "今天=晴", "—", "🙂", " 12 ", "( -1 )",
    ],
)  # fmt: skip
def test_other_text_stays(text: str) -> None:
    assert escape_formula(text) == text


def test_a_table_is_changed_in_text_and_names_only() -> None:
    table = pa.table({
        "=id": ["-5", "=cmd", None], "row": [-1, 0, 1], "p": [-0.5, None, 2.0], "large": pa.array(
            ["@a", "b", "c"], pa.large_string()), "raw": [b"=1", b"ok", None],
    })  # fmt: skip
    made, count = escape_formulas(table)
    assert count == 4
    assert made.to_pydict() == {
        "'=id": ["-5", "'=cmd", None], "row": [-1, 0, 1], "p": [-0.5, None, 2.0], "large": ["'@a", "b", "c"],
        "raw": [b"'=1", b"ok", None],
    }  # fmt: skip
    assert made.schema.types == table.schema.types
    assert escape_formulas(table.select(["row"])) == (table.select(["row"]), 0)
