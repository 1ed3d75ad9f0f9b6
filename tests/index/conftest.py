"""Fixtures of the index tests: a small folder of coloured pictures."""

from __future__ import annotations

from fixtures.colour_index import embedder, photos

__all__ = ["embedder", "photos"]
