"""A modality: what of a table is read by one processor and one encoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """One modality: a column of its own kind, or all tabular columns together."""

    name: str
    kind: str
    columns: tuple[str, ...]
