"""Two small models of numbers, with other classes, a copy of the first to do things to, and a small disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=1m plait {disk} 2>/dev/null") != 0:
        pytest.skip("needs to mount a small disk")
    try:
        yield disk
    finally:
        for _ in range(20):
            if os.system(f"umount {disk} 2>/dev/null") == 0:
                break
            time.sleep(0.1)
