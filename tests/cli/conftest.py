"""Fixtures of the command-line tests: those of the index tests too."""

from __future__ import annotations

from fixtures.colour_index import embedder, photos

__all__ = ["embedder", "photos"]
