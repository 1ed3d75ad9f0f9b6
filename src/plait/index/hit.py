"""A hit: one content that a search found, with every item that shows it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.data.media_folder import resolve
from plait.data.modality import Modality
from plait.data.remote.address import is_remote
from plait.index.manifest import Manifest
from plait.index.storage import ID, RESERVED, ROW, SOURCE, Found
from plait.report.standing import search_note


@dataclass(frozen=True)
class Hit:
    """One content found.

    Attributes:
        rank: 1 for the best.
        score: Cosine of query and content; of a query of another modality, the cosine corrected for hubs
            (:mod:`plait.inference.vector_space`).
        id: The first item that shows it (under a filter: the first that fits).
        aliases: Ids of further items with the same bytes.
        source: Where the item came from.
        row: Its row there.
        path: The file it shows, or None where it is no file.
        metadata: All columns of its row that have a value.
    """

    rank: int
    score: float
    id: str
    aliases: tuple[str, ...]
    source: str
    row: int
    path: str | None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_missing(self) -> bool:
        """Whether it shows a file that is no longer there."""
        return self.path is not None and not os.path.exists(self.path)

    def to_json(self) -> dict[str, Any]:
        """The hit as JSON values."""
        return {
            "rank": self.rank, "score": round(self.score, 6), "id": self.id, "aliases": list(self.aliases),
            "source": self.source, "row": self.row, "path": self.path,
            "is_missing": self.is_missing,
            "metadata": {name: _plain(value) for name, value in self.metadata.items()},
        }  # fmt: skip

    def text(self) -> str:
        """A text of its metadata that is not its own id or path: the first of several words, else the first; or ""."""
        found = [
            value
            for cell in self.metadata.values()
            if isinstance(value := cell[0] if isinstance(cell, list) and cell else cell, str)
            and value.strip() and value != self.id
        ]  # fmt: skip
        return next((text for text in found if len(text.split()) > 1), found[0] if found else "")


def hits_of(found: list[Found], manifest: Manifest) -> list[Hit]:
    """What a storage found, as hits."""
    made = []
    for rank, one in enumerate(found, start=1):
        item = one.items[0]
        fact = manifest.sources[item[SOURCE]]
        metadata = {name: value for name, value in item.items() if name not in RESERVED and value is not None}
        cell = item.get(manifest.modality.columns[0]) if manifest.modality.kind != "text" else None
        path = str(resolve(cell, None if fact.root is None else Path(fact.root))) if _is_path(cell) else None
        aliases = tuple(other[ID] for other in one.items[1:])
        made.append(Hit(rank, one.score, item[ID], aliases, fact.source, item[ROW], path, metadata))
    return made


def missing_note(hits: Sequence[Hit], index: str | Path) -> str | None:
    """How many of the files of some hits are no longer there, and what to type; None where all are."""
    gone = [hit.path for hit in hits if hit.is_missing]
    if not gone:
        return None
    return (
        f"{len(gone)} of {len(hits)} files are no longer there, {gone[0]} for one; where their folder moved, type: "
        f"plait index move {shlex.quote(str(index))} OLD NEW"
    )


def accuracy_note(embedder: Any, indexed: Modality, kinds: Collection[str]) -> str | None:
    """How seldom the first hit was right when the model was judged, to stand below hits.

    Args:
        embedder: The model of the index; one without a report is not spoken of.
        indexed: The modality of the index.
        kinds: Kinds of what was searched by: "text", "image".

    Returns:
        None where the first hit is right more often than not, or the model was not judged.
    """
    report = getattr(embedder, "report", None)
    names = [m.name for m in embedder.modalities if m.kind in kinds and m.name != indexed.name]
    return search_note(report, names, indexed.name) if isinstance(report, Mapping) else None


def _is_path(cell: Any) -> bool:
    is_short = isinstance(cell, str) and len(cell) < 4096
    return is_short and cell[:5].lower() != "data:" and not is_remote(cell)


def _plain(value: Any) -> Any:
    """A value of a table as JSON: dates and the like as text."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, float) and value - value != 0:
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
