"""Answers as a data frame: beside the rows that were asked, by the same index."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from plait.report.shown.report import frame_of


def as_given(answers: pa.Table, table: Any) -> Any:
    """Answers as a pandas DataFrame, with the index of the pandas frame that was asked, if it was one.

    Raises:
        ImportError: pandas is not installed.
    """
    frame = frame_of(answers)
    index = getattr(table, "index", None)
    if type(table).__module__.partition(".")[0] == "pandas" and index is not None and len(index) == len(frame):
        frame.index = index
    return frame
