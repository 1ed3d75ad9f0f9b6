"""Fixtures of the index tests: a small folder of coloured pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures.colours import ColourEmbedder, paint  # noqa: E402


@pytest.fixture
def embedder() -> ColourEmbedder:
    return ColourEmbedder()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five pictures, two of them equal byte by byte, one broken file, and a text file."""
    folder = tmp_path / "photos"
    paint(folder / "warm" / "红.png", (255, 0, 0))
    paint(folder / "warm" / "copy 🙂.png", (255, 0, 0))
    paint(folder / "warm" / "almost.png", (250, 9, 0))
    paint(folder / "cold" / "green.png", (0, 255, 0))
    paint(folder / "cold" / "أزرق.png", (0, 0, 255))
    (folder / "cold" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    (folder / "notes.txt").write_text("not a picture")
    return folder
