"""The report of what went into an index, in Chinese: names of items stay, reasons behind them are translated."""

from __future__ import annotations

from fixtures.lazy import lazy

Intake = lazy("plait.index.intake_report", "Intake")
tr_in = lazy("plait.report.languages", "tr_in")


def test_reasons_behind_the_names_of_items() -> None:
    bad = [
        (1, "a b.png: the cell is empty"),
        (2, "r2: image 2 of the set: the cell is empty"),
        (3, "the row has nothing to embed"),
    ]
    told = Intake("photos", 5, added=2, bad_rows=bad).text("zh").splitlines()
    assert told == [
        "photos：5 行：2 新增、3 无法读取", "  第 1 行：a b.png：单元格为空",
        "  第 2 行：r2：集合的第 2 张图像：单元格为空",
        "  第 3 行：该行没有可嵌入的内容",
    ]  # fmt: skip
    assert "  row 1: a b.png: the cell is empty" in Intake("photos", 5, bad_rows=bad).text()


def test_labels_with_their_counts() -> None:
    assert tr_in("zh", "红  22 of 25") == "红 25 项中 22 项"
