"""Some posts to fit on and ten of them to answer, laid out as tables for verbs that run in processes of their own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from plait.data.table import read_table


def lay_out(data: Path, rows: int, place: Path) -> None:
    """Write ``posts.csv`` and ``ten.csv``; paths of photos are absolute.

    Args:
        data: A table of texts and photos, with a column ``image``.
        rows: About how many of it, evenly chosen, stand in ``posts.csv``; ten of these stand in ``ten.csv``.
        place: The folder.
    """
    table = read_table(data)
    chosen = table.take(list(range(0, len(table), max(1, len(table) // rows))))
    chosen = chosen.with_column("image", [str((data.parent / str(c)).resolve()) for c in chosen.column("image")])
    _write(chosen, place / "posts.csv")
    _write(chosen.take(list(range(10))), place / "ten.csv")


def _write(rows: Any, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows.column_names)
        writer.writerows(zip(*(rows.column(n) for n in rows.column_names), strict=True))
