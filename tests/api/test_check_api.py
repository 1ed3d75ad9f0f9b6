"""``plait.check``: the same findings as ``plait check``, and no torch to make them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import plait
from fixtures.lazy import lazy

in_language = lazy("plait.api", "in_language")


def test_findings_of_rows_in_memory() -> None:
    found = plait.check({"text": ["a b c d", "e f g h"], "y": ["u", "u"]}, "y")
    assert {f.code: f.severity for f in found.findings}["P002"] == "error"  # two rows
    assert found.finding("P010").severity == "error"  # one class
    with pytest.raises(ValueError, match="nope"):
        plait.check({"text": ["a"], "y": ["u"]}, "nope")


def test_columns_of_a_file_without_a_header_line(tmp_path: object) -> None:
    path = f"{tmp_path}/rows.csv"
    with open(path, "w", encoding="gb18030") as file:
        file.write("\u4eca\u5929,yes\n\u660e\u5929,no\n")
    found = plait.check(path, "label", columns=("text", "label"), encoding="gb18030")
    assert found.num_rows == 2


def test_checking_needs_no_torch() -> None:
    code = "import sys, plait; plait.check({'a': [1], 'b': [2]}, 'b'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_split_by_time_are_not_told_to_be_split_at_random() -> None:
    table = {
        "text": [f"number {i} of all" for i in range(60)], "date": [f"2024-01-{i % 28 + 1:02}" for i in range(60)],
        "label": ["a", "b"] * 30,
    }  # fmt: skip
    assert plait.check(table, "label").finding("P025").severity == "warning"
    found = plait.check(table, "label", split_by_time="date")
    assert (found.finding("P025").severity, found.finding("P025").detail) == (
        "ok", "rows are split by time, by column 'date'",
    )  # fmt: skip
    assert in_language("zh", found.finding("P025").detail) == "行按时间划分，依据列“date”"
    with pytest.raises(ValueError, match="'text' cannot split the rows by time: expected dates or numbers"):
        plait.check(table, "label", split_by_time="text")
