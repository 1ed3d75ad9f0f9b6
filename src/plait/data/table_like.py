"""What a table may be given as, for annotations: what :func:`plait.data.table.read_table` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from plait.data.table import Table


class ArrowStream(Protocol):
    """A frame of pandas, polars, pyarrow or another library that hands out its columns as an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The columns, as a capsule."""


TableLike = str | Path | Table | ArrowStream | Mapping[str, object] | Sequence[Mapping[str, object]]
"""A path, a frame, a dictionary of columns, a list of rows, or a table that was read."""
