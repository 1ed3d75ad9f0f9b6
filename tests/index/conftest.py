"""Fixtures of the index tests: a small folder of coloured pictures, and each backend."""

from __future__ import annotations

import pytest

from fixtures.colour_index import embedder, photos

__all__ = ["embedder", "photos"]


@pytest.fixture(params=["exact", "lance"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend in turn."""
    if request.param == "lance":
        pytest.importorskip("lancedb", reason="extra lance")
    return str(request.param)
