"""The vector index: build it from a model and a source, search it, keep it up to date, evaluate it."""

from __future__ import annotations

from plait.index.build import build_index
from plait.index.embedder import Embedder
from plait.index.exact import TopK, top_k
from plait.index.hit import Hit, accuracy_note, missing_note
from plait.index.index import Index
from plait.index.intake_report import Intake
from plait.index.letters import letters_note
from plait.index.manifest import DamagedIndexError, IndexFolderError
from plait.index.opening import is_published, open_index, publish_index

__all__ = [
    "DamagedIndexError",
    "Embedder",
    "Hit",
    "Index",
    "IndexFolderError",
    "Intake",
    "TopK",
    "accuracy_note",
    "build_index",
    "is_published",
    "letters_note",
    "missing_note",
    "open_index",
    "publish_index",
    "top_k",
]
