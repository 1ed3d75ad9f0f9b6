"""Two small models of numbers, with other classes, and a copy of the first to do things to."""

from __future__ import annotations

from pathlib import Path

import pytest

import plait
from fixtures.small_model import fit


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with the classes "down" and "up"; not to be changed."""
    fit(folder := tmp_path_factory.mktemp("old") / "model")
    return folder


@pytest.fixture
def place(old: Path, tmp_path: Path) -> Path:
    """The same model in a folder of its own."""
    plait.load(old).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="session")
def other() -> plait.Plait:
    """A model in memory with the classes "cat" and "dog"; not to be changed."""
    return fit(None, ("cat", "dog"))
